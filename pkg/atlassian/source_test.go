package atlassian_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/auth"
)

// The client against a simulated Atlassian, with real credentials.

func parse(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

var (
	siteURL    = atlassiantest.DefaultSiteURL
	gatewayURL = "https://api.atlassian.com"
)

func basic(t testing.TB, token string) *auth.Basic {
	t.Helper()
	b, err := auth.NewBasic(atlassiantest.DefaultEmail, auth.Secret(token), parse(t, siteURL), parse(t, gatewayURL))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func serviceAccount(t testing.TB, store *auth.Store) *auth.ClientCredentials {
	t.Helper()
	c, err := auth.NewClientCredentials(auth.ClientCredentialsOptions{
		ClientID:     atlassiantest.DefaultClientID,
		ClientSecret: atlassiantest.DefaultClientSecret,
		Origins:      []*url.URL{parse(t, gatewayURL)},
		Store:        store,
		Now:          time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func client(t testing.TB, transport http.RoundTripper, c atlassian.Credential) *atlassian.Client {
	t.Helper()
	cl, err := atlassian.New(atlassian.Options{
		Site: parse(t, siteURL), Transport: transport, Credential: c, Now: time.Now, RequestsPerSecond: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return cl
}

var both = []audit.Product{audit.Jira, audit.Confluence}

func TestRouteIsFoundOut(t *testing.T) {
	t.Parallel()
	type row struct {
		token      string // "" is the service account
		remembered string
		prepare    func(*atlassiantest.Server)
		route      string
		requests   int
		code       string
	}
	for name, tc := range map[string]row{
		"a classic token works on the site":            {token: atlassiantest.DefaultClassicToken, route: "site", requests: 1},
		"a scoped token is taken to the gateway":       {token: atlassiantest.DefaultScopedToken, route: "gateway", requests: 2},
		"a remembered gateway is asked at once":        {token: atlassiantest.DefaultScopedToken, remembered: "gateway", route: "gateway", requests: 1},
		"a classic token after a scoped one goes back": {token: atlassiantest.DefaultClassicToken, remembered: "gateway", route: "site", requests: 2},
		"a service account knows only the gateway":     {remembered: "site", route: "gateway", requests: 1},
		"a nonsensical memory is ignored":              {token: atlassiantest.DefaultClassicToken, remembered: "moon", route: "site", requests: 1},
		"a wrong token is refused on both":             {token: "wrong", route: "site", requests: 2, code: atlassian.CodeUnauthorized},
		"a missing scope is told by the gateway": {token: atlassiantest.DefaultScopedToken, route: "site", requests: 2, code: atlassian.CodeScope,
			prepare: func(s *atlassiantest.Server) { s.SetScopes(atlassiantest.Scoped, "read:other") }},
		"a scoped token of a person who is no administrator": {token: atlassiantest.DefaultScopedToken, route: "gateway", requests: 2, code: atlassian.CodeNotAdmin,
			prepare: func(s *atlassiantest.Server) {
				s.Deny("jira", atlassiantest.NotAdmin)
				s.Deny("confluence", atlassiantest.NotAdmin)
			}},
		"a classic token of a person without access is refused where it belongs": {token: atlassiantest.DefaultClassicToken, route: "site", requests: 2, code: atlassian.CodeNoProductAccess,
			prepare: func(s *atlassiantest.Server) {
				s.Deny("jira", atlassiantest.NoProductAccess)
				s.Deny("confluence", atlassiantest.NoProductAccess)
			}},
		"a login page on the site is not the last word": {token: atlassiantest.DefaultScopedToken, route: "gateway", requests: 2,
			prepare: func(s *atlassiantest.Server) {
				s.Fault(atlassiantest.Fault{Route: atlassiantest.RouteSite, Action: atlassiantest.LoginRedirect()})
			}},
		"a gateway that is down leaves it undecided": {token: atlassiantest.DefaultScopedToken, route: "site", requests: 4, code: atlassian.CodeUnavailable,
			prepare: func(s *atlassiantest.Server) {
				s.Fault(atlassiantest.Fault{Route: atlassiantest.RouteGateway, Action: atlassiantest.ServerError(502)})
			}},
		"a gateway that wants to wait leaves it undecided": {token: atlassiantest.DefaultScopedToken, route: "site", requests: 2, code: atlassian.CodeQuota,
			prepare: func(s *atlassiantest.Server) {
				s.Fault(atlassiantest.Fault{Route: atlassiantest.RouteGateway, Action: atlassiantest.RateLimit(time.Minute, atlassiantest.RetrySeconds)})
			}},
	} {
		for _, p := range both {
			t.Run(string(p)+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					server := atlassiantest.New(atlassiantest.Options{Seed: 1})
					server.AddBurst(string(p), 3, time.Now().Add(-time.Hour))
					if tc.prepare != nil {
						tc.prepare(server)
					}
					var credential atlassian.Credential = serviceAccount(t, nil)
					if tc.token != "" {
						credential = basic(t, tc.token)
					}
					c := client(t, server.Transport(), credential)
					id, err := c.CloudID(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					s := c.Source(p, id, tc.remembered)
					page, err := s.Page(t.Context(), audit.Query{Limit: 10})
					var e *atlassian.Error
					switch {
					case tc.code == "" && (err != nil || len(page.Records) != 3):
						t.Fatalf("%d records, %v", len(page.Records), err)
					case tc.code != "" && (!errors.As(err, &e) || e.Code != tc.code):
						t.Fatalf("error %v, want %s", err, tc.code)
					}
					if s.Route() != tc.route || s.Requests() != tc.requests || server.Count(atlassiantest.KindAudit) != tc.requests {
						t.Errorf("route %s after %d requests (%d arrived), want %s after %d",
							s.Route(), s.Requests(), server.Count(atlassiantest.KindAudit), tc.route, tc.requests)
					}
				})
			})
		}
	}
}

// TestOtherRouteIsTriedOnce: a refusal in the middle of a walk is no reason to
// look for another way in.
func TestOtherRouteIsTriedOnce(t *testing.T) {
	t.Parallel()
	server := atlassiantest.New(atlassiantest.Options{Seed: 1})
	c := client(t, server.Transport(), basic(t, atlassiantest.DefaultClassicToken))
	s := c.Source(audit.Jira, atlassiantest.DefaultCloudID, "")
	if _, err := s.Page(t.Context(), audit.Query{}); err != nil {
		t.Fatal(err)
	}
	server.Revoke(atlassiantest.Classic)
	for range 2 {
		if _, err := s.Page(t.Context(), audit.Query{}); err == nil {
			t.Fatal("a revoked token was accepted")
		}
	}
	if s.Requests() != 3 || s.Route() != "site" {
		t.Errorf("%d requests, route %s", s.Requests(), s.Route())
	}
}

// TestPagesHoldWhatTheServerHolds compares records to the byte, over both
// products, routes and several pages.
func TestPagesHoldWhatTheServerHolds(t *testing.T) {
	t.Parallel()
	for _, p := range both {
		for _, token := range []string{atlassiantest.DefaultClassicToken, atlassiantest.DefaultScopedToken} {
			t.Run(string(p)+"/"+token, func(t *testing.T) {
				t.Parallel()
				server := atlassiantest.New(atlassiantest.Options{Seed: 2})
				end := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
				for i := range 25 {
					server.AddBurst(string(p), 1, end.Add(-time.Duration(i)*time.Second))
				}
				c := client(t, server.Transport(), basic(t, token))
				s := c.Source(p, atlassiantest.DefaultCloudID, "")
				var got []string
				q := audit.Query{From: end.Add(-time.Hour).UnixMilli(), To: end.UnixMilli(), Bounded: true, Limit: 10}
				for {
					page, err := s.Page(t.Context(), q)
					if err != nil {
						t.Fatal(err)
					}
					if page.Date.IsZero() {
						t.Error("no date")
					}
					if len(page.Records) == 0 {
						break
					}
					for _, r := range page.Records {
						if !r.Dated || (r.ID == "") != (p == audit.Confluence) || (r.Keys.Fingerprint == "") == (p == audit.Confluence) {
							t.Errorf("record without date or name: %s", r.Raw)
						}
						got = append(got, fmt.Sprint(r.Millis)+string(r.Raw))
					}
					q.Offset += len(page.Records)
				}
				var want []string
				for _, r := range server.Records(string(p)) {
					want = append(want, fmt.Sprint(r.Created.UnixMilli())+string(r.Raw))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// TestSingleMillisecond: Jira answers nothing unless from is before to, and
// must all the same be asked for one millisecond: with the neighbours before
// and after it, over several pages.
func TestSingleMillisecond(t *testing.T) {
	t.Parallel()
	for _, p := range both {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			server := atlassiantest.New(atlassiantest.Options{Seed: 3})
			at := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
			server.AddBurst(string(p), 7, at)
			server.AddBurst(string(p), 4, at.Add(-time.Millisecond))
			server.AddBurst(string(p), 4, at.Add(time.Millisecond))
			c := client(t, server.Transport(), basic(t, atlassiantest.DefaultClassicToken))
			s := c.Source(p, "", "")
			q := audit.Query{From: at.UnixMilli(), To: at.UnixMilli(), Bounded: true, Limit: 5}
			var sizes []int
			for range 3 {
				page, err := s.Page(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page.Records {
					if r.Millis != at.UnixMilli() {
						t.Errorf("a record %d ms off", r.Millis-at.UnixMilli())
					}
				}
				sizes = append(sizes, len(page.Records))
				q.Offset += len(page.Records)
			}
			if diff := cmp.Diff([]int{5, 2, 0}, sizes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestQuestions pins what stands in the URL.
func TestQuestions(t *testing.T) {
	t.Parallel()
	at := time.Date(2022, 1, 6, 9, 49, 7, 400_000_000, time.UTC).UnixMilli()
	for name, tc := range map[string]struct {
		product audit.Product
		route   string
		q       audit.Query
		want    string
	}{
		"Jira on the site, live": {audit.Jira, "site", audit.Query{From: at, Limit: 1000},
			siteURL + "/rest/api/3/auditing/record?from=2022-01-06T09%3A49%3A07.400Z&limit=1000&offset=0"},
		"Jira on the gateway, bounded": {audit.Jira, "gateway", audit.Query{From: at, To: at + 1601, Bounded: true, Offset: 20, Limit: 500},
			gatewayURL + "/ex/jira/" + atlassiantest.DefaultCloudID + "/rest/api/3/auditing/record?from=2022-01-06T09%3A49%3A07.400Z&limit=500&offset=20&to=2022-01-06T09%3A49%3A09.001Z"},
		"Jira from ever": {audit.Jira, "site", audit.Query{From: -1 << 62},
			siteURL + "/rest/api/3/auditing/record?limit=1000&offset=0"},
		"Jira for one millisecond": {audit.Jira, "site", audit.Query{From: at, To: at, Bounded: true, Limit: 5000},
			siteURL + "/rest/api/3/auditing/record?from=2022-01-06T09%3A49%3A07.399Z&limit=1000&offset=0&to=2022-01-06T09%3A49%3A07.400Z"},
		"Confluence on the site, live": {audit.Confluence, "site", audit.Query{From: at, Limit: 1000},
			siteURL + "/wiki/rest/api/audit?limit=1000&start=0&startDate=1641462547400"},
		"Confluence on the gateway, for one millisecond": {audit.Confluence, "gateway", audit.Query{From: at, To: at, Bounded: true, Offset: 7, Limit: 1},
			gatewayURL + "/ex/confluence/" + atlassiantest.DefaultCloudID + "/wiki/rest/api/audit?endDate=1641462547400&limit=1&start=7&startDate=1641462547400"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := atlassiantest.New(atlassiantest.Options{})
			var got string
			token := atlassiantest.DefaultClassicToken
			if tc.route == "gateway" {
				token = atlassiantest.DefaultScopedToken
			}
			transport := server.Transport()
			c := client(t, roundTripper(func(r *http.Request) (*http.Response, error) {
				got = r.URL.String()
				if r.Method != http.MethodGet || r.Header.Get("Accept") != "application/json" || !strings.HasPrefix(r.UserAgent(), "atlassian-audit-records") {
					t.Errorf("asked with %s, %v", r.Method, r.Header)
				}
				return transport.RoundTrip(r)
			}), basic(t, token))
			if _, err := c.Source(tc.product, atlassiantest.DefaultCloudID, tc.route).Page(t.Context(), tc.q); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestFaults drives the simulated server's faults through the client: none may
// be taken for an empty list.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		action atlassiantest.Action
		times  int
		code   string // "": three records all the same
	}{
		"one broken connection":      {atlassiantest.Reset(), 1, ""},
		"one closed connection":      {atlassiantest.Close(), 1, ""},
		"one truncated body":         {atlassiantest.Truncate(0.5), 1, ""},
		"one quietly truncated body": {atlassiantest.TruncateQuietly(0.5), 1, ""},
		"one malformed answer":       {atlassiantest.MalformedJSON(), 1, ""},
		"one empty body":             {atlassiantest.EmptyBody(), 1, ""},
		"two server errors":          {atlassiantest.ServerError(503), 2, ""},
		"one server error of Jira's": {atlassiantest.ServerError(500), 1, ""},
		"a compressed answer":        {atlassiantest.Gzip(), 1, ""},
		"a slow answer":              {atlassiantest.Slow(20 * time.Second), 1, ""},
		"a record that is null":      {atlassiantest.NullRecord(1), 1, ""},
		"a record that is a number":  {atlassiantest.NumberRecord(0), 1, ""},
		"a link to a foreign host":   {atlassiantest.NextLink("https://evil.example/x"), 1, ""},
		"an answer that never comes": {atlassiantest.Hang(), 0, atlassian.CodeTimeout},
		"a connection always broken": {atlassiantest.Reset(), 0, atlassian.CodeNetwork},
		"a body always truncated":    {atlassiantest.Truncate(0.5), 0, atlassian.CodeNetwork},
		"always malformed":           {atlassiantest.MalformedJSON(), 0, atlassian.CodeInvalidAnswer},
		"no list":                    {atlassiantest.MissingList(), 0, atlassian.CodeInvalidAnswer},
		"null for the list":          {atlassiantest.ListInstead("null"), 0, atlassian.CodeInvalidAnswer},
		"a login page":               {atlassiantest.LoginPage(), 0, atlassian.CodeLoginPage},
		"a redirect to a login page": {atlassiantest.LoginRedirect(), 0, atlassian.CodeLoginPage},
		"a redirect elsewhere":       {atlassiantest.Redirect("https://evil.example/"), 0, atlassian.CodeRedirect},
		"a huge body":                {atlassiantest.Huge(9 << 20), 0, atlassian.CodeTooLarge},
		"a rate limit":               {atlassiantest.RateLimit(time.Minute, atlassiantest.RetryDate), 0, atlassian.CodeQuota},
		"a rate limit, only a reset": {atlassiantest.RateLimit(time.Minute, atlassiantest.RetryReset), 0, atlassian.CodeQuota},
		"unavailable for a while":    {atlassiantest.Unavailable(time.Minute, atlassiantest.RetrySeconds), 0, atlassian.CodeUnavailable},
	} {
		for _, p := range both {
			t.Run(string(p)+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					server := atlassiantest.New(atlassiantest.Options{Seed: 4})
					server.AddBurst(string(p), 3, time.Now().Add(-time.Hour))
					server.Fault(atlassiantest.Fault{Action: tc.action, Times: tc.times})
					c := client(t, server.Transport(), basic(t, atlassiantest.DefaultClassicToken))
					page, err := c.Source(p, "", "").Page(t.Context(), audit.Query{Limit: 10})
					var e *atlassian.Error
					switch {
					case tc.code == "" && (err != nil || len(page.Records) != 3):
						t.Fatalf("%d records, %v", len(page.Records), err)
					case tc.code != "" && (!errors.As(err, &e) || e.Code != tc.code):
						t.Fatalf("error %v, want %s", err, tc.code)
					}
					for _, r := range server.Requests() {
						if r.Host != parse(t, siteURL).Host {
							t.Errorf("asked %s", r.Host)
						}
					}
				})
			})
		}
	}
}

func ptr[T any](v T) *T { return &v }

func TestNew(t *testing.T) {
	t.Parallel()
	good := func() atlassian.Options {
		return atlassian.Options{Site: parse(t, siteURL), Now: time.Now}
	}
	for name, tc := range map[string]struct {
		change func(*atlassian.Options)
		err    string
	}{
		"the least that is needed":    {func(*atlassian.Options) {}, ""},
		"http on this machine":        {func(o *atlassian.Options) { o.Site = parse(t, "http://127.0.0.1:8080") }, ""},
		"http on this machine's IPv6": {func(o *atlassian.Options) { o.Site = parse(t, "http://[::1]:8080") }, ""},
		"no site":                     {func(o *atlassian.Options) { o.Site = nil }, "atlassian: no site given"},
		"no clock":                    {func(o *atlassian.Options) { o.Now = nil }, "atlassian: no clock given"},
		"no host":                     {func(o *atlassian.Options) { o.Site = parse(t, "https:///x") }, "atlassian: site: the URL has no host"},
		"http elsewhere":              {func(o *atlassian.Options) { o.Site = parse(t, "http://example.com") }, "atlassian: site: the URL of example.com must begin with https://"},
		"a gateway over http":         {func(o *atlassian.Options) { o.Gateway = parse(t, "http://example.com") }, "atlassian: gateway: the URL of example.com must begin with https://"},
		"a password in the URL":       {func(o *atlassian.Options) { o.Site = parse(t, "https://me:pw@example.com") }, "atlassian: site: the URL of example.com must not hold a user name or password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := good()
			tc.change(&o)
			c, err := atlassian.New(o)
			if got := fmt.Sprint(err); tc.err != "" && got != tc.err || tc.err == "" && err != nil {
				t.Fatalf("error %v, want %q", err, tc.err)
			}
			if tc.err == "" {
				c.Close()
				_, err := c.Source(audit.Jira, "", "").Page(t.Context(), audit.Query{})
				var e *atlassian.Error
				if !errors.As(err, &e) || e.Code != atlassian.CodeCredential {
					t.Errorf("asked without a credential: %v", err)
				}
			}
		})
	}
}
