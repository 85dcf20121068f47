package state

import (
	"errors"
	"os"
	"syscall"
)

// syncData makes what was written durable, and of the file's own facts what it takes
// to read it again: the time of the last change is none of these.
func syncData(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		for failed = syscall.EINTR; errors.Is(failed, syscall.EINTR); {
			failed = syscall.Fdatasync(int(fd))
		}
	})
	return errors.Join(err, failed)
}
