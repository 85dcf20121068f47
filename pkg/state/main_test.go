package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"atlassian_audit_records/pkg/audit"
)

// holdFile names, in the environment of a process of this test, the state that
// it is to hold until it is killed.
const holdFile = "STATE_TEST_HOLD"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdFile); path != "" {
		hold(path)
		return
	}
	goleak.VerifyTestMain(m)
}

// hold opens a state, says so, and holds it until standard input ends.
func hold(path string) {
	s, _, err := Open(Files{State: path, Copy: path + ".copy", Marker: path + ".marker"}, options())
	fmt.Println("open:", err)
	_, _ = io.Copy(io.Discard, os.Stdin)
	if s != nil {
		_ = s.Close()
	}
}

var theMoment = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const theResume = int64(1_700_000_000_000)

func options() Options {
	return Options{Lock: time.Millisecond, Now: func() time.Time { return theMoment }}
}

func newFiles(t testing.TB) Files {
	t.Helper()
	dir := t.TempDir()
	return Files{State: filepath.Join(dir, "jira.state"), Copy: filepath.Join(dir, "jira.copy"), Marker: filepath.Join(dir, "jira.marker")}
}

// mustOpen opens a state that nothing is wrong with.
func mustOpen(t testing.TB, f Files) *Store {
	t.Helper()
	s, notice, err := Open(f, options())
	if err != nil || notice != "" {
		t.Fatalf("Open: %q, %v", notice, err)
	}
	t.Cleanup(func() { mustClose(t, s) })
	return s
}

func mustClose(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func mustCommit(t testing.TB, s *Store, c audit.Change) {
	t.Helper()
	if err := s.Commit(c); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// content is all that a state says.
type content struct {
	Position audit.Position
	Batch    audit.Batch
	HasBatch bool
	Seen     []audit.Seen
}

// same is cmp.Equal in a hundredth of its time.
func (c content) same(o content) bool {
	return cmp.Equal(c.Position, o.Position) && c.Batch.Place == o.Batch.Place && bytes.Equal(c.Batch.Lines, o.Batch.Lines) &&
		c.HasBatch == o.HasBatch && slices.Equal(c.Seen, o.Seen)
}

// contentOf asks a state for everything, as its user would.
func contentOf(t testing.TB, s *Store) content {
	t.Helper()
	var c content
	var err error
	if c.Position, err = s.Position(); err != nil {
		t.Fatalf("Position: %v", err)
	}
	if c.Batch, c.HasBatch, err = s.Batch(); err != nil {
		t.Fatalf("Batch: %v", err)
	}
	millis := []int64{audit.UndatedMillis}
	for ms := audit.UndatedMillis + 1; ; {
		next, ok, err := s.NextSeen(ms)
		if err != nil {
			t.Fatalf("NextSeen: %v", err)
		}
		if !ok {
			break
		}
		millis = append(millis, next)
		ms = next + 1
	}
	if c.Seen, err = s.SeenAt(millis); err != nil {
		t.Fatalf("SeenAt: %v", err)
	}
	return c
}

// What stands in the states of these tests and nowhere else.
const (
	theCloudID = "c10dc10d-0000-4000-8000-00000000c10d"
	theCoarse  = uint64(0xC0A25E_DEAD_BEEF_01)
)

// change is the n-th commit of a stream: a position, some records and a batch.
func change(n int) audit.Change {
	base := theResume + int64(n)*3_600_000
	c := audit.Change{
		Position: audit.Position{
			Floor: theResume, FloorSet: true, Upper: base + 60_000, UpperSet: true,
			Covered: audit.NewSet(audit.Interval{From: theResume, To: base}),
			CloudID: theCloudID, Route: "gateway", File: fmt.Sprintf("file-%d.jsonl", n), End: int64(n) * 1000, FileSince: base,
		},
		Batch: &audit.Batch{
			Place: audit.Place{File: fmt.Sprintf("file-%d.jsonl", n), Offset: int64(n) * 1000},
			Lines: []byte(strings.Repeat(fmt.Sprintf(`{"the line of batch":%d}`+"\n", n), 100)),
		},
	}
	for i := range int64(40) {
		c.Emitted = append(c.Emitted, audit.Seen{Millis: base + i*90_000, Coarse: theCoarse, Fine: uint64(i), HasID: false})
		c.Emitted = append(c.Emitted, audit.Seen{Millis: base + i*90_000, Coarse: uint64(n)*100 + uint64(i), HasID: true})
	}
	return c
}

// life is a stream's past: three commits, a copy and a marker behind the
// second.
func life(t testing.TB, f Files) (atCopy, last content) {
	t.Helper()
	s := mustOpen(t, f)
	if err := Mark(f, theResume, theMoment); err != nil {
		t.Fatal(err)
	}
	mustCommit(t, s, change(1))
	mustCommit(t, s, change(2))
	if err := s.Copy(f); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(f.Copy, theMoment.Add(-time.Hour), theMoment.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	atCopy = contentOf(t, s)
	atCopy.Position.File, atCopy.Position.End, atCopy.Position.FileSince = "", 0, 0
	atCopy.Batch, atCopy.HasBatch = audit.Batch{}, false
	mustCommit(t, s, change(3))
	last = contentOf(t, s)
	mustClose(t, s)
	return atCopy, last
}

// folder is what stands in the folder of f, lock files aside.
func folder(t testing.TB, f Files) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(filepath.Dir(f.State))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".lock") {
			continue
		}
		path := filepath.Join(filepath.Dir(f.State), e.Name())
		if e.Type()&os.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			if err != nil {
				t.Fatal(err)
			}
			out[e.Name()] = "-> " + target
			continue
		}
		out[e.Name()] = string(read(t, path))
	}
	return out
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func bytesOf(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func diff[T any](t testing.TB, what string, want, got T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%.2000s", what, d)
	}
}
