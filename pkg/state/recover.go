package state

import (
	"errors"
	"fmt"
	"time"

	"atlassian_audit_records/pkg/audit"

	bolt "go.etcd.io/bbolt"
)

// Files are the places of one stream's state. Their folders must exist.
type Files struct {
	// State is the state itself, Copy the compact copy that is kept of it.
	// Beside State stand its lock file and what was set aside.
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
	// Holds says whether the lines of a batch that was staged are still there; nil
	// where nothing is staged. An error whose method Lost() bool answers true makes the
	// state a damaged one: it promises what is not so.
	Holds func(audit.Batch) error
}

// defaultLock is how long Open waits for another process.
const defaultLock = 200 * time.Millisecond

// Open opens a stream's state, or begins one where there never was any. Where
// the state is missing or damaged, the copy or the marker takes its place, the
// damaged file is kept under another name, and notice says so in a sentence:
// nothing is lost by it, but what was delivered since the copy may be delivered
// again.
//
// An error leaves every file as it was. ErrBusy: another process holds the
// state. ErrNewer: a newer version wrote it. ErrDamaged: it is damaged, and
// there is nothing to take its place.
func Open(f Files, o Options) (s *Store, notice string, err error) {
	if o.Lock == 0 {
		o.Lock = defaultLock
	}
	// A lock of its own, since files are moved under it.
	lock, err := takeLock(f.State+".lock", o.Lock)
	if errors.Is(err, ErrBusy) {
		return nil, "", ErrBusy
	}
	if err != nil {
		return nil, "", fmt.Errorf("lock the state %s: %w", f.State, err)
	}
	s, err = openWhole(f.State, false, o.Lock)
	if err == nil {
		if err = s.holds(o); err != nil {
			err = errors.Join(err, s.Close())
		}
	}
	if errors.Is(err, errMissing) || errors.Is(err, ErrDamaged) {
		s, notice, err = restore(f, o, err)
	}
	if err == nil {
		if err = s.resume(f); err != nil {
			err = errors.Join(err, s.Close())
		}
	}
	if err != nil {
		return nil, "", errors.Join(err, lock.Close())
	}
	s.lock = lock
	return s, notice, nil
}

// holds makes sure that the lines that were staged are there. The copies of a state
// have none.
func (s *Store) holds(o Options) error {
	b, _, err := s.Batch()
	if err != nil || b.Staged == 0 || o.Holds == nil {
		return err
	}
	err = o.Holds(b)
	var lost interface{ Lost() bool }
	if errors.As(err, &lost) && lost.Lost() {
		return s.damage("batch", err)
	}
	return err
}

// resume gives a state that nothing was ever committed to the floor of the
// marker: a first run that was killed behind Mark.
func (s *Store) resume(f Files) error {
	p, err := s.Position()
	if err != nil || p.FloorSet {
		return err
	}
	m, err := readMarker(f.Marker)
	switch {
	case errors.Is(err, errMissing):
		return nil
	case err != nil:
		return fmt.Errorf("the state %s does not say where to begin: %w; remove the marker to begin anew with initial_lookback", f.State, err)
	}
	p.Floor, p.FloorSet = m.Resume, true
	return s.Commit(audit.Change{Position: p})
}

// restore puts a state in the place of one that is missing or damaged, which
// why tells. The new one is made first and whole, so that a crash at any
// instant leaves what restore can begin with again.
func restore(f Files, o Options, why error) (_ *Store, notice string, err error) {
	tmp := f.State + ".new"
	missing := errors.Is(why, errMissing)
	if missing {
		first, err := isFirst(f)
		if err != nil {
			return nil, "", err
		}
		if first {
			if err := create(tmp, audit.Position{}); err != nil {
				return nil, "", fmt.Errorf("create the state %s: %w", f.State, err)
			}
			s, err := install(tmp, f.State, o)
			return s, "", err
		}
	} else if err := unused(f.State, o.Lock); err != nil {
		return nil, "", err
	}

	stamp := o.Now().UTC().Format("20060102T150405.000Z")
	used, badCopy, err := renew(f, o, tmp)
	if err != nil {
		return nil, "", cannotRestore(f, why, err)
	}
	what := fmt.Sprintf("the state %s is missing", f.State)
	if !missing {
		aside, err := setAside(f.State, stamp)
		if err != nil {
			return nil, "", err
		}
		what = fmt.Sprintf("%v; it was set aside as %s", why, aside)
	}
	if badCopy != nil {
		aside, err := setAside(f.Copy, stamp)
		if err != nil {
			return nil, "", err
		}
		what += fmt.Sprintf("; its copy is damaged too (%v) and was set aside as %s", badCopy, aside)
	}
	s, err := install(tmp, f.State, o)
	if err != nil {
		return nil, "", err
	}
	return s, what + "; " + used + ": no record is lost, those delivered since then may be delivered again with the same record_id", nil
}

// cannotRestore says that there is nothing to go on from.
func cannotRestore(f Files, why, err error) error {
	if !errors.Is(err, errMissing) && !errors.Is(err, ErrDamaged) {
		return fmt.Errorf("restore the state %s: %w", f.State, err)
	}
	return fmt.Errorf("%w; nothing can take its place (%w); to begin anew with initial_lookback, remove %s, %s and %s as far as they exist",
		why, err, f.State, f.Copy, f.Marker)
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

// unused makes sure that no process that does without our lock uses the file.
func unused(path string, wait time.Duration) error {
	f, err := takeLock(path, wait)
	if err != nil {
		return fmt.Errorf("set the state aside: %w", err)
	}
	return f.Close()
}

// renew makes a state at tmp, from the copy or else from the marker, and says
// which. badCopy is what is wrong with a copy that is not used.
func renew(f Files, o Options, tmp string) (used string, badCopy, err error) {
	at, err := fromCopy(f, o, tmp)
	if err == nil {
		return "its copy of " + at.UTC().Format(time.RFC3339) + " is used", nil, nil
	}
	switch {
	case errors.Is(err, ErrDamaged):
		badCopy = err
	case !errors.Is(err, errMissing):
		return "", nil, err
	}
	m, markerErr := readMarker(f.Marker)
	if markerErr != nil {
		return "", nil, fmt.Errorf("copy: %w; marker: %w", err, markerErr)
	}
	if err := create(tmp, audit.Position{Floor: m.Resume, FloorSet: true}); err != nil {
		return "", nil, err
	}
	return "everything since " + time.UnixMilli(m.Resume).UTC().Format(time.RFC3339) + " is read again", badCopy, nil
}

// fromCopy makes a state of the copy, at tmp, and answers when the copy was
// made. Its batch is dropped: a copy is made when the batch is on disk. So is
// the spool file, whose end it cannot know.
func fromCopy(f Files, o Options, tmp string) (at time.Time, err error) {
	c, err := openWhole(f.Copy, true, o.Lock)
	if err != nil {
		return at, err
	}
	info, err := c.file.Stat()
	if err == nil {
		err = c.compactTo(tmp)
	}
	if err := errors.Join(err, c.Close()); err != nil {
		return at, err
	}
	s, err := openWhole(tmp, false, o.Lock)
	if err != nil {
		return at, err
	}
	err = s.update(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		p, err := position(meta)
		if err != nil {
			return err
		}
		p.File, p.End, p.FileSince = "", 0, 0
		return begin(meta, p)
	})
	return info.ModTime(), errors.Join(err, s.Close())
}

// setAside renames a file out of the way and answers its new name.
func setAside(path, stamp string) (string, error) {
	to := path + ".damaged-" + stamp
	for {
		there, err := exists(to)
		if err != nil {
			return "", fmt.Errorf("set %s aside: %w", path, err)
		}
		if !there {
			break
		}
		to += "+"
	}
	if err := move(path, to); err != nil {
		return "", fmt.Errorf("set %s aside: %w", path, err)
	}
	return to, nil
}

// install moves a new state to its place and opens it.
func install(tmp, path string, o Options) (*Store, error) {
	if err := move(tmp, path); err != nil {
		return nil, fmt.Errorf("install the state %s: %w", path, err)
	}
	return openWhole(path, false, o.Lock)
}
