package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// SecureDir makes the folder dir, which lies below runPath, and every missing
// folder between them, with mode 0700. The run path is the Agent's and taken
// as it is; only when it is missing, and the folder above it is not, is it
// made too.
//
// A folder that is there already must be a real one (no symbolic link), ours,
// and not writable by others, who could have prepared what is in it; one that
// others may merely read is closed to them. On Windows, where folders inherit
// their rights, only the kind is checked.
func SecureDir(runPath, dir string) error {
	rel, err := filepath.Rel(runPath, dir)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return fmt.Errorf("%s does not lie below the run path %s", dir, runPath)
	}
	if err := checkRunPath(runPath); err != nil {
		return err
	}
	if rel == "." {
		return nil
	}
	at := runPath
	for _, name := range strings.Split(rel, string(filepath.Separator)) {
		at = filepath.Join(at, name)
		if err := secureFolder(at); err != nil {
			return err
		}
	}
	return nil
}

// checkRunPath makes sure that the run path is a folder. It may be reached
// through a symbolic link: where the Agent's data lie is for its operator to
// say.
func checkRunPath(runPath string) error {
	info, err := os.Stat(runPath)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.Mkdir(runPath, 0o700); err != nil {
			return fmt.Errorf("the run path %s does not exist and cannot be made (%w): set run_path to the Agent's", runPath, errors.Unwrap(err))
		}
		return syncFolder(filepath.Dir(runPath))
	case err != nil:
		return fmt.Errorf("look at the run path: %w", err)
	case !info.IsDir():
		return fmt.Errorf("the run path %s is not a folder: set run_path to the Agent's", runPath)
	}
	return nil
}

// secureFolder makes the folder at path, or checks the one that is there.
func secureFolder(path string) error {
	err := os.Mkdir(path, 0o700)
	if err == nil {
		return syncFolder(filepath.Dir(path))
	}
	if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the folder %s: %w", path, errors.Unwrap(err))
	}
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return fmt.Errorf("look at the folder: %w", err)
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link, and nothing is written through one: remove it, or set run_path to where the records shall go", path)
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder: move it away", path)
	}
	return checkRights(path, info)
}
