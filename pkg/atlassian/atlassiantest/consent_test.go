package atlassiantest_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

const callback = "http://localhost:14390/callback"

// consentServer is a server whose clock the test moves.
func consentServer(t *testing.T) (s *atlassiantest.Server, pass func(time.Duration)) {
	t.Helper()
	now := base
	s = atlassiantest.New(atlassiantest.Options{Seed: 7, Now: func() time.Time { return now }})
	return s, func(d time.Duration) { now = now.Add(d) }
}

func consentURL(change ...string) string {
	q := url.Values{
		"audience": {"api.atlassian.com"}, "client_id": {atlassiantest.DefaultAppID}, "redirect_uri": {callback}, "state": {"the-state"},
		"response_type": {"code"}, "prompt": {"consent"},
		"scope": {"read:audit-log:jira read:audit-log:confluence offline_access"},
	}
	for i := 0; i+1 < len(change); i += 2 {
		q.Set(change[i], change[i+1])
	}
	return "https://auth.atlassian.com/authorize?" + q.Encode()
}

// consent is the answer that the callback gets.
func consent(t *testing.T, s *atlassiantest.Server, change ...string) (url.Values, error) {
	t.Helper()
	landing, err := atlassiantest.AtConsentPage(t.Context(), &http.Client{Transport: s.Transport()}, consentURL(change...))
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(landing)
	if err != nil || !strings.HasPrefix(landing, callback+"?") {
		t.Fatalf("the browser ends at %q, %v", landing, err)
	}
	return u.Query(), nil
}

func exchange(t *testing.T, s *atlassiantest.Server, pairs ...string) answer {
	t.Helper()
	form := url.Values{"client_id": {atlassiantest.DefaultAppID}, "client_secret": {atlassiantest.DefaultAppSecret}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return fetchToken(t, s, "application/x-www-form-urlencoded", form.Encode())
}

func withCode(t *testing.T, s *atlassiantest.Server, change ...string) (access, refresh string) {
	t.Helper()
	q, err := consent(t, s, change...)
	if err != nil {
		t.Fatal(err)
	}
	return tokens(t, exchange(t, s, "grant_type", "authorization_code", "code", q.Get("code"), "redirect_uri", callback))
}

func tokens(t *testing.T, a answer) (access, refresh string) {
	t.Helper()
	if a.status != 200 {
		t.Fatalf("no token: %d %s", a.status, a.body)
	}
	access, _ = a.object(t)["access_token"].(string)
	refresh, _ = a.object(t)["refresh_token"].(string)
	return access, refresh
}

func TestTheConsentPageSendsBackOnlyWhatItWasAskedForRightly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sentence string
		change   []string
		prepare  func(*atlassiantest.Server)
		says     string
	}{
		{sentence: "another app", change: []string{"client_id", "else"}, says: "identifier is invalid"},
		{sentence: "a callback that is not this machine's", change: []string{"redirect_uri", "http://evil.example/callback"}, says: "redirect_uri"},
		{sentence: "another path", change: []string{"redirect_uri", "http://localhost/else"}, says: "redirect_uri"},
		{sentence: "no audience", change: []string{"audience", ""}, says: "lacks one of"},
		{sentence: "no prompt", change: []string{"prompt", "none"}, says: "lacks one of"},
		{sentence: "no state", change: []string{"state", ""}, says: "lacks one of"},
		{sentence: "a scope that was not added to the app", says: "have not been added to the app. Add the following scopes: read:audit-log:confluence",
			prepare: func(s *atlassiantest.Server) { s.SetScopes(atlassiantest.App, atlassiantest.ScopeJiraAudit) }},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			s, _ := consentServer(t)
			if c.prepare != nil {
				c.prepare(s)
			}
			if _, err := consent(t, s, c.change...); err == nil || !strings.Contains(err.Error(), "Something went wrong") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}

func TestConsentDenied(t *testing.T) {
	t.Parallel()
	s, _ := consentServer(t)
	s.SetConsent(atlassiantest.Consent{Deny: true})
	q, err := consent(t, s)
	if err != nil || q.Get("error") != "access_denied" || q.Get("state") != "the-state" || q.Has("code") {
		t.Errorf("the callback got %v, %v", q, err)
	}
}

func TestACodeIsGoodOnceAndForItsCallback(t *testing.T) {
	t.Parallel()
	s, pass := consentServer(t)
	take := func(code, redirect string) int {
		return exchange(t, s, "grant_type", "authorization_code", "code", code, "redirect_uri", redirect).status
	}
	fresh := func() string {
		q, err := consent(t, s)
		if err != nil {
			t.Fatal(err)
		}
		return q.Get("code")
	}
	code := fresh()
	late := fresh()
	got := []int{take(code, callback), take(code, callback), take(fresh(), callback+"x")}
	pass(10 * time.Minute)
	got = append(got, take(late, callback))
	if diff := cmp.Diff([]int{200, 403, 403, 403}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestAnAccessTokenReachesWhatWasConsentedTo(t *testing.T) {
	t.Parallel()
	s, _ := consentServer(t)
	access, _ := withCode(t, s, "scope", "read:audit-log:jira offline_access")
	if got := askBearer(t, s, gatewayJira, access); got.status != 200 {
		t.Errorf("Jira answers %d %s", got.status, got.body)
	}
	if got := askBearer(t, s, gatewayWiki, access); got.status != 401 || !strings.Contains(string(got.body), "scope does not match") {
		t.Errorf("Confluence answers %d %s", got.status, got.body)
	}
	other := atlassiantest.Site{CloudID: "99999999-a1b2-4c33-8d44-5566778899aa", URL: "https://other.atlassian.net"}
	s.SetConsent(atlassiantest.Consent{Sites: []atlassiantest.Site{other}})
	both, _ := withCode(t, s)
	list := func(token string) (ids []string) {
		for _, r := range askBearer(t, s, "https://api.atlassian.com/oauth/token/accessible-resources", token).array(t) {
			id, _ := r["id"].(string)
			ids = append(ids, id[:8])
		}
		return ids
	}
	// Two sites, each once for each product; the first token reaches both too.
	if diff := cmp.Diff([]string{"11223344", "99999999", "11223344", "99999999"}, list(both)); diff != "" {
		t.Errorf("sites (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"11223344", "99999999"}, list(access)); diff != "" {
		t.Errorf("sites of the first token (-want +got):\n%s", diff)
	}
	alone := atlassiantest.New(atlassiantest.Options{Now: func() time.Time { return base }})
	alone.SetConsent(atlassiantest.Consent{Sites: []atlassiantest.Site{other}})
	wrong, _ := withCode(t, alone)
	if got := askBearer(t, alone, gatewayJira, wrong); got.status != 401 {
		t.Errorf("a consent to another site is good here: %d", got.status)
	}
}

// TestRotation: what each exchange of a numbered refresh token answers. The
// first token is 0, and each success numbers the token that it gave.
func TestRotation(t *testing.T) {
	t.Parallel()
	type step struct {
		use  int
		wait time.Duration // before
		want int
	}
	for _, c := range []struct {
		sentence string
		rotation atlassiantest.Rotation
		steps    []step
	}{
		{"each new token is good", atlassiantest.Rotation{}, []step{{0, 0, 200}, {1, time.Hour, 200}, {2, time.Hour, 200}}},
		{"the former token is good within the leeway", atlassiantest.Rotation{}, []step{{0, 0, 200}, {0, 10 * time.Minute, 200}, {2, 0, 200}}},
		{"what a lost answer held stays good", atlassiantest.Rotation{}, []step{{0, 0, 200}, {0, time.Minute, 200}, {1, 0, 200}}},
		{"beyond the leeway it ends all", atlassiantest.Rotation{}, []step{{0, 0, 200}, {0, 10*time.Minute + time.Second, 403}, {1, 0, 403}}},
		{"the last but one ends all, within the leeway too", atlassiantest.Rotation{}, []step{{0, 0, 200}, {1, 0, 200}, {0, time.Second, 403}, {2, 0, 403}}},
		{"90 days without use end it", atlassiantest.Rotation{}, []step{{0, 90 * 24 * time.Hour, 200}, {1, 90*24*time.Hour + time.Second, 403}}},
		{"another leeway", atlassiantest.Rotation{Leeway: time.Minute}, []step{{0, 0, 200}, {0, 2 * time.Minute, 403}}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			s, pass := consentServer(t)
			s.SetRotation(c.rotation)
			_, first := withCode(t, s)
			numbered := []string{first}
			for i, step := range c.steps {
				pass(step.wait)
				a := exchange(t, s, "grant_type", "refresh_token", "refresh_token", numbered[step.use])
				if a.status != step.want {
					t.Fatalf("step %d: status %d %s, want %d", i+1, a.status, a.body, step.want)
				}
				if a.status == 200 {
					_, next := tokens(t, a)
					if next == "" || slices.Contains(numbered, next) {
						t.Fatalf("step %d: no new token", i+1)
					}
					numbered = append(numbered, next)
				}
			}
		})
	}
}

func TestRefreshTokenMayBeLeftOut(t *testing.T) {
	t.Parallel()
	s, pass := consentServer(t)
	if _, refresh := withCode(t, s, "scope", "read:audit-log:jira"); refresh != "" {
		t.Error("a refresh token without offline_access")
	}
	_, refresh := withCode(t, s)
	s.SetRotation(atlassiantest.Rotation{Omit: true})
	for range 3 {
		pass(time.Hour)
		access, again := tokens(t, exchange(t, s, "grant_type", "refresh_token", "refresh_token", refresh))
		if access == "" || again != "" {
			t.Errorf("access token of %d characters, refresh token of %d", len(access), len(again))
		}
	}
}

func TestConsentEnds(t *testing.T) {
	t.Parallel()
	s, _ := consentServer(t)
	use := func(refresh string) string {
		a := exchange(t, s, "grant_type", "refresh_token", "refresh_token", refresh)
		if a.status == 200 {
			return "good"
		}
		code, _ := a.object(t)["error"].(string)
		return code
	}
	_, first := withCode(t, s)
	s.SetConsent(atlassiantest.Consent{EndsFormer: true})
	_, second := withCode(t, s)
	if got := use(first); got != "invalid_grant" || s.ConsentsAlive() != 1 {
		t.Errorf("the former token: %s, %d alive", got, s.ConsentsAlive())
	}
	s.EndConsent()
	s.SetRotation(atlassiantest.Rotation{Refusal: "unauthorized_client"})
	if got := use(second); got != "unauthorized_client" || s.ConsentsAlive() != 0 {
		t.Errorf("after its end: %s, %d alive", got, s.ConsentsAlive())
	}
	s.Revoke(atlassiantest.App)
	if got := use(second); got != "access_denied" {
		t.Errorf("with a wrong secret: %s", got)
	}
}
