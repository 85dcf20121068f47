//go:build unix

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"
)

// BecomeOwner takes the identity of the run path's owner, with the groups that
// the system knows for that user, when the process is root's and the run path
// is not: otherwise it would leave files that the Agent cannot read. There is
// no way back. It does nothing for any other user, nor where there is no run
// path yet.
func BecomeOwner(runPath string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(runPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the run path: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 {
		return nil
	}
	uid := int(st.Uid)
	gid, groups := groupsOf(uid, int(st.Gid))
	// In this order: only root may change groups.
	err = syscall.Setgroups(groups)
	if err == nil {
		err = syscall.Setgid(gid)
	}
	if err == nil {
		err = syscall.Setuid(uid)
	}
	if err == nil && (os.Geteuid() != uid || os.Getuid() != uid || os.Getegid() != gid) {
		err = errors.New("the system did not change it")
	}
	if err != nil {
		return fmt.Errorf("take the identity of %s, to whom the run path %s belongs: %w; run this as that user: sudo -u %s …", userName(uid), runPath, err, userName(uid))
	}
	return nil
}

// groupsOf is a user's own group and all of its groups; for a user that the
// system does not know, the group of its folder.
func groupsOf(uid, folderGroup int) (gid int, groups []int) {
	gid = folderGroup
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return gid, []int{gid}
	}
	if n, err := strconv.Atoi(u.Gid); err == nil {
		gid = n
	}
	groups = []int{gid}
	ids, err := u.GroupIds()
	if err != nil {
		return gid, groups // fewer rights than it might have, never more
	}
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil && !slices.Contains(groups, n) {
			groups = append(groups, n)
		}
	}
	return gid, groups
}
