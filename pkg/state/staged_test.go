package state

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"atlassian_audit_records/pkg/audit"
)

// missingError says of itself that lines are lost, or not.
type missingError struct{ lost bool }

func (l missingError) Error() string { return "a.staged has 3 of the 70 bytes" }
func (l missingError) Lost() bool    { return l.lost }

// TestTheLastBatchIsThere whatever its size, whether it was staged, and whatever came
// before it, in this process and in the next.
func TestTheLastBatchIsThere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		f := newFiles(t)
		s := mustOpen(t, f)
		for n := range rapid.IntRange(1, 5).Draw(rt, "commits") {
			want := audit.Batch{Place: audit.Place{File: fmt.Sprint(n, ".jsonl"), Offset: int64(n)}}
			if length := rapid.SampledFrom([]int{0, 1, 990, 300_000}).Draw(rt, "length"); length > 0 {
				want.Lines = []byte(strings.Repeat("x", length-1) + "\n")
			} else {
				want.Staged = 70
			}
			mustCommit(t, s, audit.Change{Position: audit.Position{Floor: int64(n), FloorSet: true}, Batch: &want})
			if rapid.Bool().Draw(rt, "again") {
				mustClose(t, s)
				s = mustOpen(t, f)
			}
			got, ok, err := s.Batch()
			if diff := cmp.Diff(want, got); diff != "" || !ok || err != nil {
				rt.Fatalf("the last batch: %v, %v (-want +got)\n%s", ok, err, diff)
			}
		}
		mustClose(t, s)
	})
}

// TestABatchThatCannotBeIsRefused, and the store goes on.
func TestABatchThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, newFiles(t))
	defer mustClose(t, s)
	at := audit.Place{File: "a.jsonl", Offset: 10}
	for name, b := range map[string]audit.Batch{
		"staged without a file":             {Staged: 70},
		"staged up to where it begins":      {Place: at, Staged: 10},
		"staged up to before the beginning": {Place: at, Staged: -1},
		"staged, and with lines":            {Place: at, Staged: 70, Lines: []byte("a\n")},
	} {
		if err := s.Commit(audit.Change{Batch: &b}); err == nil || !strings.Contains(err.Error(), "a batch") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	mustCommit(t, s, audit.Change{Batch: &audit.Batch{Place: at, Staged: 11}})
}

// TestLinesThatWereStagedAndAreGone are damage of the state: the copy takes its place.
// An error that says something else leaves it as it is.
func TestLinesThatWereStagedAndAreGone(t *testing.T) {
	t.Parallel()
	staged := audit.Batch{Place: audit.Place{File: "a.jsonl", Offset: 7}, Staged: 70}
	for name, c := range map[string]struct {
		batch  audit.Batch
		holds  func(audit.Batch) error
		notice string
		err    string
	}{
		"they are there":       {batch: staged, holds: func(audit.Batch) error { return nil }},
		"nobody can say":       {batch: staged},
		"they are gone":        {batch: staged, holds: func(audit.Batch) error { return missingError{true} }, notice: "its copy of"},
		"the disk says no":     {batch: staged, holds: func(audit.Batch) error { return missingError{false} }, err: "3 of the 70 bytes"},
		"nobody asks of lines": {batch: audit.Batch{Place: staged.Place, Lines: []byte("a\n")}, holds: func(audit.Batch) error { return missingError{true} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFiles(t)
			s := mustOpen(t, f)
			mustCommit(t, s, audit.Change{Position: audit.Position{Floor: 1, FloorSet: true}})
			must(t, s.Copy(f))
			mustCommit(t, s, audit.Change{Position: audit.Position{Floor: 2, FloorSet: true}, Batch: &c.batch})
			mustClose(t, s)
			before := folder(t, f)

			o := options()
			o.Holds = c.holds
			s, notice, err := Open(f, o)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || errors.Is(err, ErrDamaged) {
					t.Errorf("error %v, want one with %q", err, c.err)
				}
				diff(t, "the folder", before, folder(t, f))
				return
			}
			must(t, err)
			defer mustClose(t, s)
			p, err := s.Position()
			must(t, err)
			_, ok, err := s.Batch()
			must(t, err)
			want := int64(2)
			if c.notice != "" {
				want = 1
			}
			if p.Floor != want || ok != (c.notice == "") || strings.Contains(notice, "its copy of") != (c.notice != "") {
				t.Errorf("floor %d, a batch %v, notice %q", p.Floor, ok, notice)
			}
		})
	}
}
