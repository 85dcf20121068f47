package agent

import "golang.org/x/sys/unix"

func remoteFilesystem(path string) (kind string, remote bool, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return "", false, err
	}
	kind, remote = remoteKind(uint32(st.Type))
	return kind, remote, nil
}

// remoteKind tells a network file system by its magic number. 9p, overlay and
// FUSE are not among them: sandboxes, containers and virtual machines show
// local disks that way.
func remoteKind(magic uint32) (kind string, remote bool) {
	switch magic {
	case unix.NFS_SUPER_MAGIC:
		return "NFS", true
	case unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		return "SMB", true
	case unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC:
		return "AFS", true
	case unix.CODA_SUPER_MAGIC:
		return "Coda", true
	case unix.NCP_SUPER_MAGIC:
		return "NCP", true
	}
	return "", false
}
