package atlassiantest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// fetchToken asks the authorisation server for an access token.
func fetchToken(t *testing.T, s *atlassiantest.Server, media, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tokenEndpoint, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", media)
	return send(t, s, req)
}

func tokenForm(secret string) string {
	return url.Values{
		"grant_type": {"client_credentials"}, "client_id": {atlassiantest.DefaultClientID}, "client_secret": {secret},
	}.Encode()
}

func bearer(t *testing.T, s *atlassiantest.Server) string {
	t.Helper()
	a := fetchToken(t, s, "application/x-www-form-urlencoded", tokenForm(atlassiantest.DefaultClientSecret))
	token, _ := a.object(t)["access_token"].(string)
	if a.status != 200 || token == "" {
		t.Fatalf("no token: %d %s", a.status, a.body)
	}
	return token
}

func askBearer(t *testing.T, s *atlassiantest.Server, rawURL, token string) answer {
	t.Helper()
	req := request(t, rawURL)
	req.Header.Set("Authorization", "Bearer "+token)
	return send(t, s, req)
}

func TestWhoMayRead(t *testing.T) {
	t.Parallel()
	const email = atlassiantest.DefaultEmail
	for _, c := range []struct {
		sentence string
		url      string
		user     string
		token    string
		prepare  func(*atlassiantest.Server)
		status   int
		text     string
	}{
		{sentence: "a classic token is good at the site", url: siteJira, user: email, token: atlassiantest.DefaultClassicToken, status: 200},
		{sentence: "a classic token is good at the site's wiki", url: siteWiki, user: email, token: atlassiantest.DefaultClassicToken, status: 200},
		{sentence: "a classic token is wrong at the gateway", url: gatewayJira, user: email, token: atlassiantest.DefaultClassicToken, status: 401, text: "Unauthorized"},
		{sentence: "a scoped token is good at the gateway", url: gatewayWiki, user: email, token: atlassiantest.DefaultScopedToken, status: 200},
		{sentence: "a scoped token is wrong at the site", url: siteJira, user: email, token: atlassiantest.DefaultScopedToken, status: 401, text: "errorMessages"},
		{sentence: "a scoped token is wrong at the site's wiki", url: siteWiki, user: email, token: atlassiantest.DefaultScopedToken, status: 401, text: "statusCode"},
		{sentence: "another e-mail address is wrong", url: siteJira, user: "else@example.com", token: atlassiantest.DefaultClassicToken, status: 401},
		{sentence: "nobody may read", url: gatewayJira, status: 401},
		{sentence: "a revoked token is wrong", url: siteJira, user: email, token: atlassiantest.DefaultClassicToken, status: 401,
			prepare: func(s *atlassiantest.Server) { s.Revoke(atlassiantest.Classic) }},
		{sentence: "a restored token is good again", url: siteJira, user: email, token: atlassiantest.DefaultClassicToken, status: 200,
			prepare: func(s *atlassiantest.Server) { s.Revoke(atlassiantest.Classic); s.Restore(atlassiantest.Classic) }},
		{sentence: "a replaced token is wrong", url: siteJira, user: email, token: atlassiantest.DefaultClassicToken, status: 401,
			prepare: func(s *atlassiantest.Server) { s.SetSecret(atlassiantest.Classic, "another") }},
		{sentence: "Jira's classic scope is enough for Jira", url: gatewayJira, user: email, token: atlassiantest.DefaultScopedToken, status: 200,
			prepare: func(s *atlassiantest.Server) {
				s.SetScopes(atlassiantest.Scoped, atlassiantest.ScopeJiraConfigure)
			}},
		{sentence: "version 2 takes the classic scope alone", url: strings.Replace(gatewayJira, "/3/", "/2/", 1), user: email, token: atlassiantest.DefaultScopedToken,
			status: 401, text: "scope does not match"},
		{sentence: "a scope for Jira does not open Confluence", url: gatewayWiki, user: email, token: atlassiantest.DefaultScopedToken, status: 401, text: "Unauthorized; scope does not match",
			prepare: func(s *atlassiantest.Server) { s.SetScopes(atlassiantest.Scoped, atlassiantest.ScopeJiraAudit) }},
		{sentence: "a person who is no administrator may not read", url: siteJira, user: email, token: atlassiantest.DefaultClassicToken, status: 403, text: "Administrator",
			prepare: func(s *atlassiantest.Server) { s.Deny(atlassiantest.Jira, atlassiantest.NotAdmin) }},
		{sentence: "the Free plan has no audit log", url: gatewayWiki, user: email, token: atlassiantest.DefaultScopedToken, status: 403, text: "you are on Free edition",
			prepare: func(s *atlassiantest.Server) { s.Deny(atlassiantest.Confluence, atlassiantest.FreePlan) }},
		{sentence: "a person without a licence may not read", url: siteWiki, user: email, token: atlassiantest.DefaultClassicToken, status: 403, text: "Current user not permitted to use Confluence",
			prepare: func(s *atlassiantest.Server) { s.Deny(atlassiantest.Confluence, atlassiantest.NoProductAccess) }},
		{sentence: "one product's refusal leaves the other alone", url: siteWiki, user: email, token: atlassiantest.DefaultClassicToken, status: 200,
			prepare: func(s *atlassiantest.Server) { s.Deny(atlassiantest.Jira, atlassiantest.FreePlan) }},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			if c.prepare != nil {
				c.prepare(s)
			}
			req := request(t, c.url)
			if c.user != "" {
				req.SetBasicAuth(c.user, c.token)
			}
			a := send(t, s, req)
			if a.status != c.status || !strings.Contains(string(a.body), c.text) {
				t.Errorf("answered %d %s, want %d with %q", a.status, a.body, c.status, c.text)
			}
			if c.status != 200 {
				a.object(t)
			}
			category := a.header.Get("X-Failure-Category")
			if scope := strings.Contains(c.text, "scope"); scope != (category == "FAILURE_CLIENT_SCOPE_CHECK") {
				t.Errorf("X-Failure-Category: %q", category)
			}
			log := s.Requests()
			if log[0].AuthRight != (c.status != 401 || strings.Contains(c.text, "scope")) {
				t.Errorf("the log says that the credential was right: %v", log[0].AuthRight)
			}
		})
	}
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	asJSON, err := json.Marshal(map[string]string{"grant_type": "client_credentials",
		"client_id": atlassiantest.DefaultClientID, "client_secret": atlassiantest.DefaultClientSecret})
	if err != nil {
		t.Fatal(err)
	}
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct {
		sentence    string
		media, body string
		status      int
		err         string
	}{
		{"a form is good", form, tokenForm(atlassiantest.DefaultClientSecret), 200, ""},
		{"JSON is good", "application/json", string(asJSON), 200, ""},
		{"a wrong secret is refused", form, tokenForm("wrong"), 401, "access_denied"},
		{"another grant is refused", form, "grant_type=password", 403, "unauthorized_client"},
		{"broken JSON is refused", "application/json", "{", 400, "invalid_request"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			a := fetchToken(t, s, c.media, c.body)
			got := a.object(t)
			if a.status != c.status || c.err != "" && got["error"] != c.err {
				t.Errorf("answered %d %s", a.status, a.body)
			}
			if c.status == 200 && (got["expires_in"] != 3600.0 || got["token_type"] != "Bearer") {
				t.Errorf("a token came with %s", a.body)
			}
		})
	}
}

func TestAccessTokens(t *testing.T) {
	t.Parallel()
	now := base
	var mu sync.Mutex
	s := atlassiantest.New(atlassiantest.Options{Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	forward := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }

	expect := func(sentence, rawURL, token string, status int) {
		t.Helper()
		if a := askBearer(t, s, rawURL, token); a.status != status {
			t.Errorf("%s: answered %d, want %d", sentence, a.status, status)
		}
	}
	first := bearer(t, s)
	expect("a token is good at the gateway", gatewayJira, first, 200)
	expect("a token is good for both products", gatewayWiki, first, 200)
	expect("a token is wrong at the site", siteJira, first, 401)
	forward(59 * time.Minute)
	expect("a token lives 59 minutes", gatewayJira, first, 200)
	second := bearer(t, s)
	forward(time.Minute)
	expect("a token is dead after 60 minutes", gatewayJira, first, 401)
	expect("another token has its own life", gatewayJira, second, 200)
	s.SetScopes(atlassiantest.Client, atlassiantest.ScopeConfluenceAudit)
	expect("a token keeps the scopes it was issued with", gatewayJira, second, 200)
	expect("a new token has the new scopes", gatewayJira, bearer(t, s), 401)
	s.RevokeTokens()
	expect("a revoked token is dead", gatewayJira, second, 401)
	third := bearer(t, s)
	s.Revoke(atlassiantest.Client)
	expect("a deleted credential takes its tokens with it", gatewayWiki, third, 401)
	if a := fetchToken(t, s, "application/x-www-form-urlencoded", tokenForm(atlassiantest.DefaultClientSecret)); a.status != 401 {
		t.Errorf("a deleted credential got an answer %d", a.status)
	}
	expect("a service account's API token is good as a bearer token", gatewayWiki, atlassiantest.DefaultServiceToken, 200)
}

func TestTheSiteTellsItsCloudIDToAnybody(t *testing.T) {
	t.Parallel()
	a := send(t, newServer(t), request(t, site+"/_edge/tenant_info"))
	if diff := cmp.Diff(map[string]any{"cloudId": atlassiantest.DefaultCloudID}, a.object(t)); diff != "" {
		t.Error(diff)
	}
}

func TestAccessibleResourcesNameTheSiteOncePerProduct(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := askBearer(t, s, gateway+"/oauth/token/accessible-resources", bearer(t, s))
	var got []struct {
		ID, URL string
		Scopes  []string
	}
	if err := json.Unmarshal(a.body, &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].ID != got[1].ID || got[0].URL != atlassiantest.DefaultSiteURL || len(got[0].Scopes) != 2 || len(got[1].Scopes) != 1 {
		t.Errorf("the resources are %s", a.body)
	}
	if a := ask(t, s, gateway+"/oauth/token/accessible-resources"); a.status != 401 {
		t.Errorf("an API token got an answer %d", a.status)
	}
}

func TestPermissionsAndRetentionCanBeAsked(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, admin := range []bool{true, false} {
		if !admin {
			s.Deny(atlassiantest.Jira, atlassiantest.NotAdmin)
		}
		a := ask(t, s, site+"/rest/api/3/mypermissions", "permissions", "ADMINISTER")
		want := `"havePermission":` + map[bool]string{true: "true", false: "false"}[admin]
		if a.status != 200 || !strings.Contains(string(a.body), want) {
			t.Errorf("answered %d %s", a.status, a.body)
		}
	}
	s.SetRetention(6, "MONTHS")
	a := ask(t, s, gatewayWiki+"/retention")
	if diff := cmp.Diff(map[string]any{"number": 6.0, "units": "MONTHS"}, a.object(t)); diff != "" {
		t.Error(diff)
	}
}

func TestTheLogHoldsNoCredential(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ask(t, s, siteJira)
	token := bearer(t, s)
	askBearer(t, s, gatewayWiki, token)
	send(t, s, request(t, siteWiki))
	text, err := json.Marshal(s.Requests())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{atlassiantest.DefaultClassicToken, atlassiantest.DefaultClientSecret, token} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
	var kinds []atlassiantest.AuthKind
	for _, r := range s.Requests() {
		kinds = append(kinds, r.Auth)
	}
	want := []atlassiantest.AuthKind{atlassiantest.AuthBasic, atlassiantest.AuthNone, atlassiantest.AuthBearer, atlassiantest.AuthNone}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Error(diff)
	}
	counts := []int{s.Count(atlassiantest.KindAudit), s.Count(atlassiantest.KindAudit, atlassiantest.Confluence), s.Count(atlassiantest.KindToken)}
	if diff := cmp.Diff([]int{3, 2, 1}, counts); diff != "" {
		t.Error(diff)
	}
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	s := fiveRecords(t)
	s.SetLimits(atlassiantest.Limits{PerSecond: 2})
	ask(t, s, siteJira)
	ask(t, s, siteJira)
	a := ask(t, s, siteJira)
	if a.status != 429 || a.header.Get("Retry-After") != "1" || a.header.Get("RateLimit-Reason") != "jira-burst-based" {
		t.Errorf("the third request of a second got %d with %v", a.status, a.header)
	}
	if a := ask(t, s, siteWiki); a.status != 200 {
		t.Errorf("the other product got %d", a.status)
	}

	s.SetLimits(atlassiantest.Limits{PointsPerHour: 7})
	token := bearer(t, s)
	if a := askBearer(t, s, gatewayWiki, token); a.status != 200 || a.header.Get("X-RateLimit-Remaining") != "1" || a.header.Get("X-RateLimit-NearLimit") != "true" {
		t.Errorf("6 of 7 points: %d with %v", a.status, a.header)
	}
	askBearer(t, s, gatewayWiki, token)
	a = askBearer(t, s, gatewayWiki, token)
	// The clock stands at 06:06:07; quotas begin anew at the full hour.
	if a.status != 429 || a.header.Get("Retry-After") != "3233" || a.header.Get("X-RateLimit-Reset") != "2026-03-04T07:00Z" {
		t.Errorf("over the quota: %d with %v", a.status, a.header)
	}
	if a := ask(t, s, gatewayWiki); a.status != 200 {
		t.Errorf("an API token, which no quota concerns, got %d", a.status)
	}
}
