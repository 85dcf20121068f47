package state

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"

	bolt "go.etcd.io/bbolt"
)

// TestDamageOfAnOpenStateIsToldWhereItIsMet damages a state behind the back of
// the store that has it open: whoever needs the value is told, all others are
// answered.
func TestDamageOfAnOpenStateIsToldWhereItIsMet(t *testing.T) {
	t.Parallel()
	asks := map[string]func(*Store) error{
		"Position": func(s *Store) error { _, err := s.Position(); return err },
		"Batch":    func(s *Store) error { _, _, err := s.Batch(); return err },
		"SeenAt":   func(s *Store) error { _, err := s.SeenAt([]int64{theResume + 3_600_000}); return err },
		"NextSeen": func(s *Store) error { _, _, err := s.NextSeen(theResume); return err },
	}
	chunk := func(b *bolt.Bucket) []byte { k, _ := b.Cursor().First(); return bytes.Clone(k) }
	for name, row := range map[string]struct {
		damage func(meta, seen *bolt.Bucket) error
		// met is who meets it, besides the commits.
		met     []string
		commits bool
	}{
		"a position with a wrong checksum":        {func(m, _ *bolt.Bucket) error { return m.Put(keyPosition, []byte("nonsense")) }, []string{"Position"}, false},
		"a position of another kind":              {func(m, _ *bolt.Bucket) error { return put(m, keyPosition, []byte(`[1]`)) }, []string{"Position"}, false},
		"a place with a wrong checksum":           {func(m, _ *bolt.Bucket) error { return m.Put(keyPlace, []byte("nonsense")) }, []string{"Batch"}, false},
		"lines that cannot be unpacked":           {func(m, _ *bolt.Bucket) error { return put(m, keyLines, []byte("nonsense")) }, []string{"Batch"}, false},
		"lines that are said to be a terabyte":    {func(m, _ *bolt.Bucket) error { return put(m, keyLines, bytes.Repeat([]byte{0xff}, 5)) }, []string{"Batch"}, false},
		"a chunk with a wrong checksum":           {func(_, s *bolt.Bucket) error { return s.Put(chunk(s), []byte("nonsense")) }, []string{"SeenAt", "NextSeen"}, true},
		"a chunk cut within an entry's beginning": {func(_, s *bolt.Bucket) error { return put(s, chunk(s), make([]byte, shortEntry-1)) }, []string{"SeenAt", "NextSeen"}, true},
		"a chunk cut within an entry's fine hash": {func(_, s *bolt.Bucket) error { return put(s, chunk(s), make([]byte, longEntry-1)) }, []string{"SeenAt", "NextSeen"}, true},
		"a chunk with an unknown flag": {func(_, s *bolt.Bucket) error {
			return put(s, chunk(s), append([]byte{0x40}, make([]byte, longEntry-1)...))
		}, []string{"SeenAt", "NextSeen"}, true},
		"a chunk whose entries go back in time": {func(_, s *bolt.Bucket) error {
			return put(s, chunk(s), append(append([]byte{0, 1}, make([]byte, longEntry-2)...), make([]byte, longEntry)...))
		}, []string{"SeenAt", "NextSeen"}, true},
		"a number of chunks with a wrong checksum": {func(m, _ *bolt.Bucket) error { return m.Put(keyChunks, []byte("nonsense")) }, nil, true},
		"a number of chunks that is too short":     {func(m, _ *bolt.Bucket) error { return put(m, keyChunks, []byte{1, 2, 3}) }, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFiles(t)
			s := mustOpen(t, f)
			mustCommit(t, s, change(1))
			if err := s.db.Update(func(tx *bolt.Tx) error { return row.damage(tx.Bucket(bucketMeta), tx.Bucket(bucketSeen)) }); err != nil {
				t.Fatal(err)
			}
			for ask, do := range asks {
				err := do(s)
				met := strings.Contains(strings.Join(row.met, " "), ask)
				if met != errors.Is(err, ErrDamaged) || !met && err != nil {
					t.Errorf("%s: %v", ask, err)
				}
				if met && !strings.Contains(err.Error(), f.State) {
					t.Errorf("%s does not say what is damaged: %v", ask, err)
				}
			}
			again := change(1)
			again.Batch = nil
			if err := s.Commit(again); row.commits != errors.Is(err, ErrDamaged) || !row.commits && err != nil {
				t.Errorf("Commit: %v", err)
			}
			if !row.commits {
				return
			}
			// What it answers now is not known to be on the disk.
			if _, err := s.Position(); err == nil || !strings.Contains(err.Error(), "must be opened again") {
				t.Errorf("Position after a commit that failed: %v", err)
			}
		})
	}
}

// TestWhatStandsInTheWayIsAnError: names that the state needs and somebody else
// has. Nothing is changed by it, and all goes on once they are gone.
func TestWhatStandsInTheWayIsAnError(t *testing.T) {
	t.Parallel()
	occupy := func(t *testing.T, path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(path, "theirs"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	opening := func(f Files) error {
		s, _, err := Open(f, options())
		if err == nil {
			err = s.Close()
		}
		return err
	}
	for name, row := range map[string]struct {
		lost func(f Files) []string
		at   func(f Files) string
		do   func(s *Store, f Files) error
		// open says that the state is open meanwhile.
		open bool
	}{
		"where a first state is made":           {lost: func(f Files) []string { return []string{f.State, f.Copy, f.Marker} }, at: func(f Files) string { return f.State + ".new" }, do: func(_ *Store, f Files) error { return opening(f) }},
		"where a state is made of the copy":     {lost: func(f Files) []string { return []string{f.State} }, at: func(f Files) string { return f.State + ".new" }, do: func(_ *Store, f Files) error { return opening(f) }},
		"where a state is made of the marker":   {lost: func(f Files) []string { return []string{f.State, f.Copy} }, at: func(f Files) string { return f.State + ".new" }, do: func(_ *Store, f Files) error { return opening(f) }},
		"where the copy is written":             {open: true, at: func(f Files) string { return f.Copy + ".new" }, do: func(s *Store, f Files) error { return s.Copy(f) }},
		"where the marker is written":           {open: true, at: func(f Files) string { return f.Marker + ".new" }, do: func(_ *Store, f Files) error { return Mark(f, theResume+1, theMoment) }},
		"where the lock is, for another caller": {lost: func(f Files) []string { return []string{f.State + ".lock"} }, at: func(f Files) string { return f.State + ".lock" }, do: func(_ *Store, f Files) error { _, err := Lock(f, 0); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFiles(t)
			_, last := life(t, f)
			if row.lost != nil {
				for _, path := range row.lost(f) {
					remove(t, path)
				}
			}
			var s *Store
			if row.open {
				s = mustOpen(t, f)
			}
			occupy(t, row.at(f))
			marker := read0(f.Marker)
			if err := row.do(s, f); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), filepath.Dir(f.State)) {
				t.Errorf("error %q", err)
			}
			if got := read0(f.Marker); !bytes.Equal(marker, got) {
				t.Errorf("the marker became %q", got)
			}
			if err := os.RemoveAll(row.at(f)); err != nil {
				t.Fatal(err)
			}
			if err := row.do(s, f); err != nil {
				t.Errorf("once it is out of the way: %v", err)
			}
			if row.open {
				diff(t, "content", last, contentOf(t, s))
			}
		})
	}
}

// read0 is a file's content; nil where there is none.
func read0(path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return b
}

// TestAMarkerThatCannotBeReadIsNotTakenForNone: a first run that was killed
// would begin at another floor.
func TestAMarkerThatCannotBeReadIsNotTakenForNone(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no JSON":              `{"version":1,`,
		"a wrong checksum":     `{"version":1,"resume":1700000000000,"written":1,"checksum":"00000000"}`,
		"a version of nothing": `{"version":0,"resume":1700000000000,"written":1,"checksum":"00000000"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFiles(t)
			if err := mustOpen(t, f).Close(); err != nil {
				t.Fatal(err)
			}
			write(t, f.Marker, []byte(text))
			before := folder(t, f)
			_, _, err := Open(f, options())
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "does not say where to begin") || !strings.Contains(err.Error(), "remove the marker to begin anew") {
				t.Errorf("Open: %v", err)
			}
			diff(t, "folder", before, folder(t, f))
			remove(t, f.Marker)
			mustOpen(t, f)
		})
	}
}

// TestAFileInThePlaceOfAFolderIsAnError: it is neither a first run nor damage.
func TestAFileInThePlaceOfAFolderIsAnError(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	life(t, f)
	remove(t, f.State)
	f.Marker = filepath.Join(f.Copy, "marker")
	before := folder(t, f)
	for range 2 {
		remove0(f.Copy + ".moved")
		s, notice, err := Open(f, options())
		if err == nil { // the copy alone is enough
			mustClose(t, s)
			if !strings.Contains(notice, "its copy of") {
				t.Errorf("notice %q", notice)
			}
			remove(t, f.State)
		} else if !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("Open: %v", err)
		}
	}
	diff(t, "folder", before, folder(t, f))
	if _, err := Marked(f); err == nil {
		t.Error("Marked: no error")
	}
	if err := Mark(f, 1, theMoment); err == nil || !strings.Contains(err.Error(), "write the marker") {
		t.Errorf("Mark: %v", err)
	}
}

func remove0(path string) { _ = os.Remove(path) } // there may be none

// TestPeekChangesNothing asks as a person would, while a run holds the state and
// while none does.
func TestPeekChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	if _, err := Peek(f, time.Millisecond); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("where there is no state: %v", err)
	}
	if _, _, err := PeekCopy(f); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("where there is no copy: %v", err)
	}
	atCopy, last := life(t, f)
	before := folder(t, f)
	p, err := Peek(f, time.Millisecond)
	if err != nil || !cmp.Equal(p, last.Position) {
		t.Errorf("%+v, %v", p, err)
	}
	p, at, err := PeekCopy(f)
	p.File, p.End, p.FileSince = "", 0, 0 // those of the copy are not those of its use
	if err != nil || !cmp.Equal(p, atCopy.Position) || !at.Equal(theMoment.Add(-time.Hour)) {
		t.Errorf("the copy of %s: %+v, %v", at, p, err)
	}
	diff(t, "folder", before, folder(t, f))
	s := mustOpen(t, f)
	if _, err := Peek(f, time.Millisecond); !errors.Is(err, ErrBusy) {
		t.Errorf("while a run holds it: %v", err)
	}
	mustClose(t, s)
	setMeta(t, f.State, keyFormat, []byte{format + 1})
	if _, err := Peek(f, time.Millisecond); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer format: %v", err)
	}
	write(t, f.State, []byte("garbage"))
	if _, err := Peek(f, time.Millisecond); !errors.Is(err, ErrDamaged) {
		t.Errorf("garbage: %v", err)
	}
}

// TestLockKeepsRunsOut is for who sees to a stream without collecting it.
func TestLockKeepsRunsOut(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	lock, err := Lock(f, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(f, options()); !errors.Is(err, ErrBusy) {
		t.Errorf("Open: %v", err)
	}
	if _, err := Lock(f, 0); !errors.Is(err, ErrBusy) {
		t.Errorf("Lock: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, f)
	if _, err := Lock(f, 0); !errors.Is(err, ErrBusy) {
		t.Errorf("Lock, while a run holds it: %v", err)
	}
	mustClose(t, s)
	f.State = filepath.Join(f.State, "below a file")
	if _, err := Lock(f, 0); err == nil || errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "lock the state "+f.State) {
		t.Errorf("Lock in a folder that is none: %v", err)
	}
}

// TestABusyStateIsWaitedFor for as long as was said, and for 200 ms where nothing
// was: in the time of a bubble.
func TestABusyStateIsWaitedFor(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	lock, err := Lock(f, 0)
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[time.Duration]time.Duration{0: 200 * time.Millisecond, time.Millisecond: 10 * time.Millisecond, time.Second: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			_, _, err := Open(f, Options{Lock: given, Now: options().Now})
			if took := time.Since(begun); !errors.Is(err, ErrBusy) || took != want {
				t.Errorf("with %s given it took %s: %v", given, took, err)
			}
		})
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestAFormatOfAnotherLengthIsDamage, not an older or a newer one.
func TestAFormatOfAnotherLengthIsDamage(t *testing.T) {
	t.Parallel()
	for _, value := range [][]byte{{}, {0}, {format, 0}} {
		f := newFiles(t)
		_, _ = life(t, f)
		setMeta(t, f.State, keyFormat, value)
		if _, err := openWhole(f.State, false, time.Millisecond); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "format of") {
			t.Errorf("%v: %v", value, err)
		}
	}
}

// TestAFileThatCannotBeSetAsideIsLeft: its new name is longer than the file
// system takes.
func TestAFileThatCannotBeSetAsideIsLeft(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	long := strings.Repeat("n", 255-len(".lock"))
	for name, f := range map[string]Files{
		"a damaged state": {State: filepath.Join(dir, long), Copy: filepath.Join(dir, "copy"), Marker: filepath.Join(dir, "marker")},
		"a damaged copy":  {State: filepath.Join(other, "state"), Copy: filepath.Join(other, long), Marker: filepath.Join(other, "marker")},
	} {
		_, _ = life(t, f)
		bad := f.State
		if strings.HasSuffix(f.Copy, long) {
			remove(t, f.State)
			bad = f.Copy
		}
		write(t, bad, []byte("garbage"))
		_, _, err := Open(f, options())
		if err == nil || !strings.Contains(err.Error(), "aside") || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: Open: %v", name, err)
		}
		if got := string(read(t, bad)); got != "garbage" {
			t.Errorf("%s became %q", name, got)
		}
	}
}

// TestPeopleAreNotRememberedByAClosedState: it says so.
func TestPeopleAreNotRememberedByAClosedState(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s := mustOpen(t, f)
	mustClose(t, s)
	if err := s.KeepPeople(nil, 0); !errors.Is(err, errClosed) || !strings.Contains(err.Error(), "remember people in the state "+f.State) {
		t.Errorf("KeepPeople: %v", err)
	}
	if _, err := s.People(); !errors.Is(err, errClosed) {
		t.Errorf("People: %v", err)
	}
	if err := s.Copy(f); !errors.Is(err, errClosed) {
		t.Errorf("Copy: %v", err)
	}
}

// TestWhoIsRemembered: everybody but those without a sensible id, until the
// millisecond that was asked for; what cannot be read is forgotten for good.
func TestWhoIsRemembered(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s := mustOpen(t, f)
	people, want := map[string]audit.Person{}, map[string]audit.Person{}
	for i := range 40 {
		p := audit.Person{Name: strings.Repeat("n", i+1), Until: 1000 + int64(i%2)}
		people[strings.Repeat("p", i+1)], want[strings.Repeat("p", i+1)] = p, p
	}
	longest := strings.Repeat("x", maxAccount)
	people[longest], want[longest] = audit.Person{Until: 1000}, audit.Person{Until: 1000}
	for _, id := range []string{"", longest + "x", longest + "xx", longest + "xxx"} {
		people[id] = audit.Person{Name: "nobody", Until: 5000}
	}
	wantPeople := func(what string) {
		t.Helper()
		got, err := s.People()
		if err != nil {
			t.Fatal(err)
		}
		diff(t, what, want, got)
	}
	if err := s.KeepPeople(people, 0); err != nil {
		t.Fatal(err)
	}
	wantPeople("at first")
	if err := s.KeepPeople(nil, 1000); err != nil {
		t.Fatal(err)
	}
	wantPeople("until the millisecond itself")
	err := s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketPeople)
		return errors.Join(b.Put([]byte("no seal"), []byte(`nonsense`)), put(b, []byte("no person"), []byte(`[]`)))
	})
	if err != nil {
		t.Fatal(err)
	}
	wantPeople("beside what cannot be read")
	if err := s.KeepPeople(nil, 1001); err != nil {
		t.Fatal(err)
	}
	for id, p := range want {
		if p.Until < 1001 {
			delete(want, id)
		}
	}
	wantPeople("a millisecond later")
	err = s.db.View(func(tx *bolt.Tx) error {
		if n := tx.Bucket(bucketPeople).Stats().KeyN; n != len(want) {
			t.Errorf("%d are in the file, want %d", n, len(want))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
