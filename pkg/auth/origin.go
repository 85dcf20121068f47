package auth

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// origin is scheme, host and port: what a credential is made for.
type origin struct {
	scheme, host, port string
}

func originOf(u *url.URL) origin {
	o := origin{
		scheme: strings.ToLower(u.Scheme),
		host:   strings.ToLower(u.Hostname()),
		port:   u.Port(),
	}
	if o.port == "" {
		switch o.scheme {
		case "https":
			o.port = "443"
		case "http":
			o.port = "80"
		}
	}
	return o
}

func (o origin) String() string { return o.scheme + "://" + net.JoinHostPort(o.host, o.port) }

// allowed is the set of origins of a credential.
type allowed map[origin]bool

// newAllowed refuses what no credential may be sent to in the clear: http://
// to anything but this machine.
func newAllowed(urls []*url.URL) (allowed, error) {
	a := allowed{}
	for _, u := range urls {
		if u == nil || u.Hostname() == "" {
			return nil, errors.New("auth: an origin has no host")
		}
		o := originOf(u)
		if o.scheme != "https" && (o.scheme != "http" || !isLoopback(o.host)) {
			return nil, fmt.Errorf("auth: no credential is sent to %s: use https://", o)
		}
		a[o] = true
	}
	if len(a) == 0 {
		return nil, errors.New("auth: no origin given")
	}
	return a, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// check is an error unless req goes to one of the origins, and says so in its
// Host header too.
func (a allowed) check(req *http.Request) error {
	o := originOf(req.URL)
	if a[o] && (req.Host == "" || originOf(&url.URL{Scheme: req.URL.Scheme, Host: req.Host}) == o) {
		return nil
	}
	return &Error{
		code: CodeOrigin, person: true,
		what: fmt.Sprintf("a request to %s was not sent, because the credential is not meant for it", o),
		next: "check `site`, `gateway` and `auth_server`",
	}
}

// guarded attaches a credential to requests, and refuses those to other
// origins before anything is sent.
type guarded struct {
	base    http.RoundTripper
	allowed allowed
	attach  func(*http.Request)
}

func (g *guarded) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.allowed.check(req); err != nil {
		closeBody(req)
		return nil, err
	}
	// A RoundTripper must leave the request as it is.
	req = req.Clone(req.Context())
	g.attach(req)
	return g.base.RoundTrip(req)
}

// CloseIdleConnections passes the call on.
func (g *guarded) CloseIdleConnections() { closeIdle(g.base) }

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // nothing was sent, so nothing can be lost
	}
}

func closeIdle(t http.RoundTripper) {
	if c, ok := t.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
