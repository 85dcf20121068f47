package main

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A mutant is killed soonest where the tests that kill most are run first, and a
// budget is spent best where it goes to tests that are not alike. So of subtests
// that are the same row for several kinds of thing, one kind's stand before all
// others; among as many, those that killed most mutants so far in their time.

// kills is how many mutants each test killed so far.
type kills map[string]int

const killsFile = "kills.json"

func readKills(dir string) (kills, error) {
	k := kills{}
	if err := readJSON(filepath.Join(dir, killsFile), &k); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return k, nil
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// add counts what the output of a test program says has failed.
func (k kills) add(dir string, output []byte) error {
	for _, m := range failed.FindAllSubmatch(output, -1) {
		k[string(m[1])]++
	}
	return writeJSON(filepath.Join(dir, killsFile), k)
}

// inOrder are tests in the order in which they are run.
func inOrder(units []unit, k kills) []unit {
	price := func(u unit) float64 {
		return (u.Time + 50*time.Millisecond).Seconds() / float64(1+k[u.Name])
	}
	out := slices.Clone(units)
	slices.SortStableFunc(out, func(a, b unit) int { return cmp.Compare(price(a), price(b)) })
	rows := map[string]map[string]bool{} // by the last part of the names
	for _, u := range out {
		row, last, _ := cutLast(u.Name, "/")
		if rows[last] == nil {
			rows[last] = map[string]bool{}
		}
		rows[last][row] = true
	}
	turn, turns := map[string]int{}, map[string]int{}
	for _, u := range out {
		if row, last, ok := cutLast(u.Name, "/"); ok && len(rows[last]) > 1 { // that part is a kind
			turn[u.Name] = turns[row]
			turns[row]++
		}
	}
	slices.SortStableFunc(out, func(a, b unit) int { return cmp.Compare(turn[a.Name], turn[b.Name]) })
	return out
}

// batch is tests that are run by one process.
type batch struct {
	names []string
	time  time.Duration
}

// batches are tests in their order, as far as the budget reaches: a quick batch
// kills most mutants.
func batches(units []unit, budget time.Duration) []batch {
	var out []batch
	var all time.Duration
	steps := []time.Duration{time.Second, 8 * time.Second, budget}
	for _, u := range units {
		if len(out) > 0 && all+u.Time > budget {
			continue // a quicker one may fit
		}
		all += u.Time
		step := slices.IndexFunc(steps, func(limit time.Duration) bool { return all <= limit })
		if len(out) == 0 || step > 0 && all-u.Time <= steps[step-1] && len(out[len(out)-1].names) > 0 {
			out = append(out, batch{})
		}
		last := &out[len(out)-1]
		last.names, last.time = append(last.names, u.Name), last.time+u.Time
	}
	return out
}

// pattern is for -test.run.
func (b batch) pattern() string {
	var out []string
	for _, name := range b.names {
		parts := strings.Split(name, "/")
		for i, p := range parts {
			parts[i] = "^" + regexp.QuoteMeta(p) + "$"
		}
		out = append(out, strings.Join(parts, "/"))
	}
	return strings.Join(out, "|")
}
