package collect_test

import (
	"fmt"
	"testing"
	"time"
)

// TestWhatAHistoryCosts tells a site, how far back a backfill goes and how much time each
// turn of it has, and in how many turns, by how many requests, the history is read.
func TestWhatAHistoryCosts(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, row := range map[string]struct {
		tell                                       func(*machine)
		from, turn                                 time.Duration
		jira, confluence, dataCenter, organization string
	}{
		"there is nothing":                  {func(*machine) {}, 300 * day, 0, "1/4", "1/4", "1/4", "14/14"},
		"a page, half a year ago":           {func(m *machine) { m.site.add(9, time.Minute, 180*day) }, 300 * day, 0, "2/5", "2/5", "2/5", "14/14"},
		"five pages a day":                  {func(m *machine) { m.site.add(300, 15*time.Minute, day) }, 5 * day, 0, "17/20", "17/20", "17/20", "19/19"},
		"five pages a day, read in one go":  {func(m *machine) { m.site.add(300, 15*time.Minute, day) }, 5 * day, time.Minute, "1/18", "1/18", "1/18", "1/17"},
		"five pages a day that come slowly": {slowly(func(m *machine) { m.site.add(300, 15*time.Minute, day) }), 5 * day, 3 * time.Second, "2/18", "2/18", "2/18", "2/17"},
		"a page a month for two years":      {func(m *machine) { m.site.add(500, 36*time.Hour, day) }, 760 * day, 0, "28/31", "28/31", "28/31", "53/53"},
		"a page a month, read in one go":    {func(m *machine) { m.site.add(500, 36*time.Hour, day) }, 760 * day, time.Minute, "1/29", "1/29", "1/29", "1/53"},
		"a millisecond of five pages":       {func(m *machine) { m.site.add(9, time.Minute, 3*day); m.site.burst(95, 2*day) }, 5 * day, 0, "4/12", "4/17", "4/17", "5/9"},
		"all that makes it hard":            {history, 10 * day, 0, "17/33", "17/46", "17/46", "20/26"},
		"pages that are clamped":            {clamped(true), 10 * day, 0, "18/37", "18/37", "18/37", "20/20"},
		"in the order of insertion": {func(m *machine) {
			m.site.quirks(func(q *quirks) { q.InsertionOrder = true })
			m.site.add(100, 20*time.Minute, 2*day)
			m.site.add(5, time.Hour, 52*time.Hour)
		}, 10 * day, time.Second, "1/9", "1/17", "1/17", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wants := map[string]string{"jira": row.jira, "confluence": row.confluence, "jira data center": row.dataCenter, "organization": row.organization}
			bubble(t, func(t *testing.T, m *machine) {
				want := wants[m.site.Kind.Name]
				if want == "" {
					return // a variant of another kind, or one for which the row makes no sense
				}
				m.o.InitialLookback = time.Hour
				row.tell(m)
				m.site.add(25, time.Minute, 0)
				_, err := m.settle()
				must(t, err)
				must(t, m.want(row.from, 0))
				turns, requests := 0, 0
				for more := true; more; turns++ {
					pass(time.Second)
					out, err := m.turn(row.turn)
					must(t, err)
					requests += out.requests
					more = out.more
				}
				must(t, m.exactly())
				must(t, m.all(row.from))
				if got := fmt.Sprintf("%d/%d", turns, requests); got != want {
					t.Errorf("turns/requests were %s, want %s", got, want)
				}
			})
		})
	}
}
