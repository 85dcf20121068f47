package collect_test

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/internal/sourcetest"
	"atlassian_audit_records/pkg/collect"
)

// TestWhatIsStagedIsNeverTakenForAnotherFile: a run was killed behind a publication,
// the next one staged another file and was killed before it committed that, and
// somebody had removed the first. What was not committed is no part of it.
func TestWhatIsStagedIsNeverTakenForAnotherFile(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		m.stageFrom = 1
		m.site.add(2, time.Second, time.Minute)
		m = killed(t, m, "Publish", func(moment) {})
		before, err := m.lines()
		must(t, err)
		if len(before) != 2 {
			t.Fatalf("%d lines were published", len(before))
		}
		pass(interval)
		m.site.add(40, time.Second, 0)
		m = killed(t, m, "Stage", func(at moment) {
			if at.after != "Recover" {
				return
			}
			m.clearUp(t)
		})
		_, err = m.settle()
		must(t, err)
		after, err := m.lines()
		must(t, err)
		seen := map[string]bool{}
		for _, l := range after {
			if seen[id(l)] {
				t.Errorf("%s is there twice", id(l))
			}
			seen[id(l)] = true
		}
		if len(after) != 40 {
			t.Errorf("%d lines are there, want 40", len(after))
		}
	})
}

// killed is the machine as it comes back after its next run was killed behind the first
// such operation. at is called at each moment before.
func killed(t *testing.T, m *machine, after string, at func(moment)) *machine {
	t.Helper()
	var moments []moment
	m.watch(&moments)
	watch := m.between
	m.between = func(operation string) {
		watch(operation)
		at(moments[len(moments)-1])
	}
	_, err := m.run()
	must(t, err)
	i := slices.IndexFunc(moments, func(at moment) bool { return at.after == after })
	if i < 0 {
		t.Fatalf("there was no %s", after)
	}
	back, err := m.restart(moments[i], moments[i].disk.Clone(), t.TempDir())
	must(t, err)
	return back
}

// clearUp is what somebody does who wants room.
func (m *machine) clearUp(t *testing.T) {
	t.Helper()
	for name := range m.disk.Files() {
		if strings.HasPrefix(name, spoolDir) {
			must(t, m.disk.Remove(name))
		}
	}
}

// TestWhatWasPublishedMayBeRemoved after any run, also one that only published what
// another one had staged, and failed.
func TestWhatWasPublishedMayBeRemoved(t *testing.T) {
	t.Parallel()
	for _, after := range []string{"Commit", "Publish"} {
		t.Run("killed behind "+after, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, m *machine) {
				m.stageFrom = 1
				m.site.add(2, time.Second, time.Minute)
				runs(t, m, 1) // whose files are delivered
				m.clearUp(t)
				m.site.add(3, time.Second, 0)
				pass(interval)
				m = killed(t, m, after, func(moment) {})
				failure := errors.New("Atlassian is down")
				if _, err := m.process(func(context.Context, *collect.Collector, *outcome) error { return failure }); !errors.Is(err, failure) {
					t.Fatal(err)
				}
				lines, err := m.lines()
				must(t, err)
				if len(lines) != 3 {
					t.Fatalf("%d lines were published", len(lines))
				}
				m.clearUp(t)
				out, err := m.settle()
				must(t, err)
				if out.notice != "" {
					t.Errorf("it was told: %s", out.notice)
				}
				more, err := m.lines()
				must(t, err)
				if n := len(lines) + len(more); n != 3 {
					t.Errorf("of 3 records there were %d lines", n)
				}
			})
		})
	}
}

func id(l sourcetest.Line) string { return l.ID }

// TestMoreIsStagedThanAFileHolds: each file is published before the next one is staged,
// and when a run is over the Agent sees all of them.
func TestMoreIsStagedThanAFileHolds(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		if k := (kind{m.site.Kind}); !k.counted() {
			return
		}
		m.stageFrom, m.o.PageSize, m.o.BatchSize = 1, 100, 1
		m.site.add(700, time.Second, time.Minute)
		staged, files := 0, map[string]bool{}
		m.between = func(after string) {
			if after == "Stage" {
				staged++
			}
		}
		runs(t, m, 1)
		lines, err := m.lines()
		must(t, err)
		for name := range m.disk.Files() {
			if strings.HasPrefix(name, spoolDir+"/") && strings.HasSuffix(name, ".jsonl") {
				files[name] = true
			}
		}
		if len(lines) != 700 || staged < 3 || len(files) < 2 {
			t.Errorf("%d lines are to be seen in %d files, staged %d times; want 700 in more than one", len(lines), len(files), staged)
		}
	})
}

// TestAFileIsLetGoOfBeforeTheNextIsStaged: the run is killed right after that, and by then
// somebody has removed what was published. What the state speaks of is the next file.
func TestAFileIsLetGoOfBeforeTheNextIsStaged(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		if k := (kind{m.site.Kind}); !k.counted() {
			return
		}
		m.stageFrom, m.o.PageSize, m.o.BatchSize = 1, 100, 1
		m.site.add(700, time.Second, time.Minute)
		var moments []moment
		m.watch(&moments)
		runs(t, m, 1)
		published := slices.IndexFunc(moments, func(at moment) bool { return at.after == "Publish" })
		staged := published + slices.IndexFunc(moments[published:], func(at moment) bool { return at.after == "Stage" })
		if published < 0 || staged <= published {
			t.Fatal("nothing was staged after something was published")
		}
		back, err := m.restart(moments[staged], moments[staged].disk.Clone(), t.TempDir())
		must(t, err)
		before, err := back.lines()
		must(t, err)
		for name := range back.disk.Files() {
			if path.Dir(name) == spoolDir && path.Ext(name) == ".jsonl" {
				must(t, back.disk.Remove(name))
			}
		}
		pass(interval)
		out, err := back.run()
		must(t, err)
		if out.notice != "" {
			t.Errorf("it was told: %s", out.notice)
		}
		_, err = back.settle()
		must(t, err)
		after, err := back.lines()
		must(t, err)
		if len(before) == 0 || len(before)+len(after) != 700 {
			t.Errorf("%d lines before and %d after, of 700 records", len(before), len(after))
		}
	})
}
