package spool

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// OS is the operating system's file system.
type OS struct{}

var _ FS = OS{}

// Create implements FS.
func (OS) Create(path string) (File, error) {
	return osFile(os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|noFollow, 0o600))
}

// Open implements FS.
func (OS) Open(path string) (File, error) {
	// Asked before opening, because opening a pipe or a device is an act.
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	f, err := os.OpenFile(path, os.O_RDWR|noFollow, 0)
	if err != nil {
		return nil, err
	}
	// And again after, because it may have been replaced in between.
	opened, err := f.Stat()
	if err == nil && !os.SameFile(info, opened) {
		err = &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Lstat implements FS.
func (OS) Lstat(path string) (fs.FileInfo, error) { return os.Lstat(path) }

// ReadDir implements FS.
func (OS) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }

// Mkdir implements FS.
func (OS) Mkdir(path string) error { return os.Mkdir(path, 0o700) }

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Chtimes implements FS.
func (OS) Chtimes(path string, at time.Time) error { return os.Chtimes(path, at, at) }

// Remove implements FS.
func (OS) Remove(path string) error { return os.Remove(path) }

// SyncDir implements FS.
func (OS) SyncDir(path string) error { return syncDir(path) }

// osFile keeps a nil *os.File from becoming a File that is not nil.
func osFile(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}
