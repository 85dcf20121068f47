package collect_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// update writes what is measured to the files that it is held against.
var update = flag.Bool("update", false, "write testdata/costs anew")

// costs are what a test measured, by row and kind of source, and what it should have.
// A quota is other people's too: whoever makes a number larger has to say why, and then
// lets `go test ./pkg/collect -run Cost -update` write it down.
type costs struct {
	mu        sync.Mutex
	want, got map[string]string
}

// costsOf reads testdata/costs/<the test's name>.txt. At the test's end it is written,
// if that was asked for.
func costsOf(t *testing.T) *costs {
	t.Helper()
	c := &costs{want: map[string]string{}, got: map[string]string{}}
	path := filepath.Join("testdata", "costs", t.Name()+".txt")
	text, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if row, numbers, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			c.want[row] = numbers
		}
	}
	if *update {
		t.Cleanup(func() {
			var out strings.Builder
			maps.Copy(c.want, c.got) // rows that were left out stay
			for _, row := range slices.Sorted(maps.Keys(c.want)) {
				fmt.Fprintf(&out, "%s: %s\n", row, c.want[row])
			}
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			must(t, os.WriteFile(path, []byte(out.String()), 0o600))
		})
	}
	return c
}

// check holds numbers of a row against what is written down.
func (c *costs) check(t *testing.T, row, source string, got []string) {
	t.Helper()
	name, numbers := row+" ("+source+")", strings.Join(got, " ")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got[name] = numbers
	if want := c.want[name]; numbers != want && !*update {
		t.Errorf("%s: %s, want %s; if that is meant: go test ./pkg/collect -run Cost -update", name, numbers, cmp.Or(want, "nothing"))
	}
}

// counted are the kinds of source whose costs are written down: the others are variants
// of these, and ask as they do.
func (k kind) counted() bool {
	return slices.Contains([]string{"jira", "confluence", "jira data center", "organization"}, k.Name)
}

// bill is what runs took, and what they said that they did, until nothing was left.
type bill struct{ runs, requests, commits, records, late, duplicates int }

func (b bill) String() string {
	return fmt.Sprintf("%d/%d/%d/%d/%d/%d", b.runs, b.requests, b.commits, b.records, b.late, b.duplicates)
}

// pays adds a run to the bill, or a turn of a backfill.
func (b *bill) pays(m *machine, run func() (outcome, error)) (outcome, error) {
	m.between = func(after string) {
		if after == "Commit" {
			b.commits++
		}
	}
	out, err := run()
	m.between = nil
	b.runs++
	b.requests += out.requests
	b.records += out.Records
	b.late += out.Late
	b.duplicates += out.Duplicates
	return out, err
}

// settled is the bill for reading all that there is.
func settled(t *testing.T, m *machine) string {
	t.Helper()
	var b bill
	for range 500 {
		pass(interval)
		out, err := b.pays(m, m.run)
		must(t, err)
		if out.complete() && !out.more {
			return b.String()
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

// TestWhatReadingCosts tells stages of a site: how many runs, requests and commits it
// takes to read what there is at each, how many records that is, how many of them are
// late, and how many came once more.
func TestWhatReadingCosts(t *testing.T) {
	t.Parallel()
	apart := func(n int, apart, ago time.Duration) func(*machine) {
		return func(m *machine) { m.site.add(n, apart, ago) }
	}
	idle, few, many := apart(0, 0, 0), apart(3, time.Second, 0), apart(105, 100*time.Millisecond, 0)
	measured := costsOf(t)
	for name, stages := range map[string][]func(*machine){
		"nothing":                    {idle, idle},
		"a page":                     {apart(9, time.Minute, time.Hour), idle, few, idle},
		"exactly a page":             {apart(20, time.Minute, time.Hour), idle},
		"ten pages":                  {apart(200, time.Minute, time.Hour), idle, few, many, idle},
		"ten pages that come slowly": {slowly(apart(200, time.Minute, time.Hour)), idle, many},
		"more than a run can read": {func(m *machine) {
			m.budget = 2 * time.Second
			slowly(apart(400, time.Minute, time.Hour))(m)
		}, many, idle},
		"a millisecond of five pages": {func(m *machine) {
			m.site.add(9, time.Minute, 2*time.Hour)
			m.site.burst(95, time.Hour)
		}, idle, few},
		"three milliseconds of two pages, read again": {func(m *machine) {
			for _, ago := range []time.Duration{3 * time.Hour, 2 * time.Hour, time.Hour} {
				m.site.burst(37, ago)
			}
			m.site.add(3, time.Minute, 0)
		}, func(m *machine) { pass(m.o.ReconcileInterval) }},
		"twins of two pages between others": {func(m *machine) {
			m.site.add(9, time.Minute, 2*time.Hour)
			m.site.twins(45, time.Hour)
			m.site.add(12, time.Second, time.Minute)
		}, idle, few},
		"a page with a day without records": {func(m *machine) {
			m.site.add(15, time.Second, 30*time.Hour)
			m.site.add(30, time.Second, time.Hour)
		}, idle},
		"records over four days":          {apart(150, 38*time.Minute, time.Hour), idle, few},
		"pages that are clamped silently": {clamped(true), idle, many},
		"pages that are clamped openly":   {clamped(false), idle, many},
		"records in the order of their insertion": {func(m *machine) {
			m.site.quirks(func(q *quirks) { q.InsertionOrder = true })
			m.site.add(100, time.Minute, time.Hour)
			m.site.add(5, time.Hour, 20*time.Hour)
		}, idle, many, idle},
		"records that are late": {apart(100, 10*time.Minute, time.Hour), func(m *machine) {
			m.site.add(30, time.Minute, 5*time.Hour)
			pass(m.o.ReconcileInterval)
		}, idle},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, m *machine) {
				if k := (kind{m.site.Kind}); !k.counted() {
					return
				}
				var got []string
				for _, stage := range stages {
					stage(m)
					got = append(got, settled(t, m))
				}
				must(t, m.reconcile())
				must(t, m.exactly())
				measured.check(t, name, m.site.Name, got)
			})
		})
	}
}
