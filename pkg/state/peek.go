package state

import (
	"errors"
	"os"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// Peek reads the position of a state that it leaves as it is, for a person who
// asks how things stand. It takes no lock of its own beyond the moment of
// reading, repairs nothing and begins nothing. It answers ErrBusy where a run
// holds the state for longer than wait, ErrDamaged, ErrNewer, and os.ErrNotExist
// where there is no state.
func Peek(f Files, wait time.Duration) (audit.Position, error) {
	return peek(f.State, wait)
}

// PeekCopy is Peek at the copy, and when that was made.
func PeekCopy(f Files) (p audit.Position, at time.Time, err error) {
	info, err := os.Lstat(f.Copy)
	if err != nil {
		return p, at, err
	}
	p, err = peek(f.Copy, defaultLock)
	return p, info.ModTime(), err
}

func peek(path string, wait time.Duration) (p audit.Position, err error) {
	s, err := openWhole(path, true, wait)
	if errors.Is(err, errMissing) {
		return p, errors.Join(os.ErrNotExist, err)
	}
	if err != nil {
		return p, err
	}
	p, err = s.Position()
	return p, errors.Join(err, s.Close())
}
