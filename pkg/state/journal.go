package state

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"atlassian_audit_records/pkg/audit"

	bolt "go.etcd.io/bbolt"
)

// Where several machines share a stream, what they share is behind what was
// committed here, by all that is not delivered. The journal holds the steps in
// between. It is there from Share or Adopt until Unshare; without it a commit is
// as if there were no such thing.
var (
	bucketShared  = []byte("shared")
	bucketJournal = []byte("journal")
	keyTag        = []byte("tag")
)

// Tag says which shared position the journal goes on from.
type Tag struct {
	// ID is the shared position's, and Next the one that is being put in its place,
	// which will stand for the entries up to Upto. Whether it does is not known
	// where Next is not empty. The first one is its own Next until it stands there.
	ID   string `json:"id"`
	Next string `json:"next,omitempty"`
	Upto uint64 `json:"upto,omitempty"`
}

// Tag is that of the state; ok is false where nothing is shared.
func (s *Store) Tag() (t Tag, ok bool, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketShared)
		if b == nil {
			return nil
		}
		if err := getJSON(b, keyTag, &t); err != nil {
			return s.damage("what is shared", err)
		}
		ok = true
		return nil
	})
	return t, ok, err
}

// Share begins the journal behind a shared position that is to be made, with one
// entry that stands for all that was committed until now; its lines are delivered
// where ends are.
func (s *Store) Share(id string, ends []audit.Place) error {
	return s.sharing("begin to share", func(tx *bolt.Tx) error {
		p, err := position(tx.Bucket(bucketMeta))
		if err != nil {
			return s.damage("position", err)
		}
		if err := s.begin(tx, Tag{ID: id, Next: id}); err != nil {
			return err
		}
		return putEntry(tx.Bucket(bucketJournal), audit.Entry{Number: 1, Position: p, Ends: ends, Base: true})
	})
}

// checkShared reads all that is there of sharing.
func (s *Store) checkShared(tx *bolt.Tx) error {
	var t Tag
	if err := getJSON(tx.Bucket(bucketShared), keyTag, &t); err != nil {
		return s.damage("what is shared", err)
	}
	b := tx.Bucket(bucketJournal)
	if b == nil {
		return s.damage("journal", errMissing)
	}
	return s.each(b, func(audit.Entry) bool { return true })
}

// begin makes an empty journal behind a shared position.
func (s *Store) begin(tx *bolt.Tx, t Tag) error {
	if err := drop(tx, bucketShared, bucketJournal); err != nil {
		return err
	}
	b, err := tx.CreateBucket(bucketShared)
	if err != nil {
		return err
	}
	if _, err := tx.CreateBucket(bucketJournal); err != nil {
		return err
	}
	return putJSON(b, keyTag, t)
}

func drop(tx *bolt.Tx, names ...[]byte) error {
	for _, name := range names {
		if tx.Bucket(name) != nil {
			if err := tx.DeleteBucket(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Adopt puts a shared position in the place of the state's own, and what was seen
// there in the place of what was seen here. The spool file stays, and the batch, which
// may have to be completed. seen calls add with the records, in the order of their
// commits; an error of either leaves everything as it was.
func (s *Store) Adopt(id string, p audit.Position, seen func(add func([]audit.Seen) error) error) error {
	var from error
	err := s.sharing("take over what is shared", func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		own, err := position(meta)
		if err != nil {
			return s.damage("position", err)
		}
		p.File, p.End, p.FileSince = own.File, own.End, own.FileSince
		if err := drop(tx, bucketSeen); err != nil {
			return err
		}
		b, err := tx.CreateBucket(bucketSeen)
		if err != nil {
			return err
		}
		chunks := 0
		from = seen(func(some []audit.Seen) error {
			added, err := remember(b, some)
			chunks += added
			return err
		})
		if from != nil {
			return errStay
		}
		return errors.Join(putJSON(meta, keyPosition, p), putChunks(meta, uint64(chunks)), s.begin(tx, Tag{ID: id}))
	})
	if from != nil {
		return from
	}
	return err
}

// errStay ends a transaction without a change.
var errStay = errors.New("nothing is changed")

// Publishing notes that the shared position next is about to be made of the
// entries up to a number; it must be noted before it is made. A process that
// dies between the two leaves it to the next one to find out whether it was.
func (s *Store) Publishing(next string, upto uint64) error {
	return s.sharing("note what is about to be shared", func(tx *bolt.Tx) error {
		return s.changeTag(tx, func(t *Tag) { t.Next, t.Upto = next, upto })
	})
}

// Published notes that the position that Publishing named is the shared one: its
// entries are forgotten, and what was seen below their Forget.
func (s *Store) Published() error {
	return s.sharing("note what is shared", func(tx *bolt.Tx) error {
		var done Tag
		err := s.changeTag(tx, func(t *Tag) {
			done = *t
			*t = Tag{ID: t.Next}
		})
		if err != nil {
			return err
		}
		b := tx.Bucket(bucketJournal)
		var keys [][]byte
		below := int64(0)
		err = s.each(b, func(e audit.Entry) bool {
			if e.Number <= done.Upto {
				keys = append(keys, entryKey(e.Number))
				below = max(below, e.Forget)
			}
			return e.Number < done.Upto
		})
		if err != nil {
			return err
		}
		for _, k := range keys {
			if err := b.Delete(k); err != nil {
				return err
			}
		}
		if below == 0 {
			return nil
		}
		meta := tx.Bucket(bucketMeta)
		n, err := chunks(meta)
		if err != nil {
			return s.damage("records seen", err)
		}
		dropped, err := forget(tx, audit.Interval{From: math.MinInt64, To: below})
		return errors.Join(err, putChunks(meta, n-uint64(dropped)))
	})
}

func (s *Store) changeTag(tx *bolt.Tx, change func(*Tag)) error {
	b := tx.Bucket(bucketShared)
	if b == nil {
		return errors.New("nothing is shared")
	}
	var t Tag
	if err := getJSON(b, keyTag, &t); err != nil {
		return s.damage("what is shared", err)
	}
	change(&t)
	return putJSON(b, keyTag, t)
}

// Unshare ends the journal. Where there is none it does nothing.
func (s *Store) Unshare() error {
	_, shared, err := s.Tag()
	if err != nil || !shared {
		return err
	}
	return s.sharing("end sharing", func(tx *bolt.Tx) error { return drop(tx, bucketShared, bucketJournal) })
}

// sharing is an update. One that changes nothing on purpose does the store no harm.
func (s *Store) sharing(doing string, f func(*bolt.Tx) error) error {
	stayed := false
	err := s.do(func() error {
		err := s.db.Update(f)
		if stayed = errors.Is(err, errStay); stayed {
			return nil
		}
		return err
	})
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
	}
	return fmt.Errorf("%s, in the state %s: %w", doing, s.path, err)
}

// Journal calls each with the entries in their order, until it answers false.
func (s *Store) Journal(each func(audit.Entry) bool) error {
	return s.view(func(tx *bolt.Tx) error {
		if b := tx.Bucket(bucketJournal); b != nil {
			return s.each(b, each)
		}
		return nil
	})
}

func (s *Store) each(b *bolt.Bucket, each func(audit.Entry) bool) error {
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		e, err := decodeEntry(k, v)
		if err != nil {
			return s.damage("journal", err)
		}
		if !each(e) {
			return nil
		}
	}
	return nil
}

// SeenBefore calls each with what was seen when the journal's entry base was made:
// all that is remembered but what the entries from it on emitted.
func (s *Store) SeenBefore(base uint64, each func([]audit.Seen)) error {
	return s.view(func(tx *bolt.Tx) error {
		later := map[audit.Seen]int{}
		err := s.each(tx.Bucket(bucketJournal), func(e audit.Entry) bool {
			if e.Number >= base { // its own came after it, without lines
				for _, seen := range e.Emitted {
					later[seen]++
				}
			}
			return true
		})
		if err != nil {
			return err
		}
		c := tx.Bucket(bucketSeen).Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			seen, err := decodeChunk(keyChunk(k), v)
			if err != nil {
				return s.damage("records seen", err)
			}
			kept := seen[:0]
			for _, e := range seen {
				if later[e] > 0 {
					later[e]--
					continue
				}
				kept = append(kept, e)
			}
			each(kept)
		}
		return nil
	})
}

// journal adds a change to the journal. Where it has no lines of its own it
// belongs to the entry before it: nothing more has to be delivered for it.
func (s *Store) journal(tx *bolt.Tx, c audit.Change) error {
	b := tx.Bucket(bucketJournal)
	if b == nil {
		return s.damage("journal", errMissing)
	}
	last := audit.Entry{}
	if k, v := b.Cursor().Last(); k != nil {
		var err error
		if last, err = decodeEntry(k, v); err != nil {
			return s.damage("journal", err)
		}
	}
	var tag Tag
	if err := getJSON(tx.Bucket(bucketShared), keyTag, &tag); err != nil {
		return s.damage("what is shared", err)
	}
	lines := c.Batch != nil && c.Batch.Place.File != ""
	// What is being shared is changed no more, nor does a number come twice.
	closed := last.Number <= tag.Upto
	if closed || lines && len(c.Emitted) > 0 {
		last = audit.Entry{Number: max(last.Number, tag.Upto) + 1}
	}
	last.Position = c.Position
	last.Forget = max(last.Forget, c.Forget)
	last.Emitted = append(last.Emitted, c.Emitted...)
	if lines {
		// Without new records, they are the rest of the last batch, at another place.
		last.Ends = append(last.Ends, audit.Place{File: c.Batch.Place.File, Offset: c.Batch.End()})
	}
	return putEntry(b, last)
}

func entryKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// An entry is, sealed, the length of its JSON in 4 bytes, the JSON, and of each
// record emitted
//
//	8 bytes   its time in ms
//	1 byte    1 where the source gave an id, else 0
//	8 bytes   the id, or the coarse key
//	8 bytes   the fine key; absent where the source gave an id
func putEntry(b *bolt.Bucket, e audit.Entry) error {
	head, err := json.Marshal(e)
	if err != nil {
		return err
	}
	v := append(binary.BigEndian.AppendUint32(nil, uint32(len(head))), head...)
	for _, seen := range e.Emitted {
		v = binary.BigEndian.AppendUint64(v, uint64(seen.Millis))
		if seen.HasID {
			v = binary.BigEndian.AppendUint64(append(v, 1), seen.Coarse)
		} else {
			v = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(append(v, 0), seen.Coarse), seen.Fine)
		}
	}
	return put(b, entryKey(e.Number), v)
}

func decodeEntry(key, value []byte) (e audit.Entry, err error) {
	v, err := unseal(key, value)
	if err != nil {
		return e, err
	}
	if len(key) != 8 || len(v) < 4 || uint64(len(v)-4) < uint64(binary.BigEndian.Uint32(v)) {
		return e, errCut
	}
	n := 4 + int(binary.BigEndian.Uint32(v))
	if err := json.Unmarshal(v[4:n], &e); err != nil {
		return e, err
	}
	e.Number = binary.BigEndian.Uint64(key)
	for v = v[n:]; len(v) > 0; {
		if len(v) < 17 || v[8] > 1 || v[8] == 0 && len(v) < 25 {
			return e, errCut
		}
		seen := audit.Seen{Millis: int64(binary.BigEndian.Uint64(v)), HasID: v[8] == 1, Coarse: binary.BigEndian.Uint64(v[9:])}
		if v = v[17:]; !seen.HasID {
			seen.Fine, v = binary.BigEndian.Uint64(v), v[8:]
		}
		e.Emitted = append(e.Emitted, seen)
	}
	return e, nil
}
