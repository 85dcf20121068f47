package spooltest_test

import (
	"bytes"
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/spool/spooltest"
)

// outcomes are the contents of a file after many crashes; "gone" where there is
// none.
func outcomes(m *spooltest.MemFS, path string) map[string]int {
	out := map[string]int{}
	for seed := range uint64(300) {
		data, ok := m.Crash(seed).ReadFile(path)
		if !ok {
			data = []byte("gone")
		}
		out[string(data)]++
	}
	return out
}

func create(t *testing.T, m *spooltest.MemFS, path string, data []byte) spool.File {
	t.Helper()
	f, err := m.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
	return f
}

func done(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatACrashLeaves(t *testing.T) {
	t.Parallel()
	two := append(bytes.Repeat([]byte("a"), spooltest.Sector), bytes.Repeat([]byte("b"), spooltest.Sector)...)
	holed := append(make([]byte, spooltest.Sector), two[spooltest.Sector:]...)

	t.Run("a new file is gone or there, with nothing, a part or all of it", func(t *testing.T) {
		t.Parallel()
		m := spooltest.New()
		create(t, m, "/f", two)
		got := outcomes(m, "/f")
		for _, want := range []string{"gone", "", string(two), string(two[:spooltest.Sector]), string(holed)} {
			if got[want] == 0 {
				t.Errorf("%.5q… (%d bytes) never came", want, len(want))
			}
		}
	})
	t.Run("a file that was synced is gone while its folder was not", func(t *testing.T) {
		t.Parallel()
		m := spooltest.New()
		done(t, create(t, m, "/f", two).Sync())
		if got := outcomes(m, "/f"); got["gone"] == 0 || got[string(two)] == 0 || len(got) != 2 {
			t.Errorf("%d outcomes, want gone and whole", len(got))
		}
	})
	t.Run("a file that was synced with its folder is there", func(t *testing.T) {
		t.Parallel()
		m := spooltest.New()
		done(t, create(t, m, "/f", two).Sync())
		done(t, m.SyncDir("/"))
		if got := outcomes(m, "/f"); got[string(two)] != 300 {
			t.Errorf("whole after %d of 300 crashes", got[string(two)])
		}
	})
	t.Run("a sync that failed loses the bytes, though a second one succeeds", func(t *testing.T) {
		t.Parallel()
		m := spooltest.New()
		f := create(t, m, "/f", []byte("x"))
		done(t, m.SyncDir("/"))
		m.Inject(func(spooltest.Op) error { return syscall.EIO })
		if err := f.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		m.Inject(nil)
		done(t, f.Sync())
		if got := outcomes(m, "/f"); got["x"] != 0 || got["\x00"] != 300 {
			t.Errorf("outcomes %v", got)
		}
		if data, _ := m.ReadFile("/f"); string(data) != "x" {
			t.Errorf("seen is %q", data)
		}
	})
	t.Run("a rename is done or not, never half", func(t *testing.T) {
		t.Parallel()
		m := spooltest.New()
		m.WriteFile("/a", []byte("x"))
		done(t, m.Rename("/a", "/b"))
		moved := 0
		for seed := range uint64(100) {
			after := m.Crash(seed)
			_, a := after.ReadFile("/a")
			_, b := after.ReadFile("/b")
			if a == b {
				t.Fatalf("seed %d: a is there: %v, b is there: %v", seed, a, b)
			}
			if b {
				moved++
			}
		}
		if moved == 0 || moved == 100 {
			t.Errorf("moved after %d of 100 crashes", moved)
		}
	})
	t.Run("a folder that was not synced takes its files with it", func(t *testing.T) {
		t.Parallel()
		m := spooltest.New()
		done(t, m.Mkdir("/d"))
		done(t, create(t, m, "/d/f", two).Sync())
		done(t, m.SyncDir("/d"))
		if got := outcomes(m, "/d/f"); got["gone"] == 0 || got[string(two)] == 0 || len(got) != 2 {
			t.Errorf("%d outcomes, want gone and whole", len(got))
		}
	})
	t.Run("a killed process loses nothing", func(t *testing.T) {
		t.Parallel()
		m := spooltest.New()
		create(t, m, "/f", two)
		if data, _ := m.Clone().ReadFile("/f"); !bytes.Equal(data, two) {
			t.Errorf("%d bytes are there", len(data))
		}
		if got := outcomes(m.Clone(), "/f"); got["gone"] == 0 {
			t.Error("the copy cannot crash")
		}
	})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	m := spooltest.New()
	f := create(t, m, "/f", []byte("0123456789"))
	m.SetCapacity(12)
	if n, err := f.WriteAt([]byte("abcd"), 10); n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a write on a full disk = %d, %v", n, err)
	}
	if n, err := f.WriteAt([]byte("over"), 0); n != 4 || err != nil {
		t.Errorf("a write that needs no room = %d, %v", n, err)
	}
	m.SetCapacity(-1)
	m.Inject(func(op spooltest.Op) error {
		if op.Kind == "WriteAt" && op.Path == "/f" {
			return &spooltest.PartialError{Bytes: 1, Err: syscall.EIO}
		}
		return nil
	})
	if n, err := f.WriteAt([]byte("XY"), 0); n != 1 || !errors.Is(err, syscall.EIO) {
		t.Errorf("a write that stops = %d, %v", n, err)
	}
	if data, _ := m.ReadFile("/f"); string(data) != "Xver456789ab" {
		t.Errorf("the file holds %q", data)
	}
	done(t, f.Close())
	if err := f.Sync(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Sync of a closed file: %v", err)
	}
	if m.Count("WriteAt") != 4 || m.Ops() != 6 {
		t.Errorf("counted %d writes and %d operations", m.Count("WriteAt"), m.Ops())
	}
	for _, err := range []error{m.Mkdir("/f"), m.Mkdir("/no/d"), m.Remove("/no"), m.Rename("/no", "/x"), m.SyncDir("/f")} {
		if err == nil {
			t.Error("what cannot be done was done")
		}
	}
}
