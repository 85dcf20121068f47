package ledger

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"atlassian_audit_records/pkg/agent"
)

func open(t *testing.T, path string, now func() time.Time) *Ledger {
	t.Helper()
	l, aside, err := Open(path, now)
	if err != nil || aside != "" {
		t.Fatalf("open: %q, %v", aside, err)
	}
	return l
}

func zero() int64 { return 0 }

// TestAnOffsetNeverLiesBeyondWhatWasNotAcknowledged acknowledges lines in any
// order, and some several times.
func TestAnOffsetNeverLiesBeyondWhatWasNotAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(dir, "registry.json")
		_ = os.Remove(path) // of the last case
		l := open(t, path, nil)
		lengths := rapid.SliceOfN(rapid.Int64Range(1, 50), 1, 12).Draw(rt, "lengths")
		ends := make([]int64, len(lengths))
		at := l.Begin("a", zero)
		for i, n := range lengths {
			at += n
			ends[i] = at
		}
		l.Sent("a", at)
		order := rapid.SliceOfN(rapid.IntRange(0, len(lengths)-1), 0, 30).Draw(rt, "order")
		done := map[int]bool{}
		for _, i := range order {
			l.Acknowledge("a", ends[i]-lengths[i], ends[i], 1)
			done[i] = true
		}
		want, left := int64(0), int64(0)
		whole := true
		for i, n := range lengths {
			if whole = whole && done[i]; whole {
				want += n
			}
			if !done[i] {
				left += n
			}
		}
		if pending, _ := l.Pending(); pending != left {
			rt.Fatalf("%d bytes are pending, and %d were not acknowledged", pending, left)
		}
		if err := l.Save(); err != nil {
			rt.Fatal(err)
		}
		if got := open(t, path, nil).Begin("a", func() int64 { return -1 }); got != want {
			rt.Fatalf("the offset is %d, and %d bytes were acknowledged from the beginning on", got, want)
		}
	})
}

func TestWhatIsForgotten(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "registry.json")
	l := open(t, path, func() time.Time { return now })
	for _, name := range []string{"kept", "gone", "touched"} {
		l.Begin(name, zero)
		l.Sent(name, 10)
		l.Acknowledge(name, 0, 10, now.UnixNano())
	}
	l.Begin("waited for", func() int64 { return 7 })
	l.Sent("waited for", 9)
	if pending, _ := l.Pending(); pending != 2 {
		t.Errorf("%d bytes are pending", pending)
	}
	l.Gone("waited for")
	if pending, _ := l.Pending(); pending != 0 {
		t.Errorf("%d bytes are pending of a file that is gone", pending)
	}
	now = now.Add(22 * time.Hour)
	l.Acknowledge("touched", 10, 12, now.UnixNano())
	l.Expire(map[string]bool{"kept": true})
	now = now.Add(2 * time.Hour)
	l.Expire(map[string]bool{"kept": true})
	if err := l.Save(); err != nil {
		t.Fatal(err)
	}
	r, err := agent.ReadRegistry(path)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for name, e := range r.Files {
		got[name] = e.Offset
	}
	if diff := cmp.Diff(map[string]int64{"kept": 10, "touched": 12}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if e := r.Files["touched"]; e.TailingMode != "beginning" || e.IngestionTimestamp == 0 || !e.LastUpdated.Equal(now.Add(-2*time.Hour)) {
		t.Errorf("the entry is %+v", e)
	}
}

func TestARegistryThatCannotBeReadIsSetAside(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "registry.json")
	if err := os.WriteFile(path, []byte(`{"Version":2,"Regi`), 0o600); err != nil {
		t.Fatal(err)
	}
	l, aside, err := Open(path, nil)
	if err != nil || aside != path+".unreadable" {
		t.Fatalf("set aside as %q, %v", aside, err)
	}
	if _, err := os.Stat(aside); err != nil {
		t.Error(err)
	}
	if at := l.Begin("a", func() int64 { return 3 }); at != 3 {
		t.Errorf("it begins at %d", at)
	}
	if err := l.Save(); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.ReadRegistry(path); err != nil {
		t.Error(err)
	}
}

// TestAFailedSaveIsRepeated: what could not be written is not forgotten.
func TestAFailedSaveIsRepeated(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "missing")
	l := open(t, filepath.Join(dir, "registry.json"), nil)
	l.Begin("a", func() int64 { return 5 })
	if err := l.Save(); err == nil {
		t.Fatal("a save into a folder that is not there succeeded")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.Save(); err != nil {
		t.Fatal(err)
	}
	if r, err := agent.ReadRegistry(filepath.Join(dir, "registry.json")); err != nil || r.Files["a"].Offset != 5 {
		t.Errorf("%+v, %v", r.Files, err)
	}
}
