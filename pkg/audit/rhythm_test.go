package audit_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"atlassian_audit_records/pkg/audit"
)

const (
	anHour = int64(time.Hour / time.Millisecond)
	aDay   = 24 * anHour
	aWeek  = 7 * aDay
)

// monday is 2026-01-05T00:00Z.
var monday = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC).UnixMilli()

// calendar says whether a site speaks in an hour, which is given by its number
// since monday.
type calendar func(hour int64) bool

func office(hour int64) bool {
	return hour/24%7 < 5 && hour%24 >= 8 && hour%24 < 17
}

func always(int64) bool { return true }

func nightly(hour int64) bool { return hour%24 == 2 }

// holidays is the office with a fortnight in which nobody comes.
func holidays(hour int64) bool { return office(hour) && (hour < 5*168 || hour >= 7*168) }

func weekly(hour int64) bool { return hour%168 == 35 }

// learned is the rhythm after so many hours, the last of them included, and
// the time of the last record.
func learned(c calendar, hours int64) (r audit.Rhythm, last int64) {
	last = monday
	for h := range hours {
		if c(h) {
			last = monday + h*anHour + anHour/3
			r = r.Learn(last)
		}
	}
	return r, last
}

func TestASilenceIsUnusualWhereTheRhythmDoesNotExplainIt(t *testing.T) {
	t.Parallel()
	// A silence begins with the last record before the hour from, and unusual is
	// how many hours later it is unusual first.
	for _, tt := range []struct {
		name    string
		c       calendar
		from    int64
		unusual int64
	}{
		{"a site that speaks each hour, after eight weeks", always, 8 * 168, 3},
		{"a site that speaks each hour, after two weeks", always, 2 * 168, 6},
		{"a site that speaks each hour, in its first days", always, 48, 5*24 + 9},
		{"an office on a Wednesday morning", office, 8*168 + 48 + 10, 3},
		{"an office on a Friday evening is silent until Monday noon", office, 8*168 + 4*24 + 17, 2*24 + 15 + 3},
		{"an office overnight is silent until noon", office, 8*168 + 17, 15 + 3},
		{"a nightly batch that stays away", nightly, 8*168 + 3, 3 * 24},
		{"one record a week", weekly, 8*168 + 36, 7 * 24},
		{"an office after a holiday fortnight is watched less closely", holidays, 8*168 + 48 + 10, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, last := learned(tt.c, tt.from)
			got := int64(-1)
			for h := int64(0); h <= 200; h++ {
				// A moment after the hour has begun.
				now := monday + (tt.from+h)*anHour + 1000
				switch unusual := r.Unusual(monday, last, now); {
				case unusual && got < 0:
					got = h
				case !unusual && got >= 0:
					t.Fatalf("after %d hours it is usual again", h)
				}
			}
			if got != tt.unusual {
				t.Errorf("unusual after %d hours, want %d", got, tt.unusual)
			}
		})
	}
}

// TestARhythmExplainsItself draws a calendar in which each hour of the week
// either always speaks or never, and a moment: as long as the site keeps to it, no silence
// is unusual; where it does not, it is so at the latest when the third or, for few
// weeks, seventh of its hours has passed in silence, or a week.
func TestARhythmExplainsItself(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.SliceOfN(rapid.Bool(), 168, 168).Draw(t, "pattern")
		speaks := func(h int64) bool { return pattern[h%168] }
		weeks := rapid.Int64Range(2, 12).Draw(t, "weeks")
		until := weeks*168 + rapid.Int64Range(0, 167).Draw(t, "hour")
		r, last := learned(speaks, until)
		if last == monday {
			return // it never speaks
		}
		now := monday + until*anHour + rapid.Int64Range(0, anHour-1).Draw(t, "ms")
		if now-last < aWeek && r.Unusual(monday, last, now) {
			t.Fatalf("usual silence from %d to %d is called unusual", last, now)
		}
		missed := int64(0)
		for h := until; ; h++ {
			now := monday + (h+1)*anHour
			if speaks(h) {
				missed++
			}
			if r.Unusual(monday, last, now) {
				return
			}
			if missed >= 7 || now-last >= aWeek {
				t.Fatalf("%d of its hours passed in silence unnoticed, %d in all", missed, h-until)
			}
		}
	})
}

func TestLearningDoesNotDependOnTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOf(rapid.Int64Range(monday-20*aWeek, monday+20*aWeek)).Draw(t, "times")
		forward := audit.Rhythm{}.Learn(times...)
		one := audit.Rhythm{}
		for i := len(times) - 1; i >= 0; i-- {
			before := copyOf(t, one)
			next := one.Learn(times[i])
			if diff := cmp.Diff(before, one); diff != "" {
				t.Fatalf("learning changed what was there (-before +after):\n%s", diff)
			}
			one = next
		}
		if diff := cmp.Diff(forward, one); diff != "" {
			t.Fatalf("in another order (-forward +backward):\n%s", diff)
		}
		if again := forward.Learn(times...); !cmp.Equal(forward, again) {
			t.Fatal("learning the same again changed something")
		}
	})
}

func copyOf(t *rapid.T, r audit.Rhythm) (out audit.Rhythm) {
	text, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 300 {
		t.Fatalf("%d bytes of JSON", len(text))
	}
	return out
}

func TestAForeignRhythmIsAsGoodAsNone(t *testing.T) {
	t.Parallel()
	r := audit.Rhythm{Week: 5, Hours: []byte{1, 2, 3}}
	if r.Unusual(0, monday, monday+aDay) {
		t.Error("it explains something")
	}
	if got := r.Learn(monday); len(got.Hours) != 168 {
		t.Errorf("%+v", got)
	}
}
