package check

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// FuzzReadLease: whatever stands in the file, there is a node to claim with, a lease
// is valid only within the time that is written there, and what was read is
// written as it was.
func FuzzReadLease(f *testing.F) {
	f.Add([]byte(`{"version":1,"node":"n","host":"web-1","memory":"MQ==","held":true,"holder":{"node":"n","host":"web-1","since":"2026-11-23T12:00:00Z"},"asked":1795435200000,"until":1795435380000}`))
	f.Add([]byte(`{"version":1,"node":""}`))
	f.Add([]byte(`{"version":2,"node":"n"}`))
	f.Add([]byte(`{"version":1,"node":"n","asked":"soon"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "lease.json")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		n := readLease(path)
		if n.Version != leaseVersion || n.Node == "" {
			t.Fatalf("there is no node: %+v", n)
		}
		for _, at := range []int64{n.Asked - 1, n.Asked, n.Until - 1, n.Until, 0} {
			if n.valid(time.UnixMilli(at)) && (!n.Held || at < n.Asked || at >= n.Until) {
				t.Errorf("at %d this is valid: %+v", at, n)
			}
		}
		if err := writeLease(path, n); err != nil {
			return // a year that no date is written of
		}
		if diff := cmp.Diff(n, readLease(path)); diff != "" {
			t.Errorf("(-read +read again)\n%s", diff)
		}
	})
}
