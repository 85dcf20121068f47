package audit

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// LateAfter is the age beyond which a record has no official date of its own.
const LateAfter = time.Duration(lateAfter) * time.Millisecond

// Stored is what a line of Line's says of itself.
type Stored struct {
	// Home and Product name the stream that it belongs to; see Stream.Home.
	Home    string
	Product Product
	// RecordID tells a repetition from a twin.
	RecordID string
	// Created is the record's own time in milliseconds since the epoch; it means
	// nothing when Dated is false.
	Created int64
	Dated   bool
	// Official is the date that Datadog takes for the log's, in milliseconds;
	// HasOfficial is false for a late line and for an undated one.
	Official    int64
	HasOfficial bool
	// Late tells that the line is kept under the time of its arrival.
	Late bool
}

// The names of fields as Line writes them. A record's own field of such a name
// never stands at the top level, so what does is ours.
var (
	nameTimestamp = []byte(`"timestamp"`)
	nameAtlassian = []byte(`"atlassian"`)
	nameCreated   = []byte(`"created"`)
	wordTrue      = []byte("true")
)

// ReadLine reads a line, with or without its '\n'. It is not ok for anything
// that Line cannot have made: a part of a line, or another's.
func ReadLine(line []byte) (s Stored, ok bool) {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	var ours span
	var site, cloudID string
	found := false
	ok = eachField(line, func(f span, _ bool) {
		switch key := line[f.key:f.keyEnd]; {
		case bytes.Equal(key, nameTimestamp):
			n, err := strconv.ParseInt(string(line[f.value:f.valueEnd]), 10, 64)
			s.Official, s.HasOfficial = n, err == nil
		case bytes.Equal(key, nameAtlassian):
			ours, found = f, true
		}
	})
	if !ok || !found {
		return Stored{}, false
	}
	object := line[ours.value:ours.valueEnd]
	isObject := eachField(object, func(f span, _ bool) {
		value := object[f.value:f.valueEnd]
		text := func() string {
			if value[0] != '"' {
				return ""
			}
			return string(decodeString(value))
		}
		switch string(object[f.key:f.keyEnd]) {
		case `"site"`:
			site = text()
		case `"cloud_id"`:
			cloudID = text()
		case `"product"`:
			s.Product = Product(text())
		case `"record_id"`:
			s.RecordID = text()
		case `"created"`:
			at, err := time.Parse(time.RFC3339Nano, text())
			s.Created, s.Dated = at.UnixMilli(), err == nil
		case `"late"`:
			s.Late = s.Late || bytes.Equal(value, wordTrue)
		}
	})
	if !isObject || s.Product == "" || s.RecordID == "" {
		return Stored{}, false
	}
	// Where there is no cloud id, record_id begins with the home.
	s.Home = site
	if home, _, found := strings.Cut(s.RecordID, ":"+string(s.Product)+":"); found && cloudID == "" {
		s.Home = home
	}
	return s, true
}

// ReadDates is ReadLine for whoever wants to know of a line that is his own only
// when it was written for: of the answer, Created, Official and Late with what
// belongs to them are filled in. Most lines end with these, so that it need not
// look at the rest: a line that was damaged elsewhere may pass.
func ReadDates(line []byte) (s Stored, ok bool) {
	const date = len(`,"created":"2006-01-02T15:04:05.000Z"`)
	text, ok := bytes.CutSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte("}}"))
	if !ok || len(text) == 0 || text[0] != '{' {
		return ReadLine(line)
	}
	// A string cannot hold the name with its quotes, and a record's own fields
	// within atlassian are followed by one brace more.
	text, s.Late = bytes.CutSuffix(text, []byte(`,"late":true`))
	if len(text) < date {
		return ReadLine(line)
	}
	text, found := bytes.CutPrefix(text[len(text)-date:], []byte(`,"created":"`))
	if !found {
		return ReadLine(line)
	}
	if s.Created, s.Dated = parseMoment(text[:len(text)-1]); !s.Dated {
		return ReadLine(line)
	}
	if !s.Late {
		s.Official, s.HasOfficial = s.Created, true
	}
	return s, true
}

// parseMoment reads what appendMoment writes of a year of four digits.
func parseMoment(text []byte) (ms int64, ok bool) {
	const layout = "0000-00-00T00:00:00.000Z"
	if len(text) != len(layout) {
		return 0, false
	}
	for i, c := range []byte(layout) {
		if isDigit := '0' <= text[i] && text[i] <= '9'; c == '0' && !isDigit || c != '0' && c != text[i] {
			return 0, false
		}
	}
	number := func(from, to int) (n int) {
		for _, c := range text[from:to] {
			n = 10*n + int(c-'0')
		}
		return n
	}
	t := time.Date(number(0, 4), time.Month(number(5, 7)), number(8, 10), number(11, 13), number(14, 16), number(17, 19), number(20, 23)*1e6, time.UTC)
	return t.UnixMilli(), true
}

// TooOld reports whether the line's official date is so old at the moment now, in
// milliseconds, that Datadog may refuse it when it arrives.
func (s Stored) TooOld(now int64) bool { return s.HasOfficial && s.Official < now-lateAfter }

// AppendLate appends line as Line would have made it of a late record: without
// timestamp and the record's own date field, with atlassian.late. Every other
// byte stays as it is. A line that has no official date, and what is no line of
// ours, is appended unchanged, and changed is false.
func AppendLate(dst, line []byte) (out []byte, changed bool) {
	s, ok := ReadLine(line)
	if !ok || !s.HasOfficial || !s.Dated {
		return append(dst, line...), false
	}
	text := bytes.TrimSuffix(line, []byte{'\n'})
	drop := dateField(s.Product)
	out = append(dst, '{')
	first := true
	eachField(text, func(f span, _ bool) {
		key := text[f.key:f.keyEnd]
		if bytes.Equal(key, nameTimestamp) || drop != "" && string(decodeString(key)) == drop {
			return
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		if !bytes.Equal(key, nameAtlassian) {
			out = append(out, text[f.key:f.valueEnd]...)
			return
		}
		out = appendLateMark(append(append(out, key...), ':'), text[f.value:f.valueEnd])
	})
	out = append(out, '}')
	return append(out, line[len(text):]...), true
}

// appendLateMark appends the value of atlassian with "late" behind its date.
func appendLateMark(dst, object []byte) []byte {
	at := 0
	eachField(object, func(f span, _ bool) {
		if at == 0 && bytes.Equal(object[f.key:f.keyEnd], nameCreated) {
			at = f.valueEnd
		}
	})
	dst = append(append(dst, object[:at]...), `,"late":true`...)
	return append(dst, object[at:]...)
}
