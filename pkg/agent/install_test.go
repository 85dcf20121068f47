package agent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestInstall(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	path := filepath.Join(dir, "x.d", "conf.yaml")
	backup, err := Install(path, []byte("one"), 0o640, nil, false, now)
	noError(t, err)
	info, err := os.Stat(path)
	noError(t, err)
	folder, err := os.Stat(filepath.Dir(path))
	noError(t, err)
	if backup != "" || runtime.GOOS != "windows" && (info.Mode() != 0o640 || folder.Mode().Perm() != 0o750) {
		t.Errorf("backup %q, modes %v and %v", backup, info.Mode(), folder.Mode())
	}
	if _, err := Install(path, []byte("two"), 0o640, nil, false, now); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that is there: %v", err)
	}
	if backup, err = Install(path, []byte("two"), 0o640, nil, true, now); err != nil || backup != path+".20261123T120000.000Z.bak" {
		t.Errorf("backup %q, %v", backup, err)
	}
	// In the same millisecond: the one that was kept stays as it is.
	if _, err := Install(path, []byte("three"), 0o640, nil, true, now); err == nil {
		t.Error("a file that was kept was replaced")
	}
	var got []string
	for _, p := range []string{path, backup} {
		text, err := os.ReadFile(p)
		noError(t, err)
		got = append(got, string(text))
	}
	if diff := cmp.Diff([]string{"two", "one"}, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 2 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

func TestInstallWritesThroughNoLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	noError(t, os.WriteFile(other, []byte("mine"), 0o600))
	path := filepath.Join(dir, "conf.yaml")
	if err := os.Symlink(other, path); err != nil {
		t.Skip("no symbolic links here: " + err.Error())
	}
	if _, err := Install(path, []byte("x"), 0o600, nil, true, time.Now()); err == nil {
		t.Error("it was replaced")
	}
	if text, err := os.ReadFile(other); err != nil || string(text) != "mine" {
		t.Errorf("the other file holds %q, %v", text, err)
	}
}

func TestInstallGivesToTheOwnerOfTheAgentsFolder(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" || os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := t.TempDir()
	run := filepath.Join(dir, "run")
	noError(t, os.Mkdir(run, 0o755))
	noError(t, os.Chown(run, 54321, 54322))
	path := filepath.Join(dir, "x.d", "conf.yaml")
	_, err := Install(path, []byte("x"), 0o640, []string{filepath.Join(dir, "missing"), run}, false, time.Now())
	noError(t, err)
	for _, p := range []string{path, filepath.Dir(path)} {
		if got := OwnerName(p); got != "54321" {
			t.Errorf("%s belongs to %s", p, got)
		}
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
