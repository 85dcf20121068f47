package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func TestAConsentIsRenewedWhenItsTokenEnds(t *testing.T) {
	t.Parallel()
	c := newConsented(t)
	c.consent(host)
	for i, want := range []int{1, 1, 2, 2, 3} { // the first is the code's
		c.mustRead()
		if c.renewals() != want {
			t.Errorf("reading %d: %d requests for tokens, want %d", i+1, c.renewals(), want)
		}
		c.pass(35 * time.Minute)
	}
	// Months of it, and the token that was current 89 days ago.
	for range 4 {
		c.pass(89 * 24 * time.Hour)
		c.mustRead()
	}
	if c.server.ConsentsAlive() != 1 {
		t.Error("the consent is over")
	}
}

func TestNothingOfAConsentIsShown(t *testing.T) {
	t.Parallel()
	c := newConsented(t)
	c.consent(host)
	app := c.app()
	o := app.Site(host)
	if status, err := c.readWith(o, c.server.Transport()); status != 200 || err != nil {
		t.Fatalf("status %d, %v", status, err)
	}
	type inside struct{ a, b any }
	shown := fmt.Sprintf("%v %+v %#v %s %v %+v %#v", o, o, o, o, app, inside{o, app}, inside{o.RoundTripper(nil), app})
	for _, secret := range []string{atlassiantest.DefaultAppSecret, "simulated-refresh-token", "simulated-access-token"} {
		if strings.Contains(shown, secret) {
			t.Errorf("%s… is shown in %q", secret, shown)
		}
	}
	data, err := os.ReadFile(c.path)
	if err != nil || bytes.Contains(data, []byte(atlassiantest.DefaultAppSecret)) {
		t.Errorf("the file holds the client secret (%v)", err)
	}
}

func TestARefusedConsentIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]string{"as documented": "", "as seen in the field": "unauthorized_client"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newConsented(t)
			c.consent(host)
			c.server.SetRotation(atlassiantest.Rotation{Refusal: refusal})
			c.server.EndConsent()
			c.pass(2 * time.Hour)
			var first string
			for i := range 5 {
				_, err := c.read(c.server.Transport())
				if codeOf(err) != CodeConsentEnded || !strings.HasSuffix(err.Error(), "consent again with: authorize --now") || strings.Contains(err.Error(), "lost,") {
					t.Fatalf("error %v", err)
				}
				if first == "" {
					first = err.Error()
				} else if err.Error() != first {
					t.Errorf("the sentence changed to %v", err)
				}
				if c.renewals() != 2 {
					t.Errorf("reading %d: %d requests for tokens, want 2", i+1, c.renewals())
				}
				c.pass(time.Hour)
			}
			// Another secret is worth one attempt, and so is another consent.
			c.server.SetSecret(atlassiantest.App, "another-secret")
			secret := func(o *AppOptions) { o.ClientSecret = "another-secret" }
			for range 2 {
				if _, err := c.read(c.server.Transport(), secret); codeOf(err) != CodeConsentEnded || c.renewals() != 3 {
					t.Errorf("with another secret: %v, %d requests for tokens", err, c.renewals())
				}
			}
			c.server.SetSecret(atlassiantest.App, atlassiantest.DefaultAppSecret)
			c.consent(host)
			c.mustRead()
		})
	}
}

func TestAWrongClientSecretKeepsTheConsent(t *testing.T) {
	t.Parallel()
	c := newConsented(t)
	c.consent(host)
	c.pass(2 * time.Hour)
	wrong := func(o *AppOptions) { o.ClientSecret = "wrong" }
	if _, err := c.read(c.server.Transport(), wrong); codeOf(err) != CodeClient || !strings.Contains(err.Error(), "the consent is kept") {
		t.Errorf("error %v", err)
	}
	c.pass(time.Hour)
	c.mustRead()
	// And no later refusal is blamed on it.
	if _, err := c.read(c.server.Transport(), wrong); err != nil {
		t.Errorf("a token that is good was not used: %v", err)
	}
	c.pass(2 * time.Hour)
	if _, err := c.read(c.server.Transport(), wrong); codeOf(err) != CodeClient {
		t.Errorf("error %v", err)
	}
	c.server.EndConsent()
	if _, err := c.read(c.server.Transport()); codeOf(err) != CodeConsentEnded || strings.Contains(err.Error(), "lost,") {
		t.Errorf("error %v", err)
	}
}

func TestTokenEndpointOfAConsent(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		action atlassiantest.Action
		code   string
		person bool
	}{
		"the rate limit":               {atlassiantest.RateLimit(90*time.Second, atlassiantest.RetrySeconds), CodeTokenWait, false},
		"an outage":                    {atlassiantest.ServerError(502), CodeTokenServer, false},
		"a web page":                   {atlassiantest.Answer(200, "<html>", "Content-Type", "text/html"), CodeTokenInvalid, false},
		"a web page that refuses":      {atlassiantest.Answer(403, "<html>", "Content-Type", "text/html"), CodeTokenInvalid, true},
		"a redirect":                   {atlassiantest.Redirect("https://evil.example/oauth/token"), CodeTokenRedirect, true},
		"a body that breaks off":       {atlassiantest.TruncateQuietly(0.5), CodeTokenInvalid, false},
		"a token of an unknown kind":   {atlassiantest.Answer(200, `{"access_token":"x","token_type":"mac","refresh_token":"y"}`), CodeTokenInvalid, true},
		"no token":                     {atlassiantest.Answer(200, `{}`), CodeTokenInvalid, false},
		"another refusal of the token": {atlassiantest.Answer(400, `{"error":"invalid_grant"}`), CodeConsentEnded, true},
		"a refusal of the client":      {atlassiantest.Answer(401, `{"error":"invalid_client"}`), CodeClient, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newConsented(t)
			c.consent(host)
			c.pass(2 * time.Hour)
			c.server.Fault(atlassiantest.Fault{Kind: atlassiantest.KindToken, Action: tc.action, Times: 1})
			_, err := c.read(c.server.Transport())
			var e *Error
			if !errors.As(err, &e) || e.Code() != tc.code || e.NeedsPerson() != tc.person || e.Next() == "" {
				t.Fatalf("error %v (%s)", err, codeOf(err))
			}
			if tc.code == CodeConsentEnded {
				return
			}
			c.pass(time.Minute)
			c.mustRead()
		})
	}
}

func TestAnAnswerWithoutARefreshTokenKeepsTheOldOne(t *testing.T) {
	t.Parallel()
	c := newConsented(t)
	c.consent(host)
	c.server.SetRotation(atlassiantest.Rotation{Omit: true})
	for range 3 {
		c.pass(2 * time.Hour)
		c.mustRead()
	}
	c.server.SetRotation(atlassiantest.Rotation{})
	c.pass(2 * time.Hour)
	c.mustRead()
}

func TestOneProcessRenewsAndTheOthersUseWhatItGot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newConsented(t)
		c.consent(host)
		// What comes of a token used twice shows at once: no leeway but an instant.
		c.server.SetRotation(atlassiantest.Rotation{Leeway: time.Nanosecond})
		for round := range 3 {
			c.pass(2 * time.Hour)
			before := c.renewals()
			first, err := c.app().store.renewing(t.Context(), c.app().key)
			if err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if status, err := c.read(c.server.Transport()); err != nil || status != 200 {
						t.Errorf("status %d, %v", status, err)
					}
				})
			}
			synctest.Wait() // until each has seen that the token is over, and waits
			first()
			all.Wait()
			if got := c.renewals() - before; got != 1 {
				t.Errorf("round %d: %d renewals by 8 processes", round, got)
			}
		}
	})
}

func TestWhenAnAccessTokenMayBeSent(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ends time.Duration
		want bool
	}{
		"in an hour":                            {time.Hour, true},
		"in a minute and a second":              {time.Minute + time.Second, true},
		"in a minute":                           {time.Minute, false},
		"a while ago":                           {-time.Hour, false},
		"later than any, by a clock gone wrong": {48 * time.Hour, false},
	} {
		g := grant{AccessToken: "t", Expiry: epoch.Add(tc.ends)}
		if got := g.usable(epoch); got != tc.want {
			t.Errorf("one that ends %s: %v", name, got)
		}
	}
	if (&grant{Expiry: epoch.Add(time.Hour)}).usable(epoch) {
		t.Error("no token is sent")
	}
}

func TestWhoWaitsForAnotherProcessGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	c := newConsented(t)
	c.consent(host)
	c.pass(2 * time.Hour)
	done, err := c.app().store.renewing(t.Context(), c.app().key)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := c.app().Site(host).get(ctx, c.server.Transport(), ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if c.renewals() != 1 {
		t.Error("it renewed beside the other process")
	}
}

func TestATokenThatIsRefusedIsReplacedButNotInEveryRun(t *testing.T) {
	t.Parallel()
	c := newConsented(t)
	c.consent(host)
	c.pass(20 * time.Minute)
	c.server.RevokeTokens()
	c.mustRead()
	if c.renewals() != 2 {
		t.Errorf("%d requests for tokens", c.renewals())
	}
	// What is refused for another reason rotates no token.
	c.server.Fault(atlassiantest.Fault{Action: atlassiantest.Answer(401, `{}`)})
	for range 4 {
		if status, err := c.read(c.server.Transport()); status != 401 || err != nil {
			t.Errorf("status %d, %v", status, err)
		}
		c.pass(time.Minute)
	}
	if c.renewals() != 2 {
		t.Errorf("%d requests for tokens after four refusals of a young one", c.renewals())
	}
	c.server.ClearFaults()
	c.server.SetScopes(atlassiantest.App)
	c.consentWithoutScopes()
	c.pass(30 * time.Minute)
	before := c.renewals()
	if status, err := c.read(c.server.Transport()); status != 401 || err != nil || c.renewals() != before {
		t.Errorf("for a scope that is missing: status %d, %v, %d renewals", status, err, c.renewals()-before)
	}
}

func TestAClockThatJumpsCostsAtMostARenewal(t *testing.T) {
	t.Parallel()
	for name, jump := range map[string]time.Duration{"two days ahead": 48 * time.Hour, "two days back": -48 * time.Hour, "a year ahead": 365 * 24 * time.Hour, "half an hour back": -30 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newConsented(t)
			c.server = atlassiantest.New(atlassiantest.Options{Now: clockOf(&c.offset)})
			var local atomic.Int64
			now := func() time.Time { return c.now().Add(time.Duration(local.Load())) }
			skewed := func(o *AppOptions) { o.Now, o.Store = now, NewStore(c.path, now) }
			c.consent(host)
			for _, at := range []int64{int64(jump), 0, int64(jump)} {
				local.Store(at)
				for range 3 {
					if status, err := c.read(c.server.Transport(), skewed); err != nil || status != 200 {
						t.Fatalf("status %d, %v", status, err)
					}
					c.pass(40 * time.Minute)
				}
			}
			if n := c.renewals(); n > 1+9 {
				t.Errorf("%d requests for tokens in nine readings", n)
			}
		})
	}
}

func TestSitesShareTheConsentThatReachesThem(t *testing.T) {
	t.Parallel()
	c := newConsented(t)
	bound := func(want ...string) {
		t.Helper()
		set, err := c.app().store.grants(c.app().key)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, g := range set.Grants {
			got = append(got, strings.Join(g.Sites, "+"))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("sites of each consent (-want +got):\n%s", diff)
		}
	}
	c.consent("a")
	bound("a")
	c.consent("a", "b") // the same account, a second site: one consent for both
	bound("a+b")
	c.consent("c") // another account
	bound("a+b", "c")
	c.consent("b")
	bound("a", "c", "b")
	c.consent("a", "b", "c")
	bound("a+b+c")
	if hosts, err := c.app().Bound(); err != nil || strings.Join(hosts, " ") != "a b c" {
		t.Errorf("bound %v, %v", hosts, err)
	}
	if _, err := c.read(c.server.Transport()); codeOf(err) != CodeNoConsent || err.Error() != "nobody has consented yet that this app reads from example.atlassian.net: run: authorize --now" {
		t.Errorf("error %v", err)
	}
}

func TestAConsentIsOfItsAppAndServerWhateverTheSecret(t *testing.T) {
	t.Parallel()
	c := newConsented(t)
	keys := map[string]bool{}
	for _, change := range []func(*AppOptions){
		func(*AppOptions) {},
		func(o *AppOptions) { o.ClientSecret = "another" },
		func(o *AppOptions) { o.ClientID = "another" },
		func(o *AppOptions) { o.AuthServer = parse(t, "https://auth.example") },
	} {
		keys[c.app(change).key] = true
	}
	if len(keys) != 3 {
		t.Errorf("%d keys, want 3", len(keys))
	}
}

func TestADamagedTokenFileIsNotTakenForNoConsent(t *testing.T) {
	t.Parallel()
	c := newConsented(t)
	c.consent(host)
	if err := os.WriteFile(c.path, bytes.Repeat([]byte("x"), 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := c.read(c.server.Transport())
	if codeOf(err) != CodeTokenStore || !strings.Contains(err.Error(), "cannot be read: move it away and consent again") {
		t.Errorf("error %v", err)
	}
}

// TestAConsentThatIsOutOfSightIsNotTakenForNone: a client of the same run path had
// the damaged file set aside, or this user may not look into the folder.
func TestAConsentThatIsOutOfSightIsNotTakenForNone(t *testing.T) {
	t.Parallel()
	c := newConsented(t)
	c.consent(host)
	if err := os.WriteFile(c.path, bytes.Repeat([]byte("x"), 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	store := NewStore(c.path, c.now)
	if _, warning, err := store.get("a client's"); err != nil || !strings.Contains(warning, "set aside as ") {
		t.Fatalf("%q, %v", warning, err)
	}
	put(t, store, "a client's", "token-1")
	_, err := c.read(c.server.Transport())
	if codeOf(err) != CodeNoConsent || !strings.Contains(err.Error(), "set aside as "+filepath.Base(c.path)+".unreadable-") {
		t.Errorf("error %v", err)
	}

	// What Lstat says of a file below a file is as for one below a closed folder:
	// it is not known whether there is one.
	if runtime.GOOS == "windows" {
		return // there it is the same as for no file
	}
	_, err = NewStore(filepath.Join(c.path, "tokens.json"), c.now).grants("app")
	if codeOf(err) != CodeTokenStore {
		t.Errorf("error %v", err)
	}
}

func TestAnUnknownFieldOfAStoredGrantDoesNoHarm(t *testing.T) {
	t.Parallel()
	var g grant
	if err := json.Unmarshal([]byte(`{"id":"1","refresh_token":"r","more":{"a":1}}`), &g); err != nil || g.RefreshToken != "r" {
		t.Errorf("%+v, %v", g, err)
	}
}
