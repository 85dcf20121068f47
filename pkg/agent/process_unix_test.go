//go:build unix

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// helper is the variable that makes the test program play another part.
const helper = "ATLASSIAN_AUDIT_RECORDS_TEST_HELPER"

func TestMain(m *testing.M) {
	switch os.Getenv(helper) {
	case "owner":
		os.Exit(playOwner(os.Args[1]))
	case "parent":
		os.Exit(playParent())
	case "child":
		os.Exit(playChild())
	}
	goleak.VerifyTestMain(m)
}

func play(part string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), helper+"="+part)
	cmd.Stderr = os.Stderr
	return cmd
}

// playOwner leaves a file in the run path and says who it is.
func playOwner(run string) int {
	if err := BecomeOwner(run); err != nil {
		fmt.Println(err)
		return 1
	}
	if err := SecureDir(run, Base(run)); err != nil {
		fmt.Println(err)
		return 1
	}
	groups, err := os.Getgroups()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(os.Getuid(), os.Geteuid(), os.Getgid(), os.Getegid(), groups)
	if syscall.Setuid(0) == nil && os.Getuid() != 0 {
		fmt.Println("became root again")
	}
	return 0
}

func TestRootBecomesTheOwnerOfTheRunPath(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	const uid, gid = 54321, 54322 // users that no system knows
	for name, c := range map[string]struct {
		uid, gid int
		want     string
	}{
		"a run path of another user": {uid, gid, fmt.Sprintf("%d %d %d %d [%d]\n", uid, uid, gid, gid, gid)},
		"a run path of root":         {0, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := filepath.Join(t.TempDir(), "run")
			must(t, os.Mkdir(run, 0o755))
			must(t, os.Chown(run, c.uid, c.gid))
			// The other user must get through what t.TempDir made.
			must(t, os.Chmod(filepath.Dir(run), 0o755))
			must(t, os.Chmod(filepath.Dir(filepath.Dir(run)), 0o755))
			out, err := play("owner", run).Output()
			must(t, err)
			if c.want != "" && string(out) != c.want {
				t.Errorf("the process was %s, want %s", out, c.want)
			}
			info, err := os.Stat(Base(run))
			must(t, err)
			if owner, _ := ownerOf(info); owner != c.uid {
				t.Errorf("what it left belongs to %d, want %d", owner, c.uid)
			}
		})
	}
}

func TestBecomeOwnerOfNothing(t *testing.T) {
	t.Parallel()
	if err := BecomeOwner(filepath.Join(t.TempDir(), "missing")); err != nil {
		t.Error(err)
	}
}

// playParent starts a child that outlives it.
func playParent() int {
	child := play("child")
	child.Stdout = os.Stdout
	hold, err := child.StdinPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_, err = io.Copy(io.Discard, os.Stdin) // until the test says so
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_ = hold // the child does not read it
	return 0
}

func playChild() int {
	ctx, cancel := WithParent(context.Background())
	defer cancel()
	fmt.Println("watching")
	select {
	case <-ctx.Done():
		fmt.Println(context.Cause(ctx))
	case <-time.After(time.Minute):
		fmt.Println("nothing happened")
	}
	return 0
}

func TestAProcessWhoseParentIsGoneLearnsIt(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	parent := play("parent")
	parent.Stdout = w
	end, err := parent.StdinPipe()
	must(t, err)
	must(t, parent.Start())
	must(t, w.Close())
	first := make([]byte, len("watching\n"))
	if _, err := io.ReadFull(r, first); err != nil || string(first) != "watching\n" {
		t.Fatalf("the child said %q, %v", first, err)
	}
	must(t, end.Close())
	must(t, parent.Wait())
	rest, err := io.ReadAll(r) // ends with the child
	must(t, err)
	if got := strings.TrimSpace(string(rest)); got != ErrParentGone.Error() {
		t.Errorf("the child said %q, want %q", got, ErrParentGone)
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		parent := func() int {
			if time.Since(began) >= 10*time.Second {
				return 1
			}
			return 77
		}
		called := 0
		watch(t.Context(), parent, func() { called++ })
		if after := time.Since(began); called != 1 || after != 10*time.Second {
			t.Errorf("called %d times after %v, want once after 10s", called, after)
		}
	})
}

func TestWithParentEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // fails when the watching goes on
		ctx, cancel := WithParent(t.Context())
		<-time.After(time.Hour) // of the bubble's time
		if ctx.Err() != nil {
			t.Errorf("ended while the parent is there: %v", context.Cause(ctx))
		}
		cancel()
		<-ctx.Done()
		if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("the cause is %v", err)
		}
	})
}
