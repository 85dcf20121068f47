package auth

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	// grantsBucket holds the grants of an app by key; the number is the format's
	// version.
	grantsBucket = "grants/1"
	// renewalWait is how long another process that renews a token is waited for:
	// one request, which the client bounds.
	renewalWait = 15 * time.Second
	// renewalStep is the pause between two attempts at its lock.
	renewalStep = 25 * time.Millisecond
	// pendingAge is how long a grant may stay without a site: an authorisation
	// that broke off before its sites were known.
	pendingAge = time.Hour
)

// grantSet is all that is stored of one app: the consents of its accounts. One
// account has one, whatever the number of sites (documented: "Only one grant
// exists per app for a given Atlassian account"); a second one stands beside it
// where another account consented for other sites.
type grantSet struct {
	Grants []grant `json:"grants"`
}

// grant is one consent. A field that is missing is zero, an unknown one is lost
// when the grant is renewed.
type grant struct {
	ID string `json:"id"`
	// Sites are the hosts of the sites for which it is used.
	Sites []string `json:"sites,omitempty"`
	// Granted is when the person consented, Renewed when the tokens came, both by
	// the local clock.
	Granted time.Time `json:"granted"`
	Renewed time.Time `json:"renewed"`
	// RefreshToken is the one to use next. Single use: see OAuth.
	RefreshToken string `json:"refresh_token"`
	AccessToken  string `json:"access_token"`
	// Expiry is the access token's end.
	Expiry time.Time `json:"expiry"`
	// Asked is when a renewal was begun of which no answer is stored; zero for
	// none. Of several it is the first.
	Asked time.Time `json:"asked,omitzero"`
	// Refused is set when Atlassian does not take the refresh token any more.
	Refused *refusal `json:"refused,omitempty"`
}

// refusal is remembered so that a token that is not good is not sent again.
type refusal struct {
	At time.Time `json:"at"`
	// Client is the fingerprint of the client id and secret that were sent.
	Client string `json:"client"`
	// What says what happened.
	What string `json:"what"`
}

// usable reports whether the access token may be sent. One that ends later than
// any does was stored under a clock that was wrong.
func (g *grant) usable(now time.Time) bool {
	return g.AccessToken != "" && now.Add(expiryMargin).Before(g.Expiry) && g.Expiry.Before(now.Add(maxLifetime+time.Minute))
}

// site is the grant for a site; nil for none.
func (s *grantSet) site(host string) *grant {
	for i := range s.Grants {
		if slices.Contains(s.Grants[i].Sites, host) {
			return &s.Grants[i]
		}
	}
	return nil
}

func (s *grantSet) id(id string) *grant {
	for i := range s.Grants {
		if s.Grants[i].ID == id {
			return &s.Grants[i]
		}
	}
	return nil
}

// bind makes the grant the one for the sites. What is used for no site any more
// is dropped, but for what another authorisation may be at.
func (s *grantSet) bind(id string, hosts []string, now time.Time) error {
	if s.id(id) == nil {
		return errors.New("the consent is not stored any more: run the command again")
	}
	var kept []grant
	for _, g := range s.Grants {
		pending := len(g.Sites) == 0 && now.Sub(g.Granted) < pendingAge
		g.Sites = slices.DeleteFunc(g.Sites, func(h string) bool { return slices.Contains(hosts, h) })
		if g.ID == id {
			g.Sites = append(g.Sites, hosts...)
			slices.Sort(g.Sites)
		}
		if g.ID == id || pending || len(g.Sites) > 0 {
			kept = append(kept, g)
		}
	}
	s.Grants = kept
	return nil
}

func newGrantID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	return hex.EncodeToString(b[:])
}

// grants is what is stored under a key. Unlike an access token, a refresh token
// cannot be fetched anew: whatever is wrong is an error.
func (s *Store) grants(key string) (set grantSet, err error) {
	if s.vault != nil {
		return s.vaultGrants(key)
	}
	if _, err := os.Lstat(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return set, s.unwritable(err) // whether there is a consent is not known
	}
	if s.nothingToRead() {
		return set, nil
	}
	err = s.strict(true, func(tx *bbolt.Tx) error {
		set, err = readGrants(tx, key)
		return err
	})
	return set, err
}

// changeGrants lets change alter what is stored under a key, in one transaction
// that is on the disk when it returns without error.
func (s *Store) changeGrants(key string, change func(*grantSet) error) error {
	if s.vault != nil {
		return s.changeVault(key, change)
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return s.unwritable(err)
	}
	return s.strict(false, func(tx *bbolt.Tx) error {
		set, err := readGrants(tx, key)
		if err != nil {
			return err
		}
		if err := change(&set); err != nil {
			return err
		}
		value, err := json.Marshal(set)
		if err != nil {
			return fmt.Errorf("encode a consent: %w", err)
		}
		b, err := tx.CreateBucketIfNotExists([]byte(grantsBucket))
		if err != nil {
			return err
		}
		return b.Put([]byte(key), value)
	})
}

// aside is the newest file that was set aside because it could not be read, as a
// client's token has it done; empty where there is none.
func (s *Store) aside() string {
	entries, err := os.ReadDir(filepath.Dir(s.path))
	if err != nil {
		return ""
	}
	newest := ""
	for _, e := range entries { // by name, and so by time
		if strings.HasPrefix(e.Name(), filepath.Base(s.path)+asideMark) {
			newest = e.Name()
		}
	}
	return newest
}

func readGrants(tx *bbolt.Tx, key string) (set grantSet, err error) {
	b := tx.Bucket([]byte(grantsBucket))
	if b == nil {
		return set, nil
	}
	v := b.Get([]byte(key))
	if v == nil {
		return set, nil
	}
	if err := json.Unmarshal(v, &set); err != nil {
		return set, errDamaged
	}
	return set, nil
}

// strict opens the file for one transaction, and makes an *Error of everything
// that is wrong with it.
func (s *Store) strict(readOnly bool, do func(*bbolt.Tx) error) error {
	var inner error
	err := s.open(readOnly, func(db *bbolt.DB) error {
		run := db.Update
		if readOnly {
			run = db.View
		}
		return run(func(tx *bbolt.Tx) error {
			inner = do(tx)
			return inner
		})
	})
	var own *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.Is(err, errDamaged), errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return &Error{code: CodeTokenStore, person: true, err: err,
			what: fmt.Sprintf("the token file %s, which holds the consent, cannot be read", s.path),
			next: "move it away and consent again"}
	case errors.Is(err, berrors.ErrTimeout):
		return &Error{code: CodeTokenBusy, err: err,
			what: fmt.Sprintf("the token file %s is in use by another process", s.path),
			next: "the next run tries again"}
	case inner != nil && errors.Is(err, inner):
		return inner
	}
	return s.unwritable(err)
}

func (s *Store) unwritable(err error) *Error {
	return &Error{code: CodeTokenStore, person: true, err: err,
		what: fmt.Sprintf("the token file %s, which holds the consent, cannot be used: %v", s.path, err),
		next: "see that the disk has room and that the Agent's user may write to the file"}
}

// renewing locks the key's renewal against every other process, and waits for
// one that is at it. The lock ends with the process.
func (s *Store) renewing(ctx context.Context, key string) (done func(), err error) {
	if s.vault != nil {
		return s.lockVault(ctx, key)
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return nil, s.unwritable(err)
	}
	f, err := openPrivate(s.path+"."+key[:16]+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		var own *Error
		if errors.As(err, &own) {
			return nil, own
		}
		return nil, s.unwritable(err)
	}
	for waited := time.Duration(0); ; waited += renewalStep {
		ok, err := tryLock(f)
		switch {
		case err != nil:
			return nil, errors.Join(s.unwritable(err), f.Close())
		case ok:
			return func() { _ = f.Close() }, nil // nothing was written
		case waited >= renewalWait:
			return nil, errors.Join(&Error{code: CodeTokenBusy,
				what: "another process has been renewing the token of this app for " + renewalWait.String(),
				next: "the next run tries again; if it stays so, find the process atlassian-audit-records that hangs, and end it"}, f.Close())
		}
		t := time.NewTimer(renewalStep)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, errors.Join(fmt.Errorf("wait for another process that renews the token: %w", ctx.Err()), f.Close())
		}
	}
}
