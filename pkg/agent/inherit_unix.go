//go:build unix

package agent

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// CloseInherited closes the descriptors that whoever started this process left
// open in it, the three standard streams apart. They are known by what they
// lack: everything that Go opens is closed on exec. A descriptor of an Agent
// that another library opened carelessly would else be kept open by a run.
func CloseInherited() error {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return fmt.Errorf("list the open descriptors: %w", err)
	}
	var failed error
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 2 {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue // it is gone, as the one is that the list was read from, or ours
		}
		if err := unix.Close(fd); err != nil {
			failed = errors.Join(failed, fmt.Errorf("close descriptor %d: %w", fd, err))
		}
	}
	return failed
}
