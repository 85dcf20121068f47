package audit

import (
	"fmt"
	"math"
	"slices"
	"sort"
)

// Interval is a span of time in whole milliseconds since the epoch: From is
// inside, To is not. The interval is empty when To is not after From.
type Interval struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Forever is the upper end of an interval that has none.
const Forever int64 = math.MaxInt64

// Empty reports whether no millisecond lies in i.
func (i Interval) Empty() bool { return i.To <= i.From }

// Contains reports whether the millisecond ms lies in i.
func (i Interval) Contains(ms int64) bool { return i.From <= ms && ms < i.To }

// Intersect is the part of i that lies in j too.
func (i Interval) Intersect(j Interval) Interval {
	return Interval{From: max(i.From, j.From), To: min(i.To, j.To)}
}

// Length is the number of milliseconds in i, 0 when it is empty.
func (i Interval) Length() int64 { return max(0, i.To-i.From) }

// String writes the interval as [from,to).
func (i Interval) String() string { return fmt.Sprintf("[%d,%d)", i.From, i.To) }

// Set is a set of milliseconds, kept as intervals in ascending order that
// neither overlap nor touch. The zero value is the empty set. Methods return
// new sets and leave their receiver as it was.
type Set []Interval

// NewSet is the union of the intervals, in whatever order they come.
func NewSet(is ...Interval) Set {
	var s Set
	for _, i := range is {
		s = s.Add(i)
	}
	return s
}

// Add is the union of s and i.
func (s Set) Add(i Interval) Set {
	if i.Empty() {
		return slices.Clone(s)
	}
	out := make(Set, 0, len(s)+1)
	placed := false
	for _, j := range s {
		switch {
		case j.To < i.From:
			out = append(out, j)
		case j.From > i.To:
			if !placed {
				out = append(out, i)
				placed = true
			}
			out = append(out, j)
		default:
			i = Interval{From: min(i.From, j.From), To: max(i.To, j.To)}
		}
	}
	if !placed {
		out = append(out, i)
	}
	return out
}

// Remove is s without the milliseconds of i.
func (s Set) Remove(i Interval) Set {
	out := make(Set, 0, len(s)+1)
	for _, j := range s {
		if i.Empty() || i.Intersect(j).Empty() {
			out = append(out, j)
			continue
		}
		if left := (Interval{From: j.From, To: i.From}); !left.Empty() {
			out = append(out, left)
		}
		if right := (Interval{From: i.To, To: j.To}); !right.Empty() {
			out = append(out, right)
		}
	}
	return out
}

// Within is the part of s that lies in i.
func (s Set) Within(i Interval) Set {
	var out Set
	for _, j := range s {
		if k := j.Intersect(i); !k.Empty() {
			out = append(out, k)
		}
	}
	return out
}

// Gaps is the part of i that lies outside s.
func (s Set) Gaps(i Interval) Set {
	if i.Empty() {
		return nil
	}
	out := Set{i}
	for _, j := range s {
		out = out.Remove(j)
	}
	return out
}

// Contains reports whether ms lies in s.
func (s Set) Contains(ms int64) bool {
	k := sort.Search(len(s), func(k int) bool { return s[k].To > ms })
	return k < len(s) && s[k].From <= ms
}

// Length is the number of milliseconds in s.
func (s Set) Length() int64 {
	var n int64
	for _, j := range s {
		n += j.Length()
	}
	return n
}

// Last is the newest interval of s; ok is false when s is empty.
func (s Set) Last() (i Interval, ok bool) {
	if len(s) == 0 {
		return Interval{}, false
	}
	return s[len(s)-1], true
}

// Min is the lowest millisecond of s; ok is false when s is empty.
func (s Set) Min() (ms int64, ok bool) {
	if len(s) == 0 {
		return 0, false
	}
	return s[0].From, true
}
