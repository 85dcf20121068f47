package spool_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
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

// busy is a depot with a file of each kind: one that is written to, one taken
// out to be spooled again, one delivered, one given up.
func busy(t *testing.T) *depot {
	d := newDepot(t)
	d.write(20*time.Hour, 20*time.Hour)
	d.agent.Excludes[d.ids[1]] = true
	d.agent.Work()
	d.pass(25 * time.Hour)
	d.write(0)
	d.runs(3)
	d.pass(time.Hour)
	d.write(0)
	d.runs(3) // gives the first file up
	d.agent.Stuck = 1
	d.file = ""
	d.write(17*time.Hour, 17*time.Hour, time.Hour)
	d.runs(3)
	d.file = ""
	d.write(0)
	delivered := places.Spool + "/" + d.file
	d.runs(3)
	d.agent.Dark = true
	d.file = ""
	d.write(17*time.Hour, 17*time.Hour)
	d.runs(1)
	d.now = d.now.Add(29 * time.Minute)
	d.agent.Memory[delivered] = spool.Offset{Bytes: d.agent.Memory[delivered].Bytes, Touched: d.now} // the ten minutes begin
	d.agent.Flush()
	d.runs(2) // delivers the second and takes out the third or fourth
	d.file = ""
	d.write(16*time.Hour+59*time.Minute, 0)
	for _, folder := range []string{places.Spool, places.Late, places.Delivered} {
		if len(d.in(folder)) == 0 {
			t.Fatalf("the stage is not set: nothing in %s; %+v", folder, d.did)
		}
	}
	return d
}

// TestOneOperationFails lets one operation of the disk fail and no other: what
// only looks says so, whatever it was; what changes something says so or does
// without; and later runs lose nothing.
func TestOneOperationFails(t *testing.T) {
	t.Parallel()
	track := func(d *depot, use func(*spool.Tracker) error) error {
		tr, err := d.track()
		if err != nil {
			return err
		}
		return use(tr)
	}
	never := func() bool { return false }
	for name, do := range map[string]struct {
		act func(d *depot) error
		// looks: it changes nothing, and nothing may be kept quiet. vanish: what it
		// looks at may vanish meanwhile.
		looks, vanish bool
	}{
		"usage": {func(d *depot) error { _, err := places.Usage(d.fs); return err }, true, true},
		"held":  {func(d *depot) error { _, err := places.Held(d.fs, d.agent.Offsets()); return err }, true, true},
		"left":  {func(d *depot) error { _, err := places.Left(d.fs, d.now); return err }, true, true},
		"standing": {func(d *depot) error {
			return track(d, func(tr *spool.Tracker) error { _, err := tr.Standing(); return err })
		}, true, false},
		"a replay that is looked for": {func(d *depot) error {
			return track(d, func(tr *spool.Tracker) error {
				_, err := tr.FindReplay(d.now.Add(-48*time.Hour), d.now, ledger, false)
				return err
			})
		}, true, false},
		"room": {func(d *depot) error { _, err := spool.MakeRoom(d.fs, []spool.Folders{places}, 1<<30); return err }, false, false},
		"settling": {func(d *depot) error {
			d.now = d.now.Add(time.Hour)
			return track(d, func(tr *spool.Tracker) error { _, err := tr.Settle(d.file); return err })
		}, false, false},
		"renewing": {func(d *depot) error {
			d.now = d.now.Add(time.Hour)
			return track(d, func(tr *spool.Tracker) error {
				_, err := tr.Renew(d.file, func() error { d.file, d.end, d.since = "", 0, 0; return nil }, never)
				return err
			})
		}, false, false},
		"saving": {func(d *depot) error { return track(d, func(tr *spool.Tracker) error { return tr.Save() }) }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := busy(t)
			before := whole.fs.Ops()
			if err := do.act(whole); err != nil {
				t.Fatal("without a fault:", err)
			}
			ops := whole.fs.Ops() - before
			if ops == 0 {
				t.Fatal("it asks nothing of the disk")
			}
			for _, fault := range []error{syscall.EIO, fs.ErrNotExist} {
				for n := 1; n <= ops; n++ {
					d := busy(t)
					var failed spooltest.Op
					last := d.fs.Ops() + n
					d.fs.Inject(func(op spooltest.Op) error {
						if op.N != last {
							return nil
						}
						failed = op
						return fault
					})
					err := do.act(d)
					d.fs.Inject(nil)
					where := fmt.Sprintf("%v at operation %d, %s %s", fault, n, failed.Kind, failed.Path)
					gone := errors.Is(fault, fs.ErrNotExist)
					notes := strings.Contains(failed.Path, "notes.json") // may be lost
					clean := failed.Kind == "Close" && do.looks          // nothing was written
					switch {
					case err == nil && do.looks && !gone && !notes && !clean:
						t.Errorf("%s was kept quiet", where)
					case err != nil && do.vanish && gone && (failed.Kind == "Open" || failed.Kind == "Lstat"):
						t.Errorf("%s: what another run took away is no failure: %v", where, err)
					case err != nil && !strings.Contains(err.Error(), base):
						t.Errorf("%s: the error names no file: %v", where, err)
					}
					d.agent.Dark, d.agent.Stuck = false, 3
					d.runs(20)
					d.pass(time.Hour)
					d.runs(20)
					d.wantReceived(true)
				}
			}
		})
	}
}

// TestAShortWriteIsNoWrite: a disk that takes a part and says nothing.
func TestAShortWriteIsNoWrite(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(d *depot) error{
		"notes": func(d *depot) error {
			tr, err := d.track()
			if err != nil {
				return err
			}
			return tr.Save()
		},
		"a file that is spooled again": func(d *depot) error {
			d.now = d.now.Add(time.Hour)
			tr, err := d.track()
			if err != nil {
				return err
			}
			_, err = tr.Renew("", func() error { return nil }, func() bool { return false })
			return err
		},
		"a record that is kept whole": func(d *depot) error {
			dir, err := spool.Open(d.fs, places.Spool, spool.Options{Oversize: base + "/oversize"})
			if err != nil {
				return err
			}
			return dir.Keep("id", []byte(`{"a":1}`))
		},
		"a line": func(d *depot) error {
			dir, err := spool.Open(d.fs, places.Spool, spool.Options{})
			if err != nil {
				return err
			}
			return dir.Write(audit.Place{File: "20261123T100000.000Z-0000000000000001.jsonl"}, []byte("{}\n"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := busy(t)
			cut := false
			d.fs.Inject(func(op spooltest.Op) error {
				if op.Kind != "WriteAt" || cut {
					return nil
				}
				cut = true
				return &spooltest.PartialError{Bytes: 1}
			})
			err := act(d)
			d.fs.Inject(nil)
			if err == nil || !cut || !strings.Contains(err.Error(), "short write") {
				t.Errorf("cut %t: %v", cut, err)
			}
			for p, data := range d.fs.Files() {
				if filepath.Ext(p) == ".json" && len(data) == 1 {
					t.Errorf("%s was taken for whole", p)
				}
			}
			d.agent.Dark, d.agent.Stuck = false, 3
			if name != "a line" {
				d.runs(30)
				d.wantReceived(true)
			}
		})
	}
}

// TestRoomIsMadeByTheOldest, and no more of it than is needed.
func TestRoomIsMadeByTheOldest(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	delivering(d, 30)
	all := d.in(places.Delivered)
	if len(all) < 2 {
		t.Fatalf("the stage is not set: %v", all)
	}
	sizes := map[string]int64{}
	for p, data := range d.fs.Files() {
		sizes[filepath.Base(p)] = int64(len(data))
	}
	for _, row := range []struct {
		want  int64 // bytes to be freed
		files int   // that are removed
	}{{0, 0}, {-1, 0}, {1, 1}, {sizes[all[0]], 1}, {sizes[all[0]] + 1, 2}, {1 << 40, len(all)}} {
		m := d.fs.Clone()
		freed, err := spool.MakeRoom(m, []spool.Folders{places}, row.want)
		var gone []string
		var bytes int64
		for _, name := range all {
			if _, there := m.ReadFile(places.Delivered + "/" + name); !there {
				gone = append(gone, name)
				bytes += sizes[name]
			}
		}
		if diff := cmp.Diff(all[:row.files], slices.Clip(append([]string{}, gone...))); diff != "" || err != nil || freed != bytes {
			t.Errorf("%d bytes wanted: freed %d of %d (%v), removed %v", row.want, freed, bytes, err, gone)
		}
	}
}

// TestNamesThatNobodyOfUsGave are left alone, whatever room is needed.
func TestNamesThatNobodyOfUsGave(t *testing.T) {
	t.Parallel()
	const name = "20261123T100000.000Z-0000000000000001"
	for file, ours := range map[string]bool{
		name + ".jsonl":                           true,
		name + ".upto-1.jsonl":                    true,
		name + ".upto-9223372036854775807.jsonl":  true,
		name + ".givenup-5.jsonl":                 true,
		name + ".upto-0.jsonl":                    false,
		name + ".upto--1.jsonl":                   false,
		name + ".upto-x.jsonl":                    false,
		name + ".upto-9223372036854775808.jsonl":  false,
		name + ".upto-99999999999999999999.jsonl": false,
		name + ".json":                            false,
		".jsonl":                                  false,
		".hidden.jsonl":                           false,
	} {
		m := spooltest.New()
		m.MkdirAll(places.Delivered)
		m.WriteFile(places.Delivered+"/"+file, []byte("12345"))
		freed, err := spool.MakeRoom(m, []spool.Folders{places}, 1<<40)
		if _, there := m.ReadFile(places.Delivered + "/" + file); there == ours || err != nil || ours != (freed == 5) {
			t.Errorf("%s: freed %d (%v), still there %t", file, freed, err, there)
		}
	}
}

// TestHeldCountsWhatCannotLeave: of each stream the delivered part of its newest
// file alone is not held; a file that cannot be told whose it is is held whole.
func TestHeldCountsWhatCannotLeave(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	d.fs.MkdirAll(places.Spool)
	size := func(name string) int64 { data, _ := d.fs.ReadFile(places.Spool + "/" + name); return int64(len(data)) }
	d.write(0)
	first := d.file
	d.now = d.now.Add(time.Minute)
	d.file = ""
	d.write(0, 0)
	second := d.file
	d.fs.WriteFile(places.Spool+"/theirs.jsonl", []byte("no line of ours\n"))
	const staged = 7 // which is held whole
	d.fs.WriteFile(places.Spool+"/a.jira.staged", []byte("a line\n"))
	for name, row := range map[string]struct {
		known map[string]int64
		want  int64
	}{
		"nothing is known":                      {nil, size(first) + size(second) + 16},
		"all of the older is delivered":         {map[string]int64{first: size(first)}, size(first) + size(second) + 16},
		"a part of the newest is delivered":     {map[string]int64{second: 5}, size(first) + size(second) - 5 + 16},
		"all of the newest is delivered":        {map[string]int64{second: size(second)}, size(first) + 16},
		"more than all of it says nothing":      {map[string]int64{second: size(second) + 1}, size(first) + size(second) + 16},
		"all is delivered, theirs it seems too": {map[string]int64{first: size(first), second: size(second), "theirs.jsonl": 16}, size(first) + 16},
	} {
		got, err := places.Held(d.fs, func(path string) (spool.Offset, bool) {
			n, ok := row.known[filepath.Base(path)]
			return spool.Offset{Bytes: n}, ok
		})
		if err != nil || got != row.want+staged {
			t.Errorf("%s: %d bytes (%v), want %d", name, got, err, row.want+staged)
		}
	}
}

// TestAFolderWhoseFilesVanish while they are looked at: that is what other
// runs do to them, and no failure; any other reason is one.
func TestAFolderWhoseFilesVanish(t *testing.T) {
	t.Parallel()
	d := busy(t)
	for fault, want := range map[error]bool{fs.ErrNotExist: false, syscall.EACCES: true} {
		u, err := places.Usage(vanishing{d.fs, fault})
		if (err != nil) != want || err == nil && u != (spool.Usage{}) {
			t.Errorf("%v: %+v, %v", fault, u, err)
		}
	}
}

// vanishing is a file system of which no entry of a folder can be looked at.
type vanishing struct {
	spool.FS
	why error
}

func (v vanishing) ReadDir(path string) ([]fs.DirEntry, error) {
	entries, err := v.FS.ReadDir(path)
	for i, e := range entries {
		entries[i] = vanished{e, v.why}
	}
	return entries, err
}

type vanished struct {
	fs.DirEntry
	why error
}

func (v vanished) Info() (fs.FileInfo, error) { return nil, v.why }
