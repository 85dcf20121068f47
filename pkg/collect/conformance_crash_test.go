package collect_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool/spooltest"
	"atlassian_audit_records/pkg/state"
)

type operation = spooltest.Op

var partly = &spooltest.PartialError{Bytes: 1300, Err: syscall.EIO}

// TestKilledBetweenAnyTwoOperations restarts a machine from each moment of some
// runs: as after a kill, and as after the power went.
func TestKilledBetweenAnyTwoOperations(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*spooltest.MemFS) *spooltest.MemFS{
		"killed":                            func(d *spooltest.MemFS) *spooltest.MemFS { return d.Clone() },
		"killed, lines are staged":          func(d *spooltest.MemFS) *spooltest.MemFS { return d.Clone() },
		"the power went":                    func(d *spooltest.MemFS) *spooltest.MemFS { return d.Crash(1) },
		"the power went2":                   func(d *spooltest.MemFS) *spooltest.MemFS { return d.Crash(2) },
		"the power went, lines are staged":  func(d *spooltest.MemFS) *spooltest.MemFS { return d.Crash(1) },
		"the power went2, lines are staged": func(d *spooltest.MemFS) *spooltest.MemFS { return d.Crash(2) },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, m *machine) {
				var moments []moment
				m.o.PageSize = 10
				if m.o.BatchSize > 1 {
					m.o.BatchSize = 12_000 // two pages or three
				}
				if strings.HasSuffix(name, "lines are staged") {
					m.stageFrom = 1
				}
				m.site.add(22, 7*time.Minute, 20*time.Minute)
				m.site.burst(13, 15*time.Minute)
				m.site.twins(3, 10*time.Minute)
				m.watch(&moments)
				runs(t, m, 1)
				m.site.add(12, time.Second, 0)
				m.site.twins(2, 0)
				m.site.add(2, time.Second, 3*time.Minute)
				runs(t, m, 1)
				if len(moments) < 12 {
					t.Fatalf("only %d moments were seen", len(moments))
				}
				for i, at := range moments {
					back, err := m.restart(at, way(at.disk), t.TempDir())
					must(t, err)
					if _, err := back.settle(); err != nil {
						t.Fatalf("restarted from moment %d, after %s: %v", i+1, at.after, err)
					}
					if err := back.exactly(); err != nil {
						t.Fatalf("restarted from moment %d, after %s: %v", i+1, at.after, err)
					}
				}
			})
		})
	}
}

// TestKilledAgainAndAgain kills each run at its n-th operation, so that no run
// ever ends, until there is nothing left to do.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 3, 4, 7} {
		t.Run(fmt.Sprint("at operation ", n), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, m *machine) {
				m.o.PageSize = 10
				m.site.add(60, time.Minute, time.Hour)
				m.site.twins(25, 50*time.Minute)
				for range 25 {
					pass(interval)
					var moments []moment
					m.watch(&moments)
					_, err := m.run()
					must(t, err)
					if len(moments) < n {
						break
					}
					at := moments[n-1]
					m, err = m.restart(at, at.disk.Clone(), t.TempDir())
					must(t, err)
				}
				m.between = nil
				_, err := m.settle()
				must(t, err)
				must(t, m.exactly())
			})
		})
	}
}

// TestTheStateIsLost is about a state file that is gone or damaged: nothing is
// lost, and what comes again comes with the same record_id.
func TestTheStateIsLost(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(state.Files) error{
		"it is gone, there is a copy": func(f state.Files) error { return os.Remove(f.State) },
		"it is gone and so is its copy": func(f state.Files) error {
			return errors.Join(os.Remove(f.State), os.Remove(f.Copy))
		},
		"it holds no bytes":       func(f state.Files) error { return os.Truncate(f.State, 0) },
		"it is cut":               func(f state.Files) error { return os.Truncate(f.State, 5000) },
		"it is overwritten":       func(f state.Files) error { return scribble(f.State) },
		"it and its copy are bad": func(f state.Files) error { return errors.Join(scribble(f.State), scribble(f.Copy)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, m *machine) {
				history(m)
				alive(t, m, 3)
				must(t, m.keepCopy())
				alive(t, m, 3)
				must(t, lose(m.files))
				m.site.add(10, time.Second, 0)
				pass(interval)
				out, err := m.run()
				must(t, err)
				if out.notice == "" {
					t.Error("a lost state was not told")
				}
				_, err = m.settle()
				must(t, err)
				must(t, m.reconcile())
				l, err := m.audit()
				must(t, err)
				if l.Lost+l.Changed+l.Foreign+l.Misdated > 0 {
					t.Fatal(l.Err())
				}
				fresh := newMachine(m.site, t.TempDir())
				_, err = fresh.settle()
				must(t, err)
				theirs, err := fresh.audit()
				must(t, err)
				for name, ids := range theirs.IDs {
					for _, id := range l.IDs[name] {
						if !slices.Contains(ids, id) {
							t.Errorf("%.100s is called %s now, and on another machine %q", name, id, ids)
						}
					}
				}
			})
		})
	}
}

// keepCopy keeps a copy of the state, as the check does every few hours.
func (m *machine) keepCopy() error {
	store, _, err := state.Open(m.files, state.Options{Now: time.Now})
	if err != nil {
		return err
	}
	return errors.Join(store.Copy(m.files), store.Close())
}

// scribble overwrites the middle of a file.
func scribble(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for i := len(b) / 8; i < len(b); i++ {
		b[i] ^= 0x5a
	}
	return os.WriteFile(file, b, 0o600)
}

// TestTheSpoolIsGone is about a folder that somebody emptied: what was written
// is not written again, and what comes next goes on in a new file.
func TestTheSpoolIsGone(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		history(m)
		_, err := m.settle()
		must(t, err)
		before, err := m.lines()
		must(t, err)
		m.disk = spooltest.New()
		m.disk.MkdirAll(filepath.ToSlash(filepath.Dir(spoolDir)))
		m.site.add(30, time.Second, 0)
		_, err = m.settle()
		must(t, err)
		after, err := m.lines()
		must(t, err)
		held := m.site.Len(string(m.site.product))
		if n := len(before) + len(after); n < held {
			t.Errorf("%d lines before and %d after, of %d records", len(before), len(after), held)
		}
	})
}

// TestPagesThatComeFastShareACommit is about a source that answers faster than
// the disk writes, and one that does not.
func TestPagesThatComeFastShareACommit(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		latency     time.Duration
		batch       int
		least, most int
	}{
		"answers come at once":                          {batch: 1 << 20, least: 2, most: 4},
		"answers come at once and a batch holds little": {batch: 1, least: 30, most: 40},
		"answers take their time":                       {latency: 100 * time.Millisecond, batch: 1 << 20, least: 30, most: 40},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asking(t, func(t *testing.T, m *machine) {
				m.o.PageSize, m.o.BatchSize = 10, row.batch
				least, most := row.least, row.most
				switch {
				case m.site.product == audit.Organization:
					// Its requests are rationed, so that no page waits for others.
					least, most = 30, 40
				case m.site.quiet && row.latency > 0:
					return // no answer is slow
				}
				m.site.quirks(func(q *quirks) { q.Latency = row.latency })
				m.site.add(300, time.Minute, 0)
				commits := 0
				m.between = func(after string) {
					if after == "Commit" {
						commits++
					}
				}
				_, err := m.run()
				must(t, err)
				must(t, m.exactly())
				if commits < least || commits > most {
					t.Errorf("30 pages took %d commits, want %d to %d", commits, least, most)
				}
			})
		})
	}
}
