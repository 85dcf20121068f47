//go:build unix

package datadog

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// checkBackend makes sure that nobody else could have put something into the
// secret backend, as the Agent does: it must be this user's, and group and
// others have no right to it; with secret_backend_command_allow_group_exec_perm
// it may also be root's and the group may read and execute it.
func checkBackend(path string, groupExecutes bool) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("the system does not tell whom it belongs to")
	}
	mode := info.Mode().Perm()
	owner, uid := int(st.Uid), os.Geteuid()
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file", path)
	case !groupExecutes && mode&0o077 != 0:
		return fmt.Errorf("%s has mode %#o, and group or others have rights to it: chmod 700 %s", path, mode, path)
	case groupExecutes && mode&0o027 != 0:
		return fmt.Errorf("%s has mode %#o, and its group may write it or others have rights to it: chmod 750 %s", path, mode, path)
	case owner != uid && (!groupExecutes || owner != 0):
		return fmt.Errorf("%s belongs to user %d, and this is user %d", path, owner, uid)
	case mode&0o100 == 0:
		return fmt.Errorf("%s may not be executed by its owner: chmod u+x %s", path, path)
	}
	return nil
}
