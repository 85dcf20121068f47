package check

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

// TestPatternsByHandAreTheirPatterns compares each with the pattern that says
// what is meant.
func TestPatternsByHandAreTheirPatterns(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, pattern string
		by            func(string) bool
		one           string
		pieces        []string
	}{
		{"a handle", `^\s*ENC\[(.*)\]\s*$`, isHandle, " ENC[a]\n", []string{"ENC[", "]", "a", " ", "\n", "\t", "[", "\r"}},
		{"a placeholder", `<[A-Z][A-Z0-9_ ]*>`, hasPlaceholder, "a<A 1>", []string{"<", ">", "A", "a", " ", "_", "1"}},
		{"an e-mail address", `^[^\s@:<>]+@[^\s@:<>]+$`, isEmail, "a@é.a", []string{"a", "@", "a@a", ".", " ", "\n", ":", "<", "é"}},
		{"a host name", `^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`, isHostName, "a-9.a", []string{"a", "-", ".", "9", "A", "_", "é"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			want := regexp.MustCompile(tc.pattern)
			if !want.MatchString(tc.one) || !tc.by(tc.one) {
				t.Errorf("%q is none", tc.one)
			}
			rapid.Check(t, func(t *rapid.T) {
				text := ""
				for _, p := range rapid.SliceOfN(rapid.SampledFrom(tc.pieces), 0, 7).Draw(t, "text") {
					text += p
				}
				if got := tc.by(text); got != want.MatchString(text) {
					t.Fatalf("%q: %t", text, got)
				}
			})
		})
	}
}
