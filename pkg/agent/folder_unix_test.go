//go:build unix

package agent

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// nobody is a user id that is neither root nor that of these tests.
const nobody = 65534

func TestSecureDir(t *testing.T) {
	t.Parallel()
	us := userName(os.Geteuid())
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, run string)
		dir     string // below the run path
		root    bool   // can only be prepared by root
		want    string // with RUN for the run path
	}{
		{name: "all folders are made", dir: "base/spool/jira"},
		{name: "the run path itself is enough", dir: "."},
		{name: "a run path that is missing is made", dir: "base",
			prepare: func(t *testing.T, run string) { must(t, os.Remove(run)) }},
		{name: "a run path in a folder that is missing too is refused", dir: "base",
			prepare: func(t *testing.T, run string) { must(t, os.RemoveAll(filepath.Dir(run))) },
			want:    "the run path RUN does not exist and cannot be made (no such file or directory): set run_path to the Agent's"},
		{name: "a run path that is a file is refused", dir: "base",
			prepare: func(t *testing.T, run string) {
				must(t, os.Remove(run))
				must(t, os.WriteFile(run, nil, 0o600))
			},
			want: "the run path RUN is not a folder: set run_path to the Agent's"},
		{name: "a run path that is a symbolic link is the operator's choice", dir: "base",
			prepare: func(t *testing.T, run string) {
				must(t, os.Rename(run, run+"-elsewhere"))
				must(t, os.Symlink(run+"-elsewhere", run))
			}},
		{name: "a run path that others may write to is the Agent's affair", dir: "base",
			prepare: func(t *testing.T, run string) { must(t, os.Chmod(run, 0o777)) }},
		{name: "folders that are there are taken", dir: "base/spool",
			prepare: func(t *testing.T, run string) { must(t, os.MkdirAll(filepath.Join(run, "base/spool"), 0o700)) }},
		{name: "a folder that others may read is closed to them", dir: "base/spool",
			prepare: func(t *testing.T, run string) {
				must(t, os.Mkdir(filepath.Join(run, "base"), 0o700))
				must(t, os.Chmod(filepath.Join(run, "base"), 0o755))
			}},
		{name: "a folder that the group may write to is refused", dir: "base/spool",
			prepare: func(t *testing.T, run string) {
				must(t, os.Mkdir(filepath.Join(run, "base"), 0o700))
				must(t, os.Chmod(filepath.Join(run, "base"), 0o770))
			},
			want: "RUN/base may be written to by others (mode 0770), who may have put anything there: look at what is in it, then: chmod -R go= RUN/base"},
		{name: "a folder further down that anybody may write to is refused", dir: "base/spool/jira",
			prepare: func(t *testing.T, run string) {
				must(t, os.MkdirAll(filepath.Join(run, "base/spool"), 0o700))
				must(t, os.Chmod(filepath.Join(run, "base/spool"), 0o702))
			},
			want: "RUN/base/spool may be written to by others (mode 0702), who may have put anything there: look at what is in it, then: chmod -R go= RUN/base/spool"},
		{name: "a symbolic link to a folder is refused", dir: "base/spool",
			prepare: func(t *testing.T, run string) {
				must(t, os.Mkdir(filepath.Join(run, "other"), 0o700))
				must(t, os.Symlink("other", filepath.Join(run, "base")))
			},
			want: "RUN/base is a symbolic link, and nothing is written through one: remove it, or set run_path to where the records shall go"},
		{name: "a symbolic link to nothing is refused and not followed", dir: "base/spool",
			prepare: func(t *testing.T, run string) {
				must(t, os.Mkdir(filepath.Join(run, "base"), 0o700))
				must(t, os.Symlink(filepath.Join(run, "made"), filepath.Join(run, "base/spool")))
			},
			want: "RUN/base/spool is a symbolic link, and nothing is written through one: remove it, or set run_path to where the records shall go"},
		{name: "a file where a folder should be is refused", dir: "base/spool",
			prepare: func(t *testing.T, run string) { must(t, os.WriteFile(filepath.Join(run, "base"), nil, 0o600)) },
			want:    "RUN/base is not a folder: move it away"},
		{name: "a folder of another user is refused", dir: "base/spool", root: true,
			prepare: func(t *testing.T, run string) {
				must(t, os.Mkdir(filepath.Join(run, "base"), 0o700))
				must(t, os.Chown(filepath.Join(run, "base"), nobody, nobody))
			},
			want: fmt.Sprintf("RUN/base belongs to %[1]s, and this process runs as %[2]s: run it as %[1]s (sudo -u %[1]s …), or give the folder away with: chown -R %[2]s RUN/base", userName(nobody), us)},
		{name: "a folder beside the run path is refused", dir: "../run-other",
			want: "DIR does not lie below the run path RUN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.root && os.Geteuid() != 0 {
				t.Skip("only root can give a folder to another user")
			}
			run := filepath.Join(t.TempDir(), "in", "run")
			must(t, os.MkdirAll(run, 0o755))
			if c.prepare != nil {
				c.prepare(t, run)
			}
			dir := filepath.Join(run, c.dir)
			want := strings.NewReplacer("RUN", run, "DIR", dir).Replace(c.want)
			for range 2 { // and the second time is like the first
				err := SecureDir(run, dir)
				if got := fmt.Sprint(err); err != nil && got != want || err == nil && want != "" {
					t.Fatalf("got  %v\nwant %s", err, want)
				}
			}
			if _, err := os.Lstat(filepath.Join(run, "made")); err == nil {
				t.Error("a symbolic link was followed")
			}
			for at := dir; want == "" && at != run; at = filepath.Dir(at) {
				info, err := os.Lstat(at)
				must(t, err)
				if info.Mode() != fs.ModeDir|0o700 {
					t.Errorf("%s has the mode %v", at, info.Mode())
				}
			}
		})
	}
}

func TestReadSecretFile(t *testing.T) {
	t.Parallel()
	us := userName(os.Geteuid())
	write := func(data string, mode fs.FileMode) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			must(t, os.WriteFile(path, []byte(data), 0o600))
			must(t, os.Chmod(path, mode))
		}
	}
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, path string)
		root    bool
		secret  string
		want    string // with PATH
	}{
		{name: "a file of ours that is closed to others", prepare: write("s3cret\n", 0o600), secret: "s3cret"},
		{name: "a file that we may only read", prepare: write("s3cret", 0o400), secret: "s3cret"},
		{name: "a line end of Windows", prepare: write("s3cret\r\n", 0o600), secret: "s3cret"},
		{name: "blanks belong to the secret", prepare: write(" s3 cret \n", 0o600), secret: " s3 cret "},
		{name: "a mounted secret is reached through a symbolic link", secret: "s3cret",
			prepare: func(t *testing.T, path string) {
				write("s3cret\n", 0o400)(t, path+"-data")
				must(t, os.Symlink(path+"-data", path))
			}},
		{name: "a file that the group may read", prepare: write("s3cret", 0o640),
			want: "PATH holds a secret and is open to others (mode 0640): chmod 0600 PATH"},
		{name: "a file that anybody may write to", prepare: write("s3cret", 0o602),
			want: "PATH holds a secret and is open to others (mode 0602): chmod 0600 PATH"},
		{name: "a file of somebody else", root: true,
			prepare: func(t *testing.T, path string) {
				write("s3cret", 0o600)(t, path)
				must(t, os.Chown(path, nobody, nobody))
			},
			want: fmt.Sprintf("PATH belongs to %s, who could change the secret: chown %s PATH", userName(nobody), us)},
		{name: "an empty file", prepare: write("\n", 0o600), want: "PATH is empty: write the secret into it"},
		{name: "a file too large for a secret", prepare: write(strings.Repeat("x", maxSecret+1), 0o600),
			want: "PATH holds no secret: it is larger than 65536 bytes"},
		{name: "a folder", prepare: func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) },
			want: "PATH holds no secret: it is not a regular file"},
		{name: "no file", prepare: func(*testing.T, string) {},
			want: "read the secret: stat PATH: no such file or directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.root && os.Geteuid() != 0 {
				t.Skip("only root can give a file to another user")
			}
			path := filepath.Join(t.TempDir(), "secret")
			c.prepare(t, path)
			got, err := ReadSecretFile(path)
			want := strings.ReplaceAll(c.want, "PATH", path)
			if err != nil && err.Error() != want || err == nil && want != "" {
				t.Fatalf("got  %v\nwant %s", err, want)
			}
			if string(got) != c.secret {
				t.Errorf("got the secret %q, want %q", got, c.secret)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
