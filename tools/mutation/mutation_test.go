package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const source = `package p

const most = 1 < 2

// both says something.
func both(a, b int) (n int, ok bool) {
	for i := 0; i < 3; i++ { // a comment
		n++
	}
	if n++; a < b && b != 7 {
		return n, true
	}
	return n, false
}
`

// TestDial: every comparison, && and statement of ++ outside of constants and
// heads has its numbers, and what comes out is the same program.
func TestDial(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.go")
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	dials := map[string]int{}
	text, err := dial(path, dials)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"p.go:7:16 <=", "p.go:7:16 >=", "p.go:8:4 --", "p.go:10:12 <=", "p.go:10:12 >=", "p.go:10:16 ||", "p.go:10:21 ==",
	} {
		if dials[key] == 0 {
			t.Errorf("there is no %s", key)
		}
	}
	if len(dials) != 7 {
		t.Errorf("%d mutants: %v", len(dials), dials)
	}
	if !strings.Contains(string(text), "most = 1 < 2") || !strings.Contains(string(text), "i++ {") {
		t.Errorf("this was rewritten too:\n%s", text)
	}
}

// TestDifference finds the token that was changed in a file that was printed anew.
func TestDifference(t *testing.T) {
	root, here := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "p"), 0o700); err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(strings.Replace(source, "a < b && b != 7", "(a < b ||\n\t\tb != 7)", 1), "// a comment", "")
	for path, text := range map[string]string{filepath.Join(root, "p", "p.go"): source, filepath.Join(here, "p.go"): changed} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v, err := settings{Root: root, Package: "p"}.difference(here)
	if want := (verdict{File: "p.go", Line: 10, Column: 16, From: "&&", To: "||"}); err != nil || v != want {
		t.Errorf("%+v (%v), want %+v", v, err, want)
	}
	name, err := describe(root, "p", v)
	if want := `p/p.go both "&&" to "||" in: if n++; a < b && b != 7 {`; err != nil || name != want {
		t.Errorf("%s (%v), want %s", name, err, want)
	}
}

// TestBatches: the quickest tests that reach the place, as far as the budget
// reaches.
func TestBatches(t *testing.T) {
	here := []block{{File: "p.go", Line: 7, Column: 1, EndLine: 9, EndCol: 3}}
	units := []unit{
		{"TestSlow", 5 * time.Second, here}, {"TestQuick/a_b", time.Millisecond, here},
		{"TestElsewhere", time.Millisecond, []block{{File: "q.go", Line: 1, EndLine: 99}}},
		{"TestTooSlow", time.Minute, here}, {"TestMiddle", 300 * time.Millisecond, here},
	}
	s, all := settings{Root: t.TempDir()}, here
	got := batches(inOrder(s.reaching(all, units, "p.go", 8, 1), nil), 20*time.Second)
	if len(got) != 2 || got[0].pattern() != `^TestQuick$/^a_b$|^TestMiddle$` || got[1].pattern() != `^TestSlow$` {
		t.Errorf("%+v", got)
	}
	if err := os.MkdirAll(filepath.Join(s.Root, "p"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.Package = "p"
	if err := os.WriteFile(filepath.Join(s.Root, "p", "p.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := s.reaching(all, units[2:3], "p.go", 10, 1); len(got) != 0 {
		t.Errorf("nothing reaches that line, but %+v", got)
	}
	if got := s.reaching(all, units, "p.go", 3, 18); len(got) != len(units) {
		t.Errorf("a constant is for all, and not for %+v alone", got)
	}
}

// TestUntried: a mutant without a verdict shows that gremlins was interrupted.
func TestUntried(t *testing.T) {
	dir := t.TempDir()
	if err := writeJSON(filepath.Join(dir, dialsFile), map[string]int{dialKey("p.go", 7, 3, "<="): 1, dialKey("p.go", 7, 3, ">="): 2}); err != nil {
		t.Fatal(err)
	}
	for i, to := range []string{"<=", ">="} {
		if err := appendJSON(filepath.Join(dir, verdictsFile), verdict{File: "p.go", Line: 7, Column: 3, From: "<", To: to, Status: leftOut}); err != nil {
			t.Fatal(err)
		}
		if n, err := untried(dir); err != nil || n != 1-i {
			t.Errorf("%d are untried (%v)", n, err)
		}
	}
}

// TestOrder: one kind of each row stands before the others, and before tests as
// quick stand those that killed more.
func TestOrder(t *testing.T) {
	var units []unit
	for _, name := range []string{"TestRows/a/jira", "TestRows/a/confluence", "TestRows/b/jira", "TestRows/b/confluence", "TestTable/x", "TestTable/y"} {
		units = append(units, unit{Name: name, Time: time.Second})
	}
	var got []string
	for _, u := range inOrder(units, kills{"TestTable/y": 3, "TestRows/b/confluence": 1}) {
		got = append(got, u.Name)
	}
	want := []string{"TestTable/y", "TestRows/b/confluence", "TestRows/a/jira", "TestTable/x", "TestRows/a/confluence", "TestRows/b/jira"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestLeaves: of what a test ran, that which has no further subtests.
func TestLeaves(t *testing.T) {
	output := "=== RUN   TestA\n=== RUN   TestA/row\n=== RUN   TestA/row/jira\n=== RUN   TestA/other\n--- PASS: TestA\n"
	if got := leaves([]byte(output)); !slices.Equal(got, []string{"TestA/row/jira", "TestA/other"}) {
		t.Errorf("%q", got)
	}
}

// TestKills counts what failed, at every depth.
func TestKills(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		k, err := readKills(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.add(dir, []byte("--- FAIL: TestA (0.1s)\n    --- FAIL: TestA/row (0.1s)\n--- PASS: TestB (0.1s)\n")); err != nil {
			t.Fatal(err)
		}
	}
	if k, err := readKills(dir); err != nil || len(k) != 2 || k["TestA"] != 2 || k["TestA/row"] != 2 {
		t.Errorf("%v (%v)", k, err)
	}
}

// TestScore: what no test reaches is alive, what is no mutant does not count.
func TestScore(t *testing.T) {
	if got := (&result{killed: 6, hung: 2, lived: 1, notCovered: 1, notViable: 50, no: 50}).score(); got != 80 {
		t.Errorf("%v", got)
	}
}
