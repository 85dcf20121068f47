//go:build unix

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// stranger is a user who owns nothing here and is in no group.
var stranger = User{Name: "stranger", UID: 54321}

func TestCanRead(t *testing.T) {
	t.Parallel()
	member := User{Name: "member", UID: 54321, Groups: []int{os.Getegid()}}
	me := Me()
	for _, tt := range []struct {
		name      string
		dir, file fs.FileMode
		user      User
		path      string
		want      string // the end of the error, with DIR
	}{
		{"a stranger reads what is open to all", 0o755, 0o644, stranger, "file", ""},
		{"a stranger may not read a file of its owner's", 0o755, 0o600, stranger, "file", "stranger may not read DIR/file"},
		{"a stranger may not pass a closed folder", 0o700, 0o644, stranger, "file", "stranger may not pass through DIR"},
		{"a stranger may not list a folder that may be passed", 0o711, 0o644, stranger, ".", "stranger may not read DIR"},
		{"a member of the group reads what the group may", 0o750, 0o640, member, "file", ""},
		{"a member of the group may not read what others may but the group not", 0o755, 0o604, member, "file", "member may not read DIR/file"},
		{"root reads everything", 0o700, 0o000, User{Name: "root"}, "file", ""},
		{"the owner reads", 0o700, 0o400, me, "file", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "dir")
			must(t, os.Mkdir(dir, 0o700))
			must(t, os.Chmod(filepath.Dir(filepath.Dir(dir)), 0o755)) // which testing closes to others
			file := filepath.Join(dir, "file")
			must(t, os.WriteFile(file, nil, 0o600))
			must(t, os.Chmod(file, tt.file))
			must(t, os.Chmod(dir, tt.dir))
			err := CanRead(tt.user, filepath.Join(dir, tt.path))
			want := strings.ReplaceAll(tt.want, "DIR", dir)
			if got := fmt.Sprint(err); (err == nil) != (want == "") || err != nil && !strings.HasPrefix(got, want+" (it belongs to ") {
				t.Errorf("error %v, want %q", err, want)
			}
		})
	}
	if err := CanRead(stranger, filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
}

func TestInspectDirChangesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, dir string)
		want    string
	}{
		{"a folder of ours", func(t *testing.T, dir string) { must(t, os.Mkdir(dir, 0o700)) }, ""},
		{"one that others may read", func(t *testing.T, dir string) { must(t, os.Mkdir(dir, 0o755)) }, ""},
		{"one that others may write to", func(t *testing.T, dir string) { must(t, os.Mkdir(dir, 0o700)); must(t, os.Chmod(dir, 0o707)) }, "may be written to by others"},
		{"a symbolic link", func(t *testing.T, dir string) { must(t, os.Symlink("x", dir)) }, "is a symbolic link"},
		{"a file", func(t *testing.T, dir string) { must(t, os.WriteFile(dir, nil, 0o600)) }, "is not a folder"},
		{"nothing", func(*testing.T, string) {}, "does not exist"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "dir")
			tt.prepare(t, dir)
			before, _ := os.Lstat(dir)
			err := InspectDir(dir)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if after, _ := os.Lstat(dir); before != nil && before.Mode() != after.Mode() {
				t.Errorf("the mode was %v and is %v", before.Mode(), after.Mode())
			}
		})
	}
}

func TestTrustProgram(t *testing.T) {
	t.Parallel()
	us := os.Geteuid()
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, dir, path string)
		root    bool
		want    string
	}{
		{"a program of ours", func(*testing.T, string, string) {}, false, ""},
		{"one that others may write", func(t *testing.T, _, path string) { must(t, os.Chmod(path, 0o757)) }, false, "because others may write"},
		{"one in a folder that others may write", func(t *testing.T, dir, _ string) { must(t, os.Chmod(dir, 0o757)) }, false, "because others may write"},
		{"one in a sticky folder", func(t *testing.T, dir, _ string) { must(t, os.Chmod(dir, 0o777|fs.ModeSticky)) }, false, ""},
		{"one of another user's", func(t *testing.T, _, path string) { must(t, os.Chown(path, nobody, nobody)) }, true, "belongs to " + userName(nobody)},
		{"nothing", func(t *testing.T, _, path string) { must(t, os.Remove(path)) }, false, "look at the program"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.root && us != 0 {
				t.Skip("only root can give a file to another user")
			}
			dir := filepath.Join(t.TempDir(), "bin")
			must(t, os.Mkdir(dir, 0o755))
			path := filepath.Join(dir, "program")
			must(t, os.WriteFile(path, nil, 0o755))
			tt.prepare(t, dir, path)
			err := TrustProgram(path, us)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
