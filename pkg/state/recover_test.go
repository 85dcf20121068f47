package state

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"atlassian_audit_records/pkg/audit"
)

// damages are ways in which a file can stop being a state.
var damages = []struct {
	name   string
	damage func(t testing.TB, path string)
}{
	{"holds no bytes", func(t testing.TB, path string) { write(t, path, nil) }},
	{"holds one byte", func(t testing.TB, path string) { write(t, path, []byte{0}) }},
	{"is a text", func(t testing.TB, path string) { write(t, path, bytes.Repeat([]byte("garbage\n"), 10_000)) }},
	{"is all zeroes", func(t testing.TB, path string) { write(t, path, make([]byte, len(read(t, path)))) }},
	{"lacks its second half", func(t testing.TB, path string) { b := read(t, path); write(t, path, b[:len(b)/2]) }},
	{"is another program's bbolt file", func(t testing.TB, path string) {
		remove(t, path)
		edit(t, path, func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err })
	}},
	{"is a bbolt file without anything", func(t testing.TB, path string) {
		remove(t, path)
		edit(t, path, func(*bolt.Tx) error { return nil })
	}},
	{"has a wrong byte in its position", func(t testing.TB, path string) { flip(t, path, []byte(theCloudID)) }},
	{"has a wrong byte in the records seen", func(t testing.TB, path string) { flip(t, path, bytesOf(theCoarse)) }},
	{"has a wrong byte in its batch", func(t testing.TB, path string) { flip(t, path, []byte("the line of batch")) }},
	{"lacks its position", func(t testing.TB, path string) { setMeta(t, path, keyPosition, nil) }},
	{"lacks its batch", func(t testing.TB, path string) { setMeta(t, path, keyPlace, nil) }},
	{"lacks its batch's lines", func(t testing.TB, path string) { setMeta(t, path, keyLines, nil) }},
	{"lacks its format", func(t testing.TB, path string) { setMeta(t, path, keyFormat, nil) }},
	{"lacks the number of its chunks", func(t testing.TB, path string) { setMeta(t, path, keyChunks, nil) }},
	{"lacks the table of the records seen", func(t testing.TB, path string) {
		edit(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketSeen) })
	}},
	{"lacks a chunk of the records seen", func(t testing.TB, path string) {
		edit(t, path, func(tx *bolt.Tx) error {
			k, _ := tx.Bucket(bucketSeen).Cursor().First()
			return tx.Bucket(bucketSeen).Delete(k)
		})
	}},
	{"has a chunk of the records seen under another's key", func(t testing.TB, path string) {
		edit(t, path, func(tx *bolt.Tx) error {
			b := tx.Bucket(bucketSeen)
			k, v := b.Cursor().First()
			other := chunkKey(keyChunk(k) - 1)
			return errors.Join(b.Put(other, bytes.Clone(v)), b.Delete(bytes.Clone(k)))
		})
	}},
	{"has a strange key among the records seen", func(t testing.TB, path string) {
		edit(t, path, func(tx *bolt.Tx) error { return tx.Bucket(bucketSeen).Put([]byte("strange"), []byte("12345")) })
	}},
	{"has the wrong kind of position", func(t testing.TB, path string) { setMeta(t, path, keyPosition, []byte(`[1]`)) }},
}

// flip changes the last byte of what, wherever it stands in the file.
func flip(t testing.TB, path string, what []byte) {
	t.Helper()
	b := read(t, path)
	wrong := bytes.Clone(what)
	wrong[len(wrong)-1] ^= 1
	changed := bytes.ReplaceAll(b, what, wrong)
	if bytes.Equal(b, changed) {
		t.Fatalf("%q is not in %s", what, path)
	}
	write(t, path, changed)
}

func TestADamagedStateIsReplaced(t *testing.T) {
	t.Parallel()
	for _, c := range damages {
		t.Run("a state that "+c.name+" gives way to its copy", func(t *testing.T) {
			t.Parallel()
			f := newFiles(t)
			atCopy, _ := life(t, f)
			c.damage(t, f.State)
			bad, kept := read(t, f.State), read(t, f.Copy)
			s, notice, err := Open(f, options())
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "content", atCopy, contentOf(t, s))
			for _, part := range []string{"the state is damaged", f.State + ".damaged-20261123T120000.000Z", "its copy of 2026-11-23T11:00:00Z is used", "no record is lost"} {
				if !strings.Contains(notice, part) {
					t.Errorf("the notice lacks %q: %s", part, notice)
				}
			}
			if strings.Contains(notice, "\n") {
				t.Errorf("the notice is more than a sentence: %q", notice)
			}
			mustCommit(t, s, change(3))
			mustClose(t, s)
			if !bytes.Equal(bad, read(t, f.State+".damaged-20261123T120000.000Z")) {
				t.Error("the damaged file was not kept as it was")
			}
			if !bytes.Equal(kept, read(t, f.Copy)) {
				t.Error("the copy was changed")
			}
			if n := len(folder(t, f)); n != 4 {
				t.Errorf("%d files, want state, copy, marker and the damaged one", n)
			}
			mustOpen(t, f)
		})

		t.Run("a state that "+c.name+" gives way to the marker when there is no copy", func(t *testing.T) {
			t.Parallel()
			f := newFiles(t)
			life(t, f)
			c.damage(t, f.State)
			remove(t, f.Copy)
			wantFromMarker(t, f, "the state is damaged", f.State+".damaged-")
		})

		t.Run("a copy that "+c.name+" gives way to the marker", func(t *testing.T) {
			t.Parallel()
			f := newFiles(t)
			life(t, f)
			remove(t, f.State)
			c.damage(t, f.Copy)
			bad := read(t, f.Copy)
			wantFromMarker(t, f, "is missing", "its copy is damaged too", f.Copy+".damaged-")
			if !bytes.Equal(bad, read(t, f.Copy+".damaged-20261123T120000.000Z")) {
				t.Error("the damaged copy was not kept as it was")
			}
		})

		t.Run("a state that "+c.name+" is an error when there is neither copy nor marker, at every run", func(t *testing.T) {
			t.Parallel()
			f := newFiles(t)
			life(t, f)
			remove(t, f.Copy)
			remove(t, f.Marker)
			c.damage(t, f.State)
			wantNothingToGoOnFrom(t, f)
			remove(t, f.State)
			mustOpen(t, f) // the error says so
		})
	}
}

// wantFromMarker wants everything to be read again since the marker.
func wantFromMarker(t *testing.T, f Files, parts ...string) {
	t.Helper()
	s, notice, err := Open(f, options())
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "content", content{Position: audit.Position{Floor: theResume, FloorSet: true}}, contentOf(t, s))
	for _, part := range append(parts, "everything since 2023-11-14T22:13:20Z is read again", "no record is lost") {
		if !strings.Contains(notice, part) {
			t.Errorf("the notice lacks %q: %s", part, notice)
		}
	}
	mustClose(t, s)
	mustOpen(t, f)
}

func wantNothingToGoOnFrom(t *testing.T, f Files) {
	t.Helper()
	before := folder(t, f)
	for range 2 {
		_, _, err := Open(f, options())
		if err == nil || !strings.Contains(err.Error(), "to begin anew with initial_lookback, remove "+f.State) {
			t.Errorf("Open: %v", err)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("more than a sentence: %q", err)
		}
	}
	diff(t, "folder", before, folder(t, f))
}

func TestALostStateIsReplaced(t *testing.T) {
	t.Parallel()
	t.Run("by its copy, without batch and spool file", func(t *testing.T) {
		t.Parallel()
		f := newFiles(t)
		atCopy, _ := life(t, f)
		remove(t, f.State)
		s, notice, err := Open(f, options())
		if err != nil || !strings.Contains(notice, "is missing") || !strings.Contains(notice, "its copy of 2026-11-23T11:00:00Z") {
			t.Fatalf("Open: %q, %v", notice, err)
		}
		got := contentOf(t, s)
		diff(t, "content", atCopy, got)
		if got.Position.File != "" || got.HasBatch || got.Position.CloudID != theCloudID || len(got.Seen) != 160 {
			t.Errorf("the copy says %+v", got)
		}
		mustClose(t, s)
	})
	for _, row := range []struct {
		name string
		lose func(t *testing.T, f Files)
		want func(t *testing.T, f Files)
	}{
		{"by the marker",
			func(t *testing.T, f Files) { remove(t, f.Copy) },
			func(t *testing.T, f Files) { wantFromMarker(t, f, "is missing") }},
		{"by nothing when the copy is damaged and there is no marker",
			func(t *testing.T, f Files) { remove(t, f.Marker); write(t, f.Copy, []byte("garbage")) },
			func(t *testing.T, f Files) { wantNothingToGoOnFrom(t, f) }},
		{"by nothing when there is no copy and the marker is damaged",
			func(t *testing.T, f Files) { remove(t, f.Copy); flip(t, f.Marker, []byte("1700000000000")) },
			func(t *testing.T, f Files) { wantNothingToGoOnFrom(t, f) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			f := newFiles(t)
			life(t, f)
			remove(t, f.State)
			row.lose(t, f)
			row.want(t, f)
		})
	}
	t.Run("by the copy in spite of what an interrupted recovery left", func(t *testing.T) {
		t.Parallel()
		f := newFiles(t)
		atCopy, _ := life(t, f)
		if err := os.Rename(f.State, f.State+".damaged-20261123T120000.000Z"); err != nil {
			t.Fatal(err)
		}
		write(t, f.State+".new", []byte("half a state"))
		s, _, err := Open(f, options())
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "content", atCopy, contentOf(t, s))
		mustClose(t, s)
		if n := len(folder(t, f)); n != 4 {
			t.Errorf("%d files, want state, copy, marker and the damaged one", n)
		}
	})
}

func TestAFirstRunThatWasKilledKeepsItsFloor(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s := mustOpen(t, f)
	if err := Mark(f, theResume, theMoment); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	s = mustOpen(t, f)
	diff(t, "content", content{Position: audit.Position{Floor: theResume, FloorSet: true}}, contentOf(t, s))
}

func TestDamagedTwiceInAMillisecondKeepsBoth(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	life(t, f)
	for _, text := range []string{"first", "second"} {
		write(t, f.State, []byte(text))
		s, _, err := Open(f, options())
		if err != nil {
			t.Fatal(err)
		}
		mustClose(t, s)
	}
	aside := f.State + ".damaged-20261123T120000.000Z"
	if a, b := string(read(t, aside)), string(read(t, aside+"+")); a != "first" || b != "second" {
		t.Errorf("kept %q and %q", a, b)
	}
}

// TestWhereverTheStateIsCut wants what was committed, or the copy and a notice.
func TestWhereverTheStateIsCut(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	atCopy, last := life(t, f)
	whole := read(t, f.State)
	for n := 0; n < len(whole); n += 4096 {
		t.Run(fmt.Sprintf("at %d bytes", n), func(t *testing.T) {
			t.Parallel()
			g := newFiles(t)
			write(t, g.State, whole[:n])
			write(t, g.Copy, read(t, f.Copy))
			s, notice, err := Open(g, options())
			if err != nil {
				t.Fatal(err)
			}
			want := last
			if notice != "" {
				want = atCopy
			}
			diff(t, "content", want, contentOf(t, s))
			if n < 8*4096 && notice == "" {
				t.Error("the cut was not noticed")
			}
			mustClose(t, s)
		})
	}
}

// TestWhateverByteIsWrong wants each to be noticed, or to change nothing; but
// for the page that told of the last commit, without which the one before it
// counts, as after a power failure. In no case may the next commit fail.
func TestWhateverByteIsWrong(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s := mustOpen(t, f)
	mustCommit(t, s, change(1))
	mustCommit(t, s, change(2))
	before := contentOf(t, s)
	mustCommit(t, s, change(3))
	last := contentOf(t, s)
	mustClose(t, s)
	whole := read(t, f.State)
	path := filepath.Join(t.TempDir(), "state")
	noticed, same, older := 0, 0, 0
	for i := 0; i < len(whole); i += 23 {
		for _, mask := range []byte{1, 0x80, 0xFF}[i%3 : i%3+1] {
			b := bytes.Clone(whole)
			b[i] ^= mask
			if err := os.RemoveAll(path); err != nil { // some file systems sync what is overwritten
				t.Fatal(err)
			}
			write(t, path, b)
			s, err := openWhole(path, false, time.Millisecond)
			if err != nil {
				if !errors.Is(err, ErrDamaged) {
					t.Fatalf("byte %d: %v", i, err)
				}
				noticed++
				continue
			}
			got := contentOf(t, s)
			switch {
			case last.same(got):
				same++
			case i < 2*os.Getpagesize() && before.same(got):
				older++
			default:
				t.Errorf("byte %d was not noticed", i)
			}
			s.db.NoSync, s.db.NoGrowSync = true, true // of power failures another test tells
			mustCommit(t, s, change(4))
			got = contentOf(t, s)
			mustClose(t, s)
			s, err = openWhole(path, false, time.Millisecond)
			if err != nil {
				t.Fatalf("byte %d, after a commit: %v", i, err)
			}
			if !got.same(contentOf(t, s)) {
				t.Errorf("byte %d: a commit is not what it was when it is read again", i)
			}
			mustClose(t, s)
		}
	}
	t.Logf("%d noticed, %d harmless, %d are the commit before", noticed, same, older)
	if noticed == 0 || same == 0 || older == 0 {
		t.Error("the test does not reach all it is about")
	}
}

// A file that is cut short while it is mapped faults where it is read.
func TestAFileCutWhileOpenIsAnErrorAndNotACrash(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows refuses to cut a file that is mapped")
	}
	for _, c := range []struct {
		name string
		use  func(f Files, s *Store) error
	}{
		{"the position is asked for", func(_ Files, s *Store) error { _, err := s.Position(); return err }},
		{"the batch is asked for", func(_ Files, s *Store) error { _, _, err := s.Batch(); return err }},
		{"records seen are asked for", func(_ Files, s *Store) error { _, err := s.SeenAt([]int64{theResume + 3_600_000}); return err }},
		{"the next record seen is asked for", func(_ Files, s *Store) error { _, _, err := s.NextSeen(0); return err }},
		{"a change is committed", func(_ Files, s *Store) error { return s.Commit(change(4)) }},
		{"a copy is made", func(f Files, s *Store) error { return s.Copy(f) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFiles(t)
			atCopy, _ := life(t, f)
			kept := read(t, f.Copy)
			s := mustOpen(t, f)
			if err := os.Truncate(f.State, 4096); err != nil {
				t.Fatal(err)
			}
			if err := c.use(f, s); !errors.Is(err, ErrDamaged) {
				t.Errorf("error %v, want ErrDamaged", err)
			}
			if _, err := s.Position(); err == nil {
				t.Error("it goes on answering")
			}
			mustClose(t, s)
			if !bytes.Equal(kept, read(t, f.Copy)) {
				t.Error("the copy was changed")
			}
			s, notice, err := Open(f, options())
			if err != nil || notice == "" {
				t.Fatalf("Open: %q, %v", notice, err)
			}
			diff(t, "content", atCopy, contentOf(t, s))
			mustClose(t, s)
		})
	}
}

func TestManyRecoverAtOnceAndOneDoesIt(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	atCopy, _ := life(t, f)
	write(t, f.State, []byte("garbage"))
	o := options()
	o.Lock = time.Minute
	notices := make([]string, 8)
	errs := make([]error, len(notices))
	got := make([]content, len(notices))
	var all sync.WaitGroup
	for i := range notices {
		all.Go(func() {
			var s *Store
			if s, notices[i], errs[i] = Open(f, o); errs[i] == nil {
				got[i].Position, errs[i] = s.Position()
				errs[i] = errors.Join(errs[i], s.Close())
			}
		})
	}
	all.Wait()
	said := 0
	for i := range notices {
		if errs[i] != nil {
			t.Errorf("Open: %v", errs[i])
		}
		if notices[i] != "" {
			said++
		}
		diff(t, "position", atCopy.Position, got[i].Position)
	}
	if said != 1 {
		t.Errorf("%d of them recovered the state", said)
	}
	if n := len(folder(t, f)); n != 4 {
		t.Errorf("%d files, want state, copy, marker and the damaged one", n)
	}
}

func TestAMissingFolderIsAnError(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	f.State = filepath.Join(filepath.Dir(f.State), "none", "state")
	if _, _, err := Open(f, options()); !errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrDamaged) {
		t.Errorf("Open: %v", err)
	}
}
