package check

import (
	"net/http"
	"testing"
	"time"

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
