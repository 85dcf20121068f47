package atlassian

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"atlassian_audit_records/pkg/audit"
)

// maxErrorBody is how much of an answer that is no data is read, to recognise
// its cause.
const maxErrorBody = 64 << 10

// This file is the one place where it is decided what an answer means: data,
// wait, try again, refused, or wrong. Each branch is a row of TestJudge.

// failure completes an Error with the question's site and product.
func (c *Client) failure(q question, e Error) *Error {
	e.Site = c.name
	e.Product = q.product
	return &e
}

func (c *Client) interrupted(ctx context.Context, q question) *Error {
	cause := ctx.Err()
	if cause == nil {
		// The limiter or a connection foresaw that the context would end.
		cause = context.DeadlineExceeded
	}
	return c.failure(q, Error{Code: CodeInterrupted,
		What: "the time for this run was over before the answer came",
		Next: "the next run continues where this one stopped", Err: cause})
}

// judge is the verdict on an answer; nil means data, already decoded.
func (c *Client) judge(ctx context.Context, q question, resp *http.Response, date time.Time, body []byte, readErr error) *Error {
	e := c.judgeStatus(q, resp, date, body)
	if e == nil && readErr != nil {
		e = c.judgeRead(ctx, q, readErr)
	}
	if e == nil {
		e = c.judgeBody(q, resp, body)
	}
	if e != nil {
		e.Status = resp.StatusCode
	}
	return e
}

// judgeStatus is the verdict on everything but 200.
func (c *Client) judgeStatus(q question, resp *http.Response, date time.Time, body []byte) *Error {
	status := resp.StatusCode
	switch {
	case status == http.StatusOK:
		return nil
	case status < 300:
		return c.failure(q, Error{Code: CodeInvalidAnswer, retry: true,
			What: fmt.Sprintf("Atlassian answered the question for %s with status %d, which holds no data", q.describe(), status),
			Next: tryAgain})
	case status < 400:
		return c.judgeRedirect(q, resp)
	case status == http.StatusUnauthorized:
		return c.judgeUnauthorized(q, resp.Header, body)
	case status == http.StatusForbidden:
		return c.judgeForbidden(q, resp.Header, body)
	case status == http.StatusNotFound, status == http.StatusGone:
		return c.failure(q, Error{Code: CodeNotFound, Person: true,
			What: fmt.Sprintf("%s was not found at this address (status %d)", q.describe(), status),
			Next: productIsThere(q)})
	case status == http.StatusProxyAuthRequired:
		return c.failure(q, Error{Code: CodeProxy, Person: true,
			What: "the proxy wants a user name and password", Next: "put valid ones into the proxy's URL"})
	case status == http.StatusTooManyRequests:
		return c.judgeWait(q, resp, date, CodeQuota, "Atlassian's rate limit is reached", true)
	case status == http.StatusRequestTimeout:
		return c.failure(q, Error{Code: CodeTimeout, retry: true,
			What: "Atlassian gave up waiting for the request (status 408)", Next: tryAgain})
	case status >= 500:
		return c.judgeWait(q, resp, date, CodeUnavailable,
			fmt.Sprintf("Atlassian is unavailable (status %d)", status), false)
	}
	return c.failure(q, Error{Code: CodeBadRequest, Person: true,
		What: fmt.Sprintf("Atlassian did not understand the question for %s (status %d)%s", q.describe(), status, saying(body)),
		Next: "this should not happen: please report it with this message"})
}

const tryAgain = "nothing is lost; the next run tries again"

// judgeWait is the verdict on 429 and 5xx. always says that such an answer asks
// to wait even if it does not say how long.
func (c *Client) judgeWait(q question, resp *http.Response, date time.Time, code, what string, always bool) *Error {
	now := c.now()
	clock := date
	if clock.IsZero() {
		clock = now
	}
	wait, said := waitOf(resp.Header, resp.StatusCode, clock)
	if !said && !always {
		return c.failure(q, Error{Code: code, retry: true, What: what, Next: tryAgain})
	}
	if !said {
		wait = defaultWait
	}
	e := c.failure(q, Error{Code: code, What: what, Reason: reasonOf(resp.Header)})
	if e.Reason != "" {
		e.What += ", " + e.Reason
	}
	if said && wait <= shortWait {
		e.retry = true
		e.pause = max(wait, 100*time.Millisecond)
	}
	e.Until = now.Add(max(wait, time.Second))
	e.Next = "nothing is asked before " + e.Until.UTC().Format(time.RFC3339) + "; nothing is lost"
	return e
}

func (c *Client) judgeRedirect(q question, resp *http.Response) *Error {
	to, err := resp.Location()
	if err != nil {
		return c.failure(q, Error{Code: CodeRedirect, Person: true,
			What: fmt.Sprintf("the address answers with a redirect to nowhere (status %d)", resp.StatusCode),
			Next: "check `site` and the proxy"})
	}
	if isLogin(to) {
		return c.loginPage(q, "a redirect to a login page")
	}
	if strings.EqualFold(to.Host, q.url.Host) {
		return c.failure(q, Error{Code: CodeRedirect, Person: true,
			What: fmt.Sprintf("the address redirects to another page of %s instead of answering", clean(to.Host)),
			Next: "check that the site is active and has the product"})
	}
	return c.failure(q, Error{Code: CodeRedirect, Person: true,
		What: fmt.Sprintf("the address redirects to %s, which is not followed with a credential", clean(to.Host)),
		Next: "if the site was renamed, set `site` to its new address"})
}

func isLogin(u *url.URL) bool {
	host, path := strings.ToLower(u.Hostname()), strings.ToLower(u.Path)
	return host == "id.atlassian.com" || host == "start.atlassian.com" ||
		strings.Contains(path, "login") || strings.Contains(path, "signin") || strings.Contains(path, "/auth")
}

func (c *Client) loginPage(q question, what string) *Error {
	return c.failure(q, Error{Code: CodeLoginPage, Person: true,
		What: fmt.Sprintf("%s came instead of %s", what, q.describe()),
		Next: c.checkCredential() + "; if they are right, check that the site is active and that no proxy answers in its place"})
}

// checkCredential is what to do where the credential itself is in doubt.
func (c *Client) checkCredential() string {
	if c.credential == nil {
		return "check `site`"
	}
	switch c.credential.Kind() {
	case "api_token":
		return "check `email` and `api_token`, and that `site` is the one meant: the token may not have been copied whole, have expired, been revoked, or belong to another account; " +
			"a new one is made at https://id.atlassian.com/manage-profile/security/api-tokens"
	case "personal_access_token":
		return "check `personal_access_token`: the token may have expired, been revoked or belong to another product; " +
			"a new one is made in the product, in the account's profile under Personal Access Tokens"
	case "basic":
		return "check `username` and `password`, and that the product takes them for its REST API; a personal access token is the better way"
	case "service_account":
		return "check that the service account and its OAuth credential still exist; " +
			"a new one is made at https://admin.atlassian.com under Directory, Service accounts"
	case "oauth":
		return "check that the account that consented may still use the product, and consent again with `atlassian-audit-records authorize`"
	case "organization_api_key":
		return "check `organization_api_key`: the key may have expired (they live for at most a year, and for a week unless told otherwise), been revoked, " +
			"or belong to another organisation; a new one is made at https://admin.atlassian.com under Settings, API keys"
	}
	return "check `auth`"
}

func (c *Client) judgeUnauthorized(q question, h http.Header, body []byte) *Error {
	if strings.Contains(h.Get("X-Failure-Category"), "SCOPE") || scopeForm().MatchString(messageOf(body)) {
		return c.scope(q)
	}
	if e := c.judgeDenied(q, http.StatusUnauthorized, h, body); e != nil {
		return e
	}
	return c.unauthorized(q, http.StatusUnauthorized)
}

// unauthorized says that the credential is not known, in all the ways in which
// that can come about: Atlassian answers them alike.
func (c *Client) unauthorized(q question, status int) *Error {
	e := c.failure(q, Error{Code: CodeUnauthorized, Person: true,
		What: fmt.Sprintf("Atlassian does not accept the credential (status %d)", status), Next: c.checkCredential()})
	if c.credential != nil && c.credential.Kind() == "service_account" {
		// The authorisation server knows the client: it issued the token.
		e.What = fmt.Sprintf("Atlassian issued a token to the service account, but does not accept it for %s (status %d)", q.describe(), status)
		e.Next = "check that the service account belongs to the organisation of this site and may use the product; otherwise " + e.Next
	}
	return e
}

// judgeDenied recognises the refusals that have headers of their own: Seraph,
// which authenticates in Jira and Confluence, says whether it knew the person
// (observed on Cloud and Data Center); nil where it says nothing.
func (c *Client) judgeDenied(q question, status int, h http.Header, body []byte) *Error {
	reason := h.Get("X-Seraph-LoginReason")
	switch {
	case strings.Contains(h.Get("X-Authentication-Denied-Reason"), "CAPTCHA"), strings.Contains(reason, "AUTHENTICATION_DENIED"):
		return c.failure(q, Error{Code: CodeCaptcha, Person: true,
			What: "Atlassian wants a person to solve a CAPTCHA before this account may sign in again, after too many failed sign-ins",
			Next: "sign in as the account in a browser once, or let an administrator reset its failed login count; then find out what signs in with a wrong password"})
	case basicForm().MatchString(messageOf(body)):
		return c.failure(q, Error{Code: CodeBasicDisabled, Person: true,
			What: "this instance takes no user name and password",
			Next: "use a personal access token (auth.type: personal_access_token), or let an administrator allow basic authentication"})
	case strings.Contains(reason, "AUTHENTICATED_FAILED"):
		// It goes on as nobody then, whom the audit log answers with 403.
		return c.unauthorized(q, status)
	}
	return nil
}

func (c *Client) scope(q question) *Error {
	p, _ := productOf(q.product)
	if c.credential != nil && c.credential.Kind() == "oauth" {
		return c.failure(q, Error{Code: CodeScope, Person: true,
			What: "the consent lacks a scope for " + q.describe() + ", or was given for another site",
			Next: "consent again with `atlassian-audit-records authorize`, which asks for " + strings.Join(Scopes(q.product), " and ") +
				"; the app must have these permissions"})
	}
	return c.failure(q, Error{Code: CodeScope, Person: true,
		What: "the token lacks a scope for " + q.describe(),
		Next: "make a new one with the scopes " + p.scopes + ": scopes cannot be added to an existing token"})
}

// What Atlassian's texts say, in the words that were observed.
var (
	scopeForm     = onDemand(`(?i)\bscopes?\b`)
	planForm      = onDemand(`(?i)free (edition|plan)|paid plan|upgrade to (standard|premium)`)
	accessForm    = onDemand(`(?i)not permitted to use|no access to (jira|confluence)|not licensed`)
	basicForm     = onDemand(`(?i)basic auth(entication)? (has been|is) (disabled|not allowed)`)
	allowlistForm = onDemand(`(?i)allow ?list|white ?list|\bip (address|restrict)`)
)

func (c *Client) judgeForbidden(q question, h http.Header, body []byte) *Error {
	if e := c.judgeDenied(q, http.StatusForbidden, h, body); e != nil {
		return e
	}
	p, _ := productOf(q.product)
	text := messageOf(body)
	if text == "" && looksLikeHTML(body) {
		text = string(body)
	}
	switch {
	case planForm().MatchString(text):
		return c.failure(q, Error{Code: CodePlan, Person: true,
			What: "the site's plan has no audit log for " + p.name + " (status 403)",
			Next: "move the product to a paid plan, or remove it from `products`"})
	case allowlistForm().MatchString(text):
		return c.failure(q, Error{Code: CodeIPAllowlist, Person: true,
			What: "Atlassian refuses the address from which this machine asks (status 403)",
			Next: "add the machine's, or its proxy's, public IP address to the organisation's IP allowlist"})
	case scopeForm().MatchString(text):
		return c.scope(q)
	case accessForm().MatchString(text):
		return c.failure(q, Error{Code: CodeNoProductAccess, Person: true,
			What: "the account may not use " + p.name + " (status 403)",
			Next: "give it access to the product, and " + p.permission})
	case q.product == audit.Organization && !looksLikeHTML(body):
		return c.failure(q, Error{Code: CodeNotAdmin, Person: true,
			What: "the API key may not read the organisation's audit log (status 403)" + saying(body),
			Next: organizationNeeds})
	case looksLikeHTML(body):
		return c.failure(q, Error{Code: CodeForbidden, Person: true,
			What: "a web page refused the question for " + q.describe() + " (status 403)",
			Next: "check, in this order, the organisation's IP allowlist, the proxy, and that the account has " + p.permission})
	}
	return c.failure(q, Error{Code: CodeNotAdmin, Person: true,
		What: fmt.Sprintf("the account may not read %s (status 403)%s", q.describe(), saying(body)),
		Next: "give it " + p.permission + "; if it has that, check that it may use the product and that the site is on a paid plan"})
}

// judgeRead is the verdict on a body that could not be read to its end.
func (c *Client) judgeRead(ctx context.Context, q question, err error) *Error {
	if errors.Is(err, errTooLarge) {
		return c.failure(q, Error{Code: CodeTooLarge, Err: err,
			What: fmt.Sprintf("the answer is larger than %d MiB", q.maxBody>>20),
			Next: "fewer records are asked for at a time"})
	}
	var timeout interface{ Timeout() bool }
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return c.timedOut(ctx, q)
	}
	return c.failure(q, Error{Code: CodeNetwork, retry: true, Err: err,
		What: "the answer was cut short", Next: tryAgain})
}

// judgeBody is the verdict on a whole body that came with 200.
func (c *Client) judgeBody(q question, resp *http.Response, body []byte) *Error {
	if looksLikeHTML(body) {
		return c.loginPage(q, "a web page")
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case kind == "text/html" || kind == "application/xhtml+xml":
		return c.loginPage(q, "a web page")
	case kind != "" && kind != "application/json" && !strings.HasSuffix(kind, "+json"):
		return c.failure(q, Error{Code: CodeInvalidAnswer, Person: true,
			What: fmt.Sprintf("something of the type %s came instead of JSON", clean(kind)),
			Next: "check that `site` is the address of an Atlassian site and that no proxy answers in its place"})
	}
	if err := q.decode(body); err != nil {
		return c.failure(q, Error{Code: CodeInvalidAnswer, retry: errors.Is(err, errNotJSON), Err: err,
			What: fmt.Sprintf("the answer to the question for %s cannot be read: %s", q.describe(), err),
			Next: tryAgain + "; if it stays so, please report it with this message"})
	}
	return nil
}

func looksLikeHTML(body []byte) bool {
	body = bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n")
	return len(body) > 0 && body[0] == '<'
}

func (c *Client) timedOut(ctx context.Context, q question) *Error {
	if q.untilEnd {
		// A connection's deadline may fire a moment before the context's.
		return c.interrupted(ctx, q)
	}
	// The cause is left out on purpose: it is a context error, and would look
	// as if the caller's context had ended.
	return c.failure(q, Error{Code: CodeTimeout, retry: true,
		What: fmt.Sprintf("no whole answer came within %s", c.timeout),
		Next: tryAgain + "; if it stays so, check the network and raise `timeout`"})
}

// judgeSilence is the verdict where no answer came at all. ctx is the caller's
// context, not the attempt's.
func (c *Client) judgeSilence(ctx context.Context, q question, err error) *Error {
	if ctx.Err() != nil {
		return c.interrupted(ctx, q)
	}
	if ce, ok := asCredentialError(err); ok {
		// Its own words, which hold no secret: clean would take paths for tokens.
		e := c.failure(q, Error{Code: ce.Code(), Person: ce.NeedsPerson(), What: ce.What(), Next: ce.Next(), Err: ce})
		if until, wait := ce.WaitUntil(); wait {
			e.Until = until
		}
		e.retry = !e.Person && e.Until.IsZero()
		return e
	}
	var proxyErr *ProxyError
	var dnsErr *net.DNSError
	var opErr *net.OpError
	var netErr net.Error
	var urlErr *url.Error
	host := q.url.Host
	cause := err
	if errors.As(err, &urlErr) {
		cause = urlErr.Err
	}
	// A credential may have asked another host first, and says so.
	var other interface {
		error
		Unreached() string
	}
	if errors.As(err, &other) {
		host, cause = other.Unreached(), errors.Unwrap(other)
	}
	switch {
	case errors.As(err, &proxyErr):
		return c.failure(q, Error{Code: CodeProxy, Person: proxyErr.Status == http.StatusProxyAuthRequired,
			retry: proxyErr.Status >= 500, Err: err,
			What: proxyErr.Error(), Next: "check the proxy's address, user name and password, and that it lets " + host + " through"})
	case errors.As(err, &opErr) && opErr.Op == "proxyconnect":
		return c.failure(q, Error{Code: CodeProxy, retry: true, Err: cause,
			What: "the proxy cannot be reached: " + clean(rootOf(opErr)), Next: "check the proxy's address"})
	case errors.As(err, &dnsErr):
		return c.failure(q, Error{Code: CodeDNS, retry: !dnsErr.IsNotFound, Err: cause,
			What: "the name " + clean(dnsErr.Name) + " cannot be resolved",
			Next: "check its spelling in the configuration, and this machine's DNS"})
	case errors.Is(err, http.ErrSchemeMismatch): // what net/http makes of a RecordHeaderError
		return c.failure(q, Error{Code: CodeTLS, Person: true, Err: cause,
			What: "no trusted connection to " + host + ": what answers there speaks http, not https",
			Next: "check the host and the port in the configuration, and that no proxy answers in its place"})
	case isTLS(err):
		if e := c.judgeCertificate(q, host, err); e != nil {
			return e
		}
		return c.failure(q, Error{Code: CodeTLS, Person: true, Err: cause,
			What: "no trusted connection to " + host + ": " + clean(cause.Error()),
			Next: "if a proxy or gateway of yours intercepts TLS, give its certificate authority in `tls_ca_cert`; check `tls_cert` and this machine's clock"})
	case errors.As(err, &netErr) && netErr.Timeout(), errors.Is(err, context.DeadlineExceeded):
		e := c.timedOut(ctx, q)
		if other != nil && e.Code == CodeTimeout {
			e.What = fmt.Sprintf("no whole answer came from %s within %s", host, c.timeout)
		}
		return e
	}
	return c.failure(q, Error{Code: CodeNetwork, retry: true, Err: cause,
		What: host + " cannot be reached: " + clean(cause.Error()),
		Next: tryAgain + "; if it stays so, check the network, the firewall and the proxy"})
}

// judgeCertificate is the verdict on a certificate that is good but for its
// time, which a clock that is off looks like; nil for any other.
func (c *Client) judgeCertificate(q question, host string, err error) *Error {
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired || invalid.Cert == nil {
		return nil
	}
	now, cert := c.now().UTC(), invalid.Cert
	if now.Before(cert.NotBefore) {
		return c.failure(q, Error{Code: CodeClock, Person: true, Err: err,
			What: fmt.Sprintf("the certificate of %s is valid from %s on, and this machine's clock says %s",
				host, cert.NotBefore.UTC().Format(time.RFC3339), now.Format(time.RFC3339)),
			Next: "set this machine's clock (NTP); if it is right, what answers is not " + hostname(host) + ": check the proxy"})
	}
	return c.failure(q, Error{Code: CodeTLS, Person: true, Err: err,
		What: fmt.Sprintf("the certificate of %s expired at %s, and this machine's clock says %s",
			host, cert.NotAfter.UTC().Format(time.RFC3339), now.Format(time.RFC3339)),
		Next: "if the clock is right, renew the certificate of the proxy or gateway of yours that intercepts TLS; else set the clock (NTP)"})
}

// hostname is a host without its port.
func hostname(host string) string { return (&url.URL{Host: host}).Hostname() }

func rootOf(e *net.OpError) string {
	if e.Err == nil {
		return e.Error()
	}
	return e.Err.Error()
}

func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		name         x509.HostnameError
		invalid      x509.CertificateInvalidError
		record       tls.RecordHeaderError
		alert        *net.OpError
	)
	if errors.As(err, &alert) && (alert.Op == "remote error" || alert.Op == "local error") {
		// How crypto/tls hands on an alert, the other side's or its own.
		return true
	}
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &name) ||
		errors.As(err, &invalid) || errors.As(err, &record)
}

// saying is Atlassian's own message as an addition to a sentence, or nothing.
func saying(body []byte) string {
	if m := clean(messageOf(body)); m != "" {
		return ", saying \"" + strings.ReplaceAll(m, `"`, "'") + `"`
	}
	return ""
}

// messageOf is the message of an error body in one of the forms that Atlassian
// uses; empty where there is none.
func messageOf(body []byte) string {
	var m struct {
		ErrorMessages    []string        `json:"errorMessages"`
		Message          json.RawMessage `json:"message"`
		ErrorDescription string          `json:"error_description"`
		Error            json.RawMessage `json:"error"`
		Errors           json.RawMessage `json:"errors"`
	}
	if err := json.Unmarshal(body, &m); err == nil {
		texts := m.ErrorMessages
		for _, raw := range []json.RawMessage{m.Message, m.Error} {
			var s string
			if json.Unmarshal(raw, &s) == nil && s != "" {
				texts = append(texts, s)
			}
		}
		if m.ErrorDescription != "" {
			texts = append(texts, m.ErrorDescription)
		}
		var admin []struct{ Title, Detail string } // the admin API's
		if json.Unmarshal(m.Errors, &admin) == nil {
			for _, e := range admin {
				texts = append(texts, cmp.Or(e.Detail, e.Title))
			}
		}
		return strings.Join(texts, " ")
	}
	text := strings.TrimSpace(string(body))
	if len(text) > 4*maxMessage || looksLikeHTML(body) || strings.HasPrefix(text, "{") || !utf8.ValidString(text) {
		return ""
	}
	return text
}
