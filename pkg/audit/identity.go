package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// Keys identify a record to which the source gives no id, within its
// millisecond. Coarse covers only what cannot change between two reads of the
// same record; Fine covers the rest of what describes the event, which may
// change (a renamed person), but seldom does. Both are truncated hashes: they
// are only ever compared among records of one millisecond.
type Keys struct {
	Coarse uint64
	Fine   uint64
	// Fingerprint is the text from which record_id is made: 32 hexadecimal
	// digits over everything that Coarse and Fine cover.
	Fingerprint string
}

// NewKeys hashes the parts of a record. A part is a field's bytes; the parts
// are delimited by their length, so that no two lists of parts look alike.
func NewKeys(coarse, fine [][]byte) Keys {
	c := digest(coarse)
	f := digest(fine)
	both := sha256.Sum256(append(c[:], f[:]...))
	return Keys{
		Coarse:      binary.BigEndian.Uint64(c[:8]),
		Fine:        binary.BigEndian.Uint64(f[:8]),
		Fingerprint: hex.EncodeToString(both[:16]),
	}
}

func digest(parts [][]byte) [32]byte {
	h := sha256.New()
	var n [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	var out [32]byte
	h.Sum(out[:0])
	return out
}

// Seen is what is remembered of a record that was emitted.
type Seen struct {
	// Millis is the record's time; UndatedMillis for a record without one.
	Millis int64
	// Coarse is the source's id hashed (see SeenOf), or Keys.Coarse.
	Coarse uint64
	// Fine is 0 for a record with an id, else Keys.Fine.
	Fine uint64
	// HasID tells a record that the source's id identifies from one that is
	// counted.
	HasID bool
}

// UndatedMillis is the millisecond under which records without a readable time
// are remembered. No record can be dated so.
const UndatedMillis int64 = -1 << 62

// At is the millisecond under which the record is remembered: when it was
// processed, where the source says so, else its own time.
func (r Record) At() int64 {
	switch {
	case r.IsProcessed:
		return r.Processed
	case r.Dated:
		return r.Millis
	}
	return UndatedMillis
}

// Alias is what else is remembered of r: the same id under its own time, so that
// a record is known again when it was processed a second time. ok is false where
// there is no such second time, or no id.
func (r Record) Alias() (s Seen, ok bool) {
	if !r.IsProcessed || !r.Dated || r.ID == "" || r.Millis == r.Processed {
		return Seen{}, false
	}
	s = r.Seen()
	s.Millis = r.Millis
	return s, true
}

// Seen is what is remembered of r once it was emitted. Ids that are numbers
// are kept as they are; others are hashed.
func (r Record) Seen() Seen {
	if r.ID == "" {
		return Seen{Millis: r.At(), Coarse: r.Keys.Coarse, Fine: r.Keys.Fine}
	}
	s := Seen{Millis: r.At(), HasID: true}
	if n, ok := parseNumber(r.ID); ok {
		s.Coarse = n
		return s
	}
	d := digest([][]byte{[]byte(r.ID)})
	s.Coarse = binary.BigEndian.Uint64(d[:8]) | 1<<63 // never equal to a number
	return s
}

// parseNumber reads a number below 2^63 that is written as strconv.FormatUint
// writes it, so that no two texts are one number.
func parseNumber(text string) (n uint64, ok bool) {
	if text == "" || text[0] < '1' || text[0] > '9' {
		return 0, text == "0"
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(text, 10, 63)
	return n, err == nil
}

// RecordID is the record's name for ever, on every machine and at every read:
// "<scope>:<id>", or "<scope>:<fingerprint>-<occurrence>" where the source
// gives no id. The occurrence counts the records of one fingerprint and
// millisecond from 1; the millisecond is part of the fingerprint.
func RecordID(s Stream, r Record, occurrence int) string {
	return string(appendRecordID(nil, s.Scope(), r, occurrence))
}

func appendRecordID(dst []byte, scope string, r Record, occurrence int) []byte {
	dst = append(append(dst, scope...), ':')
	if r.ID != "" {
		return append(dst, r.ID...)
	}
	dst = append(append(dst, r.Keys.Fingerprint...), '-')
	return strconv.AppendInt(dst, int64(occurrence), 10)
}
