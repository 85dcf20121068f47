package spool

import (
	"io/fs"
	"time"
)

// FS is the little that the spool asks of a file system. Paths are absolute or
// relative to the working directory, as for package os. Errors satisfy
// errors.Is for fs.ErrNotExist and fs.ErrExist.
//
// What the spool relies on, and what a test's file system may break:
//
//   - bytes written are certain to survive a crash only after File.Sync;
//   - a file created, renamed or removed is certain to stay so only after
//     SyncDir of its folder; so is a folder, after SyncDir of the one above;
//   - a write that fails may have written any part of its bytes.
type FS interface {
	// Create makes a new file of mode 0600 for reading and writing. It fails
	// with fs.ErrExist when anything has that name, a symbolic link included.
	Create(path string) (File, error)
	// Open opens an existing file for reading and writing. It fails when the
	// last element of path is a symbolic link or no regular file.
	Open(path string) (File, error)
	// Lstat describes what has that name without following a symbolic link.
	Lstat(path string) (fs.FileInfo, error)
	// ReadDir lists a folder in the order of names.
	ReadDir(path string) ([]fs.DirEntry, error)
	// Mkdir makes a folder of mode 0700.
	Mkdir(path string) error
	// Rename moves a file, in place of a file that has the new name.
	Rename(from, to string) error
	// Chtimes sets when a file was last changed, as Lstat tells it. It need not
	// survive a crash.
	Chtimes(path string, at time.Time) error
	// Remove removes a file.
	Remove(path string) error
	// SyncDir makes what was done to the folder's entries durable.
	SyncDir(path string) error
}

// File is an open file.
type File interface {
	// ReadAt and WriteAt are those of io.ReaderAt and io.WriterAt.
	ReadAt(p []byte, off int64) (n int, err error)
	WriteAt(p []byte, off int64) (n int, err error)
	// Truncate makes the file size bytes long, which it was at least.
	Truncate(size int64) error
	// Sync makes the file's bytes and length durable.
	Sync() error
	Close() error
	Stat() (fs.FileInfo, error)
}
