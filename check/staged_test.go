package check

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
		rec := &Recorder{}
		res := Run(context.Background(), c, w.options, rec)
		if res.Error != "" || res.Streams[0].Records < 3 {
			t.Errorf("the run ended with %+v", res)
		}
		said := strings.Join(rec.Recorded().Warnings, "\n")
		if !strings.Contains(said, "0 of the 70 bytes") || !strings.Contains(said, "its copy of") {
			t.Errorf("it was not told: %q", said)
		}
		w.wantSpooled(audit.Jira)
	})
}
