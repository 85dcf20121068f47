package collect_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// TestWhatAFalseAnswerCosts lets a false answer strike each request of a reading in
// turn, the first of it the first number of a row: so many requests it takes then until
// a run says that nothing is left to do. Doubt is paid for with a quota, so a change
// that makes a number larger has to say why.
func TestWhatAFalseAnswerCosts(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		action                                     atlassiantest.Action
		times                                      int
		jira, confluence, dataCenter, organization string
	}{
		"an empty list":                {atlassiantest.EmptyList(), 1, "3 13 12 13 13 13 13 13 13 13 12 12", "3 16 15 16 16 16 16 16 16 16 16 16 16 15 15", "3 16 15 16 16 16 16 16 16 16 16 16 16 15 15", "9 4 12 14 12 12 14 15 11 11 12"},
		"an empty list, twice":         {atlassiantest.EmptyList(), 2, "2 14 13 14 15 20 21 14 14 14 12 12", "2 17 16 17 18 15 16 17 18 19 17 17 17 15 15", "2 17 16 17 18 15 16 17 18 19 17 17 17 15 15", "4 3 12 15 12 13 14 15 15 15 15"},
		"an empty list, four times":    {atlassiantest.EmptyList(), 4, "2 13 13 14 15 8 9 15 16 16 12 12", "2 21 20 21 22 17 18 19 20 21 22 23 22 15 15", "2 21 20 21 22 17 18 19 20 21 22 23 22 15 15", "3 3 16 17 17 17 18 19 17 17 17"},
		"the page before":              {atlassiantest.RepeatPage(), 1, "12 14 12 13 12 13 13 19 21 21 15 12", "15 22 15 16 15 16 16 16 16 16 26 28 27 21 15", "15 22 15 16 15 16 16 16 16 16 26 28 27 21 15", "11 12 12 6 12 12 12 12 11 11 11"},
		"the page before, five times":  {atlassiantest.RepeatPage(), 5, "16 17 19 20 18 18 19 23 24 25 21 12", "24 25 26 23 21 21 22 20 24 25 34 35 36 27 15", "24 25 26 23 30 29 30 20 32 33 29 31 36 27 15", "14 15 16 6 19 19 18 16 11 11 11"},
		"a huge answer":                {atlassiantest.Huge(9 << 20), 1, "15 15 16 16 17 17 16 15 14 13 13 13", "18 18 18 19 19 19 19 20 20 19 18 17 16 16 16", "18 18 18 19 19 19 19 20 20 19 18 17 16 16 16", "11 16 16 16 16 15 14 13 12 12 12"},
		"a huge answer, three times":   {atlassiantest.Huge(9 << 20), 3, "33 32 32 33 34 35 35 33 31 17 15 15", "37 35 35 36 36 36 36 37 38 38 37 35 23 18 18", "37 35 35 36 36 36 36 37 38 38 37 35 23 18 18", "25 33 32 32 30 29 26 22 14 14 14"},
		"a record without its date":    {dated("null", "null"), 1, "12 12 12 12 16 12 12 12 12 12 12 12", "15 15 15 15 97 97 97 18 18 18 15 15 15 15 15", "15 15 15 15 97 97 97 18 18 18 15 15 15 15 15", "11 11 11 11 11 11 11 11 11 11 11"},
		"a record of the year 9999":    {dated(`"9999-01-01T00:00:00.000+0000"`, "253370764800000"), 1, "9 14 12 17 18 19 20 19 21 12 12 12", "17 22 15 24 25 26 27 28 29 30 26 28 15 15 15", "17 22 15 24 25 16 16 28 16 16 26 28 15 15 15", "11 11 11 11 11 11 11 11 11 11 11"},
		"an answer that is broken off": {atlassiantest.Truncate(0.7), 9, "21 25 26 24 25 26 27 24 24 24 25 26", "24 28 29 27 28 29 30 31 32 33 27 27 27 28 29", "24 28 29 27 28 29 30 31 32 33 27 27 27 28 29", "20 21 21 22 22 22 23 24 22 22 22"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wants := map[string]string{"jira": row.jira, "confluence": row.confluence, "jira data center": row.dataCenter, "organization": row.organization}
			for _, k := range kinds {
				want := wants[k.Name]
				if want == "" {
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
				if got := strings.Join(got, " "); got != want {
					t.Errorf("%s: requests were %s, want %s", k.Name, got, want)
				}
			}
		})
	}
}

// TestWhatCursorsCost tells what an organisation's cursors do, and in how many runs, by
// how many requests, the log is read: at first, when more arrives than a page holds, and
// when nothing does.
func TestWhatCursorsCost(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(*quirks)
		want   string
	}{
		"they are good for ever":                 {func(*quirks) {}, "1/13 1/8 1/10 1/6 1/6 1/18"},
		"one is named on the last page too":      {func(q *quirks) { q.NextAtEnd = true }, "1/14 1/10 1/11 1/8 1/8 1/19"},
		"they are refused after a while":         {func(q *quirks) { q.CursorLife, q.CursorStatus = 30*time.Second, 404 }, "1/13 1/9 1/11 1/6 1/6 1/22"},
		"they are refused at once":               {func(q *quirks) { q.CursorLife, q.CursorStatus = 1, 400 }, "1/13 1/9 1/11 1/6 1/6 1/22"},
		"they do not advance":                    {func(q *quirks) { q.CursorStuck = true }, "1/13 1/8 1/10 1/6 1/6 1/19"},
		"they do not advance, at the end either": {func(q *quirks) { q.CursorStuck, q.NextAtEnd = true, true }, "1/14 1/9 1/11 1/7 1/7 1/19"},
		"they skip an event":                     {func(q *quirks) { q.CursorSkips = 1 }, "1/13 1/8 1/9 1/7 1/7 1/17"},
		"they show nothing":                      {func(q *quirks) { q.CursorDead = true }, "1/20 1/16 1/18 1/9 1/12 1/38"},
		"they lead back to the beginning":        {func(q *quirks) { q.CursorRestarts = true }, "1/34 1/30 1/34 1/18 1/18 1/90"},
		"bounds mean the time of the event":      {func(q *quirks) { q.BoundsByTime = true }, "1/13 1/8 1/10 1/6 1/6 1/18"},
		"the order is broken by seconds":         {func(q *quirks) { q.Disorder = 20 * time.Second }, "1/13 1/8 1/9 1/5 1/5 1/18"},
		"the order is broken by minutes":         {func(q *quirks) { q.Disorder = 12 * time.Minute }, "1/19 1/9 1/8 1/1 1/1 1/18"},
		"the order is broken by hours":           {func(q *quirks) { q.Disorder = 5 * time.Hour }, "1/16 1/5 1/2 1/3 1/3 1/13"},
		"pages are short":                        {func(q *quirks) { q.MaxPage = 7 }, "1/28 1/22 1/24 1/16 1/16 1/49"},
		"answers are slow":                       {func(q *quirks) { q.Latency = 3 * time.Second }, "2/20 1/9 2/13 1/6 1/6 2/16"},
		"answers are slow, and cursors dead":     {func(q *quirks) { q.Latency, q.CursorDead = 3*time.Second, true }, "9/91 1/10 2/12 1/9 1/10 3/26"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLog(t, func(t *testing.T, m *machine) {
				m.site.quirks(row.change)
				m.site.add(70, 11*time.Minute, 30*time.Hour)
				m.site.add(90, 977*time.Millisecond, 20*time.Hour)
				var got []string
				for _, more := range []int{0, 45, 30, 2, 0} {
					m.site.add(more, 300*time.Millisecond, 0)
					got = append(got, settled(t, m))
				}
				pass(m.o.ReconcileInterval)
				got = append(got, settled(t, m))
				if got := strings.Join(got, " "); got != row.want {
					t.Errorf("runs/requests were %s, want %s", got, row.want)
				}
			})
		})
	}
}
