package state

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"
)

// TestRetire lets go of a batch that is complete, and of nothing else, and the state
// looks as if nobody had used it.
func TestRetire(t *testing.T) {
	t.Parallel()
	staged := audit.Batch{Place: audit.Place{File: "a.jsonl"}, Staged: 70}
	failure := errors.New("the disk is gone")
	for name, row := range map[string]struct {
		done bool
		err  error
		want audit.Batch
	}{
		"it is complete":                  {true, nil, audit.Batch{}},
		"a part of it has no place":       {false, nil, staged},
		"it cannot be completed":          {false, failure, staged},
		"it seems complete, and an error": {true, failure, staged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFiles(t)
			s := mustOpen(t, f)
			before := audit.Position{Floor: 7, FloorSet: true, File: "a.jsonl", End: 70, FileSince: 1}
			mustCommit(t, s, audit.Change{Position: before, Batch: &staged})
			mustClose(t, s)
			old := time.UnixMilli(1_000_000)
			if err := os.Chtimes(f.State, old, old); err != nil {
				t.Fatal(err)
			}
			err := Retire(f, func(b audit.Batch) (bool, error) {
				if diff := cmp.Diff(staged, b); diff != "" {
					t.Errorf("to be completed is (-want +got):\n%s", diff)
				}
				return row.done, row.err
			})
			if !errors.Is(err, row.err) {
				t.Errorf("the error is %v", err)
			}
			if info, err := os.Stat(f.State); err != nil || !info.ModTime().Equal(old) {
				t.Errorf("the state was changed at %v (%v)", info.ModTime(), err)
			}
			s = mustOpen(t, f)
			defer mustClose(t, s)
			got, _, err := s.Batch()
			if diff := cmp.Diff(row.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if row.want.Staged == 0 {
				before.File, before.End, before.FileSince = "", 0, 0
			}
			p, err := s.Position()
			if diff := cmp.Diff(before, p); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestRetireChangesNoStateThatItCannotRead, and makes none.
func TestRetireChangesNoStateThatItCannotRead(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	never := func(audit.Batch) (bool, error) { t.Error("it was completed"); return true, nil }
	if err := Retire(f, never); err != nil {
		t.Errorf("without a state: %v", err)
	}
	if _, err := os.Lstat(f.State); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a state now: %v", err)
	}
	if err := os.WriteFile(f.State, []byte("no state"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Retire(f, never); !errors.Is(err, ErrDamaged) {
		t.Errorf("a damaged one: %v", err)
	}
	if text, err := os.ReadFile(f.State); err != nil || string(text) != "no state" {
		t.Errorf("it is %q now (%v)", text, err)
	}
}
