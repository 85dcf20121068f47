package state

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"atlassian_audit_records/pkg/audit"
)

func TestAFirstRunBeginsWithNothing(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s := mustOpen(t, f)
	diff(t, "content", content{}, contentOf(t, s))
	if marked, err := Marked(f); marked || err != nil {
		t.Errorf("Marked = %v, %v", marked, err)
	}
	if due, err := CopyDue(f, 1, theMoment); !due || err != nil {
		t.Errorf("CopyDue = %v, %v", due, err)
	}
}

func TestWhatWasCommittedIsThereAgain(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	_, last := life(t, f)
	if last.Position.CloudID != theCloudID || !last.HasBatch || len(last.Seen) != 240 {
		t.Fatalf("the last commit says %+v and %d records", last.Position, len(last.Seen))
	}
	diff(t, "content", last, contentOf(t, mustOpen(t, f)))
	entries := folder(t, f)
	if len(entries) != 3 {
		t.Errorf("%d files are left, want state, copy and marker", len(entries))
	}
}

func TestACommitWithoutABatchKeepsTheLastOne(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s := mustOpen(t, f)
	mustCommit(t, s, change(1))
	c := change(2)
	c.Batch = nil
	mustCommit(t, s, c)
	b, ok, err := s.Batch()
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	diff(t, "batch", *change(1).Batch, b)
}

func TestABatchWithoutAFileIsRefused(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, newFiles(t))
	if err := s.Commit(audit.Change{Batch: &audit.Batch{Lines: []byte("{}\n")}}); err == nil {
		t.Error("no error")
	}
	diff(t, "content", content{}, contentOf(t, s))
}

func TestAClosedStoreSaysSo(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s := mustOpen(t, f)
	mustClose(t, s)
	mustClose(t, s)
	_, err := s.Position()
	if !errors.Is(err, errClosed) || errors.Is(err, ErrDamaged) {
		t.Errorf("Position: %v", err)
	}
	if err := s.Commit(change(1)); !errors.Is(err, errClosed) {
		t.Errorf("Commit: %v", err)
	}
	if err := s.Copy(f); !errors.Is(err, errClosed) {
		t.Errorf("Copy: %v", err)
	}
}

func TestAfterAFailedCommitNothingIsAnswered(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	_, last := life(t, f)
	s := mustOpen(t, f)
	// A file that may only be read takes no commit.
	mustClose(t, s)
	s, err := openWhole(f.State, true, options().Lock)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(change(4)); err == nil {
		t.Fatal("Commit: no error")
	}
	if _, err := s.Position(); err == nil {
		t.Error("Position: no error")
	}
	mustClose(t, s)
	diff(t, "content", last, contentOf(t, mustOpen(t, f)))
}

func TestAnotherHandleIsBusy(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s := mustOpen(t, f)
	mustCommit(t, s, change(1))
	want := contentOf(t, s)
	if _, _, err := Open(f, options()); !errors.Is(err, ErrBusy) {
		t.Fatalf("a second Open: %v", err)
	}
	// Even where somebody removed the lock file.
	remove(t, f.State+".lock")
	if _, _, err := Open(f, options()); !errors.Is(err, ErrBusy) {
		t.Fatalf("a second Open without the lock file: %v", err)
	}
	mustCommit(t, s, change(2))
	mustClose(t, s)
	want.Position, want.Batch = change(2).Position, *change(2).Batch
	got := contentOf(t, mustOpen(t, f))
	diff(t, "position", want.Position, got.Position)
	diff(t, "batch", want.Batch, got.Batch)
}

func TestAFileThatIsHeldIsNotSetAside(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	life(t, f)
	held, err := os.OpenFile(f.State, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := held.Close(); err != nil {
			t.Error(err)
		}
	}()
	if ok, err := tryLock(held); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := held.Truncate(100); err != nil {
		t.Fatal(err)
	}
	before := folder(t, f)
	if _, _, err := Open(f, options()); !errors.Is(err, ErrBusy) {
		t.Fatalf("Open: %v", err)
	}
	diff(t, "folder", before, folder(t, f))
}

// It is not parallel: in the moment in which a process begins it holds the locks
// of all others, which are busy then.
func TestAnotherProcessIsBusyUntilItIsKilled(t *testing.T) {
	f := newFiles(t)
	f.Copy, f.Marker = f.State+".copy", f.State+".marker"
	mustClose(t, mustOpen(t, f))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdFile+"="+f.State)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }() // the process is gone by then
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "open: <nil>" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	if _, _, err := Open(f, options()); !errors.Is(err, ErrBusy) {
		t.Errorf("Open: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the other process ended by itself")
	}
	mustOpen(t, f)
}

func TestANewerFormatIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, f Files)
	}{
		{"the state is newer", func(t *testing.T, f Files) { setMeta(t, f.State, keyFormat, []byte{format + 1}) }},
		{"the state is missing and the copy is newer", func(t *testing.T, f Files) {
			remove(t, f.State)
			setMeta(t, f.Copy, keyFormat, []byte{200})
		}},
		{"the state is damaged and the copy is newer", func(t *testing.T, f Files) {
			write(t, f.State, nil)
			setMeta(t, f.Copy, keyFormat, []byte{format + 1})
		}},
		{"state and copy are missing and the marker is newer", func(t *testing.T, f Files) {
			remove(t, f.State)
			remove(t, f.Copy)
			write(t, f.Marker, []byte(`{"version":2,"from":"somewhere"}`))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFiles(t)
			life(t, f)
			c.damage(t, f)
			before := folder(t, f)
			_, _, err := Open(f, options())
			if !errors.Is(err, ErrNewer) || errors.Is(err, ErrBusy) {
				t.Errorf("Open: %v", err)
			}
			diff(t, "folder", before, folder(t, f))
		})
	}
}

// setMeta writes a value, or removes it where it is nil, behind the back of the
// package.
func setMeta(t testing.TB, path string, key, value []byte) {
	t.Helper()
	change := func(tx *bolt.Tx) error {
		if value == nil {
			return tx.Bucket(bucketMeta).Delete(key)
		}
		return put(tx.Bucket(bucketMeta), key, value)
	}
	edit(t, path, change)
}

func edit(t testing.TB, path string, change func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(change), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestACommitIsAllOrNothing stops a commit wherever a machine can: any of the
// sectors of the data are on the disk while the first page that tells of them
// is not; or all of them, and a part of that page.
func TestACommitIsAllOrNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := Files{State: filepath.Join(dir, "s"), Copy: filepath.Join(dir, "c"), Marker: filepath.Join(dir, "m")}
	rapid.Check(t, func(r *rapid.T) {
		if err := os.RemoveAll(f.State); err != nil {
			r.Fatal(err)
		}
		s, _, err := Open(f, options())
		if err != nil {
			r.Fatal(err)
		}
		s.db.NoSync, s.db.NoGrowSync = true, true
		commits := rapid.IntRange(0, 4).Draw(r, "commits before")
		for n := range commits {
			mustCommit(t, s, change(n))
		}
		old, before := contentOf(t, s), read(t, f.State)
		c := change(commits)
		if rapid.Bool().Draw(r, "forget") {
			c.Forget = theResume + 3_600_000
		}
		mustCommit(t, s, c)
		now, after := contentOf(t, s), read(t, f.State)
		mustClose(t, s)

		const sector = 512
		metas := 2 * os.Getpagesize()
		torn := bytes.Clone(before)
		if rapid.Bool().Draw(r, "the file has grown") {
			torn = append(torn, make([]byte, max(0, len(after)-len(torn)))...)
		}
		whole := rapid.Bool().Draw(r, "the data is complete")
		if whole {
			torn = append(torn[:0:0], after...)
			copy(torn[:metas], before[:metas])
			// Of the page that tells of it, the first bytes are there.
			at := int(newestMeta(after)) * os.Getpagesize()
			n := rapid.IntRange(0, 100).Draw(r, "bytes of the first page")
			copy(torn[at:at+n], after[at:at+n])
		} else {
			for at := metas; at+sector <= len(torn) && at+sector <= len(after); at += sector {
				if bytes.Equal(torn[at:at+sector], after[at:at+sector]) {
					continue
				}
				if rapid.Bool().Draw(r, "sector") {
					copy(torn[at:at+sector], after[at:at+sector])
				}
			}
		}
		write(t, f.State, torn)
		s, notice, err := Open(f, options())
		if err != nil || notice != "" {
			r.Fatalf("Open: %q, %v", notice, err)
		}
		got := contentOf(t, s)
		mustClose(t, s)
		if d := cmp.Diff(old, got); d != "" && (!whole || cmp.Diff(now, got) != "") {
			r.Fatalf("neither what was before nor what came after (-before +got):\n%.2000s", d)
		}
	})
}

// newestMeta is the number of the first page that the last commit wrote.
func newestMeta(file []byte) uint64 {
	at := os.Getpagesize()
	if string(file[16+48:16+56]) == string(file[at+16+48:at+16+56]) {
		return 0
	}
	a, b := file[16+48:16+56], file[at+16+48:at+16+56]
	for i := 7; i >= 0; i-- {
		if a[i] != b[i] {
			if a[i] > b[i] {
				return 0
			}
			return 1
		}
	}
	return 0
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows keeps no such bits: the folder's list of permissions counts there")
	}
	f := newFiles(t)
	life(t, f)
	if err := os.Chmod(f.State, 0o666); err != nil {
		t.Fatal(err)
	}
	mustClose(t, mustOpen(t, f))
	damaged := read(t, f.State)
	damaged[len(damaged)-1]++
	write(t, f.State, damaged[:5000])
	s, notice, err := Open(f, options())
	if err != nil || notice == "" {
		t.Fatalf("Open: %q, %v", notice, err)
	}
	mustClose(t, s)
	n := 0
	entries, err := os.ReadDir(filepath.Dir(f.State))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
		n++
	}
	if n != 5 {
		t.Errorf("%d files, want state, lock, copy, marker and the damaged one", n)
	}
}

func TestLinksAreRefused(t *testing.T) {
	t.Parallel()
	plant := func(t *testing.T, path, target string) {
		t.Helper()
		if _, err := os.Lstat(path); err == nil {
			remove(t, path)
		}
		if err := os.Symlink(target, path); err != nil {
			if runtime.GOOS == "windows" {
				t.Skip("this user may not create symbolic links")
			}
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		link func(f Files) string
		lost []func(f Files) string
	}{
		{name: "in the place of the state", link: func(f Files) string { return f.State }},
		{name: "in the place of the lock file", link: func(f Files) string { return f.State + ".lock" }},
		{name: "in the place of the copy, when the state is lost", link: func(f Files) string { return f.Copy }, lost: []func(f Files) string{stateOf}},
		{name: "in the place of the marker, when all else is lost", link: func(f Files) string { return f.Marker }, lost: []func(f Files) string{stateOf, copyOf}},
	} {
		for _, target := range []string{"somebody's file", "nothing"} {
			t.Run("a link to "+target+" "+c.name, func(t *testing.T) {
				t.Parallel()
				f := newFiles(t)
				life(t, f)
				for _, lost := range c.lost {
					remove(t, lost(f))
				}
				theirs := filepath.Join(t.TempDir(), "theirs")
				if target != "nothing" {
					write(t, theirs, read(t, f.Marker))
				}
				plant(t, c.link(f), theirs)
				before := folder(t, f)
				_, _, err := Open(f, options())
				if err == nil || !strings.Contains(err.Error(), "not a regular file") || !strings.Contains(err.Error(), c.link(f)) {
					t.Errorf("Open: %v", err)
				}
				diff(t, "folder", before, folder(t, f))
				if target == "nothing" {
					if _, err := os.Lstat(theirs); err == nil {
						t.Error("a file was made where the link leads")
					}
				}
			})
		}
	}

	t.Run("a copy and a marker are not written through a link", func(t *testing.T) {
		t.Parallel()
		f := newFiles(t)
		s := mustOpen(t, f)
		theirs := filepath.Join(t.TempDir(), "theirs")
		write(t, theirs, []byte("theirs"))
		for _, path := range []string{f.Copy, f.Marker, f.Copy + ".new", f.Marker + ".new"} {
			plant(t, path, theirs)
		}
		if err := s.Copy(f); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("Copy: %v", err)
		}
		if err := Mark(f, 1, theMoment); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("Mark: %v", err)
		}
		if _, err := CopyDue(f, 1, theMoment); err == nil {
			t.Error("CopyDue: no error")
		}
		if _, err := Marked(f); err == nil {
			t.Error("Marked: no error")
		}
		if got := string(read(t, theirs)); got != "theirs" {
			t.Errorf("the file that the links lead to says %q", got)
		}
	})
}

func stateOf(f Files) string { return f.State }
func copyOf(f Files) string  { return f.Copy }
