package spool_test

import (
	"bytes"
	"fmt"
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
	agent *spooltest.Agent
	// file, end and since are the position; lines are the ids that were written.
	file  string
	end   int64
	since int64
	ids   []string
	// settle is how long an offset must have stood, where the stream is shared.
	settle time.Duration
	// noAgent is what the check would say where the registry is missing.
	noAgent bool
	did     spool.Outcome
	// given are lines that were given up, and reported.
	given map[string]bool
	// torn: a file holds what is no line.
	torn bool
}

func newDepot(t rapid.TB) *depot {
	d := &depot{t: t, fs: spooltest.New(), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), site: "example.atlassian.net", given: map[string]bool{}}
	d.fs.SetClock(func() time.Time { return d.now })
	d.fs.MkdirAll(base + "/spool")
	d.fs.MkdirAll(base + "/state")
	d.agent = spooltest.NewAgent(d.fs, places.Spool, func() time.Time { return d.now })
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
		Offsets: d.offsets(), NoAgent: d.noAgent, Notes: base + "/state/notes.json", SettleAfter: d.settle,
	})
}

// offsets are what a run can know of what the Agent has read.
func (d *depot) offsets() spool.Offsets {
	if d.noAgent {
		return nil
	}
	return d.agent.Offsets()
}

// note takes note of the lines that were given up, as their files' names tell.
func (d *depot) note() {
	if len(d.agent.Garbage) > 0 && !d.torn {
		d.t.Fatalf("the Agent read what is no line: %q", d.agent.Garbage)
	}
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
	d.agent.Work()
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
		switch n := len(d.agent.Received[id]); {
		case n == 0 && !d.agent.Lost[id] && !d.given[id]:
			d.t.Fatalf("%s was never received", id)
		case n > 1 && !repeated:
			d.t.Fatalf("%s was received %d times", id, n)
		}
	}
}

// each runs a case in a depot of its own.
func each(t *testing.T, name string, f func(t *testing.T, d *depot)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		f(t, newDepot(t))
	})
}
