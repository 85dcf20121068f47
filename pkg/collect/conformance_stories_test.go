package collect_test

import (
	"fmt"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
)

type story struct {
	tell func(*testing.T, *machine)
	// reconcile: only a reconcile brings the last of them.
	reconcile bool
	// alone: another machine would not see the same.
	alone bool
}

// of is the story with pages of n records.
func (s story) of(n int) story {
	tell := s.tell
	s.tell = func(t *testing.T, m *machine) {
		m.o.PageSize = n
		tell(t, m)
	}
	return s
}

// with has a history of records while the site has those quirks, and more that
// arrive over some runs.
func with(change func(*quirks)) story {
	return story{tell: func(t *testing.T, m *machine) {
		m.site.quirks(change)
		history(m)
		alive(t, m, 12)
	}}
}

// history is three days of records with all that makes reading them hard.
func history(m *machine) {
	m.site.add(70, 11*time.Minute, 30*time.Hour)
	m.site.burst(33, 26*time.Hour)
	m.site.twins(3, 25*time.Hour)
	m.site.add(90, 977*time.Millisecond, 20*time.Hour)
	m.site.add(45, time.Millisecond, 3*time.Hour)
	m.site.twins(25, 2*time.Hour)
	m.site.burst(20, 90*time.Minute) // exactly a page
	m.site.add(30, 13*time.Second, 0)
}

// alive lets n runs go by, in each of which records arrive.
func alive(t *testing.T, m *machine, n int) {
	t.Helper()
	for i := range n {
		m.site.add(3+i%4, 1700*time.Millisecond, 0)
		if i%3 == 0 {
			m.site.burst(4, 0)
		}
		if i%4 == 1 {
			m.site.twins(2, 0)
		}
		runs(t, m, 1)
	}
}

// runs lets n runs go by that must not fail.
func runs(t *testing.T, m *machine, n int) {
	t.Helper()
	for range n {
		pass(interval)
		if _, err := m.run(); err != nil {
			t.Fatal("a run failed:", err)
		}
	}
}

var stories = map[string]story{
	"there is nothing":                   {tell: func(t *testing.T, m *machine) { runs(t, m, 3) }},
	"there is one record":                {tell: func(_ *testing.T, m *machine) { m.site.add(1, 0, time.Hour) }},
	"the first run reads the history":    {tell: func(_ *testing.T, m *machine) { history(m) }},
	"records arrive over many runs":      with(func(*quirks) {}),
	"the page size is clamped silently":  with(func(q *quirks) { q.MaxPage, q.EchoRequestedLimit = 7, true }),
	"the page size is clamped openly":    with(func(q *quirks) { q.MaxPage = 7 }),
	"a page holds one record":            with(func(q *quirks) { q.MaxPage = 1 }),
	"total is too small":                 with(func(q *quirks) { q.TotalLie, q.SizeLie = atlassiantest.TotalTooSmall, true }),
	"total is too big":                   with(func(q *quirks) { q.TotalLie = atlassiantest.TotalTooBig }),
	"total is zero":                      with(func(q *quirks) { q.TotalLie = atlassiantest.TotalZero }),
	"total is missing":                   with(func(q *quirks) { q.TotalLie = atlassiantest.TotalMissing }),
	"there is always a next page":        with(func(q *quirks) { q.NextAlways = true }),
	"the next page skips records":        with(func(q *quirks) { q.MaxPage, q.NextFromRequested = 7, true }),
	"ties come in another order":         with(func(q *quirks) { q.ShuffleTies = true }).of(50),
	"from equal to to is answered":       with(func(q *quirks) { q.EqualBounds = true }),
	"the site's clock is ahead":          with(func(q *quirks) { q.ClockSkew = 20 * time.Minute }),
	"the site's clock is behind":         with(func(q *quirks) { q.ClockSkew = -20 * time.Minute }),
	"records come in insertion order":    with(func(q *quirks) { q.InsertionOrder = true }),
	"records come in ascending order":    with(func(q *quirks) { q.Ascending = true }),
	"insertion order, oldest first":      with(func(q *quirks) { q.InsertionOrder, q.Ascending = true, true }),
	"bounds are in seconds":              with(func(q *quirks) { q.SecondPrecisionBounds = true }),
	"dates are in seconds":               with(func(q *quirks) { q.SecondPrecisionDates = true }),
	"bounds and dates are in seconds":    with(func(q *quirks) { q.SecondPrecisionBounds, q.SecondPrecisionDates = true, true }),
	"bounds are exclusive":               with(func(q *quirks) { q.ExclusiveBounds = true }),
	"bounds are exclusive, in seconds":   with(func(q *quirks) { q.ExclusiveBounds, q.SecondPrecisionBounds = true, true }),
	"bounds exclusive, dates in seconds": with(func(q *quirks) { q.ExclusiveBounds, q.SecondPrecisionDates = true, true }),
	"from is ignored":                    with(func(q *quirks) { q.IgnoreFrom = true }),
	"clamped and in insertion order":     with(func(q *quirks) { q.MaxPage, q.EchoRequestedLimit, q.InsertionOrder = 7, true, true }),
	"clamped, bounds in seconds":         with(func(q *quirks) { q.MaxPage, q.SecondPrecisionBounds = 7, true }),

	"an offset past the end repeats the last page, for a while": {tell: func(t *testing.T, m *machine) {
		history(m)
		m.site.quirks(func(q *quirks) { q.RowsPastEnd = true })
		for range 5 {
			_, _ = m.run() // may say so
			m.site.add(5, time.Second, 0)
			pass(interval)
		}
		m.site.quirks(func(q *quirks) { q.RowsPastEnd = false })
	}},
	"insertion order with late records": {tell: func(t *testing.T, m *machine) {
		m.site.quirks(func(q *quirks) { q.InsertionOrder = true })
		history(m)
		for range 10 {
			m.site.add(2, time.Second, 9*time.Minute)
			m.site.add(3, time.Second, 0)
			runs(t, m, 1)
		}
	}},
	"insertion order, and a silence behind a moment of more than a page": {tell: func(_ *testing.T, m *machine) {
		m.o.PageSize = 2
		m.site.quirks(func(q *quirks) { q.InsertionOrder = true })
		m.site.add(1, 0, 70*time.Hour) // behind the page that leaves the moment
		m.site.add(1, 0, 90*time.Hour)
		m.site.add(1, 0, 2*time.Hour)
		m.site.burst(4, time.Hour)
	}},
	"insertion order, a record a page": {reconcile: true, alone: true, tell: func(_ *testing.T, m *machine) {
		m.o.PageSize = 1
		m.site.quirks(func(q *quirks) {
			q.InsertionOrder = m.site.product != audit.Organization // a log is ordered by its processing
		})
		for _, hours := range []int{5, 8, 20, 7, 6, 30, 3, 2} {
			m.site.add(1, 0, time.Duration(hours)*time.Hour)
		}
	}},
	"a habit appears and goes again": {alone: true, tell: func(t *testing.T, m *machine) {
		history(m)
		for _, change := range []func(*quirks){
			func(q *quirks) { q.InsertionOrder = true },
			func(q *quirks) { *q = quirks{SecondPrecisionBounds: true} },
			func(q *quirks) { *q = quirks{Ascending: true} },
			func(q *quirks) { *q = quirks{ExclusiveBounds: true} },
			func(q *quirks) { *q = quirks{} },
		} {
			m.site.quirks(change)
			alive(t, m, 3)
		}
	}},
	"a millisecond holds more than a page": {tell: func(t *testing.T, m *machine) {
		m.o.PageSize = 0
		m.site.quirks(func(q *quirks) { q.MaxPage = 100 })
		m.site.add(120, time.Second, 2*time.Hour)
		m.site.burst(2500, time.Hour)
		m.site.twins(150, 50*time.Minute)
		m.site.add(120, time.Second, 0)
		alive(t, m, 3)
	}},
	"a millisecond of more than a page, with a small budget": {tell: func(t *testing.T, m *machine) {
		m.o.PageSize = 100
		m.budget = 500 * time.Millisecond
		m.site.quirks(func(q *quirks) { q.Latency = 200 * time.Millisecond })
		m.site.burst(1250, time.Hour)
		m.site.add(120, time.Second, 0)
		runs(t, m, 40)
	}},
	"a millisecond grows while it is read": {tell: func(t *testing.T, m *machine) {
		at := time.Now()
		m.site.AddBurst(string(m.site.product), 50, at)
		m.site.OnRequest(func(i atlassiantest.RequestInfo) {
			if i.Audit() && m.site.Len(string(m.site.product)) < 75 {
				m.site.AddBurst(string(m.site.product), 1, at)
			}
		})
		for n := 0; n == 0 || n < 50 && m.site.Len(string(m.site.product)) < 75; n++ {
			_, _ = m.run() // may give up
		}
	}},
	"ties of more than a page come in another order": {tell: func(t *testing.T, m *machine) {
		m.site.quirks(func(q *quirks) { q.ShuffleTies = true })
		m.site.burst(55, time.Hour)
		m.site.add(30, time.Second, 0)
		for range 10 {
			_, _ = m.run() // may give up
		}
		m.site.quirks(func(q *quirks) { q.ShuffleTies = false })
	}},
	"twins arrive in several runs": {tell: func(t *testing.T, m *machine) {
		at := time.Now()
		twin := atlassiantest.Twin(atlassiantest.NewCorpus(9).Record(string(m.site.product), at))
		for range 5 {
			m.site.Add(string(m.site.product), twin, twin)
			runs(t, m, 1)
		}
	}},
	"a second record of a millisecond appears at the next run": {tell: func(t *testing.T, m *machine) {
		for range 5 {
			at := time.Now()
			m.site.AddBurst(string(m.site.product), 1, at)
			runs(t, m, 1)
			m.site.AddBurst(string(m.site.product), 1, at)
			runs(t, m, 1)
		}
	}},
	"records arrive while pages are read": {tell: func(t *testing.T, m *machine) {
		m.site.OnRequest(func(i atlassiantest.RequestInfo) {
			if i.Audit() && i.N < 200 {
				m.site.AddBurst(string(m.site.product), 1+i.N%3, time.Now())
			}
		})
		history(m)
		runs(t, m, 20)
	}},
	"late records arrive while pages are read": {reconcile: true, tell: func(t *testing.T, m *machine) {
		m.site.OnRequest(func(i atlassiantest.RequestInfo) {
			if i.Audit() && i.N < 120 {
				m.site.AddLate(string(m.site.product), 1, time.Duration(i.N*7%14)*time.Minute)
				m.site.AddLate(string(m.site.product), 1, time.Duration(i.N*7%40)*time.Hour)
			}
		})
		history(m)
		for n := 0; n < 20 || !m.site.quiet && m.site.Count(atlassiantest.KindAudit) < 120; n++ {
			runs(t, m, 1)
		}
	}},
	"a record appears late within the look-back": {tell: func(t *testing.T, m *machine) {
		history(m)
		for i := range 12 {
			m.site.add(1, 0, 0)
			runs(t, m, 1)
			m.site.add(2, time.Second, time.Duration(i)*time.Minute+30*time.Second)
		}
		runs(t, m, 1)
	}},
	"a record appears late within the reconcile window": {reconcile: true, tell: func(t *testing.T, m *machine) {
		m.site.add(50, time.Hour, 0)
		alive(t, m, 4)
		for ago := range 11 {
			m.site.add(2, time.Second, time.Duration(ago)*4*time.Hour+20*time.Minute)
			runs(t, m, 1)
		}
	}},
	"late records keep coming over days": {reconcile: true, tell: func(t *testing.T, m *machine) {
		for i := range 40 {
			m.site.add(2, time.Second, 0)
			m.site.add(1, 0, time.Duration(i*7%30)*time.Hour)
			pass(2 * time.Hour)
			runs(t, m, 1)
		}
	}},
	"the network is away for three days": {reconcile: true, tell: func(t *testing.T, m *machine) {
		history(m)
		alive(t, m, 4)
		down := m.site.Fault(atlassiantest.Fault{Action: atlassiantest.Reset()})
		for i := range 72 {
			pass(time.Hour)
			m.site.add(3, time.Minute, 0)
			m.site.add(1, 0, time.Duration(i*13%200)*time.Minute) // late while nobody reads
			if i%12 == 0 {
				if _, err := m.run(); err == nil && !m.site.quiet {
					t.Fatal("a run did not notice that the network is away")
				}
			}
		}
		down.Disarm()
	}},
	"records appeared late just before an outage of three days": {tell: func(t *testing.T, m *machine) {
		m.site.add(5, time.Minute, 0)
		runs(t, m, 1)
		m.site.add(3, time.Second, 10*time.Minute) // inside the look-back of the last record read
		pass(72 * time.Hour)
		m.site.add(5, time.Minute, 0)
	}},
	"the machine was off for three days": {reconcile: true, tell: func(t *testing.T, m *machine) {
		history(m)
		alive(t, m, 3)
		for range 72 {
			pass(time.Hour)
			m.site.add(3, 5*time.Minute, 0)
			m.site.add(1, 0, 5*time.Hour)
		}
	}},
	"a run may read one page": {tell: func(t *testing.T, m *machine) {
		m.budget = time.Second
		m.site.quirks(func(q *quirks) { q.Latency = time.Second })
		history(m)
		alive(t, m, 20)
	}},
	"a run may read three pages and records keep coming": {tell: func(t *testing.T, m *machine) {
		m.budget = 2500 * time.Millisecond
		m.site.quirks(func(q *quirks) { q.Latency = time.Second })
		history(m)
		for range 30 {
			m.site.add(25, time.Second, 0)
			runs(t, m, 1)
		}
	}},
	"more arrives than a run may read": {reconcile: true, tell: func(t *testing.T, m *machine) {
		m.budget = 1500 * time.Millisecond
		m.site.quirks(func(q *quirks) { q.Latency = time.Second })
		for range 15 {
			m.site.add(60, 500*time.Millisecond, 0)
			runs(t, m, 1)
		}
	}},
	"people are renamed between two reads": {alone: true, tell: func(t *testing.T, m *machine) {
		history(m)
		for i := range 6 {
			m.site.add(6, time.Second, 0)
			m.site.twins(2, 0)
			m.site.burst(3, 0)
			runs(t, m, 1)
			m.site.rename(fmt.Sprint("Renamed", i))
			runs(t, m, 1)
		}
	}},
	"old records are purged while pages are read": {alone: true, tell: func(t *testing.T, m *machine) {
		history(m)
		m.site.OnRequest(func(i atlassiantest.RequestInfo) {
			if i.Audit() && i.N < 12 {
				m.site.Purge(string(m.site.product), time.Now().Add(-32*time.Hour+time.Duration(i.N)*time.Hour))
			}
		})
		m.site.add(5, time.Second, 0)
	}},
	"everything is purged": {alone: true, tell: func(t *testing.T, m *machine) {
		history(m)
		_, err := m.settle()
		must(t, err)
		must(t, m.exactly())
		m.site.Purge(string(m.site.product), time.Now())
		runs(t, m, 3)
		m.site.add(5, time.Second, 0)
	}},
	"records are dated ahead of the site's clock": {tell: func(t *testing.T, m *machine) {
		history(m)
		for i := range 6 {
			m.site.add(2, time.Second, -time.Duration(i)*50*time.Minute) // ahead
			m.site.add(3, time.Second, 0)
			runs(t, m, 2)
		}
		pass(6 * time.Hour)
		m.site.add(3, time.Second, 0)
	}},
	"the only record is dated a day ahead": {tell: func(t *testing.T, m *machine) {
		m.site.add(1, 0, -24*time.Hour)
		runs(t, m, 3)
		m.site.add(3, time.Minute, 0)
		runs(t, m, 3)
	}},
	"records are not what they should be": {alone: true, tell: func(t *testing.T, m *machine) {
		m.o.PageSize = 1000
		add := func(raws ...string) {
			for _, raw := range raws {
				m.site.Add(string(m.site.product), atlassiantest.Record{Created: time.Now().Add(-time.Minute), Raw: []byte(raw), Verbatim: true})
			}
		}
		history(m)
		add(`{"id":1,"summary":"no date"}`, `{"summary":"neither"}`, `{}`, `null`, `17`, `"text"`, `[1,{"a":2}]`,
			`{"id":2,"created":"soon","creationDate":"soon"}`, `{"id":3,"created":null,"creationDate":null}`,
			`{"id":4,"created":{},"creationDate":[]}`, `{"id":9007199254740993,"summary":"no date, large id"}`)
		runs(t, m, 2)
		add(`{"id":5,"summary":"no date"}`, `null`)
		m.site.add(3, time.Second, 0)
		runs(t, m, 2)
	}},
	"numbers are larger than a float holds": {alone: true, tell: func(_ *testing.T, m *machine) {
		for i := range 3 {
			m.site.Add(string(m.site.product), atlassiantest.Record{
				Created: time.Now().Add(-time.Duration(i) * time.Minute),
				Key:     fmt.Sprintf("kffff-%06d", i),
				Raw:     []byte(`{"n":9007199254740993,"f":1.000000000000000000001,"e":1E400,"summary":"%KEY%","z":-0,"category":"c"}`),
			})
		}
	}},
	"ids are larger than a float holds": {alone: true, tell: func(_ *testing.T, m *machine) {
		for i := range 40 {
			m.site.Add(string(m.site.product), atlassiantest.Record{
				Created: time.Now().Add(-time.Minute),
				Key:     fmt.Sprintf("kffff-%06d", i),
				Raw:     fmt.Appendf(nil, `{"id":%d,"summary":"%%KEY%%","category":"c"}`, 9007199254740990+i),
			})
		}
	}},
}
