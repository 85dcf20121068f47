package auth

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// breaking is a connection on which something happens at a request for a token.
type breaking struct {
	base   http.RoundTripper
	before func() error
	after  func() error
}

func (b breaking) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Path != "/oauth/token" {
		return b.base.RoundTrip(req)
	}
	if b.before != nil {
		if err := b.before(); err != nil {
			closeBody(req)
			return nil, err
		}
	}
	resp, err := b.base.RoundTrip(req)
	if err == nil && b.after != nil {
		if broken := b.after(); broken != nil {
			_ = resp.Body.Close()
			return nil, broken
		}
	}
	return resp, err
}

var errCut = errors.New("connection reset")

// TestAConsentOutlivesWhatGoesWrongOnTheWay: between any two steps of a renewal
// the process dies, the answer is lost or the store cannot be written; the next
// process, within the leeway, reads on.
func TestAConsentOutlivesWhatGoesWrongOnTheWay(t *testing.T) {
	t.Parallel()
	die := func() error { panic("kill -9") }
	cut := func() error { return errCut }
	for name, broken := range map[string]func(*consented) breaking{
		"nothing goes wrong":                        func(*consented) breaking { return breaking{} },
		"it dies before the request":                func(*consented) breaking { return breaking{before: die} },
		"it dies before the answer is stored":       func(*consented) breaking { return breaking{after: die} },
		"the request never arrives":                 func(*consented) breaking { return breaking{before: cut} },
		"the answer is lost":                        func(*consented) breaking { return breaking{after: cut} },
		"another process is at the token file":      func(c *consented) breaking { return breaking{after: c.occupied} },
		"the token file is replaced by a directory": func(c *consented) breaking { return breaking{after: c.unwritable} },
	} {
		for _, times := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s, %d times", name, times), func(t *testing.T) {
				t.Parallel()
				c := newConsented(t)
				c.consent(host)
				c.pass(2 * time.Hour)
				for range times {
					b := broken(c)
					b.base = c.server.Transport()
					func() {
						defer func() { _ = recover() }()
						_, _ = c.read(b)
					}()
					c.restore()
					c.pass(3 * time.Minute)
				}
				c.mustRead()
				c.pass(2 * time.Hour)
				c.mustRead()
				if c.server.ConsentsAlive() != 1 {
					t.Error("the consent is over")
				}
			})
		}
	}
}

// occupied holds the token file until the test is over, or restore.
func (c *consented) occupied() error {
	db, err := bbolt.Open(c.path, 0o600, nil)
	if err != nil {
		return err
	}
	c.t.Cleanup(func() { _ = db.Close() })
	occupiedFiles.Store(c, db)
	return nil
}

var occupiedFiles sync.Map // *consented to *bbolt.DB

// unwritable puts something else in the place of the token file.
func (c *consented) unwritable() error {
	if err := os.Rename(c.path, c.path+".away"); err != nil {
		return err
	}
	return os.Mkdir(c.path, 0o700)
}

// restore undoes occupied and unwritable.
func (c *consented) restore() {
	c.t.Helper()
	if db, ok := occupiedFiles.LoadAndDelete(c); ok {
		if db, ok := db.(*bbolt.DB); ok {
			_ = db.Close()
		}
	}
	if _, err := os.Stat(c.path + ".away"); err == nil {
		if err := errors.Join(os.Remove(c.path), os.Rename(c.path+".away", c.path)); err != nil {
			c.t.Fatal(err)
		}
	}
}

func TestATokenThatCouldNotBeStoredIsNotUsedBeforeItIs(t *testing.T) {
	t.Parallel()
	c := newConsented(t)
	c.consent(host)
	c.pass(2 * time.Hour)
	o := c.app().Site(host)
	asked := c.server.Count(atlassiantest.KindAudit)
	_, err := c.readWith(o, breaking{base: c.server.Transport(), after: c.unwritable})
	if codeOf(err) != CodeTokenStore || c.server.Count(atlassiantest.KindAudit) != asked {
		t.Errorf("error %v; %d requests with it", err, c.server.Count(atlassiantest.KindAudit)-asked)
	}
	c.restore()
	renewals := c.renewals()
	if status, err := c.readWith(o, c.server.Transport()); err != nil || status != 200 || c.renewals() != renewals {
		t.Errorf("status %d, %v; %d renewals more: the token at hand was not stored and used", status, err, c.renewals()-renewals)
	}
	// It is in the store: another process does not renew either.
	c.mustRead()
	if c.renewals() != renewals {
		t.Error("another process had to renew")
	}
}

func TestALostAnswerThatIsNoticedTooLateIsSaidPlainly(t *testing.T) {
	t.Parallel()
	c := newConsented(t)
	c.consent(host)
	c.pass(2 * time.Hour)
	if _, err := c.read(breaking{base: c.server.Transport(), after: func() error { return errCut }}); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	c.pass(10*time.Minute + time.Second)
	_, err := c.read(c.server.Transport())
	want := "auth.atlassian.com does not take the consent any more (status 403, invalid_grant): the answer to a renewal that was begun at 2026-11-23T14:00:00Z was lost, " +
		"and asked for again at 2026-11-23T14:10:01Z, while Atlassian repeats it for 10m0s: nothing is lost; consent again with: authorize --now"
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	// A request that never arrived may be repeated whenever.
	c.consent(host)
	c.pass(2 * time.Hour)
	if _, err := c.read(breaking{base: c.server.Transport(), before: func() error { return errCut }}); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	c.pass(48 * time.Hour)
	c.mustRead()
}
