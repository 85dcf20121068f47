package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// The words of a Redaction that are not paths of fields: they take out whatever
// looks like it, in every text.
const (
	RedactEmails = "emails"
	RedactIPs    = "ips"
)

// redacted stands in a text for what was taken out of it.
const redacted = "[redacted]"

// action is what happens to a value.
type action int8

const (
	actionKeep action = iota
	actionHash
	actionDrop // the stronger one
)

// Redaction takes chosen things out of a record before it becomes a line. It
// changes neither the record's identity nor its place.
type Redaction struct {
	key         []byte
	emails, ips action
	// usr.id, usr.name and usr.email, wherever one of them is a whole value.
	actor [3]action
	// address is network.client.ip, and the field that it comes from.
	address action
	paths   []redactedPath
}

type redactedPath struct {
	names  []string
	action action
}

// NewRedaction makes a redaction of what is to be dropped and what to be
// hashed: RedactEmails, RedactIPs, an attribute (usr.id, usr.name, usr.email,
// network.client.ip), or the path of a field in Atlassian's record, names
// joined by dots, lists stepped through ("changedValues.changedTo"). key is
// what hashes are keyed with; it is only needed where something is hashed.
func NewRedaction(drop, hash []string, key []byte) (*Redaction, error) {
	x := &Redaction{key: bytes.Clone(key)}
	if len(hash) > 0 && len(key) == 0 {
		return nil, fmt.Errorf("hash a field without a key: whoever knows the possible values could work them out")
	}
	for _, entry := range hash {
		if err := x.add(entry, actionHash); err != nil {
			return nil, err
		}
	}
	for _, entry := range drop {
		if slices.Contains(hash, entry) {
			return nil, fmt.Errorf("%q is both dropped and hashed", entry)
		}
		if err := x.add(entry, actionDrop); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func (x *Redaction) add(entry string, a action) error {
	switch entry {
	case RedactEmails:
		x.emails = a
	case RedactIPs:
		x.ips = a
	case "usr.id":
		x.actor[0] = a
	case "usr.name":
		x.actor[1] = a
	case "usr.email":
		x.actor[2] = a
	case "network.client.ip":
		x.address = a
	default:
		names := strings.Split(entry, ".")
		if slices.Contains(names, "") || strings.ContainsAny(entry, " \t\r\n[]*\"") {
			return fmt.Errorf("%q is no path: write names joined by dots, like changedValues.changedTo", entry)
		}
		switch names[0] {
		case "usr", "network", "evt", "atlassian", "timestamp", "ddsource", "service", "ddtags":
			return fmt.Errorf("%q is not a field of Atlassian's record, and of what stands beside it only usr.id, usr.name, usr.email and network.client.ip can be redacted", entry)
		}
		x.paths = append(x.paths, redactedPath{names, a})
	}
	return nil
}

// Raw is the record as it may be kept: redacted like its line.
func (x *Redaction) Raw(r Record) []byte {
	if x == nil {
		return r.Raw
	}
	raw, _ := x.apply(r, r.tokens())
	return raw
}

// apply is the record and what is known of it, redacted. Names may have become
// known that the record does not hold.
func (x *Redaction) apply(r Record, t tokens) ([]byte, tokens) {
	f := &r.Facts
	w := &redaction{x: x, src: r.Raw, spans: [...]Span{f.ActorID, f.ActorName, f.ActorEmail, f.Address, f.Action, f.Category}}
	for i, token := range [...][]byte{t.id, t.name, t.email} {
		if x.actor[i] != actionKeep && token != nil {
			w.whole[i] = textOf(token)
		}
	}
	client, hasClient := pickAddress(t.address, t.inside)

	s := scanner{src: r.Raw}
	s.space()
	start := s.at
	if !s.value(maxDepth) {
		// Not JSON: there are no fields to tell apart, so nothing of it stays.
		return []byte(`"` + redacted + `"`), tokens{}
	}
	w.value(start, s.at, nil, actionKeep, 0)

	t.id, t.name, t.email = w.fact(0, t.id), w.fact(1, t.name), w.fact(2, t.email)
	t.action, t.category = w.spoken(4, t.action), w.spoken(5, t.category)
	t.address = nil
	if hasClient {
		switch a := max(x.address, x.ips, w.done[3]); a {
		case actionKeep:
			t.client = client.AppendTo(nil)
		case actionHash:
			t.client = x.appendHash(nil, []byte(client.String()))
		}
	}
	return w.out, t
}

// redaction is one record on its way.
type redaction struct {
	x     *Redaction
	src   []byte
	out   []byte
	spans [6]Span
	// done is what happened to the value of each span, now its new text, if it
	// was only changed in parts.
	done [6]action
	now  [6][]byte
	// whole are the texts that are redacted wherever they are a whole value.
	whole [3][]byte
}

// value writes the value at src[start:end], to which path leads; a is what
// happens to it because of what it stands in. What is nested deeper than any
// record is goes, lest hostile nesting take for ever.
func (w *redaction) value(start, end int, path []string, a action, depth int) {
	v := w.src[start:end]
	switch {
	case depth > reduceDepth && (v[0] == '{' || v[0] == '['):
		w.drop(start, end)
		w.out = append(w.out, `"`+redacted+`"`...)
	case v[0] == '{':
		w.out = append(w.out, '{')
		first := true
		eachField(v, func(f span, _ bool) {
			name := string(decodeString(v[f.key:f.keyEnd]))
			inner := append(path[:len(path):len(path)], name)
			b := max(a, w.x.at(inner))
			if b == actionDrop {
				w.drop(start+f.value, start+f.valueEnd)
				return
			}
			if !first {
				w.out = append(w.out, ',')
			}
			first = false
			w.out = append(append(w.out, v[f.key:f.keyEnd]...), ':')
			w.value(start+f.value, start+f.valueEnd, inner, b, depth+1)
		})
		w.out = append(w.out, '}')
	case v[0] == '[':
		w.out = append(w.out, '[')
		first := true
		eachElement(v, func(from, to int) {
			if !first {
				w.out = append(w.out, ',')
			}
			first = false
			w.value(start+from, start+to, path, a, depth+1)
		})
		w.out = append(w.out, ']')
	default:
		w.leaf(start, v, a)
	}
}

// leaf writes a text, number, truth value or null.
func (w *redaction) leaf(start int, v []byte, a action) {
	if v[0] != '"' && v[0] != '-' && (v[0] < '0' || v[0] > '9') {
		w.out = append(w.out, v...)
		return
	}
	text := textOf(v)
	for i, known := range w.whole {
		if known != nil && bytes.Equal(known, text) {
			a = max(a, w.x.actor[i])
		}
	}
	at := slices.IndexFunc(w.spans[:], func(s Span) bool { return s.To > 0 && int(s.From) == start })
	if at == 3 {
		a = max(a, w.x.address)
	}
	from := len(w.out)
	switch {
	case len(text) == 0 || v[0] != '"' && a == actionKeep:
		w.out = append(w.out, v...)
		a = actionKeep
	case a == actionDrop:
		// Not the field but its value asked for it: the field stays, so that
		// it can be seen that something was there.
		w.out = append(w.out, `"`+redacted+`"`...)
	case a == actionHash:
		w.out = append(w.x.appendHash(append(w.out, '"'), text), '"')
	default:
		if changed := w.x.within(text); !bytes.Equal(changed, text) {
			w.out = append(appendEscaped(append(w.out, '"'), string(changed)), '"')
		} else {
			w.out = append(w.out, v...)
		}
	}
	// A value may be more than one fact: an account that is its own name.
	for i, s := range w.spans {
		if s.To > 0 && int(s.From) == start {
			w.done[i], w.now[i] = a, bytes.Clone(w.out[from:])
		}
	}
}

// drop notes that src[start:end] is gone.
func (w *redaction) drop(start, end int) {
	for i, s := range w.spans {
		if s.To > 0 && int(s.From) >= start && int(s.To) <= end {
			w.done[i], w.now[i] = actionDrop, nil
		}
	}
}

// fact is what becomes of usr.id, usr.name or usr.email. One that the record
// does not hold itself follows the same rules.
func (w *redaction) fact(i int, token []byte) []byte {
	if token == nil || w.done[i] == actionDrop || w.x.actor[i] == actionDrop || i == 2 && w.x.emails == actionDrop {
		return nil
	}
	if w.now[i] != nil {
		return w.now[i]
	}
	text := textOf(token)
	if w.x.actor[i] == actionHash {
		return append(w.x.appendHash([]byte{'"'}, text), '"')
	}
	return append(appendEscaped([]byte{'"'}, string(w.x.within(text))), '"')
}

// spoken is what becomes of the text that evt.name or evt.category is made of:
// nothing of a hash could be read in it.
func (w *redaction) spoken(i int, token []byte) []byte {
	switch {
	case token == nil || w.done[i] != actionKeep:
		return nil
	case w.now[i] != nil:
		return w.now[i]
	}
	return token
}

// at is what happens to the field at a path.
func (x *Redaction) at(path []string) action {
	a := actionKeep
	for _, p := range x.paths {
		if slices.Equal(p.names, path) {
			a = max(a, p.action)
		}
	}
	return a
}

var (
	emailPattern = onDemand(`[\p{L}\p{N}._%+'-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+`)
	ipPattern    = onDemand(`[0-9]+(?:\.[0-9]+){3,}|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*`)
)

// within is a text without the e-mail and IP addresses that it holds.
func (x *Redaction) within(text []byte) []byte {
	if x.emails != actionKeep && bytes.IndexByte(text, '@') >= 0 {
		text = emailPattern().ReplaceAllFunc(text, func(m []byte) []byte { return x.instead(m, x.emails) })
	}
	if x.ips == actionKeep || !bytes.ContainsAny(text, ".:") {
		return text
	}
	var out []byte
	from := 0
	for _, m := range ipPattern().FindAllIndex(text, -1) {
		start, end := m[0], m[1]
		for end > start && text[end-1] == '.' || end-start > 2 && text[end-1] == ':' && text[end-2] != ':' {
			end-- // what ends a sentence, or comes before a port
		}
		if start > 0 && isWordByte(text[start-1]) || end < len(text) && isWordByte(text[end]) {
			continue // std::vector
		}
		if a, ok := parseAddress(text[start:end]); !ok || a.IsUnspecified() {
			continue
		}
		out = append(append(out, text[from:start]...), x.instead(text[start:end], x.ips)...)
		from = end
	}
	if from == 0 {
		return text
	}
	return append(out, text[from:]...)
}

func isWordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c >= 0x80
}

func (x *Redaction) instead(m []byte, a action) []byte {
	if a == actionDrop {
		return []byte(redacted)
	}
	return x.appendHash(nil, m)
}

// appendHash appends "hash:" and the first 128 bits, in hexadecimal, of the
// HMAC-SHA-256 of a value. The same value has the same hash in every field:
// an e-mail address in lower case, an IP address in its canonical form.
func (x *Redaction) appendHash(dst, value []byte) []byte {
	value = bytes.TrimSpace(value)
	if a, ok := parseAddress(value); ok {
		value = []byte(a.String())
	} else if emailPattern().Match(value) && len(emailPattern().Find(value)) == len(value) {
		value = bytes.ToLower(value)
	}
	m := hmac.New(sha256.New, x.key)
	m.Write(value)
	return append(append(dst, "hash:"...), hex.EncodeToString(m.Sum(nil)[:16])...)
}

// textOf is the text of a JSON string or number.
func textOf(token []byte) []byte {
	if token[0] == '"' {
		return decodeString(token)
	}
	return token
}

// onDemand compiles a pattern when it is first needed: most runs need none, and
// each starts a process.
func onDemand(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}
