package atlassiantest

import (
	"bytes"
	"slices"
	"strconv"
	"time"
)

// KeyMark is the text that a Record's Raw may hold in the place of its Key.
// It lets any number of records share one Raw, which is what keeps a store of
// half a million of them small.
const KeyMark = "%KEY%"

// template is a record's JSON cut at the places where what differs from record
// to record, or from answer to answer, is put in.
type template struct {
	raw     []byte
	ownID   bool // raw has its own id, and its own date: nothing is put in
	ownDate bool
	parts   []part
	size    int // bytes of the literal parts
}

// part is literal text, or one of the places.
type part struct {
	text  []byte
	place place
}

type place byte

const (
	literal place = iota
	placeID
	placeDate
	placeKey
	placeTime
	placeProcessed
)

// form says how a product writes what the server puts in.
type form struct {
	withID     bool   // Jira numbers its records, Confluence does not
	dateKey    string // "created" or "creationDate"
	dateBefore string // the member before which the date is put
	dateQuoted bool   // Jira writes text, Confluence a number
	events     bool   // the entities of Data Center, dated with a "Z"
	processed  bool   // the organisation's events: other ids, and two times in attributes
}

var (
	jiraForm       = form{withID: true, dateKey: "created", dateBefore: "category", dateQuoted: true}
	confluenceForm = form{dateKey: "creationDate", dateBefore: "summary"}

	organizationForm = form{withID: true, processed: true, dateQuoted: true}
)

// newTemplate cuts raw. Text that is not a JSON object, or is marked verbatim,
// is served as it stands.
func newTemplate(raw []byte, verbatim bool, f form) *template {
	t := &template{raw: raw}
	n, ok := parse(raw)
	if verbatim || !ok || n.kind != '{' {
		t.ownID, t.ownDate = true, true
		t.parts = cutKeys(nil, raw)
		t.measure()
		return t
	}
	if f.processed {
		t.cutEvent(n)
		return t
	}
	_, t.ownID = n.member("id")
	_, t.ownDate = n.member(f.dateKey)
	t.ownID = t.ownID || !f.withID

	comma := ","
	if len(n.kids) == 0 {
		comma = ""
	}
	at := n.start + 1
	t.parts = append(t.parts, part{text: raw[:at]})
	if !t.ownID {
		t.parts = append(t.parts, part{text: []byte(`"id":`)}, part{place: placeID})
		if len(n.kids) > 0 || !t.ownDate {
			t.parts = append(t.parts, part{text: []byte(",")})
		}
	}
	if !t.ownDate {
		name := part{text: []byte(quote(f.dateKey) + ":")}
		if m, ok := n.member(f.dateBefore); ok {
			t.parts = cutKeys(t.parts, raw[at:m.keyStart])
			t.parts = append(t.parts, name, part{place: placeDate}, part{text: []byte(",")})
			at = m.keyStart
		} else {
			t.parts = cutKeys(t.parts, raw[at:n.end-1])
			t.parts = append(t.parts, part{text: []byte(comma)}, name, part{place: placeDate})
			at = n.end - 1
		}
	}
	t.parts = cutKeys(t.parts, raw[at:])
	t.measure()
	return t
}

func cutKeys(parts []part, text []byte) []part {
	for {
		i := bytes.Index(text, []byte(KeyMark))
		if i < 0 {
			return append(parts, part{text: text})
		}
		parts = append(parts, part{text: text[:i]}, part{place: placeKey})
		text = text[i+len(KeyMark):]
	}
}

func (t *template) measure() {
	for _, p := range t.parts {
		t.size += len(p.text)
	}
}

// append writes the record as it is served.
func (t *template) append(b []byte, h *held, f form, q *Quirks) []byte {
	for _, p := range t.parts {
		switch p.place {
		case literal:
			b = append(b, p.text...)
		case placeID:
			if f.processed {
				b = appendQuoted(b, eventID(h.id))
			} else {
				b = strconv.AppendInt(b, h.id, 10)
			}
		case placeKey:
			b = append(b, h.key...)
		case placeDate:
			b = appendDate(b, h.created, f, q)
		case placeTime:
			b = appendEventTime(b, h.created, q)
		case placeProcessed:
			b = appendEventTime(b, h.processed, q)
		}
	}
	return b
}

// appendDate writes a date the way the product, or the quirk in force, does.
func appendDate(b []byte, ms int64, f form, q *Quirks) []byte {
	if q.SecondPrecisionDates {
		ms = floorSecond(ms)
	}
	format := q.DateFormat
	if format == DateAsProduct {
		format = DateEpochMillis
		if f.dateQuoted {
			format = DateOffset
		}
		if f.events {
			format = DateZulu
		}
	}
	at := time.UnixMilli(ms).UTC()
	switch format {
	case DateEpochMillis:
		return strconv.AppendInt(b, ms, 10)
	case DateEpochText:
		return append(strconv.AppendInt(append(b, '"'), ms, 10), '"')
	case DateOtherZone:
		at = at.In(time.FixedZone("", 2*60*60))
	}
	return append(at.AppendFormat(append(b, '"'), dateLayouts[format]), '"')
}

func floorSecond(ms int64) int64 {
	r := ms % 1000
	if r < 0 {
		r += 1000
	}
	return ms - r
}

// renamed is what people are called now, beside all that they were called
// before.
type renamed struct {
	account string
	old     []string
	now     string
}

// rename gives the person the present name wherever the template shows it.
func (t *template) rename(p renamed, f form) {
	mark := []byte(p.account)
	hit := bytes.Contains(t.raw, mark)
	for _, o := range p.old {
		hit = hit || bytes.Contains(t.raw, []byte(o)) || !isPlain(o)
	}
	if !hit {
		return
	}
	n, ok := parse(t.raw)
	if !ok {
		return
	}
	edits := renameEdits(nil, t.raw, n, p)
	if len(edits) == 0 {
		return
	}
	raw := t.raw
	for _, e := range slices.Backward(edits) {
		raw = splice(raw, e.start, e.end, quote(p.now))
	}
	verbatim := t.ownID && t.ownDate
	*t = *newTemplate(raw, verbatim, f)
}

// isPlain tells a name that JSON may not have escaped.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 || s[i] < 0x20 || bytes.IndexByte([]byte(`"\/<>&'`), s[i]) >= 0 {
			return false
		}
	}
	return true
}

// renameEdits finds the display names of the person in ascending order of
// place. Account ids, keys and addresses are never among them.
func renameEdits(edits []node, t []byte, n node, p renamed) []node {
	if n.kind == '{' {
		author := n.text(t, "accountId") == p.account && p.account != ""
		person := isUserType(n.text(t, "type")) && n.text(t, "id") == p.account // Data Center's
		user := isUserType(n.text(t, "objectType")) || isUserType(n.text(t, "typeName"))
		same := user && n.text(t, "id") == p.account
		for _, k := range n.kids {
			was := ""
			if k.kind == '"' {
				was = unquote(t[k.start:k.end])
			}
			known := slices.Contains(p.old, was) || was == p.now
			switch {
			case author && (k.key == "displayName" || k.key == "publicName"),
				person && k.key == "name",
				author && k.key == "username" && known,
				user && k.key == "name" && known,
				same && k.key == "name" && was != p.account:
				if k.kind == '"' && was != p.now {
					edits = append(edits, k)
				}
				continue
			}
			edits = renameEdits(edits, t, k, p)
		}
		return edits
	}
	for _, k := range n.kids {
		edits = renameEdits(edits, t, k, p)
	}
	return edits
}

func isUserType(s string) bool {
	return s == "User" || s == "USER" || s == "user" || s == "ApplicationUser"
}
