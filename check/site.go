package check

import (
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"

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
	var credential atlassian.Credential
	warnings := func() []string { return nil }
	if !o.anonymous && c.AuditLogPath == "" {
		var err error
		if credential, warnings, err = newCredential(c, o, base); err != nil {
			return nil, err
		}
	}
	client, err := atlassian.New(atlassian.Options{
		Site:              c.Site,
		Organization:      c.Organization,
		Gateway:           c.Gateway,
		Transport:         transport,
		Credential:        credential,
		Timeout:           c.Timeout,
		UserAgent:         userAgent(o),
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

func userAgent(o Options) string {
	if o.Version == "" {
		return agentName
	}
	return agentName + "/" + o.Version
}

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
	case PersonalAccessToken:
		token, err := auth.NewPersonalAccessToken(c.Auth.PersonalAccessToken, c.Site)
		return token, func() []string { return nil }, err
	case Basic:
		password, err := auth.NewPassword(c.Auth.Username, c.Auth.Password, c.Site)
		return password, func() []string { return nil }, err
	case ServiceAccount:
		store := auth.NewStore(agent.TokenFile(base), o.Now)
		if o.keepNoToken {
			store = nil
		}
		client, err := auth.NewClientCredentials(auth.ClientCredentialsOptions{
			ClientID:     c.Auth.ClientID,
			ClientSecret: c.Auth.ClientSecret,
			AuthServer:   c.AuthServer,
			Origins:      []*url.URL{c.Gateway},
			Store:        store,
			Now:          o.Now,
		})
		if err != nil {
			return nil, nil, err
		}
		return client, client.Warnings, nil
	case OrganizationKey:
		key, err := auth.NewOrganizationKey(c.Auth.OrganizationKey, c.Gateway)
		return key, func() []string { return nil }, err
	case OAuth:
		app, err := newApp(c, o, base)
		if err != nil {
			return nil, nil, err
		}
		return app.Site(c.Host()), func() []string { return nil }, nil
	}
	return nil, nil, fmt.Errorf("auth.type: %q is not supported by this version: use %s", string(c.Auth.Type), listed(authTypes))
}

// newApp is the app of an instance of type OAuth. Its consents are shared by all
// instances below one run path.
func newApp(c *Config, o Options, base string) (*auth.App, error) {
	store := auth.NewStore(agent.TokenFile(base), o.Now)
	if o.vault != nil {
		store = store.WithVault(o.vault)
	}
	return auth.NewApp(auth.AppOptions{
		ClientID:     c.Auth.ClientID,
		ClientSecret: c.Auth.ClientSecret,
		AuthServer:   c.AuthServer,
		Origins:      []*url.URL{c.Gateway},
		Store:        store,
		Command:      authorizeCommand(c, o.Conf),
		Now:          o.Now,
	})
}

// authorizeCommand is what a person runs so that the instance has a consent,
// with the rights to become the Agent's user. conf is the path of the
// configuration, empty for the Agent's own, which is the command's default.
func authorizeCommand(c *Config, conf string) string {
	words := []string{agentName, "authorize"}
	if conf != "" {
		words = append(words, "--conf", conf)
	}
	words = append(words, "--site", c.Site.String())
	if c.RunPath != "" && c.RunPath != agent.RunPath() {
		words = append(words, "--run-path", c.RunPath)
	}
	for i, w := range words {
		if strings.ContainsAny(w, " \t") {
			words[i] = `"` + w + `"`
		}
	}
	if runtime.GOOS != "windows" {
		words = append([]string{"sudo"}, words...)
	}
	return strings.Join(words, " ")
}
