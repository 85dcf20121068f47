package collect_test

import (
	"bytes"
	"path"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// TestWhatIsPurgedBelowACutDoesNotKeepAGapOpen is about a history that is read
// over many runs while Atlassian purges its oldest part: the record at which the
// last run was cut, and all below it, are gone.
func TestWhatIsPurgedBelowACutDoesNotKeepAGapOpen(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		m.budget = 1500 * time.Millisecond
		m.site.quirks(func(q *quirks) { q.Latency = time.Second })
		m.site.add(400, 17*time.Minute, 0)
		runs(t, m, 3)
		m.site.Purge(string(m.site.product), time.Now().Add(-10*time.Hour))
		var out outcome
		for i := range 240 {
			if i%5 == 0 {
				m.site.add(1, 0, 0)
			}
			pass(interval)
			var err error
			out, err = m.run()
			must(t, err)
		}
		if out.Gap > 0 || out.Suspicious {
			t.Errorf("four hours later: gap %s, recheck %s, suspicious %v, missing since %d, %s", out.Gap, out.Recheck, out.Suspicious, out.position.MissingSince, out.Notices)
		}
		for i := range 12 * 60 {
			if i%30 == 0 {
				m.site.add(1, 0, 0)
			}
			pass(interval)
			var err error
			out, err = m.run()
			must(t, err)
			if out.requests > 40 {
				t.Fatalf("a run made %d requests", out.requests)
			}
		}
		if at := time.UnixMilli(out.position.ReconcileAt); time.Since(at) > 8*time.Hour {
			t.Errorf("the last reconcile was completed %s ago; forgotten %d", time.Since(at), out.position.Forgotten)
		}
	})
}

// TestADisorderedStreamThatIsOldIsRead is about records of which the newest is
// older than a year.
func TestADisorderedStreamThatIsOldIsRead(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		m.o.InitialLookback = 800 * 24 * time.Hour
		m.site.quirks(func(q *quirks) { q.InsertionOrder = true; q.Latency = 100 * time.Millisecond })
		m.site.add(30, 24*time.Hour, 400*24*time.Hour)
		m.site.add(5, 24*time.Hour, 420*24*time.Hour) // inserted later
		out, err := m.run()
		if err != nil || out.requests > 60 {
			t.Fatalf("a run made %d requests, found %d records: %v", out.requests, out.Records, err)
		}
		_, err = m.settle()
		must(t, err)
		must(t, m.exactly())
	})
}

// TestAFileThatWasMovedAwayIsNotWrittenAgain is about an operator, or the
// program itself, who moves away what was delivered.
func TestAFileThatWasMovedAwayIsNotWrittenAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		m.site.add(30, time.Minute, 0)
		_, err := m.settle()
		must(t, err)
		moved := 0
		for name := range m.disk.Files() {
			if path.Ext(name) == ".jsonl" {
				must(t, m.disk.Remove(name))
				moved++
			}
		}
		_, err = m.settle()
		must(t, err)
		all, err := m.lines()
		must(t, err)
		if moved == 0 || len(all) > 0 {
			t.Errorf("%d files were moved away; %d lines stand in the spool again", moved, len(all))
		}
	})
}

// TestASlowDisorderedStreamIsReadInTheEnd is about a source that answers slowly
// and in no order: however little a run can read, each makes headway.
func TestASlowDisorderedStreamIsReadInTheEnd(t *testing.T) {
	t.Parallel()
	for name, latency := range map[string]time.Duration{"a fifth of the budget": 3 * time.Second, "a third": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, m *machine) {
				m.budget = 15 * time.Second // half of 30 s: two products share it
				m.site.quirks(func(q *quirks) { q.InsertionOrder = true; q.Latency = latency })
				m.site.add(100, time.Hour, 10*time.Hour)
				m.site.add(60, 10*time.Second, 8*time.Hour)
				m.site.add(5, time.Hour, 20*time.Hour)
				_, err := m.settle()
				must(t, err)
				must(t, m.exactly())
			})
		})
	}
}

// TestABurstDoesNotSlowDownADisorderedStreamForEver is about slices that were
// made short for a dense moment: a sparse time is read in long ones again.
func TestABurstDoesNotSlowDownADisorderedStreamForEver(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		m.o.PageSize = 100
		m.budget = 5 * time.Second
		m.site.quirks(func(q *quirks) { q.InsertionOrder = true; q.Latency = 300 * time.Millisecond })
		m.site.add(50, 2*time.Hour, 20*time.Hour)
		m.site.add(4000, 10*time.Millisecond, 10*time.Hour)
		m.site.add(5, time.Hour, 15*time.Hour)
		for n := range 200 {
			pass(interval)
			out, err := m.run()
			must(t, err)
			if out.complete() {
				t.Logf("%d runs, %d requests", n, m.site.Count(atlassiantest.KindAudit))
				return
			}
		}
		t.Errorf("after 200 runs and %d requests 4,055 records are not read", m.site.Count(atlassiantest.KindAudit))
	})
}

// TestTwoSpansThatCannotBeReadAreNotAskedForInTurnForEver is about a gap and a
// reconcile under way whose records were purged meanwhile: a step that changed
// nothing is no headway.
func TestTwoSpansThatCannotBeReadAreNotAskedForInTurnForEver(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		m.o.ReconcileInterval = 10 * time.Minute
		m.budget = 1500 * time.Millisecond
		m.site.quirks(func(q *quirks) { q.Latency = time.Second })
		m.site.add(400, 17*time.Minute, 0)
		runs(t, m, 13)
		m.site.Purge(string(m.site.product), time.Now().Add(-3*time.Hour))
		m.budget = 30 * time.Second
		m.site.quirks(func(q *quirks) { q.Latency = 100 * time.Millisecond })
		for range 5 {
			pass(interval)
			out, err := m.run()
			must(t, err)
			if out.requests > 40 {
				t.Fatalf("a run made %d requests: gap %s, recheck %s, %s", out.requests, out.Gap, out.Recheck, out.Notices)
			}
		}
	})
}

// TestTwoFalseEmptyListsCloseNoGap is about a gap far below the reconcile
// window, which nothing would read again.
func TestTwoFalseEmptyListsCloseNoGap(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		for k := range 14 {
			m := newMachine(newSite(kind{m.site.Kind}, 1), t.TempDir())
			m.o.InitialLookback = 20 * 24 * time.Hour
			m.site.add(40, time.Hour, 6*24*time.Hour)
			m.site.burst(55, 5*24*time.Hour)
			m.site.add(25, time.Hour, 4*24*time.Hour)
			m.budget = 500 * time.Millisecond
			m.site.quirks(func(q *quirks) { q.Latency = time.Second })
			runs(t, m, 1)
			m.budget = 30 * time.Second
			m.site.quirks(func(q *quirks) { q.Latency = 0 })
			empty := m.site.Fault(atlassiantest.Fault{After: k, Times: 2, Action: atlassiantest.EmptyList()})
			pass(interval)
			_, _ = m.run() // may say so
			empty.Disarm()
			_, err := m.settle()
			must(t, err)
			must(t, m.reconcile())
			if err := m.exactly(); err != nil {
				t.Errorf("after request %d: %v", k, err)
			}
		}
	})
}

// TestASpanThatCannotBeReadHoldsUpNoOther is about a gap whose every page fails:
// what is to be read again gets its turns all the same.
func TestASpanThatCannotBeReadHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	asking(t, func(t *testing.T, m *machine) {
		m.budget = 500 * time.Millisecond
		m.site.quirks(func(q *quirks) { q.Latency = time.Second })
		m.site.add(100, 20*time.Minute, 0)
		runs(t, m, 1)
		out, err := m.run()
		must(t, err)
		if out.Gap == 0 {
			t.Fatal("there is no gap")
		}
		poison := time.Now().Add(-10 * time.Hour)
		m.site.Fault(atlassiantest.Fault{Action: atlassiantest.ServerError(500), Match: func(r atlassiantest.RequestInfo) bool {
			to, ok := bound(r, "to")
			return ok && to.Before(poison)
		}})
		m.budget = 30 * time.Second
		for range 20 {
			pass(interval)
			_, _ = m.run() // says that the gap cannot be read
		}
		m.site.AddLate(string(m.site.product), 2, 5*time.Hour)
		pass(7 * time.Hour) // a reconcile is due
		for range 20 {
			pass(interval)
			out, _ = m.run()
		}
		all, err := m.lines()
		must(t, err)
		late := 0
		for _, r := range m.site.Records(string(m.site.product))[100:] {
			for _, line := range all {
				if bytes.Contains(line.Text, []byte(r.Key)) {
					late++
				}
			}
		}
		if late != 2 {
			t.Errorf("%d of 2 late records were found by the reconcile; owed: gap %s, recheck %s", late, out.Gap, out.Recheck)
		}
	})
}
