package check

import (
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// duration reads a span of time written as a whole number and a unit: 90s,
// 15m, 24h, 30d. Both bounds are allowed values.
func (s *section) duration(key string, byDefault, least, most time.Duration) time.Duration {
	f, ok := s.fields[key]
	if !ok || f.null() {
		return byDefault
	}
	if _, whole, isNumber := s.number(key); isNumber {
		if whole {
			s.addf(key, "has no unit: write a whole number followed by s, m, h or d, like %s", spanned(byDefault))
		} else {
			s.addf(key, "must be a whole number followed by s, m, h or d, like %s", spanned(byDefault))
		}
		return byDefault
	}
	v, ok := s.str(key)
	if !ok {
		return byDefault
	}
	d, ok := parseSpan(v)
	if !ok {
		s.addf(key, "must be a whole number followed by s, m, h or d, like %s, not %s", spanned(byDefault), shown(v))
		return byDefault
	}
	if d < least || d > most {
		s.addf(key, "must be from %s to %s, not %s", spanned(least), spanned(most), shown(v))
		return byDefault
	}
	return d
}

// parseSpan reads "90s"; a number too large for a Duration becomes the largest.
func parseSpan(v string) (time.Duration, bool) {
	if len(v) < 2 {
		return 0, false
	}
	unit, ok := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': day}[v[len(v)-1]]
	digits := v[:len(v)-1]
	if !ok || !allDigits(digits) {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > int64(math.MaxInt64/unit) {
		return math.MaxInt64, true
	}
	return time.Duration(n) * unit, true
}

// spanned writes d as parseSpan reads it, in the largest unit that fits; days
// only from three on, since people say 24h and 48h.
func spanned(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d >= u.unit && d%u.unit == 0 && (u.unit != day || d >= 3*day) {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// seconds reads a number of seconds, as the Agent's integrations write timeouts.
func (s *section) seconds(key string, byDefault, least, most time.Duration) time.Duration {
	f, ok := s.fields[key]
	if !ok || f.null() {
		return byDefault
	}
	v, _, isNumber := s.number(key)
	if !isNumber {
		s.addf(key, "must be a number of seconds, like %d, without quotes or unit", byDefault/time.Second)
		return byDefault
	}
	if v < least.Seconds() || v > most.Seconds() {
		s.addf(key, "must be from %d to %d seconds", least/time.Second, most/time.Second)
		return byDefault
	}
	return time.Duration(v * float64(time.Second))
}

// wholeSeconds is seconds for an option that the Agent reads too, as an integer.
func (s *section) wholeSeconds(key string, byDefault, least, most time.Duration) time.Duration {
	if _, whole, isNumber := s.number(key); s.given(key) && (!isNumber || !whole) {
		s.addf(key, "must be a whole number of seconds, like %d, without quotes or unit", byDefault/time.Second)
		return byDefault
	}
	return s.seconds(key, byDefault, least, most)
}

// size reads a number of bytes: 1GiB, 500MiB, 64MB, or a plain number.
func (s *section) size(key string, byDefault, least, most int64) int64 {
	f, ok := s.fields[key]
	if !ok || f.null() {
		return byDefault
	}
	var n int64
	if _, whole, isNumber := s.number(key); isNumber && whole {
		n, ok = parseSize(f.value.Value)
	} else {
		var v string
		if isNumber {
			v = f.value.Value
		} else if v, ok = s.str(key); !ok {
			return byDefault
		}
		n, ok = parseSize(v)
	}
	if !ok {
		s.addf(key, "must be a whole number followed by KiB, MiB, GiB, KB, MB or GB, like %s, not %s", sized(byDefault), shown(f.value.Value))
		return byDefault
	}
	if n < least || n > most {
		s.addf(key, "must be from %s to %s, not %s", sized(least), sized(most), shown(f.value.Value))
		return byDefault
	}
	return n
}

func parseSize(v string) (int64, bool) {
	unit := int64(1)
	for _, u := range []struct {
		name string
		unit int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}} {
		if cut, found := strings.CutSuffix(v, u.name); found {
			v, unit = strings.TrimRight(cut, " "), u.unit
			break
		}
	}
	if !allDigits(v) {
		return 0, false
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n > math.MaxInt64/unit {
		return math.MaxInt64, true
	}
	return n * unit, true
}

func sized(n int64) string {
	for _, u := range []struct {
		name string
		unit int64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.unit && n%u.unit == 0 {
			return strconv.FormatInt(n/u.unit, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

func allDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
