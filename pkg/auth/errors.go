package auth

import (
	"time"
)

// Codes of an Error. They are stable, and docs/troubleshooting.md has a section
// for each.
const (
	CodeOrigin        = "origin"              // a request to a foreign origin, not sent
	CodeClient        = "client_rejected"     // client id or secret refused
	CodeTokenWait     = "token_quota"         // the token endpoint wants to be left alone
	CodeTokenServer   = "token_unavailable"   // the token endpoint failed
	CodeTokenInvalid  = "token_invalid"       // the token endpoint answered with something else
	CodeTokenStore    = "token_store_refused" // the token file is not safe to use
	CodeTokenRedirect = "token_redirect"      // the token endpoint redirects
	CodeTokenBusy     = "token_busy"          // another process is at the token file
	CodeNoConsent     = "no_consent"          // nobody has consented for this site yet
	CodeConsentEnded  = "consent_ended"       // the refresh token is not taken any more: consent again
	CodeConsentCode   = "consent_code"        // the code that a consent gave was refused
	CodeConsentDenied = "consent_denied"      // the person did not consent
)

// Error is a failure to attach a credential. It holds no secret.
type Error struct {
	code, what, next string
	until            time.Time
	person           bool
	err              error
}

// Error is one line: what happened, and what to do next.
func (e *Error) Error() string {
	if e.next == "" {
		return e.what
	}
	return e.what + ": " + e.next
}

// Unwrap is the cause, or nil.
func (e *Error) Unwrap() error { return e.err }

// Code is one of the Code constants.
func (e *Error) Code() string { return e.code }

// What says what happened.
func (e *Error) What() string { return e.what }

// Next says what to do.
func (e *Error) Next() string { return e.next }

// WaitUntil is the moment (local wall clock) before which no token may be
// asked for; ok is false where there is none.
func (e *Error) WaitUntil() (until time.Time, ok bool) { return e.until, !e.until.IsZero() }

// NeedsPerson reports whether somebody must act before it can work again.
func (e *Error) NeedsPerson() bool { return e.person }
