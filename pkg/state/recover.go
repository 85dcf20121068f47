package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"atlassian_audit_records/pkg/audit"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Files are the places of one stream's state.
type Files struct {
	// State is the state itself, Copy the compact copy that is kept of it.
	State string
	Copy  string
	// Marker stands beside the spool, away from the two others: it tells a
	// state that was lost from a first run, and where to begin again.
	Marker string
}

// Options are how a state is opened.
type Options struct {
	// Lock is how long to wait for another process; 0 means 200 ms.
	Lock time.Duration
	// Now is the wall clock, for the names of files set aside.
	Now func() time.Time
}

// marker is the content of Files.Marker.
type marker struct {
	Version int `json:"version"`
	// Resume is the millisecond from which on everything is to be read when
	// nothing else is known.
	Resume int64 `json:"resume"`
	// Written is when the marker was written (wall clock, ms).
	Written int64 `json:"written"`
}

// Open opens a stream's state, or begins one where there never was any. Where
// the state is missing or damaged it is set aside, the copy or the marker takes
// its place, and notice says so in a sentence: nothing is lost by it, but what
// was delivered since the copy may be delivered again. ErrBusy and ErrNewer
// leave everything as it is.
func Open(f Files, o Options) (s *Store, notice string, err error) {
	if o.Lock == 0 {
		o.Lock = defaultLockTimeout
	}
	s, err = openWhole(f.State, o.Lock)
	switch {
	case err == nil:
		return s, "", nil
	case !errors.Is(err, ErrDamaged) && !errors.Is(err, os.ErrNotExist):
		return nil, "", err
	}
	return restore(f, o)
}

// openWhole opens a state and reads what a run cannot do without.
func openWhole(path string, lock time.Duration) (*Store, error) {
	s, err := open(path, false, lock)
	if err != nil {
		return nil, err
	}
	if _, err := s.Position(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if _, _, err := s.Batch(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// restore puts a state in the place of a missing or damaged one. A lock of its
// own keeps two processes from setting aside each other's work.
func restore(f Files, o Options) (_ *Store, notice string, err error) {
	lock, err := bolt.Open(f.State+".lock", 0o600, &bolt.Options{Timeout: o.Lock})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, "", ErrBusy
	}
	if err != nil {
		return nil, "", fmt.Errorf("lock the state %s: %w", f.State, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()

	s, why := openWhole(f.State, o.Lock)
	switch {
	case why == nil:
		return s, "", nil
	case errors.Is(why, os.ErrNotExist):
		first, err := isFirst(f)
		if err != nil {
			return nil, "", err
		}
		if first {
			s, err := open(f.State, true, o.Lock)
			return s, "", err
		}
	case !errors.Is(why, ErrDamaged):
		return nil, "", why
	}
	stamp := o.Now().UTC().Format("20060102T150405.000Z")
	aside, err := setAside(f.State, stamp)
	if err != nil {
		return nil, "", err
	}
	what := "is missing"
	if aside != "" {
		what = fmt.Sprintf("could not be read and was set aside as %s", aside)
	}
	s, at, copyErr := fromCopy(f, o, stamp)
	if copyErr == nil {
		return s, fmt.Sprintf("the state %s %s; its copy of %s is used: no record is lost, those delivered since then may be delivered again with the same record_id",
			f.State, what, at.UTC().Format(time.RFC3339)), nil
	}
	if !errors.Is(copyErr, os.ErrNotExist) && !errors.Is(copyErr, ErrDamaged) {
		return nil, "", copyErr
	}
	s, from, err := fromMarker(f, o)
	if err != nil {
		return nil, "", fmt.Errorf("the state %s %s, and there is neither a copy nor a marker that says where to begin again (%w); to begin anew with initial_lookback, remove %s and %s",
			f.State, what, err, f.Copy, f.Marker)
	}
	return s, fmt.Sprintf("the state %s %s, and there is no copy of it; everything since %s is read again: no record is lost, those delivered since then may be delivered again with the same record_id",
		f.State, what, from.UTC().Format(time.RFC3339)), nil
}

// isFirst reports whether nothing was ever collected: no copy and no marker.
func isFirst(f Files) (bool, error) {
	for _, path := range []string{f.Copy, f.Marker} {
		there, err := exists(path)
		if err != nil {
			return false, fmt.Errorf("look for an earlier state: %w", err)
		}
		if there {
			return false, nil
		}
	}
	return true, nil
}

// setAside renames a file out of the way and answers its new name, empty where
// there was no file.
func setAside(path, stamp string) (string, error) {
	to := path + ".damaged-" + stamp
	err := os.Rename(path, to)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("set the damaged state aside: %w", err)
	}
	return to, nil
}

// fromCopy makes the copy the state. Its batch is dropped: a copy is made when
// the batch is on disk. So is the spool file, whose end it cannot know.
func fromCopy(f Files, o Options, stamp string) (_ *Store, at time.Time, err error) {
	info, err := os.Lstat(f.Copy)
	if err != nil {
		return nil, at, err
	}
	c, err := openWhole(f.Copy, o.Lock)
	if errors.Is(err, ErrDamaged) {
		if _, asideErr := setAside(f.Copy, stamp); asideErr != nil {
			return nil, at, errors.Join(err, asideErr)
		}
		return nil, at, err
	}
	if err != nil {
		return nil, at, err
	}
	err = c.compactTo(f.State + ".new")
	if err := errors.Join(err, c.Close()); err != nil {
		return nil, at, err
	}
	s, err := open(f.State+".new", false, o.Lock)
	if err != nil {
		return nil, at, err
	}
	p, err := s.Position()
	if err != nil {
		return nil, at, errors.Join(err, s.Close())
	}
	p.File, p.End, p.FileSince = "", 0, 0
	err = s.db.Update(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		position, err := json.Marshal(p)
		if err != nil {
			return err
		}
		return errors.Join(meta.Delete(keyPlace), meta.Delete(keyLines), meta.Put(keyPosition, seal(position)))
	})
	if err := errors.Join(err, s.Close()); err != nil {
		return nil, at, fmt.Errorf("make the copy the state: %w", err)
	}
	if err := os.Rename(f.State+".new", f.State); err != nil {
		return nil, at, fmt.Errorf("make the copy the state: %w", err)
	}
	if err := syncFolder(f.State); err != nil {
		return nil, at, fmt.Errorf("make the copy the state: %w", err)
	}
	s, err = openWhole(f.State, o.Lock)
	return s, info.ModTime(), err
}

// fromMarker begins a state that reads everything from the marker on.
func fromMarker(f Files, o Options) (*Store, time.Time, error) {
	m, err := readMarker(f.Marker)
	if err != nil {
		return nil, time.Time{}, err
	}
	s, err := open(f.State, true, o.Lock)
	if err != nil {
		return nil, time.Time{}, err
	}
	if err := s.Commit(audit.Change{Position: audit.Position{Floor: m.Resume, FloorSet: true}}); err != nil {
		return nil, time.Time{}, errors.Join(err, s.Close())
	}
	return s, time.UnixMilli(m.Resume), nil
}

func readMarker(path string) (m marker, err error) {
	if there, err := exists(path); err != nil || !there {
		return m, errors.Join(err, os.ErrNotExist)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(body, &m); err != nil || m.Version != 1 {
		return m, fmt.Errorf("the marker %s cannot be read", path)
	}
	return m, nil
}

// Mark writes the marker: everything from resume on (ms since the epoch) would
// have to be read if the state and its copy were lost. It must be called before
// the first commit, and is called with every copy.
func Mark(f Files, resume int64, now time.Time) error {
	body, err := json.Marshal(marker{Version: 1, Resume: resume, Written: now.UnixMilli()})
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

// CopyDue reports whether the last copy is older than age, or missing.
func CopyDue(f Files, age time.Duration, now time.Time) (bool, error) {
	info, err := os.Lstat(f.Copy)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	since := now.Sub(info.ModTime())
	return since >= age || since < -age, nil
}

// Copy keeps a compact copy of the state. It must be called when the last batch
// is on disk.
func (s *Store) Copy(f Files) error {
	tmp := f.Copy + ".new"
	if err := s.compactTo(tmp); err != nil {
		return fmt.Errorf("copy the state to %s: %w", f.Copy, err)
	}
	if err := os.Rename(tmp, f.Copy); err != nil {
		return fmt.Errorf("copy the state to %s: %w", f.Copy, err)
	}
	if err := syncFolder(f.Copy); err != nil {
		return fmt.Errorf("copy the state to %s: %w", f.Copy, err)
	}
	return nil
}

// compactBytes is how much a compaction writes in one transaction, which bounds
// its memory.
const compactBytes = 4 << 20

func (s *Store) compactTo(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return guard(func() error {
		dst, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, NoSync: true})
		if err != nil {
			return err
		}
		err = bolt.Compact(dst, s.db, compactBytes)
		return errors.Join(err, dst.Sync(), dst.Close())
	})
}
