package spool_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
)

const aWhile = 30 * time.Second

// shared is a depot whose offsets have to stand for a while.
func shared(d *depot) { d.settle = aWhile }

// here is the end of what was written last.
func (d *depot) here() []audit.Place { return []audit.Place{{File: d.file, Offset: d.end}} }

// isSettled is what a run finds, which keeps its notes.
func (d *depot) isSettled(ends []audit.Place) bool {
	d.t.Helper()
	t, err := d.track()
	if err != nil {
		d.t.Fatal(err)
	}
	ok, err := t.Settled(ends)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := t.Save(); err != nil {
		d.t.Fatal(err)
	}
	return ok
}

// acks is the Agent acknowledging a file up to an offset, now.
func (d *depot) acks(offset int64) {
	d.agent.Memory[places.Spool+"/"+d.file] = spool.Offset{Bytes: offset, Touched: d.now, Read: d.now}
	d.agent.Flush()
}

func TestWhatIsSettled(t *testing.T) {
	t.Parallel()
	each(t, "what was acknowledged and has stood for a while", func(t *testing.T, d *depot) {
		shared(d)
		d.write(0)
		end := d.here()
		if d.isSettled(end) {
			t.Error("nothing was acknowledged")
		}
		d.acks(d.end)
		if d.isSettled(end) {
			t.Error("it was acknowledged just now")
		}
		d.now = d.now.Add(aWhile)
		if !d.isSettled(end) {
			t.Error("it was acknowledged a while ago")
		}
	})
	each(t, "an offset that moves on and on settles a step behind", func(t *testing.T, d *depot) {
		shared(d)
		var ends [][]audit.Place
		for range 6 {
			d.write(0)
			ends = append(ends, d.here())
			d.acks(d.end)
			d.isSettled(d.here())
			d.now = d.now.Add(20 * time.Second)
		}
		var got []bool
		for _, end := range ends {
			got = append(got, d.isSettled(end))
		}
		if diff := cmp.Diff([]bool{true, true, true, true, true, false}, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
	each(t, "half of a batch is none of it", func(t *testing.T, d *depot) {
		shared(d)
		d.write(0)
		half := d.end
		d.write(0)
		d.acks(half)
		d.now = d.now.Add(time.Minute)
		if d.isSettled(d.here()) || !d.isSettled([]audit.Place{{File: d.file, Offset: half}}) {
			t.Error("half of it was acknowledged")
		}
	})
	each(t, "where nothing is shared, nothing is settled in the spool", func(t *testing.T, d *depot) {
		d.write(0)
		d.acks(d.end)
		d.now = d.now.Add(time.Hour)
		if d.isSettled(d.here()) {
			t.Error("it is")
		}
	})
	each(t, "an offset that the registry lost stays settled, a file that was cut does not", func(t *testing.T, d *depot) {
		shared(d)
		d.write(0)
		first := d.here()
		d.write(0)
		d.acks(d.end)
		d.now = d.now.Add(time.Minute)
		d.isSettled(d.here())
		d.agent.LoseRegistry()
		if !d.isSettled(d.here()) {
			t.Error("what was told is not believed any more")
		}
		d.fs.WriteFile(places.Spool+"/"+d.file, d.fs.Files()[places.Spool+"/"+d.file][:first[0].Offset])
		d.isSettled(first)
		if d.isSettled(first) {
			t.Error("another file of that name is settled")
		}
	})
	each(t, "what was delivered, kept and removed", func(t *testing.T, d *depot) {
		shared(d)
		d.write(0)
		end := d.here()
		d.agent.Work()
		d.roll()
		d.runs(20)
		if len(d.in(places.Delivered)) != 1 || !d.isSettled(end) {
			t.Errorf("delivered are %v", d.in(places.Delivered))
		}
		d.pass(25 * time.Hour)
		d.runs(1)
		if len(d.in(places.Delivered)) != 0 || !d.isSettled(end) {
			t.Error("what was removed is waited for")
		}
	})
	each(t, "a file of which no line is whole is not", func(t *testing.T, d *depot) {
		shared(d)
		d.write(0)
		d.torn = true
		name := "20261123T120000.000Z-00000000000000ff.jsonl"
		d.fs.WriteFile(places.Spool+"/"+name, []byte(`{"cut":`))
		if d.isSettled([]audit.Place{{File: name, Offset: 100}}) {
			t.Error("it is")
		}
		// Unless its rest was written elsewhere.
		d.acks(d.end)
		d.now = d.now.Add(time.Minute)
		d.isSettled(d.here())
		if !d.isSettled([]audit.Place{{File: name, Offset: 100}, d.here()[0]}) {
			t.Error("what was written elsewhere is delivered, and it is not")
		}
	})
	each(t, "of a batch in two places, both count", func(t *testing.T, d *depot) {
		shared(d)
		d.write(0)
		first := audit.Place{File: d.file, Offset: d.end + 100} // the rest did not come that far
		d.acks(d.end)
		d.file, d.end, d.since = "", 0, 0
		d.write(0)
		both := []audit.Place{first, d.here()[0]}
		d.now = d.now.Add(time.Minute)
		if d.isSettled(both) {
			t.Error("the second is not delivered")
		}
		d.acks(d.end)
		d.now = d.now.Add(time.Minute)
		if !d.isSettled(both) {
			t.Error("both are delivered")
		}
		if d.isSettled([]audit.Place{first}) {
			t.Error("what was not written counts as delivered")
		}
	})
	each(t, "what is taken out and spooled again is followed to its new file", func(t *testing.T, d *depot) {
		shared(d)
		d.write(0)
		old := d.here()
		d.acks(d.end)
		d.now = d.now.Add(time.Minute)
		d.isSettled(old)
		d.write(0, 0)
		end := d.here()
		d.agent.Dark = true
		d.now = d.now.Add(18 * time.Hour)
		if _, err := d.run(); err != nil {
			t.Fatal(err)
		}
		if len(d.in(places.Late)) != 1 || d.isSettled(end) || !d.isSettled(old) {
			t.Errorf("taken out are %v", d.in(places.Late))
		}
		d.now = d.now.Add(5 * time.Minute)
		if _, err := d.run(); err != nil {
			t.Fatal(err)
		}
		if d.did.Renewed != 1 || d.isSettled(end) || !d.isSettled(old) {
			t.Errorf("it did %+v", d.did)
		}
		for _, name := range d.in(places.Spool) {
			d.file = name
			d.acks(int64(len(d.fs.Files()[places.Spool+"/"+name])))
		}
		d.now = d.now.Add(time.Minute)
		d.isSettled(end)
		if !d.isSettled(end) {
			t.Error("its new file is delivered")
		}
		d.file = ""
		d.now = d.now.Add(26 * time.Hour)
		if _, err := d.run(); err != nil {
			t.Fatal(err)
		}
		if !d.isSettled(end) {
			t.Error("its new file left the spool")
		}
	})
	each(t, "and to the next one, where that was spooled again in part", func(t *testing.T, d *depot) {
		shared(d)
		d.write(7 * time.Hour)
		d.write(0)
		end := d.here()
		d.agent.Dark = true
		again := func() {
			for range 2 { // out of the spool, and back
				if _, err := d.run(); err != nil {
					t.Fatal(err)
				}
				d.now = d.now.Add(5 * time.Minute)
			}
			if names := d.in(places.Spool); len(names) == 1 {
				d.file = names[0]
			}
		}
		d.now = d.now.Add(11 * time.Hour)
		again()
		text := d.fs.Files()[places.Spool+"/"+d.file]
		d.acks(int64(bytes.IndexByte(text, '\n') + 1)) // the first line, which is late
		d.now = d.now.Add(7 * time.Hour)
		first := d.file
		again()
		if d.did.Renewed != 2 || d.file == first || len(d.in(places.Delivered)) != 1 {
			t.Fatalf("it did %+v, delivered are %v", d.did, d.in(places.Delivered))
		}
		if d.isSettled(end) {
			t.Error("the second line is not delivered")
		}
		d.acks(int64(len(d.fs.Files()[places.Spool+"/"+d.file])))
		d.now = d.now.Add(time.Minute)
		d.isSettled(end)
		if !d.isSettled(end) {
			t.Error("all is delivered")
		}
	})
	each(t, "what was given up is waited for no more", func(t *testing.T, d *depot) {
		shared(d)
		d.write(20 * time.Hour)
		end := d.here()
		d.agent.Excludes[d.ids[0]] = true
		d.agent.Work()
		d.runs(3)
		for _, span := range []time.Duration{25 * time.Hour, time.Hour} {
			if d.isSettled(end) {
				t.Error("it is waited for no more before it is given up")
			}
			d.pass(span)
			d.write(0)
			d.runs(3)
		}
		if len(d.did.GivenUp) == 0 || !d.isSettled(end) {
			t.Errorf("it did %+v", d.did)
		}
	})
}

func TestWhatIsUnsettled(t *testing.T) {
	t.Parallel()
	each(t, "every end that the Agent has not taken for a while", func(t *testing.T, d *depot) {
		shared(d)
		d.write(0)
		d.acks(d.end)
		d.now = d.now.Add(time.Minute)
		d.isSettled(nil)
		unsettled := func() []audit.Place {
			tr, err := d.track()
			if err != nil {
				t.Fatal(err)
			}
			return tr.Unsettled()
		}
		if got := unsettled(); got != nil {
			t.Errorf("all is delivered, and unsettled are %v", got)
		}
		d.write(0)
		first := d.here()[0]
		d.file, d.end, d.since = "", 0, 0
		d.write(0)
		if diff := cmp.Diff([]audit.Place{first, d.here()[0]}, unsettled()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}
