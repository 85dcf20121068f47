package collect_test

import (
	"testing"
	"time"
)

// TestWhatAHistoryCosts tells a site, how far back a backfill goes and how much time each
// turn of it has: so many turns, requests and commits it takes.
func TestWhatAHistoryCosts(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	measured := costsOf(t)
	for name, row := range map[string]struct {
		tell       func(*machine)
		from, turn time.Duration
	}{
		"there is nothing":                  {func(*machine) {}, 300 * day, 0},
		"a page, half a year ago":           {func(m *machine) { m.site.add(9, time.Minute, 180*day) }, 300 * day, 0},
		"five pages a day":                  {func(m *machine) { m.site.add(300, 15*time.Minute, day) }, 5 * day, 0},
		"five pages a day, read in one go":  {func(m *machine) { m.site.add(300, 15*time.Minute, day) }, 5 * day, time.Minute},
		"five pages a day that come slowly": {slowly(func(m *machine) { m.site.add(300, 15*time.Minute, day) }), 5 * day, 3 * time.Second},
		"a page a month for two years":      {func(m *machine) { m.site.add(500, 36*time.Hour, day) }, 760 * day, 0},
		"a page a month, read in one go":    {func(m *machine) { m.site.add(500, 36*time.Hour, day) }, 760 * day, time.Minute},
		"a millisecond of five pages":       {func(m *machine) { m.site.add(9, time.Minute, 3*day); m.site.burst(95, 2*day) }, 5 * day, 0},
		"all that makes it hard":            {history, 10 * day, 0},
		"pages that are clamped":            {clamped(true), 10 * day, 0},
		"in the order of insertion": {func(m *machine) {
			m.site.quirks(func(q *quirks) { q.InsertionOrder = true })
			m.site.add(100, 20*time.Minute, 2*day)
			m.site.add(5, time.Hour, 52*time.Hour)
		}, 10 * day, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, m *machine) {
				if k := (kind{m.site.Kind}); !k.counted() {
					return
				}
				m.o.InitialLookback = time.Hour
				row.tell(m)
				m.site.add(25, time.Minute, 0)
				_, err := m.settle()
				must(t, err)
				must(t, m.want(row.from, 0))
				var b bill
				for more := true; more; {
					pass(time.Second)
					out, err := b.pays(m, func() (outcome, error) { return m.turn(row.turn) })
					must(t, err)
					more = out.more
				}
				must(t, m.exactly())
				must(t, m.all(row.from))
				measured.check(t, name, m.site.Name, []string{b.String()})
			})
		})
	}
}
