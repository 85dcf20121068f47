package auth

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"atlassian_audit_records/pkg/shared"
	"atlassian_audit_records/pkg/shared/sharedtest"
)

// vaultOf is a vault as the check makes one of a store.
type vaultOf struct{ *shared.Consents }

func (v vaultOf) TryLock(ctx context.Context, app string) (VaultLock, string, bool, error) {
	l, who, ok, err := v.Consents.TryLock(ctx, app)
	return l, who.Host, ok, err
}

// fellow is one of the machines that share a consent.
type fellow struct {
	c      *consented
	host   string
	path   string
	client *sharedtest.Client
}

func (c *consented) fellow(s *sharedtest.Store, name string) *fellow {
	return &fellow{c: c, host: name, path: filepath.Join(c.t.TempDir(), "tokens.json"), client: s.Client()}
}

// fellows are two machines that share a consent, which the first one had before and has
// shared by reading.
func fellows(t *testing.T) (c *consented, s *sharedtest.Store, a, b *fellow) {
	t.Helper()
	c = newConsented(t)
	s = sharedtest.NewStore(c.now)
	a, b = c.fellow(s, "web-1"), c.fellow(s, "web-2")
	c.consent(host)
	a.path = c.path
	a.mustRead()
	return c, s, a, b
}

// with is the store of a new process of the machine's.
func (f *fellow) with(o *AppOptions) {
	o.Store = NewStore(f.path, f.c.now).WithVault(vaultOf{shared.NewConsents(f.client, shared.Holder{Node: shared.NewID(), Host: f.host}, f.c.now)})
}

func (f *fellow) mustRead() {
	f.c.t.Helper()
	if status, err := f.c.read(f.c.server.Transport(), f.with); err != nil || status != http.StatusOK {
		f.c.t.Fatalf("%s: status %d, %v", f.host, status, err)
	}
}

// TestMachinesShareAConsent: whoever's turn it is renews, and the others go on with
// what came, long after Atlassian has forgotten the old refresh token. The one that
// consented before it shared brings its consent along.
func TestMachinesShareAConsent(t *testing.T) {
	t.Parallel()
	c, _, a, b := fellows(t)
	for range 6 {
		b.mustRead()
		c.pass(90 * time.Minute)
		a.mustRead()
		b.mustRead()
		c.pass(90 * time.Minute)
		b.mustRead()
	}
}

// TestOneMachineRenewsAtATime: of two that find the token at its end, one renews it
// and the other waits for that.
func TestOneMachineRenewsAtATime(t *testing.T) {
	t.Parallel()
	c, _, a, b := fellows(t)
	c.pass(2 * time.Hour)
	var mu sync.Mutex
	renewals := 0
	counting := transport(func(r *http.Request) (*http.Response, error) {
		if strings.Contains(r.URL.Path, "/oauth/token") {
			mu.Lock()
			renewals++
			mu.Unlock()
		}
		return c.server.Transport().RoundTrip(r)
	})
	var both sync.WaitGroup
	for _, f := range []*fellow{a, b} {
		both.Go(func() {
			if status, err := c.read(counting, f.with); err != nil || status != http.StatusOK {
				t.Errorf("%s: status %d, %v", f.host, status, err)
			}
		})
	}
	both.Wait()
	if renewals != 1 {
		t.Errorf("the token was renewed %d times", renewals)
	}
}

// transport is a http.RoundTripper that is a function.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestARenewalThatTheStoreDoesNotTakeIsNotLost: the store goes away between the
// question and the answer, and stays away for longer than Atlassian repeats it.
func TestARenewalThatTheStoreDoesNotTakeIsNotLost(t *testing.T) {
	t.Parallel()
	c, s, a, b := fellows(t)
	c.pass(2 * time.Hour)
	cut := transport(func(r *http.Request) (*http.Response, error) {
		resp, err := c.server.Transport().RoundTrip(r)
		if strings.Contains(r.URL.Path, "/oauth/token") {
			a.client.Cut(true)
		}
		return resp, err
	})
	if _, err := c.read(cut, a.with); err == nil || !strings.Contains(err.Error(), "could not be read") {
		t.Errorf("it says %v", err)
	}
	c.pass(time.Hour)
	if _, err := c.read(c.server.Transport(), a.with); err == nil {
		t.Error("it reads with a token that ended")
	}
	a.client.Cut(false)
	s.Expire("consents/" + c.app().key + "/lease")
	a.mustRead()
	c.pass(2 * time.Hour)
	b.mustRead()
}

// TestTheStoreAway: a token is used to its end, and not renewed.
func TestTheStoreAway(t *testing.T) {
	t.Parallel()
	c, _, a, _ := fellows(t)
	a.client.Cut(true)
	c.pass(10 * time.Minute)
	a.mustRead()
	c.pass(time.Hour)
	_, err := c.read(c.server.Transport(), a.with)
	if err == nil || !strings.Contains(err.Error(), "the consent that machines share could not be locked") {
		t.Errorf("it says %v", err)
	}
}

// TestALockThatIsNotGivenBack is waited for until its end.
func TestALockThatIsNotGivenBack(t *testing.T) {
	t.Parallel()
	c, _, a, b := fellows(t)
	c.pass(2 * time.Hour)
	b.client.Before(func(operation string) {
		if operation == "hold" {
			c.pass(time.Second)
		}
	})
	consents := shared.NewConsents(a.client, shared.Holder{Node: "x", Host: "web-1"}, c.now)
	if _, _, ok, err := consents.TryLock(t.Context(), c.app().key); !ok || err != nil {
		t.Fatalf("TryLock: %t, %v", ok, err)
	}
	_, err := c.read(c.server.Transport(), b.with)
	if err == nil || !strings.Contains(err.Error(), "web-1 has been renewing the token") {
		t.Errorf("it says %v", err)
	}
	c.pass(time.Minute)
	b.mustRead()
}
