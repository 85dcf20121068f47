package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/spool/spooltest"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 123e6, time.UTC)

func atNoon() time.Time { return noon }

func TestOpen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		prepare func(*spooltest.MemFS)
		want    string
	}{
		{"a missing folder is made", func(*spooltest.MemFS) {}, ""},
		{"a folder of ours is taken", func(m *spooltest.MemFS) { m.MkdirAll(folder) }, ""},
		{"a symbolic link is refused", func(m *spooltest.MemFS) { m.Symlink(folder) },
			folder + " is a symbolic link, and audit records are not written through one: remove it, or set run_path to where the records shall go"},
		{"a file is refused", func(m *spooltest.MemFS) { m.WriteFile(folder, nil) },
			folder + " is not a folder: move it away"},
		{"a folder that others may read is refused", func(m *spooltest.MemFS) { m.MkdirAll(folder); m.Chmod(folder, 0o744) },
			folder + " may be used by others than its owner (mode 0744): chmod 0700 " + folder},
		{"a folder that the group may write to is refused", func(m *spooltest.MemFS) { m.MkdirAll(folder); m.Chmod(folder, 0o720) },
			folder + " may be used by others than its owner (mode 0720): chmod 0700 " + folder},
		{"without the folder above nothing is made", func(m *spooltest.MemFS) {
			if err := m.Remove("/run/spool"); err != nil {
				panic(err)
			}
		}, "make the folder " + folder + ": mkdir " + folder + ": file does not exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if runtime.GOOS == "windows" && strings.Contains(c.want, "mode") {
				t.Skip("modes mean nothing on Windows")
			}
			m := newFS()
			c.prepare(m)
			_, err := spool.Open(m, folder, spool.Options{})
			if got := text(err); got != c.want {
				t.Errorf("error %q, want %q", got, c.want)
			}
			if mode := m.Modes()[folder]; c.want == "" && mode != fs.ModeDir|0o700 {
				t.Errorf("the folder has the mode %v", mode)
			}
		})
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	const fresh = "20261123T120000.123Z-00000000000000ab.jsonl"
	for _, c := range []struct {
		name   string
		file   string
		length int // on disk; -1 for no file
		end    int64
		age    time.Duration
		n      int
		stays  bool
	}{
		{"without a file there is a new one", "", -1, 0, 0, 10, false},
		{"a file goes on where it ends", name, 900, 900, hour, 10, true},
		{"a file may grow to the limit", name, 900, 900, hour, 100, true},
		{"and not beyond it", name, 900, 900, hour, 101, false},
		{"a batch over the limit gets a new file", name, 900, 900, hour, 5000, false},
		{"a file just under a day goes on", name, 900, 900, 24*hour - 1, 10, true},
		{"a file a day old is followed by a new one", name, 900, 900, 24 * hour, 10, false},
		{"a file begun a little ahead of the clock goes on", name, 900, 900, -hour, 10, true},
		{"a file begun a day ahead of the clock does not", name, 900, 900, -24 * hour, 10, false},
		{"a file that is gone is not made again", name, -1, 900, hour, 10, false},
		{"a file that somebody appended to is left", name, 901, 900, hour, 10, false},
		{"a file that somebody cut is left", name, 899, 900, hour, 10, false},
		{"an empty file is left", name, 0, 0, hour, 10, false},
		{"a name that is not ours is left", "../" + name, 900, 900, hour, 10, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newFS()
			d := open(t, m, spool.Options{Now: atNoon, Random: func() uint64 { return 0xab }, MaxSize: 1000})
			if c.length >= 0 {
				m.WriteFile(folder+"/"+c.file, make([]byte, c.length))
			}
			since := noon.Add(-c.age).UnixMilli()
			if c.age == 24*time.Hour-1 {
				since = noon.Add(-24*time.Hour).UnixMilli() + 1
			}
			place, began := d.Next(c.file, c.end, since, c.n)
			want, wantBegan := audit.Place{File: fresh}, noon.UnixMilli()
			if c.stays {
				want, wantBegan = audit.Place{File: name, Offset: c.end}, since
			}
			if diff := cmp.Diff(want, place); diff != "" {
				t.Errorf("the place differs (-want +got):\n%s", diff)
			}
			if began != wantBegan {
				t.Errorf("begun at %d, want %d", began, wantBegan)
			}
		})
	}
}

func TestNamesSortByTimeAndNeverComeBack(t *testing.T) {
	t.Parallel()
	now := noon
	d := open(t, newFS(), spool.Options{Now: func() time.Time { return now }})
	var names []string
	for range 100 {
		place, _ := d.Next("", 0, 0, 1)
		names = append(names, place.File)
		now = now.Add(7 * time.Millisecond)
	}
	if !slices.IsSorted(names) {
		t.Error("names do not sort by time")
	}
	now = noon
	for range 100 { // again the same moment
		place, _ := d.Next("", 0, 0, 1)
		names = append(names, place.File)
	}
	slices.Sort(names)
	if n := len(slices.Compact(names)); n != 200 {
		t.Errorf("%d of 200 names are different", n)
	}
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	lines := []byte("a line\n")
	for _, c := range []struct {
		name    string
		prepare func(*spooltest.MemFS)
		place   audit.Place
		want    string
	}{
		{"a new file where there is one", func(m *spooltest.MemFS) { m.WriteFile(path, []byte("old\n")) }, audit.Place{File: name},
			"write to " + path + ": create " + path + ": file already exists"},
		{"a new file where there is a symbolic link", func(m *spooltest.MemFS) { m.Symlink(path) }, audit.Place{File: name},
			"write to " + path + ": create " + path + ": file already exists"},
		{"to go on in a file that is gone", func(*spooltest.MemFS) {}, audit.Place{File: name, Offset: 4},
			"append to " + path + ": lstat " + path + ": file does not exist"},
		{"to go on through a symbolic link", func(m *spooltest.MemFS) { m.Symlink(path) }, audit.Place{File: name, Offset: 4},
			path + " is not a regular file: somebody else put it there; move it away, and collection goes on in a new file"},
		{"to write over what somebody appended", func(m *spooltest.MemFS) { m.WriteFile(path, []byte("old\nx\n")) }, audit.Place{File: name, Offset: 4},
			path + " has 6 bytes and should have 4: somebody else writes to it, or removed a part; the next run goes on in a new file"},
		{"to leave a hole", func(m *spooltest.MemFS) { m.WriteFile(path, []byte("ol")) }, audit.Place{File: name, Offset: 4},
			path + " has 2 bytes and should have 4: somebody else writes to it, or removed a part; the next run goes on in a new file"},
		{"a name outside the folder", func(*spooltest.MemFS) {}, audit.Place{File: "../x.jsonl"},
			`"../x.jsonl" is not the name of a spool file`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newFS()
			d := open(t, m, spool.Options{})
			c.prepare(m)
			before := m.Files()
			if got := text(d.Write(c.place, lines)); got != c.want {
				t.Errorf("error %q, want %q", got, c.want)
			}
			if diff := cmp.Diff(before, m.Files()); diff != "" {
				t.Errorf("files changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestWriteSyncsOnceAndFoldersOnlyForANewFile(t *testing.T) {
	t.Parallel()
	m := newFS()
	d := open(t, m, spool.Options{})
	for i, want := range []struct{ files, folders int }{{1, 2}, {1, 0}, {1, 0}} {
		files, folders := m.Count("Sync"), m.Count("SyncDir")
		if err := d.Write(audit.Place{File: name, Offset: int64(2 * i)}, []byte("a\n")); err != nil {
			t.Fatal(err)
		}
		if got := m.Count("Sync") - files; got != want.files {
			t.Errorf("write %d synced %d files, want %d", i, got, want.files)
		}
		if got := m.Count("SyncDir") - folders; got != want.folders {
			t.Errorf("write %d synced %d folders, want %d", i, got, want.folders)
		}
	}
	if err := d.Write(audit.Place{File: name, Offset: math.MaxInt64}, nil); err != nil {
		t.Errorf("writing nothing: %v", err)
	}
}

// TestALargeBatchIsWrittenWhole, in its order, at its place, and completed where it was
// cut anywhere.
func TestALargeBatchIsWrittenWhole(t *testing.T) {
	t.Parallel()
	var lines []byte
	for i := range 40_000 {
		lines = fmt.Appendf(lines, "{\"n\":%d,\"text\":\"of about thirty bytes\"}\n", i)
	}
	m := newFS()
	d := open(t, m, spool.Options{})
	for i, b := range []audit.Batch{{Place: audit.Place{File: name}, Lines: []byte("a\n")}, {Place: audit.Place{File: name, Offset: 2}, Lines: lines}} {
		if err := d.Write(b.Place, b.Lines); err != nil {
			t.Fatalf("batch %d: %v", i, err)
		}
	}
	want := "a\n" + string(lines)
	if got, _ := m.ReadFile(path); string(got) != want {
		t.Fatalf("the file holds %d bytes, not the %d that were written", len(got), len(want))
	}
	for _, cut := range []int{2, 3, 256<<10 + 2, 256<<10 + 3, 1 << 20} {
		m.WriteFile(path, []byte(want[:cut]))
		if _, rest, err := d.Recover(audit.Batch{Place: audit.Place{File: name, Offset: 2}, Lines: lines}); err != nil || len(rest) > 0 {
			t.Fatalf("cut at %d: %d bytes are left, %v", cut, len(rest), err)
		}
		if got, _ := m.ReadFile(path); string(got) != want {
			t.Fatalf("cut at %d, the file holds %d bytes, not the %d that were written", cut, len(got), len(want))
		}
	}
}

// A process that was killed between making the folder and syncing the one
// above leaves a folder that only seems to be there.
func TestAFolderThatWasNotSyncedSurvivesWithItsFirstFile(t *testing.T) {
	t.Parallel()
	m := newFS()
	if err := m.Mkdir(folder); err != nil {
		t.Fatal(err)
	}
	if err := open(t, m, spool.Options{}).Write(audit.Place{File: name}, []byte("a\n")); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(16) {
		if got, _ := m.Crash(seed).ReadFile(path); string(got) != "a\n" {
			t.Errorf("seed %d: the file holds %q", seed, got)
		}
	}
}

func TestAFullDiskIsSaidAndPasses(t *testing.T) {
	t.Parallel()
	m := newFS()
	d := open(t, m, spool.Options{})
	first := []byte(strings.Repeat("first\n", 10))
	if err := d.Write(audit.Place{File: name}, first); err != nil {
		t.Fatal(err)
	}
	m.SetCapacity(int64(len(first)) + 25)
	b := audit.Batch{Place: audit.Place{File: name, Offset: int64(len(first))}, Lines: []byte(strings.Repeat("second\n", 10))}
	err := d.Write(b.Place, b.Lines)
	want := "the disk is full: wrote 25 of 70 bytes to " + path + ": write " + path + ": " + syscall.ENOSPC.Error() +
		"; free some space on its file system (nothing is lost: Atlassian keeps the records, and collection goes on by itself once there is room)"
	if got := text(err); got != want {
		t.Errorf("error %q, want %q", got, want)
	}
	var full interface{ DiskFull() bool }
	if !errors.As(fmt.Errorf("wrapped: %w", err), &full) || !full.DiskFull() {
		t.Error("the error does not say that the disk is full")
	}
	if _, _, err := d.Recover(b); !errors.As(err, &full) || !full.DiskFull() {
		t.Errorf("Recover on a disk that is still full: %v", err)
	}
	m.SetCapacity(-1)
	if written, rest, err := d.Recover(b); !written || rest != nil || err != nil {
		t.Errorf("Recover with room = %v, %q, %v", written, rest, err)
	}
	if got, _ := m.ReadFile(path); !bytes.Equal(got, slices.Concat(first, b.Lines)) {
		t.Errorf("the file holds %q", got)
	}
}

func TestOtherErrorsAreNoFullDisk(t *testing.T) {
	t.Parallel()
	m := newFS()
	d := open(t, m, spool.Options{})
	m.Inject(func(op spooltest.Op) error {
		if op.Kind == "WriteAt" {
			return syscall.EIO
		}
		return nil
	})
	var full *spool.Error
	if err := d.Write(audit.Place{File: name}, []byte("a\n")); !errors.As(err, &full) || full.DiskFull() || full.Path != path {
		t.Errorf("Write: %v", err)
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	m := newFS()
	d := open(t, m, spool.Options{})
	m.WriteFile(folder+"/a.jsonl", make([]byte, 10))
	m.WriteFile(folder+"/b.jsonl", make([]byte, 20))
	m.WriteFile(folder+"/b.jsonl.tmp", make([]byte, 40))
	m.WriteFile(folder+"/.hidden.jsonl", make([]byte, 80))
	m.MkdirAll(folder + "/c.jsonl")
	m.Symlink(folder + "/d.jsonl")
	bytes, files, err := d.Size()
	if bytes != 30 || files != 2 || err != nil {
		t.Errorf("Size = %d, %d, %v; want 30, 2", bytes, files, err)
	}
	m.Inject(func(spooltest.Op) error { return syscall.EACCES })
	if _, _, err := d.Size(); !errors.Is(err, syscall.EACCES) {
		t.Errorf("Size of what cannot be read: %v", err)
	}
}
