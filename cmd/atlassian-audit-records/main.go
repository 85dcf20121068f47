// Command atlassian-audit-records collects the audit records of Atlassian
// sites into the Datadog Agent's log pipeline.
//
// The package holds the command line and nothing that a test would want: each
// file is one command, which reads its flags and calls package check.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv})
	stop()
	os.Exit(status)
}
