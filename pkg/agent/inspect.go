package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// InspectDir is what SecureDir would find wrong with a folder that is there. It
// changes nothing. A folder that is missing is fs.ErrNotExist.
func InspectDir(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist: %w", path, fs.ErrNotExist)
	case err != nil:
		return fmt.Errorf("look at the folder: %w", err)
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link, and nothing is written through one: remove it, or set run_path to where the records shall go", path)
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder: move it away", path)
	}
	_, err = judgeRights(path, info)
	return err
}

// A User is somebody on this machine, by the numbers that rights are given to.
type User struct {
	Name   string
	UID    int
	Groups []int
}

// CanRead reports, as an error that names the first obstacle, that the user may
// not read the file or folder at path, by the owners and modes of it and of all
// folders above. Access lists and the like are not looked at. On Windows it
// knows nothing and finds nothing.
func CanRead(u User, path string) error {
	whole, err := filepath.Abs(path)
	if err == nil {
		whole, err = filepath.EvalSymlinks(whole)
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	for at, first := whole, true; ; at, first = filepath.Dir(at), false {
		info, err := os.Stat(at)
		if err != nil {
			return fmt.Errorf("look at %s: %w", at, err)
		}
		want := fs.FileMode(1) // to pass through a folder
		switch {
		case first && info.IsDir():
			want = 5
		case first:
			want = 4
		}
		if rightsOf(u, info)&want != want {
			what := "read"
			if !first {
				what = "pass through"
			}
			return fmt.Errorf("%s may not %s %s (%s)", u.Name, what, at, describeRights(info))
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}
