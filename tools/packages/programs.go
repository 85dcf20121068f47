package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// program is the name of the program that people call, and of every package.
const program = "atlassian-audit-records"

// parts are the programs that are installed beside each other, and where their
// sources are: the others are modules of their own.
var parts = []struct{ name, dir, pkg string }{
	{program, ".", "./cmd/" + program},
	{program + "-run", "cmd/" + program + "-run", "."},
	{program + "-shared", "cmd/" + program + "-shared", "."},
}

// platform is an operating system and a processor, by Go's names.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// exe is a program's file name there.
func (p platform) exe(name string) string {
	if p.os == "windows" {
		return name + ".exe"
	}
	return name
}

// programs is the folder of that platform's programs, the one that `make cross`
// uses, too: what is up to date there is not linked again.
func (r release) programs(p platform) string {
	return filepath.Join(r.work, p.os+"-"+p.arch)
}

// documents is the folder of what is written for that platform's packages.
func (r release) documents(p platform) string {
	return filepath.Join(r.work, "documents", p.os+"-"+p.arch)
}

// buildPrograms builds all programs, static.
func (r release) buildPrograms(ctx context.Context, p platform) error {
	for _, b := range parts {
		out := filepath.Join(r.programs(p), p.exe(b.name))
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", r.ldflags, "-o", out, b.pkg) //nolint:gosec // no shell, and our own names
		cmd.Dir = filepath.Join(r.root, b.dir)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch, "GOWORK=off")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("build %s for %s: %w", b.name, p, err)
		}
	}
	return nil
}

// goRoot is the folder of the Go release that builds; empty where `go` does not say.
func goRoot(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
