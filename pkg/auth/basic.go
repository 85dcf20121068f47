package auth

import (
	"errors"
	"net/http"
	"net/url"
)

// Basic is the credential api_token: the email of an account and an API token
// of it, as HTTP Basic authentication. A classic token works on the site, a
// scoped one on the gateway (documented); which one it is cannot be told from
// the token.
type Basic struct {
	allowed allowed
	// attach knows the token, and shows nothing of it when it is printed.
	attach func(*http.Request)
}

// NewBasic is a credential for the given origins: the site's and the gateway's.
func NewBasic(email string, token Secret, origins ...*url.URL) (*Basic, error) {
	switch {
	case email == "":
		return nil, errors.New("auth: no email given")
	case token == "":
		return nil, errors.New("auth: no api_token given")
	}
	a, err := newAllowed(origins)
	if err != nil {
		return nil, err
	}
	return &Basic{allowed: a, attach: func(req *http.Request) {
		req.SetBasicAuth(email, token.Reveal())
	}}, nil
}

// Kind is the configuration's word for the credential.
func (b *Basic) Kind() string { return "api_token" }

// Routes are the site, then the gateway.
func (b *Basic) Routes() []string { return []string{"site", "gateway"} }

// RoundTripper is base with the credential attached.
func (b *Basic) RoundTripper(base http.RoundTripper) http.RoundTripper {
	return &guarded{base: base, allowed: b.allowed, attach: b.attach}
}
