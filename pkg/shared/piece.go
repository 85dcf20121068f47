package shared

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"atlassian_audit_records/pkg/audit"
)

// What was seen is kept in pieces, each written once and never changed. A piece is
//
//	4 bytes   CRC-32C of its key followed by the rest
//	1 byte    the format, 1
//	n times, in ascending order of time, those of one millisecond in the order in
//	which they were committed:
//	  varint    the time in ms, of the first one
//	  uvarint   milliseconds since the one before, of every other
//	  1 byte    1 where the source gave an id, else 0
//	  8 bytes   the id, or the coarse key
//	  8 bytes   the fine key; absent where the source gave an id
const pieceFormat = 1

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errCut     = errors.New("it is cut short")
	errSum     = errors.New("its checksum is wrong")
)

// Piece is a part of what was seen, as the head names it.
type Piece struct {
	// Number names it. None is used for two pieces that a head names.
	Number uint64 `json:"n"`
	// Size is its length in bytes, Newest the newest time in it.
	Size   int   `json:"size"`
	Newest int64 `json:"newest"`
	// Undated tells that it holds records without a date, which are never
	// forgotten.
	Undated bool `json:"undated,omitempty"`
}

// forgotten reports whether nothing of the piece will ever be asked for.
func (p Piece) forgotten(below int64) bool { return p.Newest < below && !p.Undated }

func pieceKey(scope string, n uint64) string { return fmt.Sprintf("%s/seen/%016x", scope, n) }

// seal puts a checksum before the bytes.
func seal(key string, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, sum(key, body)), body...)
}

func unseal(key string, v []byte) ([]byte, error) {
	if len(v) < 4 {
		return nil, errCut
	}
	if binary.BigEndian.Uint32(v) != sum(key, v[4:]) {
		return nil, errSum
	}
	return v[4:], nil
}

func sum(key string, body []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(key), castagnoli), castagnoli, body)
}

// byTime puts entries into the order of a piece.
func byTime(seen []audit.Seen) {
	slices.SortStableFunc(seen, func(a, b audit.Seen) int { return cmp.Compare(a.Millis, b.Millis) })
}

// maxEntry is what an entry takes at most.
const maxEntry = binary.MaxVarintLen64 + 1 + 8 + 8

// encodePiece encodes as many of the entries, which byTime has sorted, as fit into
// so many bytes; at least one.
func encodePiece(key string, seen []audit.Seen, limit int) (value []byte, n int) {
	body := []byte{pieceFormat}
	last := int64(0)
	for i, e := range seen {
		if i > 0 && 4+len(body)+maxEntry > limit {
			break
		}
		if i == 0 {
			body = binary.AppendVarint(body, e.Millis)
		} else {
			body = binary.AppendUvarint(body, uint64(e.Millis-last))
		}
		last = e.Millis
		if e.HasID {
			body = binary.BigEndian.AppendUint64(append(body, 1), e.Coarse)
		} else {
			body = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(append(body, 0), e.Coarse), e.Fine)
		}
		n++
	}
	return seal(key, body), n
}

// decodePiece is the inverse of encodePiece. What that would not have written is
// an error.
func decodePiece(key string, value []byte) ([]audit.Seen, error) {
	b, err := unseal(key, value)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 || b[0] != pieceFormat {
		return nil, errors.New("it is of an unknown format")
	}
	b = b[1:]
	var out []audit.Seen
	for len(b) > 0 {
		var e audit.Seen
		var n int
		if out == nil {
			e.Millis, n = binary.Varint(b)
		} else {
			var d uint64
			d, n = binary.Uvarint(b)
			before := out[len(out)-1].Millis
			if e.Millis = int64(uint64(before) + d); n > 0 && e.Millis < before {
				return nil, errors.New("an entry is out of order")
			}
		}
		if n <= 0 || len(b) < n+9 || b[n] > 1 {
			return nil, errCut
		}
		e.HasID = b[n] == 1
		e.Coarse = binary.BigEndian.Uint64(b[n+1:])
		if b = b[n+9:]; !e.HasID {
			if len(b) < 8 {
				return nil, errCut
			}
			e.Fine, b = binary.BigEndian.Uint64(b), b[8:]
		}
		out = append(out, e)
	}
	return out, nil
}
