package auth

import (
	"errors"
	"net/http"
	"net/url"
)

// OrganizationKey is the credential organization_api_key: an API key of an
// organisation, sent as a bearer token (documented). It is good for the admin API
// at the gateway, and reaches far beyond audit logs unless it was made with
// scopes.
type OrganizationKey struct {
	allowed allowed
	// attach knows the key, and shows nothing of it when it is printed.
	attach func(*http.Request)
}

// NewOrganizationKey is a credential for the gateway and nothing else.
func NewOrganizationKey(key Secret, gateway *url.URL) (*OrganizationKey, error) {
	if key == "" {
		return nil, errors.New("auth: no organization_api_key given")
	}
	a, err := newAllowed([]*url.URL{gateway})
	if err != nil {
		return nil, err
	}
	return &OrganizationKey{allowed: a, attach: func(req *http.Request) {
		req.Header.Set("Authorization", "Bearer "+key.Reveal())
	}}, nil
}

// Kind is the configuration's word for the credential.
func (k *OrganizationKey) Kind() string { return "organization_api_key" }

// Routes is the gateway alone.
func (k *OrganizationKey) Routes() []string { return []string{"gateway"} }

// RoundTripper is base with the credential attached.
func (k *OrganizationKey) RoundTripper(base http.RoundTripper) http.RoundTripper {
	return &guarded{base: base, allowed: k.allowed, attach: k.attach}
}
