package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

const (
	// expiryMargin is how long before its end a token is no longer used.
	expiryMargin = time.Minute
	// defaultLifetime is assumed of a token that does not say; Atlassian
	// documents 60 minutes.
	defaultLifetime = 30 * time.Minute
	// maxLifetime is the longest that is believed.
	maxLifetime = 24 * time.Hour
	// maxTokenWait caps what the token endpoint may ask for.
	maxTokenWait = 6 * time.Hour
	// defaultTokenWait is the wait on 429 without a length.
	defaultTokenWait = time.Minute
)

// endpoint is an authorisation server, and the judgement on its answers.
type endpoint struct {
	// token and authorize are URLs.
	token, authorize string
	server           allowed
	name             string
	now              func() time.Time
}

// newOAuthClient checks what every client of OAuth's has: an id, a secret, a clock. It is the
// server that issues its tokens, and where these may be sent.
func newOAuthClient(id string, secret Secret, now func() time.Time, server *url.URL, origins []*url.URL) (endpoint, allowed, error) {
	switch {
	case id == "":
		return endpoint{}, nil, errors.New("auth: no client_id given")
	case secret == "":
		return endpoint{}, nil, errors.New("auth: no client_secret given")
	case now == nil:
		return endpoint{}, nil, errors.New("auth: no clock given")
	}
	e, err := newEndpoint(server, now)
	if err != nil {
		return endpoint{}, nil, err
	}
	a, err := newAllowed(origins)
	return e, a, err
}

// newEndpoint is the server at that base URL; nil is https://auth.atlassian.com.
func newEndpoint(server *url.URL, now func() time.Time) (endpoint, error) {
	if server == nil {
		server = &url.URL{Scheme: "https", Host: "auth.atlassian.com"}
	}
	a, err := newAllowed([]*url.URL{server})
	if err != nil {
		return endpoint{}, err
	}
	base := &url.URL{Scheme: server.Scheme, Host: server.Host, Path: server.Path}
	return endpoint{
		token:     base.JoinPath("oauth", "token").String(),
		authorize: base.JoinPath("authorize").String(),
		server:    a,
		name:      originOf(server).host,
		now:       now,
	}, nil
}

// through makes x/oauth2 ask through base, this server alone, and follow no
// redirect with a secret.
func (e endpoint) through(ctx context.Context, base http.RoundTripper) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, &http.Client{
		Transport:     &guarded{base: base, allowed: e.server, attach: func(*http.Request) {}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
}

// checkType refuses a token that is no bearer token.
func checkType(t *oauth2.Token) error {
	if t.TokenType == "" || strings.EqualFold(t.TokenType, "bearer") {
		return nil
	}
	return &Error{code: CodeTokenInvalid, person: true,
		what: "the authorisation server issued a token of an unknown type",
		next: "check `auth_server`"}
}

// lifetimeOf is expires_in, seconds as a number or a string. x/oauth2 counts
// from the system's clock; the caller counts from ours, and from before the
// question, so that the token never seems to live longer than it does.
func lifetimeOf(t *oauth2.Token) time.Duration {
	seconds, err := strconv.ParseFloat(fmt.Sprint(t.Extra("expires_in")), 64)
	if err != nil || !(seconds > 0) {
		return defaultLifetime
	}
	return time.Duration(min(seconds, maxLifetime.Seconds()) * float64(time.Second))
}

// refusedBy is the verdict on 400, 401, 403 and an error that came with 2xx.
// code is ", " and one of the codes of RFC 6749, or empty; description is the
// answer's, which may say anything.
type refusedBy func(server string, status int, code, description string) *Error

// unreached is a failure of the connection to an authorisation server.
type unreached struct {
	host string
	err  error
}

func (u *unreached) Error() string { return "fetch a token from " + u.host + ": " + u.err.Error() }
func (u *unreached) Unwrap() error { return u.err }

// Unreached is the host that was asked: not the one that the token is for.
func (u *unreached) Unreached() string { return u.host }

// judge is the verdict on a failed request for a token. Nothing of the
// answer's body is kept but the error code that RFC 6749 defines.
func (e endpoint) judge(ctx context.Context, err error, refused refusedBy) error {
	if ctx.Err() != nil {
		return fmt.Errorf("fetch a token: %w", ctx.Err())
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) && answer.Response != nil {
		return e.judgeAnswer(answer, refused)
	}
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		// A failure of the connection: left to the caller's judgement, which
		// knows proxies, names and certificates; it does not need the URL.
		return &unreached{e.name, urlErr.Err}
	}
	return &Error{code: CodeTokenInvalid,
		what: e.name + " answered the request for a token with something that is no token",
		next: "check `auth_server` and that no proxy answers in its place; the next run tries again"}
}

func (e endpoint) judgeAnswer(answer *oauth2.RetrieveError, refused refusedBy) *Error {
	status := answer.Response.StatusCode
	code := ""
	if slices.Contains([]string{"invalid_client", "unauthorized_client", "invalid_grant", "invalid_request",
		"invalid_scope", "access_denied", "unsupported_grant_type"}, answer.ErrorCode) {
		code = ", " + answer.ErrorCode
	}
	switch {
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable && answer.Response.Header.Get("Retry-After") != "":
		until := e.now().Add(tokenWait(answer.Response.Header))
		return &Error{code: CodeTokenWait, until: until,
			what: fmt.Sprintf("%s wants to be left alone (status %d)", e.name, status),
			next: "no token is asked for before " + until.UTC().Format(time.RFC3339) + "; nothing is lost"}
	case status >= 500:
		return &Error{code: CodeTokenServer,
			what: fmt.Sprintf("%s is unavailable (status %d)", e.name, status),
			next: "nothing is lost; the next run tries again"}
	case status >= 300 && status < 400:
		return &Error{code: CodeTokenRedirect, person: true,
			what: fmt.Sprintf("%s redirects the request for a token (status %d), which is not followed with a secret", e.name, status),
			next: "check `auth_server`"}
	case status == http.StatusBadRequest, status == http.StatusUnauthorized, status == http.StatusForbidden,
		status >= 200 && status < 300:
		return refused(e.name, status, code, answer.ErrorDescription)
	}
	return &Error{code: CodeTokenInvalid, person: true,
		what: fmt.Sprintf("%s did not understand the request for a token (status %d%s)", e.name, status, code),
		next: "check `auth_server`"}
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
