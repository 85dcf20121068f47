//go:build unix

package schedule

import (
	"os/exec"
	"syscall"
)

// interruptible makes the end of the context a SIGTERM; the kill follows it.
func interruptible(cmd *exec.Cmd) {
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
}
