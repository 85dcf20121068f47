package auth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const (
	// expiryMargin is how long before its end a token is no longer used.
	expiryMargin = time.Minute
	// defaultLifetime is assumed of a token that does not say; Atlassian
	// documents 60 minutes for service accounts.
	defaultLifetime = 30 * time.Minute
	// maxLifetime is the longest that is believed.
	maxLifetime = 24 * time.Hour
	// maxTokenWait caps what the token endpoint may ask for.
	maxTokenWait = 6 * time.Hour
	// defaultTokenWait is the wait on 429 without a length.
	defaultTokenWait = time.Minute
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
	ask     func(context.Context) (*oauth2.Token, error)
	server  allowed
	allowed allowed
	store   *Store
	key     string
	now     func() time.Time

	mu       sync.Mutex
	token    storedToken
	loaded   bool
	warnings []string
}

// NewClientCredentials checks the options. It sends nothing.
func NewClientCredentials(o ClientCredentialsOptions) (*ClientCredentials, error) {
	switch {
	case o.ClientID == "":
		return nil, errors.New("auth: no client_id given")
	case o.ClientSecret == "":
		return nil, errors.New("auth: no client_secret given")
	case o.Now == nil:
		return nil, errors.New("auth: no clock given")
	}
	if o.AuthServer == nil {
		o.AuthServer = &url.URL{Scheme: "https", Host: "auth.atlassian.com"}
	}
	server, err := newAllowed([]*url.URL{o.AuthServer})
	if err != nil {
		return nil, err
	}
	a, err := newAllowed(o.Origins)
	if err != nil {
		return nil, err
	}
	endpoint := &url.URL{Scheme: o.AuthServer.Scheme, Host: o.AuthServer.Host, Path: o.AuthServer.Path}
	endpoint = endpoint.JoinPath("oauth", "token")
	config := clientcredentials.Config{
		ClientID:     o.ClientID,
		ClientSecret: o.ClientSecret.Reveal(),
		TokenURL:     endpoint.String(),
		// Detecting the style means asking twice.
		AuthStyle: oauth2.AuthStyleInParams,
	}
	return &ClientCredentials{
		ask:     config.Token,
		server:  server,
		allowed: a,
		store:   o.Store,
		key:     tokenKey(endpoint.String(), o.ClientID, o.ClientSecret.Reveal()),
		now:     o.Now,
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
	return &bearer{c: c, base: base}
}

type bearer struct {
	c    *ClientCredentials
	base http.RoundTripper
}

// CloseIdleConnections passes the call on.
func (b *bearer) CloseIdleConnections() { closeIdle(b.base) }

func (b *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := b.c.allowed.check(req); err != nil {
		closeBody(req)
		return nil, err
	}
	token, kept, err := b.c.get(req.Context(), b.base, "")
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := b.send(req, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !kept || req.Body != nil && req.Body != http.NoBody {
		return resp, err
	}
	// Revoked, perhaps, with all tokens of the account: a new one tells.
	_ = resp.Body.Close() // its content does not matter any more
	fresh, _, err := b.c.get(req.Context(), b.base, token)
	if err != nil {
		return nil, err
	}
	return b.send(req, fresh)
}

func (b *bearer) send(req *http.Request, token string) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+token)
	return b.base.RoundTrip(req)
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
	client := &http.Client{
		Transport:     &guarded{base: base, allowed: c.server, attach: func(*http.Request) {}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	before := c.now()
	t, err := c.ask(context.WithValue(ctx, oauth2.HTTPClient, client))
	if err != nil {
		return storedToken{}, c.judge(ctx, err)
	}
	if t.TokenType != "" && !strings.EqualFold(t.TokenType, "bearer") {
		return storedToken{}, &Error{code: CodeTokenInvalid,
			what: "the authorisation server issued a token of an unknown type",
			next: "check `auth_server`", person: true}
	}
	// x/oauth2 counts from the system's clock; this counts from ours, and from
	// before the question, so that the token never seems to live longer than it does.
	return storedToken{AccessToken: t.AccessToken, Expiry: before.Add(lifetimeOf(t)).UTC()}, nil
}

// lifetimeOf is expires_in, seconds as a number or a string.
func lifetimeOf(t *oauth2.Token) time.Duration {
	seconds, err := strconv.ParseFloat(fmt.Sprint(t.Extra("expires_in")), 64)
	if err != nil || !(seconds > 0) {
		return defaultLifetime
	}
	return time.Duration(min(seconds, maxLifetime.Seconds()) * float64(time.Second))
}

// judge is the verdict on a failed request for a token. Nothing of the
// answer's body is kept but the error code that RFC 6749 defines.
func (c *ClientCredentials) judge(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("fetch a token: %w", ctx.Err())
	}
	server := c.serverName()
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) && answer.Response != nil {
		return c.judgeAnswer(server, answer)
	}
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		// A failure of the connection: left to the caller's judgement, which
		// knows proxies, names and certificates; it does not need the URL.
		return fmt.Errorf("fetch a token from %s: %w", server, urlErr.Err)
	}
	return &Error{code: CodeTokenInvalid,
		what: server + " answered the request for a token with something that is no token",
		next: "check `auth_server` and that no proxy answers in its place; the next run tries again"}
}

func (c *ClientCredentials) judgeAnswer(server string, answer *oauth2.RetrieveError) *Error {
	status := answer.Response.StatusCode
	code := ""
	if slices.Contains([]string{"invalid_client", "unauthorized_client", "invalid_grant", "invalid_request",
		"invalid_scope", "access_denied", "unsupported_grant_type"}, answer.ErrorCode) {
		code = ", " + answer.ErrorCode
	}
	switch {
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable && answer.Response.Header.Get("Retry-After") != "":
		until := c.now().Add(tokenWait(answer.Response.Header))
		return &Error{code: CodeTokenWait, until: until,
			what: fmt.Sprintf("%s wants to be left alone (status %d)", server, status),
			next: "no token is asked for before " + until.UTC().Format(time.RFC3339) + "; nothing is lost"}
	case status >= 500:
		return &Error{code: CodeTokenServer,
			what: fmt.Sprintf("%s is unavailable (status %d)", server, status),
			next: "nothing is lost; the next run tries again"}
	case status >= 300 && status < 400:
		return &Error{code: CodeTokenRedirect, person: true,
			what: fmt.Sprintf("%s redirects the request for a token (status %d), which is not followed with a secret", server, status),
			next: "check `auth_server`"}
	case status == http.StatusBadRequest, status == http.StatusUnauthorized, status == http.StatusForbidden,
		status >= 200 && status < 300:
		return &Error{code: CodeClient, person: true,
			what: fmt.Sprintf("%s refuses the client id or secret (status %d%s)", server, status, code),
			next: "check `client_id` and `client_secret`; a new credential for the service account is made at https://admin.atlassian.com under Directory, Service accounts"}
	}
	return &Error{code: CodeTokenInvalid, person: true,
		what: fmt.Sprintf("%s did not understand the request for a token (status %d%s)", server, status, code),
		next: "check `auth_server`"}
}

func (c *ClientCredentials) serverName() string {
	for o := range c.server {
		return o.host
	}
	return "the authorisation server"
}

// tokenWait reads Retry-After: seconds, or a moment, which is taken relative to
// the answer's own Date.
func tokenWait(h http.Header) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseInt(v, 10, 64); err == nil && n >= 0 {
		return max(time.Second, time.Duration(min(n, int64(maxTokenWait/time.Second)))*time.Second)
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return defaultTokenWait
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return defaultTokenWait
	}
	return min(max(at.Sub(date), time.Second), maxTokenWait)
}
