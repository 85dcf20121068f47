package check

import (
	"fmt"
	"net/http"
	"net/url"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/auth"
)

// site is how Atlassian is asked in one run.
type site struct {
	client   *atlassian.Client
	warnings func() []string // of the credential
}

// newSite makes a client for the instance. It sends nothing.
func newSite(c *Config, o Options, base string) (*site, error) {
	transport := o.Transport
	if transport == nil {
		t, err := newTransport(c)
		if err != nil {
			return nil, err
		}
		transport = t
	}
	credential, warnings, err := newCredential(c, o, base)
	if err != nil {
		return nil, err
	}
	userAgent := agentName
	if o.Version != "" {
		userAgent += "/" + o.Version
	}
	client, err := atlassian.New(atlassian.Options{
		Site:              c.Site,
		Gateway:           c.Gateway,
		Transport:         transport,
		Credential:        credential,
		Timeout:           c.Timeout,
		UserAgent:         userAgent,
		Now:               o.Now,
		RequestsPerSecond: o.RequestsPerSecond,
	})
	if err != nil {
		return nil, err
	}
	return &site{client: client, warnings: warnings}, nil
}

// agentName is how the program names itself to Atlassian.
const agentName = "atlassian-audit-records"

func newTransport(c *Config) (*http.Transport, error) {
	return atlassian.NewTransport(atlassian.TransportOptions{
		ProxyHTTP:  c.Proxy.HTTP.Reveal(),
		ProxyHTTPS: c.Proxy.HTTPS.Reveal(),
		NoProxy:    c.Proxy.NoProxy,
		SkipProxy:  c.Proxy.IsZero(),
		TLSVerify:  c.TLS.Verify,
		CACert:     c.TLS.CACert,
		Cert:       c.TLS.Cert,
		PrivateKey: c.TLS.PrivateKey,
		Timeout:    min(c.Timeout, connectTimeout),
	})
}

func newCredential(c *Config, o Options, base string) (atlassian.Credential, func() []string, error) {
	switch c.Auth.Type {
	case APIToken:
		basic, err := auth.NewBasic(c.Auth.Email, c.Auth.APIToken, c.Site, c.Gateway)
		return basic, func() []string { return nil }, err
	case ServiceAccount:
		client, err := auth.NewClientCredentials(auth.ClientCredentialsOptions{
			ClientID:     c.Auth.ClientID,
			ClientSecret: c.Auth.ClientSecret,
			AuthServer:   c.AuthServer,
			Origins:      []*url.URL{c.Gateway},
			Store:        auth.NewStore(agent.TokenFile(base), o.Now),
			Now:          o.Now,
		})
		if err != nil {
			return nil, nil, err
		}
		return client, client.Warnings, nil
	}
	return nil, nil, fmt.Errorf("auth.type: %q is not supported by this version: use api_token or service_account", string(c.Auth.Type))
}
