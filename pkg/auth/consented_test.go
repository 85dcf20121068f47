package auth

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

const (
	host      = "example.atlassian.net"
	auditPath = "https://api.atlassian.com/ex/jira/" + atlassiantest.DefaultCloudID + "/rest/api/3/auditing/record?limit=1"
)

// consented is a simulated Atlassian, a token file, and a clock for both.
type consented struct {
	t      *testing.T
	server *atlassiantest.Server
	path   string
	offset atomic.Int64
}

func newConsented(t *testing.T) *consented {
	t.Helper()
	c := &consented{t: t, path: filepath.Join(t.TempDir(), "state", "tokens.json")}
	c.server = atlassiantest.New(atlassiantest.Options{Now: c.now})
	return c
}

func (c *consented) now() time.Time { return epoch.Add(time.Duration(c.offset.Load())) }

func (c *consented) pass(d time.Duration) { c.offset.Add(int64(d)) }

// app is the app as a new process has it.
func (c *consented) app(change ...func(*AppOptions)) *App {
	c.t.Helper()
	o := AppOptions{
		ClientID: atlassiantest.DefaultAppID, ClientSecret: atlassiantest.DefaultAppSecret, Command: "authorize --now",
		Origins: []*url.URL{{Scheme: "https", Host: "api.atlassian.com"}}, Store: NewStore(c.path, c.now), Now: c.now,
	}
	for _, f := range change {
		f(&o)
	}
	a, err := NewApp(o)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

// consent is given, for the site at that host.
func (c *consented) consent(hosts ...string) {
	c.t.Helper()
	k := c.app().Consent("http://localhost:14390/callback", []string{"read:audit-log:jira"})
	landing, err := atlassiantest.AtConsentPage(c.t.Context(), &http.Client{Transport: c.server.Transport()}, k.Address())
	if err != nil {
		c.t.Fatal(err)
	}
	code, err := k.Answer(landing)
	if err == nil {
		_, err = k.Exchange(c.t.Context(), c.server.Transport(), code)
	}
	if err == nil {
		err = k.Bind(hosts)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// read asks for audit records as a new process would, through base.
func (c *consented) read(base http.RoundTripper, change ...func(*AppOptions)) (status int, err error) {
	return c.readWith(c.app(change...).Site(host), base)
}

func (c *consented) readWith(o *OAuth, base http.RoundTripper) (status int, err error) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, auditPath, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := o.RoundTripper(base).RoundTrip(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Body.Close()
}

func (c *consented) mustRead() {
	c.t.Helper()
	if status, err := c.read(c.server.Transport()); err != nil || status != 200 {
		c.t.Fatalf("status %d, %v", status, err)
	}
}

func (c *consented) renewals() int { return c.server.Count(atlassiantest.KindToken) }

// codeOf is the code of an *Error.
func codeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return fmt.Sprint(err)
}

func (c *consented) consentWithoutScopes() {
	c.t.Helper()
	k := c.app().Consent("http://localhost:14390/callback", nil)
	landing, err := atlassiantest.AtConsentPage(c.t.Context(), &http.Client{Transport: c.server.Transport()}, k.Address())
	if err != nil {
		c.t.Fatal(err)
	}
	code, err := k.Answer(landing)
	if err == nil {
		_, err = k.Exchange(c.t.Context(), c.server.Transport(), code)
	}
	if err := errors.Join(err, k.Bind([]string{host})); err != nil {
		c.t.Fatal(err)
	}
}

func clockOf(offset *atomic.Int64) func() time.Time {
	return func() time.Time { return epoch.Add(time.Duration(offset.Load())) }
}
