package collect_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/internal/sourcetest"
)

// TestWhatIsStagedIsNeverTakenForAnotherFile: a run was killed behind a publication,
// the next one staged another file and was killed before it committed that, and
// somebody had removed the first. What was not committed is no part of it.
func TestWhatIsStagedIsNeverTakenForAnotherFile(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		m.stageFrom = 1
		killed := func(m *machine, after string, at func(moment)) *machine {
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
		m.site.add(2, time.Second, time.Minute)
		m = killed(m, "Publish", func(moment) {})
		before, err := m.lines()
		must(t, err)
		if len(before) != 2 {
			t.Fatalf("%d lines were published", len(before))
		}
		pass(interval)
		m.site.add(40, time.Second, 0)
		m = killed(m, "Stage", func(at moment) {
			if at.after != "Recover" {
				return
			}
			for name := range m.disk.Files() {
				if strings.HasPrefix(name, spoolDir) {
					must(t, m.disk.Remove(name))
				}
			}
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

func id(l sourcetest.Line) string { return l.ID }
