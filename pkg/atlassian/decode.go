package atlassian

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"atlassian_audit_records/pkg/audit"
)

// The fields of a record that collecting looks at. The ones from slotSummary
// on go into the keys of a record without an id.
const (
	slotIgnored = iota - 2
	slotNone
	slotID
	slotDate
	slotAccount
	slotAccountOld // used where there is no slotAccount
	slotSummary
	slotCategory
	slotAddress
	slotDescription
	slotObject
	slotChanges
	slotItems
	slotOrigin
	slots
)

// layout says how a product's answer and its records look.
type layout struct {
	// list is the field that holds the records.
	list string
	// slot is the slot of a record's field, or slotNone.
	slot func(name []byte) int
	// account is the name of the account's field inside slotAccount where that
	// is an object; empty where slotAccount is the account itself.
	account string
	// places are where the facts for Datadog's standard attributes stand.
	places []place
	// inside tells that private addresses are the people's own.
	inside bool
	// dateName is the field that dates a record, where the records are to be
	// checked for their lines; see audit.Record.Checked.
	dateName string
	// date reads the field that dates a record; nil is parseDate.
	date func(raw []byte) (ms int64, ok bool)
	// keys hash what identifies a record without an id; nil is decoder.keys.
	keys func(*decoder, audit.Record) audit.Keys
}

// Failures of a decoder. They never quote the text.
var (
	errNotJSON   = errors.New("it is not valid JSON")
	errNotObject = errors.New("it is not a JSON object")
)

// field is a value, whether it holds white space outside strings, and where in
// the answer it stands.
type field struct {
	raw    []byte
	spaced bool
	at     int
}

// unknown is a field that has no slot.
type unknown struct {
	name []byte
	field
}

// decoder splits one answer. It is used once per answer, and kept together so
// that a record costs few allocations.
type decoder struct {
	scanner
	// unknown are the fields of the record being read that have no slot.
	unknown []unknown
	layout  layout
	fields  [slots]field
	coarse  [5][]byte
	fine    [5][]byte
	number  [20]byte
	buf     []byte
}

// decodePage splits the body of an answer into records. Each record shares the
// body's memory. The text is checked to its last byte; want is the number of
// records expected, for the allocation.
//
// A record that is no object, or has no readable date, is a record all the
// same. An answer without the list, with two of them, or with something else
// in its place is an error.
func decodePage(body []byte, l layout, want int) (records []audit.Record, limit int, err error) {
	d := &decoder{scanner: scanner{b: body}, layout: l}
	if d.peek() != '{' {
		if d.value(); !d.end() {
			return nil, 0, errNotJSON
		}
		return nil, 0, errNotObject
	}
	found := 0
	wrongType := false
	d.open('{')
	for n := 0; d.more(n, '}'); n++ {
		name := d.name()
		switch {
		case string(name) == l.list:
			found++
			if d.peek() != '[' {
				wrongType = true
				d.value()
				continue
			}
			records = d.records(min(max(want, 0), 1000))
		case string(name) == "limit":
			if v, convErr := strconv.Atoi(string(d.value())); convErr == nil {
				limit = v
			}
		default:
			d.value()
		}
	}
	switch {
	case !d.end():
		return nil, 0, errNotJSON
	case found == 0:
		return nil, 0, fmt.Errorf("it has no list %q", l.list)
	case found > 1:
		return nil, 0, fmt.Errorf("it has more than one list %q", l.list)
	case wrongType:
		return nil, 0, fmt.Errorf("its %q is not a list", l.list)
	}
	return records, limit, nil
}

func (d *decoder) records(want int) []audit.Record {
	out := make([]audit.Record, 0, want)
	d.open('[')
	for n := 0; d.more(n, ']'); n++ {
		if d.peek() == '{' {
			out = append(out, d.record())
			continue
		}
		raw, spaces := d.spacedValue()
		d.coarse[0] = d.comparable(field{raw: raw, spaced: spaces})
		out = append(out, audit.Record{Raw: raw, Keys: audit.NewKeys(d.coarse[:1], nil)})
		d.buf = d.buf[:0]
	}
	return out
}

// spacedValue is value, and whether white space stood inside.
func (d *decoder) spacedValue() (raw []byte, spaced bool) {
	d.skipSpace()
	before := d.spaces
	raw = d.value()
	return raw, d.spaces != before
}

// record reads one object. Of a field that stands twice the last one counts,
// as encoding/json has it.
func (d *decoder) record() audit.Record {
	d.fields = [slots]field{}
	d.unknown = d.unknown[:0]
	start, spaces := d.i, d.spaces
	checked := d.layout.dateName != ""
	var dateField audit.Span
	d.open('{')
	for n := 0; d.more(n, '}'); n++ {
		at := d.i
		name := d.name()
		if audit.Reserved(name) {
			checked = false
		}
		slot := d.layout.slot(name)
		if slot == slotIgnored {
			d.value()
			continue
		}
		raw, spaced := d.spacedValue()
		if slot == slotDate {
			checked = checked && dateField == (audit.Span{}) && string(name) == d.layout.dateName
			dateField = audit.Span{From: int32(at - start), To: int32(d.i - start)}
		}
		if slot == slotNone {
			d.unknown = append(d.unknown, unknown{name, field{raw: raw, spaced: spaced}})
			continue
		}
		d.fields[slot] = field{raw, spaced, d.i - len(raw)}
	}
	if d.bad {
		return audit.Record{}
	}
	r := audit.Record{Raw: d.b[start:d.i:d.i]}
	date, keys := parseDate, (*decoder).keys
	if d.layout.date != nil {
		date = d.layout.date
	}
	if d.layout.keys != nil {
		keys = d.layout.keys
	}
	r.Millis, r.Dated = date(d.fields[slotDate].raw)
	if r.ID = parseID(d.fields[slotID].raw); r.ID == "" {
		r.Keys = keys(d, r)
	}
	r.Facts = d.facts(start)
	if checked && d.spaces == spaces {
		r.Checked, r.DateField = true, dateField
	}
	return r
}

// parseID is the text of an id that is a number or a string; empty for
// everything else.
func parseID(raw []byte) string {
	if len(raw) == 0 {
		return ""
	}
	switch c := raw[0]; {
	case c == '"':
		id, _ := unquote(raw)
		return id
	case c == '-' || '0' <= c && c <= '9':
		return string(raw)
	}
	return ""
}

// keys hashes what identifies a record without an id. Left out is what may
// change when the same record is read again later: names of people (displayName,
// publicName, username change with a profile, and are erased by the law), and
// flags of the author or of the moment (sysAdmin, superAdmin, isGuest,
// operations). Fields that nobody knows yet count: they may be all that tells
// two records apart. Should Atlassian add one to records that exist, their fine
// hash changes, which repeats nothing, for records are counted by the coarse one.
func (d *decoder) keys(r audit.Record) audit.Keys {
	if r.Dated {
		// Not its text: the same moment may be written in several ways.
		d.coarse[0] = strconv.AppendInt(d.number[:0], r.Millis, 10)
	} else {
		d.coarse[0] = d.comparable(d.fields[slotDate])
	}
	d.coarse[1] = d.accountPart()
	d.coarse[2] = d.comparable(d.fields[slotCategory])
	d.coarse[3] = d.comparable(d.fields[slotSummary])
	d.coarse[4] = d.comparable(d.fields[slotAddress])
	for i := range d.fine {
		d.fine[i] = d.comparable(d.fields[slotDescription+i])
	}
	fine := d.fine[:]
	if len(d.unknown) > 0 {
		slices.SortStableFunc(d.unknown, func(a, b unknown) int { return bytes.Compare(a.name, b.name) })
		fine = slices.Clone(fine)
		for _, u := range d.unknown {
			if value := d.comparable(u.field); value != nil {
				fine = append(fine, u.name, value)
			}
		}
	}
	k := audit.NewKeys(d.coarse[:], fine)
	if !r.Dated {
		// Without a time it is alone with its looks: all of them count.
		k = audit.NewKeys(d.coarse[:], [][]byte{d.comparable(field{raw: r.Raw, spaced: true})})
	}
	d.buf = d.buf[:0]
	return k
}

func (d *decoder) accountPart() []byte {
	account := d.fields[slotAccount]
	if d.layout.account != "" && len(account.raw) > 0 && account.raw[0] == '{' {
		account = fieldOf(account.raw, d.layout.account)
	}
	if part := d.comparable(account); part != nil {
		return part
	}
	return d.comparable(d.fields[slotAccountOld])
}

// fieldOf is the named field of an object that is known to be valid.
func fieldOf(object []byte, want string) (found field) {
	s := scanner{b: object}
	s.open('{')
	for n := 0; s.more(n, '}'); n++ {
		name := s.name()
		s.skipSpace()
		before := s.spaces
		raw := s.value()
		if string(name) == want {
			found = field{raw: raw, spaced: s.spaces != before}
		}
	}
	return found
}

// comparable is a value in the form in which it is compared: without white
// space, and nothing at all for null, which an absent field may become.
func (d *decoder) comparable(f field) []byte {
	if string(f.raw) == "null" {
		return nil
	}
	if !f.spaced {
		return f.raw
	}
	start := len(d.buf)
	d.buf = compact(d.buf, f.raw)
	return d.buf[start:]
}
