package collect_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// TestWhatAFalseAnswerCosts lets a false answer strike each request of a reading in
// turn, the first of it the first number of a row: so many requests it takes then until
// a run says that nothing is left to do.
func TestWhatAFalseAnswerCosts(t *testing.T) {
	t.Parallel()
	measured := costsOf(t)
	for name, row := range map[string]struct {
		action atlassiantest.Action
		times  int
	}{
		"an empty list":                {atlassiantest.EmptyList(), 1},
		"an empty list, twice":         {atlassiantest.EmptyList(), 2},
		"an empty list, four times":    {atlassiantest.EmptyList(), 4},
		"the page before":              {atlassiantest.RepeatPage(), 1},
		"the page before, five times":  {atlassiantest.RepeatPage(), 5},
		"a huge answer":                {atlassiantest.Huge(9 << 20), 1},
		"a huge answer, three times":   {atlassiantest.Huge(9 << 20), 3},
		"a record without its date":    {dated("null", "null"), 1},
		"a record of the year 9999":    {dated(`"9999-01-01T00:00:00.000+0000"`, "253370764800000"), 1},
		"an answer that is broken off": {atlassiantest.Truncate(0.7), 9},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, k := range kinds {
				if !k.counted() {
					continue
				}
				var got []string
				for struck := 0; ; struck++ {
					dir, requests := t.TempDir(), 0
					fired := false
					synctest.Test(t, func(t *testing.T) {
						m := newMachine(newSite(k, 1), dir)
						m.o.PageSize = 10
						m.site.add(25, 7*time.Minute, 2*time.Hour)
						m.site.burst(23, time.Hour)
						m.site.add(12, time.Second, 0)
						armed := m.site.Fault(atlassiantest.Fault{After: struck, Times: row.times, Action: row.action})
						for range 100 {
							pass(interval)
							out, err := m.run() // may say so
							if requests += out.requests; err == nil && out.complete() && !out.more {
								break
							}
						}
						fired = armed.Fired() > 0
					})
					if !fired {
						break
					}
					got = append(got, fmt.Sprint(requests))
				}
				measured.check(t, name, k.Name, got)
			}
		})
	}
}

// TestWhatCursorsCost tells what an organisation's cursors do, and what it takes to read
// the log: at first, when more arrives than a page holds, when little does, and nothing.
func TestWhatCursorsCost(t *testing.T) {
	t.Parallel()
	measured := costsOf(t)
	for name, change := range map[string]func(*quirks){
		"they are good for ever":                             func(*quirks) {},
		"one is named on the last page too":                  func(q *quirks) { q.NextAtEnd = true },
		"they are refused after a while":                     func(q *quirks) { q.CursorLife, q.CursorStatus = 30*time.Second, 404 },
		"they are refused at once":                           func(q *quirks) { q.CursorLife, q.CursorStatus = 1, 400 },
		"they do not advance":                                func(q *quirks) { q.CursorStuck = true },
		"they do not advance, at the end either":             func(q *quirks) { q.CursorStuck, q.NextAtEnd = true, true },
		"they skip an event":                                 func(q *quirks) { q.CursorSkips = 1 },
		"they show nothing":                                  func(q *quirks) { q.CursorDead = true },
		"they lead back to the beginning":                    func(q *quirks) { q.CursorRestarts = true },
		"bounds mean the time of the event":                  func(q *quirks) { q.BoundsByTime = true },
		"the order is broken by seconds":                     func(q *quirks) { q.Disorder = 20 * time.Second },
		"the order is broken by minutes":                     func(q *quirks) { q.Disorder = 12 * time.Minute },
		"the order is broken by hours":                       func(q *quirks) { q.Disorder = 5 * time.Hour },
		"the order is broken by hours, and they are refused": func(q *quirks) { q.Disorder, q.CursorLife, q.CursorStatus = 5*time.Hour, 1, 400 },
		"pages are short":                                    func(q *quirks) { q.MaxPage = 7 },
		"answers are slow":                                   func(q *quirks) { q.Latency = 3 * time.Second },
		"answers are slow, and cursors dead":                 func(q *quirks) { q.Latency, q.CursorDead = 3*time.Second, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLog(t, func(t *testing.T, m *machine) {
				m.site.quirks(change)
				m.site.add(70, 11*time.Minute, 30*time.Hour)
				m.site.add(90, 977*time.Millisecond, 20*time.Hour)
				var got []string
				for _, more := range []int{0, 45, 30, 2, 0} {
					m.site.add(more, 300*time.Millisecond, 0)
					got = append(got, settled(t, m))
				}
				for _, more := range []int{0, 45, 0} {
					pass(m.o.ReconcileInterval)
					m.site.add(more, 300*time.Millisecond, 0)
					got = append(got, settled(t, m))
				}
				measured.check(t, name, "organization", got)
			})
		})
	}
}
