package audit

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"unicode/utf8"
)

// maxDepth is how deep a value may be nested; encoding/json's own limit.
const maxDepth = 10_000

// scanner walks over one JSON text, by the grammar of RFC 8259 and as lenient
// as encoding/json about bytes that are not UTF-8. It copies nothing.
type scanner struct {
	src []byte
	at  int
	// spaced is set when white space was met between tokens.
	spaced bool
}

// eachField calls f for every field of the object src, in order, until the
// object turns out not to be one; spaced tells that there is white space
// between the tokens of the field. It reports whether src is a JSON object
// with nothing but white space around it.
func eachField(src []byte, f func(s span, spaced bool)) bool {
	s := scanner{src: src}
	s.space()
	if !s.take('{') {
		return false
	}
	s.space()
	if s.take('}') {
		s.space()
		return s.at == len(src)
	}
	for {
		var m span
		s.spaced = false
		m.key = s.at
		if !s.str() {
			return false
		}
		m.keyEnd = s.at
		s.space()
		if !s.take(':') {
			return false
		}
		s.space()
		m.value = s.at
		if !s.value(maxDepth - 1) {
			return false
		}
		m.valueEnd = s.at
		f(m, s.spaced)
		s.space()
		if s.take('}') {
			s.space()
			return s.at == len(src)
		}
		if !s.take(',') {
			return false
		}
		s.space()
	}
}

// eachElement calls f with the position of every element of the array src,
// which must be valid.
func eachElement(src []byte, f func(start, end int)) {
	s := scanner{src: src}
	s.take('[')
	s.space()
	for s.at < len(src) && src[s.at] != ']' {
		start := s.at
		if !s.value(maxDepth) {
			return
		}
		f(start, s.at)
		s.space()
		s.take(',')
		s.space()
	}
}

func (s *scanner) space() {
	for s.at < len(s.src) {
		switch s.src[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
			s.spaced = true
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	if s.at < len(s.src) && s.src[s.at] == c {
		s.at++
		return true
	}
	return false
}

// value steps over the value that begins at s.at and reports whether it is
// valid and nested no deeper than depth.
func (s *scanner) value(depth int) bool {
	if s.at >= len(s.src) {
		return false
	}
	switch s.src[s.at] {
	case '"':
		return s.str()
	case '{':
		return s.list('}', depth, true)
	case '[':
		return s.list(']', depth, false)
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

// list steps over an object (named) or an array.
func (s *scanner) list(end byte, depth int, named bool) bool {
	if depth == 0 {
		return false
	}
	s.at++
	s.space()
	if s.take(end) {
		return true
	}
	for {
		if named {
			if !s.str() {
				return false
			}
			s.space()
			if !s.take(':') {
				return false
			}
			s.space()
		}
		if !s.value(depth - 1) {
			return false
		}
		s.space()
		if s.take(end) {
			return true
		}
		if !s.take(',') {
			return false
		}
		s.space()
	}
}

func (s *scanner) word(w string) bool {
	if len(s.src)-s.at < len(w) || string(s.src[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) str() bool {
	if !s.take('"') {
		return false
	}
	src := s.src
	for i := s.at; ; {
		i += PlainText(src[i:])
		if i == len(src) {
			return false
		}
		switch c := src[i]; {
		case c == '"':
			s.at = i + 1
			return true
		case c < ' ':
			return false
		}
		n := escapeLen(src[i:])
		if n == 0 {
			return false
		}
		i += n
	}
}

// PlainWord is PlainText for eight bytes, the first one the lowest of x. x-n*ones
// borrows into the high bit of the first byte that is less than n; what it makes
// of the bytes after that one is not looked at.
func PlainWord(x uint64) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	quote, slash := x^'"'*ones, x^'\\'*ones
	found := (x-' '*ones)&^x | (quote-ones)&^quote | (slash-ones)&^slash
	return bits.TrailingZeros64(found&highs) / 8
}

// PlainText is how many of the first bytes of b stand in a JSON string for
// themselves: those before the first quote, backslash or control character.
func PlainText(b []byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		if n := PlainWord(binary.LittleEndian.Uint64(b[i:])); n < 8 {
			return i + n
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c == '"' || c == '\\' || c < ' ' {
			return i
		}
	}
	return i
}

// escapeLen is the length of the escape sequence that b begins with, 0 when it
// is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
				return 0
			}
		}
		return 6
	}
	return 0
}

func (s *scanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.src) && '0' <= s.src[s.at] && s.src[s.at] <= '9' {
		s.at++
	}
	return s.at > start
}

// appendCompact appends the valid JSON text src without the white space
// between its tokens.
func appendCompact(dst, src []byte) []byte {
	from := 0 // what is not yet copied
	for i := 0; i < len(src); i++ {
		switch src[i] {
		case '"':
			for i++; i < len(src) && src[i] != '"'; i++ {
				if src[i] == '\\' {
					i++
				}
			}
		case ' ', '\t', '\n', '\r':
			dst = append(dst, src[from:i]...)
			from = i + 1
		}
	}
	return append(dst, src[from:]...)
}

// decodeString is the text of the JSON string quoted.
func decodeString(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		return quoted[1 : len(quoted)-1]
	}
	return []byte(s)
}

// appendEscaped appends s as it stands between the quotes of a JSON string.
// Bytes that are not UTF-8 become U+FFFD.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	const hexDigits = "0123456789abcdef"
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[from:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, `\n`...)
			case '\r':
				dst = append(dst, `\r`...)
			case '\t':
				dst = append(dst, `\t`...)
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			from = i
			continue
		}
		if r, n := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)])); r == utf8.RuneError && n == 1 {
			dst = append(append(dst, s[from:i]...), "\ufffd"...)
			i++
			from = i
		} else {
			i += n
		}
	}
	return append(dst, s[from:]...)
}
