//go:build unix

package agent

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// LookupUser finds a user by name; ok is false where this machine knows none.
func LookupUser(name string) (u User, ok bool) {
	found, err := user.Lookup(name)
	if err != nil {
		return User{}, false
	}
	uid, err := strconv.Atoi(found.Uid)
	if err != nil {
		return User{}, false
	}
	gid, err := strconv.Atoi(found.Gid)
	if err != nil {
		return User{}, false
	}
	_, groups := groupsOf(uid, gid)
	return User{Name: name, UID: uid, Groups: groups}, true
}

// OwnerOf is the user to whom a file or folder belongs; ok is false where there
// is none at path.
func OwnerOf(path string) (u User, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return User{}, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return User{}, false
	}
	_, groups := groupsOf(int(st.Uid), int(st.Gid))
	return User{Name: userName(int(st.Uid)), UID: int(st.Uid), Groups: groups}, true
}

// Me is the user that this process runs as.
func Me() User {
	uid := os.Geteuid()
	_, groups := groupsOf(uid, os.Getegid())
	return User{Name: userName(uid), UID: uid, Groups: groups}
}

// rightsOf are the user's rights in the lowest three bits.
func rightsOf(u User, info fs.FileInfo) fs.FileMode {
	st, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	switch {
	case u.UID == 0 || !ok:
		return 7
	case int(st.Uid) == u.UID:
		return mode >> 6 & 7
	case slices.Contains(u.Groups, int(st.Gid)):
		return mode >> 3 & 7
	}
	return mode & 7
}

func describeRights(info fs.FileInfo) string {
	owner := "somebody"
	if uid, ok := ownerOf(info); ok {
		owner = userName(uid)
	}
	return fmt.Sprintf("it belongs to %s, mode %04o", owner, info.Mode().Perm())
}

// TrustProgram reports, as an error that says what to do, why the adapter would
// not start the program at path: somebody other than root and the given users
// could have written it, or a folder above it.
func TrustProgram(path string, owners ...int) error {
	at, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("look at the program: %w", err)
	}
	for {
		info, err := os.Stat(at)
		if err != nil {
			return fmt.Errorf("look at the program: %w", err)
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return nil
		}
		if uid := int(st.Uid); uid != 0 && !slices.Contains(owners, uid) {
			return fmt.Errorf("the adapter does not start %s, because %s belongs to %s: chown root %s", path, at, userName(uid), at)
		}
		others := fs.FileMode(0o022)
		if info.IsDir() && st.Gid == 0 {
			others = 0o002 // for folders the group of root counts as root
		}
		if info.Mode()&others != 0 && !(info.IsDir() && info.Mode()&fs.ModeSticky != 0) {
			return fmt.Errorf("the adapter does not start %s, because others may write %s: chmod go-w %s", path, at, at)
		}
		if at == filepath.Dir(at) {
			return nil
		}
		at = filepath.Dir(at)
	}
}
