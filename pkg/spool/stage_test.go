package spool_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/spool/spooltest"
)

const stagedPath = folder + "/site.product.staged"

// TestRecoveryOfWhatWasStaged is the second table of the package comment. Before every
// row "first" and "second" were staged for a file and committed, and nothing else
// happened.
func TestRecoveryOfWhatWasStaged(t *testing.T) {
	t.Parallel()
	const batch = "first\nsecond\n"
	rename := func(m *spooltest.MemFS) {
		if err := m.Rename(stagedPath, path); err != nil {
			panic(err)
		}
	}
	synced := func(m *spooltest.MemFS) {
		rename(m)
		if err := m.SyncDir(folder); err != nil {
			panic(err)
		}
	}
	for _, c := range []struct {
		name    string
		happens func(*spooltest.MemFS)
		batch   audit.Batch
		files   map[string]string
		lost    bool
		err     string
	}{
		{name: "it waits, and is given its name",
			files: map[string]string{path: batch}},
		{name: "more was written behind it and never committed, which is cut off",
			happens: func(m *spooltest.MemFS) { m.WriteFile(stagedPath, []byte(batch+"third\nfou")) },
			files:   map[string]string{path: batch}},
		{name: "it has its name, and stays",
			happens: synced, files: map[string]string{path: batch}},
		{name: "it has its name, of which the disk does not know, and keeps it",
			happens: rename, files: map[string]string{path: batch}},
		{name: "it has its name, and more was appended, which stays",
			happens: func(m *spooltest.MemFS) { synced(m); m.WriteFile(path, []byte(batch+"third\n")) },
			files:   map[string]string{path: batch + "third\n"}},
		{name: "it was never committed, and is removed",
			batch: audit.Batch{Place: audit.Place{File: name}}, files: map[string]string{}},
		{name: "it is gone, and is lost",
			happens: func(m *spooltest.MemFS) {
				if err := m.Remove(stagedPath); err != nil {
					panic(err)
				}
			},
			batch: audit.Batch{Place: audit.Place{File: name}, Staged: 13}, files: map[string]string{}, lost: true,
			err: stagedPath + " has 0 of the 13 bytes that were written for " + path},
		{name: "a part of it is gone, and is lost",
			happens: func(m *spooltest.MemFS) { m.WriteFile(stagedPath, []byte("first\n")) },
			files:   map[string]string{stagedPath: "first\n"}, lost: true,
			err: stagedPath + " has 6 of the 13 bytes that were written for " + path},
		{name: "it has its name, and a part of it is gone, and is lost",
			happens: func(m *spooltest.MemFS) { synced(m); m.WriteFile(path, []byte("first\n")) },
			files:   map[string]string{path: "first\n"}, lost: true,
			err: path + " has 6 bytes and should have 13 at least"},
		{name: "a symbolic link stands in its place, and is refused",
			happens: func(m *spooltest.MemFS) { m.Symlink(stagedPath) }, files: map[string]string{},
			err: stagedPath + " is not a regular file: somebody else put it there; move it away, and collection goes on in a new file"},
		{name: "its name cannot be that of a spool file, and is refused",
			batch: audit.Batch{Place: audit.Place{File: "../x.jsonl"}, Staged: 13}, files: map[string]string{stagedPath: batch},
			err: `"../x.jsonl" is not the name of a spool file`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newFS()
			o := spool.Options{Staged: "site.product", StageFrom: 1}
			if done, err := open(t, m, o).Stage(audit.Place{File: name}, []byte(batch)); err != nil || !done {
				t.Fatalf("Stage = %v, %v", done, err)
			}
			if c.happens != nil {
				c.happens(m)
			}
			if c.batch.Place.File == "" {
				c.batch = audit.Batch{Place: audit.Place{File: name}, Staged: int64(len(batch))}
			}
			for _, again := range []bool{false, true} {
				d := open(t, m, o) // that of another process
				holds := d.Holds(c.batch)
				_, rest, err := d.Recover(c.batch)
				if text(err) != c.err || rest != nil {
					t.Fatalf("again=%v: Recover = %q, error %q; want error %q", again, rest, text(err), c.err)
				}
				if c.batch.Staged > 0 && text(holds) != c.err {
					t.Errorf("again=%v: Holds says %q, want %q", again, text(holds), c.err)
				}
				if lost := (*spool.Error)(nil); (errors.As(err, &lost) && lost.Lost()) != c.lost {
					t.Errorf("again=%v: lost is not %v in %v", again, c.lost, err)
				}
				if diff := cmp.Diff(c.files, texts(m)); diff != "" {
					t.Errorf("again=%v: the files differ (-want +got):\n%s", again, diff)
				}
			}
			if c.err != "" {
				return
			}
			for seed := range uint64(8) {
				if diff := cmp.Diff(c.files, texts(m.Crash(seed))); diff != "" && len(c.files) > 0 {
					t.Errorf("after crash %d the files differ (-want +got):\n%s", seed, diff)
				}
			}
		})
	}
}

func texts(m *spooltest.MemFS) map[string]string {
	out := map[string]string{}
	for name, data := range m.Files() {
		out[name] = string(data)
	}
	return out
}

// TestWhatIsStaged is a batch of n bytes where a file of so many bytes was written
// last, and how it is written.
func TestWhatIsStaged(t *testing.T) {
	t.Parallel()
	const large = spool.DefaultStageFrom
	for _, c := range []struct {
		name         string
		end          int64
		n            int
		off          bool
		newFile      bool
		staged       bool
		stagedBefore bool
	}{
		{name: "a small batch begins a file, which the Agent sees at once", n: large - 1, newFile: true},
		{name: "a large batch begins a file, and is staged", n: large, newFile: true, staged: true},
		{name: "a large batch is appended where the file is short", end: 16<<20 - 1, n: large},
		{name: "a large batch begins another file where the last one is long", end: 16 << 20, n: large, newFile: true, staged: true},
		{name: "a small batch is appended where the file is long", end: 16 << 20, n: large - 1},
		{name: "a small batch follows what is staged", end: large, n: 2, stagedBefore: true, staged: true},
		{name: "a large batch follows what is staged, however long that is", end: 17 << 20, n: large, stagedBefore: true, staged: true},
		{name: "nothing is staged beyond the length of a file", end: 64<<20 - 1, n: 2, stagedBefore: true, newFile: true},
		{name: "where nothing is to be staged, a large batch begins a file", n: large, off: true, newFile: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newFS()
			o := spool.Options{Staged: "site.product", Now: atNoon}
			if c.off {
				o.Staged = ""
			}
			d := open(t, m, o)
			file := ""
			if c.end > 0 {
				file = name
				before := []byte(strings.Repeat("x", int(c.end-1)) + "\n")
				if c.stagedBefore {
					if done, err := d.Stage(audit.Place{File: file}, before); err != nil || !done {
						t.Fatalf("Stage = %v, %v", done, err)
					}
				} else if err := d.Write(audit.Place{File: file}, before); err != nil {
					t.Fatal(err)
				}
			}
			place, _ := d.Next(file, c.end, atNoon().UnixMilli(), c.n)
			if got := place.Offset == 0; got != c.newFile {
				t.Errorf("it goes to offset %d", place.Offset)
			}
			staged, err := d.Stage(place, []byte(strings.Repeat("y", c.n-1)+"\n"))
			if err != nil || staged != c.staged {
				t.Errorf("Stage = %v, %v; want %v", staged, err, c.staged)
			}
		})
	}
}

// TestWhatIsStagedIsNotRead by the Agent, and counts as something that takes room.
func TestWhatIsStagedIsNotRead(t *testing.T) {
	t.Parallel()
	m := newFS()
	d := open(t, m, spool.Options{Staged: "site.product", StageFrom: 1, Now: atNoon})
	if _, err := d.Stage(audit.Place{File: name}, []byte("first\n")); err != nil {
		t.Fatal(err)
	}
	if _, files, err := d.Size(); files != 0 || err != nil {
		t.Errorf("%d files, error %v; want none that the Agent reads", files, err)
	}
	usage, err := (spool.Folders{Spool: folder, Late: "/run/late", Delivered: "/run/delivered"}).Usage(m)
	if err != nil || usage.Spooled != 6 {
		t.Errorf("it takes %d bytes, error %v; want 6", usage.Spooled, err)
	}
	if err := d.Publish(name, 6); err != nil {
		t.Fatal(err)
	}
	if bytes, files, err := d.Size(); bytes != 6 || files != 1 || err != nil {
		t.Errorf("%d bytes in %d files, error %v; want 6 in 1", bytes, files, err)
	}
	place, _ := d.Next(name, 6, atNoon().UnixMilli(), 7)
	if done, err := d.Stage(place, []byte("second\n")); done || err != nil {
		t.Errorf("Stage = %v, %v; want what the Agent reads to be appended to", done, err)
	}
	if err := d.Write(place, []byte("second\n")); err != nil {
		t.Fatalf("appended to %v: %v", place, err)
	}
	if got, _ := m.ReadFile(path); string(got) != "first\nsecond\n" {
		t.Errorf("the file holds %q", got)
	}
}

// TestSomebodyElseWritesToWhatIsStaged is found before anything is written.
func TestSomebodyElseWritesToWhatIsStaged(t *testing.T) {
	t.Parallel()
	m := newFS()
	d := open(t, m, spool.Options{Staged: "site.product", StageFrom: 1})
	if _, err := d.Stage(audit.Place{File: name}, []byte("first\n")); err != nil {
		t.Fatal(err)
	}
	m.WriteFile(stagedPath, []byte("first\nfor"))
	_, err := d.Stage(audit.Place{File: name, Offset: 6}, []byte("second\n"))
	if err == nil || !strings.Contains(err.Error(), "has 9 bytes and should have 6") {
		t.Errorf("error %v", err)
	}
	if got, _ := m.ReadFile(stagedPath); string(got) != "first\nfor" {
		t.Errorf("the file holds %q", got)
	}
}
