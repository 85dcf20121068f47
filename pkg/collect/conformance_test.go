package collect_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
)

type quirks = atlassiantest.Quirks

// TestExactlyOnce tells a story of a site and a machine in each row. However it
// goes, in the end every record is in the spool exactly once, and a machine
// that starts only then calls the records by the same ids.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	for name, row := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, m *machine) {
				row.tell(t, m)
				_, err := m.settle()
				must(t, err)
				before := m.exactly()
				if before != nil && !row.reconcile {
					t.Error("before a reconcile:", before)
				}
				must(t, m.reconcile())
				if err := m.exactly(); err != nil {
					t.Fatal("after a reconcile:", err)
				}
				if row.alone {
					return
				}
				fresh := newMachine(m.site, t.TempDir())
				fresh.o = m.o
				fresh.o.InitialLookback *= 2
				_, err = fresh.settle()
				must(t, err)
				must(t, fresh.reconcile())
				must(t, fresh.exactly())
				ours, err := m.audit()
				must(t, err)
				theirs, err := fresh.audit()
				must(t, err)
				must(t, ours.SameIDs(theirs))
			})
		})
	}
}

// TestARecordLargerThanALine is delivered reduced, once, and kept whole.
func TestARecordLargerThanALine(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		raw := []byte(`{"summary":"large","category":"c","description":"` + strings.Repeat("x", 1_100_000) + `"}`)
		m.site.Add(string(m.site.product), atlassiantest.Record{Created: time.Now(), Raw: raw})
		m.site.add(30, time.Second, 0)
		_, err := m.settle()
		must(t, err)
		must(t, m.reconcile())
		all, err := m.lines()
		must(t, err)
		if len(all) != 31 {
			t.Errorf("%d lines of 31 records", len(all))
		}
		kept := 0
		for name, data := range m.disk.Files() {
			if strings.HasPrefix(name, "/run/oversize/") {
				kept++
				if want := m.site.Raw(m.site.Records(string(m.site.product))[0]); !bytes.Equal(data, want) {
					t.Errorf("%s holds %d bytes, which are not the %d of the record", name, len(data), len(want))
				}
			}
		}
		if kept != 1 {
			t.Errorf("%d records were kept whole", kept)
		}
	})
}

// TestAnIdleRunCostsTwoRequests is about a product in which nothing happens.
func TestAnIdleRunCostsTwoRequests(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*machine){
		"nothing ever happened":       func(*machine) {},
		"something happened long ago": func(m *machine) { m.site.add(100, time.Minute, 40*time.Hour) },
		"something happened just now": func(m *machine) { m.site.add(100, 5*time.Second, 0) },
		"a burst just now":            func(m *machine) { m.site.burst(100, 0) },
		"bounds are in seconds": func(m *machine) {
			m.site.add(100, time.Second, 0)
			m.site.quirks(func(q *quirks) { q.SecondPrecisionBounds = true })
		},
		"the last record is dated a day ahead": func(m *machine) { m.site.add(100, time.Second, 0); m.site.add(1, 0, -24*time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, m *machine) {
				m.o.PageSize = 0
				prepare(m)
				_, err := m.settle()
				must(t, err)
				_, err = m.settle()
				must(t, err)
				for range 20 {
					pass(interval)
					out, err := m.run()
					must(t, err)
					if out.requests > 2 || !out.complete() || out.Records > 0 {
						t.Fatalf("an idle run made %d requests and found %d records: %+v", out.requests, out.Records, out)
					}
				}
			})
		})
	}
}

// TestWhatIsCoveredIsNotAskedForAgain reads a history in many short runs and
// counts how often each record was shown.
func TestWhatIsCoveredIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		m.budget = 1500 * time.Millisecond
		m.site.quirks(func(q *quirks) { q.Latency = time.Second })
		m.site.add(600, time.Minute, time.Hour)
		_, err := m.settle()
		must(t, err)
		newest := time.Now()
		for range 30 {
			m.site.add(1, 0, 0)
			runs(t, m, 1)
		}
		must(t, m.exactly())
		shown, old := 0, 0
		for _, r := range m.site.Records(string(m.site.product)) {
			if newest.Sub(r.Created) > 2*time.Hour { // far below the look-back
				shown += r.Served
				old++
			}
		}
		if shown > old*12/10 {
			t.Errorf("%d old records were shown %d times", old, shown)
		}
	})
}

// TestAWaitBindsTheNextRuns is about an answer that asks to be left alone.
func TestAWaitBindsTheNextRuns(t *testing.T) {
	t.Parallel()
	asking(t, func(t *testing.T, m *machine) {
		history(m)
		runs(t, m, 2)
		m.site.Fault(atlassiantest.Fault{After: 1, Times: 1, Action: atlassiantest.RateLimit(10*time.Minute, atlassiantest.RetrySeconds)})
		m.site.add(50, time.Second, 0)
		pass(interval)
		end := time.Now().Add(10 * time.Minute)
		if _, err := m.run(); err == nil {
			t.Fatal("a run that was told to wait said nothing")
		}
		asked := m.site.Count(atlassiantest.KindAudit)
		for time.Now().Before(end) {
			out, err := m.run()
			must(t, err)
			if !out.waited {
				t.Fatal("a run did not know that it has to wait")
			}
			pass(interval)
		}
		if n := m.site.Count(atlassiantest.KindAudit); n != asked {
			t.Errorf("%d requests were made during the wait", n-asked)
		}
		_, err := m.settle()
		must(t, err)
		must(t, m.exactly())
	})
}

// TestTheNewestComeFirst is about events of today while a long history is read.
func TestTheNewestComeFirst(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		m.budget = 2500 * time.Millisecond
		m.site.quirks(func(q *quirks) { q.Latency = time.Second })
		m.site.add(1500, time.Minute, time.Hour)
		for range 20 {
			m.site.add(2, time.Second, 0)
			runs(t, m, 1)
			l, err := m.lines()
			must(t, err)
			there := map[string]int{}
			for _, n := range l {
				there[n.Form]++
			}
			for _, r := range m.site.Records(string(m.site.product)) {
				if time.Since(r.Created) < 30*time.Minute && there[m.site.Form(m.site.Raw(r))] == 0 {
					t.Fatalf("a record of %s is not there after a run", r.Created)
				}
			}
		}
		_, err := m.settle()
		must(t, err)
		must(t, m.exactly())
	})
}

// TestTheFloorHolds is about what was before the first look-back.
func TestTheFloorHolds(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, m *machine) {
		m.o.InitialLookback = time.Hour
		m.site.add(50, time.Minute, 2*time.Hour)
		m.site.add(50, time.Minute, 0)
		runs(t, m, 3)
		must(t, m.reconcile())
		must(t, m.exactly())
		l, err := m.audit()
		must(t, err)
		if l.Lines > 62 {
			t.Errorf("%d lines, of records of an hour", l.Lines)
		}
		oldest := audit.Forever
		for _, i := range m.site.Requests() {
			if from, ok := bound(i, "from"); ok {
				oldest = min(oldest, from.UnixMilli())
			}
		}
		if age := time.Since(time.UnixMilli(oldest)); age > 8*time.Hour {
			t.Errorf("records of %s ago were asked for", age)
		}
	})
}
