package auth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// SiteOnly is a credential of Data Center: good for the product's own address
// alone, for there is no gateway.
type SiteOnly struct {
	allowed allowed
	kind    string
	// attach knows the secret, and shows nothing of it when it is printed.
	attach func(*http.Request)
}

// NewPersonalAccessToken is the credential personal_access_token: a bearer token
// (Jira from 8.14, Confluence from 7.9 on). It has the rights of its owner.
func NewPersonalAccessToken(token Secret, site *url.URL) (*SiteOnly, error) {
	if token == "" {
		return nil, errors.New("auth: no personal_access_token given")
	}
	return newSiteOnly("personal_access_token", site, func(req *http.Request) {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	})
}

// NewPassword is the credential basic: the name and the password of an account,
// as HTTP Basic authentication.
func NewPassword(username string, password Secret, site *url.URL) (*SiteOnly, error) {
	switch {
	case username == "" || strings.Contains(username, ":"):
		return nil, errors.New("auth: no username given, or one with a colon")
	case password == "":
		return nil, errors.New("auth: no password given")
	}
	return newSiteOnly("basic", site, func(req *http.Request) { req.SetBasicAuth(username, password.Reveal()) })
}

func newSiteOnly(kind string, site *url.URL, attach func(*http.Request)) (*SiteOnly, error) {
	a, err := newAllowed([]*url.URL{site})
	if err != nil {
		return nil, err
	}
	return &SiteOnly{allowed: a, kind: kind, attach: attach}, nil
}

// Kind is the configuration's word for the credential.
func (s *SiteOnly) Kind() string { return s.kind }

// Routes is the site alone.
func (s *SiteOnly) Routes() []string { return []string{"site"} }

// RoundTripper is base with the credential attached.
func (s *SiteOnly) RoundTripper(base http.RoundTripper) http.RoundTripper {
	return &guarded{base: base, allowed: s.allowed, attach: s.attach}
}
