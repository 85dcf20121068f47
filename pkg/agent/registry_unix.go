//go:build unix

package agent

import "os"

// OpenShared opens a file for reading that others may replace or move meanwhile.
func OpenShared(path string) (*os.File, error) { return os.Open(path) }
