package atlassian

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"

	"atlassian_audit_records/pkg/audit"
)

// Codes of an Error. They are stable: users, tests, metrics and documentation
// rely on them (docs/troubleshooting.md has a section for each). A Credential
// may bring further ones.
const (
	CodeUnauthorized    = "token_rejected"    // 401: email, token or account is wrong, or expired
	CodeExpired         = "token_expired"     // the same, where the credential was accepted before
	CodeScope           = "scope_missing"     // the token lacks a scope
	CodeWrongHost       = "wrong_host"        // refused by the site, and the gateway could not be asked
	CodeNotAdmin        = "not_admin"         // 403: the account lacks the administrator permission
	CodeNoProductAccess = "no_product_access" // 403: the account may not use the product
	CodeForbidden       = "forbidden"         // 403 with a web page: refused before Atlassian's API
	CodePlan            = "free_plan"         // 403: the product's plan has no audit log
	CodeCaptcha         = "captcha"           // Data Center wants a person to solve a CAPTCHA
	CodeBasicDisabled   = "basic_disabled"    // Data Center takes no user name and password
	CodeLoginPage       = "login_page"        // a login page came instead of data
	CodeRedirect        = "redirect"          // the address answers from elsewhere
	CodeIPAllowlist     = "ip_allowlist"      // 403: this machine's address is not allowed
	CodeNotFound        = "not_found"         // 404, 410: no such product at this address
	CodeBadRequest      = "bad_request"       // 400 and its kin: the question was not understood
	CodeQuota           = "quota"             // 429: wait
	CodeUnavailable     = "unavailable"       // 5xx: try again
	CodeTimeout         = "timeout"           // no answer in time
	CodeInterrupted     = "interrupted"       // the caller's context ended
	CodeNetwork         = "network"           // connection refused, reset, cut short
	CodeDNS             = "dns"               // the name could not be resolved
	CodeTLS             = "tls"               // the certificate or the handshake was not acceptable
	CodeAuditLog        = "audit_log_files"   // Data Center's audit log files cannot be read
	CodeClock           = "clock"             // this machine's clock is off
	CodeProxy           = "proxy"             // the proxy refused or could not be reached
	CodeInvalidAnswer   = "invalid_answer"    // 2xx, but not what was asked for
	CodeTooLarge        = "too_large"         // the body exceeds the limit: ask for fewer records
	CodeCloudID         = "wrong_site"        // the site's cloudId could not be looked up
	CodeCredential      = "credential"        // the credential could not be attached
)

// Error is every failure of this package: one judged answer, or the lack of
// one. It holds no secret, no query string and no body, but for a short,
// cleaned message of Atlassian's own where that helps.
type Error struct {
	// Code is one of the Code constants, or a code of the credential's.
	Code string
	// Status is the HTTP status; 0 where there was no answer.
	Status int
	// What says what happened, Next what to do; both without a final period.
	What string
	Next string
	// Site is the site's host; Product is empty where it is about the site.
	Site    string
	Product audit.Product
	// Until is the moment (local wall clock) before which Atlassian does not
	// want to be asked; zero for none. Reason is Atlassian's word for it
	// ("jira-quota-tenant-based"), or empty.
	Until  time.Time
	Reason string
	// Person is true where waiting will not help: somebody must act.
	Person bool
	// Err is the cause, or nil.
	Err error

	// retry is true where the same question may be asked again at once, after
	// the pause (0: one that the client chooses).
	retry bool
	pause time.Duration
	// cursor is true where the question's cursor may be why it was refused.
	cursor bool
}

// Error is one line: "<what happened> (site, product): <what to do next>".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.What)
	where := e.Site
	if e.Product != "" {
		where = strings.TrimPrefix(where+", "+string(e.Product), ", ")
	}
	if where != "" {
		fmt.Fprintf(&b, " (%s)", where)
	}
	if e.Next != "" {
		b.WriteString(": " + e.Next)
	}
	return b.String()
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// WaitUntil is the moment before which nothing may be asked; ok is false when
// Atlassian did not ask to wait.
func (e *Error) WaitUntil() (until time.Time, ok bool) { return e.Until, !e.Until.IsZero() }

// TooLarge reports whether the answer was too large: ask for fewer records.
func (e *Error) TooLarge() bool { return e.Code == CodeTooLarge }

// CursorRefused reports whether the question may be good without its cursor.
func (e *Error) CursorRefused() bool { return e.cursor }

// NeedsPerson reports whether somebody must act before it can work again.
func (e *Error) NeedsPerson() bool { return e.Person }

// Temporary reports whether the next run may succeed without anybody's doing.
func (e *Error) Temporary() bool { return !e.Person && e.Code != CodeTooLarge }

// refusedHere reports whether the credential might be accepted on another
// route: the answer was "who are you?", in one of its forms. Confluence may
// take whom it does not know for an anonymous person, who has no access.
func (e *Error) refusedHere() bool {
	switch e.Code {
	case CodeUnauthorized, CodeLoginPage, CodeNoProductAccess:
		return true
	}
	return e.Status == http.StatusUnauthorized
}

// AcceptedUntil is the error with what it adds that the same question was
// answered before, last at that time: a credential that is refused now has most
// likely ended. Any other failure is left as it is.
func (e *Error) AcceptedUntil(at time.Time) *Error {
	if e.Code != CodeUnauthorized || at.IsZero() {
		return e
	}
	ended := *e
	ended.Code = CodeExpired
	ended.What = fmt.Sprintf("Atlassian does not accept the credential any more (status %d)", e.Status)
	ended.Next = "it was accepted until " + at.UTC().Format(time.RFC3339) +
		", so it has most likely expired or been revoked, unless another one was configured since: " + e.Next
	return &ended
}

// credentialError is what a Credential's errors may tell about themselves. It
// is declared here and met structurally, so that neither package imports the
// other.
type credentialError interface {
	error
	Code() string
	What() string
	Next() string
	WaitUntil() (time.Time, bool)
	NeedsPerson() bool
}

func asCredentialError(err error) (credentialError, bool) {
	var c credentialError
	ok := errors.As(err, &c)
	return c, ok
}

const maxMessage = 200

var (
	userinfo  = onDemand(`://[^/\s@]*@`)
	query     = onDemand(`(https?://[^\s?"']*)\?[^\s"']*`)
	emailLike = onDemand(`[^\s"'<>()]+@[^\s"'<>()]+`)
	tokenLike = onDemand(`[A-Za-z0-9+/_=-]{24,}`)
)

// clean makes foreign text fit to stand in a sentence: one line, at most 200
// characters, without anything that looks like a credential, an address or a
// query string.
func clean(s string) string {
	if len(s) > 8*maxMessage {
		s = s[:8*maxMessage]
	}
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	s = userinfo().ReplaceAllString(s, "://")
	s = query().ReplaceAllString(s, "$1")
	s = emailLike().ReplaceAllString(s, "***")
	s = tokenLike().ReplaceAllString(s, "***")
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > maxMessage {
		s = strings.TrimSpace(string(r[:maxMessage-3])) + "..."
	}
	return s
}

// onDemand compiles a pattern when it is first needed: most runs need none, and
// each starts a process.
func onDemand(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}
