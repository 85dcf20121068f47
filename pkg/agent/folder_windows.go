package agent

import "io/fs"

// checkRights: the mode that Go shows on Windows says nothing about who may do
// what. Folders inherit the rights of the Agent's run path.
func checkRights(string, fs.FileInfo) error { return nil }

func judgeRights(string, fs.FileInfo) (open bool, err error) { return false, nil }

// syncFolder does nothing: NTFS logs changes of folders.
func syncFolder(string) error { return nil }
