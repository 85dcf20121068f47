package auth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// ClientCredentialsOptions are what the credential service_account needs.
type ClientCredentialsOptions struct {
	ClientID     string
	ClientSecret Secret
	// AuthServer is the authorisation server; nil means
	// https://auth.atlassian.com. Tokens come from its /oauth/token.
	AuthServer *url.URL
	// Origins are where the token may be sent: the gateway's.
	Origins []*url.URL
	// Store keeps the token across runs; nil means that each run asks for one.
	Store *Store
	// Now is the local clock.
	Now func() time.Time
}

// ClientCredentials is the credential service_account: OAuth 2.0 client
// credentials, as Atlassian documents them for service accounts (POST
// /oauth/token with grant_type, client_id and client_secret; a Bearer token for
// 60 minutes, no refresh token; the scopes are those of the credential). The
// token works on the gateway alone.
//
// It is safe for concurrent use: one request for a token at a time.
type ClientCredentials struct {
	// ask asks for a token; it knows the secret, and shows nothing of it when it
	// is printed.
	ask      func(context.Context) (*oauth2.Token, error)
	endpoint endpoint
	allowed  allowed
	store    *Store
	key      string
	now      func() time.Time

	mu       sync.Mutex
	token    storedToken
	loaded   bool
	warnings []string
}

// NewClientCredentials checks the options. It sends nothing.
func NewClientCredentials(o ClientCredentialsOptions) (*ClientCredentials, error) {
	server, a, err := newOAuthClient(o.ClientID, o.ClientSecret, o.Now, o.AuthServer, o.Origins)
	if err != nil {
		return nil, err
	}
	config := clientcredentials.Config{
		ClientID:     o.ClientID,
		ClientSecret: o.ClientSecret.Reveal(),
		TokenURL:     server.token,
		// Detecting the style means asking twice.
		AuthStyle: oauth2.AuthStyleInParams,
	}
	return &ClientCredentials{
		ask:      config.Token,
		endpoint: server,
		allowed:  a,
		store:    o.Store,
		key:      tokenKey(server.token, o.ClientID, o.ClientSecret.Reveal()),
		now:      o.Now,
	}, nil
}

// tokenKey names a token in the store: another secret is another key, so that a
// token issued for an old secret is never used again.
func tokenKey(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Format writes the kind of the credential and nothing else, whatever the verb.
func (c *ClientCredentials) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, c.Kind()) // fmt.State keeps no errors
}

// Kind is the configuration's word for the credential.
func (c *ClientCredentials) Kind() string { return "service_account" }

// Routes is the gateway alone.
func (c *ClientCredentials) Routes() []string { return []string{"gateway"} }

// Warnings are sentences about the token store that somebody should read, and
// forgets them.
func (c *ClientCredentials) Warnings() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.warnings
	c.warnings = nil
	return w
}

// RoundTripper is base with a token attached; the token is fetched through
// base too. Where a token that was kept is answered with 401, a new one is
// fetched and the request sent again, once.
func (c *ClientCredentials) RoundTripper(base http.RoundTripper) http.RoundTripper {
	return &bearer{tokens: c, allowed: c.allowed, base: base}
}

// get is a usable token. kept is true for one that was not fetched by this
// call. A token equal to refused is not used again.
func (c *ClientCredentials) get(ctx context.Context, base http.RoundTripper, refused string) (token string, kept bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.load(refused != ""); err != nil {
		return "", false, err
	}
	if c.token.usable(c.now()) && c.token.AccessToken != refused {
		return c.token.AccessToken, true, nil
	}
	t, err := c.fetch(ctx, base)
	if err != nil {
		return "", false, err
	}
	c.token = t
	if c.store != nil {
		warning, err := c.store.put(c.key, t)
		if err != nil {
			return "", false, err
		}
		c.warn(warning)
	}
	return t.AccessToken, false, nil
}

// load reads the stored token once, and again where the one in use was
// refused: another process may have a newer one.
func (c *ClientCredentials) load(again bool) error {
	if c.store == nil || c.loaded && !again {
		return nil
	}
	t, warning, err := c.store.get(c.key)
	if err != nil {
		return err
	}
	c.warn(warning)
	c.loaded = true
	if t.AccessToken != "" {
		c.token = t
	}
	return nil
}

func (c *ClientCredentials) warn(w string) {
	if w != "" && !slices.Contains(c.warnings, w) {
		c.warnings = append(c.warnings, w)
	}
}

func (c *ClientCredentials) fetch(ctx context.Context, base http.RoundTripper) (storedToken, error) {
	before := c.now()
	t, err := c.ask(c.endpoint.through(ctx, base))
	if err != nil {
		return storedToken{}, c.endpoint.judge(ctx, err, clientRefused)
	}
	if err := checkType(t); err != nil {
		return storedToken{}, err
	}
	return storedToken{AccessToken: t.AccessToken, Expiry: before.Add(lifetimeOf(t)).UTC()}, nil
}

func clientRefused(server string, status int, code, _ string) *Error {
	return &Error{code: CodeClient, person: true,
		what: fmt.Sprintf("%s refuses the client id or secret (status %d%s)", server, status, code),
		next: "check `client_id` and `client_secret`; a new credential for the service account is made at https://admin.atlassian.com under Directory, Service accounts"}
}
