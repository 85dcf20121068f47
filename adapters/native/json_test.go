//go:build cgo && linux

package native

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzReadJSON holds the reader in C against encoding/json: both read the same
// texts, as the same values. Where they are meant to differ, the text is left
// out: bytes that are no UTF-8, numbers that no double is near, and depth.
func FuzzReadJSON(f *testing.F) {
	for _, text := range []string{
		`{"type": "result", "error": null}`, `{"a": [1, -0.5e+3, true, false, null, "\u00e9\ud83d\ude00\n\/"], "a": {}}`, `[]`, ` [ { } , "" ] `, `"\ud800"`,
		`"\ud800\u0041"`, `"\udc00\ud800\udc00"`, `01`, `1.`, `.5`, `-`, `+1`, `1e`, `1e5`, `nul`, `truefalse`, `"a`, `"\`, `"\"`, `"\u12"`, `"\x"`, `{"a"}`,
		`{"a":}`, `{,}`, `[1,]`, `[1 2]`, `{"a":1,}`, `[`, `]`, "\"\x01\"", `"é"`, ``, ` `, `1 2`, `{"\u0000": 0}`, strings.Repeat("[", 64) + strings.Repeat("]", 64),
		strings.Repeat("[", 63) + `{"a":1}` + strings.Repeat("]", 63), "\"\u2028\"", `1e400`, `1e-400`, `123456789012345678901234567890`, "\ufeff1",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, ok := readJSON(text)
		if !utf8.Valid(text) {
			if ok {
				t.Fatalf("%q was read, and is no UTF-8", text)
			}
			return
		}
		want, err := decode(text)
		if tooDeep(text) || overflows(err) {
			if ok {
				t.Fatalf("%q was read: it is too deep, or its number too large", text)
			}
			return
		}
		if ok != (err == nil) {
			t.Fatalf("%q: read %v, and encoding/json says %v", text, ok, err)
		}
		if ok && !same(want, got) {
			t.Fatalf("%q: read %#v, and encoding/json reads %#v", text, got, want)
		}
	})
}

// same compares two values of readJSON. go-cmp's time doubles with each level.
func same(a, b any) bool {
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	case []field:
		b, ok := b.([]field)
		return ok && slices.EqualFunc(a, b, func(x, y field) bool { return x.name == y.name && same(x.value, y.value) })
	}
	return a == b
}

func overflows(err error) bool {
	return err != nil && strings.Contains(err.Error(), "cannot unmarshal number")
}

// tooDeep tells of brackets outside of texts that are nested more than 64 deep.
func tooDeep(text []byte) bool {
	depth, deepest, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest > 64
}

// decode is a text as readJSON would have it, by encoding/json.
func decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	var check any
	if err := json.Unmarshal(text, &check); err != nil { // the decoder takes a text in pieces, and more than one value
		return nil, err
	}
	v, err := decodeValue(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, err
	}
	return v, nil
}

func decodeValue(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	var list []any
	var object []field
	switch token {
	case json.Delim('['):
		list = []any{}
	case json.Delim('{'):
		object = []field{}
	default:
		return token, nil
	}
	for d.More() {
		var name string
		if object != nil {
			t, err := d.Token()
			if err != nil {
				return nil, err
			}
			name, _ = t.(string)
		}
		v, err := decodeValue(d)
		if err != nil {
			return nil, err
		}
		if object != nil {
			object = append(object, field{name, v})
		} else {
			list = append(list, v)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if object != nil {
		return object, nil
	}
	return list, nil
}

// FuzzWriteJSON has encoding/json read what the library writes into a request.
func FuzzWriteJSON(f *testing.F) {
	for _, text := range []string{"", "a", "\"\\/\b\f\n\r\t\x01\x1f\x7f", "é東😀\u2028", "\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text, _, _ = strings.Cut(text, "\x00") // where a text ends in C
		var got string
		if err := json.Unmarshal([]byte(writeJSON(text)), &got); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if want := strings.ToValidUTF8(text, "\ufffd"); utf8.ValidString(text) && got != want {
			t.Fatalf("%q came back as %q", text, got)
		}
	})
}
