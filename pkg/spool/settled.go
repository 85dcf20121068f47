package spool

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// Where several machines share a stream, one that takes it over begins behind what
// is delivered. An offset that the Agent has just noted is not enough for that: it
// notes the newest payload that was acknowledged, also while an older one is under
// way. So an offset counts as settled once it has stood for some time.

// settle takes note of an offset, and of which earlier one has stood for so long.
func (n *note) settle(after time.Duration, now time.Time) {
	at := now.UnixMilli()
	if n.Settled > n.Acked || n.Watched > n.Acked { // it was cut, or the registry was lost
		n.Settled, n.Watched = min(n.Settled, n.Acked), 0
	}
	if n.WatchedAt == 0 || n.WatchedAt > at || n.Watched == 0 && n.Acked > 0 {
		n.Watched, n.WatchedAt = n.Acked, at
	}
	if n.Acked > 0 && passed(now, time.UnixMilli(n.AckedAt), after) {
		n.Settled = n.Acked // it stands for that long already
	}
	if at-n.WatchedAt >= after.Milliseconds() {
		n.Settled = max(n.Settled, n.Watched)
		n.Watched, n.WatchedAt = n.Acked, at
	}
}

// Settled reports whether the lines that end at these places were delivered, and
// that for as long as TrackerOptions.SettleAfter says. Of several places the last is
// that of the rest. A file that is nowhere any more counts as delivered: it was, and
// was removed after a day, or somebody else removed it, and then there is nothing to
// wait for.
func (t *Tracker) Settled(ends []audit.Place) (bool, error) {
	for i, end := range ends {
		whole := i < len(ends)-1 // what was written of it, whatever that is
		ok, err := t.settledTo(end.File, end.Offset, whole)
		if err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func (t *Tracker) settledTo(name string, offset int64, whole bool) (bool, error) {
	for _, e := range slices.Concat(t.files, t.out) {
		if e.name != name {
			continue
		}
		if whole {
			offset = min(offset, e.size)
		}
		return t.notes.of(name).Settled >= offset, nil
	}
	// One that has come since, or of which no line is whole yet.
	for _, list := range []func(FS) ([]entry, error){t.f.spooled, t.f.takenOut} {
		there, err := list(t.fs)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(there, func(e entry) bool { return e.name == name }) {
			return whole, nil
		}
	}
	gone, err := t.f.delivered(t.fs)
	if err != nil {
		return false, err
	}
	for _, e := range gone {
		if e.name == name && e.upto >= min(offset, e.size) { // what was given up counts, too
			return true, nil
		}
	}
	// Its rest may have been spooled again, under a name that follows from its own.
	next, found := t.after(name, gone)
	if !found || next.path == "" {
		return true, nil
	}
	return t.settledTo(next.name, next.size, false)
}

// after is the file into which the rest of another was spooled; its path is empty
// where it is delivered to its end.
func (t *Tracker) after(name string, gone []entry) (next entry, found bool) {
	hash := fmt.Sprintf("%016x", lateHash(name))
	is := func(e entry) bool {
		_, random, ok := strings.Cut(stem(e.name), "-")
		return ok && random == hash
	}
	for _, e := range slices.Concat(t.files, t.out) {
		if is(e) {
			return e, true
		}
	}
	for _, e := range gone {
		if is(e) && e.upto == e.size {
			return entry{name: e.name}, true
		}
		if is(e) { // in part: the rest is further on
			return entry{name: e.name, path: e.path, size: e.size}, true
		}
	}
	return entry{}, false
}

// lateHash is the random part of the name under which the rest of a file is
// spooled again.
func lateHash(name string) uint64 {
	sum := sha256.Sum256([]byte("late\x00" + name))
	return binary.BigEndian.Uint64(sum[:8])
}

// Unsettled are the ends of the stream's files that are not settled, in the order
// of their names.
func (t *Tracker) Unsettled() []audit.Place {
	var out []audit.Place
	for _, e := range slices.Concat(t.files, t.out) {
		if t.notes.of(e.name).Settled < e.size {
			out = append(out, audit.Place{File: e.name, Offset: e.size})
		}
	}
	return out
}
