package agent

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

func remoteFilesystem(path string) (kind string, remote bool, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", false, err
	}
	name, err := windows.UTF16PtrFromString(abs)
	if err != nil {
		return "", false, err
	}
	volume := make([]uint16, windows.MAX_LONG_PATH)
	if err := windows.GetVolumePathName(name, &volume[0], uint32(len(volume))); err != nil {
		return "", false, err
	}
	return "a network drive", windows.GetDriveType(&volume[0]) == windows.DRIVE_REMOTE, nil
}
