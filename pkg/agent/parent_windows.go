package agent

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// watchParent calls gone when the parent's handle says that it has ended, and
// at once when there is no such process any more. Where the parent may not be
// watched it does nothing: the process then ends by its own deadline.
func watchParent(ctx context.Context, gone func()) {
	parent, err := windows.OpenProcess(windows.SYNCHRONIZE|windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(os.Getppid()))
	if err != nil {
		if errors.Is(err, windows.ERROR_INVALID_PARAMETER) { // what Windows says of an id that nobody has
			gone()
		}
		return
	}
	if younger(parent, windows.CurrentProcess()) {
		_ = windows.CloseHandle(parent)
		gone() // the id was given to another process meanwhile
		return
	}
	stop, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		_ = windows.CloseHandle(parent)
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		which, err := windows.WaitForMultipleObjects([]windows.Handle{parent, stop}, false, windows.INFINITE)
		if err == nil && which == windows.WAIT_OBJECT_0 {
			gone()
		}
	}()
	go func() {
		<-ctx.Done()
		_ = windows.SetEvent(stop)
		<-done
		_ = windows.CloseHandle(stop)
		_ = windows.CloseHandle(parent)
	}()
}

// younger reports whether process a was started after process b.
func younger(a, b windows.Handle) bool {
	var startA, startB, exit, kernel, user windows.Filetime
	if windows.GetProcessTimes(a, &startA, &exit, &kernel, &user) != nil ||
		windows.GetProcessTimes(b, &startB, &exit, &kernel, &user) != nil {
		return false
	}
	return startA.Nanoseconds() > startB.Nanoseconds()
}
