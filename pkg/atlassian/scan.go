package atlassian

import (
	"encoding/binary"
	"encoding/json"

	"atlassian_audit_records/pkg/audit"
)

// maxDepth is the nesting that is accepted, the same as encoding/json's.
const maxDepth = 10000

// scanner walks over JSON text once, checking all of its grammar as
// encoding/json does, and hands out values as the bytes that they are. It
// exists because collecting needs a handful of fields per record, and a
// generic decoder costs several times as much as reading the bytes once.
//
// After bad is set every method does nothing.
type scanner struct {
	b     []byte
	i     int
	depth int
	// spaces counts the white space bytes outside strings, so that a caller
	// can tell whether a value has to be compacted.
	spaces int
	bad    bool
}

func (s *scanner) fail() { s.bad = true }

func (s *scanner) skipSpace() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
			s.spaces++
		default:
			return
		}
	}
}

// peek is the next byte that is not white space; 0 at the end.
func (s *scanner) peek() byte {
	if s.i < len(s.b) && s.b[s.i] > ' ' && !s.bad {
		return s.b[s.i]
	}
	return s.seek()
}

// seek is peek where white space, or the end, is next.
func (s *scanner) seek() byte {
	s.skipSpace()
	if s.bad || s.i >= len(s.b) {
		return 0
	}
	return s.b[s.i]
}

// open enters an object ('{') or array ('[').
func (s *scanner) open(c byte) {
	if s.peek() != c {
		s.fail()
		return
	}
	s.i++
	if s.depth++; s.depth > maxDepth {
		s.fail()
	}
}

// more reports whether another field or element follows, n having been read;
// at the closing byte it leaves the object or array.
func (s *scanner) more(n int, closing byte) bool {
	c := s.peek()
	switch {
	case s.bad:
		return false
	case c == closing:
		s.i++
		s.depth--
		return false
	case n == 0:
		return true
	case c == ',':
		s.i++
		if s.peek() == closing {
			s.fail()
		}
		return !s.bad
	}
	s.fail()
	return false
}

// name reads a field's name and the colon. A name without escapes shares the
// text's memory.
func (s *scanner) name() []byte {
	if s.peek() != '"' {
		s.fail()
		return nil
	}
	start := s.i
	escaped := s.skipString()
	if s.bad {
		return nil
	}
	raw := s.b[start:s.i]
	if s.peek() != ':' {
		s.fail()
		return nil
	}
	s.i++
	if escaped {
		t, _ := unquote(raw)
		return []byte(t)
	}
	return raw[1 : len(raw)-1]
}

// value reads one value of any kind and returns its bytes, without the white
// space around it. They share the text's memory, but cannot be appended to.
func (s *scanner) value() []byte {
	c := s.peek()
	start := s.i
	switch {
	case c == '{':
		s.open('{')
		for n := 0; s.more(n, '}'); n++ {
			s.skipName()
			s.value()
		}
	case c == '[':
		s.open('[')
		for n := 0; s.more(n, ']'); n++ {
			s.value()
		}
	case c == '"':
		s.skipString()
	case c == '-' || '0' <= c && c <= '9':
		s.skipNumber()
	case c == 't':
		s.skipWord("true")
	case c == 'f':
		s.skipWord("false")
	case c == 'n':
		s.skipWord("null")
	default:
		s.fail()
	}
	if s.bad {
		return nil
	}
	return s.b[start:s.i:s.i]
}

func (s *scanner) skipName() {
	if s.peek() != '"' {
		s.fail()
		return
	}
	s.skipString()
	if s.peek() != ':' {
		s.fail()
		return
	}
	s.i++
}

// end reports whether nothing but white space is left.
func (s *scanner) end() bool {
	s.skipSpace()
	return !s.bad && s.i == len(s.b)
}

func (s *scanner) skipString() (escaped bool) {
	b := s.b
	for i := s.i + 1; ; {
		// Eight bytes at a time, as PlainText does; a call for each name and each
		// short value would cost as much again.
		for ; i+8 <= len(b); i += 8 {
			if n := audit.PlainWord(binary.LittleEndian.Uint64(b[i:])); n < 8 {
				i += n
				break
			}
		}
		if i+8 > len(b) {
			i += audit.PlainText(b[i:])
		}
		if i == len(b) || b[i] < 0x20 {
			s.fail()
			return escaped
		}
		if b[i] == '"' {
			s.i = i + 1
			return escaped
		}
		escaped = true
		if i++; i == len(b) {
			s.fail()
			return escaped
		}
		switch b[i] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			i++
		case 'u':
			if i+4 >= len(b) || !hex(b[i+1]) || !hex(b[i+2]) || !hex(b[i+3]) || !hex(b[i+4]) {
				s.fail()
				return escaped
			}
			i += 5
		default:
			s.fail()
			return escaped
		}
	}
}

func hex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func (s *scanner) skipWord(w string) {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		s.fail()
		return
	}
	s.i += len(w)
}

func (s *scanner) skipNumber() {
	if s.b[s.i] == '-' {
		s.i++
	}
	if s.i < len(s.b) && s.b[s.i] == '0' {
		s.i++
	} else {
		s.skipDigits()
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		s.skipDigits()
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		s.skipDigits()
	}
}

func (s *scanner) skipDigits() {
	start := s.i
	for s.i < len(s.b) && '0' <= s.b[s.i] && s.b[s.i] <= '9' {
		s.i++
	}
	if s.i == start {
		s.fail()
	}
}

// unquote is the text of a JSON string; ok is false for any other value.
func unquote(raw []byte) (text string, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	for _, c := range raw {
		if c == '\\' || c >= 0x80 {
			err := json.Unmarshal(raw, &text)
			return text, err == nil
		}
	}
	return string(raw[1 : len(raw)-1]), true
}

// compact appends raw to dst without the white space outside strings. raw is
// valid JSON.
func compact(dst, raw []byte) []byte {
	inString := false
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case inString && c == '\\':
			dst = append(dst, c)
			i++
			c = raw[i]
		case c == '"':
			inString = !inString
		case !inString && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			continue
		}
		dst = append(dst, c)
	}
	return dst
}
