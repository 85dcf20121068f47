package state

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"atlassian_audit_records/pkg/audit"
)

// linesOf is a batch of lines, each of its own kind.
func linesOf(n, length int) []byte {
	return bytes.Repeat([]byte(fmt.Sprintf("{\"n\":%d}\n", n)), length/8+1)
}

func commitLines(t testing.TB, s *Store, n, length int) audit.Batch {
	t.Helper()
	b := audit.Batch{Place: audit.Place{File: "a.jsonl", Offset: int64(n)}, Lines: linesOf(n, length)}
	must(t, s.Commit(audit.Change{Position: audit.Position{Floor: int64(n), FloorSet: true}, Batch: &b}))
	return b
}

func openLarge(t testing.TB, f Files, large int) (*Store, string) {
	t.Helper()
	o := options()
	o.Large = large
	s, notice, err := Open(f, o)
	must(t, err)
	return s, notice
}

func wantBatch(t testing.TB, s *Store, want audit.Batch) {
	t.Helper()
	got, ok, err := s.Batch()
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("the last batch (-want +got)\n%s", diff)
	}
}

// TestTheLastBatchIsThere whatever its size, and whatever came before it, in this
// process and in the next.
func TestTheLastBatchIsThere(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	lives := 0
	rapid.Check(t, func(rt *rapid.T) {
		lives++
		dir := filepath.Join(root, fmt.Sprint(lives))
		must(t, os.Mkdir(dir, 0o700))
		f := Files{State: filepath.Join(dir, "state"), Copy: filepath.Join(dir, "copy"), Marker: filepath.Join(dir, "marker")}
		s, _ := openLarge(t, f, 1000)
		for n := range rapid.IntRange(1, 5).Draw(rt, "commits") {
			want := commitLines(t, s, n, rapid.SampledFrom([]int{1, 990, 1000, 2000}).Draw(rt, "length"))
			wantBatch(t, s, want)
			if rapid.Bool().Draw(rt, "again") {
				must(t, s.Close())
				var notice string
				if s, notice = openLarge(t, f, 1000); notice != "" {
					rt.Fatal(notice)
				}
				wantBatch(t, s, want)
			}
		}
		must(t, s.Close())
	})
}

// TestACrashBeforeTheCommit leaves anything in the file whose turn it is: the state
// names the other one.
func TestACrashBeforeTheCommit(t *testing.T) {
	t.Parallel()
	for turn := range 4 {
		for name, crash := range map[string]func(path string) error{
			"nothing of it":  func(path string) error { return errors.Join(os.RemoveAll(path), os.WriteFile(path, nil, 0o600)) },
			"a part of it":   func(path string) error { return os.WriteFile(path, linesOf(9, 500), 0o600) },
			"a beginning":    func(path string) error { return os.WriteFile(path, []byte(besideMagic), 0o600) },
			"no file at all": os.RemoveAll,
		} {
			t.Run(fmt.Sprintf("%s, after %d commits", name, turn), func(t *testing.T) {
				t.Parallel()
				f := newFiles(t)
				s, _ := openLarge(t, f, 1000)
				want := commitLines(t, s, 0, 10)
				last := 1
				for n := range turn {
					want, last = commitLines(t, s, n, 5000), n%2
				}
				must(t, s.Close())
				must(t, crash(besidePath(f.State, 1-last)))
				s, notice := openLarge(t, f, 1000)
				if notice != "" {
					t.Error(notice)
				}
				wantBatch(t, s, want)
				for n := 10; n < 13; n++ {
					wantBatch(t, s, commitLines(t, s, n, 5000))
				}
				must(t, s.Close())
			})
		}
	}
}

// TestLinesBesideThatAreLost are damage of the state: the copy takes its place.
func TestLinesBesideThatAreLost(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string, b []byte) error{
		"gone":          func(path string, _ []byte) error { return os.Remove(path) },
		"cut":           func(path string, b []byte) error { return os.WriteFile(path, b[:len(b)-1], 0o600) },
		"without bytes": func(path string, _ []byte) error { return os.WriteFile(path, nil, 0o600) },
		"of another": func(path string, b []byte) error {
			return os.WriteFile(path, bytes.ReplaceAll(b, []byte("1"), []byte("2")), 0o600)
		},
		"with a wrong bit": func(path string, b []byte) error { b[len(b)/2] ^= 4; return os.WriteFile(path, b, 0o600) },
		"with a wrong head": func(path string, b []byte) error {
			b[3] ^= 4
			return os.WriteFile(path, b, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFiles(t)
			s, _ := openLarge(t, f, 1000)
			commitLines(t, s, 1, 5000)
			must(t, s.Copy(f))
			must(t, s.Close())
			path := besidePath(f.State, 0)
			b, err := os.ReadFile(path)
			must(t, err)
			must(t, damage(path, b))
			s, notice := openLarge(t, f, 1000)
			if !strings.Contains(notice, "its copy of") || !strings.Contains(notice, "batch") {
				t.Errorf("the notice is %q", notice)
			}
			if _, ok, err := s.Batch(); ok || err != nil {
				t.Errorf("the copy has a batch, or %v", err)
			}
			wantBatch(t, s, commitLines(t, s, 2, 5000))
			must(t, s.Close())
		})
	}
}

// TestLinesBesideThatNobodyMayRead are no damage: a person has to look, and
// everything stays as it is.
func TestLinesBesideThatNobodyMayRead(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s, _ := openLarge(t, f, 1000)
	want := commitLines(t, s, 1, 5000)
	must(t, s.Close())
	path := besidePath(f.State, 0)
	must(t, os.Rename(path, path+".away"))
	must(t, os.Mkdir(path, 0o700))
	if _, _, err := Open(f, options()); err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("Open: %v", err)
	}
	must(t, errors.Join(os.Remove(path), os.Rename(path+".away", path)))
	s, notice := openLarge(t, f, 1000)
	if notice != "" {
		t.Error(notice)
	}
	wantBatch(t, s, want)
	must(t, s.Close())
}

// TestLinesThatCannotBeWrittenBeside fail the commit, and change nothing.
func TestLinesThatCannotBeWrittenBeside(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s, _ := openLarge(t, f, 1000)
	want := commitLines(t, s, 1, 10)
	path := besidePath(f.State, 0)
	must(t, os.Mkdir(path, 0o700))
	b := audit.Batch{Place: audit.Place{File: "a.jsonl"}, Lines: linesOf(2, 5000)}
	if err := s.Commit(audit.Change{Batch: &b}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Commit: %v", err)
	}
	if _, err := s.Position(); err == nil {
		t.Error("the store answers after a commit that failed")
	}
	must(t, errors.Join(s.Close(), os.Remove(path)))
	s, _ = openLarge(t, f, 1000)
	wantBatch(t, s, want)
	wantBatch(t, s, commitLines(t, s, 2, 5000))
	must(t, s.Close())
}

// FuzzBeside: whatever stands in the file is what was written, or an error.
func FuzzBeside(f *testing.F) {
	f.Add([]byte("{\"a\":1}\n"), int64(8), besideSum([]byte("{\"a\":1}\n")))
	f.Add([]byte{}, int64(0), uint32(0))
	f.Fuzz(func(t *testing.T, body []byte, length int64, sum uint32) {
		state := filepath.Join(t.TempDir(), "state")
		for _, b := range [][]byte{body, append(appendBesideHead(nil, body, sum), body...)} {
			must(t, os.WriteFile(besidePath(state, 1), b, 0o600))
			got, err := (&beside{File: 1, Length: length, Sum: sum}).read(state)
			if err == nil && (!bytes.Equal(got, b[besideHead:besideHead+int(length)]) || besideSum(got) != sum) {
				t.Fatalf("%q is taken for %q", b, got)
			}
			if err != nil && !lostBeside(err) {
				t.Fatal(err)
			}
		}
	})
}
