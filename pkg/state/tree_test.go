package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"atlassian_audit_records/pkg/audit"
)

// TestTreesOfBboltAreWhole grows and shrinks files with bbolt itself: small and
// large values, many keys, tables within tables.
func TestTreesOfBboltAreWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tree")
	rapid.Check(t, func(r *rapid.T) {
		if err := os.RemoveAll(path); err != nil {
			r.Fatal(err)
		}
		db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true, NoGrowSync: true, PageSize: rapid.SampledFrom([]int{1024, 4096, 16384}).Draw(r, "page size")})
		if err != nil {
			r.Fatal(err)
		}
		defer func() {
			if err := db.Close(); err != nil {
				r.Error(err)
			}
		}()
		for range rapid.IntRange(0, 8).Draw(r, "transactions") {
			if err := db.Update(func(tx *bolt.Tx) error { return scramble(r, tx) }); err != nil {
				r.Fatal(err)
			}
			b := read(t, path)
			if err := checkTree(bytes.NewReader(b), int64(len(b))); err != nil {
				r.Fatal(err)
			}
		}
	})
}

// scramble changes a file in one transaction.
func scramble(r *rapid.T, tx *bolt.Tx) error {
	for range rapid.IntRange(1, 4).Draw(r, "steps") {
		b, err := tx.CreateBucketIfNotExists([]byte(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "bucket")))
		if err != nil {
			return err
		}
		if rapid.Bool().Draw(r, "nested") {
			if b, err = b.CreateBucketIfNotExists([]byte("\x7fwithin")); err != nil {
				return err
			}
		}
		from := rapid.IntRange(0, 2000).Draw(r, "from")
		n := rapid.SampledFrom([]int{1, 3, 50, 600}).Draw(r, "keys")
		size := rapid.SampledFrom([]int{0, 10, 300, 20_000}).Draw(r, "size")
		if size > 300 {
			n = min(n, 5)
		}
		gone := rapid.Bool().Draw(r, "delete")
		for i := from; i < from+n; i++ {
			key := binary.BigEndian.AppendUint64(nil, uint64(i*7919%4001))
			if gone {
				err = b.Delete(key)
			} else {
				err = b.Put(key, bytes.Repeat([]byte{byte(i)}, size))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// lies are pages that send bbolt astray: it would never come back from some.
func TestPagesThatLieAreNoticed(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s := mustOpen(t, f)
	s.db.NoSync = true
	c := change(1)
	for i := range int64(20_000) {
		c.Emitted = append(c.Emitted, audit.Seen{Millis: theResume + i*20_000, Coarse: uint64(i)})
	}
	mustCommit(t, s, c)
	mustCommit(t, s, change(2))
	mustClose(t, s)
	whole := read(t, f.State)
	size := os.Getpagesize()
	var branch, leaf, free int
	var inUse uint64
	for id := 2; (id+1)*size <= len(whole); id++ {
		page := whole[id*size:]
		if binary.LittleEndian.Uint64(page) != uint64(id) {
			continue
		}
		switch binary.LittleEndian.Uint16(page[8:]) {
		case flagBranch:
			branch, inUse = id, binary.LittleEndian.Uint64(page[pageHeader+8:])
		case flagLeaf:
			leaf = id
		case flagFreelist:
			if binary.LittleEndian.Uint16(page[10:]) > 0 {
				free = id
			}
		}
	}
	// Old versions of a page stay in the file: the one in use is the one whose
	// change is noticed, so every page of a kind is changed.
	if branch == 0 || leaf == 0 || free == 0 {
		t.Fatalf("no page of some kind: branch %d, leaf %d, free %d", branch, leaf, free)
	}
	each := func(b []byte, kind uint16, do func(id int, page []byte)) {
		for id := 2; (id+1)*size <= len(b); id++ {
			page := b[id*size : (id+1)*size]
			if binary.LittleEndian.Uint64(page) == uint64(id) && binary.LittleEndian.Uint16(page[8:]) == kind {
				do(id, page)
			}
		}
	}
	for _, c := range []struct {
		name string
		lie  func(b []byte) []byte
		want string
	}{
		{"a page that refers to itself", func(b []byte) []byte {
			each(b, flagBranch, func(id int, p []byte) { binary.LittleEndian.PutUint64(p[pageHeader+8:], uint64(id)) })
			return b
		}, "used twice"},
		{"a page that refers to one beyond the file", func(b []byte) []byte {
			each(b, flagBranch, func(_ int, p []byte) { binary.LittleEndian.PutUint64(p[pageHeader+8:], 1<<40) })
			return b
		}, "there is no page"},
		{"a page that refers to the list of free pages", func(b []byte) []byte {
			each(b, flagBranch, func(_ int, p []byte) { binary.LittleEndian.PutUint64(p[pageHeader+8:], uint64(free)) })
			return b
		}, "no known kind"},
		{"a page that goes on for ever", func(b []byte) []byte {
			each(b, flagLeaf, func(_ int, p []byte) { binary.LittleEndian.PutUint32(p[12:], 1<<31) })
			return b
		}, "is another one"},
		{"a page that holds more than fits", func(b []byte) []byte {
			each(b, flagLeaf, func(_ int, p []byte) { binary.LittleEndian.PutUint16(p[10:], 0xFFFF) })
			return b
		}, "cut short"},
		{"a key beyond its page", func(b []byte) []byte {
			each(b, flagLeaf, func(_ int, p []byte) { binary.LittleEndian.PutUint32(p[pageHeader+8:], 1<<31) })
			return b
		}, "a key lies outside"},
		{"a list that gives away a page in use", func(b []byte) []byte {
			each(b, flagFreelist, func(_ int, p []byte) {
				if binary.LittleEndian.Uint16(p[10:]) > 0 {
					binary.LittleEndian.PutUint64(p[pageHeader:], inUse)
					binary.LittleEndian.PutUint16(p[10:], 1)
				}
			})
			return b
		}, "is said to be free"},
		{"a list of free pages that is longer than its page", func(b []byte) []byte {
			each(b, flagFreelist, func(_ int, p []byte) {
				binary.LittleEndian.PutUint16(p[10:], 0xFFFF)
				binary.LittleEndian.PutUint64(p[pageHeader:], 1<<63)
			})
			return b
		}, "cut short"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := c.lie(bytes.Clone(whole))
			path := filepath.Join(t.TempDir(), "state")
			write(t, path, b)
			_, err := openWhole(path, false, options().Lock)
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func FuzzCheckTree(f *testing.F) {
	files := newFiles(f)
	s, _, err := Open(files, options())
	if err != nil {
		f.Fatal(err)
	}
	mustCommit(f, s, change(1))
	mustClose(f, s)
	whole := read(f, files.State)
	f.Add([]byte{}, uint32(0))
	f.Add([]byte{1, 0, 0, 0}, uint32(3*os.Getpagesize()+8))
	f.Add([]byte("garbage"), uint32(0))
	f.Fuzz(func(t *testing.T, patch []byte, at uint32) {
		b := bytes.Clone(whole)
		copy(b[int(at)%len(b):], patch)
		// Whatever it says, it ends; and where it finds nothing, bbolt can read on.
		if checkTree(bytes.NewReader(b), int64(len(b))) != nil {
			return
		}
		path := filepath.Join(t.TempDir(), "state")
		write(t, path, b)
		s, err := openWhole(path, true, options().Lock)
		if err != nil {
			var bad *fault
			if errors.As(err, &bad) {
				t.Fatalf("bbolt stumbles where the check finds nothing: %v", err)
			}
			return
		}
		contentOf(t, s)
		mustClose(t, s)
	})
}
