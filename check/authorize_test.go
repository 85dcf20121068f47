package check

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
)

const callback = "http://localhost:14390/callback"

// begin begins a consent for the first of these instances.
func (w *world) begin(products []audit.Product, all ...*Config) *Authorization {
	w.t.Helper()
	a, err := NewAuthorization(all[0], all, products, callback, w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// press is what the callback gets when the person has pressed the button.
func (w *world) press(a *Authorization) (code string, err error) {
	w.t.Helper()
	landing, err := atlassiantest.AtConsentPage(w.t.Context(), &http.Client{Transport: w.server.Transport()}, a.Address())
	if err != nil {
		w.t.Fatal(err)
	}
	return a.Consent.Answer(landing)
}

// consent is given, for the first of these instances.
func (w *world) consent(all ...*Config) *Authorized {
	w.t.Helper()
	a := w.begin(nil, all...)
	code, err := w.press(a)
	if err != nil {
		w.t.Fatal(err)
	}
	done, err := a.Finish(w.t.Context(), code)
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

// authorize is a consent as the outcome of a run, with the code that Atlassian
// gives or another one.
func (w *world) authorize(c *Config, forged string) (Result, Recorded) {
	w.t.Helper()
	a := w.begin(nil, c)
	code, err := w.press(a)
	if forged != "" {
		code = forged
	}
	if err == nil {
		_, err = a.Finish(w.t.Context(), code)
	}
	if err == nil {
		w.t.Fatal("the consent went well")
	}
	return Result{Error: Sentence(err)}, Recorded{}
}

func TestAConsentIsUsedByTheRunsThatFollow(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(oauthAuth)
		done := w.consent(c)
		if len(done.Sites) != 1 || len(done.Bound) != 1 || done.Bound[0] != c.Host() || len(done.Probes) != 2 || done.Failed() != nil {
			t.Errorf("the consent gave %+v", done)
		}
		for range 3 {
			w.runWell(c)
			pass(time.Hour)
		}
		if len(w.spooled(audit.Jira)) != 30 || len(w.spooled(audit.Confluence)) != 30 {
			t.Errorf("%d and %d records", len(w.spooled(audit.Jira)), len(w.spooled(audit.Confluence)))
		}
	})
}

func TestOneConsentServesEverySiteThatItReaches(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		// Two addresses of one site, and an instance with another app.
		first, second := w.config(oauthAuth, "products: [jira]"), w.config(oauthAuth, "products: [confluence]")
		second.Site = &url.URL{Scheme: "https", Host: "second.atlassian.net"}
		other := w.config(strings.Replace(oauthAuth, atlassiantest.DefaultAppID, "another-app", 1))
		other.Site = &url.URL{Scheme: "https", Host: "third.atlassian.net"}
		done := w.consent(first, second, other)
		if diff := cmp.Diff([]string{"example.atlassian.net", "second.atlassian.net"}, done.Bound); diff != "" {
			t.Errorf("the consent is used for (-want +got):\n%s", diff)
		}
		// It was for the products of both instances, so both read.
		w.runWell(first)
		w.runWell(second)
		if a := w.begin([]audit.Product{audit.Jira}, first, second); len(a.Missing) != 1 || a.Missing[0] != audit.Confluence || len(a.Scopes) != 2 {
			t.Errorf("for Jira alone it asks for %v, and misses %v", a.Scopes, a.Missing)
		}
		if res, _ := w.runOnce(other); !strings.Contains(res.Error, "nobody has consented yet that this app reads from third.atlassian.net") {
			t.Errorf("the other app: %s", res.Error)
		}
	})
}

func TestAConsentThatEndedIsCriticalAndNotAskedForAgain(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(oauthAuth)
		w.consent(c)
		w.runWell(c)
		w.server.EndConsent()
		pass(2 * time.Hour)
		w.requests()
		for round := range 3 {
			res, rec := w.runOnce(c)
			status, messages := states(rec)
			if !slices.Contains(status, "can_connect jira CRITICAL") || !strings.Contains(messages["can_connect jira"], "consent again with: ") || !strings.Contains(res.Error, "(consent_ended)") {
				t.Errorf("can_connect is %v: %s", status, messages["can_connect jira"])
			}
			tokens := 0
			for _, r := range w.requests() {
				if r.Kind == atlassiantest.KindToken {
					tokens++
				}
			}
			if want := map[int]int{0: 1}[round]; tokens != want {
				t.Errorf("run %d: %d requests for tokens, want %d", round+1, tokens, want)
			}
			pass(time.Minute)
		}
		// Nothing is lost: the next consent goes on where it was.
		before := len(w.spooled(audit.Jira))
		w.server.AddBurst("jira", 3, time.Now().Add(-time.Hour))
		w.consent(c)
		w.runWell(c)
		if got := len(w.spooled(audit.Jira)); got != before+3 {
			t.Errorf("%d records, want %d", got, before+3)
		}
	})
}
