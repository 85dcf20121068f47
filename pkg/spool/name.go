package spool

import (
	"fmt"
	"strings"
	"time"
)

const suffix = ".jsonl"

// newName is a file's name: its time of birth, so that names sort by age, and
// 64 random bits, so that no name ever comes back. It holds no character that
// a platform forbids.
func newName(now time.Time, random uint64) string {
	return fmt.Sprintf("%s-%016x%s", now.UTC().Format("20060102T150405.000Z"), random, suffix)
}

// isName reports whether name can be that of a spool file: a base name that
// the Agent's *.jsonl matches.
func isName(name string) bool {
	return len(name) > len(suffix) && strings.HasSuffix(name, suffix) &&
		name[0] != '.' && !strings.ContainsAny(name, `/\:`+"\x00")
}
