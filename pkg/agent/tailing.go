package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// alive is how old a registry may be that belongs to an Agent which runs: it
// writes it each second (7.77 to 7.85), and every ten at the latest where a disk
// is slow.
const alive = 10 * time.Second

// A Rival is an Agent that may follow the spool.
type Rival struct {
	// Running is true where its registry was written within the last 10 seconds.
	Running bool
	// File is one of the spool's files in its registry; empty where there is none.
	File string
	// Registry is what it has written; nothing where there is no registry.
	Registry Registry
}

// LookForRival looks into the registry at path for files below the spool folder.
// now is the current time. A registry that is not there, or cannot be understood
// now, tells of none, and an Agent whose registry is elsewhere is not found.
func LookForRival(path, spool string, now time.Time) (Rival, error) {
	r, err := ReadRegistry(path)
	if errors.Is(err, ErrRegistryUnknown) || errors.Is(err, fs.ErrNotExist) {
		return Rival{}, nil
	}
	if err != nil {
		return Rival{}, fmt.Errorf("find out whether an Agent sends the spool: %w", err)
	}
	out := Rival{Running: now.Sub(r.WrittenAt) < alive, Registry: r}
	for file := range r.Files {
		if below(spool, file) && (out.File == "" || file < out.File) {
			out.File = file
		}
	}
	return out, nil
}

// below reports whether the file is one of the spool's, also where the Agent sees
// it under another path, as in a container: then one of the same last two names is
// in the spool, and these names never come twice.
func below(spool, file string) bool {
	if rel, err := filepath.Rel(spool, file); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return true
	}
	names := strings.FieldsFunc(file, func(r rune) bool { return r == '/' || r == '\\' })
	n := len(names)
	if n < 4 || names[n-4] != CheckName || names[n-3] != "spool" {
		return false
	}
	_, err := os.Lstat(filepath.Join(spool, names[n-2], names[n-1]))
	return err == nil
}
