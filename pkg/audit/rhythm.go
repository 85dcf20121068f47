package audit

import (
	"math"
	"slices"
	"time"
)

const (
	hourMillis  = int64(time.Hour / time.Millisecond)
	hoursOfWeek = 168
	// rhythmWeeks is how many weeks are remembered: one bit of a byte each.
	rhythmWeeks = 8
	// silenceBound is how long a silence may be, whatever the rhythm: what
	// happens less than once a week has none.
	silenceBound = hoursOfWeek * hourMillis
)

// unlikely is the chance below which a silence is unusual: once in 500 times.
var unlikely = math.Log(500)

// Rhythm is when a stream usually speaks: which hours of the last eight weeks
// had a record. It is a value: methods answer a new one and leave theirs. The
// zero value knows nothing. In JSON it takes 260 bytes.
type Rhythm struct {
	// Week is the newest week in which something was learned, counted from the
	// epoch, which fell on a Thursday, in UTC.
	Week int64 `json:"week,omitempty"`
	// Hours has a byte for each hour of the week, whose bit k is set when that
	// hour had a record in the week Week−k; nil when nothing was learned.
	Hours []byte `json:"hours,omitempty"`
}

// hourOf is the hour since the epoch in which ms lies, rounded down.
func hourOf(ms int64) int64 { return floorDiv(ms, hourMillis) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Learn is the rhythm with records at those times (ms since the epoch) in any
// order. Times more than eight weeks before the newest are forgotten. The
// caller leaves out what is dated in the future: one such record would make the
// rhythm forget the present.
func (r Rhythm) Learn(millis ...int64) Rhythm {
	out, changed := r, false
	for _, ms := range millis {
		hour := hourOf(ms)
		week := floorDiv(hour, hoursOfWeek)
		slot, bit := hour-week*hoursOfWeek, out.Week-week
		if len(out.Hours) != hoursOfWeek {
			out = Rhythm{Week: week, Hours: make([]byte, hoursOfWeek)}
			bit, changed = 0, true
		}
		if bit >= rhythmWeeks || bit >= 0 && out.Hours[slot]&(1<<bit) != 0 {
			continue
		}
		if !changed {
			out.Hours, changed = slices.Clone(out.Hours), true
		}
		if bit < 0 {
			for i, b := range out.Hours {
				out.Hours[i] = shifted(b, -bit)
			}
			out.Week, bit = week, 0
		}
		out.Hours[slot] |= 1 << bit
	}
	return out
}

func shifted(b byte, weeks int64) byte {
	if weeks >= rhythmWeeks {
		return 0
	}
	return b << weeks
}

// spoke reports whether the hour had a record, as far as that is remembered.
func (r Rhythm) spoke(hour int64) bool {
	week := floorDiv(hour, hoursOfWeek)
	bit := r.Week - week
	return bit >= 0 && bit < rhythmWeeks && r.Hours[hour-week*hoursOfWeek]&(1<<bit) != 0
}

// Unusual reports whether a silence from last, the time of the newest record,
// to now is longer than the rhythm explains; since is from when on the stream
// was watched. All are in ms since the epoch.
//
// Each whole hour of the silence counts by how often the same hour of the week
// spoke in the weeks before it, so that nights and weekends that are always
// quiet count nothing. A silence of a week is unusual whatever the rhythm.
// "Unusual" is a reason to look, not an alarm: a holiday is unusual, too.
func (r Rhythm) Unusual(since, last, now int64) bool {
	if now-last >= silenceBound {
		return true
	}
	if len(r.Hours) != hoursOfWeek {
		return false
	}
	weight := 0.0
	for hour := hourOf(last) + 1; hour < hourOf(now); hour++ {
		weeks, spoke := 0, 0
		for k := int64(1); k <= rhythmWeeks; k++ {
			before := hour - k*hoursOfWeek
			if before > hourOf(last) || before < hourOf(since) || r.Week-floorDiv(before, hoursOfWeek) >= rhythmWeeks {
				continue
			}
			weeks++
			if r.spoke(before) {
				spoke++
			}
		}
		// As if there had been one more week in which the hour was silent: few
		// weeks prove little.
		weight -= math.Log1p(-float64(spoke) / float64(weeks+1))
	}
	return weight >= unlikely
}
