package spool_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/spool"
)

// roll begins a new file and delivers both.
func (d *depot) roll() (old string) {
	old = d.file
	d.now = d.now.Add(25 * time.Hour)
	d.write(0)
	return old
}

func TestWhatLeavesTheSpool(t *testing.T) {
	t.Parallel()
	each(t, "a file that is closed and delivered leaves it after ten minutes, and is removed after a day", func(t *testing.T, d *depot) {
		d.write(time.Hour, time.Minute)
		d.agent.Work()
		old := d.roll()
		d.agent.Work()
		d.agent.Memory[places.Spool+"/"+old] = spool.Offset{Bytes: d.agent.Memory[places.Spool+"/"+old].Bytes, Touched: d.now}
		d.agent.Flush()
		d.runs(10)
		if got := d.in(places.Spool); !slices.Contains(got, old) {
			t.Fatalf("it left too early: %v", got)
		}
		d.runs(20)
		if diff := cmp.Diff([]string{d.file}, d.in(places.Spool)); diff != "" {
			t.Errorf("in the spool: %s", diff)
		}
		if diff := cmp.Diff([]string{old}, d.in(places.Delivered)); diff != "" {
			t.Errorf("delivered: %s", diff)
		}
		d.pass(23 * time.Hour)
		d.runs(1)
		if len(d.in(places.Delivered)) != 1 {
			t.Error("it was not kept for a day")
		}
		d.pass(time.Hour)
		d.runs(1)
		if got := d.in(places.Delivered); len(got) != 0 {
			t.Errorf("it was kept for more than a day: %v", got)
		}
		d.wantReceived(false)
	})
	each(t, "the file that is written to stays, delivered or not", func(t *testing.T, d *depot) {
		d.write(0)
		d.agent.Work()
		d.pass(time.Hour)
		d.runs(5)
		if diff := cmp.Diff([]string{d.file}, d.in(places.Spool)); diff != "" {
			t.Error(diff)
		}
	})
	each(t, "once it is a day old nothing is written to it any more, and it leaves too", func(t *testing.T, d *depot) {
		d.write(0)
		d.agent.Work()
		d.pass(24 * time.Hour)
		d.runs(3)
		if got := d.in(places.Spool); len(got) > 0 || d.file != "" {
			t.Errorf("there is %v, and %q is written to", got, d.file)
		}
	})
	each(t, "what the Agent has not read to its end stays", func(t *testing.T, d *depot) {
		d.write(20*time.Hour, 20*time.Hour)
		old := d.roll()
		d.agent.Memory[places.Spool+"/"+old] = spool.Offset{Bytes: 10, Touched: d.now}
		d.agent.Flush()
		d.now = d.now.Add(time.Hour)
		if _, err := d.run(); err != nil {
			t.Fatal(err)
		}
		if len(d.in(places.Spool)) != 2 {
			t.Error("it left")
		}
	})
	each(t, "an entry that was forgotten tells nothing, and what it told stays true", func(t *testing.T, d *depot) {
		d.write(0)
		d.agent.Work()
		d.runs(1)
		old := d.roll()
		d.agent.LoseRegistry()
		d.agent.NoLogs = true
		d.runs(1)
		if got := d.in(places.Delivered); !slices.Contains(got, old) {
			t.Errorf("delivered are %v", got)
		}
	})
	each(t, "a registry that cannot be read moves nothing and takes nothing out", func(t *testing.T, d *depot) {
		d.write(0)
		d.agent.Unreadable = true
		d.roll()
		d.pass(30 * time.Hour)
		if out := d.runs(5); out.Delivered+out.TakenOut+len(out.GivenUp) > 0 {
			t.Errorf("it did %+v", out)
		}
		if s := d.standing(); s.Known || s.Bytes == 0 {
			t.Errorf("standing %+v", s)
		}
	})
	each(t, "an offset beyond the end of a file is believed of no line", func(t *testing.T, d *depot) {
		d.write(0)
		d.agent.Memory[places.Spool+"/"+d.file] = spool.Offset{Bytes: 1 << 30, Touched: d.now}
		d.agent.Flush()
		d.now = d.now.Add(25 * time.Hour)
		if out := d.runs(1); out.Delivered > 0 {
			t.Errorf("it did %+v", out)
		}
	})
	each(t, "another stream's files are left alone", func(t *testing.T, d *depot) {
		d.write(0)
		d.agent.Work()
		d.site, d.file = "other.atlassian.net", ""
		d.pass(25 * time.Hour)
		if out := d.runs(3); out.Delivered+out.TakenOut > 0 {
			t.Errorf("it did %+v", out)
		}
	})
}

func TestFilesThatCanNeverBeAcknowledged(t *testing.T) {
	t.Parallel()
	each(t, "a file whose last line is excluded is given up after a day, and told", func(t *testing.T, d *depot) {
		d.write(20*time.Hour, 20*time.Hour)
		d.agent.Excludes[d.ids[1]] = true
		d.agent.Work()
		old := d.file
		d.runs(3)
		d.pass(25 * time.Hour)
		d.write(0)
		if out := d.runs(3); len(out.GivenUp) > 0 {
			t.Errorf("one sign was enough: %+v", out)
		}
		d.pass(time.Hour)
		d.write(0)
		out := d.runs(3)
		if len(out.GivenUp) != 1 || !strings.HasPrefix(out.GivenUp[0].Name, strings.TrimSuffix(old, ".jsonl")+".givenup-") || out.GivenUp[0].Bytes == 0 || out.Delivered > 0 {
			t.Errorf("it did %+v", out)
		}
		if diff := cmp.Diff(out.GivenUp, d.standing().GivenUp); diff != "" {
			t.Errorf("it is forgotten: %s", diff)
		}
		if got := d.in(places.Delivered); !slices.Contains(got, out.GivenUp[0].Name) {
			t.Errorf("delivered are %v", got)
		}
		d.pass(24 * time.Hour)
		d.runs(1)
		if s := d.standing(); len(s.GivenUp) > 0 {
			t.Errorf("standing %+v", s)
		}
	})
	each(t, "one of which nothing was ever acknowledged is given up too", func(t *testing.T, d *depot) {
		d.write(20 * time.Hour)
		d.agent.Excludes[d.ids[0]] = true
		d.agent.Work()
		d.pass(25 * time.Hour)
		d.file = ""
		d.write(0)
		d.runs(2)
		d.pass(time.Hour)
		d.write(0)
		if out := d.runs(2); len(out.GivenUp) != 1 {
			t.Errorf("it did %+v", out)
		}
	})
	each(t, "nothing is given up while nothing else is acknowledged", func(t *testing.T, d *depot) {
		d.write(20 * time.Hour)
		d.agent.Dark = true
		d.pass(25 * time.Hour)
		d.write(20 * time.Hour)
		d.pass(50 * time.Hour)
		if out := d.runs(3); len(out.GivenUp) > 0 {
			t.Errorf("it did %+v", out)
		}
		d.agent.Dark = false
		d.runs(20)
		d.wantReceived(false)
	})
	each(t, "an outage that began just before is no sign", func(t *testing.T, d *depot) {
		d.agent.Stuck = 1
		d.write(20 * time.Hour)
		d.agent.Work()
		old := d.file
		d.write(20 * time.Hour)
		d.pass(time.Second) // and the second line is under way
		d.agent.Dark = true
		d.write(20 * time.Hour)
		d.pass(2 * time.Hour)
		d.file = ""
		d.write(20 * time.Hour)
		d.pass(40 * time.Hour)
		d.runs(5)
		d.agent.Dark = false
		d.runs(5)
		d.pass(time.Hour)
		d.runs(5)
		if len(d.did.GivenUp) > 0 || !slices.Contains(d.in(places.Delivered), old) {
			t.Errorf("it did %+v", d.did)
		}
		d.wantReceived(false)
	})
}

func TestLateInTheSpool(t *testing.T) {
	t.Parallel()
	each(t, "what nears 18 hours is taken out, waited for, and spooled again as late", func(t *testing.T, d *depot) {
		d.agent.Dark = true
		d.write(17*time.Hour-time.Minute, time.Hour)
		d.runs(30)
		if out := d.did; out.TakenOut > 0 {
			t.Fatalf("too early: %+v", out)
		}
		old := d.file
		d.runs(2)
		if got := d.in(places.Late); len(got) != 1 || !strings.HasPrefix(got[0], old+".taken-2026") {
			t.Fatalf("taken out are %v", got)
		}
		if got := d.in(places.Spool); len(got) != 0 {
			t.Fatalf("in the spool is %v", got)
		}
		d.runs(3)
		got := d.lines(places.Spool)
		first, second := got[d.ids[0]], got[d.ids[1]]
		if len(first) != 1 || !first[0].Late || first[0].HasOfficial || len(second) != 1 || second[0].Late || !second[0].HasOfficial {
			t.Errorf("in the spool stand %+v", got)
		}
		if left := append(d.in(places.Late), d.in(places.Delivered)...); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		d.agent.Dark = false
		d.runs(2)
		d.wantReceived(true)
	})
	each(t, "what was acknowledged meanwhile is not spooled again", func(t *testing.T, d *depot) {
		d.agent.Stuck = 1
		d.agent.Dark = true
		d.write(17*time.Hour-time.Minute, 16*time.Hour)
		d.agent.Scan()
		d.agent.Read(1) // the first line is under way
		d.runs(32)
		if len(d.in(places.Late)) != 1 {
			t.Fatal("nothing was taken out")
		}
		d.agent.Dark = false
		d.runs(4)
		d.wantReceived(false)
		if got := d.in(places.Delivered); len(got) != 1 || !strings.Contains(got[0], ".upto-") {
			t.Errorf("delivered are %v", got)
		}
		if got := d.agent.Received[d.ids[1]]; got[0].Late {
			t.Errorf("the second line is late: %+v", got)
		}
	})
	each(t, "where no Agent ever runs each line is spooled again once, and then never", func(t *testing.T, d *depot) {
		d.noAgent, d.agent.NoLogs = true, true
		d.write(17*time.Hour-time.Minute, 10*time.Hour, 0)
		for range 40 {
			d.runs(60)
		}
		out, files := d.did, d.in(places.Spool)
		if out.Late != 3 || len(files) != 1 {
			t.Errorf("it did %+v and left %v", out, files)
		}
		for range 5 {
			d.pass(30 * time.Hour)
			d.runs(5)
		}
		if diff := cmp.Diff(files, d.in(places.Spool)); diff != "" || d.did.Renewed != out.Renewed {
			t.Errorf("it goes on: %+v\n%s", d.did, diff)
		}
		if s := d.standing(); s.Known || s.Bytes == 0 || s.Since.IsZero() || s.Oldest.IsZero() {
			t.Errorf("standing %+v", s)
		}
	})
	each(t, "records that were late from the start are never taken out", func(t *testing.T, d *depot) {
		d.agent.Dark = true
		d.write(17*time.Hour+time.Second, 400*24*time.Hour)
		d.pass(50 * time.Hour)
		if out := d.runs(5); out.TakenOut > 0 {
			t.Errorf("it did %+v", out)
		}
	})
	each(t, "what was taken out comes back even where the registry stays unreadable", func(t *testing.T, d *depot) {
		d.agent.Dark = true
		d.write(17 * time.Hour)
		d.runs(1)
		d.pass(40 * time.Minute)
		d.runs(1)
		d.agent.Unreadable = true
		d.runs(10)
		if len(d.in(places.Late)) != 1 || len(d.in(places.Spool)) != 0 {
			t.Fatal("it did not wait")
		}
		d.pass(6 * time.Hour)
		d.runs(1)
		if len(d.in(places.Late)) != 0 || len(d.in(places.Spool)) != 1 {
			t.Error("it waits for ever")
		}
	})
}

func TestStanding(t *testing.T) {
	t.Parallel()
	each(t, "it tells bytes, files, since when and the oldest record", func(t *testing.T, d *depot) {
		d.agent.Dark = true
		d.write(time.Hour)
		at := d.now
		d.runs(3)
		d.write(30 * time.Hour)
		d.runs(3)
		s := d.standing()
		data, _ := d.fs.ReadFile(places.Spool + "/" + d.file)
		want := spool.Standing{Known: true, Bytes: int64(len(data)), Files: 1, Since: at, Oldest: at.Add(3*time.Minute - 30*time.Hour)}
		if diff := cmp.Diff(want, s); diff != "" {
			t.Error(diff)
		}
	})
	each(t, "a line that is spooled long after the last one was delivered is not old", func(t *testing.T, d *depot) {
		d.write(0)
		d.agent.Work()
		d.runs(2)
		d.pass(5 * time.Hour)
		d.agent.Dark = true
		d.write(0)
		at := d.now
		d.runs(2)
		if s := d.standing(); !s.Since.Equal(at) || !s.Oldest.Equal(at) || s.Bytes == 0 {
			t.Errorf("standing %+v, want since %s", s, at)
		}
		d.agent.Dark = false
		d.runs(1)
		if diff := cmp.Diff(spool.Standing{Known: true}, d.standing()); diff != "" {
			t.Error(diff)
		}
	})
	each(t, "being spooled again makes nothing younger", func(t *testing.T, d *depot) {
		d.agent.Dark = true
		at := d.now
		d.write(17 * time.Hour)
		d.runs(1)
		d.pass(31 * time.Minute)
		d.runs(5)
		if s := d.standing(); d.did.Renewed != 1 || !s.Since.Equal(at) {
			t.Errorf("%+v, standing %+v", d.did, s)
		}
	})
}

func TestUsage(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	d.write(0)
	d.agent.Work()
	old := d.roll()
	d.agent.Work()
	d.runs(15)
	d.agent.Dark = true
	d.write(0)
	u, err := places.Usage(d.fs)
	if err != nil {
		t.Fatal(err)
	}
	current, _ := d.fs.ReadFile(places.Spool + "/" + d.file)
	gone, _ := d.fs.ReadFile(places.Delivered + "/" + old)
	if diff := cmp.Diff(spool.Usage{Spooled: int64(len(current)), Delivered: int64(len(gone))}, u); diff != "" || len(gone) == 0 {
		t.Error(diff)
	}
	held, err := places.Held(d.fs, d.offsets())
	if last := int64(len(current)) - int64(bytes.IndexByte(current, '\n')+1); err != nil || held != last {
		t.Errorf("held are %d bytes (%v), want those of the last line, %d", held, err, last)
	}
	if held, err = places.Held(d.fs, nil); err != nil || held != int64(len(current)) {
		t.Errorf("held are %d bytes (%v) where nothing is known, want all", held, err)
	}
	freed, err := spool.MakeRoom(d.fs, []spool.Folders{places}, 1)
	if err != nil || freed != int64(len(gone)) || len(d.in(places.Delivered)) != 0 || len(d.in(places.Spool)) != 1 {
		t.Errorf("freed %d (%v)", freed, err)
	}
}

func TestNotesThatAreNoneAreNone(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"damaged": `{"version":1,"files":{"a.js`, "of another version": `{"version":2}`, "odd": `{"version":1,"files":{"../x":{"acked":5},"a.jsonl":null}}`,
	} {
		each(t, name, func(t *testing.T, d *depot) {
			d.fs.WriteFile(base+"/state/notes.json", []byte(text))
			d.write(0)
			d.agent.Work()
			d.roll()
			d.runs(3)
			d.pass(time.Hour)
			if out := d.runs(1); d.did.Delivered == 0 {
				t.Errorf("it did %+v", out)
			}
		})
	}
}
