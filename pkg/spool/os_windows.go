package spool

import (
	"errors"
	"io/fs"
	"syscall"

	"golang.org/x/sys/windows"
)

// noFollow: Windows has no such flag; Open compares what it opened with what
// it saw before.
const noFollow = 0

func isDiskFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED) || errors.Is(err, syscall.ENOSPC)
}

// othersMay: the mode that Go shows on Windows says nothing about who may do
// what; folders inherit the rights of the Agent's run folder.
func othersMay(fs.FileInfo) bool { return false }

// syncDir does nothing: NTFS logs changes of folders, and Windows cannot flush
// one.
func syncDir(string) error { return nil }
