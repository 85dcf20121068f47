package state

import (
	"encoding/binary"
	"errors"

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

// place is where a batch goes, and Beside where its lines stand if that is not in
// the state's own file.
type place struct {
	audit.Place
	Beside *beside `json:"lines,omitempty"`
}

// batch answers the last batch, without its lines where they stand beside.
func batch(meta *bolt.Bucket) (b audit.Batch, aside *beside, err error) {
	var at place
	if err := getJSON(meta, keyPlace, &at); err != nil {
		return b, nil, err
	}
	v, err := get(meta, keyLines)
	if err != nil {
		return b, nil, err
	}
	lines, err := unpack(v)
	return audit.Batch{Place: at.Place, Lines: lines}, at.Beside, err
}

// putBatch writes a batch.
func (s *Store) putBatch(meta *bolt.Bucket, b audit.Batch) error {
	at := place{Place: b.Place}
	lines := b.Lines
	if len(lines) >= s.large {
		var was place
		if err := getJSON(meta, keyPlace, &was); err != nil {
			return s.damage("batch", err)
		}
		var err error
		if at.Beside, err = s.besides.write(s.path, was.Beside, lines); err != nil {
			return err
		}
		lines = nil
	}
	s.packed = pack(s.packed, keyLines, lines) // which bbolt shares until the transaction ends
	return errors.Join(putJSON(meta, keyPlace, at), meta.Put(keyLines, s.packed))
}

// putNoBatch writes that there is none.
func putNoBatch(meta *bolt.Bucket) error {
	return errors.Join(putJSON(meta, keyPlace, place{}), meta.Put(keyLines, pack(nil, keyLines, nil)))
}
