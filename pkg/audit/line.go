package audit

import (
	"bytes"
	"strconv"
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
	return appendLine(dst, r, recordID, o, MaxLine)
}

// appendLine is Line for lines of at most limit bytes.
func appendLine(dst []byte, r Record, recordID string, o LineOptions, limit int) (line []byte, info LineInfo) {
	info.Late = r.late(o.NowMillis)
	drop := ""
	if info.Late {
		drop = dateField(o.Stream.Product)
	}

	start := len(dst)
	facts := r.tokens()
	if o.Names != nil {
		facts.fill(o.Names)
	}
	if o.Redact != nil {
		r.Raw, facts = o.Redact.apply(r, facts)
	}
	out, moved, ok := appendFields(append(dst, '{'), r.Raw, drop)
	if !ok {
		out, moved = append(out[:start], '{'), nil
		facts = tokens{}
	}
	out = appendOurs(out, r, &facts, recordID, o, info.Late)
	var value []byte
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
	out, info.Truncated = appendReduced(out[:start], r, &facts, value, recordID, o, info.Late, limit)
	return out, info
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
	switch string(decodeString(key)) {
	case "timestamp", "ddsource", "service", "ddtags", "usr", "network", "evt", "atlassian", "message":
		return homeRecord
	case drop:
		if drop != "" {
			return homeNowhere
		}
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

// appendOurs appends our fields to the object that is open at the end of dst,
// up to and without the end of atlassian.
func appendOurs(dst []byte, r Record, facts *tokens, recordID string, o LineOptions, late bool) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	if r.Dated && !late {
		dst = append(dst, `"timestamp":`...)
		dst = strconv.AppendInt(dst, r.Millis, 10)
		dst = append(dst, ',')
	}
	service := o.Service
	if service == "" {
		service = o.Stream.Product.Service()
	}
	dst = append(dst, `"ddsource":"`...)
	dst = appendEscaped(dst, o.Stream.Product.LogSource())
	dst = append(dst, `","service":"`...)
	dst = appendEscaped(dst, service)
	dst = append(dst, `","ddtags":"`...)
	dst = appendTags(dst, o)
	dst = append(dst, `",`...)
	dst = appendAttributes(dst, facts)
	dst = append(dst, `"atlassian":{"site":"`...)
	dst = appendEscaped(dst, o.Stream.Site)
	if o.Stream.Organization != "" {
		dst = append(dst, `","organization":"`...)
		dst = appendEscaped(dst, o.Stream.Organization)
	}
	dst = append(dst, `","cloud_id":"`...)
	dst = appendEscaped(dst, o.Stream.CloudID)
	dst = append(dst, `","product":"`...)
	dst = appendEscaped(dst, string(o.Stream.Product))
	dst = append(dst, `","record_id":"`...)
	dst = appendEscaped(dst, recordID)
	dst = append(dst, '"')
	if r.Dated {
		dst = append(dst, `,"created":"`...)
		dst = r.Time().AppendFormat(dst, "2006-01-02T15:04:05.000Z07:00")
		dst = append(dst, '"')
	}
	if late {
		dst = append(dst, `,"late":true`...)
	}
	return dst
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
