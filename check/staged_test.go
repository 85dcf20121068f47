package check

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/state"
)

// staged are the files in the spool that the Agent does not read.
func (w *world) staged() []string {
	w.t.Helper()
	paths, err := filepath.Glob(strings.TrimSuffix(spoolGlob(w.run, audit.Jira), ".jsonl") + ".staged")
	if err != nil {
		w.t.Fatal(err)
	}
	return paths
}

// TestALargeHistoryIsStaged until the run is over, however it ends.
func TestALargeHistoryIsStaged(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]bool{"the run ends well": false, "Atlassian fails in the midst of it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				w.server.Fill(12_000, 20*time.Hour, atlassiantest.Jira)
				staged, asked := 0, 0
				w.server.Fault(atlassiantest.Fault{Product: "jira", Kind: atlassiantest.KindAudit, Action: atlassiantest.Do(func() {
					// By the eighth question the first pages are committed.
					asked++
					staged += len(w.staged())
				})})
				if fail {
					w.server.Fault(atlassiantest.Fault{Product: "jira", Kind: atlassiantest.KindAudit, After: 10, Action: atlassiantest.Answer(403, `{"errorMessages":["no"]}`)})
				}
				c := w.config(classicAuth, "products: [jira]")
				res, _ := w.runOnce(c)
				if got := res.Error != ""; got != fail {
					t.Fatalf("the run ended with %q", res.Error)
				}
				if asked < 10 || staged == 0 {
					t.Errorf("of %d questions none saw a staged file", asked)
				}
				if left := w.staged(); len(left) != 0 {
					t.Errorf("%v is left where the Agent does not read", left)
				}
				lines := len(w.spooled(audit.Jira))
				if lines < 6000 || lines != res.Streams[0].Records {
					t.Errorf("the Agent can read %d lines of %d", lines, res.Streams[0].Records)
				}
				w.server.ClearFaults()
				w.runWell(c)
				w.wantSpooled(audit.Jira)
			})
		})
	}
}

// TestALargeHistoryIsNotStagedWhereMachinesShare it: there a file that is nowhere
// counts as delivered.
func TestALargeHistoryIsNotStagedWhereMachinesShare(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		f := foldersOf(w.run, "example.atlassian.net")
		c := w.config(classicAuth, "products: [jira]")
		w.runWell(c) // makes the folders
		for _, stage := range []bool{true, false} {
			dir, err := f.spool(audit.Jira, w.options.withDefaults(), stage)
			if err != nil {
				t.Fatal(err)
			}
			done, err := dir.Stage(audit.Place{File: "a.jsonl"}, []byte(strings.Repeat("x", 1<<20)+"\n"))
			if err != nil || done != stage {
				t.Errorf("Stage = %v, %v; want %v", done, err, stage)
			}
		}
	})
}

// TestWhatWasStagedIsLost is told, and read again.
func TestWhatWasStagedIsLost(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth, "products: [jira]")
		w.runWell(c)
		files := foldersOf(w.run, c.Name()).state(audit.Jira)
		store, _, err := state.Open(files, state.Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		p, err := store.Position()
		if err != nil {
			t.Fatal(err)
		}
		// A run was killed behind a commit, and then somebody cleared up.
		p.Upper += 1000
		if err := store.Commit(audit.Change{Position: p, Batch: &audit.Batch{Place: audit.Place{File: "20261123T120000.000Z-0000000000000001.jsonl"}, Staged: 70}}); err != nil {
			t.Fatal(err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		w.server.Fill(3, time.Second, atlassiantest.Jira)
		pass(time.Minute)
		res, rec := w.runOnce(c)
		if res.Error != "" || res.Streams[0].Records < 3 {
			t.Errorf("the run ended with %+v", res)
		}
		said := strings.Join(rec.Warnings, "\n")
		if !strings.Contains(said, "0 of the 70 bytes") || !strings.Contains(said, "its copy of") {
			t.Errorf("it was not told: %q", said)
		}
		w.wantSpooled(audit.Jira)
	})
}

// killed makes of a product's only spool file what a run leaves behind that was killed
// before it could publish it.
func (w *world) killed(c *Config, p audit.Product) (staged string) {
	w.t.Helper()
	path := w.files("spool", p)[0]
	info, err := os.Stat(path)
	if err != nil {
		w.t.Fatal(err)
	}
	f := foldersOf(w.run, c.Name())
	store, _, err := state.Open(f.state(p), state.Options{Now: time.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	position, err := store.Position()
	if err == nil {
		err = store.Commit(audit.Change{Position: position, Batch: &audit.Batch{Place: audit.Place{File: filepath.Base(path)}, Staged: info.Size()}})
	}
	staged = filepath.Join(filepath.Dir(path), f.host+"."+string(p)+".staged")
	for _, err := range []error{
		err, store.Close(), os.Rename(path, staged),
		os.Chtimes(staged, time.Now(), time.Now()), os.Chtimes(f.state(p).State, time.Now(), time.Now()),
	} {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return staged
}

// TestWhatWasStagedIsSeenTo where nobody collects the stream any more: another
// instance's run publishes it, once, and whoever collects it again finds nothing amiss.
func TestWhatWasStagedIsSeenTo(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		a := w.tailer()
		jira, confluence := w.config(classicAuth, "products: [jira]"), w.config(classicAuth, "products: [confluence]")
		w.runWell(confluence)
		want := w.spooled(audit.Confluence)
		staged := w.killed(confluence, audit.Confluence)
		a.ack()
		look := func(when string, want []string) {
			t.Helper()
			w.dated()
			for _, path := range w.files("late", audit.Confluence) {
				if err := os.Chtimes(path, time.Now(), time.Now()); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want, w.spooled(audit.Confluence)); diff != "" {
				t.Errorf("%s, the spool differs (-want +got):\n%s", when, diff)
			}
		}
		w.runWell(jira)
		look("as long as somebody may collect it", []string{})
		pass(26 * time.Hour)
		w.runWell(jira)
		look("once nobody does, it is old and goes the way of what is late", []string{})
		if _, err := os.Lstat(staged); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("it is still staged: %v", err)
		}
		pass(26 * time.Hour)
		w.runWell(jira)
		look("a day later", want)
		a.ack()
		pass(26 * time.Hour)
		w.runWell(jira) // takes it to what is delivered
		look("after the Agent has delivered it", []string{})
		if _, rec := w.runWell(confluence); len(rec.Events) > 0 {
			t.Errorf("whoever collects it again is told %q", rec.Events)
		}
		look("when somebody collects it again", []string{})
	})
}

// TestWhatWasStagedTooLongAgo is taken out in the run that publishes it: the Agent would
// send it, and Datadog refuse it.
func TestWhatWasStagedTooLongAgo(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth, "products: [jira]")
		w.runWell(c)
		want := w.spooled(audit.Jira)
		w.killed(c, audit.Jira)
		w.tailer().write()
		pass(20 * time.Hour)
		w.runWell(c)
		if got := w.spooled(audit.Jira); len(got) != 0 {
			t.Errorf("%d lines are for the Agent to read, and too old", len(got))
		}
		pass(3 * time.Minute)
		w.runWell(c)
		if diff := cmp.Diff(want, w.spooled(audit.Jira)); diff != "" {
			t.Errorf("what is spooled again (-want +got):\n%s", diff)
		}
	})
}
