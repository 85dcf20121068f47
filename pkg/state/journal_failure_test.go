package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"atlassian_audit_records/pkg/audit"
)

// sharingCalls is all that is asked of a state that is shared, and what those that
// write say they were doing.
var sharingCalls = map[string]struct {
	do    func(*Store) error
	doing string
}{
	"Tag":        {do: func(s *Store) error { _, _, err := s.Tag(); return err }},
	"Journal":    {do: func(s *Store) error { return s.Journal(func(audit.Entry) bool { return true }) }},
	"SeenBefore": {do: func(s *Store) error { return s.SeenBefore(1, func([]audit.Seen) {}) }},
	"Share":      {func(s *Store) error { return s.Share("again", nil) }, "begin to share"},
	"Adopt": {func(s *Store) error {
		return s.Adopt("theirs", audit.Position{}, func(add func([]audit.Seen) error) error { return add(seenAt(9)) })
	}, "take over what is shared"},
	"Publishing": {func(s *Store) error { return s.Publishing("third", 3) }, "note what is about to be shared"},
	"Published":  {(*Store).Published, "note what is shared"},
	"Unshare":    {do: (*Store).Unshare},
	"Commit":     {func(s *Store) error { return s.Commit(lines(9, "a.jsonl", 9, "z\n", seenAt(9)...)) }, "commit"},
}

// TestDamageOfASharedStateIsToldWhereItIsMet: whoever needs the damaged value is
// told, and writes nothing any more; all others are answered.
func TestDamageOfASharedStateIsToldWhereItIsMet(t *testing.T) {
	t.Parallel()
	nonsense := []byte("nonsense")
	for name, row := range map[string]struct {
		damage func(tx *bolt.Tx) error
		met    string
	}{
		"the tag has a wrong checksum":    {func(tx *bolt.Tx) error { return tx.Bucket(bucketShared).Put(keyTag, nonsense) }, "Tag Publishing Published Unshare Commit"},
		"the tag is of another kind":      {func(tx *bolt.Tx) error { return put(tx.Bucket(bucketShared), keyTag, []byte("[]")) }, "Tag Publishing Published Unshare Commit"},
		"an entry has a wrong checksum":   {func(tx *bolt.Tx) error { return tx.Bucket(bucketJournal).Put(entryKey(2), nonsense) }, "Journal SeenBefore Published Commit"},
		"the journal is gone":             {func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketJournal) }, "SeenBefore Published Commit"},
		"the position is of another kind": {func(tx *bolt.Tx) error { return put(tx.Bucket(bucketMeta), keyPosition, []byte("[]")) }, "Share Adopt"},
		"a chunk has a wrong checksum": {func(tx *bolt.Tx) error {
			b := tx.Bucket(bucketSeen)
			k, _ := b.Cursor().First()
			return b.Put(bytes.Clone(k), nonsense)
		}, "SeenBefore Commit"},
		"the number of chunks has a wrong checksum": {func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyChunks, nonsense) }, "Published Commit"},
	} {
		for call, asked := range sharingCalls {
			t.Run(name+", "+call, func(t *testing.T) {
				t.Parallel()
				f := newFiles(t)
				s := mustOpen(t, f)
				mustCommit(t, s, lines(1, "a.jsonl", 0, "x\n", seenAt(1)...))
				must(t, s.Share("first", nil))
				c := lines(2, "a.jsonl", 2, "y\n", seenAt(1<<30)...)
				c.Forget = 1 << 20
				mustCommit(t, s, c)
				must(t, s.Publishing("second", 2))
				must(t, s.db.Update(row.damage))
				err := asked.do(s)
				met := strings.Contains(" "+row.met+" ", " "+call+" ")
				if met != errors.Is(err, ErrDamaged) || !met && err != nil {
					t.Fatalf("error %v", err)
				}
				if !met || asked.doing == "" {
					return
				}
				if !strings.Contains(err.Error(), asked.doing) || !strings.Contains(err.Error(), f.State) {
					t.Errorf("it does not say what was being done, and where: %v", err)
				}
				if _, err := s.Position(); err == nil || !strings.Contains(err.Error(), "must be opened again") {
					t.Errorf("what it answers now is not known to be on the disk: %v", err)
				}
			})
		}
	}
}

// TestAClosedStateSharesNothing, and says so.
func TestAClosedStateSharesNothing(t *testing.T) {
	t.Parallel()
	for name, call := range sharingCalls {
		f := newFiles(t)
		s := mustOpen(t, f)
		must(t, s.Share("first", nil))
		mustClose(t, s)
		err := call.do(s)
		if !errors.Is(err, errClosed) {
			t.Errorf("%s: %v", name, err)
		} else if call.doing != "" && (!strings.Contains(err.Error(), call.doing) || !strings.Contains(err.Error(), f.State)) {
			t.Errorf("%s does not say what was being done, and where: %v", name, err)
		}
	}
}

// TestWhatIsNotSharedIsNotPublished: it would be a mistake of whoever asks.
func TestWhatIsNotSharedIsNotPublished(t *testing.T) {
	t.Parallel()
	for _, call := range []func(*Store) error{(*Store).Published, func(s *Store) error { return s.Publishing("next", 1) }} {
		s := mustOpen(t, newFiles(t))
		if err := call(s); err == nil || !strings.Contains(err.Error(), "nothing is shared") {
			t.Errorf("error %v", err)
		}
	}
}

// TestABatchWithoutLinesBelongsToTheEntryBeforeIt: nothing has to be delivered for it.
func TestABatchWithoutLinesBelongsToTheEntryBeforeIt(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, newFiles(t))
	must(t, s.Share("first", nil))
	mustCommit(t, s, audit.Change{Emitted: seenAt(3), Batch: &audit.Batch{}})
	if got := journalOf(t, s); len(got) != 1 || got[0].Ends != nil || len(got[0].Emitted) != 1 {
		t.Errorf("the journal has %+v", got)
	}
}

// TestTheJournalIsReadAsFarAsIsAsked: who has enough is shown no more.
func TestTheJournalIsReadAsFarAsIsAsked(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, newFiles(t))
	must(t, s.Share("first", nil))
	for n := range int64(3) {
		mustCommit(t, s, lines(n, "a.jsonl", 2*n, "x\n", seenAt(n+1)...))
	}
	var got []uint64
	must(t, s.Journal(func(e audit.Entry) bool {
		got = append(got, e.Number)
		return e.Number < 2
	}))
	if diff := cmp.Diff([]uint64{1, 2}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestWhatWasSeenBeforeLeavesOutAsOftenAsItWasEmitted: of records that look alike,
// those that came before sharing began are told, no more and no fewer.
func TestWhatWasSeenBeforeLeavesOutAsOftenAsItWasEmitted(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, newFiles(t))
	twin := seenAt(5)[0]
	mustCommit(t, s, lines(1, "a.jsonl", 0, "x\n", twin, twin))
	must(t, s.Share("first", nil))
	mustCommit(t, s, audit.Change{Position: audit.Position{Upper: 2, UpperSet: true}, Emitted: []audit.Seen{twin}}) // the base's own
	mustCommit(t, s, lines(3, "a.jsonl", 2, "y\n", twin))
	for base, want := range map[uint64]int{1: 2, 2: 3, 3: 4} {
		got := 0
		must(t, s.SeenBefore(base, func(some []audit.Seen) { got += len(some) }))
		if got != want {
			t.Errorf("before entry %d %d were seen, want %d", base, got, want)
		}
	}
}

// TestWhatWasPublishedKeepsTheCountOfChunks: what a machine forgets when it is
// shared is not missed when the state is opened, nor is anything dropped where
// the entries say nothing of it.
func TestWhatWasPublishedKeepsTheCountOfChunks(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s := mustOpen(t, f)
	const chunk = int64(1) << chunkBits
	must(t, s.Share("first", nil))
	for n := int64(1); n <= 4; n++ {
		c := lines(n, "a.jsonl", 2*n, "x\n", seenAt(n*chunk)...)
		c.Forget = map[int64]int64{2: 2 * chunk, 3: 3 * chunk, 4: 4 * chunk}[n]
		mustCommit(t, s, c)
	}
	left := func(want ...int64) {
		t.Helper()
		seen, err := s.SeenAt([]int64{chunk, 2 * chunk, 3 * chunk, 4 * chunk})
		must(t, err)
		if diff := cmp.Diff(seenAt(want...), seen); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		must(t, s.check())
	}
	must(t, s.Publishing("second", 4)) // the base, and the first three commits
	must(t, s.Published())
	left(3*chunk, 4*chunk)
	if got := journalOf(t, s); len(got) != 1 || got[0].Number != 5 {
		t.Errorf("the journal has %+v", got)
	}
	must(t, s.Publishing("third", 4)) // nothing
	must(t, s.Published())
	left(3*chunk, 4*chunk)
	mustClose(t, s)
	s = mustOpen(t, f)
	left(3*chunk, 4*chunk)
}

// TestAnEntryThatIsCutIsDamage, wherever it is cut; one that is whole says all that
// was put into it.
func TestAnEntryThatIsCutIsDamage(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, newFiles(t))
	must(t, s.Share("first", nil))
	e := audit.Entry{Number: 7, Position: audit.Position{Upper: 3, UpperSet: true}, Ends: []audit.Place{{File: "a.jsonl", Offset: 9}}, Forget: 4, Emitted: seenAt(1, 2, 3, 4)}
	var value []byte
	must(t, s.db.Update(func(tx *bolt.Tx) error {
		if err := putEntry(tx.Bucket(bucketJournal), e); err != nil {
			return err
		}
		value = bytes.Clone(tx.Bucket(bucketJournal).Get(entryKey(7)))
		return nil
	}))
	got, err := decodeEntry(entryKey(7), value)
	if diff := cmp.Diff(e, got); diff != "" || err != nil {
		t.Fatalf("%v (-put +got)\n%s", err, diff)
	}
	body, err := unseal(entryKey(7), value)
	must(t, err)
	head := 4 + int(binary.BigEndian.Uint32(body))
	whole := map[int]bool{head: true, head + 25: true, head + 42: true, head + 67: true, head + 84: true}
	for n := range len(body) + 1 {
		if _, err := decodeEntry(entryKey(7), seal(entryKey(7), body[:n])); whole[n] != (err == nil) {
			t.Errorf("of its %d bytes the first %d: %v", len(body), n, err)
		}
	}
	flagged := bytes.Clone(body)
	flagged[head+8] = 2
	for what, key := range map[string][]byte{"an unknown flag": entryKey(7), "a key of 7 bytes": entryKey(7)[1:], "a key of 9 bytes": append(entryKey(7), 0)} {
		text := body
		if what == "an unknown flag" {
			text = flagged
		}
		if _, err := decodeEntry(key, seal(key, text)); !errors.Is(err, errCut) {
			t.Errorf("%s: %v", what, err)
		}
	}
	garbage := append([]byte{0, 0, 0, 2}, "[]"...)
	if _, err := decodeEntry(entryKey(7), seal(entryKey(7), garbage)); err == nil {
		t.Error("a list was taken for an entry")
	}
}

// TestWhatIsBeingPublishedIsNotAddedTo: what is committed meanwhile is an entry behind
// it, and the journal goes on where all that there was has been published.
func TestWhatIsBeingPublishedIsNotAddedTo(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, newFiles(t))
	must(t, s.Share("first", nil))
	commit := func() { mustCommit(t, s, lines(1, "a.jsonl", 0, "x\n", seenAt(1)...)) }
	commit()
	must(t, s.Publishing("second", 2))
	commit() // while it is not known whether it was made
	if got := journalOf(t, s); len(got) != 3 || got[2].Number != 3 {
		t.Errorf("the journal has %+v", got)
	}
	must(t, s.Published())
	must(t, s.Publishing("third", 3))
	must(t, s.Published())
	if got := journalOf(t, s); got != nil {
		t.Errorf("the journal has %+v", got)
	}
	commit()
	commit()
	got := journalOf(t, s)
	if len(got) != 2 || got[1].Number != got[0].Number+1 {
		t.Errorf("the journal has %+v", got)
	}
}
