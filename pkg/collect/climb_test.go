package collect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"atlassian_audit_records/internal/sourcetest"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
)

// What only a log that is read by cursors can suffer; the rest of its promise is
// proven by the rows for every kind of source.

func organizationKind(t *testing.T) kind {
	t.Helper()
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.Product == audit.Organization })
	if i < 0 {
		t.Fatal("the conformance suite lost the organisation's log")
	}
	return kinds[i]
}

// inLog runs f in a bubble, with a machine that reads an organisation's log.
func inLog(t *testing.T, f func(t *testing.T, m *machine)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { f(t, newMachine(newSite(organizationKind(t), 1), dir)) })
}

// busy lets n runs go by, in each of which more arrives than a page holds.
func busy(t *testing.T, m *machine, n int) {
	t.Helper()
	for i := range n {
		m.site.add(25+i%3, 300*time.Millisecond, 0)
		runs(t, m, 1)
	}
}

// TestCursors lets cursors misbehave in every way that can be thought of: what
// they skip comes by time, and nothing comes twice.
func TestCursors(t *testing.T) {
	t.Parallel()
	life := func(d time.Duration, status int) func(*quirks) {
		return func(q *quirks) { q.CursorLife, q.CursorStatus = d, status }
	}
	// Without any cursor that can be relied on, a millisecond must fit into a page.
	loose := []string{"they do not advance", "they do not advance, at the end either", "they show nothing", "they lead back to the beginning"}
	for name, change := range map[string]func(*quirks){
		"they are good for ever":                     func(*quirks) {},
		"one is named on the last page too":          func(q *quirks) { q.NextAtEnd = true },
		"they are refused with 400 after a while":    life(30*time.Second, 400),
		"they are refused with 404 after a while":    life(30*time.Second, 404),
		"they are refused with 410 after a while":    life(30*time.Second, 410),
		"they are refused at once":                   life(1, 400),
		"they do not advance":                        func(q *quirks) { q.CursorStuck = true },
		"they do not advance, at the end either":     func(q *quirks) { q.CursorStuck, q.NextAtEnd = true, true },
		"they skip an event":                         func(q *quirks) { q.CursorSkips = 1 },
		"they show nothing":                          func(q *quirks) { q.CursorDead = true },
		"they lead back to the beginning":            func(q *quirks) { q.CursorRestarts = true },
		"bounds mean the time of the event":          func(q *quirks) { q.BoundsByTime = true },
		"the order is broken by seconds":             func(q *quirks) { q.Disorder = 20 * time.Second },
		"the order is broken by minutes":             func(q *quirks) { q.Disorder = 12 * time.Minute },
		"pages are short, and the order is broken":   func(q *quirks) { q.MaxPage, q.Disorder = 7, time.Minute },
		"pages are short, and cursors skip an event": func(q *quirks) { q.MaxPage, q.CursorSkips = 7, 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLog(t, func(t *testing.T, m *machine) {
				m.site.quirks(change)
				if slices.Contains(loose, name) {
					m.site.add(70, 11*time.Minute, 30*time.Hour)
					m.site.add(90, 977*time.Millisecond, 20*time.Hour)
				} else {
					history(m)
				}
				busy(t, m, 6)
				alive(t, m, 6)
				pass(10 * time.Hour)
				m.site.add(30, time.Minute, 0)
				busy(t, m, 3)
				_, err := m.settle()
				must(t, err)
				for range 4 {
					must(t, m.reconcile())
				}
				must(t, m.exactly())
			})
		})
	}
}

// TestACursorIsKeptBesideCoverage is about what is in the state after pages that
// name a next one.
func TestACursorIsKeptBesideCoverage(t *testing.T) {
	t.Parallel()
	inLog(t, func(t *testing.T, m *machine) {
		m.site.add(50, time.Second, 0)
		runs(t, m, 2)
		out, err := m.settle()
		must(t, err)
		p := out.position
		if p.Cursor == "" || p.CursorLow <= p.Floor || p.CursorLow > p.Upper || p.CursorFrom > p.CursorLow {
			t.Fatalf("the position is %+v", p)
		}
		if want := (audit.Set{{From: p.Floor, To: p.Upper + 1}}); !slices.Equal(p.Covered, want) {
			t.Errorf("covered is %v, want %v", p.Covered, want)
		}
		// Whatever becomes of the cursor, coverage stays true.
		m.site.quirks(func(q *quirks) { q.CursorLife = time.Nanosecond })
		m.site.add(5, time.Second, 0)
		pass(interval)
		out, err = m.run()
		must(t, err)
		if out.position.Cursor == p.Cursor || !out.LiveDone {
			t.Errorf("after a refused cursor: %+v", out)
		}
		must(t, m.exactly())
	})
}

// TestAnEventThatIsProcessedAgainIsKnown is about a log that takes in a second
// time what it has: the id is the same, the time of processing is not.
func TestAnEventThatIsProcessedAgainIsKnown(t *testing.T) {
	t.Parallel()
	inLog(t, func(t *testing.T, m *machine) {
		m.site.add(60, time.Minute, time.Hour)
		_, err := m.settle()
		must(t, err)
		for i := range 6 {
			pass(time.Hour)
			m.site.Note()
			m.site.Reprocess(i*7, i*7+1, i*7+2)
			m.site.add(3, time.Second, 0)
			runs(t, m, 1)
		}
		_, err = m.settle()
		must(t, err)
		must(t, m.reconcile())
		must(t, m.exactly())
	})
}

// TestAnEventThatIsProcessedLateComesWithItsOwnDate is about events of days ago
// that the log takes in only now: no look-back is needed for them.
func TestAnEventThatIsProcessedLateComesWithItsOwnDate(t *testing.T) {
	t.Parallel()
	for name, byTime := range map[string]bool{
		"bounds mean the time of processing": false,
		// Only a reconcile reaches back so far, where there is no cursor yet.
		"bounds mean the time of the event": true,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLog(t, func(t *testing.T, m *machine) {
				m.site.quirks(func(q *quirks) { q.BoundsByTime = byTime })
				m.site.add(60, time.Minute, 0)
				_, err := m.settle()
				must(t, err)
				for range 5 {
					r := atlassiantest.NewCorpus(uint64(time.Now().Unix())).Organization(time.Now().Add(-40 * time.Hour))
					r.Processed = time.Now()
					m.site.Add(string(m.site.product), r)
					m.site.add(2, time.Second, 0)
					runs(t, m, 1)
				}
				if byTime {
					must(t, m.reconcile())
				}
				must(t, m.exactly())
				all, err := m.lines()
				must(t, err)
				late := 0
				for _, l := range all {
					if strings.Contains(string(l.Text), `"late":true`) {
						late++
					}
				}
				if late != 5 {
					t.Errorf("%d lines are late, want 5", late)
				}
			})
		})
	}
}

// TestWhatIsRememberedOfALogIsBounded lets days go by and looks at how far back
// anything is remembered.
func TestWhatIsRememberedOfALogIsBounded(t *testing.T) {
	t.Parallel()
	inLog(t, func(t *testing.T, m *machine) {
		m.o.InitialLookback = time.Hour
		for range 12 * 8 {
			m.site.add(6, time.Second, 0)
			pass(2 * time.Hour)
			runs(t, m, 1)
		}
		out, err := m.settle()
		must(t, err)
		must(t, m.exactly())
		if age := time.Since(time.UnixMilli(out.position.Forgotten)); age > 80*time.Hour {
			t.Errorf("after eight days, events of %s ago are remembered: %+v", age, out.position)
		}
	})
}

// TestALogWithoutEventsSaysWhatMayBeMissing is about an organisation without
// Atlassian Guard, whose log is there and holds nothing.
func TestALogWithoutEventsSaysWhatMayBeMissing(t *testing.T) {
	t.Parallel()
	inLog(t, func(t *testing.T, m *machine) {
		out, err := m.run()
		must(t, err)
		if !out.LiveDone || len(out.Notices) != 1 || !strings.Contains(out.Notices[0], "Atlassian Guard") {
			t.Errorf("the run says %q, done %t", out.Notices, out.LiveDone)
		}
		m.site.add(1, 0, 0)
		pass(interval)
		out, err = m.run()
		must(t, err)
		if len(out.Notices) > 0 {
			t.Errorf("with an event it still says %q", out.Notices)
		}
	})
}

// TestADeadCursorIsLeft is about a cursor that is taken and shows nothing: an
// event that is there, and that it should have shown, ends it.
func TestADeadCursorIsLeft(t *testing.T) {
	t.Parallel()
	inLog(t, func(t *testing.T, m *machine) {
		m.site.add(45, time.Second, 0)
		_, err := m.settle()
		must(t, err)
		m.site.quirks(func(q *quirks) { q.CursorDead = true })
		m.site.add(5, time.Second, 2*time.Minute)
		pass(interval)
		m.site.add(3, time.Second, 5*time.Second)
		pass(3 * time.Minute)
		before, err := m.run()
		must(t, err)
		if before.position.Cursor != "" {
			t.Fatalf("the cursor is kept after a run that found %d events without it", before.Records)
		}
		m.site.add(3, time.Second, 0)
		runs(t, m, 1)
		must(t, m.exactly())
	})
}

// TestTheRateLimitOfALogIsNotMet counts requests in each minute, with the pace
// that the program keeps by itself.
func TestTheRateLimitOfALogIsNotMet(t *testing.T) {
	t.Parallel()
	inLog(t, func(t *testing.T, m *machine) {
		m.asker.PerSecond = sourcetest.Paced
		m.site.SetLimits(atlassiantest.Limits{PerMinute: 50})
		m.budget = 7500 * time.Millisecond // half of the Agent's 15 s
		m.o.PageSize = 5
		m.site.add(900, time.Second, 0)
		for range 40 {
			if _, err := m.run(); err != nil {
				t.Fatal(err)
			}
			pass(15 * time.Second)
			m.site.add(20, time.Second, 0)
		}
		perMinute := map[string]int{}
		for _, i := range m.site.Requests() {
			if i.Status == 429 {
				t.Fatalf("a request at %s was refused", i.Time)
			}
			perMinute[i.Time.Format("15:04")]++
		}
		if len(perMinute) < 5 {
			t.Fatal(fmt.Sprint("requests in few minutes: ", perMinute))
		}
	})
}

// TestAMillisecondOfPagesIsReadToItsEnd is about an empty list that is false, amid
// a millisecond of more than a page: that time shows the first page of it says
// nothing of the others.
func TestAMillisecondOfPagesIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	for k := range 6 {
		t.Run(fmt.Sprint("the list ", k, " is empty"), func(t *testing.T) {
			t.Parallel()
			inLog(t, func(t *testing.T, m *machine) {
				busy(t, m, 2)
				pass(interval)
				at := time.Now()
				m.site.AddBurst(string(m.site.product), 110, at)
				m.site.Fault(atlassiantest.Fault{After: k, Times: 1, Action: atlassiantest.EmptyList()})
				out, err := m.run()
				must(t, err)
				if out.position.Covered.Contains(at.UnixMilli()) {
					must(t, m.exactly())
				}
				_, err = m.settle()
				must(t, err)
				must(t, m.exactly())
			})
		})
	}
}
