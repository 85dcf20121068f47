package spool

import (
	"errors"
	"fmt"
	"io"
)

var (
	errNotRegular = errors.New("not a regular file")
	errForeign    = errors.New("changed by somebody else")
	errLost       = errors.New("lines that were staged are gone")
)

// Error is a failure of the spool. Its text says what happened to which path,
// that nothing is lost, and what to do.
type Error struct {
	// Path is the file or folder that it happened to.
	Path string
	// Err is what the file system said.
	Err  error
	text string
}

// Error implements error.
func (e *Error) Error() string { return e.text }

// Unwrap gives Err.
func (e *Error) Unwrap() error { return e.Err }

// DiskFull tells that there is no room left, or none that we may use.
func (e *Error) DiskFull() bool {
	return isDiskFull(e.Err) || errors.Is(e.Err, io.ErrShortWrite)
}

// Lost tells that lines that were staged are gone, or a part of them: a disk that
// lost what was synced, or somebody who removed files.
func (e *Error) Lost() bool { return errors.Is(e.Err, errLost) }

// failed is the error for doing something to path that ended in err.
func failed(doing, path string, err error) error {
	e := &Error{Path: path, Err: err}
	if e.DiskFull() {
		e.text = fmt.Sprintf("the disk is full: %s %s: %v; free some space on its file system (nothing is lost: Atlassian keeps the records, and collection goes on by itself once there is room)", doing, path, err)
	} else {
		e.text = fmt.Sprintf("%s %s: %v", doing, path, err)
	}
	return e
}

// refused is the error for something at path that is not as it must be.
func refused(path string, err error, format string, args ...any) error {
	return &Error{Path: path, Err: err, text: fmt.Sprintf(format, args...)}
}
