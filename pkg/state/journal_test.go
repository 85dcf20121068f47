package state

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"atlassian_audit_records/pkg/audit"
)

func seenAt(ms ...int64) []audit.Seen {
	var out []audit.Seen
	for _, m := range ms {
		out = append(out, audit.Seen{Millis: m, Coarse: uint64(m), HasID: m%2 == 0, Fine: uint64(m%2) * 5})
	}
	return out
}

// lines is a commit of records with lines.
func lines(upper int64, file string, offset int64, text string, seen ...audit.Seen) audit.Change {
	return audit.Change{Position: audit.Position{Upper: upper, UpperSet: true, File: file}, Emitted: seen,
		Batch: &audit.Batch{Place: audit.Place{File: file, Offset: offset}, Lines: []byte(text)}}
}

func journalOf(t testing.TB, s *Store) (out []audit.Entry) {
	t.Helper()
	if err := s.Journal(func(e audit.Entry) bool { out = append(out, e); return true }); err != nil {
		t.Fatalf("Journal: %v", err)
	}
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNotSharedHasNoJournal(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s := mustOpen(t, f)
	mustCommit(t, s, lines(1, "a.jsonl", 0, "x\n", seenAt(1)...))
	if _, ok, err := s.Tag(); ok || err != nil {
		t.Errorf("Tag: %t, %v", ok, err)
	}
	if got := journalOf(t, s); got != nil {
		t.Errorf("the journal has %v", got)
	}
	must(t, s.Unshare())
	must(t, s.view(func(tx *bolt.Tx) error {
		if tx.Bucket(bucketJournal) != nil || tx.Bucket(bucketShared) != nil {
			t.Error("buckets were made")
		}
		return nil
	}))
}

func TestTheJournalHoldsWhatIsNotSharedYet(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s := mustOpen(t, f)
	mustCommit(t, s, lines(1, "a.jsonl", 0, "x\n", seenAt(1)...))
	must(t, s.Share("first", []audit.Place{{File: "a.jsonl", Offset: 2}}))
	mustCommit(t, s, audit.Change{Position: audit.Position{Upper: 2, UpperSet: true}})                     // belongs to the base
	mustCommit(t, s, lines(3, "a.jsonl", 2, "yy\n", seenAt(3, 4)...))                                      // a batch
	mustCommit(t, s, audit.Change{Position: audit.Position{Upper: 4, UpperSet: true}, Emitted: seenAt(5)}) // own records, without lines
	mustCommit(t, s, lines(4, "b.jsonl", 0, "y\n"))                                                        // the rest of the batch
	mustCommit(t, s, lines(6, "b.jsonl", 2, "z\n", seenAt(6)...))
	want := []audit.Entry{
		{Number: 1, Position: audit.Position{Upper: 2, UpperSet: true}, Ends: []audit.Place{{File: "a.jsonl", Offset: 2}}, Base: true},
		{Number: 2, Position: audit.Position{Upper: 4, UpperSet: true, File: "b.jsonl"}, Ends: []audit.Place{{File: "a.jsonl", Offset: 5}, {File: "b.jsonl", Offset: 2}}, Emitted: seenAt(3, 4, 5)},
		{Number: 3, Position: audit.Position{Upper: 6, UpperSet: true, File: "b.jsonl"}, Ends: []audit.Place{{File: "b.jsonl", Offset: 4}}, Emitted: seenAt(6)},
	}
	if diff := cmp.Diff(want, journalOf(t, s)); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	var before []audit.Seen
	must(t, s.SeenBefore(1, func(some []audit.Seen) { before = append(before, some...) }))
	if diff := cmp.Diff(seenAt(1), before); diff != "" {
		t.Errorf("seen before the base (-want +got)\n%s", diff)
	}

	must(t, s.Publishing("second", 2))
	mustCommit(t, s, audit.Change{Position: audit.Position{Upper: 7, UpperSet: true}}) // the last entry is open
	mustClose(t, s)
	s = mustOpen(t, f)
	if tag, ok, err := s.Tag(); !ok || err != nil || tag != (Tag{ID: "first", Next: "second", Upto: 2}) {
		t.Errorf("Tag: %+v, %t, %v", tag, ok, err)
	}
	must(t, s.Published())
	if tag, _, _ := s.Tag(); tag != (Tag{ID: "second"}) {
		t.Errorf("Tag: %+v", tag)
	}
	got := journalOf(t, s)
	if len(got) != 1 || got[0].Number != 3 || got[0].Position.Upper != 7 {
		t.Errorf("the journal has %+v", got)
	}
	must(t, s.Publishing("third", 3))
	mustCommit(t, s, audit.Change{Position: audit.Position{Upper: 8, UpperSet: true}})
	if got := journalOf(t, s); len(got) != 2 || got[0].Position.Upper != 7 || got[1].Number != 4 || got[1].Position.Upper != 8 {
		t.Errorf("what is being shared was changed: %+v", got)
	}
}

func TestWhatIsSharedForgetsWhenItIsShared(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, newFiles(t))
	const old, young = int64(1 << 20), int64(1 << 30)
	must(t, s.Share("first", nil))
	mustCommit(t, s, lines(1, "a.jsonl", 0, "x\n", seenAt(old, young)...))
	c := lines(2, "a.jsonl", 2, "y\n", seenAt(young+2)...)
	c.Forget = young
	mustCommit(t, s, c)
	left := func() int {
		seen, err := s.SeenAt([]int64{old, young, young + 2})
		must(t, err)
		return len(seen)
	}
	if left() != 3 {
		t.Error("it was forgotten before it was shared")
	}
	must(t, s.Publishing("second", 2))
	must(t, s.Published())
	if left() != 3 {
		t.Error("it was forgotten with an entry that does not say so")
	}
	must(t, s.Publishing("third", 3))
	must(t, s.Published())
	if left() != 2 {
		t.Error("it was not forgotten when it was shared")
	}
	must(t, s.check())
}

func TestAdopt(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s := mustOpen(t, f)
	mustCommit(t, s, lines(1, "a.jsonl", 0, "x\n", seenAt(1, 2)...))
	must(t, s.Share("first", nil))
	mustCommit(t, s, lines(3, "a.jsonl", 2, "y\n", seenAt(3)...))
	failing := errors.New("the network is down")
	if err := s.Adopt("theirs", audit.Position{}, func(add func([]audit.Seen) error) error {
		must(t, add(seenAt(9)))
		return failing
	}); !errors.Is(err, failing) {
		t.Fatalf("Adopt: %v", err)
	}
	if tag, _, err := s.Tag(); tag.ID != "first" || err != nil {
		t.Fatalf("a takeover that failed left %+v, %v", tag, err)
	}
	must(t, s.Adopt("theirs", audit.Position{Upper: 50, UpperSet: true, File: "of-another-machine.jsonl", End: 99}, func(add func([]audit.Seen) error) error {
		return errors.Join(add(seenAt(40, 1<<20)), add(seenAt(41)))
	}))
	mustClose(t, s)
	s = mustOpen(t, f)
	p, err := s.Position()
	must(t, err)
	if p.Upper != 50 || p.File != "a.jsonl" || p.End != 0 {
		t.Errorf("the position is %+v", p)
	}
	if b, ok, err := s.Batch(); !ok || err != nil || string(b.Lines) != "y\n" {
		t.Errorf("the batch is %+v, %t, %v", b, ok, err)
	}
	seen, err := s.SeenAt([]int64{1, 2, 3, 40, 41, 1 << 20})
	must(t, err)
	if diff := cmp.Diff(seenAt(40, 41, 1<<20), seen); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if tag, ok, err := s.Tag(); !ok || err != nil || tag != (Tag{ID: "theirs"}) || journalOf(t, s) != nil {
		t.Errorf("Tag: %+v, %t, %v", tag, ok, err)
	}
	must(t, s.Unshare())
	if _, ok, _ := s.Tag(); ok {
		t.Error("it is still shared")
	}
	must(t, s.check())
}

// TestADamagedJournalIsNoticed: the copy takes its place, and what is shared that of
// the copy.
func TestADamagedJournalIsNoticed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(tx *bolt.Tx) error{
		"an entry":      func(tx *bolt.Tx) error { return tx.Bucket(bucketJournal).Put(entryKey(1), []byte("garbage!")) },
		"its tag":       func(tx *bolt.Tx) error { return tx.Bucket(bucketShared).Delete(keyTag) },
		"all of it":     func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketJournal) },
		"a foreign key": func(tx *bolt.Tx) error { return tx.Bucket(bucketJournal).Put([]byte("k"), seal([]byte("k"), nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFiles(t)
			s := mustOpen(t, f)
			mustCommit(t, s, lines(1, "a.jsonl", 0, "x\n", seenAt(1)...))
			must(t, Mark(f, 1, theMoment))
			must(t, s.Copy(f))
			must(t, s.Share("first", nil))
			must(t, s.db.Update(change))
			mustClose(t, s)
			s, notice, err := Open(f, options())
			if err != nil || notice == "" {
				t.Fatalf("Open: %q, %v", notice, err)
			}
			defer mustClose(t, s)
			if _, ok, err := s.Tag(); ok || err != nil {
				t.Errorf("the copy was not used: %t, %v", ok, err)
			}
		})
	}
}

// TestTheJournalAddsUp: whatever is committed and shared in whichever order, what was
// shared and what the journal holds is together what was emitted.
func TestTheJournalAddsUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		sub := t.TempDir()
		f := Files{State: sub + "/s", Copy: sub + "/c", Marker: sub + "/m"}
		s, _, err := Open(f, options())
		must(t, err)
		defer func() { must(t, s.Close()) }()
		var all, shared []audit.Seen
		serial := int64(0)
		emit := func(lined bool) {
			serial++
			c := audit.Change{Position: audit.Position{Upper: serial, UpperSet: true}}
			if rapid.Bool().Draw(rt, "records") {
				c.Emitted = seenAt(serial)
				all = append(all, c.Emitted...)
			}
			if lined {
				c.Batch = &audit.Batch{Place: audit.Place{File: "a.jsonl", Offset: serial}, Lines: []byte("x\n")}
			}
			must(t, s.Commit(c))
		}
		for range rapid.IntRange(0, 3).Draw(rt, "before") {
			emit(rapid.Bool().Draw(rt, "lines"))
		}
		must(t, s.Share("0", nil))
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0:
				emit(true)
			case 1:
				emit(false)
			case 2: // share some entries
				entries := journalOf(t, s)
				n := rapid.IntRange(0, len(entries)).Draw(rt, "entries")
				upto := uint64(0)
				var these []audit.Seen
				for _, e := range entries[:n] {
					upto = e.Number
					if e.Base {
						must(t, s.SeenBefore(e.Number, func(some []audit.Seen) { these = append(these, some...) }))
					}
					these = append(these, e.Emitted...)
				}
				must(t, s.Publishing("next", upto))
				if rapid.Bool().Draw(rt, "commits between") {
					emit(true)
				}
				if rapid.Bool().Draw(rt, "it works") {
					must(t, s.Published())
					shared = append(shared, these...)
				}
			case 3:
				must(t, s.Close())
				s, _, err = Open(f, options())
				must(t, err)
			}
		}
		rest := shared
		for _, e := range journalOf(t, s) {
			if e.Base {
				must(t, s.SeenBefore(e.Number, func(some []audit.Seen) { rest = append(rest, some...) }))
			}
			rest = append(rest, e.Emitted...)
		}
		order := func(a, b audit.Seen) int { return int(a.Millis - b.Millis) }
		slices.SortFunc(rest, order)
		if !slices.Equal(rest, all) {
			rt.Fatalf("(-emitted +known)\n%s", cmp.Diff(all, rest))
		}
	})
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Add([]byte("\x00\x00\x00\x02{}\x00\x00\x00\x00\x00\x00\x00\x05\x01\x00\x00\x00\x00\x00\x00\x00\x07"))
	f.Fuzz(func(t *testing.T, body []byte) {
		key := entryKey(3)
		e, err := decodeEntry(key, seal(key, body))
		if err == nil && e.Number != 3 {
			t.Errorf("%q is entry %d", body, e.Number)
		}
	})
}
