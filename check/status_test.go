package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/state"
)

// status is what the command status would say of Jira.
func (w *world) status(c *Config) (InstanceStatus, ProductStatus) {
	w.t.Helper()
	s, err := StatusOf(Instance{Where: "conf.yaml: instances[0]", Config: c}, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return s, s.Products[0]
}

// hold takes the state of Jira as a run does.
func (w *world) hold(c *Config) {
	w.t.Helper()
	s, _, err := state.Open(foldersOf(w.run, c.Host()).state(audit.Jira), state.Options{Now: time.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = s.Close() })
}

// TestStatusTellsHowThingsStand has a story in each row, and what is said of
// Jira after it.
func TestStatusTellsHowThingsStand(t *testing.T) {
	t.Parallel()
	type said struct {
		Source    string
		Outcome   Outcome
		Gaps      int
		Wait      bool
		Failure   string // its beginning
		Over      bool
		Act       string // the beginning of the only thing to do
		Note      string
		IsCurrent Status
	}
	for _, row := range []struct {
		name string
		tell func(w *world, c *Config)
		want said
	}{
		{"nothing ever ran", func(*world, *Config) {},
			said{Source: "none", Act: "no run has left anything behind: see in `datadog-agent status`", Note: "nothing has been collected yet"}},
		{"all is well", func(w *world, c *Config) { w.runWell(c) },
			said{Source: "state", Outcome: OutcomeDone}},
		{"the run was cut short", func(w *world, c *Config) {
			w.options.PageSize = 2
			w.server.SetQuirks("jira", atlassiantest.Quirks{Latency: 4 * time.Second})
			w.runWell(c)
		}, said{Source: "state", Outcome: OutcomeBehind, Gaps: 1, IsCurrent: StatusWarning}},
		{"Atlassian asked to wait", func(w *world, c *Config) {
			w.runWell(c)
			pass(time.Minute)
			w.server.Fault(atlassiantest.Fault{Product: "jira", Action: atlassiantest.RateLimit(10*time.Minute, atlassiantest.RetrySeconds)})
			w.runWell(c)
		}, said{Source: "state", Outcome: OutcomeWaiting, Wait: true, IsCurrent: StatusWarning}},
		{"the credential is refused", func(w *world, c *Config) {
			w.runWell(c)
			pass(time.Minute)
			w.server.Revoke(atlassiantest.Classic)
			w.runOnce(c)
		}, said{Source: "state", Outcome: OutcomeFailed, Failure: "Atlassian does not accept the credential any more", IsCurrent: StatusWarning,
			Act: "Atlassian does not accept the credential any more"}},
		{"the credential was refused, and is good again", func(w *world, c *Config) {
			w.server.Revoke(atlassiantest.Classic)
			w.runOnce(c)
			w.server.Restore(atlassiantest.Classic)
			w.runWell(c)
		}, said{Source: "state", Outcome: OutcomeDone, Failure: "Atlassian does not accept the credential", Over: true}},
		{"Atlassian is out of order, which passes by itself", func(w *world, c *Config) {
			w.runWell(c)
			w.server.Fault(atlassiantest.Fault{Product: "jira", Action: atlassiantest.ServerError(502)})
			pass(time.Minute)
			w.runOnce(c)
		}, said{Source: "state", Outcome: OutcomeFailed, Failure: "Atlassian is unavailable", IsCurrent: StatusWarning}},
		{"Atlassian is out of order for longer than an hour", func(w *world, c *Config) {
			w.runWell(c)
			w.server.Fault(atlassiantest.Fault{Product: "jira", Action: atlassiantest.ServerError(502)})
			pass(2 * time.Hour)
			w.runOnce(c)
		}, said{Source: "state", Outcome: OutcomeFailed, Failure: "Atlassian is unavailable", IsCurrent: StatusCritical, Act: "Atlassian is unavailable"}},
		{"the Agent stopped", func(w *world, c *Config) {
			w.runWell(c)
			pass(3 * time.Hour)
		}, said{Source: "state", Outcome: OutcomeDone, Act: "the check has not run since 2000-01-01T00:01:00Z, although it is due every 1m"}},
		{"a run is in progress", func(w *world, c *Config) {
			w.runWell(c)
			pass(time.Minute)
			w.hold(c)
		}, said{Source: "last run", Outcome: OutcomeDone, Note: "a run is in progress: this is what the run left behind that ended at 2000-01-01T00:01:00Z"}},
		{"a run is in progress, and what the last one left is gone", func(w *world, c *Config) {
			w.runWell(c)
			if err := os.Remove(foldersOf(w.run, c.Host()).lastRun(audit.Jira)); err != nil {
				w.t.Fatal(err)
			}
			w.hold(c)
		}, said{Source: "copy", Note: "a run is in progress: this is from the copy of the state of "}},
		{"the first run is in progress", func(w *world, c *Config) {
			if err := foldersOf(w.run, c.Host()).secure(); err != nil {
				w.t.Fatal(err)
			}
			w.hold(c)
		}, said{Source: "none", Note: "a run is in progress: nothing is known of earlier runs"}},
		{"what the last run left is cut short", func(w *world, c *Config) {
			w.runWell(c)
			if err := os.WriteFile(foldersOf(w.run, c.Host()).lastRun(audit.Jira), []byte(`00000000 {"version":1,`), 0o600); err != nil {
				w.t.Fatal(err)
			}
		}, said{Source: "state", Note: "jira.last cannot be read", Act: "no run has left anything behind"}},
		{"the state is damaged", func(w *world, c *Config) {
			w.runWell(c)
			if err := os.WriteFile(foldersOf(w.run, c.Host()).state(audit.Jira).State, []byte("scribble"), 0o600); err != nil {
				w.t.Fatal(err)
			}
		}, said{Source: "last run", Outcome: OutcomeDone, Note: "this is what the run left behind", Act: "open the state "}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				c := w.config(classicAuth)
				row.tell(w, c)
				whole, p := w.status(c)
				got := said{Source: p.Source, Gaps: len(p.Gaps), Wait: p.Wait != nil, Note: p.Note}
				if p.LastRun != nil {
					got.Outcome, got.IsCurrent = p.LastRun.Outcome, p.IsCurrent.Status
				}
				if p.Failure != nil {
					got.Failure, got.Over = p.Failure.Error, p.Failure.Over
				}
				if len(p.Act) > 0 {
					got.Act = strings.Join(p.Act, " AND ")
				}
				for _, text := range [][2]*string{{&got.Failure, &row.want.Failure}, {&got.Act, &row.want.Act}, {&got.Note, &row.want.Note}} {
					if *text[1] != "" && strings.Contains(*text[0], *text[1]) && !strings.Contains(*text[0], " AND ") {
						*text[0] = *text[1]
					}
				}
				if diff := cmp.Diff(row.want, got); diff != "" {
					t.Errorf("status (-want +got):\n%s", diff)
				}
				if row.want.Act != "" && !whole.MustAct() {
					t.Error("nobody must act")
				}
				if p.Source != "none" && (p.Newest == nil || p.Covered == nil || p.Covered.To.Before(p.Covered.From)) {
					t.Errorf("%+v", p)
				}
			})
		})
	}
}

func TestStatusChangesNothingAndHoldsUpNoRun(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		if _, err := StatusOf(Instance{Config: c}, time.Now()); err != nil {
			t.Fatal(err)
		}
		files := func() []string {
			out := []string{}
			w.walk(func(path string, info fs.FileInfo) {
				text := ""
				if info.Mode().IsRegular() {
					b, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					text = string(b)
				}
				out = append(out, path+" "+info.Mode().String()+" "+text)
			})
			return out
		}
		if n := len(files()); n != 1 {
			t.Errorf("before the first run there are %d files", n-1)
		}
		w.runWell(c)
		w.requests()
		before := files()
		w.status(c)
		if !slices.Equal(before, files()) {
			t.Error("a file was changed")
		}
		if n := len(w.requests()); n != 0 {
			t.Errorf("%d requests", n)
		}
		pass(time.Minute)
		if res, _ := w.runWell(c); res.Streams[0].Requests == 0 {
			t.Error("the next run was held up")
		}
	})
}

func TestWhatARunLeavesBehindHoldsNoSecret(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		secret := c.Auth.APIToken.Reveal()
		r := &run{config: c, options: w.options, report: &Recorder{}, folders: foldersOf(w.run, c.Host()), secrets: c.Secrets(), ours: true}
		r.options.Now = time.Now
		if err := r.folders.secure(); err != nil {
			t.Fatal(err)
		}
		s := &stream{product: audit.Jira, err: errors.New("it said " + secret), idle: "after " + secret}
		r.remember(s, Judgement{StatusCritical, secret}, Judgement{StatusWarning, "a " + secret})
		text, err := os.ReadFile(r.folders.lastRun(audit.Jira))
		if err != nil {
			t.Fatal(err)
		}
		if _, body, _ := bytes.Cut(text, []byte(" ")); !json.Valid(body) || strings.Contains(string(text), secret) || strings.Count(string(text), hidden) != 4 {
			t.Errorf("left behind: %s", text)
		}
		l, err := readLastRun(r.folders.lastRun(audit.Jira))
		if err != nil || l.Failure == nil || !l.Failure.Person || l.Outcome != OutcomeFailed {
			t.Errorf("%+v, %v", l, err)
		}
	})
}

func TestAFailureIsCountedFromItsFirstRun(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		w.server.Revoke(atlassiantest.Classic)
		began := time.Now()
		for range 3 {
			w.runOnce(c)
			pass(time.Minute)
		}
		_, p := w.status(c)
		if f := p.Failure; f == nil || !f.Since.Equal(began) || !f.At.Equal(began.Add(2*time.Minute)) || f.Code == "" || f.Next == "" {
			t.Errorf("failure %+v", p.Failure)
		}
	})
}

// TestATokenThatOnlyTheAgentReadsTellsItsEnd: the configuration on the disk has
// a handle in the token's place.
func TestATokenThatOnlyTheAgentReadsTellsItsEnd(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.runOnce(w.config("{type: api_token, email: a@example.com, api_token: " + datedToken + "}"))
		c := w.config(classicAuth)
		c.Auth.APIToken = ""
		whole, _ := w.status(c)
		if got := whole.Credential; got.Shown != "expires on 2000-02-01, in 30 days" || got.Status != StatusOK {
			t.Errorf("credential %+v", got)
		}
		pass(40 * 24 * time.Hour)
		if whole, _ = w.status(c); whole.Credential.Status != StatusCritical || !whole.MustAct() {
			t.Errorf("credential %+v", whole.Credential)
		}
	})
}

func TestWhatARunLeavesBehindIsReadWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "jira.last")
	long := LastRun{Version: lastRunVersion, Outcome: OutcomeFailed, IsCurrent: Judgement{StatusCritical, strings.Repeat("long ", 100)}}
	short := LastRun{Version: lastRunVersion, Outcome: OutcomeDone}
	for _, l := range []LastRun{short, long, short} {
		if err := writeLastRun(path, l); err != nil {
			t.Fatal(err)
		}
		got, err := readLastRun(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(l, *got); diff != "" {
			t.Errorf("read (-written +read):\n%s", diff)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range text {
		if err := os.WriteFile(path, text[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readLastRun(path); err == nil || !strings.Contains(err.Error(), "the next run makes it anew") {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if err := os.WriteFile(path, append(slices.Clone(text), "left over"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readLastRun(path); err != nil {
		t.Errorf("with bytes behind it: %v", err)
	}
}
