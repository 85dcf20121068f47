//go:build unix

package agent

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// giveTo makes f the property of whoever owns the first of like that exists,
// which root alone can do.
func giveTo(f *os.File, like []string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, path := range like {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			return f.Chown(int(st.Uid), int(st.Gid))
		}
		return nil
	}
	return nil
}

// OwnerName is the name of the user to whom a file or folder belongs; empty
// where that cannot be found out.
func OwnerName(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	if uid, ok := ownerOf(info); ok {
		return userName(uid)
	}
	return ""
}
