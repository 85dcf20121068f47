package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	// lockTimeout is how long another process is waited for. A transaction
	// takes milliseconds.
	lockTimeout = time.Second
	// tokensBucket holds tokens by key; the number is the format's version.
	tokensBucket = "tokens/1"
)

// Store keeps issued tokens in one bbolt file with mode 0600, safe across
// processes (bbolt locks the file) and crashes (its transactions are atomic).
// The file is open only while a token is read or written.
//
// A token of a client can always be fetched anew. For it, a value that cannot be
// read counts as none; a file that cannot be read is set aside, and a new one
// begun; a busy or unwritable one is done without. The last two are told as
// warnings. Only a file that might be somebody else's work (a symbolic link,
// something other than a file) is an error. A consent cannot be fetched anew: for
// it all of these are errors, and so is a file that was set aside meanwhile.
type Store struct {
	path string
	now  func() time.Time
	// vault holds the consents in the file's place, where it is not nil; held are the
	// locks of it that this store has, by key.
	vault Vault
	held  map[string]*heldLock
}

// NewStore names the file; it is made when the first token is written, in a
// folder that only its owner may enter. now is the local clock.
func NewStore(path string, now func() time.Time) *Store {
	return &Store{path: path, now: now}
}

// storedToken is a token and its end.
type storedToken struct {
	AccessToken string    `json:"access_token"`
	Expiry      time.Time `json:"expiry"`
}

func (t storedToken) usable(now time.Time) bool {
	return t.AccessToken != "" && now.Add(expiryMargin).Before(t.Expiry)
}

// get is the token of a key; zero where there is none.
func (s *Store) get(key string) (t storedToken, warning string, err error) {
	if s.nothingToRead() {
		return t, "", nil
	}
	warning, err = s.with(true, func(db *bbolt.DB) error {
		return db.View(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(tokensBucket))
			if b == nil {
				return nil
			}
			v := b.Get([]byte(key))
			if v == nil {
				return nil
			}
			if json.Unmarshal(v, &t) != nil {
				// Of the whole file it says nothing, which may hold a consent.
				t = storedToken{}
			}
			return nil
		})
	})
	return t, warning, err
}

// nothingToRead reports whether there is no file, or an empty one, which a
// crash leaves behind before the first token. Where it is out of reach, put
// will tell, and for a consent present.
func (s *Store) nothingToRead() bool {
	info, err := os.Lstat(s.path)
	return err != nil || info.Mode().IsRegular() && info.Size() == 0
}

// put keeps a token, and drops those that have ended.
func (s *Store) put(key string, t storedToken) (warning string, err error) {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return s.without(err), nil
	}
	value, err := json.Marshal(t)
	if err != nil {
		return "", fmt.Errorf("encode a token: %w", err)
	}
	write := func(db *bbolt.DB) error {
		return db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte(tokensBucket))
			if err != nil {
				return err
			}
			if err := dropEnded(b, s.now()); err != nil {
				return err
			}
			return b.Put([]byte(key), value)
		})
	}
	warning, err = s.with(false, write)
	if warning == "" || err != nil {
		return warning, err
	}
	if _, statErr := os.Lstat(s.path); !errors.Is(statErr, fs.ErrNotExist) {
		return warning, nil
	}
	// It was set aside: begin anew.
	if again, err := s.with(false, write); err != nil || again != "" {
		return again, err
	}
	return warning, nil
}

func dropEnded(b *bbolt.Bucket, now time.Time) error {
	var ended [][]byte
	err := b.ForEach(func(k, v []byte) error {
		var t storedToken
		if json.Unmarshal(v, &t) != nil || !t.usable(now) {
			ended = append(ended, append([]byte(nil), k...))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, k := range ended {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

var errDamaged = errors.New("the file is damaged")

// with opens the file for the time of do. What goes wrong becomes a warning,
// but for what makes the file unsafe to use.
func (s *Store) with(readOnly bool, do func(*bbolt.DB) error) (warning string, err error) {
	err = s.open(readOnly, do)
	var unsafe *Error
	switch {
	case err == nil:
		return "", nil
	case errors.As(err, &unsafe):
		return "", unsafe
	case errors.Is(err, errDamaged), errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch),
		errors.Is(err, berrors.ErrChecksum):
		return s.setAside(), nil
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Sprintf("the token file %s is in use by another process; a token is used without being kept", s.path), nil
	}
	return s.without(err), nil
}

func (s *Store) without(err error) string {
	return fmt.Sprintf("tokens cannot be kept in %s: %v; a new one is fetched at each run until this is mended", s.path, err)
}

// asideMark follows the file's name where it was set aside; the time comes next.
const asideMark = ".unreadable-"

func (s *Store) setAside() string {
	aside := s.path + asideMark + s.now().UTC().Format("20060102T150405.000Z")
	if err := os.Rename(s.path, aside); err != nil {
		return s.without(err)
	}
	return fmt.Sprintf("the token file %s could not be read; it was set aside as %s and a new token fetched", s.path, filepath.Base(aside))
}

// open is bbolt.Open, with a damaged file made an error: bbolt reads it through
// a memory map and trusts what it finds.
func (s *Store) open(readOnly bool, do func(*bbolt.DB) error) (err error) {
	if info, err := os.Lstat(s.path); err == nil && info.Mode().IsRegular() && info.Size() > 0 && info.Size() < 2*int64(os.Getpagesize()) {
		// bbolt begins with two pages, and gives no name to this error of its.
		return errDamaged
	}
	before := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(before)
	var db *bbolt.DB
	defer func() {
		if r := recover(); r != nil {
			err = errDamaged
			if db != nil {
				_ = db.Close() // it is damaged already
			}
		}
	}()
	db, err = bbolt.Open(s.path, 0o600, &bbolt.Options{Timeout: lockTimeout, ReadOnly: readOnly, OpenFile: openPrivate})
	if err != nil {
		return err
	}
	if err := do(db); err != nil {
		return errors.Join(err, db.Close())
	}
	return db.Close()
}

// openPrivate opens a regular file that is no symbolic link, and takes its
// permissions for anybody else away.
func openPrivate(path string, flag int, _ os.FileMode) (*os.File, error) {
	before, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) && flag&os.O_CREATE != 0 {
		f, err := os.OpenFile(path, flag|os.O_CREATE|os.O_EXCL, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
		// Another process was faster.
		before, err = os.Lstat(path)
		if err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, notSafe(path, "is not a regular file")
	}
	f, err := os.OpenFile(path, flag&^os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	after, err := f.Stat()
	switch {
	case err != nil:
	case !os.SameFile(before, after):
		err = notSafe(path, "was exchanged while it was opened")
	case runtime.GOOS != "windows" && after.Mode().Perm()&0o077 != 0:
		// Windows keeps no such bits; there the folder's list of permissions counts.
		err = f.Chmod(0o600)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func notSafe(path, why string) *Error {
	return &Error{code: CodeTokenStore, person: true,
		what: fmt.Sprintf("the token file %s %s, so no token is read from or written to it", path, why),
		next: "find out who put it there, and remove it"}
}
