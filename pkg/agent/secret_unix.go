//go:build unix

package agent

import (
	"fmt"
	"io/fs"
	"os"
)

// checkSecret refuses a secret's file that is not ours or open to others.
func checkSecret(path string, info fs.FileInfo) error {
	us := os.Geteuid()
	if owner, ok := ownerOf(info); ok && owner != us && owner != 0 {
		return fmt.Errorf("%s belongs to %s, who could change the secret: chown %s %s", path, userName(owner), userName(us), path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s holds a secret and is open to others (mode %04o): chmod 0600 %s", path, mode, path)
	}
	return nil
}
