package auth

import (
	"context"
	"net/http"
)

// tokens gives out access tokens.
type tokens interface {
	// get is a token to send; kept is true for one that was not fetched by this
	// call. refused is a kept token that was answered with 401, or empty: a
	// different token is wanted, and the same one says that there is none.
	get(ctx context.Context, base http.RoundTripper, refused string) (token string, kept bool, err error)
}

// bearer attaches an access token.
type bearer struct {
	tokens  tokens
	allowed allowed
	base    http.RoundTripper
}

// CloseIdleConnections passes the call on.
func (b *bearer) CloseIdleConnections() { closeIdle(b.base) }

func (b *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := b.allowed.check(req); err != nil {
		closeBody(req)
		return nil, err
	}
	token, kept, err := b.tokens.get(req.Context(), b.base, "")
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := b.send(req, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !kept || req.Body != nil && req.Body != http.NoBody {
		return resp, err
	}
	if resp.Header.Get("X-Failure-Category") == "FAILURE_CLIENT_SCOPE_CHECK" {
		return resp, nil // known, but without the scope (observed): a new token would not have it either
	}
	// Revoked, perhaps, with all tokens of the account: a new one tells.
	fresh, _, err := b.tokens.get(req.Context(), b.base, token)
	if err == nil && fresh == token {
		return resp, nil
	}
	_ = resp.Body.Close() // its content does not matter any more
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
