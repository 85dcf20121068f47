package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
)

// become runs another program in the place of this one, which ends as that one
// does: Windows cannot replace a process. An interrupt reaches both; the other
// one ends when this one is gone.
func become(_ context.Context, std stdio, path string, args []string) error {
	cmd := exec.Command(path, args...) //nolint:gosec,noctx // this program's own companion, which ends by itself
	cmd.Stdin, cmd.Stdout, cmd.Stderr = std.in, std.out, std.err
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return &statusError{exit.ExitCode()}
	case err != nil:
		return fmt.Errorf("start %s: %w", path, err)
	}
	return nil
}
