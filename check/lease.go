package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"atlassian_audit_records/pkg/shared"
)

// leaseVersion is the format of the file; see docs/formats.md.
const leaseVersion = 1

// leaseNote is what a run path remembers of a site's lease. It may be lost: then a
// lease of its own has to be waited for.
type leaseNote struct {
	Version int `json:"version"`
	// Node is this run path's name for itself.
	Node string `json:"node"`
	// Host is how it called itself to the others last.
	Host string `json:"host,omitempty"`
	// Memory is the store's.
	Memory []byte `json:"memory,omitempty"`
	// Held tells whose the lease was when it was asked for last, Holder who had it.
	Held   bool          `json:"held"`
	Holder shared.Holder `json:"holder"`
	// Asked is when that was, and Until when it ends (wall clock, ms).
	Asked int64 `json:"asked"`
	Until int64 `json:"until"`
}

// lease is where a site's is remembered.
func (f folders) lease() string { return filepath.Join(f.stateDir(), "lease.json") }

// valid reports whether the lease must still be this machine's, by what is
// remembered. A clock that was put back says nothing.
func (n leaseNote) valid(now time.Time) bool {
	at := now.UnixMilli()
	return n.Held && n.Asked <= at && at < n.Until
}

// readLease reads what is remembered; where nothing can be, it is a new node.
func readLease(path string) leaseNote {
	fresh := leaseNote{Version: leaseVersion, Node: shared.NewID()}
	text, err := os.ReadFile(path)
	var n leaseNote
	if err != nil || json.Unmarshal(text, &n) != nil || n.Version != leaseVersion || n.Node == "" {
		return fresh
	}
	return n
}

// peekLease is readLease for who only wants to know; ok is false where nothing is
// remembered.
func peekLease(path string) (n leaseNote, ok bool) {
	if _, err := os.Lstat(path); err != nil {
		return n, false
	}
	n = readLease(path)
	return n, n.Asked != 0
}

// writeLease puts the note in its place, whole or not at all. It is not synced: what
// a power failure takes is waited for.
func writeLease(path string, n leaseNote) error {
	text, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode what is remembered of the lease: %w", err)
	}
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // another run of this site is writing just this, for another product
	}
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // it did it for us
}
