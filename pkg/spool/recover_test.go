package spool_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/spool/spooltest"
)

const (
	folder = "/run/spool/jira"
	name   = "20261123T120000.000Z-0000000000000001.jsonl"
	path   = folder + "/" + name
)

// open opens the spool folder, whose upper folder exists.
func open(t testing.TB, m *spooltest.MemFS, o spool.Options) *spool.Dir {
	t.Helper()
	if o.Oversize == "" {
		o.Oversize = "/run/oversize"
	}
	d, err := spool.Open(m, folder, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newFS() *spooltest.MemFS {
	m := spooltest.New()
	m.MkdirAll("/run/spool")
	return m
}

// TestRecovery is the table of the package comment. Before every row two lines
// were written and acknowledged, "first" and "second"; the batch committed last
// is "third", "fourth" and "fifth", and it was written wholly.
func TestRecovery(t *testing.T) {
	t.Parallel()
	const before = "first\nsecond\n"
	const batch = "third\nfourth\nfifth\n"
	whole := before + batch
	cut := func(n int) func(*spooltest.MemFS) {
		return func(m *spooltest.MemFS) { m.WriteFile(path, []byte(whole[:n])) }
	}
	become := func(s string) func(*spooltest.MemFS) {
		return func(m *spooltest.MemFS) { m.WriteFile(path, []byte(s)) }
	}
	gone := func(m *spooltest.MemFS) {
		if err := m.Remove(path); err != nil {
			panic(err)
		}
	}
	for _, c := range []struct {
		name    string
		offset0 bool // the batch is all five lines, at the beginning of the file
		corrupt func(*spooltest.MemFS)
		written bool
		rest    string
		file    string // afterwards; "-" for none
		err     string
	}{
		{name: "the whole batch is there and stays",
			corrupt: func(*spooltest.MemFS) {}, file: whole},
		{name: "more than the batch is there and stays",
			corrupt: become(whole + "sixth\nsev"), file: whole + "sixth\nsev"},
		{name: "the file ends at the batch, which is written",
			corrupt: cut(len(before)), written: true, file: whole},
		{name: "the file ends within the batch's first line, and the batch is written",
			corrupt: cut(len(before) + 3), written: true, file: whole},
		{name: "the file ends between two lines of the batch, which is written",
			corrupt: cut(len(before) + len("third\n")), written: true, file: whole},
		{name: "only the last line end is missing, and the batch is written",
			corrupt: cut(len(whole) - 1), written: true, file: whole},
		{name: "the file is gone and the batch stood further on, so all of it goes to a new file",
			corrupt: gone, rest: batch, file: "-"},
		{name: "the file is gone and the batch was its beginning, so it is written again",
			offset0: true, corrupt: gone, written: true, file: whole},
		{name: "the file is empty and the batch was its beginning, so it is written",
			offset0: true, corrupt: become(""), written: true, file: whole},
		{name: "the file holds a part and the batch was its beginning, so it is written",
			offset0: true, corrupt: cut(9), written: true, file: whole},
		{name: "the whole file is the batch and stays",
			offset0: true, corrupt: func(*spooltest.MemFS) {}, file: whole},
		{name: "the file is shorter than where the batch begins, so all of it goes to a new file",
			corrupt: cut(len(before) - 1), rest: batch, file: before[:len(before)-1]},
		{name: "the file is empty and the batch stood further on, so all of it goes to a new file",
			corrupt: become(""), rest: batch, file: ""},
		{name: "another byte in the second line: this one goes to a new file",
			corrupt: become(before + "third\nfouRth\nfifth\n"), rest: "fourth\n", file: before + "third\nfouRth\nfifth\n"},
		{name: "zeros where the first line was: this one goes to a new file",
			corrupt: become(before + "\x00\x00\x00\x00\x00\nfourth\nfifth\n"), rest: "third\n", file: before + "\x00\x00\x00\x00\x00\nfourth\nfifth\n"},
		{name: "zeros up to within a line: what does not begin a line of its own goes to a new file",
			corrupt: become(before + "\x00\x00\x00\x00\x00\x00fourth\nfifth\n"), rest: "third\nfourth\n", file: before + "\x00\x00\x00\x00\x00\x00fourth\nfifth\n"},
		{name: "another byte and then the end: the rest goes to a new file",
			corrupt: become(before + "third\nfoX"), rest: "fourth\nfifth\n", file: before + "third\nfoX"},
		{name: "another byte as the last one: only the last line goes to a new file",
			corrupt: become(before + "third\nfourth\nfifth "), rest: "fifth\n", file: before + "third\nfourth\nfifth "},
		{name: "somebody else appended at our place: nothing of theirs is touched",
			corrupt: become(before + "foreign\n"), rest: batch, file: before + "foreign\n"},
		{name: "zeros beyond our part: the line they cut goes to a new file",
			corrupt: become(before + "third\nfour\x00\x00\x00\x00"), rest: "fourth\nfifth\n", file: before + "third\nfour\x00\x00\x00\x00"},
		{name: "a symbolic link stands in the file's place and is refused",
			corrupt: func(m *spooltest.MemFS) { m.Symlink(path) }, file: "-",
			err: path + " is not a regular file: somebody else put it there; move it away, and collection goes on in a new file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newFS()
			d := open(t, m, spool.Options{})
			m.WriteFile(path, []byte(whole))
			b := audit.Batch{Place: audit.Place{File: name, Offset: int64(len(before))}, Lines: []byte(batch)}
			if c.offset0 {
				b = audit.Batch{Place: audit.Place{File: name}, Lines: []byte(whole)}
			}
			c.corrupt(m)
			for _, again := range []bool{false, true} { // a second time changes nothing
				written, rest, err := d.Recover(b)
				if got := text(err); got != c.err {
					t.Fatalf("error %q, want %q", got, c.err)
				}
				if want := c.written && !again; written != want {
					t.Errorf("again=%v: written = %v, want %v", again, written, want)
				}
				if string(rest) != c.rest {
					t.Errorf("again=%v: rest = %q, want %q", again, rest, c.rest)
				}
				got, ok := m.ReadFile(path)
				if !ok {
					got = []byte("-")
				}
				if diff := cmp.Diff(c.file, string(got)); diff != "" {
					t.Errorf("again=%v: the file differs (-want +got):\n%s", again, diff)
				}
			}
			if err := crashed(m, b, c.rest, c.err != ""); err != "" {
				t.Error(err)
			}
		})
	}
}

// crashed says what is wrong with what the disk holds of b after a crash right
// behind Recover, if anything.
func crashed(m *spooltest.MemFS, b audit.Batch, rest string, refused bool) string {
	if refused {
		return ""
	}
	for seed := range uint64(8) {
		after, _ := m.Crash(seed).ReadFile(path)
		for line := range strings.Lines(string(b.Lines)) {
			if !strings.Contains(rest, line) && !bytes.Contains(after, []byte(line)) {
				return "after a crash the line " + line + " is gone"
			}
		}
	}
	return ""
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A sync that failed has dropped what it should have written, though reading
// still shows it, so another process must write it again.
func TestRecoverAfterAFailedSync(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"Write to a new file", "Write to an old file"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			m := newFS()
			d := open(t, m, spool.Options{})
			place := audit.Place{File: name}
			if kind == "Write to an old file" {
				if err := d.Write(place, []byte("before\n")); err != nil {
					t.Fatal(err)
				}
				place.Offset = int64(len("before\n"))
			}
			b := audit.Batch{Place: place, Lines: []byte(strings.Repeat("line\n", 1000))}
			m.Inject(func(op spooltest.Op) error {
				if op.Kind == "Sync" {
					return syscall.EIO
				}
				return nil
			})
			if err := d.Write(b.Place, b.Lines); !errors.Is(err, syscall.EIO) {
				t.Fatalf("Write: %v, want EIO", err)
			}
			m.Inject(nil)

			m = m.Clone() // the next process
			d = open(t, m, spool.Options{})
			if _, rest, err := d.Recover(b); rest != nil || err != nil {
				t.Fatalf("Recover = %q, %v; want nothing", rest, err)
			}
			for seed := range uint64(16) {
				got, _ := m.Crash(seed).ReadFile(path)
				if !bytes.HasSuffix(got, b.Lines) {
					t.Fatalf("seed %d: after a crash %d bytes are there", seed, len(got))
				}
			}
			if written, _, err := d.Recover(b); written || err != nil {
				t.Errorf("Recover once more = %v, %v; want nothing to do", written, err)
			}
			if f := m.Files(); len(f) != 1 {
				t.Errorf("there are %d files", len(f))
			}
		})
	}
}

func TestRecoverOfBadBatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		batch audit.Batch
		want  string
	}{
		{"nothing was ever committed", audit.Batch{}, ""},
		{"a name that leaves the folder is refused", audit.Batch{Place: audit.Place{File: "../x.jsonl"}, Lines: []byte("a\n")}, `"../x.jsonl" is not the name of a spool file`},
		{"a name that the Agent would not read is refused", audit.Batch{Place: audit.Place{File: "x.json"}, Lines: []byte("a\n")}, `"x.json" is not the name of a spool file`},
		{"a hidden name is refused", audit.Batch{Place: audit.Place{File: ".jsonl"}, Lines: []byte("a\n")}, `".jsonl" is not the name of a spool file`},
		{"an offset before the beginning is refused", audit.Batch{Place: audit.Place{File: name, Offset: -1}, Lines: []byte("a\n")}, "-1 is not an offset in " + path},
		{"half a line is refused", audit.Batch{Place: audit.Place{File: name}, Lines: []byte("a\nb")}, "the batch for " + path + " does not end with a whole line"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newFS()
			_, _, err := open(t, m, spool.Options{}).Recover(c.batch)
			if got := text(err); got != c.want {
				t.Errorf("error %q, want %q", got, c.want)
			}
			if len(m.Files()) != 0 {
				t.Error("a file was made")
			}
		})
	}
}

// A sync fails, and with it everything that could tell the next process.
func TestRecoverAfterAFailedSyncThatNobodyCouldTell(t *testing.T) {
	t.Parallel()
	m := newFS()
	d := open(t, m, spool.Options{})
	b := audit.Batch{Place: audit.Place{File: name}, Lines: []byte("a line\n")}
	failed := false
	m.Inject(func(op spooltest.Op) error {
		if failed = failed || op.Kind == "Sync"; failed {
			return syscall.EIO
		}
		return nil
	})
	if err := d.Write(b.Place, b.Lines); err == nil {
		t.Fatal("a failed sync was not told")
	}
	m = m.Clone() // the next process
	if _, rest, err := open(t, m, spool.Options{}).Recover(b); rest != nil || err != nil {
		t.Errorf("Recover = %q, %v; want nothing", rest, err)
	}
	for seed := range uint64(16) {
		if got, _ := m.Crash(seed).ReadFile(path); string(got) != "a line\n" {
			t.Errorf("seed %d: after a crash the file holds %q", seed, got)
		}
	}
}

// FuzzRecover: whatever the disk holds, Recover changes no byte of it, and
// every line stands on disk as a line or is in rest, never both.
func FuzzRecover(f *testing.F) {
	f.Add([]byte("first\nthird\nfou"), uint16(6), []byte("third\nfourth\n"))
	f.Add([]byte("first\nthird\n\x00\x00\n"), uint16(6), []byte("third\nfourth\n"))
	f.Add([]byte(""), uint16(0), []byte("a\n"))
	f.Add([]byte("\n\n"), uint16(1), []byte("\n\n\n"))
	f.Fuzz(func(t *testing.T, disk []byte, offset uint16, lines []byte) {
		lines = append(lines, '\n')
		m := newFS()
		d := open(t, m, spool.Options{})
		m.WriteFile(path, disk)
		_, rest, err := d.Recover(audit.Batch{Place: audit.Place{File: name, Offset: int64(offset)}, Lines: lines})
		if err != nil {
			t.Fatal(err)
		}
		after, _ := m.ReadFile(path)
		if !bytes.HasPrefix(after, disk) {
			t.Fatalf("bytes were changed: %q, before %q", after, disk)
		}
		var missing []byte
		at := int(offset)
		for line := range bytes.Lines(lines) {
			begins := at == int(offset) || (at <= len(after) && after[at-1] == '\n')
			end := at + len(line)
			if !begins || end > len(after) || !bytes.Equal(after[at:end], line) {
				missing = append(missing, line...)
			}
			at = end
		}
		if !slices.Equal(missing, rest) {
			t.Fatalf("rest = %q, want %q", rest, missing)
		}
	})
}
