package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"gopkg.in/yaml.v3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func parse(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func reply(status int, body string, headers ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		h.Set(name, value)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

const plain = "hunter2-in-the-clear"

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	type holder struct {
		S Secret
		P *Secret
		M map[string]Secret
	}
	s := Secret(plain)
	h := holder{S: s, P: &s, M: map[string]Secret{"m": s}}
	asJSON, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(struct{ S Secret }{s})
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "s", s)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "s", s)
	outputs := []string{
		string(asJSON), string(asYAML), logged.String(), s.String(), s.GoString(), fmt.Sprint(s), fmt.Sprint(h), fmt.Sprintln(s, h),
		fmt.Errorf("wrap %v", s).Error(),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%10s", "%.3s", "%T%v"} {
		outputs = append(outputs, fmt.Sprintf(strings.Replace(verb, "%T", "", 1), s), fmt.Sprintf(strings.Replace(verb, "%T", "", 1), h.S))
	}
	b, err := NewBasic("a@b.c", s, parse(t, "https://x.net"))
	if err != nil {
		t.Fatal(err)
	}
	outputs = append(outputs, fmt.Sprintf("%+v %#v %v", b, b, *b))
	c := newClient(t)
	c.token.AccessToken = plain
	type inside struct {
		b *Basic
		c any
		r []http.RoundTripper
	}
	in := inside{b, c, []http.RoundTripper{b.RoundTripper(nil), c.RoundTripper(nil)}}
	outputs = append(outputs, fmt.Sprintf("%+v %#v %v %s", c, c, c, c), fmt.Sprintf("%+v %#v", in, in), fmt.Sprintf("%+v", options(t)))
	for _, r := range in.r {
		outputs = append(outputs, fmt.Sprintf("%+v %#v", r, r))
	}
	for _, o := range outputs {
		for _, form := range []string{plain, fmt.Sprintf("%x", plain), "hun"} {
			if strings.Contains(strings.ToLower(o), form) {
				t.Errorf("shown in %q", o)
			}
		}
	}
	if s.Reveal() != plain || s.String() != "********" || Secret("").String() != "" {
		t.Error("a secret cannot be had, or an empty one looks like one")
	}
	var back struct{ S Secret }
	if err := yaml.Unmarshal([]byte("s: "+plain), &back); err != nil || back.S.Reveal() != plain {
		t.Errorf("read from YAML as %d characters, %v", len(back.S), err)
	}
}

// TestCredentialReachesItsOriginsAlone covers both kinds: the origin decides,
// whatever else a request looks like.
func TestCredentialReachesItsOriginsAlone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		url  string
		host string
		sent bool
	}{
		"the origin":                   {"https://example.atlassian.net/x", "", true},
		"the origin with its port":     {"https://example.atlassian.net:443/x", "", true},
		"the origin in capitals":       {"https://EXAMPLE.atlassian.NET/x", "", true},
		"the second origin":            {"http://127.0.0.1:8080/x", "", true},
		"its own name as Host":         {"https://example.atlassian.net/x", "example.atlassian.net", true},
		"another port":                 {"https://example.atlassian.net:8443/x", "", false},
		"another port of this machine": {"http://127.0.0.1:8081/x", "", false},
		"no TLS":                       {"http://example.atlassian.net/x", "", false},
		"no TLS on the port for it":    {"http://example.atlassian.net:443/x", "", false},
		"a neighbour":                  {"https://other.atlassian.net/x", "", false},
		"a longer name":                {"https://example.atlassian.net.evil.example/x", "", false},
		"a name before it":             {"https://evil.example.atlassian.net/x", "", false},
		"the origin as a user name":    {"https://example.atlassian.net@evil.example/x", "", false},
		"another name as Host":         {"https://example.atlassian.net/x", "evil.example", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := 0
			base := roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/oauth/token" {
					if r.URL.Host != "auth.atlassian.com" {
						t.Errorf("the secret went to %s", r.URL.Host)
					}
					return reply(200, `{"access_token":"t","expires_in":3600}`), nil
				}
				sent++
				if r.Header.Get("Authorization") == "" {
					t.Error("sent without the credential")
				}
				return reply(200, ""), nil
			})
			origins := []*url.URL{parse(t, "https://example.atlassian.net"), parse(t, "http://127.0.0.1:8080")}
			b, err := NewBasic("a@b.c", plain, origins...)
			if err != nil {
				t.Fatal(err)
			}
			c := newClient(t, func(o *ClientCredentialsOptions) { o.Origins = origins })
			for _, rt := range []http.RoundTripper{b.RoundTripper(base), c.RoundTripper(base)} {
				sent = 0
				body := &closing{Reader: strings.NewReader("x")}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tc.url, body)
				if err != nil {
					t.Fatal(err)
				}
				if tc.host != "" {
					req.Host = tc.host
				}
				resp, err := rt.RoundTrip(req)
				if resp != nil {
					resp.Body.Close()
				}
				if (sent == 1) != tc.sent || (err == nil) != tc.sent {
					t.Errorf("%T: sent %d times, error %v", rt, sent, err)
				}
				var e *Error
				if !tc.sent && (!errors.As(err, &e) || e.Code() != CodeOrigin || !e.NeedsPerson() || !body.closed) {
					t.Errorf("%T: error %v, body closed %v", rt, err, body.closed)
				}
				if req.Header.Get("Authorization") != "" {
					t.Error("the caller's request was changed")
				}
			}
		})
	}
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

// TestRedirectCarriesNoCredential: even a client that follows redirects cannot
// take the credential to another origin.
func TestRedirectCarriesNoCredential(t *testing.T) {
	t.Parallel()
	var hosts []string
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		hosts = append(hosts, r.URL.Host)
		return reply(302, "", "Location: https://evil.example/x"), nil
	})
	b, err := NewBasic("a@b.c", plain, parse(t, "https://example.atlassian.net"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: b.RoundTripper(base)}).Get("https://example.atlassian.net/")
	if resp != nil {
		resp.Body.Close()
	}
	var e *Error
	if !errors.As(err, &e) || e.Code() != CodeOrigin || len(hosts) != 1 || hosts[0] != "example.atlassian.net" {
		t.Errorf("error %v, asked %v", err, hosts)
	}
}

func TestCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	site := parse(t, "https://example.atlassian.net")
	for name, tc := range map[string]struct {
		make func() error
		err  string
	}{
		"no email":              {func() error { _, err := NewBasic("", plain, site); return err }, "auth: no email given"},
		"no token":              {func() error { _, err := NewBasic("a@b.c", "", site); return err }, "auth: no api_token given"},
		"no origin":             {func() error { _, err := NewBasic("a@b.c", plain); return err }, "auth: no origin given"},
		"an origin that is nil": {func() error { _, err := NewBasic("a@b.c", plain, nil); return err }, "auth: an origin has no host"},
		"an origin over http": {func() error { _, err := NewBasic("a@b.c", plain, parse(t, "http://example.com")); return err },
			"auth: no credential is sent to http://example.com:80: use https://"},
		"no client id":     {func() error { return clientError(t, func(o *ClientCredentialsOptions) { o.ClientID = "" }) }, "auth: no client_id given"},
		"no client secret": {func() error { return clientError(t, func(o *ClientCredentialsOptions) { o.ClientSecret = "" }) }, "auth: no client_secret given"},
		"no clock":         {func() error { return clientError(t, func(o *ClientCredentialsOptions) { o.Now = nil }) }, "auth: no clock given"},
		"no gateway":       {func() error { return clientError(t, func(o *ClientCredentialsOptions) { o.Origins = nil }) }, "auth: no origin given"},
		"a server over http": {func() error {
			return clientError(t, func(o *ClientCredentialsOptions) { o.AuthServer = parse(t, "http://auth.example") })
		}, "auth: no credential is sent to http://auth.example:80: use https://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := tc.make(); err == nil || err.Error() != tc.err {
				t.Errorf("error %v, want %q", err, tc.err)
			}
		})
	}
}
