package agent

import "io/fs"

// checkSecret: the mode that Go shows on Windows says nothing about who may
// read the file.
func checkSecret(string, fs.FileInfo) error { return nil }
