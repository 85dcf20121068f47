package atlassian

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"atlassian_audit_records/pkg/audit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testCloudID = "11111111-2222-4333-8444-555555555555"

// roundTripper is a network without sockets.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// reply is an answer with the given status, body and headers ("Name: value").
func reply(status int, body string, headers ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if h.Set(name, value); value == "" {
			h.Del(name)
		}
	}
	return &http.Response{StatusCode: status, Header: h, ContentLength: -1, Body: io.NopCloser(strings.NewReader(body))}
}

// token is a credential for tests: a header, and the routes it is used on.
type token struct {
	kind   string
	routes []string
}

func (t token) Kind() string     { return t.kind }
func (t token) Routes() []string { return t.routes }
func (t token) RoundTripper(base http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Basic c2VjcmV0LXRva2VuLW9mLXRoZS10ZXN0")
		return base.RoundTrip(r)
	})
}

func anyRoute() token { return token{kind: "api_token", routes: []string{RouteSite, RouteGateway}} }

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// newTestClient asks https://example.atlassian.net through f, without pauses
// for politeness and with the longest jitter.
func newTestClient(t testing.TB, f roundTripper, change ...func(*Options)) *Client {
	t.Helper()
	o := Options{
		Site:              mustURL(t, "https://example.atlassian.net"),
		Transport:         f,
		Credential:        anyRoute(),
		Rand:              func() float64 { return 1 },
		RequestsPerSecond: -1,
		Now:               time.Now,
	}
	for _, c := range change {
		c(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var anyQuery = audit.Query{From: 1_642_000_000_000, Limit: 1000}

// at is a moment in the tests' time.
func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
