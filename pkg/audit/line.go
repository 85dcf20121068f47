package audit

import (
	"bytes"
	"strings"
	"time"
)

// MaxLine is the length in bytes that no line exceeds, its '\n' included: the
// Agent splits what is longer (logs_config.max_message_size_bytes).
const MaxLine = 900_000

// A record is late when it is dated more than lateAfter before the moment of
// spooling, or more than lateAhead after it. Datadog refuses a log whose
// official date is over 18 hours old or over 2 hours ahead; the rest is the
// time that the Agent may need.
const (
	lateAfter = int64(17 * time.Hour / time.Millisecond)
	lateAhead = int64(time.Hour / time.Millisecond)
)

// LineOptions are what a log line carries besides the record.
type LineOptions struct {
	Stream Stream
	// Service and Tags become the line's service and ddtags; tags are "key:value".
	Service string
	Tags    []string
	// NowMillis is the moment of spooling, which decides whether a record is late.
	NowMillis int64
	// Names tells the name and e-mail address of an actor of whom the record
	// gives but the id; nil knows nobody.
	Names Names
	// Redact takes things out of the record, and out of what Names told; nil
	// takes nothing.
	Redact *Redaction
}

// LineInfo is what became of a record on its way into a line.
type LineInfo struct {
	// Late tells that the record is kept under the time of its arrival.
	Late bool
	// Truncated are the paths of what was cut ("changedValues[3].to"), as they
	// stand in atlassian.truncated. When there are any, the whole record must
	// be kept elsewhere.
	Truncated []string
}

// Line appends the log line of r to dst: one JSON object that ends in '\n' and
// holds no other line break.
//
// The record's fields come first, in their order and with their values
// unchanged to the byte, white space between tokens aside, unless a Redaction
// asks for something else; then timestamp (epoch milliseconds), ddsource,
// service, ddtags, Datadog's standard attributes usr, network and evt (see
// appendAttributes), and atlassian. A field whose name, decoded, is one of these
// or "message" becomes atlassian.record.<name>.
// Repeated names stay repeated. Bytes that are not UTF-8 stay as they are: the
// value is Atlassian's, and the Agent replaces them when it sends.
//
// A late record carries no timestamp and not its own date field; an undated
// one carries no timestamp, no atlassian.created, and all its fields. A record
// that is no JSON object becomes atlassian.value, as a string when it is not
// even JSON. A line that would exceed MaxLine is reduced (see LineInfo);
// recordID, service and tags are never cut, so they must stay far below it.
func Line(dst []byte, r Record, recordID string, o LineOptions) (line []byte, info LineInfo) {
	return NewLiner(o).append(dst, r, []byte(recordID), MaxLine)
}

// late reports whether Datadog would refuse r's own date at the moment now.
func (r Record) late(now int64) bool {
	return r.Dated && (r.Millis < now-lateAfter || r.Millis > now+lateAhead)
}

// dateField is the name of the field that dates the product's records.
func dateField(p Product) string {
	switch p {
	case Jira:
		return "created"
	case Confluence:
		return "creationDate"
	}
	return ""
}

// home says where in the line a field of the record stands.
type home int

const (
	homeTop     home = iota // at the top level
	homeRecord              // under atlassian.record
	homeNowhere             // left out
)

// homeOf is where the field with this key, quotes included, stands.
func homeOf(key []byte, drop string) home {
	name := decodeString(key)
	switch {
	case Reserved(name):
		return homeRecord
	case drop != "" && string(name) == drop:
		return homeNowhere
	}
	return homeTop
}

// span is a field of a JSON object as byte positions in the text around it.
// The key includes its quotes.
type span struct {
	key, keyEnd     int
	value, valueEnd int
}

// appendFields appends the fields of the object src that stand at the top
// level, separated by commas, and returns those that stand under
// atlassian.record. It is not ok when src is not a JSON object.
func appendFields(dst, src []byte, drop string) (out []byte, moved []span, ok bool) {
	first := true
	ok = eachField(src, func(f span, spaced bool) {
		switch homeOf(src[f.key:f.keyEnd], drop) {
		case homeNowhere:
		case homeRecord:
			moved = append(moved, f)
		default:
			if !first {
				dst = append(dst, ',')
			}
			first = false
			if spaced {
				dst = append(append(dst, src[f.key:f.keyEnd]...), ':')
				dst = appendCompact(dst, src[f.value:f.valueEnd])
			} else {
				dst = append(dst, src[f.key:f.valueEnd]...)
			}
		}
	})
	return dst, moved, ok
}

// appendTags appends the instance's tags and the site's, separated by commas.
// A comma within a tag becomes '_', which is what Datadog makes of characters
// that a tag may not hold; otherwise one tag would arrive as two.
func appendTags(dst []byte, o LineOptions) []byte {
	for _, tag := range o.Tags {
		tag = strings.TrimSpace(tag)
		if tag == "" {
			continue
		}
		dst = appendEscaped(dst, strings.ReplaceAll(tag, ",", "_"))
		dst = append(dst, ',')
	}
	if o.Stream.Path != "" {
		dst = append(dst, "context_path:"...)
		dst = append(appendEscaped(dst, strings.ReplaceAll(o.Stream.Path, ",", "_")), ',')
	}
	if o.Stream.Organization != "" {
		dst = append(dst, "organization:"...)
		dst = appendEscaped(dst, o.Stream.Organization)
		dst = append(dst, ',')
	}
	if o.Stream.Site != "" {
		dst = append(dst, "site:"...)
		return appendEscaped(dst, o.Stream.Site)
	}
	return bytes.TrimSuffix(dst, []byte(","))
}

// loneValue is the JSON value that stands for a record that is no object: the
// record itself, or its text as a string when it is not JSON.
func loneValue(raw []byte) []byte {
	s := scanner{src: raw}
	s.space()
	start := s.at
	if s.value(maxDepth) {
		end := s.at
		s.space()
		if s.at == len(raw) {
			return appendCompact(nil, raw[start:end])
		}
	}
	return append(appendEscaped([]byte{'"'}, string(raw)), '"')
}
