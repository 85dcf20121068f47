package state

import (
	"bytes"
	"errors"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func TestACopyIsDueByItsAge(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	life(t, f) // the copy is an hour old
	for _, c := range []struct {
		name string
		age  time.Duration
		now  time.Time
		due  bool
	}{
		{"an hour old is old enough for an hour", time.Hour, theMoment, true},
		{"an hour old is not old enough for two", 2 * time.Hour, theMoment, false},
		{"a little in the future is young", 2 * time.Hour, theMoment.Add(-2 * time.Hour), false},
		{"as far in the future as it may be old is young", 2 * time.Hour, theMoment.Add(-3 * time.Hour), false},
		{"far in the future is a wrong clock", 2 * time.Hour, theMoment.Add(-24 * time.Hour), true},
	} {
		if due, err := CopyDue(f, c.age, c.now); due != c.due || err != nil {
			t.Errorf("%s: CopyDue = %v, %v", c.name, due, err)
		}
	}
}

// A state that was damaged after it was opened never becomes the copy.
func TestDamageIsNotCopied(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	life(t, f)
	kept := read(t, f.Copy)
	s := mustOpen(t, f)
	if err := s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyPosition, []byte("wrong")) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Copy(f); !errors.Is(err, ErrDamaged) {
		t.Errorf("Copy: %v", err)
	}
	if !bytes.Equal(kept, read(t, f.Copy)) {
		t.Error("the copy was changed")
	}
}
