package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/auth"
	"atlassian_audit_records/pkg/shared"
)

// Authorization is one person giving their consent for a site: Address is what
// they open, Consent what judges the answer, and Finish does the rest.
type Authorization struct {
	// Consent reads the answer of Atlassian's page.
	Consent *auth.Consent
	// Products are those that the consent is for, Scopes what it asks for.
	Products []audit.Product
	Scopes   []string
	// Missing are products that instances of the same app collect and the consent
	// is not for: a consent replaces the scopes of the one before.
	Missing []audit.Product

	config    *Config
	same      []*Config // all instances of the app, this one included
	options   Options
	folders   folders
	app       *auth.App
	transport http.RoundTripper
	// shared is the store where the consent is kept; nil where that is a file.
	shared shared.Backend
}

// Authorized is what came of a consent.
type Authorized struct {
	// Sites are what the consent reaches.
	Sites []atlassian.Resource
	// Bound are the hosts of the configured sites that it is used for from now
	// on.
	Bound []string
	// Probes are one real question about each product of the site.
	Probes []Probe
}

// Failed is the first sentence about a product that cannot be read; nil for none.
func (a *Authorized) Failed() error {
	for _, p := range a.Probes {
		if p.Err != nil {
			return p.Err
		}
	}
	return nil
}

// NewAuthorization begins a consent for the instance c, one of all, the
// instances of the configuration. products is what it is to be for; empty is
// what the instances of the same app collect. redirect is the callback URL.
func NewAuthorization(c *Config, all []*Config, products []audit.Product, redirect string, o Options) (*Authorization, error) {
	if c.Auth.Type != OAuth {
		return nil, fmt.Errorf("the instance of %s signs in with %s, which needs no consent: set auth.type to oauth first", c.Host(), c.Auth.Type)
	}
	a := &Authorization{config: c, options: o.withDefaults(), folders: foldersOf(c.RunPath, c.Name())}
	var wanted []audit.Product
	for _, other := range all {
		if other == c || other.Auth.Type == OAuth && other.Auth.ClientID == c.Auth.ClientID && other.AuthServer.String() == c.AuthServer.String() {
			a.same = append(a.same, other)
			wanted = append(wanted, other.Products...)
		}
	}
	for _, p := range []audit.Product{audit.Jira, audit.Confluence} {
		switch {
		case slices.Contains(products, p), len(products) == 0 && slices.Contains(wanted, p):
			a.Products = append(a.Products, p)
			a.Scopes = append(a.Scopes, atlassian.Scopes(p)...)
		case slices.Contains(wanted, p):
			a.Missing = append(a.Missing, p)
		}
	}
	if a.transport = o.Transport; a.transport == nil {
		t, err := newTransport(c)
		if err != nil {
			return nil, err
		}
		a.transport = t
	}
	var err error
	if c.Shared != nil {
		if a.options, a.shared, err = withVault(context.Background(), c, a.options); err != nil {
			return nil, fmt.Errorf("the consent is kept where machines share it: %w", err)
		}
	}
	if a.app, err = newApp(c, a.options, a.folders.base); err != nil {
		return nil, err
	}
	a.Consent = a.app.Consent(redirect, a.Scopes)
	return a, nil
}

// Address is what the person opens in a browser.
func (a *Authorization) Address() string { return a.Consent.Address() }

// Kept is where the consent is kept.
func (a *Authorization) Kept() string {
	if a.shared != nil {
		return a.config.Shared.store().Name()
	}
	return agent.TokenFile(a.folders.base)
}

// Close gives up idle connections.
func (a *Authorization) Close() {
	if t, ok := a.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
	if a.shared != nil {
		_ = a.shared.Close() // what was written is there
	}
}

// WrongSiteError says that a consent is for other sites than the configured one.
type WrongSiteError struct {
	// Host is the configured site's, and Granted are the addresses of those that
	// the consent is for.
	Host    string
	Granted []string
}

func (e *WrongSiteError) Error() string {
	granted := "no site at all"
	if len(e.Granted) > 0 {
		granted = strings.Join(e.Granted, " and ")
	}
	return fmt.Sprintf("the consent is for %s, and not for %s, which is the configured site; nothing was changed: "+
		"run the command again and choose %[2]s in the list of sites on Atlassian's page; where it is not in the list, the account that is signed in does not belong to it, or lacks the product", granted, e.Host)
}

// Finish exchanges the code, stores what came of it, finds out for which of the
// configured sites it is good, and asks one real question about each product of
// the instance. The error is nil, and the probes tell more, once the consent is
// stored and in use.
func (a *Authorization) Finish(ctx context.Context, code string) (*Authorized, error) {
	if err := a.folders.secure(); err != nil {
		return nil, err
	}
	granted, err := a.Consent.Exchange(ctx, a.transport, code)
	if err != nil {
		return nil, a.judged(ctx, err)
	}
	out := &Authorized{}
	if out.Sites, err = a.sites(ctx, granted); err != nil {
		return nil, errors.Join(err, a.Consent.Discard())
	}
	bound, err := a.reached(ctx, out.Sites)
	if err != nil {
		return nil, errors.Join(err, a.Consent.Discard())
	}
	if !slices.Contains(bound, a.config.Host()) {
		wrong := &WrongSiteError{Host: a.config.Host()}
		for _, s := range out.Sites {
			wrong.Granted = append(wrong.Granted, s.URL)
		}
		return out, errors.Join(wrong, a.Consent.Discard())
	}
	if err := a.Consent.Bind(bound); err != nil {
		return nil, err
	}
	out.Bound = bound
	s, err := newSite(a.config, a.options, a.folders.base)
	if err != nil {
		return nil, err
	}
	defer s.client.Close()
	id, err := s.client.CloudID(ctx)
	if err != nil {
		return nil, err
	}
	out.Probes = s.probe(ctx, a.config, id)
	return out, nil
}

// judged is a failure of the exchange in the words that any failure to attach
// a credential has.
func (a *Authorization) judged(ctx context.Context, err error) error {
	var own *auth.Error
	if errors.As(err, &own) || ctx.Err() != nil {
		return err
	}
	return &coded{atlassian.CodeNetwork, fmt.Errorf("%w: the code of the consent is spent; check the network and the proxy, and run the command again", err)}
}

// sites asks what the consent reaches.
func (a *Authorization) sites(ctx context.Context, granted *auth.OAuth) ([]atlassian.Resource, error) {
	client, err := atlassian.New(atlassian.Options{
		Site: a.config.Site, Gateway: a.config.Gateway, Transport: a.transport, Credential: granted, Timeout: a.config.Timeout,
		UserAgent: userAgent(a.options), Now: a.options.Now, RequestsPerSecond: a.options.RequestsPerSecond,
	})
	if err != nil {
		return nil, err
	}
	return client.Resources(ctx)
}

// reached are the hosts of the app's configured sites that the consent is good
// for. The cloudId tells: a site may have several addresses. Where that of
// another instance cannot be found out, its consent stays as it is.
func (a *Authorization) reached(ctx context.Context, sites []atlassian.Resource) ([]string, error) {
	var hosts []string
	for _, c := range a.same {
		if c.Site == nil {
			continue // a handle, which only the Agent can resolve
		}
		s, err := newSite(c, a.options, a.folders.base)
		if err != nil {
			return nil, err
		}
		id, err := s.client.CloudID(ctx)
		s.client.Close()
		switch {
		case err != nil && c == a.config:
			return nil, err
		case err != nil || slices.Contains(hosts, c.Host()):
		case slices.ContainsFunc(sites, func(r atlassian.Resource) bool { return r.CloudID == id }):
			hosts = append(hosts, c.Host())
		}
	}
	return hosts, nil
}
