package collect

import (
	"fmt"
	"slices"

	"atlassian_audit_records/pkg/audit"
)

// group is a coarse key within a millisecond, or an id.
type group struct {
	millis int64
	coarse uint64
	hasID  bool
}

// memory is what is remembered of some milliseconds.
type memory struct {
	// emitted counts the records emitted for a group; fine those of them that
	// are of one fine hash; ever also counts the ones since renamed.
	emitted map[group]int
	fine    map[audit.Seen]int
	ever    map[audit.Seen]int
}

func groupOf(s audit.Seen) group {
	return group{millis: s.Millis, coarse: s.Coarse, hasID: s.HasID}
}

// gone is the entry that takes one emitted record of a group out of the count:
// it was renamed and emitted again, because nobody could tell it from a new one.
func gone(s audit.Seen) audit.Seen {
	s.Coarse = ^s.Coarse
	return s
}

// recall asks the state for what was emitted at the records' milliseconds, of
// which there may be several for a record.
func (c *Collector) recall(millis []int64) ([]audit.Seen, error) {
	slices.Sort(millis)
	millis = slices.Compact(millis)
	if err := c.settle(millis); err != nil {
		return nil, err
	}
	seen, err := c.state.SeenAt(millis)
	if err != nil {
		return nil, fmt.Errorf("look up the records seen: %w", err)
	}
	return seen, nil
}

// memoryOf is what was seen, with room for more groups.
func memoryOf(seen []audit.Seen, room int) memory {
	m := memory{emitted: make(map[group]int, max(room, len(seen))), fine: make(map[audit.Seen]int, len(seen)), ever: make(map[audit.Seen]int, len(seen))}
	for _, s := range seen {
		m.emitted[groupOf(s)]++
		m.fine[s]++
		m.ever[s]++
	}
	for _, s := range seen {
		if was := gone(s); !s.HasID && m.ever[was] > 0 {
			m.emitted[groupOf(was)]--
			m.fine[was]--
		}
	}
	return m
}

// apart reports whether no two of the records are of one millisecond. It may say no
// where they are not in the order of their times.
func apart(records []audit.Record) bool {
	for i, r := range records {
		if _, ok := r.Alias(); ok || i > 0 && r.At() >= records[i-1].At() {
			return false
		}
	}
	return true
}

// fresh is a record to be emitted, and its number among its twins.
type fresh struct {
	record     audit.Record
	occurrence int
}

// tally counts records without an id, by what is remembered of them.
type tally map[audit.Seen]int

// plan says what a complete count of some milliseconds means: how many of each
// record are new, and which remembered ones are gone. A record is new when its
// group grew; which of the group: those whose fine hash was not seen. Where a
// group grew and a member was renamed at the same time, nobody can tell which
// is which: each that may be new is taken, for a repetition is better than a
// loss, and as many of those not shown any more are taken out of the count.
func (m memory) plan(t tally) (want tally, goneOnes []audit.Seen) {
	now := make(map[group]int, len(t))
	surplus := make(map[group]int, len(t))
	for s, n := range t {
		now[groupOf(s)] += n
		surplus[groupOf(s)] += max(0, n-m.fine[s])
	}
	want = tally{}
	extra := map[group]int{}
	for s, n := range t {
		g := groupOf(s)
		grown := now[g] - m.emitted[g]
		if s.Millis == audit.UndatedMillis {
			// Nobody knows what else is in the group: each record for itself.
			grown = surplus[g]
		}
		if over := min(n-m.fine[s], grown); over > 0 {
			if want[s] = over; s.Millis != audit.UndatedMillis {
				if _, ok := extra[g]; !ok {
					extra[g] = -grown
				}
				extra[g] += over
			}
		}
	}
	for s, n := range m.fine {
		g := groupOf(s)
		for range min(extra[g], n-t[s]) {
			goneOnes = append(goneOnes, gone(s))
			extra[g]--
		}
	}
	return want, goneOnes
}

// sift finds the new ones among records of one page. Records without an id must
// be there with the whole of their millisecond: they are counted. The answer is
// in the order of the records reversed: oldest first.
func (c *Collector) sift(records []audit.Record) (out []fresh, goneOnes []audit.Seen, err error) {
	if len(records) == 0 {
		return nil, nil, nil
	}
	// A record with an id may have been emitted while its date was unreadable.
	millis := make([]int64, len(records), 2*len(records)+1)
	for i, r := range records {
		millis[i] = r.At()
		if s, ok := r.Alias(); ok {
			millis = append(millis, s.Millis)
		}
	}
	millis = append(millis, audit.UndatedMillis)
	seen, err := c.recall(millis)
	if err != nil {
		return nil, nil, err
	}
	out = make([]fresh, 0, len(records))
	if len(seen) == 0 && apart(records) {
		// The most of a history: none of them was seen, and none has twins.
		for _, r := range slices.Backward(records) {
			out = append(out, fresh{record: r, occurrence: 1})
		}
		return out, nil, nil
	}
	m := memoryOf(seen, len(millis))
	var want tally
	counts := tally{}
	for _, r := range records {
		if r.ID == "" {
			counts[r.Seen()]++
		}
	}
	if len(counts) > 0 {
		want, goneOnes = m.plan(counts)
	}
	for i := len(records) - 1; i >= 0; i-- {
		if f, ok := m.take(records[i], want); ok {
			out = append(out, f)
		}
	}
	return out, goneOnes, nil
}

// take decides on one record and remembers it as emitted.
func (m memory) take(r audit.Record, want tally) (fresh, bool) {
	s := r.Seen()
	if s.HasID {
		if m.emitted[groupOf(s)] > 0 || m.emitted[group{millis: audit.UndatedMillis, coarse: s.Coarse, hasID: true}] > 0 {
			return fresh{}, false
		}
		if also, ok := r.Alias(); ok {
			if m.emitted[groupOf(also)] > 0 {
				return fresh{}, false
			}
			m.emitted[groupOf(also)]++
		}
		m.emitted[groupOf(s)]++
		return fresh{record: r, occurrence: 1}, true
	}
	if want[s] == 0 {
		return fresh{}, false
	}
	want[s]--
	m.emitted[groupOf(s)]++
	m.ever[s]++
	return fresh{record: r, occurrence: m.ever[s]}, true
}
