package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTwoBuildsAreTheSame builds everything a second time in a copy of the checkout
// elsewhere, whose files are of another time and closed to others, and compares the
// bytes with those of `make packages`. With PACKAGES_COLD the compiler starts from
// nothing, too, instead of from what the first build left in its cache.
func TestTwoBuildsAreTheSame(t *testing.T) {
	t.Parallel()
	copied := filepath.Join(t.TempDir(), "somewhere", "else")
	copyCheckout(t, copied)
	deb := readDeb(t, built(t, program+"_", "_amd64.deb"))
	epoch := deb.members["usr/bin/"+program].at
	// The native adapter only where `make packages` had compilers for it, too.
	const both = `umask 077 && cd "$0" && if ls "$1"/bin/*/libdatadog-agent-* >/dev/null 2>&1; then VERSION=$2 tools/native-all.sh >&2; fi && shift 2 && exec "$@"`
	first, err := filepath.Abs(rootDir)
	noError(t, err)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", both, copied, first, version(t),
		"go", "run", "-C", filepath.Join(copied, "tools", "packages"), ".", "--root", copied,
		"--version", version(t), "--epoch", strconv.FormatInt(epoch.Unix(), 10), "--ldflags", "-s -w -X main.version="+version(t))
	cmd.Env = append(os.Environ(), "TZ=Pacific/Kiritimati", "LC_ALL=C", "HOSTNAME=elsewhere")
	if os.Getenv("PACKAGES_COLD") != "" {
		cmd.Env = append(cmd.Env, "GOCACHE="+t.TempDir())
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build once more: %v\n%s", err, out)
	}
	sums, err := os.ReadFile(filepath.Join(distDir, "SHA256SUMS"))
	noError(t, err)
	second, err := os.ReadFile(filepath.Join(copied, "dist", "SHA256SUMS"))
	noError(t, err)
	if diff := cmp.Diff(strings.Split(string(sums), "\n"), strings.Split(string(second), "\n")); diff != "" {
		t.Errorf("checksums (-first +second):\n%s", diff)
	}
}

// copyCheckout copies what git knows or would know.
func copyCheckout(t *testing.T, to string) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = rootDir
	out, err := list.Output()
	if err != nil {
		t.Fatalf("list the checkout's files: %v", err)
	}
	names := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	for _, name := range names {
		from := filepath.Join(rootDir, name)
		info, err := os.Stat(from)
		if err != nil {
			continue // deleted, and not committed yet
		}
		data, err := os.ReadFile(from)
		noError(t, err)
		path := filepath.Join(to, name)
		noError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		noError(t, os.WriteFile(path, data, info.Mode().Perm()&0o700))
	}
}
