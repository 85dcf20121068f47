package state

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"atlassian_audit_records/pkg/audit"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var (
	// ErrBusy says that another process holds the state: another run is in
	// progress.
	ErrBusy = errors.New("another run is in progress")
	// ErrDamaged says that the state cannot be read. Where it comes from a Store
	// that is open, the next Open finds the damage and puts the copy in its place.
	ErrDamaged = errors.New("the state is damaged")
	// ErrNewer says that the state was written by a newer version.
	ErrNewer = errors.New("it was written by a newer version of this program; install that version again, or move the file away")

	errMissing = errors.New("there is no such file")
	errClosed  = errors.New("the state was closed")
)

// format is the version of everything in the file; see docs/formats.md.
const format = 3

// All keys are there from the first moment on, so that a missing one is damage
// and never a beginning.
var (
	bucketMeta  = []byte("meta")
	bucketSeen  = []byte("seen")
	keyFormat   = []byte("format")
	keyPosition = []byte("position")
	keyPlace    = []byte("batch.place")
	keyLines    = []byte("batch.lines")
	keyChunks   = []byte("seen.chunks") // the number of chunks remembered, 8 bytes
)

// Store is an open state file. It is for one goroutine, but that others may read
// while it commits: what they are answered is from before the commit or after it.
type Store struct {
	path string
	db   *bolt.DB
	file *os.File // db's file
	lock *os.File // nil for a copy
	// packed is the memory in which Commit packs a batch.
	packed []byte
	// failed is why the store can no longer be used, and faulted tells that
	// bbolt may hold its locks for ever.
	mu      sync.Mutex
	failed  error
	faulted bool
}

// openWhole opens a state and reads it whole, so that what it promises is known
// to be there. It answers errMissing, ErrDamaged, ErrNewer and ErrBusy.
func openWhole(path string, readOnly bool, lock time.Duration) (*Store, error) {
	if there, err := exists(path); err != nil {
		return nil, fmt.Errorf("open the state: %w", err)
	} else if !there {
		return nil, fmt.Errorf("%w: %s", errMissing, path)
	}
	flag := os.O_RDWR
	if readOnly {
		flag = os.O_RDONLY
	}
	o := &bolt.Options{Timeout: max(lock, time.Millisecond), ReadOnly: readOnly, FreelistType: bolt.FreelistMapType}
	db, file, err := openBolt(path, o, func() (*os.File, error) {
		f, err := openOld(path, flag)
		if err != nil {
			return nil, err
		}
		info, err := f.Stat()
		if err == nil {
			if bad := checkTree(f, info.Size()); bad != nil {
				err = fmt.Errorf("%w: %s: %w", ErrDamaged, path, bad)
			}
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return f, nil
	})
	if err != nil {
		return nil, fmt.Errorf("open the state %s: %w", path, err)
	}
	s := &Store{path: path, db: db, file: file}
	if err := s.check(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// openBolt is bolt.Open on the file that open answers. It leaves no file open
// behind an error or a panic: on Windows what is open cannot be moved.
func openBolt(path string, o *bolt.Options, open func() (*os.File, error)) (db *bolt.DB, file *os.File, err error) {
	o.OpenFile = func(string, int, os.FileMode) (*os.File, error) {
		file, err = open()
		return file, err
	}
	err = guard(func() error {
		db, err = bolt.Open(path, 0o600, o)
		return err
	})
	if err == nil {
		return db, file, nil
	}
	if file != nil {
		_ = abandon(file) // bbolt may have closed it
	}
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		err = ErrBusy
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil, nil, err
}

// abandon closes a file that bbolt can no longer be asked to close. What is
// mapped stays so until the process ends.
func abandon(f *os.File) error { return errors.Join(unlock(f), f.Close()) }

// create writes a state with nothing in it but a position, at path.
func create(path string, p audit.Position) error {
	db, _, err := openBolt(path, &bolt.Options{Timeout: time.Second}, func() (*os.File, error) { return openNew(path) })
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		if _, err := tx.CreateBucket(bucketSeen); err != nil {
			return err
		}
		meta, err := tx.CreateBucket(bucketMeta)
		if err != nil {
			return err
		}
		return errors.Join(put(meta, keyFormat, []byte{format}), putChunks(meta, 0), begin(meta, p))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		// The disk may be full.
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// begin writes a position that no batch belongs to.
func begin(meta *bolt.Bucket, p audit.Position) error {
	return errors.Join(putJSON(meta, keyPosition, p), putNoBatch(meta))
}

// check reads everything once. What fails it is not used.
func (s *Store) check() error {
	return s.view(func(tx *bolt.Tx) error {
		meta, seen := tx.Bucket(bucketMeta), tx.Bucket(bucketSeen)
		if meta == nil || seen == nil {
			return s.damage("the file", errors.New("it is none of ours"))
		}
		v, err := get(meta, keyFormat)
		switch {
		case err != nil:
			return s.damage("format", err)
		case len(v) != 1 || v[0] == 0:
			return s.damage("format", errCut)
		case v[0] < format:
			return s.damage("format", errors.New("it is that of a version before the first release"))
		case v[0] > format:
			return fmt.Errorf("%s cannot be used: %w", s.path, ErrNewer)
		}
		if _, err := position(meta); err != nil {
			return s.damage("position", err)
		}
		if _, err := batch(meta); err != nil {
			return s.damage("batch", err)
		}
		want, err := chunks(meta)
		if err != nil {
			return s.damage("records seen", err)
		}
		if tx.Bucket(bucketShared) != nil {
			if err := s.checkShared(tx); err != nil {
				return err
			}
		}
		var n uint64
		c := seen.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if len(k) != 8 {
				return s.damage("records seen", fmt.Errorf("a key of %d bytes", len(k)))
			}
			if err := walkChunk(keyChunk(k), v, func(audit.Seen) {}); err != nil {
				return s.damage("records seen", err)
			}
			n++
		}
		if n != want {
			return s.damage("records seen", fmt.Errorf("%d chunks instead of %d", n, want))
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
	var err error
	if s.faulted {
		err = abandon(s.file)
	} else {
		err = db.Close()
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	if err != nil {
		return fmt.Errorf("close the state %s: %w", s.path, err)
	}
	return nil
}

// Position is what the last commit said, the zero Position before the first.
func (s *Store) Position() (p audit.Position, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		if p, err = position(tx.Bucket(bucketMeta)); err != nil {
			return s.damage("position", err)
		}
		return nil
	})
	return p, err
}

// Batch is the last batch committed; ok is false before the first. Whether its
// lines reached the disk is for the spool to say.
func (s *Store) Batch() (b audit.Batch, ok bool, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		if b, err = batch(tx.Bucket(bucketMeta)); err != nil {
			return s.damage("batch", err)
		}
		return nil
	})
	return b, err == nil && b.Place.File != "", err
}

// SeenAt is what is remembered of the given milliseconds, which must be in
// ascending order without repetition. The order of the answer is that of the
// milliseconds; within one, that in which they were committed.
func (s *Store) SeenAt(millis []int64) ([]audit.Seen, error) {
	var out []audit.Seen
	err := s.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketSeen).Cursor()
		var key []byte
		for i := 0; i < len(millis); {
			k := chunkOf(millis[i])
			n := i
			for n < len(millis) && chunkOf(millis[n]) == k {
				n++
			}
			key = appendChunkKey(key[:0], k)
			if at, v := c.Seek(key); bytes.Equal(at, key) {
				seen, err := decodeChunk(k, v)
				if err != nil {
					return s.damage("records seen", err)
				}
				out = appendAt(out, seen, millis[i:n])
			}
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
			seen, err := decodeChunk(keyChunk(k), v)
			if err != nil {
				return s.damage("records seen", err)
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
// store answers nothing any more: only a new Open can tell what is on the disk.
func (s *Store) Commit(c audit.Change) error {
	switch b := c.Batch; {
	case b == nil:
	case b.Place.File == "" && (len(b.Lines) > 0 || b.Staged > 0):
		return fmt.Errorf("commit to the state %s: a batch without a file", s.path)
	case b.Staged < 0 || b.Staged > 0 && (len(b.Lines) > 0 || b.Staged <= b.Place.Offset):
		return fmt.Errorf("commit to the state %s: a batch that was staged up to %d, and %d bytes of lines at %d", s.path, b.Staged, len(b.Lines), b.Place.Offset)
	}
	err := s.update(func(tx *bolt.Tx) error {
		meta, seen := tx.Bucket(bucketMeta), tx.Bucket(bucketSeen)
		n, err := chunks(meta)
		if err != nil {
			return s.damage("records seen", err)
		}
		added, err := remember(seen, c.Emitted)
		if err != nil {
			return err
		}
		dropped := 0
		shared := tx.Bucket(bucketShared) != nil
		if shared {
			if err := s.journal(tx, c); err != nil {
				return err
			}
		}
		// What is shared forgets when it is shared.
		for _, span := range c.Forgets() {
			if shared {
				break
			}
			n, err := forget(tx, span)
			if err != nil {
				return err
			}
			dropped += n
		}
		if c.Batch != nil {
			if err := s.putBatch(meta, *c.Batch); err != nil {
				return err
			}
		}
		return errors.Join(putJSON(meta, keyPosition, c.Position), putChunks(meta, n+uint64(added)-uint64(dropped)))
	})
	if err != nil {
		return fmt.Errorf("commit to the state %s: %w", s.path, err)
	}
	return nil
}

func (s *Store) view(f func(*bolt.Tx) error) error {
	return s.do(func() error { return s.db.View(f) })
}

func (s *Store) update(f func(*bolt.Tx) error) error {
	err := s.do(func() error { return s.db.Update(f) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.failed == nil {
		s.failed = err
	}
	return err
}

// do runs f on the open file. After a fault it runs nothing any more.
func (s *Store) do(f func() error) error {
	if s.db == nil {
		return errClosed
	}
	s.mu.Lock()
	failed := s.failed
	s.mu.Unlock()
	if failed != nil {
		return fmt.Errorf("the state %s must be opened again: %w", s.path, failed)
	}
	err := guard(f)
	var bad *fault
	if errors.As(err, &bad) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failed, s.faulted = err, true
	}
	return err
}

func (s *Store) damage(what string, err error) error {
	return fmt.Errorf("%w: %s of %s: %w", ErrDamaged, what, s.path, err)
}

func position(meta *bolt.Bucket) (p audit.Position, err error) {
	return p, getJSON(meta, keyPosition, &p)
}

func chunks(meta *bolt.Bucket) (uint64, error) {
	v, err := get(meta, keyChunks)
	if err == nil && len(v) != 8 {
		err = errCut
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(v), nil
}

func putChunks(meta *bolt.Bucket, n uint64) error {
	return put(meta, keyChunks, binary.BigEndian.AppendUint64(nil, n))
}

func get(b *bolt.Bucket, key []byte) ([]byte, error) { return unseal(key, b.Get(key)) }

func put(b *bolt.Bucket, key, value []byte) error { return b.Put(key, seal(key, value)) }

func getJSON(b *bolt.Bucket, key []byte, to any) error {
	v, err := get(b, key)
	if err != nil {
		return err
	}
	return json.Unmarshal(v, to)
}

func putJSON(b *bolt.Bucket, key []byte, from any) error {
	v, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return put(b, key, v)
}
