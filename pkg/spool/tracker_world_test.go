package spool_test

import (
	"bytes"
	"fmt"
	"maps"
	pathpkg "path"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/spool/spooltest"
)

const (
	base   = "/run/aar"
	source = "jira-audit-records"
)

var places = spool.Folders{
	Spool:     base + "/spool/" + source,
	Late:      base + "/late/" + source,
	Delivered: base + "/delivered/" + source,
}

// depot is a stream that writes to the spool, its tracker, and what is needed
// to let both die: the position is what a state would keep.
type depot struct {
	t     rapid.TB
	fs    *spooltest.MemFS
	now   time.Time
	names uint64
	site  string
	agent *modelAgent
	// file, end and since are the position; lines are the ids that were written.
	file  string
	end   int64
	since int64
	ids   []string
	// noAgent is what the check would say where the registry is missing.
	noAgent bool
	did     spool.Outcome
	// given are lines that were given up, and reported.
	given map[string]bool
}

func newDepot(t rapid.TB) *depot {
	d := &depot{t: t, fs: spooltest.New(), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), site: "example.atlassian.net", given: map[string]bool{}}
	d.fs.SetClock(func() time.Time { return d.now })
	d.fs.MkdirAll(base + "/spool")
	d.fs.MkdirAll(base + "/state")
	d.agent = newModelAgent(d)
	return d
}

func (d *depot) options() spool.Options {
	return spool.Options{Now: func() time.Time { return d.now }, Random: func() uint64 { d.names++; return d.names }, MaxSize: 4000}
}

// write spools records of those ages.
func (d *depot) write(ages ...time.Duration) {
	d.t.Helper()
	var lines []byte
	for _, age := range ages {
		id := fmt.Sprintf("%s:jira:%d", d.site, len(d.ids)+1)
		d.ids = append(d.ids, id)
		r := audit.Record{Raw: fmt.Appendf(nil, `{"id":%d,"created":"then","n":9007199254740993}`, len(d.ids)), Millis: d.now.Add(-age).UnixMilli(), Dated: true}
		lines, _ = audit.Line(lines, r, id, audit.LineOptions{
			Stream: audit.Stream{Site: d.site, Product: audit.Jira}, NowMillis: d.now.UnixMilli(),
		})
	}
	dir, err := spool.Open(d.fs, places.Spool, d.options())
	if err != nil {
		d.t.Fatal(err)
	}
	place, since := dir.Next(d.file, d.end, d.since, len(lines))
	if err := dir.Write(place, lines); err != nil {
		d.t.Fatal(err)
	}
	d.file, d.end, d.since = place.File, place.Offset+int64(len(lines)), since
}

// track is one run's look at the spool.
func (d *depot) track() (*spool.Tracker, error) {
	return spool.Track(d.fs, places, spool.TrackerOptions{
		Now: func() time.Time { return d.now }, Owner: spool.Owner{Home: d.site, Product: audit.Jira},
		Offsets: d.agent.offsets(), NoAgent: d.noAgent, Notes: base + "/state/notes.json",
	})
}

// note takes note of the lines that were given up, as their files' names tell.
func (d *depot) note() {
	for p, data := range d.fs.Files() {
		if !strings.Contains(p, ".givenup-") {
			continue
		}
		var acked int64
		if _, err := fmt.Sscanf(p[strings.Index(p, ".givenup-"):], ".givenup-%d.jsonl", &acked); err != nil {
			d.t.Fatal(err)
		}
		for line := range bytes.Lines(data[acked:]) {
			s, _ := audit.ReadLine(line)
			d.given[s.RecordID] = true
		}
	}
}

// run is what a run does about delivery. What fails is a crash.
func (d *depot) run() (spool.Outcome, error) {
	defer func() { d.note() }()
	t, err := d.track()
	if err != nil {
		return spool.Outcome{}, err
	}
	settled, err := t.Settle(d.file)
	if err != nil {
		return settled, err
	}
	renewed, err := t.Renew(d.file, func() error { d.file, d.end, d.since = "", 0, 0; return nil }, func() bool { return false })
	settled.TakenOut, settled.Renewed, settled.Late = renewed.TakenOut, renewed.Renewed, renewed.Late
	d.did.Delivered += settled.Delivered
	d.did.TakenOut += renewed.TakenOut
	d.did.Renewed += renewed.Renewed
	d.did.Late += renewed.Late
	d.did.GivenUp = append(d.did.GivenUp, settled.GivenUp...)
	if err == nil {
		err = t.Save()
	}
	return settled, err
}

// runs are runs a minute apart, which must do well; the Agent works between them.
func (d *depot) runs(n int) (out spool.Outcome) {
	d.t.Helper()
	for range n {
		did, err := d.run()
		if err != nil {
			d.t.Fatal(err)
		}
		out.Delivered += did.Delivered
		out.Removed += did.Removed
		out.TakenOut += did.TakenOut
		out.Renewed += did.Renewed
		out.Late += did.Late
		out.GivenUp = append(out.GivenUp, did.GivenUp...)
		d.pass(time.Minute)
	}
	return out
}

// pass lets time go by, and the Agent work.
func (d *depot) pass(span time.Duration) {
	d.now = d.now.Add(span)
	d.agent.work()
}

func (d *depot) standing() spool.Standing {
	d.t.Helper()
	t, err := d.track()
	if err != nil {
		d.t.Fatal(err)
	}
	s, err := t.Standing()
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// in are the files in a folder.
func (d *depot) in(folder string) []string {
	var names []string
	for p := range d.fs.Files() {
		if pathpkg.Dir(p) == folder {
			names = append(names, pathpkg.Base(p))
		}
	}
	slices.Sort(names)
	return names
}

// lines are those in a folder, by record id.
func (d *depot) lines(folders ...string) map[string][]audit.Stored {
	d.t.Helper()
	out := map[string][]audit.Stored{}
	for p, data := range d.fs.Files() {
		if !slices.Contains(folders, pathpkg.Dir(p)) || strings.HasSuffix(p, ".tmp") {
			continue
		}
		for line := range bytes.Lines(data) {
			s, ok := audit.ReadLine(line)
			if !ok {
				d.t.Fatalf("%s holds %q", p, line)
			}
			out[s.RecordID] = append(out[s.RecordID], s)
		}
	}
	return out
}

// wantReceived fails unless every line was received, and once unless repeated is
// allowed.
func (d *depot) wantReceived(repeated bool) {
	d.t.Helper()
	for _, id := range d.ids {
		switch n := len(d.agent.received[id]); {
		case n == 0 && !d.agent.lost[id] && !d.given[id]:
			d.t.Fatalf("%s was never received", id)
		case n > 1 && !repeated:
			d.t.Fatalf("%s was received %d times", id, n)
		}
	}
}

// modelAgent is the Agent as far as a spool meets it. It scans the glob, reads
// whole lines, sends them, is told when they arrived, and notes that.
type modelAgent struct {
	d *depot
	// down: the process is not there. dark: nothing arrives. noLogs: it reads none.
	// unreadable: its registry cannot be read just now.
	down, dark, noLogs, unreadable bool
	// excludes are record ids that a processing rule drops.
	excludes map[string]bool
	memory   map[string]spool.Offset // by path
	disk     map[string]spool.Offset
	tailers  map[string]int64 // path: read up to
	flight   []payload
	received map[string][]audit.Stored
	// ahead are lines behind which the offset went although they are still under
	// way: payloads arrive in any order. lost are those of them that a restart cost,
	// which is the Agent's own loss.
	ahead, lost map[string]bool
	// stuck is the number of payloads that may be under way before reading stops.
	stuck int
}

// payload is what was read of a file at once.
type payload struct {
	path string
	end  int64
	read time.Time
	sent []audit.Stored
}

func newModelAgent(d *depot) *modelAgent {
	return &modelAgent{
		d: d, memory: map[string]spool.Offset{}, disk: map[string]spool.Offset{}, tailers: map[string]int64{},
		excludes: map[string]bool{}, received: map[string][]audit.Stored{}, stuck: 3,
		ahead: map[string]bool{}, lost: map[string]bool{},
	}
}

// offsets are those of its registry file.
func (a *modelAgent) offsets() spool.Offsets {
	if a.unreadable || a.d.noAgent {
		return nil
	}
	disk := maps.Clone(a.disk)
	return func(path string) (spool.Offset, bool) { o, ok := disk[path]; return o, ok }
}

// work is what it does in a moment: all that it can.
func (a *modelAgent) work() {
	if a.down || a.noLogs {
		return
	}
	for more := true; more; {
		a.scan()
		more = a.read(1000)
		for len(a.flight) > 0 && !a.dark {
			a.arrive(0, true)
			more = true
		}
	}
	a.flush()
}

// scan begins a tailer for each file in the glob, where the registry says, and ends
// those whose files are gone.
func (a *modelAgent) scan() {
	files := a.d.fs.Files()
	for p := range files {
		if m, _ := pathpkg.Match(places.Spool+"/*.jsonl", p); !m {
			continue
		}
		if _, ok := a.tailers[p]; !ok {
			a.tailers[p] = a.memory[p].Bytes
		}
	}
	for p := range a.tailers {
		if _, ok := files[p]; !ok {
			delete(a.tailers, p)
		}
	}
}

// read reads up to so many lines of each file; it reports whether there was one.
func (a *modelAgent) read(lines int) bool {
	found := false
	files := a.d.fs.Files()
	for _, p := range slices.Sorted(maps.Keys(a.tailers)) {
		if len(a.flight) >= a.stuck {
			break
		}
		load := payload{path: p, read: a.d.now}
		at := a.tailers[p]
		for n := 0; n < lines; n++ {
			end := bytes.IndexByte(files[p][at:], '\n')
			if end < 0 {
				break
			}
			line := files[p][at : at+int64(end)]
			at += int64(end) + 1
			s, ok := audit.ReadLine(line)
			if !ok {
				a.d.t.Fatalf("the Agent read %q in %s", line, p)
			}
			if a.excludes[s.RecordID] {
				continue // and the offset stays where it was
			}
			load.sent = append(load.sent, s)
			load.end = at
		}
		a.tailers[p] = at
		if len(load.sent) > 0 {
			a.flight = append(a.flight, load)
			found = true
		}
	}
	return found
}

// arrive lets a payload reach the intake, and, where told, the Agent know it.
func (a *modelAgent) arrive(i int, acknowledged bool) {
	load := a.flight[i]
	for _, s := range load.sent {
		a.received[s.RecordID] = append(a.received[s.RecordID], s)
	}
	if acknowledged {
		a.flight = slices.Delete(a.flight, i, i+1)
		if old := a.memory[load.path]; !old.Read.After(load.read) && load.end > old.Bytes {
			a.memory[load.path] = spool.Offset{Bytes: load.end, Read: load.read, Touched: a.d.now}
		}
		for _, other := range a.flight {
			for _, s := range other.sent {
				a.ahead[s.RecordID] = a.ahead[s.RecordID] || other.path == load.path && other.end <= load.end
			}
		}
	}
}

// flush writes the registry.
func (a *modelAgent) flush() { a.disk = maps.Clone(a.memory) }

// restart loses what was under way and what was not flushed.
func (a *modelAgent) restart() {
	for _, load := range a.flight {
		for _, s := range load.sent {
			if a.ahead[s.RecordID] && len(a.received[s.RecordID]) == 0 && a.disk[load.path].Bytes >= load.end {
				a.lost[s.RecordID] = true
			}
		}
	}
	a.memory, a.tailers, a.flight = maps.Clone(a.disk), map[string]int64{}, nil
}

// lose loses the registry: everything in the glob is read again.
func (a *modelAgent) lose() {
	a.restart()
	a.disk, a.memory = map[string]spool.Offset{}, map[string]spool.Offset{}
}

// each runs a case in a depot of its own.
func each(t *testing.T, name string, f func(t *testing.T, d *depot)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		f(t, newDepot(t))
	})
}
