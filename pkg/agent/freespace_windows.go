package agent

import (
	"fmt"
	"math"

	"golang.org/x/sys/windows"
)

// FreeSpace is the number of bytes that this user may still write to the file
// system of path, which must exist.
func FreeSpace(path string) (int64, error) {
	name, err := windows.UTF16PtrFromString(path)
	var free uint64
	if err == nil {
		err = windows.GetDiskFreeSpaceEx(name, &free, nil, nil)
	}
	if err != nil {
		return 0, fmt.Errorf("ask for the free space of the file system of %s: %w", path, err)
	}
	return int64(min(free, math.MaxInt64)), nil
}
