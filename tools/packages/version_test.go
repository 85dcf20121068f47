package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sassoftware/go-rpmutils"
)

// TestVersionsSort plays a history of commits and tags, and looks whether dpkg and
// rpm take each version for newer than the one before.
func TestVersionsSort(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs(rootDir + "/tools/version.sh")
	noError(t, err)
	dir := t.TempDir()
	do := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	commit := func(n int) {
		for range n {
			do("git", "commit", "-q", "--allow-empty", "-m", "change")
		}
	}
	if got := do(script); got != "dev" {
		t.Errorf("outside of a checkout: %s", got)
	}
	do("git", "init", "-q", "-b", "main")
	noError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("1"), 0o600))
	do("git", "add", "file")
	var versions []string
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"no tag yet", func() { commit(9) }, `^0\.0\.0\+9\.g[0-9a-f]{7}$`},
		{"one commit more, so that 10 follows 9", func() { commit(1) }, `^0\.0\.0\+10\.g[0-9a-f]{7}$`},
		{"a release candidate", func() { commit(1); do("git", "tag", "v1.0.0-rc.1") }, `^1\.0\.0~rc\.1$`},
		{"commits after it", func() { commit(2) }, `^1\.0\.0~rc\.1\+2\.g[0-9a-f]{7}$`},
		{"the next release candidate", func() { do("git", "tag", "v1.0.0-rc.2") }, `^1\.0\.0~rc\.2$`},
		{"the release, with an annotation", func() { commit(1); do("git", "tag", "-a", "-m", "r", "v1.0.0") }, `^1\.0\.0$`},
		{"commits after the release", func() { commit(3) }, `^1\.0\.0\+3\.g[0-9a-f]{7}$`},
		{"with changes that are not committed", func() { noError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("2"), 0o600)) }, `^1\.0\.0\+3\.g[0-9a-f]{7}\.dirty$`},
		{"a fix", func() { do("git", "checkout", "-q", "--", "file"); commit(1); do("git", "tag", "v1.0.1") }, `^1\.0\.1$`},
		{"the tenth minor release", func() { commit(1); do("git", "tag", "v1.10.0") }, `^1\.10\.0$`},
	} {
		step.do()
		got := do(script)
		if !regexp.MustCompile(step.want).MatchString(got) {
			t.Errorf("%s: %s, want %s", step.what, got, step.want)
		}
		versions = append(versions, got)
	}
	dpkg, err := exec.LookPath("dpkg")
	if err != nil {
		t.Log("there is no dpkg here: its order is left out")
	}
	for i := 1; i < len(versions); i++ {
		old, next := versions[i-1], versions[i]
		if rpmutils.Vercmp(old, next) >= 0 {
			t.Errorf("rpm does not take %s for newer than %s", next, old)
		}
		if dpkg != "" {
			do(dpkg, "--compare-versions", old+"-1", "lt", next+"-1")
		}
	}
}
