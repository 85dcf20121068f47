package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spf13/cobra"
)

// sender is the program that does the work of `run`: one of its own, because of
// what the Agent's log pipeline weighs (docs/run.md).
const sender = program + "-run"

func newRunCommand(std stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "run [--conf FILE|DIR] [--datadog-conf FILE] [--run-path DIR]",
		Short: "Run the check on a schedule and send its logs, where no Agent runs",
		Long: "Runs every instance on its schedule and sends what it collects with the Agent's own log\n" +
			"pipeline. The work is done by the program " + sender + ", which is installed\n" +
			"beside this one and has the options: see `" + sender + " --help`.\n\n" +
			"Exit status: 0 told to stop, 1 failed, 2 wrong use.",
		Example: "  " + program + " run --conf /etc/atlassian-audit-records/conf.yaml --datadog-conf /etc/atlassian-audit-records/datadog.yaml",
		// The options are that program's.
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := besideThis(sender)
			if missing := (*missingError)(nil); errors.As(err, &missing) && asksForHelp(args) {
				return cmd.Help()
			}
			if err != nil {
				return err
			}
			return become(cmd.Context(), std, path, args)
		},
	}
}

func asksForHelp(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool { return a == "--help" || a == "-h" })
}

// missingError says that a program is not installed where it should be.
type missingError struct{ name, folder string }

func (e *missingError) Error() string {
	return fmt.Sprintf("%s is not installed in %s: it comes with this program (`make build` puts both into bin/), and stands beside it", e.name, e.folder)
}

// besideThis is the file of a program that is installed beside this one, or
// beside the file that this one is a link to.
func besideThis(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program's own file: %w", err)
	}
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	folders := []string{filepath.Dir(self)}
	if target, err := filepath.EvalSymlinks(self); err == nil && filepath.Dir(target) != folders[0] {
		folders = append(folders, filepath.Dir(target))
	}
	for _, folder := range folders {
		path := filepath.Join(folder, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("find %s: %w", name, err)
		}
	}
	return "", &missingError{name, folders[0]}
}
