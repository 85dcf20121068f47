//go:build linux || darwin

package agent

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// FreeSpace is the number of bytes that this user may still write to the file
// system of path, which must exist.
func FreeSpace(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, fmt.Errorf("ask for the free space of the file system of %s: %w", path, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // Bsize has 32 bits on macOS
}
