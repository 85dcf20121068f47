package spool_test

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/spool/spooltest"
)

const keptID = "11223344-a1b2:jira:../11932"

func keptPath() string { return "/run/oversize/" + spool.KeptName(keptID) }

func TestKeptNameIsSafe(t *testing.T) {
	t.Parallel()
	name := spool.KeptName(keptID)
	if len(name) != 32+len(".json") || strings.Trim(name, "0123456789abcdef") != ".json" && !strings.HasSuffix(name, ".json") {
		t.Errorf("the name is %q", name)
	}
	if name == spool.KeptName(keptID+"x") || name != spool.KeptName(keptID) {
		t.Error("the name is not that of the record")
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	m := newFS()
	d := open(t, m, spool.Options{})
	for range 2 {
		if err := d.Keep(keptID, []byte(`{"whole":1}`)); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := m.ReadFile(keptPath()); string(got) != `{"whole":1}` {
		t.Errorf("kept %q", got)
	}
	modes := m.Modes()
	if modes["/run/oversize"] != fs.ModeDir|0o700 || modes[keptPath()] != 0o600 {
		t.Errorf("the modes are %v and %v", modes["/run/oversize"], modes[keptPath()])
	}
}

func TestKeepRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		prepare func(*spooltest.MemFS)
		want    string
	}{
		{"a folder that is a symbolic link", func(m *spooltest.MemFS) { m.Symlink("/run/oversize") },
			"/run/oversize is a symbolic link, and audit records are not written through one: remove it, or set run_path to where the records shall go"},
		{"a symbolic link in the file's place", func(m *spooltest.MemFS) { m.MkdirAll("/run/oversize"); m.Symlink(keptPath()) },
			keptPath() + " is not a regular file: somebody else put it there; move it away, and collection goes on in a new file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newFS()
			d := open(t, m, spool.Options{})
			c.prepare(m)
			if got := text(d.Keep(keptID, []byte("{}"))); got != c.want {
				t.Errorf("error %q, want %q", got, c.want)
			}
		})
	}
	d, err := spool.Open(newFS(), folder, spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Keep(keptID, nil); err == nil {
		t.Error("a record was kept nowhere")
	}
}

// Keep may fail at any operation and the machine crash: the record is there
// wholly or not at all, it is there when Keep said so, and Keep can be called
// again.
func TestKeepThroughEveryFault(t *testing.T) {
	t.Parallel()
	raw := []byte(strings.Repeat("0123456789", 300))
	for n := 1; ; n++ {
		m := newFS()
		d := open(t, m, spool.Options{})
		first := m.Ops()
		reached := false
		m.Inject(func(op spooltest.Op) error {
			if op.N != first+n {
				return nil
			}
			reached = true
			return &spooltest.PartialError{Bytes: 1000, Err: syscall.ENOSPC}
		})
		err := d.Keep(keptID, raw)
		m.Inject(nil)
		for seed := range uint64(16) {
			after := m.Crash(seed)
			got, ok := after.ReadFile(keptPath())
			if ok && string(got) != string(raw) {
				t.Fatalf("operation %d failed, crash %d: %d of %d bytes are there", n, seed, len(got), len(raw))
			}
			if !ok && err == nil {
				t.Fatalf("operation %d failed, crash %d: the record is gone", n, seed)
			}
			if _, ok := after.Modes()["/run/spool/jira"]; !ok {
				t.Fatal("the spool's folder is gone")
			}
			if err := open(t, after, spool.Options{}).Keep(keptID, raw); err != nil {
				t.Fatalf("operation %d failed, crash %d: %v", n, seed, err)
			}
			if got, _ := after.ReadFile(keptPath()); string(got) != string(raw) {
				t.Fatalf("operation %d failed, crash %d: kept %d of %d bytes", n, seed, len(got), len(raw))
			}
		}
		if err := d.Keep(keptID, raw); err != nil {
			t.Fatalf("operation %d failed, and again: %v", n, err)
		}
		if !reached {
			return
		}
	}
}
