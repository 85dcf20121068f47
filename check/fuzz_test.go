package check

import (
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzReadLastRun: what a run left behind is read as it was written, or not at
// all; with a right checksum (sealed) the rest may be anything.
func FuzzReadLastRun(f *testing.F) {
	f.Add([]byte(`{"version":1,"program":"v1"}`), true)
	f.Add([]byte(`{"version":2}`), true)
	f.Add([]byte(`[1`), true)
	f.Add([]byte("00000000 {}\n"), false)
	f.Add([]byte("\n"), false)
	f.Add([]byte(""), false)
	f.Fuzz(func(t *testing.T, text []byte, sealed bool) {
		path := filepath.Join(t.TempDir(), "jira.last")
		if sealed {
			text = fmt.Appendf(nil, "%08x %s\n", crc32.Checksum(text, castagnoli), text)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := readLastRun(path)
		if err != nil {
			if l != nil {
				t.Errorf("%v came with %v", err, l)
			}
			return
		}
		l.redact([]string{"secret"})
		if err := writeLastRun(path, *l); err != nil {
			return // a time after the year 9999
		}
		again, err := readLastRun(path)
		if err != nil || !cmp.Equal(l, again) {
			t.Errorf("%v: %s", err, cmp.Diff(l, again))
		}
	})
}
