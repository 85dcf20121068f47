package spool_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
)

// The same on a real file system: what it makes, and what it refuses.
func TestOnDisk(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	folder := filepath.Join(base, "jira")
	d, err := spool.Open(spool.OS{}, folder, spool.Options{Oversize: filepath.Join(base, "oversize")})
	if err != nil {
		t.Fatal(err)
	}
	first, since := d.Next("", 0, 0, 6)
	if err := d.Write(first, []byte("first\n")); err != nil {
		t.Fatal(err)
	}
	second, again := d.Next(first.File, 6, since, 7)
	if second != (audit.Place{File: first.File, Offset: 6}) || again != since {
		t.Fatalf("the second place is %+v", second)
	}
	if err := d.Write(second, []byte("second\n")); err != nil {
		t.Fatal(err)
	}
	if written, rest, err := d.Recover(audit.Batch{Place: second, Lines: []byte("second\n")}); written || rest != nil || err != nil {
		t.Errorf("Recover of what is there = %v, %q, %v", written, rest, err)
	}
	if written, rest, err := d.Recover(audit.Batch{Place: audit.Place{File: first.File, Offset: 13}, Lines: []byte("third\n")}); !written || rest != nil || err != nil {
		t.Errorf("Recover of what is missing = %v, %q, %v", written, rest, err)
	}
	got, err := os.ReadFile(filepath.Join(folder, first.File))
	if err != nil || string(got) != "first\nsecond\nthird\n" {
		t.Errorf("the file holds %q, %v", got, err)
	}
	if err := d.Keep("a:jira:1", []byte("{}")); err != nil {
		t.Error(err)
	}
	if n, files, err := d.Size(); n != 19 || files != 1 || err != nil {
		t.Errorf("Size = %d, %d, %v", n, files, err)
	}
	if matches, err := filepath.Glob(filepath.Join(folder, "*.jsonl")); len(matches) != 1 || err != nil {
		t.Errorf("the Agent finds %q, %v", matches, err)
	}
	if runtime.GOOS == "windows" {
		return // modes mean nothing there
	}
	for path, want := range map[string]fs.FileMode{
		folder:                            fs.ModeDir | 0o700,
		filepath.Join(folder, first.File): 0o600,
		filepath.Join(base, "oversize"):   fs.ModeDir | 0o700,
		filepath.Join(base, "oversize", spool.KeptName("a:jira:1")): 0o600,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has the mode %v, want %v", path, info.Mode(), want)
		}
	}
}

func TestPlantedLinksOnDisk(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	victim := filepath.Join(base, "victim")
	if err := os.WriteFile(victim, []byte("precious\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(base, "jira")
	d, err := spool.Open(spool.OS{}, folder, spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(folder, name)); err != nil {
		t.Fatalf("this machine cannot make symbolic links: %v", err)
	}
	for _, offset := range []int64{0, 9} {
		place := audit.Place{File: name, Offset: offset}
		if err := d.Write(place, []byte("line\n")); err == nil {
			t.Errorf("Write at %d through a symbolic link", offset)
		}
		if _, _, err := d.Recover(audit.Batch{Place: place, Lines: []byte("line\n")}); err == nil {
			t.Errorf("Recover at %d through a symbolic link", offset)
		}
	}
	if _, err := (spool.OS{}).Open(filepath.Join(folder, name)); err == nil {
		t.Error("Open followed a symbolic link")
	}
	if _, err := (spool.OS{}).Create(filepath.Join(folder, name)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create over a symbolic link: %v", err)
	}
	if err := os.Symlink(folder, filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := spool.Open(spool.OS{}, filepath.Join(base, "link"), spool.Options{}); err == nil {
		t.Error("a folder was opened through a symbolic link")
	}
	if got, err := os.ReadFile(victim); err != nil || string(got) != "precious\n" {
		t.Errorf("the victim holds %q, %v", got, err)
	}
}
