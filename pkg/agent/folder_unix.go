//go:build unix

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// checkRights refuses a folder that is not ours or that others may write to,
// and closes one that others may read.
func checkRights(path string, info fs.FileInfo) error {
	open, err := judgeRights(path, info)
	if err != nil || !open {
		return err
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return fmt.Errorf("close the folder %s to others: %w", path, errors.Unwrap(err))
	}
	return nil
}

// judgeRights refuses a folder that is not ours or that others may write to,
// and tells whether they may read it.
func judgeRights(path string, info fs.FileInfo) (open bool, err error) {
	us := os.Geteuid()
	if owner, ok := ownerOf(info); ok && owner != us {
		return false, fmt.Errorf("%s belongs to %s, and this process runs as %s: run it as %s (sudo -u %s …), or give the folder away with: chown -R %s %s",
			path, userName(owner), userName(us), userName(owner), userName(owner), userName(us), path)
	}
	mode := info.Mode().Perm()
	if mode&0o022 != 0 {
		return false, fmt.Errorf("%s may be written to by others (mode %04o), who may have put anything there: look at what is in it, then: chmod -R go= %s", path, mode, path)
	}
	return mode&0o055 != 0, nil
}

// ownerOf is the user id of a file's owner.
func ownerOf(info fs.FileInfo) (uid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// userName is the name of a user, or the number where it has none here.
func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}

// syncFolder makes a new entry of the folder durable.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync the folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync the folder %s: %w", path, err)
	}
	return nil
}
