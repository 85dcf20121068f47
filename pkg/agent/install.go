package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Install writes a file that the Agent is to read: whole or not at all, with
// that mode, and where this process is root's, as the property of whoever owns
// the first of like that exists (the Agent's folders are its user's). The folder
// is made where it is missing, with mode 0750.
//
// A file that is there already is an error of fs.ErrExist, unless replace is
// true: then it is kept beside, and backup is its path.
func Install(path string, data []byte, mode fs.FileMode, like []string, replace bool, now time.Time) (backup string, err error) {
	dir := filepath.Dir(path)
	if err := installFolder(dir, like); err != nil {
		return "", err
	}
	if info, err := os.Lstat(path); err == nil {
		switch {
		case !info.Mode().IsRegular():
			return "", fmt.Errorf("%s is not a regular file: move it away", path)
		case !replace:
			return "", fmt.Errorf("%s: %w", path, fs.ErrExist)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("look at the file: %w", err)
	}
	// A name of its own, made exclusively: nothing is written through a link.
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*.new")
	if err != nil {
		return "", fmt.Errorf("write beside %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // what failed is told; a rest of it is none of the Agent's files
		}
	}()
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), giveTo(f, like), f.Sync())
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	if replace {
		if backup, err = keepBeside(path, now); err != nil {
			return "", err
		}
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return "", fmt.Errorf("put %s in its place: %w", path, err)
	}
	return backup, syncFolder(dir)
}

// keepBeside gives the file at path a second name, so that there is no moment
// without one; empty where there is no file.
func keepBeside(path string, now time.Time) (backup string, err error) {
	backup = path + "." + now.UTC().Format("20060102T150405.000Z") + ".bak"
	err = os.Link(path, backup)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = os.Rename(path, backup) // a file system without links
	}
	if err != nil {
		return "", fmt.Errorf("keep what is there as %s: %w", backup, err)
	}
	return backup, nil
}

func installFolder(dir string, like []string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		return fmt.Errorf("make the folder %s: %w; make it as the Agent's user, or give another path", dir, errors.Unwrap(err))
	}
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	if err := errors.Join(giveTo(f, like), f.Close()); err != nil {
		return fmt.Errorf("make the folder %s: %w", dir, err)
	}
	return syncFolder(filepath.Dir(dir))
}
