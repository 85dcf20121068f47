package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// program is the name under which the program is installed.
const program = "atlassian-audit-records"

// stdio is what a command knows of the process around it.
type stdio struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
}

// The exit statuses.
const (
	statusDone   = 0
	statusFailed = 1
	statusUsage  = 2
)

// commands are the constructors of the subcommands, in the order of the help;
// collect is the first.
func commands() []func(stdio) *cobra.Command {
	return []func(stdio) *cobra.Command{
		newCollectCommand,
		newCheckCommand,
		newRunCommand,
		newStatusCommand,
		newBackfillCommand,
		newReplayCommand,
		newValidateCommand,
		newSetupCommand,
		newAuthorizeCommand,
		newDiagnoseCommand,
		newAssetsCommand,
		newSimulateCommand,
		newDemoCommand,
		newPreviewCommand,
		newVersionCommand,
	}
}

// statusError ends the program with a status, silently: everything has been
// said.
type statusError struct{ status int }

func (e *statusError) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// usageError says that the command line was wrong; the program ends with
// status 2.
type usageError struct {
	reason string
	next   string // what to try
}

func (e *usageError) Error() string { return e.reason }

// Next is what to try.
func (e *usageError) Next() string { return e.next }

// newRootCommand is the command line with the commands that are constructed. started is set once a command's
// own code runs: an error before that is one of use.
func newRootCommand(io stdio, started *bool, constructors ...func(stdio) *cobra.Command) *cobra.Command {
	root := &cobra.Command{
		Use:   program,
		Short: "Collect Atlassian audit records into the Datadog Agent's log pipeline",
		Long: "Collects the audit records of Jira and Confluence sites, each exactly once, into\n" +
			"files that the Datadog Agent tails.\n\n" +
			"Exit status: 0 done, 1 failed, 2 wrong use.",
		Example:           "  " + program + " validate --conf /etc/datadog-agent/conf.d/atlassian_audit_records.d",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			e := &usageError{reason: fmt.Sprintf("there is no command %q", args[0]), next: program + " --help"}
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				e.next = program + " " + near[0]
			}
			return e
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	for _, construct := range constructors {
		c := construct(io)
		for _, one := range append([]*cobra.Command{c}, c.Commands()...) {
			if inner := one.RunE; inner != nil {
				one.RunE = func(cmd *cobra.Command, args []string) error {
					*started = true
					return inner(cmd, args)
				}
			}
		}
		root.AddCommand(c)
	}
	return root
}

// noArguments is for commands that take only flags.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return &usageError{reason: fmt.Sprintf("%s takes no argument, but was given %q", cmd.Name(), args[0]), next: cmd.CommandPath() + " --help"}
}

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, io stdio) int {
	started := false
	constructors := commands()
	if len(args) > 0 && args[0] == "collect" {
		// Every minute, on every machine: the other commands need not be put together.
		constructors = constructors[:1]
	}
	root := newRootCommand(io, &started, constructors...)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return statusDone
	}
	if silent := (*statusError)(nil); errors.As(err, &silent) {
		return silent.status
	}
	if usage := (*usageError)(nil); !started && !errors.As(err, &usage) {
		err = &usageError{reason: err.Error(), next: cmd.CommandPath() + " --help"}
	}
	fmt.Fprintf(io.err, "Error: %s\n", err)
	if next := nextStep(err); next != "" {
		fmt.Fprintf(io.err, "Try: %s\n", next)
	}
	if usage := (*usageError)(nil); errors.As(err, &usage) {
		return statusUsage
	}
	return statusFailed
}

// nextStep is what the error advises, where it does.
func nextStep(err error) string {
	var advised interface{ Next() string }
	if errors.As(err, &advised) {
		return advised.Next()
	}
	return ""
}

// writeJSON writes v as one indented object, for --json.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
