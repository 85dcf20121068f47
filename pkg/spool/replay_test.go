package spool_test

import (
	"fmt"
	"testing"
	"time"

	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/spool/spooltest"
)

const ledger = base + "/state/replayed.json"

// find is what a replay would put back of the last hours.
func (d *depot) find(since, until time.Time, again bool) (*spool.Tracker, spool.Replay) {
	d.t.Helper()
	t, err := d.track()
	if err != nil {
		d.t.Fatal(err)
	}
	r, err := t.FindReplay(since, until, ledger, again)
	if err != nil {
		d.t.Fatal(err)
	}
	return t, r
}

// replay puts back what it finds, and answers how many lines.
func (d *depot) replay(since, until time.Time, again bool) (lines int) {
	d.t.Helper()
	t, r := d.find(since, until, again)
	if err := t.Replay(r, ledger, d.options().Random); err != nil {
		d.t.Fatal(err)
	}
	if err := t.Save(); err != nil {
		d.t.Fatal(err)
	}
	return lined(r.Parts)
}

func lined(parts []spool.Part) (lines int) {
	for _, p := range parts {
		lines += p.Lines
	}
	return lines
}

// delivering spools a line an hour, twelve to a file, which are delivered at once,
// and answers when. When a line was spooled is known to be after the one before
// and by its own time; in doubt it belongs to a span.
func delivering(d *depot, hours int) (spooled []time.Time) {
	for range hours {
		spooled = append(spooled, d.now)
		d.write(time.Second)
		d.runs(2)
		d.now = d.now.Add(58 * time.Minute)
	}
	return spooled
}

func TestReplay(t *testing.T) {
	t.Parallel()
	each(t, "a span is put back, from delivered files and from those still in the spool", func(t *testing.T, d *depot) {
		at := delivering(d, 30)
		if len(d.in(places.Delivered)) != 2 || len(d.in(places.Spool)) != 1 {
			t.Fatalf("delivered are %v, in the spool %v", d.in(places.Delivered), d.in(places.Spool))
		}
		_, r := d.find(at[20].Add(-time.Minute), at[26].Add(-time.Minute), false)
		if n := lined(r.Parts); n != 7 || len(r.Parts) != 2 || r.Bytes() == 0 {
			t.Fatalf("%d lines of %+v", n, r)
		}
		first, last := r.Parts[0], r.Parts[1]
		if !first.Oldest.Equal(at[20].Add(-time.Second)) || !last.Newest.Equal(at[26].Add(-time.Second)) {
			t.Errorf("from %s to %s", first.Oldest, last.Newest)
		}
		d.replay(at[20].Add(-time.Minute), at[26].Add(-time.Minute), false)
		d.runs(2)
		for i, id := range d.ids {
			want := 1
			if i >= 20 && i <= 26 {
				want = 2
			}
			if got := len(d.agent.Received[id]); got != want {
				t.Errorf("line %d was received %d times, want %d", i, got, want)
			}
		}
		d.wantOnlyCopies()
	})
	each(t, "a second replay puts back only what the first one did not, unless it is told to", func(t *testing.T, d *depot) {
		at := delivering(d, 6)
		if n := d.replay(at[1].Add(-time.Minute), at[3].Add(-time.Minute), false); n != 3 {
			t.Fatalf("%d lines", n)
		}
		d.runs(2)
		_, r := d.find(at[0].Add(-time.Minute), d.now, false)
		if put, before := lined(r.Parts), lined(r.Before); put != 3 || before != 3 || r.Before[0].Replayed.IsZero() {
			t.Fatalf("%d lines are new and %d were put back: %+v", put, before, r)
		}
		d.replay(at[0].Add(-time.Minute), d.now, false)
		if n := d.replay(at[0].Add(-time.Minute), d.now, false); n != 0 {
			t.Errorf("%d lines were put back again", n)
		}
		if n := d.replay(at[0].Add(-time.Minute), d.now, true); n != 6 {
			t.Errorf("%d lines were put back when told to", n)
		}
		d.runs(2)
		for _, id := range d.ids {
			if got := len(d.agent.Received[id]); got != 3 {
				t.Errorf("%s was received %d times", id, got)
			}
		}
	})
	each(t, "a copy is not put back itself, however it went on", func(t *testing.T, d *depot) {
		at := delivering(d, 2)
		d.agent.Dark = true
		d.replay(at[0].Add(-time.Minute), d.now, false)
		d.now = d.now.Add(17 * time.Hour)
		d.runs(5)
		if d.did.Renewed == 0 {
			t.Fatalf("the copy was not spooled again: %+v", d.did)
		}
		d.agent.Dark = false
		d.runs(30)
		if _, r := d.find(at[0].Add(-time.Minute), d.now, false); lined(r.Parts) != 0 {
			t.Errorf("it would put back %+v", r.Parts)
		}
	})
	each(t, "what was put back is remembered as long as it can be found", func(t *testing.T, d *depot) {
		at := delivering(d, 6)
		d.replay(at[0].Add(-time.Minute), d.now, false)
		// The machine was off: nothing was brought away or removed meanwhile.
		d.now = d.now.Add(10 * 24 * time.Hour)
		_, r := d.find(at[0].Add(-time.Minute), d.now, false)
		if put, before := lined(r.Parts), lined(r.Before); put != 0 || before != 6 {
			t.Errorf("%d lines would be put back, %d were before", put, before)
		}
	})
	each(t, "what is over 17 hours old is put back as late", func(t *testing.T, d *depot) {
		at := delivering(d, 20)
		_, r := d.find(at[0].Add(-time.Minute), at[4].Add(-time.Minute), false)
		if n := r.Parts[0].Late; n != 4 {
			t.Fatalf("%d lines would be late: %+v", n, r)
		}
		d.replay(at[0].Add(-time.Minute), at[4].Add(-time.Minute), false)
		d.runs(2)
		for i, id := range d.ids[:5] {
			if got := d.agent.Received[id]; len(got) != 2 || got[0].Late || got[1].Late != (i < 4) {
				t.Errorf("line %d: %+v", i, got)
			}
		}
	})
	each(t, "what is not delivered is not put back", func(t *testing.T, d *depot) {
		at := delivering(d, 2)
		d.agent.Dark = true
		d.write(time.Second)
		d.runs(3)
		if _, r := d.find(at[0].Add(-time.Minute), d.now, false); lined(r.Parts) != 2 {
			t.Errorf("it would put back %+v", r.Parts)
		}
	})
	each(t, "without notes a whole file belongs to a span that touches it", func(t *testing.T, d *depot) {
		delivering(d, 30)
		d.fs.WriteFile(base+"/state/notes.json", nil)
		at := d.now
		if _, r := d.find(at.Add(-24*time.Hour), at.Add(-23*time.Hour), false); lined(r.Parts) != 12 {
			t.Errorf("it would put back %+v", r.Parts)
		}
	})
	each(t, "a ledger that cannot be read is not taken for an empty one", func(t *testing.T, d *depot) {
		d.fs.WriteFile(ledger, []byte("{"))
		tr, err := d.track()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tr.FindReplay(d.now, d.now, ledger, false); err == nil {
			t.Error("there is no error")
		}
	})
}

// TestReplayAtEveryCrash lets each operation of a replay be the last; the next
// one must put back exactly what is missing.
func TestReplayAtEveryCrash(t *testing.T) {
	t.Parallel()
	stage := func(t *testing.T) (*depot, time.Time) {
		d := newDepot(t)
		at := delivering(d, 30)
		return d, at[20]
	}
	whole, since := stage(t)
	tr, r := whole.find(since, whole.now, false)
	before := whole.fs.Ops()
	if err := tr.Replay(r, ledger, whole.options().Random); err != nil || len(r.Parts) != 2 {
		t.Fatalf("%v: %+v", err, r)
	}
	ops := whole.fs.Ops() - before
	for n := 1; n <= ops; n++ {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("operation %d, seed %d", n, seed), func(t *testing.T) {
				t.Parallel()
				d, since := stage(t)
				tr, r := d.find(since, d.now, false)
				until := d.now
				last := d.fs.Ops() + n
				d.fs.Inject(func(op spooltest.Op) error {
					if op.N >= last {
						return errPower
					}
					return nil
				})
				_ = tr.Replay(r, ledger, d.options().Random) // fails, but for what it only cleans up
				d.restart(seed > 0, seed)
				d.replay(since, until, false)
				d.runs(2)
				for i, id := range d.ids {
					got := len(d.agent.Received[id])
					if i < 20 && got > 2 || i >= 20 && got != 2 {
						t.Errorf("line %d was received %d times", i, got)
					}
				}
			})
		}
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
