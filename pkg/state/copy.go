package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

// CopyDue reports whether the last copy is older than age, or missing. A copy
// from the future is due: the clock was wrong then, or is now.
func CopyDue(f Files, age time.Duration, now time.Time) (bool, error) {
	info, err := os.Lstat(f.Copy)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err == nil {
		err = regular(f.Copy, info)
	}
	if err != nil {
		return false, fmt.Errorf("look at the copy of the state: %w", err)
	}
	since := now.Sub(info.ModTime())
	return since >= age || since < -age, nil
}

// Copy keeps a compact copy of the state. It must be called when the last batch
// is on disk. A copy that cannot be read never takes the place of the one
// before.
func (s *Store) Copy(f Files) error {
	tmp := f.Copy + ".new"
	err := s.compactTo(tmp)
	if err == nil {
		err = verify(tmp)
	}
	if err == nil {
		err = move(tmp, f.Copy)
	}
	if err != nil {
		return fmt.Errorf("copy the state to %s: %w", f.Copy, err)
	}
	return nil
}

func verify(path string) error {
	c, err := openWhole(path, true, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

// compactBytes is how much a compaction writes in one transaction, which bounds
// its memory.
const compactBytes = 4 << 20

// compactTo writes all that s holds into a new file.
func (s *Store) compactTo(path string) error {
	dst, file, err := openBolt(path, &bolt.Options{Timeout: time.Second, NoSync: true}, func() (*os.File, error) { return openNew(path) })
	if err != nil {
		return err
	}
	err = s.do(func() error { return bolt.Compact(dst, s.db, compactBytes) })
	if s.faulted {
		err = errors.Join(err, abandon(file))
	} else {
		err = errors.Join(err, dst.Sync(), dst.Close())
	}
	if err != nil {
		// The disk may be full.
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// marker is the content of Files.Marker.
type marker struct {
	Version int `json:"version"`
	// Resume is the millisecond from which on everything is to be read when
	// nothing else is known.
	Resume int64 `json:"resume"`
	// Written is when the marker was written (wall clock, ms).
	Written int64 `json:"written"`
	// Checksum is over the three others.
	Checksum string `json:"checksum"`
}

const markerVersion = 1

func (m marker) checksum() string {
	return fmt.Sprintf("%08x", checksum([]byte("marker"), fmt.Appendf(nil, "%d %d %d", m.Version, m.Resume, m.Written)))
}

func decodeMarker(body []byte) (m marker, err error) {
	if err := json.Unmarshal(body, &m); err != nil {
		return m, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	switch {
	case m.Version > markerVersion:
		return m, ErrNewer
	case m.Version != markerVersion || m.Checksum != m.checksum():
		return m, fmt.Errorf("%w: %w", ErrDamaged, errChecksum)
	}
	return m, nil
}

// readMarker answers errMissing where there is none.
func readMarker(path string) (m marker, err error) {
	there, err := exists(path)
	switch {
	case err != nil:
		return m, fmt.Errorf("read the marker: %w", err)
	case !there:
		return m, fmt.Errorf("%w: %s", errMissing, path)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return m, fmt.Errorf("read the marker: %w", err)
	}
	if m, err = decodeMarker(body); err != nil {
		return m, fmt.Errorf("read the marker %s: %w", path, err)
	}
	return m, nil
}

// Mark writes the marker: everything from resume on (ms since the epoch) would
// have to be read if the state and its copy were lost. It must be called before
// the first commit, and is called with every copy.
func Mark(f Files, resume int64, now time.Time) error {
	m := marker{Version: markerVersion, Resume: resume, Written: now.UnixMilli()}
	m.Checksum = m.checksum()
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := replace(f.Marker, append(body, '\n')); err != nil {
		return fmt.Errorf("write the marker %s: %w", f.Marker, err)
	}
	return nil
}

// Marked reports whether there is a marker.
func Marked(f Files) (bool, error) { return exists(f.Marker) }
