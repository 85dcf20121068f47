package collect_test

import (
	"path"
	"testing"
	"time"
)

// TestABatchThatCannotStandWhereItShould is about lines that were committed and not
// written, and a file in which something else stands in their place by now: the next
// run writes them elsewhere, and goes on as any other.
func TestABatchThatCannotStandWhereItShould(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		m.site.add(15, time.Minute, time.Hour)
		runs(t, m, 1)
		var moments []moment
		m.watch(&moments)
		m.site.add(7, time.Second, 0)
		pass(interval)
		out, err := m.run()
		must(t, err)
		tried := 0
		for i, at := range moments {
			if at.after != "Commit" || i+1 == len(moments) || moments[i+1].after != "Write" {
				continue
			}
			tried++
			name := path.Join(spoolDir, out.position.File)
			lines, _ := at.disk.ReadFile(name)
			disk := at.disk.Clone()
			disk.WriteFile(name, append(lines, "somebody else wrote this\n"...))
			back, err := m.restart(at, disk, t.TempDir())
			must(t, err)
			back.torn = true
			pass(interval)
			if _, err := back.run(); err != nil {
				t.Errorf("the run after it failed: %v", err)
			}
			must(t, back.exactly())
		}
		if tried == 0 {
			t.Fatal("nothing was committed before it was written")
		}
	})
}

// TestMemoryIsTrimmedByTheHour: what may be forgotten is not forgotten bit by bit at each
// commit, which would write all of it anew, nor is it kept for much longer.
func TestMemoryIsTrimmedByTheHour(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		if k := (kind{m.site.Kind}); !k.counted() {
			return // a variant of another kind
		}
		m.o.ReconcileWindow, m.o.ReconcileInterval = 10*time.Minute, 20*time.Minute
		var first, last int64
		times := 0
		for range 300 {
			m.site.add(2, time.Second, 0)
			pass(interval)
			out, err := m.run()
			must(t, err)
			now := out.position.Forgotten
			if now == last {
				continue
			}
			if times++; last != 0 && now-last < time.Hour.Milliseconds() {
				t.Errorf("only %s more were forgotten", time.Duration(now-last)*time.Millisecond)
			}
			if first == 0 {
				first = now
			}
			last = now
		}
		if times < 3 || last-first < 2*time.Hour.Milliseconds() {
			t.Errorf("in five hours it was forgotten %d times", times)
		}
		must(t, m.exactly())
	})
}
