package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"atlassian_audit_records/pkg/audit"

	"github.com/klauspost/compress/s2"
	bolt "go.etcd.io/bbolt"
)

// maxRedo bounds the lines of one batch in bytes: more is damage, and would be
// memory that nobody has.
const maxRedo = 1 << 30

var errRedo = errors.New("the lines of the batch cannot be unpacked")

// pack makes what stands in the file for the lines of a batch: nothing for none,
// else a block of S2, which is about an eighth of them and takes less time than
// writing the rest would; with its seal. It uses the memory of buf.
func pack(buf, key, lines []byte) []byte {
	if n := sealLen + s2.MaxEncodedLen(len(lines)); cap(buf) < n {
		buf = make([]byte, n)
	}
	out := buf[:cap(buf)]
	n := 0
	if len(lines) > 0 {
		n = len(s2.Encode(out[sealLen:], lines))
	}
	out = out[:sealLen+n]
	binary.BigEndian.PutUint32(out, checksum(key, out[sealLen:]))
	return out
}

// unpack is the inverse of pack, in memory of its own.
func unpack(v []byte) ([]byte, error) {
	if len(v) == 0 {
		return nil, nil
	}
	if n, err := s2.DecodedLen(v); err != nil || n > maxRedo {
		return nil, errRedo
	}
	lines, err := s2.Decode(nil, v)
	if err != nil {
		return nil, errRedo
	}
	return lines, nil
}

// place is where a batch goes, and where its lines end if they were staged.
type place struct {
	audit.Place
	Staged int64 `json:"staged,omitempty"`
}

// batch answers the last batch.
func batch(meta *bolt.Bucket) (b audit.Batch, err error) {
	var at place
	if err := getJSON(meta, keyPlace, &at); err != nil {
		return b, err
	}
	v, err := get(meta, keyLines)
	if err != nil {
		return b, err
	}
	lines, err := unpack(v)
	return audit.Batch{Place: at.Place, Staged: at.Staged, Lines: lines}, err
}

// putBatch writes a batch.
func (s *Store) putBatch(meta *bolt.Bucket, b audit.Batch) error {
	s.packed = pack(s.packed, keyLines, b.Lines) // which bbolt shares until the transaction ends
	return errors.Join(putJSON(meta, keyPlace, place{b.Place, b.Staged}), meta.Put(keyLines, s.packed))
}

// putNoBatch writes that there is none.
func putNoBatch(meta *bolt.Bucket) error {
	return errors.Join(putJSON(meta, keyPlace, place{}), meta.Put(keyLines, pack(nil, keyLines, nil)))
}

// Retire completes the last batch of a stream that nobody collects any more, and
// lets go of it: whoever collects the stream again looks for none of its files, which
// may be gone by then. complete answers whether the batch is on the disk. The caller
// holds the lock; a state that is missing or damaged is left as it is, and one that
// is used as old as it was.
func Retire(f Files, complete func(audit.Batch) (done bool, err error)) error {
	info, err := os.Lstat(f.State)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the state: %w", err)
	}
	s, err := openWhole(f.State, false, defaultLock)
	if err != nil {
		return err
	}
	retired, err := s.retire(complete)
	if err := errors.Join(err, s.Close()); err != nil || !retired {
		return err
	}
	return os.Chtimes(f.State, info.ModTime(), info.ModTime())
}

func (s *Store) retire(complete func(audit.Batch) (bool, error)) (retired bool, err error) {
	b, ok, err := s.Batch()
	if err != nil || !ok {
		return false, err
	}
	if done, err := complete(b); err != nil || !done {
		return false, err
	}
	p, err := s.Position()
	if err != nil {
		return false, err
	}
	p.File, p.End, p.FileSince = "", 0, 0
	return true, s.Commit(audit.Change{Position: p, Batch: &audit.Batch{}})
}
