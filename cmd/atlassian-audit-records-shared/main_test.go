package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/cmd/atlassian-audit-records-shared/internal/cluster"
	"atlassian_audit_records/cmd/atlassian-audit-records-shared/internal/kubetest"
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

// TestTheProgramKnowsKubernetes: the way there stands in a kubeconfig.
func TestTheProgramKnowsKubernetes(t *testing.T) {
	t.Parallel()
	f := kubetest.New(t)
	kubeconfig := kubetest.Kubeconfig(t, f.Config())
	program := programIn(programs, shared.Program)
	c := shared.Config{URL: "kubernetes://" + kubetest.Namespace + "/fleet", Kubeconfig: kubeconfig}
	open := func() shared.Backend {
		b, err := shared.Start(t.Context(), program, c)
		if err != nil {
			t.Fatalf("Start: %v", err)
		}
		t.Cleanup(func() { _ = b.Close() })
		return b
	}
	key := "sites/example.atlassian.net/jira/head"
	claim := shared.Claim{Key: "sites/example.atlassian.net/lease", Holder: shared.Holder{Node: "1", Host: "web-1", Since: time.Now()}, TTL: 3 * time.Minute}
	a := open()
	g, err := a.Hold(t.Context(), claim)
	if err != nil || !g.Held {
		t.Fatalf("Hold: %+v, %v", g, err)
	}
	if err := a.Write(t.Context(), g, shared.Write{Last: []shared.Value{{Key: key, Bytes: []byte("1")}}}); err != nil {
		t.Errorf("Write: %v", err)
	}
	claim.Holder = shared.Holder{Node: "2", Host: "web-2", Since: time.Now()}
	b := open()
	if other, err := b.Hold(t.Context(), claim); err != nil || other.Held || other.Holder.Host != "web-1" {
		t.Errorf("Hold: %+v, %v", other, err)
	}
	if got, err := b.Read(t.Context(), []string{key}); err != nil || string(got[key]) != "1" {
		t.Errorf("Read: %q, %v", got, err)
	}
	for says, c := range map[string]shared.Config{
		"KUBERNETES_SERVICE_HOST": {URL: "kubernetes://audit/fleet"},
		"state_kubeconfig":        {URL: "kubernetes://audit/fleet", Kubeconfig: kubeconfig + "-not"},
		"must name a namespace":   {URL: "kubernetes://"},
	} {
		if _, err := shared.Start(t.Context(), program, c); shared.KindOf(err) != shared.Refused || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want something of %q", c, err, says)
		}
	}
}
