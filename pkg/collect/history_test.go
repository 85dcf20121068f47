package collect_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/collect"
	"atlassian_audit_records/pkg/spool/spooltest"
	"atlassian_audit_records/pkg/state"
)

// want asks for the history between two moments that are so long ago.
func (m *machine) want(from, to time.Duration) error {
	now := time.Now()
	_, err := m.process(func(_ context.Context, c *collect.Collector, _ *outcome) error {
		return c.Want(now.Add(-from).UnixMilli(), now.Add(-to).UnixMilli())
	})
	return err
}

// turn is one turn of a backfill, of a page or of what can be read in a second.
func (m *machine) turn(length time.Duration) (outcome, error) {
	return m.process(func(ctx context.Context, c *collect.Collector, out *outcome) (err error) {
		out.more, err = c.History(ctx, time.Now().Add(length))
		return err
	})
}

// backfill lets turns follow each other until the history is read, and between lets
// each of them be followed by what goes on meanwhile.
func (m *machine) backfill(length time.Duration, meanwhile func(turn int) error) error {
	var out outcome
	var err error
	for n := range 3000 {
		pass(time.Second)
		if out, err = m.turn(length); err == nil && !out.waited && !out.more {
			if left := out.position.History(); len(left) > 0 || len(out.position.Wanted) > 0 {
				return fmt.Errorf("the history ended with %v of %v unread", left, out.position.Wanted)
			}
			return nil
		}
		if meanwhile != nil {
			if err := meanwhile(n); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("the history is not read after 3000 turns: %+v, the last error: %w", out, err)
}

// old moves the floor to an hour ago, so that what the stories tell lies below it.
func old(m *machine) {
	m.o.InitialLookback = time.Hour
	history(m)
	m.site.add(25, time.Minute, 0)
}

// beginning is so long ago that nothing of a story is older.
const beginning = 10 * 24 * time.Hour

// TestAHistoryIsReadExactlyOnce reads what lies below the floor while the check
// goes on, of sources with all habits.
func TestAHistoryIsReadExactlyOnce(t *testing.T) {
	t.Parallel()
	habits := map[string]func(*quirks){
		"an ordinary source":               func(*quirks) {},
		"the page size is clamped":         func(q *quirks) { q.MaxPage, q.EchoRequestedLimit = 7, true },
		"a page holds one record":          func(q *quirks) { q.MaxPage = 1 },
		"records come in insertion order":  func(q *quirks) { q.InsertionOrder = true },
		"records come in ascending order":  func(q *quirks) { q.Ascending = true },
		"ties come in another order":       func(q *quirks) { q.ShuffleTies = true },
		"bounds are in seconds":            func(q *quirks) { q.SecondPrecisionBounds = true },
		"dates are in seconds":             func(q *quirks) { q.SecondPrecisionDates = true },
		"bounds are exclusive, in seconds": func(q *quirks) { q.ExclusiveBounds, q.SecondPrecisionBounds = true, true },
		"from is ignored":                  func(q *quirks) { q.IgnoreFrom = true },
	}
	for name, change := range habits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, m *machine) {
				old(m)
				m.o.Remembered = 60
				m.site.quirks(change)
				if name == "ties come in another order" {
					m.o.PageSize = 50
				}
				_, err := m.settle()
				must(t, err)
				must(t, m.want(beginning, 0))
				must(t, m.backfill(0, func(n int) error {
					if n%5 > 0 {
						return nil
					}
					m.site.add(2, time.Second, 0)
					_, err := m.run()
					return err
				}))
				must(t, m.reconcile())
				must(t, m.exactly())
				must(t, m.all(beginning))

				must(t, m.want(beginning+time.Hour, 0)) // once more, and an hour of nothing
				l, err := m.audit()
				must(t, err)
				must(t, m.backfill(time.Second, nil))
				again, err := m.audit()
				must(t, err)
				if again.Lines != l.Lines {
					t.Errorf("read once more, the history brought %d lines", again.Lines-l.Lines)
				}
			})
		})
	}
}

// all fails unless everything since then counts as read.
func (m *machine) all(since time.Duration) error {
	p, err := state.Peek(m.files, 0)
	if err != nil {
		return err
	}
	// The end of a backfill that began a while ago lies above this moment.
	from := time.Now().Add(-since + 8*time.Hour + time.Hour).UnixMilli()
	if gaps := p.Covered.Gaps(audit.Interval{From: from, To: p.Upper + 1}); len(gaps) > 0 {
		return fmt.Errorf("%v was not read", gaps)
	}
	return nil
}

// TestAHistoryOfAllThatIsDifficult has milliseconds larger than a page, twins, and
// records that the first runs of a product never showed.
func TestAHistoryOfAllThatIsDifficult(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]story{
		"a millisecond holds more than a page": {tell: func(t *testing.T, m *machine) {
			m.site.add(30, time.Second, 2*time.Hour)
			m.site.burst(130, 5*time.Hour)
			m.site.twins(45, 6*time.Hour)
			m.site.add(30, time.Second, 7*time.Hour)
		}},
		"nothing happened for a month": {tell: func(t *testing.T, m *machine) {
			m.site.add(30, time.Hour, 35*24*time.Hour)
		}},
		"there is nothing at all": {tell: func(*testing.T, *machine) {}},
		"a record stands at the floor, one below, and one above": {tell: func(t *testing.T, m *machine) {
			m.site.add(3, time.Millisecond, time.Hour-time.Millisecond)
		}},
		"two backfills, the newer span first": {tell: func(t *testing.T, m *machine) {
			history(m)
			runs(t, m, 1)
			must(t, m.want(30*time.Hour, 20*time.Hour))
			must(t, m.backfill(0, nil))
		}},
		"a backfill that nobody ends, and another one": {tell: func(t *testing.T, m *machine) {
			history(m)
			runs(t, m, 1)
			must(t, m.want(60*time.Hour, 25*time.Hour))
			for range 4 {
				_, err := m.turn(0)
				must(t, err)
			}
			must(t, m.want(21*time.Hour, 0))
			for range 2 {
				_, err := m.turn(0)
				must(t, err)
			}
		}},
		"late records arrive where nothing was read yet": {tell: func(t *testing.T, m *machine) {
			m.site.add(200, 30*time.Minute, 2*time.Hour)
			runs(t, m, 1)
			must(t, m.want(beginning, 0))
			for i := range 4 {
				_, err := m.turn(0)
				must(t, err)
				m.site.add(3, time.Second, 90*time.Hour+time.Duration(i)*time.Minute)
			}
		}},
		"the source forgets its order halfway": {alone: true, tell: func(t *testing.T, m *machine) {
			history(m)
			runs(t, m, 1)
			must(t, m.want(beginning, 0))
			for range 5 {
				_, err := m.turn(0)
				must(t, err)
			}
			if m.site.product == audit.Organization {
				return // its order is that of the processing, which is documented
			}
			m.site.quirks(func(q *quirks) { q.InsertionOrder = true })
			m.site.add(4, 3*time.Hour, 27*time.Hour)
		}},
		"errors and false answers": {tell: func(t *testing.T, m *machine) {
			history(m)
			runs(t, m, 1)
			must(t, m.want(beginning, 0))
			for _, a := range []atlassiantest.Action{
				atlassiantest.Reset(), atlassiantest.ServerError(500), atlassiantest.EmptyList(), atlassiantest.Truncate(0.5),
				atlassiantest.LoginPage(), atlassiantest.RepeatPage(), atlassiantest.MalformedJSON(),
			} {
				m.site.Fault(atlassiantest.Fault{After: 1, Times: 2, Action: a})
				for range 3 {
					_, _ = m.turn(0) // may say so
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, m *machine) {
				m.o.InitialLookback = time.Hour
				m.o.Remembered = 60
				row.tell(t, m)
				_, err := m.settle()
				must(t, err)
				const ago = 60 * 24 * time.Hour
				must(t, m.want(ago, 0))
				must(t, m.backfill(0, nil))
				_, err = m.settle()
				must(t, err)
				must(t, m.exactly())
				must(t, m.all(ago))
			})
		})
	}
}

// TestABackfillThatIsKilled restarts a machine from each moment of some turns.
func TestABackfillThatIsKilled(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		m.o.InitialLookback, m.o.PageSize, m.o.Remembered = 30*time.Minute, 10, 25
		m.o.ReconcileWindow = time.Minute // so that the runs forget soon
		m.site.add(12, 2*time.Minute, 0)
		m.site.add(22, 7*time.Minute, 40*time.Minute)
		m.site.burst(13, 50*time.Minute)
		m.site.twins(3, 55*time.Minute)
		runs(t, m, 1)
		var moments []moment
		m.watch(&moments)
		must(t, m.want(5*time.Hour, 0))
		must(t, m.backfill(0, func(n int) error {
			if n%2 > 0 {
				return nil
			}
			m.site.add(2, time.Second, 0)
			_, err := m.run()
			return err
		}))
		m.between = nil
		if len(moments) < 12 {
			t.Fatalf("only %d moments were seen", len(moments))
		}
		stride := 2 * kind{m.site.Kind}.stride()
		for i := 0; i < len(moments); i += stride {
			at := moments[i]
			for _, disk := range []func() *spooltest.MemFS{at.disk.Clone, func() *spooltest.MemFS { return at.disk.Crash(1) }} {
				back, err := m.restart(at, disk(), t.TempDir())
				must(t, err)
				if _, err := back.settle(); err != nil {
					t.Fatalf("restarted from moment %d, after %s: %v", i+1, at.after, err)
				}
				for range 3 {
					m.site.add(1, 0, 0)
					pass(2 * time.Hour)
					_, err := back.run()
					must(t, err)
				}
				must(t, back.want(200*24*time.Hour, 0))
				must(t, back.backfill(0, nil))
				if err := back.exactly(); err != nil {
					t.Fatalf("restarted from moment %d, after %s: %v", i+1, at.after, err)
				}
			}
		}
	})
}

// TestTheCheckIsNotSlowedByAHistory is about the runs beside a backfill: they cost
// what they cost without one, and read nothing of it.
func TestTheCheckIsNotSlowedByAHistory(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		m.o.InitialLookback, m.o.Remembered = time.Hour, 50
		m.site.add(900, time.Minute, 2*time.Hour)
		m.site.add(10, time.Minute, 0)
		_, err := m.settle()
		must(t, err)
		must(t, m.want(beginning, 0))
		must(t, m.backfill(0, func(int) error {
			out, err := m.run()
			if err == nil && (out.requests > 3 || out.Records > 0 || out.Gap > 0) {
				err = fmt.Errorf("a run beside a backfill: %+v", out)
			}
			return err
		}))
		must(t, m.exactly())
	})
}

// TestAHistoryIsNotRemembered is about the state of a backfill: it does not grow with
// what was read, and is what it was before when all is read.
func TestAHistoryIsNotRemembered(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		m.o.InitialLookback, m.o.Remembered = time.Hour, 50
		m.site.add(1200, time.Minute, 2*time.Hour)
		m.site.add(10, time.Minute, 0)
		_, err := m.settle()
		must(t, err)
		before := m.remembered()
		most := 0
		must(t, m.want(beginning, 0))
		must(t, m.backfill(0, func(int) error {
			most = max(most, m.remembered())
			return nil
		}))
		if most > before+2*50+3*m.o.PageSize+most/20 && m.site.product != audit.Organization {
			t.Errorf("%d moments were remembered, and %d before the backfill", most, before)
		}
		must(t, m.exactly())
		for range 100 {
			m.site.add(1, 0, 0)
			pass(time.Hour)
			_, err := m.run()
			must(t, err)
		}
		if after := m.remembered(); after > 200 {
			t.Errorf("%d moments are remembered long after the backfill", after)
		}
		must(t, m.exactly())

		m.site.add(30, time.Hour, 3*beginning)
		asked := m.site.Count(atlassiantest.KindAudit)
		must(t, m.want(4*beginning, 0))
		must(t, m.backfill(0, nil))
		must(t, m.exactly())
		if n := m.site.Count(atlassiantest.KindAudit) - asked; n > 60 {
			t.Errorf("30 records below all that was read took %d requests", n)
		}
	})
}

// remembered is how many milliseconds are remembered.
func (m *machine) remembered() (n int) {
	store, _, err := state.Open(m.files, state.Options{Now: time.Now})
	if err != nil {
		panic(err)
	}
	for ms := int64(0); ; n++ {
		next, ok, err := store.NextSeen(ms)
		if err != nil {
			panic(err)
		}
		if !ok {
			break
		}
		ms = next + 1
	}
	if err := store.Close(); err != nil {
		panic(err)
	}
	return n
}

// TestAFalselyEmptyHistoryIsNotBelieved is about a source that shows nothing of the
// past, although it has it.
func TestAFalselyEmptyHistoryIsNotBelieved(t *testing.T) {
	t.Parallel()
	asking(t, func(t *testing.T, m *machine) {
		m.o.InitialLookback = time.Hour
		m.site.add(100, time.Minute, 2*time.Hour)
		m.site.add(10, time.Minute, 0)
		_, err := m.settle()
		must(t, err)
		must(t, m.want(beginning, 0))
		empty := m.site.Fault(atlassiantest.Fault{Action: atlassiantest.EmptyList()})
		for range 5 {
			pass(time.Minute)
			out, err := m.turn(0)
			must(t, err)
			if !out.Suspicious || !out.more {
				t.Fatalf("an empty history was believed: %+v", out)
			}
		}
		empty.Disarm()
		must(t, m.backfill(0, nil))
		must(t, m.exactly())
		must(t, m.all(beginning))
	})
}

// TestAWaitBindsBoth is about a rate limit that a backfill meets: the check waits as
// well, and both go on.
func TestAWaitBindsBoth(t *testing.T) {
	t.Parallel()
	asking(t, func(t *testing.T, m *machine) {
		old(m)
		_, err := m.settle()
		must(t, err)
		must(t, m.want(beginning, 0))
		m.site.Fault(atlassiantest.Fault{After: 1, Times: 1, Action: atlassiantest.RateLimit(10*time.Minute, atlassiantest.RetrySeconds)})
		for err = nil; err == nil; {
			_, err = m.turn(0)
		}
		out, err := m.run()
		must(t, err)
		if !out.waited {
			t.Error("a run asked although a backfill was told to wait")
		}
		must(t, m.backfill(0, nil))
		must(t, m.exactly())
	})
}

// TestTheSecondOfTheFloorIsReadOnce has records on both sides of the floor in one
// second, and a check that has long forgotten those above it.
func TestTheSecondOfTheFloorIsReadOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		// What is forgotten is forgotten by spans of 2^17 ms: the floor lies 50 ms
		// below the beginning of one, within the same second.
		first := time.Now().Add(interval).UnixMilli()
		span := (first - time.Hour.Milliseconds()) >> 17
		for span<<17%1000 < 100 || span<<17%1000 > 900 {
			span--
		}
		floor := span<<17 - 50
		m.o.InitialLookback, m.o.ReconcileWindow = time.Duration(first-floor)*time.Millisecond, time.Minute
		for _, ms := range []int64{-90_000, -3, -2, -1, 0, 20, 49, 50, 60, 61, 500_000} {
			m.site.AddBurst(string(m.site.product), 1, time.UnixMilli(floor+ms))
		}
		m.site.add(500, 5*time.Second, time.Minute)
		runs(t, m, 1)
		for range 3 {
			m.site.add(1, 0, 0)
			pass(6 * time.Hour)
			runs(t, m, 1)
		}
		if p, err := state.Peek(m.files, 0); err != nil || p.Floor != floor || p.Forgotten <= floor {
			t.Fatalf("the floor is %d, not %d, and forgotten is what lies below %d (%v)", p.Floor, floor, p.Forgotten, err)
		}
		asked := m.site.Count(atlassiantest.KindAudit)
		must(t, m.want(beginning, 0))
		must(t, m.backfill(0, nil))
		must(t, m.exactly())
		if n := m.site.Count(atlassiantest.KindAudit) - asked; n > 25 {
			t.Errorf("4 records below the floor took %d requests", n)
		}
	})
}

// TestAHistoryReadInGoodFaithIsReadAgain is about a source in the order of insertion,
// in which a late record ends a page and looks as if it were in its place.
func TestAHistoryReadInGoodFaithIsReadAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		if m.site.product == audit.Organization {
			return // its order is that of the processing, which is documented
		}
		m.o.InitialLookback, m.o.ReconcileWindow = time.Hour, time.Minute
		m.site.quirks(func(q *quirks) { q.InsertionOrder = true })
		m.site.add(45, time.Minute, 12*time.Hour)
		m.site.add(1, 0, 12*time.Hour+20*time.Minute) // told by the page that shows it
		m.site.add(100, time.Minute, 9*time.Hour)
		m.site.add(60, time.Minute, 8*time.Hour)
		m.site.add(1, 0, 8*time.Hour+30*time.Minute) // ends the first page
		m.site.add(19, 13*time.Minute, 3*time.Hour)
		m.site.add(10, time.Minute, 0)
		_, err := m.settle()
		must(t, err)
		p, err := state.Peek(m.files, 0)
		must(t, err)
		if p.Slice != 0 {
			t.Fatal("the order is known to be unreliable before the history is read")
		}
		must(t, m.want(beginning, 0))
		must(t, m.backfill(0, func(n int) error {
			if n > 2 {
				return nil
			}
			m.site.add(1, 0, 0)
			pass(2 * time.Hour) // what the check needs no more is forgotten
			_, err := m.run()
			return err
		}))
		must(t, m.exactly())
	})
}
