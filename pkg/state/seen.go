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

// Seen records are kept in chunks of about two minutes. A chunk's key is its
// number, big-endian with the sign bit flipped so that keys sort by time; its
// value is a sealed list of entries in ascending order of time:
//
//	1-3 bytes  twice the milliseconds since the entry before, or since the chunk began,
//	           as an unsigned varint; and 1 more where the source gave an id
//	8 bytes    coarse hash, or the id
//	8 bytes    fine hash; absent where the source gave an id
//
// Shorter chunks would be more to look up and to write for each page, longer ones
// more to write again for each burst.
const (
	chunkBits  = 17
	chunkMask  = 1<<chunkBits - 1
	hasIDFlag  = 1
	maxHead    = 3 // the varint of 2*chunkMask+1
	shortEntry = 1 + 8
	longEntry  = maxHead + 8 + 8
)

func chunkOf(ms int64) int64 { return ms >> chunkBits }

func chunkKey(chunk int64) []byte { return appendChunkKey(nil, chunk) }

func appendChunkKey(b []byte, chunk int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(chunk)^1<<63)
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
	var key [8]byte
	b, err := unseal(appendChunkKey(key[:0], chunk), v)
	if err != nil {
		return err
	}
	offset := uint64(0)
	for len(b) > 0 {
		head, n := binary.Uvarint(b)
		if n == 0 || n > 0 && len(b) < n+8 {
			return errCut
		}
		offset += head / 2
		if n < 0 || n > maxHead || n > 1 && b[n-1] == 0 || offset > chunkMask {
			return errors.New("an entry is out of its chunk")
		}
		e := audit.Seen{
			Millis: chunk<<chunkBits | int64(offset),
			Coarse: binary.BigEndian.Uint64(b[n:]),
			HasID:  head&hasIDFlag != 0,
		}
		b = b[n+8:]
		if !e.HasID {
			if len(b) < 8 {
				return errCut
			}
			e.Fine = binary.BigEndian.Uint64(b)
			b = b[8:]
		}
		each(e)
	}
	return nil
}

// encodeChunk is the inverse of decodeChunk; the entries must be of that chunk
// and sorted by time.
func encodeChunk(chunk int64, seen []audit.Seen) []byte {
	value, _ := appendChunk(nil, chunkKey(chunk), seen)
	return value
}

// appendChunk is encodeChunk in the memory behind room, or more where it does not
// do; rest is room with what was used.
func appendChunk(room, key []byte, seen []audit.Seen) (value, rest []byte) {
	start := len(room)
	b := append(room, make([]byte, sealLen)...)
	last := int64(0)
	for _, e := range seen {
		offset := e.Millis & chunkMask
		head := uint64(offset-last) * 2
		if e.HasID {
			head |= hasIDFlag
		}
		last = offset
		b = binary.AppendUvarint(b, head)
		b = binary.BigEndian.AppendUint64(b, e.Coarse)
		if !e.HasID {
			b = binary.BigEndian.AppendUint64(b, e.Fine)
		}
	}
	value = b[start:len(b):len(b)]
	binary.BigEndian.PutUint32(value, checksum(key, value[sealLen:]))
	return value, b
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
	// One piece of memory for all that is written: bbolt shares it until the
	// transaction ends.
	room := make([]byte, 0, len(sorted)*(longEntry+sealLen))
	// Chunks come from the newest down, many at a time: pages that are split half full
	// would mostly stay so.
	b.FillPercent = 0.8
	c := b.Cursor()
	var key []byte // bbolt keeps a copy
	for len(sorted) > 0 {
		chunk := chunkOf(sorted[0].Millis)
		n := 1
		for n < len(sorted) && chunkOf(sorted[n].Millis) == chunk {
			n++
		}
		seen := sorted[:n]
		key = appendChunkKey(key[:0], chunk)
		if k, old := c.Seek(key); bytes.Equal(k, key) {
			was, err := decodeChunk(chunk, old)
			if err != nil {
				return 0, fmt.Errorf("%w: records seen: %w", ErrDamaged, err)
			}
			seen = append(was, seen...)
			slices.SortStableFunc(seen, byTime)
		} else {
			added++
		}
		var value []byte
		value, room = appendChunk(room, key, seen)
		if err := b.Put(key, value); err != nil {
			return 0, err
		}
		sorted = sorted[n:]
	}
	return added, nil
}

// forget drops the chunks that lie wholly in the span and answers how many these
// were. Records without a date are in a chunk of their own and stay.
func forget(tx *bolt.Tx, span audit.Interval) (dropped int, err error) {
	b := tx.Bucket(bucketSeen) // another one than before, where it was refilled
	first := chunkOf(span.From)
	if first<<chunkBits < span.From {
		first++
	}
	begin, end := chunkKey(first), chunkKey(chunkOf(span.To))
	undated := chunkKey(chunkOf(audit.UndatedMillis))
	var drop [][]byte
	c := b.Cursor()
	k, v := c.First()
	var keep []keyed
	for ; k != nil && bytes.Compare(k, end) < 0; k, v = c.Next() {
		if bytes.Equal(k, undated) || bytes.Compare(k, begin) < 0 {
			keep = append(keep, keyed{slices.Clone(k), slices.Clone(v)})
		} else {
			drop = append(drop, k)
		}
	}
	for ; k != nil && len(keep) < len(drop); k, v = c.Next() {
		keep = append(keep, keyed{slices.Clone(k), slices.Clone(v)})
	}
	if k == nil && len(drop) > 0 && len(keep) <= len(drop) {
		return len(drop), refill(tx, keep)
	}
	for i := range drop {
		drop[i] = slices.Clone(drop[i]) // the map's memory changes hands as soon as one goes
	}
	for _, k := range drop {
		if err := b.Delete(k); err != nil {
			return 0, err
		}
	}
	return len(drop), nil
}

type keyed struct{ key, value []byte }

// refill makes keep all that is remembered. Where that is less than what goes,
// it costs less than taking each of the others out.
func refill(tx *bolt.Tx, keep []keyed) error {
	if err := tx.DeleteBucket(bucketSeen); err != nil {
		return err
	}
	b, err := tx.CreateBucket(bucketSeen)
	if err != nil {
		return err
	}
	for _, kv := range keep {
		if err := b.Put(kv.key, kv.value); err != nil {
			return err
		}
	}
	return nil
}
