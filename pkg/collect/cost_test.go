package collect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// settled is in how many runs, and by how many requests, all is read that there is.
func settled(t *testing.T, m *machine) string {
	t.Helper()
	requests := 0
	for run := range 500 {
		pass(interval)
		out, err := m.run()
		must(t, err)
		if requests += out.requests; out.complete() && !out.more {
			return fmt.Sprintf("%d/%d", run+1, requests)
		}
	}
	t.Fatal("there is no end of it")
	return ""
}

// slowly is a site that takes its time for each answer.
func slowly(tell func(*machine)) func(*machine) {
	return func(m *machine) {
		m.site.quirks(func(q *quirks) { q.Latency = 300 * time.Millisecond })
		tell(m)
	}
}

// clamped is a site whose pages hold less than is asked for, and say so or not.
func clamped(silently bool) func(*machine) {
	return func(m *machine) {
		m.site.quirks(func(q *quirks) { q.MaxPage, q.EchoRequestedLimit = 7, silently })
		m.site.add(100, time.Minute, time.Hour)
	}
}

// TestWhatReadingCosts tells stages of a site, and in how many runs, by how many
// requests, what there is is read at each. A quota is other people's too: a change that
// makes a number larger has to say why.
func TestWhatReadingCosts(t *testing.T) {
	t.Parallel()
	apart := func(n int, apart, ago time.Duration) func(*machine) {
		return func(m *machine) { m.site.add(n, apart, ago) }
	}
	idle, few, many := apart(0, 0, 0), apart(3, time.Second, 0), apart(105, 100*time.Millisecond, 0)
	for name, row := range map[string]struct {
		stages                                     []func(*machine)
		jira, confluence, dataCenter, organization string
	}{
		"nothing": {
			[]func(m *machine){idle, idle},
			"1/2 1/1", "1/2 1/1", "1/2 1/1", "1/3 1/2",
		},
		"a page": {
			[]func(m *machine){apart(9, time.Minute, time.Hour), idle, few, idle},
			"1/3 1/2 1/2 1/2", "1/3 1/2 1/2 1/2", "1/3 1/2 1/2 1/2", "1/5 1/1 1/1 1/2",
		},
		"exactly a page": {
			[]func(m *machine){apart(20, time.Minute, time.Hour), idle},
			"1/4 1/2", "1/4 1/2", "1/4 1/2", "1/5 1/1",
		},
		"ten pages": {
			[]func(m *machine){apart(200, time.Minute, time.Hour), idle, few, many, idle},
			"1/13 1/2 1/2 1/7 1/7", "1/13 1/2 1/2 1/7 1/7", "1/13 1/2 1/2 1/7 1/7", "1/15 1/1 1/1 1/8 1/8",
		},
		"ten pages that come slowly": {
			[]func(m *machine){slowly(apart(200, time.Minute, time.Hour)), idle, many},
			"1/13 1/2 1/9", "1/13 1/2 1/9", "1/13 1/2 1/9", "1/15 1/1 1/7",
		},
		"more than a run can read": {
			[]func(m *machine){func(m *machine) {
				m.budget = 2 * time.Second
				slowly(apart(400, time.Minute, time.Hour))(m)
			}, many, idle},
			"4/30 4/26 2/13", "4/30 4/26 2/13", "4/30 4/26 2/13", "4/28 1/7 2/11",
		},
		"a millisecond of five pages": {
			[]func(m *machine){func(m *machine) {
				m.site.add(9, time.Minute, 2*time.Hour)
				m.site.burst(95, time.Hour)
			}, idle, few},
			"1/10 1/10 1/11", "1/15 1/10 1/11", "1/15 1/10 1/11", "1/9 1/2 1/2",
		},
		"a page with a day without records": {
			[]func(m *machine){func(m *machine) {
				m.site.add(15, time.Second, 30*time.Hour)
				m.site.add(30, time.Second, time.Hour)
			}, idle},
			"1/6 1/3", "1/6 1/3", "1/6 1/3", "1/6 1/2",
		},
		"records over four days": {
			[]func(m *machine){apart(150, 38*time.Minute, time.Hour), idle, few},
			"1/10 1/2 1/2", "1/10 1/2 1/2", "1/10 1/2 1/2", "1/11 1/1 1/1",
		},
		"pages that are clamped silently": {
			[]func(m *machine){clamped(true), idle, many},
			"1/20 1/5 1/25", "1/20 1/5 1/25", "1/20 1/5 1/25", "1/20 1/5 1/18",
		},
		"pages that are clamped openly": {
			[]func(m *machine){clamped(false), idle, many},
			"1/19 1/4 1/24", "1/19 1/4 1/24", "1/20 1/5 1/25", "1/20 1/5 1/18",
		},
		"records in the order of their insertion": {
			[]func(m *machine){func(m *machine) {
				m.site.quirks(func(q *quirks) { q.InsertionOrder = true })
				m.site.add(100, time.Minute, time.Hour)
				m.site.add(5, time.Hour, 20*time.Hour)
			}, idle, many, idle},
			"1/9 1/3 1/9 1/8", "1/17 1/3 1/18 1/8", "1/17 1/3 1/18 1/8", "",
		},
		"records that are late": {
			[]func(m *machine){apart(100, 10*time.Minute, time.Hour), func(m *machine) {
				m.site.add(30, time.Minute, 5*time.Hour)
				pass(m.o.ReconcileInterval)
			}, idle},
			"1/8 1/16 1/2", "1/8 1/16 1/2", "1/8 1/16 1/2", "1/10 1/8 1/1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wants := map[string]string{"jira": row.jira, "confluence": row.confluence, "jira data center": row.dataCenter, "organization": row.organization}
			bubble(t, func(t *testing.T, m *machine) {
				want := wants[m.site.Kind.Name]
				if want == "" {
					return // a variant of another kind, or one for which the row makes no sense
				}
				var got []string
				for _, stage := range row.stages {
					stage(m)
					got = append(got, settled(t, m))
				}
				must(t, m.exactly())
				if got := strings.Join(got, " "); got != want {
					t.Errorf("runs/requests were %s, want %s", got, want)
				}
			})
		})
	}
}
