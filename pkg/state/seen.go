package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"atlassian_audit_records/pkg/audit"

	bolt "go.etcd.io/bbolt"
)

// Seen records are kept in chunks of about 16 seconds. A chunk's key is its
// number, big-endian with the sign bit flipped so that keys sort by time; its
// value is a sealed list of entries in ascending order of time:
//
//	2 bytes   offset in the chunk in ms (14 bits), bit 15 set where the source gave an id; bit 14 is 0
//	8 bytes   coarse hash, or the id
//	8 bytes   fine hash; absent where the source gave an id
const (
	chunkBits  = 14
	chunkMask  = 1<<chunkBits - 1
	hasIDFlag  = 1 << 15
	shortEntry = 2 + 8
	longEntry  = 2 + 8 + 8
)

func chunkOf(ms int64) int64 { return ms >> chunkBits }

func chunkKey(chunk int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(chunk)^1<<63)
}

func keyChunk(key []byte) int64 { return int64(binary.BigEndian.Uint64(key) ^ 1<<63) }

// decodeChunk reads a chunk; nil is an empty one. What encodeChunk would not
// have written is an error.
func decodeChunk(chunk int64, v []byte) ([]audit.Seen, error) {
	if v == nil {
		return nil, nil
	}
	out := make([]audit.Seen, 0, len(v)/shortEntry)
	err := walkChunk(chunk, v, func(e audit.Seen) { out = append(out, e) })
	return out, err
}

// walkChunk is decodeChunk without memory of its own.
func walkChunk(chunk int64, v []byte, each func(audit.Seen)) error {
	b, err := unseal(chunkKey(chunk), v)
	if err != nil {
		return err
	}
	last := uint16(0)
	for len(b) > 0 {
		if len(b) < shortEntry {
			return errCut
		}
		head := binary.BigEndian.Uint16(b)
		offset := head & chunkMask
		if head&^(chunkMask|hasIDFlag) != 0 || offset < last {
			return errors.New("an entry is out of order")
		}
		last = offset
		e := audit.Seen{
			Millis: chunk<<chunkBits | int64(offset),
			Coarse: binary.BigEndian.Uint64(b[2:]),
			HasID:  head&hasIDFlag != 0,
		}
		b = b[shortEntry:]
		if !e.HasID {
			if len(b) < longEntry-shortEntry {
				return errCut
			}
			e.Fine = binary.BigEndian.Uint64(b)
			b = b[longEntry-shortEntry:]
		}
		each(e)
	}
	return nil
}

// encodeChunk is the inverse of decodeChunk; the entries must be of that chunk
// and sorted by time.
func encodeChunk(chunk int64, seen []audit.Seen) []byte {
	b := make([]byte, 0, len(seen)*longEntry)
	for _, e := range seen {
		head := uint16(e.Millis & chunkMask)
		if e.HasID {
			head |= hasIDFlag
		}
		b = binary.BigEndian.AppendUint16(b, head)
		b = binary.BigEndian.AppendUint64(b, e.Coarse)
		if !e.HasID {
			b = binary.BigEndian.AppendUint64(b, e.Fine)
		}
	}
	return seal(chunkKey(chunk), b)
}

// appendAt appends the entries whose time is one of millis; both are sorted.
func appendAt(out, seen []audit.Seen, millis []int64) []audit.Seen {
	i := 0
	for _, e := range seen {
		for i < len(millis) && millis[i] < e.Millis {
			i++
		}
		if i == len(millis) {
			break
		}
		if millis[i] == e.Millis {
			out = append(out, e)
		}
	}
	return out
}

// remember adds entries to their chunks and answers how many chunks are new.
func remember(b *bolt.Bucket, emitted []audit.Seen) (added int, err error) {
	byTime := func(x, y audit.Seen) int { return cmp.Compare(x.Millis, y.Millis) }
	sorted := slices.Clone(emitted)
	slices.SortStableFunc(sorted, byTime)
	for len(sorted) > 0 {
		chunk := chunkOf(sorted[0].Millis)
		n := 1
		for n < len(sorted) && chunkOf(sorted[n].Millis) == chunk {
			n++
		}
		key := chunkKey(chunk)
		old := b.Get(key)
		seen, err := decodeChunk(chunk, old)
		if err != nil {
			return 0, fmt.Errorf("%w: records seen: %w", ErrDamaged, err)
		}
		if old == nil {
			added++
		}
		seen = append(seen, sorted[:n]...)
		slices.SortStableFunc(seen, byTime)
		if err := b.Put(key, encodeChunk(chunk, seen)); err != nil {
			return 0, err
		}
		sorted = sorted[n:]
	}
	return added, nil
}

// forget drops the chunks that lie wholly below ms and answers how many these
// were. Records without a date are in a chunk of their own and stay.
func forget(b *bolt.Bucket, ms int64) (dropped int, err error) {
	end := chunkKey(chunkOf(ms))
	undated := chunkKey(chunkOf(audit.UndatedMillis))
	var keys [][]byte
	c := b.Cursor()
	for k, _ := c.First(); k != nil && bytes.Compare(k, end) < 0; k, _ = c.Next() {
		if !bytes.Equal(k, undated) {
			keys = append(keys, slices.Clone(k))
		}
	}
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}
