package atlassiantest

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// node is one JSON value found in a text: where it stands, not what it means.
// Records are edited by cutting bytes at these places, so that everything
// beside the cut stays as it was.
type node struct {
	kind       byte // '{', '[', '"', or 0 for a number, true, false, null
	start, end int
	key        string // decoded member name, where the value is a member
	keyStart   int    // where the member's name begins, its quote included
	kids       []node
}

// parse finds the values of one valid JSON text. It reports false where the
// text is not valid JSON.
func parse(text []byte) (node, bool) {
	if !json.Valid(text) {
		return node{}, false
	}
	n, _ := parseValue(text, skipSpace(text, 0))
	return n, true
}

func parseValue(t []byte, i int) (node, int) {
	n := node{start: i}
	switch t[i] {
	case '{':
		n.kind = '{'
		for i = skipSpace(t, i+1); t[i] != '}'; i = skipSpace(t, i) {
			if t[i] == ',' {
				i = skipSpace(t, i+1)
			}
			keyStart := i
			i = stringEnd(t, i)
			key := unquote(t[keyStart:i])
			i = skipSpace(t, skipSpace(t, i)+1) // the colon
			var kid node
			kid, i = parseValue(t, i)
			kid.key, kid.keyStart = key, keyStart
			n.kids = append(n.kids, kid)
		}
		i++
	case '[':
		n.kind = '['
		for i = skipSpace(t, i+1); t[i] != ']'; i = skipSpace(t, i) {
			if t[i] == ',' {
				i = skipSpace(t, i+1)
			}
			var kid node
			kid, i = parseValue(t, i)
			n.kids = append(n.kids, kid)
		}
		i++
	case '"':
		n.kind = '"'
		i = stringEnd(t, i)
	default:
		for i < len(t) && !bytes.ContainsRune([]byte(",]} \t\r\n"), rune(t[i])) {
			i++
		}
	}
	n.end = i
	return n, i
}

func skipSpace(t []byte, i int) int {
	for i < len(t) && (t[i] == ' ' || t[i] == '\t' || t[i] == '\r' || t[i] == '\n') {
		i++
	}
	return i
}

// stringEnd is the place after the closing quote of the string at i.
func stringEnd(t []byte, i int) int {
	for i++; t[i] != '"'; i++ {
		if t[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func unquote(quoted []byte) string {
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return ""
	}
	return s
}

// member finds an object's member by name.
func (n node) member(key string) (node, bool) {
	for _, k := range n.kids {
		if n.kind == '{' && k.key == key {
			return k, true
		}
	}
	return node{}, false
}

// text is the string that the object's member holds, "" where it holds none.
func (n node) text(t []byte, key string) string {
	m, ok := n.member(key)
	if !ok || m.kind != '"' {
		return ""
	}
	return unquote(t[m.start:m.end])
}

// splice replaces t[start:end] by with, in a new slice.
func splice(t []byte, start, end int, with string) []byte {
	out := make([]byte, 0, len(t)-(end-start)+len(with))
	out = append(out, t[:start]...)
	out = append(out, with...)
	return append(out, t[end:]...)
}

// setMember gives an object's member another value (JSON text), in a new
// slice. A text without the member is returned as it is.
func setMember(t []byte, key, value string) []byte {
	n, ok := parse(t)
	if !ok {
		return t
	}
	m, ok := n.member(key)
	if !ok {
		return t
	}
	return splice(t, m.start, m.end, value)
}

// dropMember removes an object's member, with the comma that goes with it.
func dropMember(t []byte, key string) []byte {
	n, ok := parse(t)
	if !ok || n.kind != '{' {
		return t
	}
	for i, k := range n.kids {
		if k.key != key {
			continue
		}
		switch {
		case i+1 < len(n.kids):
			return splice(t, k.keyStart, n.kids[i+1].keyStart, "")
		case i > 0:
			return splice(t, n.kids[i-1].end, k.end, "")
		default:
			return splice(t, k.keyStart, k.end, "")
		}
	}
	return t
}

// quote writes s as a JSON string, escaping no more than JSON demands.
func quote(s string) string {
	return string(appendQuoted(nil, s))
}

func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c < 0x20:
			b = append(b, `\u00`...)
			if c < 0x10 {
				b = append(b, '0')
			}
			b = strconv.AppendUint(b, uint64(c), 16)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
