package state

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"runtime/debug"
	"time"

	"atlassian_audit_records/pkg/audit"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var (
	// ErrBusy says that another process holds the state: another run is in
	// progress.
	ErrBusy = errors.New("another run is in progress")
	// ErrDamaged says that the state cannot be read.
	ErrDamaged = errors.New("the state is damaged")
	// ErrNewer says that the state was written by a newer version.
	ErrNewer = errors.New("the state was written by a newer version of this program; install that version again, or move the file away")
)

// format is the version of everything in the file; see docs/formats.md.
const format = 1

// defaultLockTimeout is how long Open waits for another process.
const defaultLockTimeout = 200 * time.Millisecond

var (
	bucketMeta  = []byte("meta")
	bucketSeen  = []byte("seen")
	keyFormat   = []byte("format")
	keyPosition = []byte("position")
	keyPlace    = []byte("batch.place")
	keyLines    = []byte("batch.lines")

	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// Store is an open state file. It is for one goroutine.
type Store struct {
	db   *bolt.DB
	path string
}

// open opens or, where create is set, creates the file. A new file appears
// whole or not at all, so that a file of no bytes is always damage.
func open(path string, create bool, lock time.Duration) (_ *Store, err error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if !create {
			return nil, err
		}
		if err := initialise(path); err != nil {
			return nil, fmt.Errorf("create the state %s: %w", path, err)
		}
	case err != nil:
		return nil, fmt.Errorf("look at the state %s: %w", path, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("the state %s is not a regular file (%s); remove it", path, info.Mode().Type())
	case info.Size() == 0:
		return nil, fmt.Errorf("%w: %s holds no bytes", ErrDamaged, path)
	}
	s := &Store{path: path}
	if err := guard(func() error {
		s.db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: max(lock, time.Millisecond), FreelistType: bolt.FreelistMapType})
		return err
	}); err != nil {
		if errors.Is(err, bolterrors.ErrTimeout) {
			return nil, ErrBusy
		}
		return nil, damaged(path, err)
	}
	if err := s.checkFormat(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// initialise writes an empty state beside path and moves it there.
func initialise(path string) error {
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := bolt.Open(tmp, 0o600, &bolt.Options{Timeout: time.Millisecond})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		if _, err := tx.CreateBucket(bucketSeen); err != nil {
			return err
		}
		b, err := tx.CreateBucket(bucketMeta)
		if err != nil {
			return err
		}
		return b.Put(keyFormat, []byte{format})
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	// Link refuses to replace: a file that another process created meanwhile
	// stays. Where links are not to be had, rename does.
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, os.ErrExist) {
		if err := os.Rename(tmp, path); err != nil {
			return err
		}
		return syncFolder(path)
	}
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return syncFolder(path)
}

func (s *Store) checkFormat() error {
	return s.view(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil || tx.Bucket(bucketSeen) == nil {
			return fmt.Errorf("%w: %s lacks its tables", ErrDamaged, s.path)
		}
		v := meta.Get(keyFormat)
		switch {
		case len(v) != 1 || v[0] == 0:
			return fmt.Errorf("%w: %s does not say its format", ErrDamaged, s.path)
		case v[0] > format:
			return fmt.Errorf("%s: %w", s.path, ErrNewer)
		}
		return nil
	})
}

// Close releases the file. It may be called twice.
func (s *Store) Close() error {
	if s.db == nil {
		return nil
	}
	db := s.db
	s.db = nil
	return db.Close()
}

// Position is what the last commit said, the zero Position before the first.
func (s *Store) Position() (audit.Position, error) {
	var p audit.Position
	err := s.view(func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketMeta).Get(keyPosition)
		if v == nil {
			return nil
		}
		body, err := unseal(v)
		if err != nil {
			return fmt.Errorf("%w: position of %s: %w", ErrDamaged, s.path, err)
		}
		if err := json.Unmarshal(body, &p); err != nil {
			return fmt.Errorf("%w: position of %s: %w", ErrDamaged, s.path, err)
		}
		return nil
	})
	return p, err
}

// Batch is the last batch committed; ok is false before the first. Whether its
// lines reached the disk is for the spool to say.
func (s *Store) Batch() (b audit.Batch, ok bool, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		v := meta.Get(keyPlace)
		if v == nil {
			return nil
		}
		place, err := unseal(v)
		if err != nil {
			return fmt.Errorf("%w: batch of %s: %w", ErrDamaged, s.path, err)
		}
		if err := json.Unmarshal(place, &b.Place); err != nil {
			return fmt.Errorf("%w: batch of %s: %w", ErrDamaged, s.path, err)
		}
		lines, err := unseal(meta.Get(keyLines))
		if err != nil {
			return fmt.Errorf("%w: batch of %s: %w", ErrDamaged, s.path, err)
		}
		b.Lines = append([]byte(nil), lines...)
		ok = true
		return nil
	})
	return b, ok, err
}

// SeenAt is what is remembered of the given milliseconds, which must be in
// ascending order without repetition. The order of the answer is that of the
// milliseconds.
func (s *Store) SeenAt(millis []int64) ([]audit.Seen, error) {
	var out []audit.Seen
	err := s.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketSeen)
		for i := 0; i < len(millis); {
			k := chunkOf(millis[i])
			n := i
			for n < len(millis) && chunkOf(millis[n]) == k {
				n++
			}
			seen, err := decodeChunk(k, b.Get(chunkKey(k)))
			if err != nil {
				return fmt.Errorf("%w: records seen in %s: %w", ErrDamaged, s.path, err)
			}
			out = appendAt(out, seen, millis[i:n])
			i = n
		}
		return nil
	})
	return out, err
}

// NextSeen is the millisecond of the oldest dated record remembered at or after
// ms; ok is false when there is none.
func (s *Store) NextSeen(ms int64) (next int64, ok bool, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketSeen).Cursor()
		for k, v := c.Seek(chunkKey(chunkOf(ms))); k != nil; k, v = c.Next() {
			if len(k) != 8 {
				return fmt.Errorf("%w: records seen in %s: a key of %d bytes", ErrDamaged, s.path, len(k))
			}
			seen, err := decodeChunk(keyChunk(k), v)
			if err != nil {
				return fmt.Errorf("%w: records seen in %s: %w", ErrDamaged, s.path, err)
			}
			for _, e := range seen {
				if e.Millis >= ms && e.Millis != audit.UndatedMillis {
					next, ok = e.Millis, true
					return nil
				}
			}
		}
		return nil
	})
	return next, ok, err
}

// Commit makes the change durable, all of it or nothing. After an error the
// store must be closed: only a new Open can tell what is on the disk.
func (s *Store) Commit(c audit.Change) error {
	position, err := json.Marshal(c.Position)
	if err != nil {
		return fmt.Errorf("encode the position: %w", err)
	}
	err = guard(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			meta, seen := tx.Bucket(bucketMeta), tx.Bucket(bucketSeen)
			if err := meta.Put(keyPosition, seal(position)); err != nil {
				return err
			}
			if err := remember(seen, c.Emitted); err != nil {
				return err
			}
			if c.Forget != 0 {
				if err := forget(seen, c.Forget); err != nil {
					return err
				}
			}
			if c.Batch == nil {
				return nil
			}
			place, err := json.Marshal(c.Batch.Place)
			if err != nil {
				return err
			}
			if err := meta.Put(keyPlace, seal(place)); err != nil {
				return err
			}
			return meta.Put(keyLines, seal(c.Batch.Lines))
		})
	})
	if err != nil {
		return fmt.Errorf("commit to the state %s: %w", s.path, err)
	}
	return nil
}

func (s *Store) view(f func(*bolt.Tx) error) error {
	return guard(func() error { return s.db.View(f) })
}

// guard turns a panic, and a fault of the mapped file, into ErrDamaged: bbolt
// trusts its file and panics where the file lies.
func guard(f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	return f()
}

// damaged tells damage from a disk or a permission that fails.
func damaged(path string, err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) || errors.Is(err, os.ErrPermission) || errors.Is(err, ErrDamaged) {
		return fmt.Errorf("open the state %s: %w", path, err)
	}
	return fmt.Errorf("open the state %s: %w: %w", path, ErrDamaged, err)
}

// seal puts a checksum before the bytes.
func seal(b []byte) []byte {
	out := make([]byte, 4, 4+len(b))
	binary.BigEndian.PutUint32(out, crc32.Checksum(b, castagnoli))
	return append(out, b...)
}

// unseal checks and removes the checksum. The answer shares memory with b.
func unseal(b []byte) ([]byte, error) {
	if len(b) < 4 {
		return nil, errors.New("a value is cut short")
	}
	if crc32.Checksum(b[4:], castagnoli) != binary.BigEndian.Uint32(b) {
		return nil, errors.New("a checksum does not match")
	}
	return b[4:], nil
}
