package sourcetest

import (
	"testing"
	"time"
)

// TestARecordIsNamedWhereItIsAskedFor, also one that says the same as an older one and
// was stored since everybody was noted.
func TestARecordIsNamedWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	for _, kind := range Kinds() {
		s, err := NewSite(kind, 1, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		product := string(s.Product)
		at := time.Now()
		older := s.NameOf(s.At(product, s.AddTwins(product, 1, at.Add(-time.Hour))[0]))
		newer := s.NameOf(s.At(product, s.AddTwins(product, 1, at)[0]))
		if older == "" || newer == "" {
			t.Errorf("%s: the names are %q and %q", kind.Name, older, newer)
		}
	}
}
