// Command atlassian-audit-records-shared knows the stores that machines can share a
// site through. The program that collects starts it where one is configured, asks
// it in JSON lines over its standard input and output (see pkg/shared), and ends it
// with its own end. It keeps nothing on the disk.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"atlassian_audit_records/cmd/atlassian-audit-records-shared/internal/etcd"
	"atlassian_audit_records/cmd/atlassian-audit-records-shared/internal/kube"
	"atlassian_audit_records/pkg/shared"
)

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	switch {
	case len(args) == 0:
	case args[0] == "version" || args[0] == "--version":
		fmt.Fprintln(os.Stdout, shared.Program, version)
		return 0
	default:
		fmt.Fprintf(os.Stderr, "%s is started by atlassian-audit-records, where init_config.state names a store, and takes no arguments but version\n", shared.Program)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := shared.Serve(ctx, os.Stdin, os.Stdout, open); err != nil {
		fmt.Fprintf(os.Stderr, "Error: %s\n", err)
		return 1
	}
	return 0
}

// open opens the store that the configuration names.
func open(ctx context.Context, c shared.Config) (shared.Backend, error) {
	if err := c.Check(); err != nil {
		return nil, &shared.Error{Kind: shared.Refused, What: "state " + err.Error()}
	}
	if c.IsKubernetes() {
		return kube.Open(c, time.Now)
	}
	return etcd.Open(ctx, c)
}
