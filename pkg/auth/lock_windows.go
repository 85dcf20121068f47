package auth

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks f for this handle alone; it is not ok when another holds it.
// Closing f, and the end of the process, unlock it.
func tryLock(f *os.File) (ok bool, err error) {
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_FAIL_IMMEDIATELY|windows.LOCKFILE_EXCLUSIVE_LOCK,
		0, 1, 0, &windows.Overlapped{})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}
