package check

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
)

// people are usr of each line of a product's spool, by the record's id.
func (w *world) people(p audit.Product) map[string]audit.Person {
	w.t.Helper()
	paths, err := filepath.Glob(spoolGlob(w.run, p))
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]audit.Person{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			w.t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var l struct {
				Usr struct {
					ID, Name, Email string
				}
				Atlassian struct {
					RecordID string `json:"record_id"`
				}
			}
			if err := json.Unmarshal(line, &l); err != nil {
				w.t.Fatal(err)
			}
			if l.Usr.ID != "" && isAccount(l.Usr.ID) {
				out[l.Atlassian.RecordID] = audit.Person{Name: l.Usr.Name, Email: l.Usr.Email}
			}
		}
	}
	return out
}

// named counts the lines whose actor has a name, and an e-mail address.
func named(people map[string]audit.Person) (names, mails int) {
	for _, p := range people {
		if p.Name != "" {
			names++
		}
		if p.Email != "" {
			mails++
		}
	}
	return names, mails
}

// asked counts the questions for people since the last call.
func (w *world) asked() int {
	n := 0
	for _, r := range w.requests() {
		if r.Kind == atlassiantest.KindUsers {
			n++
		}
	}
	return n
}

func TestPeopleGetNamesOnceTheyAreKnown(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(accountAuth, "resolve_users: true")
		w.runWell(c)
		if names, _ := named(w.people("jira")); names != 0 {
			t.Fatalf("%d of Jira's people have names before anybody was asked", names)
		}
		if n := w.asked(); n == 0 {
			t.Fatal("nobody is asked for")
		}
		w.wantSpooled("jira", "confluence")

		before := w.people("jira")
		w.server.AddBurst("jira", 40, time.Now())
		w.server.AddBurst("confluence", 40, time.Now())
		pass(time.Minute)
		w.runWell(c)
		w.wantSpooled("jira", "confluence")
		fresh := map[string]audit.Person{}
		for id, p := range w.people("jira") {
			if _, ok := before[id]; !ok {
				fresh[id] = p
			}
		}
		names, mails := named(fresh)
		if names < len(fresh)/2 || mails == 0 || mails >= names {
			t.Errorf("of %d new lines of Jira's %d have a name and %d an e-mail address", len(fresh), names, mails)
		}
		if _, mails := named(w.people("confluence")); mails == 0 {
			t.Error("no line of Confluence's has an e-mail address")
		}
	})
}

func TestPeopleAreRememberedForADay(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(accountAuth, "resolve_users: true", "lookback: 1m")
		for range 3 { // until everybody who appears is known
			w.runWell(c)
			w.server.AddBurst("jira", 60, time.Now())
			pass(time.Minute)
		}
		w.runWell(c)
		w.asked()
		w.server.AddBurst("jira", 60, time.Now())
		pass(time.Minute)
		w.runWell(c)
		if n := w.asked(); n != 0 {
			t.Errorf("%d questions for people who are known, or known not to be shown", n)
		}
		pass(namesGood)
		w.server.AddBurst("jira", 60, time.Now())
		pass(time.Minute)
		w.runWell(c)
		if names, _ := named(w.people("jira")); names == 0 {
			t.Error("what is a day old is no good any more")
		}
		if n := w.asked(); n == 0 {
			t.Error("nobody is asked for again after a day")
		}
	})
}

// TestNamesHoldUpNothing: whatever happens to the question for people, records
// are delivered and the run is well.
func TestNamesHoldUpNothing(t *testing.T) {
	for name, spoil := range map[string]func(*world){
		"the scope is missing": func(w *world) {
			w.server.SetScopes(atlassiantest.Client, "read:audit-log:jira", "read:audit-log:confluence")
		},
		"Jira answers with errors": func(w *world) { w.breakUsers(http.StatusInternalServerError, "{}") },
		"Jira asks to wait":        func(w *world) { w.breakUsers(http.StatusTooManyRequests, "{}") },
		"the address is too long":  func(w *world) { w.breakUsers(http.StatusRequestURITooLong, "") },
		"the answer is no list":    func(w *world) { w.breakUsers(http.StatusOK, `{"values":null}`) },
		"the answer is a login":    func(w *world) { w.breakUsers(http.StatusOK, "<html>") },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				spoil(w)
				c := w.config(accountAuth, "resolve_users: true")
				_, rec := w.runWell(c)
				w.wantSpooled("jira", "confluence")
				if text := strings.Join(rec.Warnings, "\n"); !strings.Contains(text, "resolve_users: jira of example.atlassian.net: people stay without names for 1h") {
					t.Errorf("nobody is told: %s", text)
				}
				w.asked()
				pass(time.Minute)
				w.server.AddBurst("jira", 30, time.Now())
				_, rec = w.runWell(c)
				w.wantSpooled("jira", "confluence")
				if n := w.asked(); n != 0 || len(rec.Warnings) > 0 {
					t.Errorf("a minute later there are %d questions and the warnings %v", n, rec.Warnings)
				}
			})
		})
	}
}

// breakUsers has every question for people answered so.
func (w *world) breakUsers(status int, body string) {
	inner := w.options.Transport
	w.options.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := inner.RoundTrip(r)
		if err == nil && strings.HasSuffix(r.URL.Path, "/user/bulk") {
			resp.Body.Close()
			rec := &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Content-Type": {"application/json"}},
				Body: http.NoBody, Request: r, ProtoMajor: 1, ProtoMinor: 1}
			rec.Body = readCloser{strings.NewReader(body)}
			rec.ContentLength = int64(len(body))
			return rec, nil
		}
		return resp, err
	})
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func TestNobodyIsAskedForUnasked(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.runWell(w.config(accountAuth))
		if n := w.asked(); n != 0 {
			t.Errorf("%d questions for people", n)
		}
	})
}

func TestNamesAreRedactedToo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(accountAuth, "resolve_users: true", "redact: {drop: [emails], hash: [usr.name], hash_passphrase: Kq7vZ-passphrase-of-a-test}")
		w.runWell(c)
		w.server.AddBurst("jira", 40, time.Now())
		pass(time.Minute)
		w.runWell(c)
		hashed := 0
		for _, p := range w.people("jira") {
			if strings.HasPrefix(p.Name, "hash:") {
				hashed++
			} else if p.Name != "" || p.Email != "" {
				t.Fatalf("%+v is sent", p)
			}
		}
		if hashed == 0 {
			t.Error("no name is there to be hashed")
		}
	})
}

func TestResolvingNeedsJira(t *testing.T) {
	t.Parallel()
	_, err := Parse(nil, []byte(goodInstance+"products: [confluence]\nresolve_users: true\n"), Env{})
	if err == nil || !strings.Contains(err.Error(), "resolve_users: asks Jira") {
		t.Errorf("%v", err)
	}
}
