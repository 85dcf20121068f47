package atlassian

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"

	"atlassian_audit_records/pkg/audit"
)

// Contact is how a host was reached, as far as it was.
type Contact struct {
	// Host is the host and port asked.
	Host string
	// Proxy is the host and port of the proxy in between; empty for none.
	Proxy string
	// Resolved is the name that had to be looked up, the host's or the proxy's,
	// and Addresses what that gave; both empty for an IP address.
	Resolved  string
	Addresses []string
	// Connected is true once there was a connection, to the host or the proxy.
	Connected bool
	// TLS is the handshake with the host; nil where there was none.
	TLS *tls.ConnectionState
	// Status is the HTTP status; whichever it is, the host was reached.
	Status int
}

// Reach asks a URL without a credential, once, and tells how far that went. Any
// answer is a success; the error is an *Error. What the answer says of
// Atlassian's clock is kept (Skew).
func (c *Client) Reach(ctx context.Context, u *url.URL) (Contact, error) {
	q := question{client: c.plain, url: u}
	contact := Contact{Host: u.Host}
	if t, ok := c.transport.(*http.Transport); ok && t.Proxy != nil {
		if proxy, err := t.Proxy(&http.Request{URL: u}); err == nil && proxy != nil {
			contact.Proxy = proxy.Host
		}
	}
	var mu sync.Mutex // a trace's functions may be called by several goroutines
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(i httptrace.DNSStartInfo) {
			mu.Lock()
			defer mu.Unlock()
			contact.Resolved = i.Host
		},
		DNSDone: func(i httptrace.DNSDoneInfo) {
			mu.Lock()
			defer mu.Unlock()
			for _, a := range i.Addrs {
				contact.Addresses = append(contact.Addresses, a.String())
			}
		},
		GotConn: func(httptrace.GotConnInfo) {
			mu.Lock()
			defer mu.Unlock()
			contact.Connected = true
		},
		ConnectDone: func(_, _ string, err error) {
			mu.Lock()
			defer mu.Unlock()
			contact.Connected = contact.Connected || err == nil
		},
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				contact.TLS = &state
			}
		},
	})
	snapshot := func() Contact {
		mu.Lock()
		defer mu.Unlock()
		return contact
	}
	req, err := http.NewRequestWithContext(traced, http.MethodGet, u.String(), nil)
	if err != nil {
		return snapshot(), c.failure(q, Error{Code: CodeBadRequest, Person: true,
			What: "the address could not be asked", Next: "check `site` and `gateway`", Err: err})
	}
	req.Header.Set("User-Agent", c.userAgent)
	resp, err := q.client.Do(req)
	if err != nil {
		// The context that matters is the caller's: its end is no time-out.
		return snapshot(), c.judgeSilence(context.WithoutCancel(ctx), q, err)
	}
	_ = resp.Body.Close() // its content does not matter
	got := snapshot()
	got.Status = resp.StatusCode
	if resp.TLS != nil {
		got.TLS = resp.TLS
	}
	if resp.StatusCode == http.StatusProxyAuthRequired {
		return got, c.judgeStatus(q, resp, c.now(), nil)
	}
	c.observe(resp.Header)
	return got, nil
}

// Origins are where this client sends requests with its credential, the site
// where it is used there and the gateway, as URLs that may be asked without one.
func (c *Client) Origins() []*url.URL {
	if c.organization != "" {
		return []*url.URL{c.gateway.JoinPath("/")}
	}
	var out []*url.URL
	out = append(out, c.site.JoinPath("/_edge/tenant_info"))
	if c.credential != nil && slices.Contains(c.credential.Routes(), RouteGateway) && !strings.EqualFold(c.gateway.Host, c.site.Host) {
		out = append(out, c.gateway.JoinPath("/"))
	}
	return out
}

// Resource is a site that an OAuth token reaches, with the scopes it has there.
type Resource struct {
	CloudID, URL string
	Scopes       []string
}

// Resources are the sites that the token reaches, which only tokens of OAuth and
// of service accounts can be asked (documented: GET
// /oauth/token/accessible-resources; a site may come once for each product, and
// is given here once, with all scopes). The error is an *Error.
func (c *Client) Resources(ctx context.Context) ([]Resource, error) {
	if c.authed == nil {
		return nil, &Error{Code: CodeCredential, Person: true, Site: c.site.Host, What: "there is no credential to ask with", Next: "set `auth`"}
	}
	var out []Resource
	_, err := c.do(ctx, question{
		client:  c.authed,
		subject: "the sites that the token reaches",
		url:     c.gateway.JoinPath("oauth", "token", "accessible-resources"),
		maxBody: 1 << 20,
		decode: func(body []byte) (err error) {
			out, err = decodeResources(body)
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func decodeResources(body []byte) ([]Resource, error) {
	var list []struct {
		ID     string   `json:"id"`
		URL    string   `json:"url"`
		Scopes []string `json:"scopes"`
	}
	if err := json.Unmarshal(body, &list); err != nil || list == nil {
		return nil, fmt.Errorf("%w, or no list of sites", errNotJSON)
	}
	var out []Resource
	for _, r := range list {
		id := strings.ToLower(r.ID)
		at := slices.IndexFunc(out, func(o Resource) bool { return o.CloudID == id })
		if at < 0 {
			out = append(out, Resource{CloudID: id, URL: clean(r.URL)})
			at = len(out) - 1
		}
		for _, s := range r.Scopes {
			if s = clean(s); !slices.Contains(out[at].Scopes, s) {
				out[at].Scopes = append(out[at].Scopes, s)
			}
		}
	}
	return out, nil
}

// AdministersJira asks Jira whether the account has the global permission
// Administer Jira (documented: GET /rest/api/3/mypermissions), on the route given
// and, for the gateway, for the cloudId. The error is an *Error.
func (c *Client) AdministersJira(ctx context.Context, cloudID, route string) (bool, error) {
	s := c.Source("jira", cloudID, route)
	u, failure := s.address(s.route)
	if failure != nil {
		return false, failure
	}
	u.Path = strings.TrimSuffix(u.Path, s.product.sitePath) + "/rest/api/3/mypermissions"
	u.RawQuery = url.Values{"permissions": {"ADMINISTER"}}.Encode()
	if c.authed == nil {
		return false, &Error{Code: CodeCredential, Person: true, Site: c.site.Host, What: "there is no credential to ask with", Next: "set `auth`"}
	}
	admin := false
	_, err := c.do(ctx, question{
		client: c.authed, product: s.name, url: u, maxBody: 1 << 20,
		decode: func(body []byte) error {
			var answer struct {
				Permissions map[string]struct {
					HavePermission *bool `json:"havePermission"`
				} `json:"permissions"`
			}
			if json.Unmarshal(body, &answer) != nil {
				return errNotJSON
			}
			p, ok := answer.Permissions["ADMINISTER"]
			if !ok || p.HavePermission == nil {
				return fmt.Errorf("%w: the permission is missing", errNotJSON)
			}
			admin = *p.HavePermission
			return nil
		},
	})
	if err != nil {
		return false, err
	}
	return admin, nil
}

// Needs are the scopes, by product, of which a token must have all of one list.
func Needs(product string) [][]string {
	switch product {
	case "jira":
		return [][]string{{"read:audit-log:jira", "read:user:jira"}, {"manage:jira-configuration"}}
	case "confluence":
		return [][]string{{"read:audit-log:confluence"}}
	}
	return nil
}

// Scopes are what a new token for a product's audit log is to have, and no more:
// the granular ones, of which Needs names the alternatives.
func Scopes(p audit.Product) []string {
	if needs := Needs(string(p)); len(needs) > 0 {
		return needs[0]
	}
	return nil
}

// Permission is what an account needs to read a product's audit log, in the
// words of Atlassian's administration.
func Permission(p audit.Product) string {
	known, _ := productOf(p)
	return known.permission
}
