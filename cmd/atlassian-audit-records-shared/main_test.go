package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"atlassian_audit_records/cmd/atlassian-audit-records-shared/internal/cluster"
	"atlassian_audit_records/pkg/shared"
	"atlassian_audit_records/pkg/shared/sharedtest"
)

// programs is the folder with the program, built once.
var programs string

func TestMain(m *testing.M) {
	if os.Getenv(runAs) != "" {
		os.Exit(runOnce())
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "atlassian-audit-records-shared-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		build := exec.Command("go", "build", "-o", programIn(dir, shared.Program), ".")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		programs = dir
		return m.Run()
	}())
}

func programIn(dir, name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(dir, name)
}

// TestTheProgramConforms is the suite through everything that the program that
// collects goes through: the process, its protocol, and a real etcd.
func TestTheProgramConforms(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	n := 0
	sharedtest.Conform(t, func(*testing.T) sharedtest.World {
		n++
		prefix := fmt.Sprintf("test-%d", n)
		return sharedtest.World{
			Open: func(t *testing.T) shared.Backend {
				b, err := shared.Start(t.Context(), programIn(programs, shared.Program), shared.Config{URL: c.URL(prefix)})
				if err != nil {
					t.Fatalf("Start: %v", err)
				}
				return b
			},
			Expire: func(_ *testing.T, key string) { c.Expire("/" + prefix + "/" + key) },
		}
	})
}
