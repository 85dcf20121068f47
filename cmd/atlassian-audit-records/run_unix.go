//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
)

// become makes this process another program: signals and the exit status are
// that one's own. It comes back only with an error.
func become(_ context.Context, _ stdio, path string, args []string) error {
	if err := syscall.Exec(path, append([]string{path}, args...), os.Environ()); err != nil { //nolint:gosec // this program's own companion
		return fmt.Errorf("start %s: %w", path, err)
	}
	return nil
}
