package sourcetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Form is the form of a text, which costs much to find out.
func (s *Site) Form(text []byte) string {
	f, ok := s.known[string(text)]
	if !ok {
		f = form(text, s.Dates)
		s.known[string(text)] = f
	}
	return f
}

// form is what an object says, our own fields and its date aside: its other
// fields in their order, with their values as they are, white space aside. What
// is no object is a value.
func form(text []byte, dates []string) string {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return value(text)
	}
	left := append([]string{"timestamp", "ddsource", "service", "ddtags", "usr", "network", "evt", "atlassian"}, dates...)
	var b strings.Builder
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return value(text)
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return value(text)
		}
		if text, ok := name.(string); !ok || !slices.Contains(left, text) {
			fmt.Fprintf(&b, "%q:%s,", name, compact(v))
		}
	}
	return b.String()
}

// value is the form of what is no object: JSON, or a text that is put as one.
func value(text []byte) string {
	var s string
	if json.Unmarshal(text, &s) == nil {
		return "value " + s
	}
	if json.Valid(text) {
		return "value " + compact(text)
	}
	return "value " + string(text)
}

func compact(v []byte) string {
	var b bytes.Buffer
	if err := json.Compact(&b, v); err != nil {
		return string(v)
	}
	return b.String()
}

// keyOf is the key that stands in a line.
func keyOf[V any](text []byte, keys map[string]V) (string, bool) {
	const length = len("jffff-000000")
	for at := 0; ; at++ {
		i := bytes.IndexByte(text[at:], '-')
		if i < 0 {
			return "", false
		}
		at += i
		for n := length; n <= length+2; n++ {
			if from := at - 5; from >= 0 && from+n <= len(text) {
				if _, ok := keys[string(text[from:from+n])]; ok {
					return string(text[from : from+n]), true
				}
			}
		}
	}
}
