package spool

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"math"
	"path/filepath"
	"testing"
	"time"
)

// FuzzNames: what a file in one of the folders is called says no more than
// what this package writes into a name.
func FuzzNames(f *testing.F) {
	for _, name := range []string{
		"20261123T100000.000Z-0000000000000001.jsonl",
		"20261123T100000.000Z-0000000000000001.jsonl.taken-20261123T110000.000Z",
		"20261123T100000.000Z-0000000000000001.upto-12.jsonl",
		"20261123T100000.000Z-0000000000000001.givenup-5.jsonl",
		"20261123T100000.000Z-0000000000000001.givenup-5.upto-12.jsonl",
		"20261123T100000.000Z-0000000000000001.upto-99999999999999999999.jsonl",
		".upto--1.jsonl", ".jsonl", "x.givenup-.jsonl", ".taken-", "0.jsonl.taken-00010101T000000,000Z",
	} {
		f.Add(name, uint16(20))
	}
	f.Fuzz(func(t *testing.T, name string, size uint16) {
		if name == "." || name == ".." || filepath.Base(name) != name {
			return // no name of a file
		}
		fsys := &oneFile{name: name, size: int64(size)}
		folders := Folders{Spool: "/s/spool", Late: "/s/late", Delivered: "/s/delivered"}
		for kind, list := range map[string]func(FS) ([]entry, error){"spooled": folders.spooled, "taken": folders.takenOut, "delivered": folders.delivered} {
			entries, err := list(fsys)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if !isName(e.name) {
					t.Errorf("%s: %q is taken for the spool file %q", kind, name, e.name)
				}
				if filepath.Base(e.path) != name || e.size != int64(size) {
					t.Errorf("%s: %q became %+v", kind, name, e)
				}
				if e.upto < 0 || kind == "taken" && e.taken.IsZero() {
					t.Errorf("%s: %+v", kind, e)
				}
				bornAt(e.name)
			}
		}
	})
}

// FuzzNotes: of notes that anything may stand in, what is kept can be asked and
// written again, and says the same.
func FuzzNotes(f *testing.F) {
	f.Add([]byte(`{"version":1,"known":true,"files":{"20261123T100000.000Z-0000000000000001.jsonl":{"acked":5,"acked_at":1,"marks":[{"size":5,"at":1}],"scan":{"from":0,"to":5}}}}`), int64(3))
	f.Add([]byte(`{"version":1,"files":{"20261123T100000.000Z-0000000000000001.jsonl":null,"../x":{}}}`), int64(0))
	f.Add([]byte(`{"version":2}`), int64(-1))
	f.Add([]byte(`{"version":1,"files":[]}`), int64(1))
	f.Fuzz(func(t *testing.T, text []byte, offset int64) {
		n, kept := readNotes(&oneFile{name: "notes", text: text, size: int64(len(text))}, "/s/notes")
		if n.Version != notesVersion || n.Files == nil || kept != nil && string(kept) != string(text) {
			t.Fatalf("%+v of %q", n, text)
		}
		for name, x := range n.Files {
			if x == nil || !isName(name) {
				t.Fatalf("a note about %q: %v", name, x)
			}
			before := len(x.Marks)
			if after, by := x.spooledBetween(offset); before == 0 && (after != 0 || by != 0) {
				t.Errorf("a file of which nothing is known was written between %d and %d", after, by)
			}
			x.acked(Offset{Bytes: offset}, math.MaxInt64, time.UnixMilli(1))
			x.grown(offset, time.UnixMilli(1))
			if x.AckedAt > 1 || len(x.Marks) > max(before, maxMarks)+1 {
				t.Errorf("the note became %+v", x)
			}
		}
		again, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		m, _ := readNotes(&oneFile{name: "notes", text: again, size: int64(len(again))}, "/s/notes")
		if len(m.Files) != len(n.Files) || m.Known != n.Known {
			t.Errorf("%q became %q", text, again)
		}
	})
}

// FuzzReplays: a ledger of replays that cannot be read is an error that names it;
// one that can tells only of what is there.
func FuzzReplays(f *testing.F) {
	f.Add([]byte(`{"version":1,"parts":[{"file":"a","from":0,"to":5,"into":"20261123T100000.000Z-0000000000000001.jsonl","at":1000,"done":true}]}`))
	f.Add([]byte(`{"version":1,"parts":[{"into":"../../x","at":9e18}]}`))
	f.Add([]byte(`{"version":9}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, text []byte) {
		tracker := &Tracker{fs: &oneFile{name: "replays", text: text, size: int64(len(text))}, now: time.UnixMilli(2000), f: Folders{Spool: "/s/spool", Late: "/s/late", Delivered: "/s/delivered"}}
		r, err := tracker.readReplays("/s/replays")
		if err != nil {
			return
		}
		if r.Version != replaysVersion {
			t.Fatalf("%+v", r)
		}
		for _, x := range r.Parts {
			if !x.Done {
				t.Errorf("what was never done is told: %+v", x)
			}
		}
	})
}

// oneFile is a file system with one file in every folder. It is read only; what
// it has no method for nobody may ask.
type oneFile struct {
	FS
	name string
	text []byte
	size int64
}

func (f *oneFile) Open(string) (File, error) { return oneHandle{Reader: bytes.NewReader(f.text)}, nil }

func (f *oneFile) Lstat(path string) (fs.FileInfo, error) {
	return fileInfo{name: filepath.Base(path), mode: fs.ModeDir | 0o700}, nil
}

func (f *oneFile) ReadDir(string) ([]fs.DirEntry, error) {
	return []fs.DirEntry{fs.FileInfoToDirEntry(fileInfo{name: f.name, size: f.size, mode: 0o600})}, nil
}

type oneHandle struct {
	File
	*bytes.Reader
}

func (h oneHandle) ReadAt(p []byte, off int64) (int, error) { return h.Reader.ReadAt(p, off) }

func (oneHandle) Close() error { return nil }

type fileInfo struct {
	name string
	size int64
	mode fs.FileMode
}

func (i fileInfo) Name() string      { return i.name }
func (i fileInfo) Size() int64       { return i.size }
func (i fileInfo) Mode() fs.FileMode { return i.mode }
func (fileInfo) ModTime() time.Time  { return time.UnixMilli(0) }
func (i fileInfo) IsDir() bool       { return i.mode.IsDir() }
func (fileInfo) Sys() any            { return nil }
