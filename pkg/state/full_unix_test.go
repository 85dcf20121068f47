//go:build unix

package state

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"atlassian_audit_records/pkg/audit"
)

// fullDisk tells a process of this test, in its environment, that it is the one
// whose disk is full.
const fullDisk = "STATE_TEST_FULL_DISK"

// TestAFullDisk lets every file grow to a length and no further, as on a disk
// that is full: whatever was being done fails with a sentence or is done whole,
// and once there is room all goes on from what was there. The limit is a whole
// process's, so it plays in one of its own. It is not parallel: in the moment in
// which a process begins it holds the locks of all others.
func TestAFullDisk(t *testing.T) {
	if os.Getenv(fullDisk) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestAFullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), fullDisk+"=1")
		if text, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(text, []byte("--- PASS: TestAFullDisk")) {
			t.Errorf("%v\n%s", err, text)
		}
		return
	}
	signal.Ignore(unix.SIGXFSZ)
	// Many batches and records: the file has to grow for the next.
	large := change(4)
	large.Batch.Lines = incompressible(1 << 20)
	for _, limit := range []uint64{0, 1, 100, 4 << 10, 12 << 10, 20 << 10, 40 << 10, 64 << 10} {
		f := newFiles(t)
		full(t, limit, func() {
			s, _, err := Open(f, options())
			if err == nil {
				err = s.Close()
			}
			wantWhole(t, "a first state", err)
		})
		mustClose(t, mustOpen(t, f)) // a beginning, whether it was made before or is now

		f = newFiles(t)
		_, last := life(t, f)
		kept, marker := read(t, f.Copy), read(t, f.Marker)
		s := mustOpen(t, f)
		full(t, limit, func() { wantWhole(t, "a copy", s.Copy(f)) })
		full(t, limit, func() { wantWhole(t, "a marker", Mark(f, theResume+1, theMoment)) })
		diff(t, "content after a copy that failed", last, contentOf(t, s))
		for path, before := range map[string]string{f.Copy: string(kept), f.Marker: string(marker)} {
			if limit < 100 && string(read(t, path)) != before {
				t.Errorf("%s was changed without room", path)
			}
			if n := len(read0(path + ".new")); uint64(n) > limit {
				t.Errorf("%s.new was left behind, %d bytes", path, n)
			}
		}
		var failed error
		full(t, limit, func() { failed = s.Commit(large) })
		if failed == nil {
			t.Fatalf("a commit of a mebibyte fits into %d bytes", limit)
		}
		if _, err := s.Position(); err == nil {
			t.Error("after a commit that failed it answers")
		}
		mustClose(t, s)
		s = mustOpen(t, f)
		diff(t, "content after a commit that failed", last, contentOf(t, s))
		mustCommit(t, s, large)
		mustClose(t, s)

		remove(t, f.State)
		full(t, limit, func() {
			s, _, err := Open(f, options())
			if err == nil {
				err = s.Close()
			}
			wantWhole(t, "a state of its copy", err)
		})
		s, _, err := Open(f, options())
		if err != nil {
			t.Fatal(err)
		}
		if p, err := s.Position(); err != nil || p.CloudID != theCloudID {
			t.Errorf("the copy came to nothing: %+v, %v", p, err)
		}
		mustClose(t, s)
		people := map[string]audit.Person{"a": {Name: strings.Repeat("a long name", 10_000), Until: 1}}
		s = mustOpen(t, f)
		full(t, limit, func() { failed = s.KeepPeople(people, 0) })
		if failed == nil || !strings.Contains(failed.Error(), "remember people in the state "+f.State) {
			t.Errorf("people: %v", failed)
		}
		mustClose(t, s)
	}
}

// full runs do while no file may become longer than limit.
func full(t *testing.T, limit uint64, do func()) {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	now := was
	now.Cur = limit
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &now); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
			t.Fatal(err)
		}
	}()
	do()
}

// wantWhole wants success, or an error that tells of the disk and blames no
// damage.
func wantWhole(t *testing.T, what string, err error) {
	t.Helper()
	// bbolt keeps of some errors only the text.
	if err != nil && (!strings.Contains(err.Error(), unix.EFBIG.Error()) || errors.Is(err, ErrDamaged)) {
		t.Errorf("%s: %v", what, err)
	}
}

// incompressible is n bytes in lines that no compression makes shorter.
func incompressible(n int) []byte {
	b, x := make([]byte, n), uint64(88172645463325252)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x) | 1
	}
	b[n-1] = '\n'
	return b
}
