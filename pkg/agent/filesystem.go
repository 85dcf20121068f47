package agent

import "fmt"

// LocalFilesystem refuses a path on a network file system, where locks and
// memory maps, which the state needs, cannot be relied on. It knows the common
// ones: NFS, SMB and CIFS, AFS, Coda and NCP on Linux; whatever calls itself
// remote on macOS and Windows. What hides behind FUSE is not recognised. The
// path must exist.
func LocalFilesystem(path string) error {
	kind, remote, err := remoteFilesystem(path)
	switch {
	case err != nil:
		return fmt.Errorf("ask for the file system of %s: %w", path, err)
	case remote:
		return fmt.Errorf("%s lies on a network file system (%s), and state and locks are not safe there: set run_path to a folder on a disk of this machine", path, kind)
	}
	return nil
}
