// Command atlassian-audit-records-run runs the check on its schedule where no
// Agent runs, and sends what it collects with the Agent's own log pipeline.
//
// It is a program, and a module, of its own because of what the Agent's modules
// weigh (docs/run.md has the measure): the program that collects stays small.
// It is started as `atlassian-audit-records run`. This package holds its command
// line and the order in which things start and stop; what it does lies below
// internal/.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/agent"
)

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version = "dev"

// The exit statuses.
const (
	statusDone   = 0
	statusFailed = 1
	statusUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, leave := withStarter(ctx)
	status := execute(ctx, os.Args[1:])
	leave()
	stop()
	os.Exit(status)
}

// usageError says that the command line was wrong.
type usageError struct{ reason string }

func (e *usageError) Error() string { return e.reason }

func execute(ctx context.Context, args []string) int {
	started := false
	cmd := newCommand(&started)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return statusDone
	}
	var broken *check.ConfigError
	if errors.As(err, &broken) {
		for _, p := range broken.Problems {
			fmt.Fprintf(os.Stderr, "error: %s\n", p)
		}
		err = errors.New("the configuration is not valid")
	}
	fmt.Fprintf(os.Stderr, "Error: %s\n", err)
	if usage := (*usageError)(nil); !started || errors.As(err, &usage) {
		fmt.Fprintf(os.Stderr, "Try: %s --help\n", cmd.CommandPath())
		return statusUsage
	}
	return statusFailed
}

func newCommand(started *bool) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "atlassian-audit-records run [--conf FILE|DIR] [--datadog-conf FILE]",
		Short: "Run the check on a schedule and send its logs, where no Agent runs",
		Long: "Runs every instance of the configuration at its min_collection_interval, and sends what it\n" +
			"collects to Datadog with the Agent's own log pipeline: the same settings of datadog.yaml and\n" +
			"DD_*, the same compression, retries, additional endpoints and processing rules. It runs until\n" +
			"it is told to stop (SIGTERM), and then sends what it has read, within 5 seconds. What was not\n" +
			"acknowledged is sent by the next one.\n\n" +
			"It is for machines without an Agent, and refuses to start where an Agent sends the same files.\n\n" +
			"Exit status: 0 told to stop, 1 failed, 2 wrong use.",
		Example: "  atlassian-audit-records run --conf /etc/atlassian-audit-records/conf.yaml \\\n" +
			"      --datadog-conf /etc/atlassian-audit-records/datadog.yaml --run-path /var/lib/atlassian-audit-records",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{fmt.Sprintf("run takes no argument, but was given %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			*started = true
			f.given.datadog = cmd.Flags().Changed("datadog-conf")
			f.given.runPath = cmd.Flags().Changed("run-path")
			return run(cmd.Context(), f)
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	cmd.Flags().StringVar(&f.conf, "conf", filepath.Dir(agent.ConfFile(agent.ConfPath())), "a conf.yaml, or a folder of *.yaml files")
	cmd.Flags().StringVar(&f.datadog, "datadog-conf", "", "the Agent's datadog.yaml; without it the Agent's own where there is one, and the environment (DD_*)")
	cmd.Flags().StringVar(&f.runPath, "run-path", "", "where state and spool are; it counts before run_path in init_config, that before datadog.yaml's")
	return cmd
}

// flags are the command line.
type flags struct {
	conf, datadog, runPath string
	given                  struct{ datadog, runPath bool }
}
