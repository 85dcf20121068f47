package atlassian

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// verdict is what a row expects of an Error.
type verdict struct {
	code   string
	status int
	// asked is how often the question was sent; 0 means once.
	asked  int
	person bool
	// says are texts that stand in the sentence.
	says []string
}

func htmlPage(text string) string {
	return "<!DOCTYPE html><html><body>" + text + "</body></html>"
}

// TestJudge is the table of every judgement on one answer. The credential may
// be used on the gateway alone, so that no second route is tried.
func TestJudge(t *testing.T) {
	t.Parallel()
	const html = "Content-Type: text/html; charset=utf-8"
	answer := func(status int, body string, headers ...string) roundTripper {
		return func(*http.Request) (*http.Response, error) { return reply(status, body, headers...), nil }
	}
	silence := func(err error) roundTripper {
		return func(*http.Request) (*http.Response, error) { return nil, err }
	}
	for name, tc := range map[string]struct {
		product audit.Product // Jira where empty
		answer  roundTripper
		want    verdict
	}{
		"an empty list is data": {answer: answer(200, `{"records":[]}`), want: verdict{}},
		"a list without a content type is data": {
			answer: answer(200, `{"records":[]}`, "Content-Type: "), want: verdict{}},
		"a vendor's JSON type is data": {
			answer: answer(200, `{"records":[]}`, "Content-Type: application/vnd.atlassian+json"), want: verdict{}},
		"a web page with 200 is a login page": {
			answer: answer(200, htmlPage("Log in"), html),
			want:   verdict{code: CodeLoginPage, status: 200, person: true, says: []string{"a web page came instead of Jira's audit log", "`api_token`"}}},
		"a web page that claims to be JSON is a login page": {
			answer: answer(200, "\n"+htmlPage("Log in")),
			want:   verdict{code: CodeLoginPage, status: 200, person: true}},
		"an empty web page is a login page": {
			answer: answer(200, "", html),
			want:   verdict{code: CodeLoginPage, status: 200, person: true}},
		"plain text with 200 is refused": {
			answer: answer(200, "OK", "Content-Type: text/plain"),
			want:   verdict{code: CodeInvalidAnswer, status: 200, person: true, says: []string{"text/plain"}}},
		"an empty body is asked for again": {
			answer: answer(200, ""),
			want:   verdict{code: CodeInvalidAnswer, status: 200, asked: 3, says: []string{"not valid JSON"}}},
		"truncated JSON is asked for again": {
			answer: answer(200, `{"records":[{"id":1}`),
			want:   verdict{code: CodeInvalidAnswer, status: 200, asked: 3, says: []string{"not valid JSON"}}},
		"garbage after the JSON is asked for again": {
			answer: answer(200, `{"records":[]}garbage`),
			want:   verdict{code: CodeInvalidAnswer, status: 200, asked: 3}},
		"JSON without the list is no answer": {
			answer: answer(200, `{"offset":0,"total":0}`),
			want:   verdict{code: CodeInvalidAnswer, status: 200, says: []string{`no list "records"`}}},
		"a list of the wrong type is no answer": {
			product: audit.Confluence,
			answer:  answer(200, `{"results":{"a":1}}`),
			want:    verdict{code: CodeInvalidAnswer, status: 200, says: []string{`"results" is not a list`, "(example.atlassian.net, confluence)"}}},
		"204 holds no data": {
			answer: answer(204, ""),
			want:   verdict{code: CodeInvalidAnswer, status: 204, asked: 3}},
		"206 holds no whole data": {
			answer: answer(206, `{"records":[]}`),
			want:   verdict{code: CodeInvalidAnswer, status: 206, asked: 3}},
		"a redirect to the login page": {
			answer: answer(302, "", "Location: https://id.atlassian.com/login?continue=x"),
			want:   verdict{code: CodeLoginPage, status: 302, person: true, says: []string{"redirect to a login page"}}},
		"a redirect to a login page of the site's own": {
			answer: answer(303, "", "Location: /login.jsp?permissionViolation=true"),
			want:   verdict{code: CodeLoginPage, status: 303, person: true}},
		"a redirect to another site": {
			answer: answer(301, "", "Location: https://renamed.atlassian.net/x?secret=1"),
			want:   verdict{code: CodeRedirect, status: 301, person: true, says: []string{"redirects to renamed.atlassian.net", "set `site`"}}},
		"a redirect within the site": {
			answer: answer(308, "", "Location: /elsewhere"),
			want:   verdict{code: CodeRedirect, status: 308, person: true}},
		"a redirect to nowhere": {
			answer: answer(302, ""),
			want:   verdict{code: CodeRedirect, status: 302, person: true}},
		"400 quotes Atlassian": {
			answer: answer(400, `{"errorMessages":["Invalid date \"x 0000\""],"errors":{}}`),
			want:   verdict{code: CodeBadRequest, status: 400, person: true, says: []string{`saying "Invalid date 'x 0000'"`}}},
		"400 with a web page quotes nothing": {
			answer: answer(400, htmlPage("Bad"), html),
			want:   verdict{code: CodeBadRequest, status: 400, person: true, says: []string{"(status 400) (example"}}},
		"418 is a question not understood": {
			answer: answer(418, `{}`),
			want:   verdict{code: CodeBadRequest, status: 418, person: true}},
		"401": {
			answer: answer(401, `{"message":"Client must be authenticated to access this resource."}`),
			want:   verdict{code: CodeUnauthorized, status: 401, person: true, says: []string{"status 401", "`email` and `api_token`"}}},
		"401 for a missing scope": {
			answer: answer(401, `{"code":401,"message":"Unauthorized; scope does not match"}`),
			want:   verdict{code: CodeScope, status: 401, person: true, says: []string{"read:audit-log:jira"}}},
		"401 for a missing scope of Confluence's": {
			product: audit.Confluence,
			answer:  answer(401, `{"code":401,"message":"Unauthorized; scope does not match"}`),
			want:    verdict{code: CodeScope, status: 401, person: true, says: []string{"read:audit-log:confluence"}}},
		"403 for a person who is no administrator": {
			answer: answer(403, `{"errorMessages":["You are not an administrator"],"errors":{}}`),
			want:   verdict{code: CodeNotAdmin, status: 403, person: true, says: []string{"You are not an administrator", "Administer Jira"}}},
		"403 without a word": {
			product: audit.Confluence, answer: answer(403, ""),
			want: verdict{code: CodeNotAdmin, status: 403, person: true, says: []string{"Confluence Administrator"}}},
		"403 on a free plan": {
			product: audit.Confluence,
			answer:  answer(403, `{"statusCode":403,"message":"Cannot make this request because you are on Free edition. Please upgrade to standard or premium."}`),
			want:    verdict{code: CodePlan, status: 403, person: true, says: []string{"plan has no audit log"}}},
		"403 on a free plan of Jira's": {
			answer: answer(403, `{"errorMessages":["Available when at least one Jira product is on a paid plan"]}`),
			want:   verdict{code: CodePlan, status: 403, person: true}},
		"403 without a licence": {
			product: audit.Confluence,
			answer:  answer(403, `{"message":"Current user not permitted to use Confluence"}`),
			want:    verdict{code: CodeNoProductAccess, status: 403, person: true, says: []string{"may not use Confluence"}}},
		"403 by the IP allowlist": {
			answer: answer(403, htmlPage("Your IP address is not on the allowlist"), html),
			want:   verdict{code: CodeIPAllowlist, status: 403, person: true, says: []string{"IP allowlist"}}},
		"403 with a web page": {
			answer: answer(403, htmlPage("Forbidden"), html),
			want:   verdict{code: CodeForbidden, status: 403, person: true, says: []string{"a web page refused", "the proxy", "Administer Jira"}}},
		"403 for a missing scope": {
			answer: answer(403, `{"message":"The scope is insufficient"}`),
			want:   verdict{code: CodeScope, status: 403, person: true}},
		"404": {
			answer: answer(404, htmlPage("Not found"), html),
			want:   verdict{code: CodeNotFound, status: 404, person: true, says: []string{"Jira's audit log was not found at this address", "`products`"}}},
		"410": {
			answer: answer(410, "{}"), want: verdict{code: CodeNotFound, status: 410, person: true}},
		"407": {
			answer: answer(407, ""), want: verdict{code: CodeProxy, status: 407, person: true}},
		"408 is asked again": {
			answer: answer(408, ""), want: verdict{code: CodeTimeout, status: 408, asked: 3}},
		"500 is asked again": {
			answer: answer(500, "{}"), want: verdict{code: CodeUnavailable, status: 500, asked: 3, says: []string{"status 500", "nothing is lost"}}},
		"502 with a web page is no login page": {
			answer: answer(502, htmlPage("Bad Gateway"), html), want: verdict{code: CodeUnavailable, status: 502, asked: 3}},
		"503 without a wait is asked again": {
			answer: answer(503, ""), want: verdict{code: CodeUnavailable, status: 503, asked: 3}},
		"a body over 8 MiB": {
			answer: answer(200, `{"records":["`+strings.Repeat("x", maxBody)+`"]}`),
			want:   verdict{code: CodeTooLarge, status: 200, says: []string{"larger than 8 MiB"}}},
		"a refused connection": {
			answer: silence(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}),
			want:   verdict{code: CodeNetwork, asked: 3, says: []string{"api.atlassian.com cannot be reached", "connection refused"}}},
		"an authorisation server that refuses the connection": {
			answer: silence(elsewhere{syscall.ECONNREFUSED}),
			want:   verdict{code: CodeNetwork, asked: 3, says: []string{"auth.example.com cannot be reached: connection refused"}}},
		"an authorisation server that does not answer": {
			answer: silence(elsewhere{context.DeadlineExceeded}),
			want:   verdict{code: CodeTimeout, asked: 3, says: []string{"no whole answer came from auth.example.com within "}}},
		"an authorisation server with an unknown certificate": {
			answer: silence(elsewhere{x509.UnknownAuthorityError{}}),
			want:   verdict{code: CodeTLS, person: true, says: []string{"no trusted connection to auth.example.com: x509"}}},
		"an authorisation server with a certificate of another time": {
			answer: silence(elsewhere{x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{NotBefore: time.Unix(0, 0), NotAfter: time.Unix(86400, 0)}}}),
			want:   verdict{code: CodeTLS, person: true, says: []string{"the certificate of auth.example.com expired at "}}},
		"a connection that breaks off": {
			answer: silence(io.ErrUnexpectedEOF), want: verdict{code: CodeNetwork, asked: 3}},
		"a name that does not exist": {
			answer: silence(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "api.atlassian.com", IsNotFound: true}}),
			want:   verdict{code: CodeDNS, says: []string{"the name api.atlassian.com cannot be resolved"}}},
		"a name server that does not answer": {
			answer: silence(&net.DNSError{Err: "i/o timeout", Name: "api.atlassian.com", IsTimeout: true, IsTemporary: true}),
			want:   verdict{code: CodeDNS, asked: 3}},
		"an unknown certificate authority": {
			answer: silence(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}),
			want:   verdict{code: CodeTLS, person: true, says: []string{"tls_ca_cert"}}},
		"a certificate for another name": {
			answer: silence(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}), want: verdict{code: CodeTLS, person: true}},
		"no TLS at the other end": {
			answer: silence(tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}), want: verdict{code: CodeTLS, person: true}},
		"plain HTTP at the other end": {
			answer: silence(http.ErrSchemeMismatch),
			want:   verdict{code: CodeTLS, person: true, says: []string{"no trusted connection to api.atlassian.com: what answers there speaks http, not https", "check the host and the port"}}},
		"a proxy that wants a password": {
			answer: silence(&ProxyError{Proxy: "proxy:3128", Status: 407}),
			want:   verdict{code: CodeProxy, person: true, says: []string{"the proxy proxy:3128 wants a user name and password"}}},
		"a proxy that fails": {
			answer: silence(&ProxyError{Proxy: "proxy:3128", Status: 502}), want: verdict{code: CodeProxy, asked: 3}},
		"a proxy that refuses the host": {
			answer: silence(&ProxyError{Proxy: "proxy:3128", Status: 403}), want: verdict{code: CodeProxy}},
		"a proxy that cannot be reached": {
			answer: silence(&net.OpError{Op: "proxyconnect", Err: syscall.ECONNREFUSED}),
			want:   verdict{code: CodeProxy, asked: 3, says: []string{"the proxy cannot be reached"}}},
		"a credential that cannot be attached": {
			answer: silence(fakeCredentialError{person: true}),
			want:   verdict{code: "client_credentials", person: true, says: []string{"the secret was refused (example.atlassian.net, jira): check it"}}},
		"a credential that may be had later": {
			answer: silence(fakeCredentialError{}), want: verdict{code: "client_credentials", asked: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				c := newTestClient(t, func(r *http.Request) (*http.Response, error) {
					asked++
					resp, err := tc.answer(r)
					if resp != nil {
						resp.Request = r
					}
					return resp, err
				}, func(o *Options) { o.Credential = token{"api_token", []string{RouteGateway}} })
				product := tc.product
				if product == "" {
					product = audit.Jira
				}
				s := c.Source(product, testCloudID, "")
				_, err := s.Page(t.Context(), anyQuery)
				checkVerdict(t, err, tc.want)
				if want := max(1, tc.want.asked); asked != want || s.Requests() != want {
					t.Errorf("asked %d times, counted %d, want %d", asked, s.Requests(), want)
				}
				if s.Throttled() != 0 {
					t.Errorf("throttled %d times", s.Throttled())
				}
			})
		})
	}
}

func checkVerdict(t *testing.T, err error, want verdict) *Error {
	t.Helper()
	if want.code == "" {
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want code %s", err, want.code)
	}
	if e.Code != want.code || e.Status != want.status || e.NeedsPerson() != want.person {
		t.Errorf("code %s, status %d, person %v; want %+v\n%s", e.Code, e.Status, e.NeedsPerson(), want, e)
	}
	if e.Temporary() == want.person || e.TooLarge() != (want.code == CodeTooLarge) {
		if want.code != CodeTooLarge {
			t.Errorf("temporary %v, too large %v", e.Temporary(), e.TooLarge())
		}
	}
	text := e.Error()
	for _, s := range append(want.says, "example.atlassian.net") {
		if !strings.Contains(text, s) {
			t.Errorf("%q lacks %q", text, s)
		}
	}
	if strings.ContainsAny(text, "\n\r") || e.Next == "" || e.What == "" {
		t.Errorf("not one whole sentence: %q", text)
	}
	for _, s := range []string{"c2VjcmV0", "secret=", "?", "offset="} {
		if strings.Contains(text, s) {
			t.Errorf("%q shows %q", text, s)
		}
	}
	return e
}

type fakeCredentialError struct{ person bool }

func (fakeCredentialError) Error() string                { return "x" }
func (fakeCredentialError) Code() string                 { return "client_credentials" }
func (fakeCredentialError) What() string                 { return "the secret was refused" }
func (fakeCredentialError) Next() string                 { return "check it" }
func (fakeCredentialError) WaitUntil() (time.Time, bool) { return time.Time{}, false }
func (e fakeCredentialError) NeedsPerson() bool          { return e.person }

func TestBodyOfOneRecordMayBeLarger(t *testing.T) {
	t.Parallel()
	body := `{"records":[{"id":1,"x":"` + strings.Repeat("x", maxBody) + `"}]}`
	c := newTestClient(t, func(*http.Request) (*http.Response, error) { return reply(200, body), nil })
	q := anyQuery
	q.Limit = 1
	p, err := c.Source(audit.Jira, "", "").Page(t.Context(), q)
	if err != nil || len(p.Records) != 1 {
		t.Fatalf("%d records, %v", len(p.Records), err)
	}
	q.Limit = 2
	_, err = c.Source(audit.Jira, "", "").Page(t.Context(), q)
	var e interface{ TooLarge() bool }
	if !errors.As(err, &e) || !e.TooLarge() {
		t.Fatalf("error %v, want one that is too large", err)
	}
}

func TestDeclaredLengthOverTheLimitIsNotRead(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, func(*http.Request) (*http.Response, error) {
		r := reply(200, "")
		r.ContentLength = maxBody + 1
		r.Body = io.NopCloser(readerFunc(func([]byte) (int, error) {
			t.Error("the body was read")
			return 0, io.EOF
		}))
		return r, nil
	})
	_, err := c.Source(audit.Jira, "", "").Page(t.Context(), anyQuery)
	checkVerdict(t, err, verdict{code: CodeTooLarge, status: 200})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// elsewhere is a credential's failure to reach the host that issues tokens.
type elsewhere struct{ error }

func (e elsewhere) Unwrap() error     { return e.error }
func (e elsewhere) Unreached() string { return "auth.example.com" }

func TestBodyThatBreaksOffIsAskedForAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := newTestClient(t, func(*http.Request) (*http.Response, error) {
			r := reply(200, `{"records":[{"id":4}]}`)
			if n++; n < 3 {
				r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"records":[`), readerFunc(func([]byte) (int, error) {
					return 0, io.ErrUnexpectedEOF
				})))
			}
			return r, nil
		})
		p, err := c.Source(audit.Jira, "", "").Page(t.Context(), anyQuery)
		if err != nil || len(p.Records) != 1 || n != 3 {
			t.Fatalf("%d records after %d requests, %v", len(p.Records), n, err)
		}
	})
}

func TestClean(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want string }{
		"a sentence stays":               {"Invalid date.", "Invalid date."},
		"line breaks become blanks":      {"a\r\n\tb\x00c", "a b c"},
		"a query string is cut":          {"get https://x.net/p?token=1 failed", "get https://x.net/p failed"},
		"user and password are cut":      {"via http://me:pw@proxy:1/", "via http://proxy:1/"},
		"an email address is hidden":     {"user jane@example.com may not", "user *** may not"},
		"what looks like a token hidden": {"token ATATT3xFfGF0abcdefghijklmnop= bad", "token *** bad"},
		"a long text is cut":             {strings.Repeat("word ", 100), strings.TrimSpace(strings.Repeat("word ", 100)[:197]) + "..."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := clean(tc.in); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
