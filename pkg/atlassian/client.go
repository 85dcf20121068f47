package atlassian

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The routes on which an audit API is reached.
const (
	// RouteSite is the site's own host: classic API tokens.
	RouteSite = "site"
	// RouteGateway is the gateway, with the site's cloudId in the path: scoped
	// API tokens, service accounts, OAuth.
	RouteGateway = "gateway"
)

// Credential adds itself to requests, and says where it may be used. Its
// transport must refuse every request to an origin that is not its own.
type Credential interface {
	// Kind is the configuration's word for it: "api_token", "service_account".
	Kind() string
	// Routes are the routes on which it may be used, in the order in which to
	// find out; at least one of RouteSite and RouteGateway.
	Routes() []string
	// RoundTripper is base with the credential attached to each request. An
	// error of its own may have the methods Code, What and Next (strings),
	// WaitUntil and NeedsPerson; they then reach the *Error. One of a connection to
	// another host than the request's has Unreached, which names that host.
	RoundTripper(base http.RoundTripper) http.RoundTripper
}

// Options are what a Client needs. Now is required, and one of Site and Organization.
type Options struct {
	// Site is the site's base URL: https://example.atlassian.net without path, or
	// on Data Center the product's, with its context path where it has one.
	Site *url.URL
	// Organization is the id of an organisation, whose log is asked for at the
	// gateway, instead of a site.
	Organization string
	// Gateway is the gateway's base URL; nil means https://api.atlassian.com.
	Gateway *url.URL
	// Transport carries requests, without credentials; nil means NewTransport
	// with certificates verified and no proxy.
	Transport http.RoundTripper
	// Credential is needed for everything but CloudID.
	Credential Credential
	// Timeout bounds one request, its body included; 0 means 30 s.
	Timeout time.Duration
	// UserAgent names the program to Atlassian; empty means its name alone.
	UserAgent string
	// Now is the local clock.
	Now func() time.Time
	// Rand gives the jitter of retries, in [0,1); nil means math/rand.
	Rand func() float64
	// RequestsPerSecond bounds the pace, with bursts of twice as many; 0 means
	// 10 (for an organisation what Atlassian allows), below 0 means no bound.
	RequestsPerSecond float64
}

// Client asks one site, or about one organisation. It is safe for concurrent use.
type Client struct {
	site, gateway *url.URL
	// name is the site's host with its context path, or the organisation's id;
	// organization is that id.
	name, organization string
	credential         Credential
	transport          http.RoundTripper
	plain, authed      *http.Client
	timeout            time.Duration
	userAgent          string
	now                func() time.Time
	rand               func() float64
	limiter            *rate.Limiter
	unzip              unzippers

	mu      sync.Mutex
	cloudID string
	skew    time.Duration
	skewed  bool
	quota   Quota
}

// New is a client for one site. It sends nothing.
func New(o Options) (*Client, error) {
	switch {
	case o.Site == nil && o.Organization == "":
		return nil, errors.New("atlassian: no site given")
	case o.Site != nil && o.Organization != "":
		return nil, errors.New("atlassian: a site and an organisation given")
	}
	if o.Now == nil {
		return nil, errors.New("atlassian: no clock given")
	}
	if o.Gateway == nil {
		o.Gateway = &url.URL{Scheme: "https", Host: "api.atlassian.com"}
	}
	if o.Site == nil {
		o.Site = o.Gateway
	}
	for name, u := range map[string]*url.URL{"site": o.Site, "gateway": o.Gateway} {
		if err := checkBase(u); err != nil {
			return nil, fmt.Errorf("atlassian: %s: %w", name, err)
		}
	}
	if o.Transport == nil {
		t, err := NewTransport(TransportOptions{TLSVerify: true})
		if err != nil {
			return nil, err
		}
		o.Transport = t
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.UserAgent == "" {
		o.UserAgent = "atlassian-audit-records"
	}
	if o.Rand == nil {
		o.Rand = rand.Float64 // it spreads retries; no secret depends on it
	}
	transport := counting{o.Transport}
	c := &Client{
		transport:  o.Transport,
		site:       base(o.Site),
		gateway:    base(o.Gateway),
		credential: o.Credential,
		plain:      noRedirects(transport),
		timeout:    o.Timeout,
		userAgent:  o.UserAgent,
		now:        o.Now,
		rand:       o.Rand,
		limiter:    limiter(o.RequestsPerSecond),

		organization: o.Organization,
	}
	if c.name = c.site.Host + strings.TrimSuffix(c.site.Path, "/"); o.Organization != "" {
		c.name = o.Organization
		if o.RequestsPerSecond == 0 {
			c.limiter = organizationLimiter()
		}
	}
	if o.Credential != nil {
		if len(o.Credential.Routes()) == 0 {
			return nil, errors.New("atlassian: the credential can be used on no route")
		}
		c.authed = noRedirects(o.Credential.RoundTripper(transport))
	}
	return c, nil
}

func limiter(perSecond float64) *rate.Limiter {
	switch {
	case perSecond < 0:
		return rate.NewLimiter(rate.Inf, 0)
	case perSecond == 0:
		perSecond = 10
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(2*perSecond)))
}

// atOnce reports whether the pace lets a question be asked now.
func (c *Client) atOnce() bool { return c.limiter.Limit() == rate.Inf || c.limiter.Tokens() >= 1 }

// Close gives up idle connections. The client may be used on.
func (c *Client) Close() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// noRedirects hands a redirect back as the answer, to be judged like any other.
func noRedirects(t http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// checkBase refuses what no credential should be sent to.
func checkBase(u *url.URL) error {
	switch {
	case u.Host == "":
		return errors.New("the URL has no host")
	case u.User != nil:
		return fmt.Errorf("the URL of %s must not hold a user name or password", u.Host)
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("the URL of %s must begin with https://", u.Host)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// base is u with nothing but scheme, host and path prefix. The path ends in a
// slash, without which JoinPath would leave out the first one.
func base(u *url.URL) *url.URL {
	return &url.URL{
		Scheme: u.Scheme,
		Host:   strings.ToLower(u.Host),
		Path:   strings.TrimRight(u.Path, "/") + "/",
	}
}

// Now is the time by Atlassian's clock, as far as it is known: the local clock
// corrected by the last Date header seen.
func (c *Client) Now() time.Time {
	skew, _ := c.Skew()
	return c.now().Add(skew)
}

// Skew is how far Atlassian's clock is ahead of the local one; known is false
// before the first answer with a Date. The header counts whole seconds: a
// local clock that lies within the second it names is taken to be right.
func (c *Client) Skew() (skew time.Duration, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.skew, c.skewed
}

// observe takes the clock from an answer; date is zero where it has none.
func (c *Client) observe(h http.Header) (date time.Time) {
	// An answer out of a cache carries the date of its making.
	if h.Get("Age") != "" {
		return time.Time{}
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	local := c.now()
	var skew time.Duration
	switch {
	case local.Before(date):
		skew = date.Sub(local)
	case !local.Before(date.Add(time.Second)):
		skew = date.Add(time.Second).Sub(local)
	}
	c.mu.Lock()
	c.skew, c.skewed = skew, true
	c.mu.Unlock()
	return date.UTC()
}
