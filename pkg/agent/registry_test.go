package agent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeRegistry(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 10, 0, 0, 5, time.UTC)
	for name, c := range map[string]struct {
		text string
		want map[string]RegistryEntry // nil: unknown
	}{
		"version 2 has the offset as text": {
			`{"Version":2,"Registry":{"file:/s/a.jsonl":{"LastUpdated":"2026-11-23T10:00:00.000000005Z","Offset":"123","TailingMode":"beginning","IngestionTimestamp":7,"Fingerprint":{"Value":0,"Config":null}}}}`,
			map[string]RegistryEntry{"/s/a.jsonl": {Offset: 123, LastUpdated: at, TailingMode: "beginning", IngestionTimestamp: 7}},
		},
		"version 1 has it as a number, and containers have a time": {
			`{"Version":1,"Registry":{"file:/s/a.jsonl":{"LastUpdated":"2026-11-23T10:00:00.000000005Z","Timestamp":"","Offset":9},"docker:1":{"Timestamp":"2026","Offset":0}}}`,
			map[string]RegistryEntry{"/s/a.jsonl": {Offset: 9, LastUpdated: at}},
		},
		"version 0 has paths without a prefix": {
			`{"Version":0,"Registry":{"/s/a.jsonl":{"Path":"/s/a.jsonl","Timestamp":"2026-11-23T10:00:00.000000005Z","Offset":9}}}`,
			map[string]RegistryEntry{"/s/a.jsonl": {Offset: 9, LastUpdated: at}},
		},
		"what is no file's has an offset of another kind and is left out": {
			`{"Version":2,"Registry":{"journald:default":{"Offset":"s=1;i=2"},"docker:abc":{"Offset":"2026-01-01T00:00:00Z"}}}`,
			map[string]RegistryEntry{},
		},
		"an entry that cannot be read takes no other with it": {
			`{"Version":2,"Registry":{"file:/a":5,"file:/b":{"Offset":"x"},"file:/c":{"Offset":"-1"},"file:":{"Offset":"1"},"file:/d":{"Offset":"4","LastUpdated":17,"TailingMode":{}}}}`,
			map[string]RegistryEntry{"/d": {Offset: 4}},
		},
		"a file just begun has no entries":       {`{"Version":2,"Registry":{}}`, map[string]RegistryEntry{}},
		"no entries at all may be null":          {`{"Version":2,"Registry":null}`, map[string]RegistryEntry{}},
		"nothing is unknown":                     {``, nil},
		"a part is unknown":                      {`{"Version":2,"Registry":{"file:/s/a.jsonl":{"Off`, nil},
		"another version is unknown":             {`{"Version":3,"Registry":{"file:/s/a.jsonl":{"Offset":"1"}}}`, nil},
		"no version is unknown":                  {`{"Registry":{"file:/s/a.jsonl":{"Offset":"1"}}}`, nil},
		"something behind the object is unknown": {`{"Version":2,"Registry":{}}}`, nil},
		"null is unknown":                        {`null`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := DecodeRegistry([]byte(c.text))
			if (c.want == nil) != errors.Is(err, ErrRegistryUnknown) {
				t.Fatalf("the error is %v", err)
			}
			if diff := cmp.Diff(c.want, r.Files); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	r := Registry{Files: map[string]RegistryEntry{
		"/run/aar/spool/jira/a.jsonl":       {Offset: 5},
		"/host/aar/spool/jira/b.jsonl":      {Offset: 7},
		"/proc/1/root/spool/jira/b.jsonl":   {Offset: 6},
		`C:\ProgramData\spool\jira\c.jsonl`: {Offset: 8},
	}}
	for name, c := range map[string]struct {
		path string
		want int64 // -1: none
	}{
		"the path itself":                           {"/run/aar/spool/jira/a.jsonl", 5},
		"of several other paths the lowest offset":  {"/run/aar/spool/jira/b.jsonl", 6},
		"a file of the name in another folder":      {"/run/aar/spool/confluence/a.jsonl", -1},
		"a file without an entry":                   {"/run/aar/spool/jira/x.jsonl", -1},
		"Windows knows no case":                     {`c:\programdata\Spool\Jira\C.jsonl`, 8},
		"a name alone is not the end of other name": {"a.jsonl", -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, ok := r.Lookup(c.path)
			if ok != (c.want >= 0) || ok && e.Offset != c.want {
				t.Errorf("%v, %v", e, ok)
			}
		})
	}
}

func TestReadRegistry(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "registry.json")
	if _, err := ReadRegistry(path); !errors.Is(err, ErrRegistryUnknown) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte(`{"Version":2,"Reg`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRegistry(path); !errors.Is(err, ErrRegistryUnknown) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a part: %v", err)
	}
	if _, err := ReadRegistry(t.TempDir()); err == nil || errors.Is(err, ErrRegistryUnknown) {
		t.Errorf("of a folder: %v", err)
	}

	want := Registry{Files: map[string]RegistryEntry{
		"/s/a.jsonl": {Offset: 1 << 40, LastUpdated: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), TailingMode: "beginning", IngestionTimestamp: 8},
		`C:\s\b`:     {},
	}}
	for range 2 { // new, and in the place of the one before
		if err := WriteRegistry(path, want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadRegistry(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.WrittenAt.IsZero() {
		t.Error("it does not say when it was written")
	}
	got.WrittenAt = time.Time{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("it left %v behind (%v)", entries, err)
	}
}

func TestRegistryPath(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ logs, run, want string }{
		"the logs' own run path counts": {"/l", "/r", filepath.Join("/l", RegistryName)},
		"else the Agent's":              {"", "/r", filepath.Join("/r", RegistryName)},
		"else the platform's":           {"", "", filepath.Join(RunPath(), RegistryName)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := RegistryPath(c.logs, c.run); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func FuzzDecodeRegistry(f *testing.F) {
	f.Add([]byte(`{"Version":2,"Registry":{"file:/s/a.jsonl":{"LastUpdated":"2026-11-23T10:00:00Z","Offset":"123","TailingMode":"end","IngestionTimestamp":1}}}`))
	f.Add([]byte(`{"Version":1,"Registry":{"file:/s/a.jsonl":{"Timestamp":"","Offset":9}}}`))
	f.Add([]byte(`{"Version":0,"Registry":{"/s/a.jsonl":{"Offset":9}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := DecodeRegistry(raw)
		if err != nil {
			if !errors.Is(err, ErrRegistryUnknown) || r.Files != nil {
				t.Fatalf("%v, with %v", err, r)
			}
			return
		}
		for path, e := range r.Files {
			if path == "" || e.Offset < 0 {
				t.Fatalf("the entry %q: %v", path, e)
			}
		}
		text, err := r.Encode()
		if err != nil {
			return // a time after the year 9999
		}
		again, err := DecodeRegistry(text)
		if err != nil || len(again.Files) != len(r.Files) {
			t.Fatalf("%v: %d entries became %d", err, len(r.Files), len(again.Files))
		}
		for path, e := range r.Files {
			if got := again.Files[path]; got.Offset != e.Offset || !got.LastUpdated.Equal(e.LastUpdated) {
				t.Fatalf("%q: %v became %v", path, e, got)
			}
		}
	})
}
