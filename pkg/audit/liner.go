package audit

import (
	"strconv"
	"time"
)

// Liner makes the log lines of one stream, as Line does: what all lines share is
// put together once. It is for one goroutine.
type Liner struct {
	o     LineOptions
	scope string
	// labels are ddsource, service and ddtags; home is the beginning of atlassian,
	// up to the quote that opens record_id.
	labels, home []byte
	// id is where a record_id is put together.
	id []byte
	// events are the attributes evt of what was done, as far as they were put together:
	// there are many records and few kinds of them.
	events map[event]string
	// places are the attributes network, likewise: few machines do most of it.
	places map[place]string
}

// event is what an attribute evt is made of, and place what network is, as JSON
// values.
type (
	event struct{ action, category string }
	place struct {
		address string
		inside  bool
	}
)

const (
	// maxKept is how many of each a Liner keeps, keptLength how long their values
	// may be.
	maxKept    = 500
	keptLength = 200
)

// NewLiner puts together what the lines share.
func NewLiner(o LineOptions) *Liner {
	service := o.Service
	if service == "" {
		service = o.Stream.Product.Service()
	}
	l := &Liner{o: o, scope: o.Stream.Scope(), events: map[event]string{}, places: map[place]string{}}
	b := append(l.labels, `"ddsource":"`...)
	b = appendEscaped(b, o.Stream.Product.LogSource())
	b = append(b, `","service":"`...)
	b = appendEscaped(b, service)
	b = append(b, `","ddtags":"`...)
	b = appendTags(b, o)
	l.labels = append(b, `",`...)

	b = append(l.home, `"atlassian":{"site":"`...)
	b = appendEscaped(b, o.Stream.Site)
	if o.Stream.Organization != "" {
		b = append(b, `","organization":"`...)
		b = appendEscaped(b, o.Stream.Organization)
	}
	b = append(b, `","cloud_id":"`...)
	b = appendEscaped(b, o.Stream.CloudID)
	b = append(b, `","product":"`...)
	b = appendEscaped(b, string(o.Stream.Product))
	l.home = append(b, `","record_id":"`...)
	return l
}

// Append appends the line of r, which is the occurrence-th of its twins: see
// Line, and RecordID.
func (l *Liner) Append(dst []byte, r Record, occurrence int) (line []byte, info LineInfo) {
	l.id = appendRecordID(l.id[:0], l.scope, r, occurrence)
	return l.append(dst, r, l.id, MaxLine)
}

// append is Line for lines of at most limit bytes.
func (l *Liner) append(dst []byte, r Record, recordID []byte, limit int) (line []byte, info LineInfo) {
	info.Late = r.late(l.o.NowMillis)
	drop := ""
	if info.Late {
		drop = dateField(l.o.Stream.Product)
	}

	start := len(dst)
	facts := r.tokens()
	if l.o.Names != nil {
		facts.fill(l.o.Names)
	}
	if l.o.Redact != nil {
		r.Raw, facts = l.o.Redact.apply(r, facts)
		r.Checked = false
	}
	var out, value []byte
	var moved []span
	ok := true
	if r.Checked {
		out = appendChecked(dst, r, drop != "")
	} else if out, moved, ok = appendFields(append(dst, '{'), r.Raw, drop); !ok {
		out, moved = append(out[:start], '{'), nil
		facts = tokens{}
	}
	out = l.appendOurs(out, r, &facts, recordID, info.Late)
	switch {
	case !ok:
		value = loneValue(r.Raw)
		out = append(append(out, `,"value":`...), value...)
	case len(moved) > 0:
		out = append(out, `,"record":{`...)
		for i, s := range moved {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(append(out, r.Raw[s.key:s.keyEnd]...), ':')
			out = appendCompact(out, r.Raw[s.value:s.valueEnd])
		}
		out = append(out, '}')
	}
	out = append(out, "}}\n"...)
	if len(out)-start <= limit {
		return out, info
	}
	out, info.Truncated = l.appendReduced(out[:start], r, &facts, value, recordID, info.Late, limit)
	return out, info
}

// appendChecked appends a record that is Checked, the brace at its end aside,
// without its date field if that is to be dropped.
func appendChecked(dst []byte, r Record, dropDate bool) []byte {
	raw, f := r.Raw[:len(r.Raw)-1], r.DateField
	if !dropDate || f.To <= f.From {
		return append(dst, raw...)
	}
	before, after := raw[:f.From], raw[f.To:]
	if len(after) > 0 {
		after = after[1:] // the comma between it and the next
	} else if len(before) > 1 {
		before = before[:len(before)-1] // the one between it and the last
	}
	return append(append(dst, before...), after...)
}

// appendOurs appends our fields to the object that is open at the end of dst,
// up to and without the end of atlassian.
func (l *Liner) appendOurs(dst []byte, r Record, facts *tokens, recordID []byte, late bool) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	if r.Dated && !late {
		dst = append(dst, `"timestamp":`...)
		dst = strconv.AppendInt(dst, r.Millis, 10)
		dst = append(dst, ',')
	}
	dst = append(dst, l.labels...)
	dst = appendUser(dst, facts)
	dst = l.appendPlace(dst, facts)
	dst = l.appendEvent(dst, facts)
	dst = append(dst, l.home...)
	dst = appendEscaped(dst, recordID)
	dst = append(dst, '"')
	if r.Dated {
		dst = append(dst, `,"created":"`...)
		dst = appendMoment(dst, r.Millis)
		dst = append(dst, '"')
	}
	if late {
		dst = append(dst, `,"late":true`...)
	}
	return dst
}

// appendPlace is appendAddress, looked into once for each address that Atlassian
// gives.
func (l *Liner) appendPlace(dst []byte, t *tokens) []byte {
	if t.client != nil {
		return appendAddress(dst, t)
	}
	if p, ok := l.places[place{string(t.address), t.inside}]; ok {
		return append(dst, p...)
	}
	start := len(dst)
	dst = appendAddress(dst, t)
	if len(t.address) <= keptLength && len(l.places) < maxKept {
		l.places[place{string(t.address), t.inside}] = string(dst[start:])
	}
	return dst
}

// appendEvent is appendEvent, put together once for each kind.
func (l *Liner) appendEvent(dst []byte, t *tokens) []byte {
	if e, ok := l.events[event{string(t.action), string(t.category)}]; ok {
		return append(dst, e...)
	}
	start := len(dst)
	dst = appendEvent(dst, t)
	if len(t.action)+len(t.category) <= keptLength && len(l.events) < maxKept {
		l.events[event{string(t.action), string(t.category)}] = string(dst[start:])
	}
	return dst
}

// appendMoment appends a moment as RFC 3339 in UTC has it, with three digits
// of the second.
func appendMoment(dst []byte, ms int64) []byte {
	t := time.UnixMilli(ms).UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(dst, "2006-01-02T15:04:05.000Z07:00")
	}
	hour, minute, second := t.Clock()
	dst = appendDigits(dst, year, 4)
	dst = appendDigits(append(dst, '-'), int(month), 2)
	dst = appendDigits(append(dst, '-'), day, 2)
	dst = appendDigits(append(dst, 'T'), hour, 2)
	dst = appendDigits(append(dst, ':'), minute, 2)
	dst = appendDigits(append(dst, ':'), second, 2)
	dst = appendDigits(append(dst, '.'), t.Nanosecond()/1e6, 3)
	return append(dst, 'Z')
}

// appendDigits appends the last n decimal digits of v, 2 to 4.
func appendDigits(dst []byte, v, n int) []byte {
	switch n {
	case 2:
		return append(dst, byte('0'+v/10%10), byte('0'+v%10))
	case 3:
		return append(dst, byte('0'+v/100%10), byte('0'+v/10%10), byte('0'+v%10))
	default:
		return append(dst, byte('0'+v/1000%10), byte('0'+v/100%10), byte('0'+v/10%10), byte('0'+v%10))
	}
}

// Reserved reports whether a field of the record must not stand at the top level
// of its line under this name, which is ours.
func Reserved(name []byte) bool {
	switch string(name) {
	case "timestamp", "ddsource", "service", "ddtags", "usr", "network", "evt", "atlassian", "message":
		return true
	}
	return false
}
