package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// syncFolder makes the names in path's folder durable. Windows has no such
// call. Should a name be lost there, the file before it is found, or none at
// all, and recovery takes its course.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// move gives a synced file its name for good. Nobody may have either file open:
// Windows refuses to move what is.
func move(from, to string) error {
	if _, err := exists(to); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncFolder(to)
}

// replace writes a file whole: beside its name, synced, then moved.
func replace(path string, body []byte) error {
	tmp := path + ".new"
	f, err := openNew(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return move(tmp, path)
}

// exists reports whether path is a regular file; anything else but nothing is
// an error. Links are not followed.
func exists(path string) (bool, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, regular(path, info)
}

func regular(path string, info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file (%s): find out who put it there, and remove it", path, info.Mode())
	}
	return nil
}

// openNew creates a file for its owner alone, in the place of a leftover.
func openNew(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// openOld opens a regular file that is no link, and takes away what others may
// do with it.
func openOld(path string, flag int) (*os.File, error) {
	before, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if err := regular(path, before); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, err
	}
	after, err := f.Stat()
	switch {
	case err != nil:
	case !os.SameFile(before, after):
		err = fmt.Errorf("%s was exchanged while it was opened", path)
	case runtime.GOOS != "windows" && after.Mode().Perm()&0o077 != 0:
		// Windows keeps no such bits: there the folder's list counts.
		err = f.Chmod(0o600)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// lockStep is the pause between two attempts at a lock.
const lockStep = 10 * time.Millisecond

// Lock takes the lock of a state that need not be there, for who sees to what
// belongs to the stream without collecting it. Closing the answer gives it back.
// ErrBusy says that a run held it all the time.
func Lock(f Files, wait time.Duration) (io.Closer, error) {
	lock, err := takeLock(f.State+".lock", wait)
	if err != nil {
		return nil, fmt.Errorf("lock the state %s: %w", f.State, err)
	}
	return lock, nil
}

// takeLock locks the file at path, which is made where there is none and stays
// for ever: a lock file that is removed locks nobody out. ErrBusy says that
// somebody else held it all the time.
func takeLock(path string, wait time.Duration) (*os.File, error) {
	f, err := openOld(path, os.O_RDWR)
	if errors.Is(err, os.ErrNotExist) {
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, os.ErrExist) {
			// Another process was faster.
			f, err = openOld(path, os.O_RDWR)
		}
	}
	if err != nil {
		return nil, err
	}
	for waited := time.Duration(0); ; waited += lockStep {
		ok, err := tryLock(f)
		switch {
		case err != nil:
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		case ok:
			return f, nil
		case waited >= wait:
			return nil, errors.Join(ErrBusy, f.Close())
		}
		time.Sleep(lockStep) //nolint:forbidigo // nothing tells when another process unlocks a file
	}
}

// LockBackfill takes the lock that a backfill of the stream holds as long as it
// goes on, beside the state's own, which it takes for each step. Closing the
// answer gives it back. ErrBusy says that another backfill holds it.
func LockBackfill(f Files) (io.Closer, error) {
	lock, err := takeLock(backfillLock(f), defaultLock)
	if err != nil {
		return nil, fmt.Errorf("lock the backfill of %s: %w", f.State, err)
	}
	return lock, nil
}

// Backfilling reports whether a backfill of the stream is going on.
func Backfilling(f Files) bool {
	lock, err := os.OpenFile(backfillLock(f), os.O_RDWR, 0)
	if err != nil {
		return false // there never was one, or it is nobody's that we could wait for
	}
	ok, err := tryLock(lock)
	_ = lock.Close() // nothing was written to it
	return err == nil && !ok
}

func backfillLock(f Files) string { return f.State + ".backfill.lock" }
