package spool_test

import (
	"strings"
	"testing"
	"time"
)

// TestWhatAPowerFailureLeavesOfAFile is about files whose first line, or every
// line, was cut or emptied: whose they are is not told by the first line.
func TestWhatAPowerFailureLeavesOfAFile(t *testing.T) {
	t.Parallel()
	// tear puts something before the lines of the file being written, in place of
	// the state that would go on with it.
	tear := func(d *depot, before string) (name string) {
		name, d.torn = d.file, true
		data, _ := d.fs.ReadFile(places.Spool + "/" + name)
		d.fs.WriteFile(places.Spool+"/"+name, append([]byte(before), data...))
		d.file, d.end, d.since = "", 0, 0
		return name
	}
	for name, before := range map[string]string{
		"a first line that was cut":            "{\"id\":1,\"created\"\n",
		"zeros in place of the first line":     strings.Repeat("\x00", 5000) + "\n",
		"a first line that is longer than any": strings.Repeat("x", 2_000_000) + "\n",
	} {
		each(t, name+" keeps nothing in the spool", func(t *testing.T, d *depot) {
			d.write(time.Hour, time.Minute)
			torn := tear(d, before)
			d.pass(time.Minute)
			d.runs(15)
			if got := d.in(places.Spool); len(got) > 0 {
				t.Errorf("%v is in the spool still, %s was torn", got, torn)
			}
			d.wantReceived(false)
		})
	}
	each(t, "a file without a line waits for a day, and is brought away", func(t *testing.T, d *depot) {
		const junk = "20261123T120000.000Z-00000000000000ff.jsonl"
		d.fs.MkdirAll(places.Spool)
		d.torn = true
		d.fs.WriteFile(places.Spool+"/"+junk, []byte(strings.Repeat("\x00", 100)+"\n{\"id\":1,"))
		d.runs(60)
		if got := d.in(places.Spool); len(got) != 1 {
			t.Fatalf("after an hour %v is in the spool, want %s", got, junk)
		}
		d.pass(24 * time.Hour)
		d.runs(1)
		if got := d.in(places.Spool); len(got) > 0 {
			t.Errorf("after a day %v is in the spool", got)
		}
		if got := d.in(places.Delivered); len(got) != 1 {
			t.Errorf("after a day %v is in Delivered", got)
		}
		d.pass(25 * time.Hour)
		d.runs(1)
		if got := d.in(places.Delivered); len(got) > 0 {
			t.Errorf("after two days %v is in Delivered", got)
		}
	})
	each(t, "one that its owner completes while it is looked at stays", func(t *testing.T, d *depot) {
		const junk = "20261123T120000.000Z-00000000000000ff.jsonl"
		d.fs.MkdirAll(places.Spool)
		d.torn = true
		d.fs.WriteFile(places.Spool+"/"+junk, []byte(`{"id":1,`))
		d.pass(30 * time.Hour)
		tracker, err := d.track()
		if err != nil {
			t.Fatal(err)
		}
		d.fs.WriteFile(places.Spool+"/"+junk, []byte(line(500)))
		if _, err := tracker.Settle(""); err != nil {
			t.Fatal(err)
		}
		if got := d.in(places.Spool); len(got) != 1 {
			t.Errorf("%v is in the spool, want the file that is whole now", got)
		}
	})
	each(t, "one that the state goes on with stays", func(t *testing.T, d *depot) {
		const junk = "20261123T120000.000Z-00000000000000ff.jsonl"
		d.fs.MkdirAll(places.Spool)
		d.fs.WriteFile(places.Spool+"/"+junk, []byte(`{"id":1,`))
		d.file = junk
		d.pass(30 * time.Hour)
		d.runs(1)
		if got := d.in(places.Spool); len(got) != 1 {
			t.Errorf("%v is in the spool, want the file of the batch that is not complete", got)
		}
	})
}
