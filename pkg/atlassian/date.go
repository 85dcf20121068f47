package atlassian

import "strconv"

// The milliseconds of the years 1 and 9999: no date outside them is believed.
const (
	minMillis int64 = -62135596800000
	maxMillis int64 = 253402300799999
)

// parseDate reads a record's date field, a JSON value, as milliseconds since
// the epoch. ok is false when it cannot be read.
//
// Jira documents a date-time and sends "2022-01-06T09:49:07.418+0000", without
// the colon that RFC 3339 wants (documented example, and observed). Confluence
// documents epoch milliseconds as a number. Both are read from either, as are
// the other forms of ISO 8601 with a time of day; digits beyond the
// millisecond are cut off, and a time without a zone is UTC.
func parseDate(raw []byte) (ms int64, ok bool) {
	if len(raw) == 0 {
		return 0, false
	}
	text := raw
	if raw[0] == '"' {
		text = raw[1 : len(raw)-1]
		for _, c := range text {
			if c == '\\' {
				t, good := unquote(raw)
				if !good {
					return 0, false
				}
				text = []byte(t)
				break
			}
		}
		for len(text) > 0 && text[0] == ' ' {
			text = text[1:]
		}
		for len(text) > 0 && text[len(text)-1] == ' ' {
			text = text[:len(text)-1]
		}
		if ms, ok = parseISO(text); ok {
			return ms, true
		}
	}
	return parseEpoch(text)
}

// parseEpoch reads a number of milliseconds since the epoch.
func parseEpoch(text []byte) (int64, bool) {
	if len(text) == 0 || len(text) > 32 || text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return 0, false
	}
	ms, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		// 1.642495383045E12 is what some encoders make of a large number; below
		// 2^53 a float64 holds it exactly.
		f, ferr := strconv.ParseFloat(string(text), 64)
		if ferr != nil || !(f >= float64(minMillis) && f <= float64(maxMillis)) {
			return 0, false
		}
		ms = int64(f)
	}
	return ms, minMillis <= ms && ms <= maxMillis
}

// parseISO reads YYYY-MM-DD, a 'T' or blank, HH:MM, perhaps :SS and a
// fraction, and perhaps a zone: Z, +HH, +HHMM or +HH:MM.
func parseISO(t []byte) (ms int64, ok bool) {
	p := dateParser{t: t}
	year := p.number(4)
	p.expect('-')
	month := p.number(2)
	p.expect('-')
	day := p.number(2)
	if !p.accept('T') && !p.accept('t') {
		p.expect(' ')
	}
	hour := p.number(2)
	p.expect(':')
	minute := p.number(2)
	second, milli := 0, 0
	if p.accept(':') {
		second = p.number(2)
		if p.accept('.') || p.accept(',') {
			milli = p.fraction()
		}
	}
	offset := p.zone()
	if p.bad || p.i != len(t) || year < 1 || month < 1 || month > 12 || day < 1 ||
		day > daysIn(year, month) || hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	seconds := (daysBefore(year, month)+int64(day-1))*86_400 + int64(hour*3600+minute*60+second)
	ms = seconds*1000 + int64(milli) - int64(offset)*60_000
	return ms, minMillis <= ms && ms <= maxMillis
}

func daysIn(year, month int) int {
	switch {
	case month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0):
		return 29
	case month == 2:
		return 28
	case month == 4 || month == 6 || month == 9 || month == 11:
		return 30
	}
	return 31
}

// daysBefore is how many days lie between the epoch and the first of a month, in
// the proleptic Gregorian calendar. Its year begins with March, so that the day that
// is there in some years only is the last.
func daysBefore(year, month int) int64 {
	y, m := int64(year), int64(month)-3
	if m < 0 {
		y, m = y-1, m+12
	}
	return 365*y + y/4 - y/100 + y/400 + (153*m+2)/5 - 719_468
}

type dateParser struct {
	t   []byte
	i   int
	bad bool
}

func (p *dateParser) accept(c byte) bool {
	if p.i < len(p.t) && p.t[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *dateParser) expect(c byte) {
	if !p.accept(c) {
		p.bad = true
	}
}

// number reads exactly n digits.
func (p *dateParser) number(n int) int {
	v := 0
	for range n {
		if p.i >= len(p.t) || p.t[p.i] < '0' || p.t[p.i] > '9' {
			p.bad = true
			return 0
		}
		v = v*10 + int(p.t[p.i]-'0')
		p.i++
	}
	return v
}

// fraction reads at least one digit and keeps three of them.
func (p *dateParser) fraction() int {
	start, v, scale := p.i, 0, 100
	for p.i < len(p.t) && '0' <= p.t[p.i] && p.t[p.i] <= '9' {
		v += int(p.t[p.i]-'0') * scale
		scale /= 10
		p.i++
	}
	if p.i == start {
		p.bad = true
	}
	return v
}

// zone reads what is left as a zone, in minutes east of UTC.
func (p *dateParser) zone() int {
	p.accept(' ')
	if p.i >= len(p.t) || p.accept('Z') || p.accept('z') {
		return 0
	}
	sign := 1
	if p.accept('-') {
		sign = -1
	} else {
		p.expect('+')
	}
	hours, minutes := p.number(2), 0
	if p.accept(':') || p.i < len(p.t) {
		minutes = p.number(2)
	}
	if hours > 23 || minutes > 59 {
		p.bad = true
	}
	return sign * (hours*60 + minutes)
}
