package auth

import (
	"encoding/base64"
	"testing"
	"time"
)

// jwt is an unsigned token with that payload.
func jwt(payload string) Secret {
	part := base64.RawURLEncoding.EncodeToString
	return Secret(part([]byte(`{"alg":"none"}`)) + "." + part([]byte(payload)) + "." + part([]byte("signature")))
}

func TestATokenMaySayWhenItExpires(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		token Secret
		want  string // empty: it does not say
	}{
		{"a JWT with exp", jwt(`{"exp":1803859200,"sub":"x"}`), "2027-03-01T00:00:00Z"},
		{"a JWT with a fraction", jwt(`{"exp":1803859200.75}`), "2027-03-01T00:00:00Z"},
		{"a JWT without exp", jwt(`{"sub":"x"}`), ""},
		{"a JWT whose exp is no number", jwt(`{"exp":"tomorrow"}`), ""},
		{"a JWT whose exp is no date", jwt(`{"exp":1e300}`), ""},
		{"a JWT whose exp is negative", jwt(`{"exp":-5}`), ""},
		{"a payload that is no JSON", jwt(`exp=1803859200`), ""},
		{"a payload that is no base64", "a.!!!.c", ""},
		{"an API token", "ATATT3xFfGF0-1_x=6B2C1A00", ""},
		{"two dots and nothing", "..", ""},
		{"nothing", "", ""},
	} {
		got := ""
		if at, ok := TokenExpiry(tt.token); ok {
			got = at.Format(time.RFC3339)
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzTokenExpiry(f *testing.F) {
	f.Add(jwt(`{"exp":1803859200}`).Reveal())
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		if at, ok := TokenExpiry(Secret(token)); ok && (at.Year() < 1970 || at.Year() > 9999) {
			t.Errorf("%q expires at %s", token, at)
		}
	})
}
