package auth

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is text that is never printed: however it is formatted or marshalled,
// it shows as asterisks. Reveal is the one way to it.
//
// Two places are beyond its reach: the key of a map in JSON, and an unexported
// field, in which fmt calls no methods. A struct therefore keeps no Secret in an
// unexported field, but a function that knows it.
type Secret string

const hidden = "********"

// Reveal is the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String is a row of asterisks; empty for an empty secret, so that a missing
// one can be told.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString is String in quotes.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// Format writes asterisks whatever the verb.
func (s Secret) Format(f fmt.State, verb rune) {
	text := s.String()
	if verb == 'q' || verb == 'v' && f.Flag('#') {
		text = `"` + text + `"`
	}
	_, _ = io.WriteString(f, text) // fmt.State keeps no errors
}

// MarshalText is asterisks, for map keys and encoders of text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON is asterisks.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// MarshalYAML is asterisks.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// LogValue is asterisks.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

var (
	_ fmt.Formatter  = Secret("")
	_ slog.LogValuer = Secret("")
)
