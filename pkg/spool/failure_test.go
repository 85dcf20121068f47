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

// TestLeft: a stream is left where all of its files are old, wherever they are.
func TestLeft(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	owner := func(site string) spool.Owner { return spool.Owner{Home: site, Product: audit.Jira} }
	left := func(since time.Time) []spool.Owner {
		t.Helper()
		out, err := places.Left(d.fs, since)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := left(d.now); got != nil {
		t.Errorf("where there is no folder: %v", got)
	}
	begun := d.now
	d.site = "zebra.atlassian.net"
	d.write(0)
	d.now = d.now.Add(time.Hour)
	d.site, d.file = "alpha.atlassian.net", ""
	d.write(0)
	d.now = d.now.Add(time.Hour)
	d.site, d.file = "mixed.atlassian.net", ""
	d.write(0)
	mixed := d.now
	d.now = d.now.Add(time.Hour)
	d.file = ""
	d.write(0)
	d.fs.WriteFile(places.Spool+"/theirs.jsonl", []byte("no line of ours\n"))
	for name, row := range map[string]struct {
		since time.Time
		want  []spool.Owner
	}{
		"nothing is older than the first":                 {begun, nil},
		"the first is older than a moment later":          {begun.Add(time.Millisecond), []spool.Owner{owner("zebra.atlassian.net")}},
		"one with a new file is not left":                 {mixed.Add(time.Millisecond), []spool.Owner{owner("alpha.atlassian.net"), owner("zebra.atlassian.net")}},
		"in the end all are, in the order of their names": {d.now.Add(time.Hour), []spool.Owner{owner("alpha.atlassian.net"), owner("mixed.atlassian.net"), owner("zebra.atlassian.net")}},
	} {
		if diff := cmp.Diff(row.want, left(row.since)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
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
		if err != nil || got != row.want {
			t.Errorf("%s: %d bytes (%v), want %d", name, got, err, row.want)
		}
	}
}

// TestWhoseALongLineIs: a line may be longer than what is read at first, and a
// file without an end of line is nobody's.
func TestWhoseALongLineIs(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		text string
		want int
	}{
		"a short line":                   {line(500), 1},
		"as long as is read at first":    {line(8 << 10), 1},
		"longer than is read at first":   {line(8<<10 + 1), 1},
		"the longest that a line may be": {line(audit.MaxLine), 1},
		"without its end":                {strings.TrimSuffix(line(500), "\n"), 0},
		"without any end":                {strings.Repeat("x", 3*audit.MaxLine), 0},
		"nothing":                        {"", 0},
	} {
		m := spooltest.New()
		m.MkdirAll(places.Spool)
		m.WriteFile(places.Spool+"/20261123T100000.000Z-0000000000000001.jsonl", []byte(row.text))
		left, err := places.Left(m, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
		if err != nil || len(left) != row.want {
			t.Errorf("%s: %v (%v), want %d streams", name, left, err, row.want)
		}
	}
}

// line is one of n bytes, its end included.
func line(n int) string {
	l, _ := audit.Line(nil, audit.Record{Raw: []byte(`{"id":1}`), Millis: 1, Dated: true}, "s:jira:1",
		audit.LineOptions{Stream: audit.Stream{Site: "s", Product: audit.Jira}, NowMillis: 1})
	pad := n - len(l) - len(`,"p":""`)
	return strings.TrimSuffix(string(l), "}\n") + `,"p":"` + strings.Repeat("x", pad) + "\"}\n"
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

// TestWhatIsSpooledAgain is every whole line behind what was acknowledged, once,
// whatever else lies there.
func TestWhatIsSpooledAgain(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3<<20)
	for name, row := range map[string]struct {
		// behind is what lies behind three lines of ours in the file; acked is how
		// much of it all was acknowledged, counted from the end of the first line.
		behind string
		acked  int
		// want is in what follows the third line, and ours how many of ours come back.
		want string
		ours int
	}{
		"three lines, of which one was acknowledged":    {"", 0, "", 2},
		"the first was acknowledged but for its end":    {"", -1, "", 3},
		"the second was acknowledged but for its end":   {"", 100, "", 2},
		"what a power failure left":                     {"\x00\x00\x00\n", 0, "", 2},
		"and without an end":                            {"\x00\x00", 0, "", 2},
		"the beginning of a line":                       {`{"id":3,"timest`, 0, "", 2},
		"a line of somebody else":                       {"theirs\n", 0, "theirs\n", 2},
		"an empty line":                                 {"\n\n", 0, "", 2},
		"a whole line that lacks its end":               {strings.TrimSuffix(line(500), "\n"), 0, `"late":true`, 2},
		"a line of ours that is read in several parts":  {line(700 << 10), 0, strings.Repeat("x", 699<<10), 2},
		"a line that is longer than any of ours may be": {long + "\n", 0, "", 2},
	} {
		each(t, name, func(t *testing.T, d *depot) {
			d.agent.Down = true
			d.write(17*time.Hour, 17*time.Hour, 17*time.Hour)
			path := places.Spool + "/" + d.file
			data, _ := d.fs.ReadFile(path)
			first := strings.IndexByte(string(data), '\n') + 1
			d.fs.WriteFile(path, append(slices.Clone(data), row.behind...))
			d.agent.Memory[path] = spool.Offset{Bytes: int64(first + row.acked)}
			d.agent.Flush()
			d.file = ""
			d.runs(1)
			d.now = d.now.Add(31 * time.Minute)
			d.runs(5)
			if d.did.Renewed != 1 {
				t.Fatalf("it did %+v", d.did)
			}
			var got []byte
			for _, name := range d.in(places.Spool) {
				got, _ = d.fs.ReadFile(places.Spool + "/" + name)
			}
			var ours, others []string
			for l := range strings.Lines(string(got)) {
				if s, ok := audit.ReadLine([]byte(l)); ok && s.Home == d.site {
					ours = append(ours, s.RecordID)
				} else {
					others = append(others, l)
				}
			}
			if diff := cmp.Diff(d.ids[3-row.ours:], ours); diff != "" {
				t.Errorf("ours (-want +got):\n%s", diff)
			}
			if strings.HasPrefix(row.behind, long) {
				return // what of it comes back is no line of anybody's
			}
			if got := strings.Join(others, ""); !strings.Contains(got, row.want) || (got == "") != (row.want == "") {
				t.Errorf("others: %.200q, want %.200q", got, row.want)
			}
		})
	}
}

// TestARunCountsWhatItDidToAllFiles, not to the last of them.
func TestARunCountsWhatItDidToAllFiles(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	d.agent.Down = true
	for _, ages := range [][]time.Duration{{17 * time.Hour, 17 * time.Hour}, {17 * time.Hour}, {17 * time.Hour, time.Hour}} {
		d.write(ages...)
		d.file = ""
		d.now = d.now.Add(time.Second)
	}
	d.runs(1)
	d.now = d.now.Add(31 * time.Minute)
	if out := d.runs(1); out.TakenOut != 3 {
		t.Errorf("it did %+v", out)
	}
	d.now = d.now.Add(2 * time.Minute)
	if out := d.runs(1); out.Renewed != 3 || out.Late != 4 {
		t.Errorf("it did %+v, want three files with four lines that are late now", out)
	}
	d.agent.Down = false
	d.runs(3)
	d.wantReceived(false)
}

// TestStandingAfterAStep: who steps and asks then is told of the files as they are.
func TestStandingAfterAStep(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	d.agent.Down = true
	d.write(17*time.Hour, 17*time.Hour)
	size := d.end
	d.file = ""
	step := func(want spool.Standing) {
		t.Helper()
		tr, err := d.track()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tr.Renew("", func() error { return nil }, func() bool { return false }); err != nil {
			t.Fatal(err)
		}
		got, err := tr.Standing()
		if err != nil {
			t.Fatal(err)
		}
		got.Known, got.Since, got.Oldest, got.GivenUp = false, time.Time{}, time.Time{}, nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := tr.Save(); err != nil {
			t.Fatal(err)
		}
	}
	step(spool.Standing{Bytes: size, Files: 1})
	d.now = d.now.Add(31 * time.Minute)
	step(spool.Standing{Bytes: size, Files: 1, TakenOut: size})
	d.now = d.now.Add(2 * time.Minute)
	tr, err := d.track()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := tr.Renew("", func() error { return nil }, func() bool { return false }); err != nil || out.Renewed != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	got, err := tr.Standing()
	if err != nil || got.TakenOut != 0 || got.Files != 1 || got.Bytes <= 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestLeftIsWhatWasBegunAndWrittenLongAgo: a file that is still appended to is
// not left, nor is one that was begun just now, whatever its last write says.
func TestLeftIsWhatWasBegunAndWrittenLongAgo(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		written time.Duration // after since
		begun   time.Duration
		left    int
	}{
		"begun and written before":           {-time.Hour, -2 * time.Hour, 1},
		"begun before, and written since":    {time.Hour, -2 * time.Hour, 0},
		"begun since, by a clock that jumps": {-time.Hour, 2 * time.Hour, 0},
		"begun and written since":            {2 * time.Hour, time.Hour, 0},
	} {
		each(t, name, func(t *testing.T, d *depot) {
			since := d.now
			d.now = since.Add(row.begun)
			d.write(0)
			if err := d.fs.Chtimes(places.Spool+"/"+d.file, since.Add(row.written)); err != nil {
				t.Fatal(err)
			}
			if left, err := places.Left(d.fs, since); err != nil || len(left) != row.left {
				t.Errorf("left are %v (%v), want %d", left, err, row.left)
			}
		})
	}
}

// TestNothingIsSpooledAgainWhereNothingIsLeft: what was acknowledged while the
// file was out of the way leaves no empty file behind.
func TestNothingIsSpooledAgainWhereNothingIsLeft(t *testing.T) {
	t.Parallel()
	for name, junk := range map[string]string{"nothing but what a power failure left": "\x00\x00\x00", "nothing at all": ""} {
		each(t, name, func(t *testing.T, d *depot) {
			d.agent.Down = true
			d.write(17*time.Hour, 17*time.Hour)
			path, end := places.Spool+"/"+d.file, d.end
			data, _ := d.fs.ReadFile(path)
			d.fs.WriteFile(path, append(slices.Clone(data), junk...))
			d.file = ""
			d.runs(1)
			d.now = d.now.Add(31 * time.Minute)
			d.runs(1)
			d.agent.Memory[path] = spool.Offset{Bytes: end}
			d.agent.Flush()
			d.now = d.now.Add(2 * time.Minute)
			d.runs(1)
			if d.did.TakenOut != 1 || d.did.Renewed != 1 || d.did.Late != 0 {
				t.Errorf("it did %+v", d.did)
			}
			if got := d.in(places.Spool); len(got) != 0 {
				t.Errorf("in the spool: %v", got)
			}
			if len(d.in(places.Late)) != 0 || len(d.in(places.Delivered)) != 1 {
				t.Errorf("taken out %v, delivered %v", d.in(places.Late), d.in(places.Delivered))
			}
		})
	}
}

// TestAnIdleRunWritesNothing: what is remembered is written where it changed.
func TestAnIdleRunWritesNothing(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	d.write(0)
	d.agent.Work()
	d.runs(3)
	notes, _ := d.fs.ReadFile(base + "/state/notes.json")
	made := d.fs.Count("Create")
	d.runs(5)
	if n := d.fs.Count("Create") - made; n != 0 {
		t.Errorf("%d files were made by runs that had nothing to do", n)
	}
	if got, _ := d.fs.ReadFile(base + "/state/notes.json"); string(got) != string(notes) {
		t.Errorf("the notes became %s, and were %s", got, notes)
	}
	d.write(0)
	d.runs(1)
	if got, _ := d.fs.ReadFile(base + "/state/notes.json"); string(got) == string(notes) {
		t.Errorf("the notes are still %s", got)
	}
}

// TestWhatAReplayTellsOfItself before anything is done: how many bytes and lines,
// and how many of these have become late.
func TestWhatAReplayTellsOfItself(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	for _, ages := range [][]time.Duration{{time.Hour, time.Hour}, {time.Hour, 20 * time.Hour}, {time.Hour}} {
		d.file = ""
		d.write(ages...)
		d.runs(2)
	}
	d.file = ""
	d.now = d.now.Add(time.Hour)
	d.runs(15)
	var bytes int64
	for _, name := range d.in(places.Delivered) {
		data, _ := d.fs.ReadFile(places.Delivered + "/" + name)
		bytes += int64(len(data))
	}
	_, r := d.find(d.now.Add(-10*time.Hour), d.now, false)
	late := 0
	for _, p := range r.Parts {
		late += p.Late
	}
	if len(r.Parts) != 3 || r.Bytes() != bytes || lined(r.Parts) != 5 || late != 0 {
		t.Errorf("%d parts, %d bytes of %d, %d lines, %d late", len(r.Parts), r.Bytes(), bytes, lined(r.Parts), late)
	}
	d.now = d.now.Add(17 * time.Hour)
	_, r = d.find(d.now.Add(-30*time.Hour), d.now, false)
	late = 0
	for _, p := range r.Parts {
		late += p.Late
	}
	if late != 4 {
		t.Errorf("%d are late after 17 hours, want the 4 that were not from the first", late)
	}
}

// TestTenMinutesAreTenMinutes: a file leaves exactly then, and each is counted.
func TestTenMinutesAreTenMinutes(t *testing.T) {
	t.Parallel()
	each(t, "two files", func(t *testing.T, d *depot) {
		for range 2 {
			d.write(0)
			path, end := places.Spool+"/"+d.file, d.end
			d.agent.Memory[path] = spool.Offset{Bytes: end, Touched: d.now}
			d.file = ""
		}
		d.agent.Flush()
		d.agent.Down = true
		d.now = d.now.Add(10*time.Minute - time.Millisecond)
		if out, err := d.run(); err != nil || out.Delivered != 0 || len(d.in(places.Delivered)) != 0 {
			t.Errorf("a millisecond too early: %+v, %v", out, err)
		}
		d.now = d.now.Add(time.Millisecond)
		if out, err := d.run(); err != nil || out.Delivered != 2 || len(d.in(places.Delivered)) != 2 {
			t.Errorf("%+v, %v", out, err)
		}
	})
}
