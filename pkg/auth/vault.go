package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

const (
	// unsavedBucket holds, by key, consents that the vault did not take.
	unsavedBucket = "unsaved/1"
	// vaultTime is how long one exchange with a vault may take. It does not end with the
	// run: tokens that came are saved even where that has no time left.
	vaultTime = 5 * time.Second
	// vaultStep is the pause between two attempts at its lock.
	vaultStep = 250 * time.Millisecond
)

// Vault keeps consents where several machines share them, one value for each app. An
// error that has a method Passes() bool answering true needs nobody.
type Vault interface {
	// Load reads the value; nil where there is none.
	Load(ctx context.Context, app string) ([]byte, error)
	// TryLock takes the right to change the value, which ends by itself where the
	// process does. Where another process has it, ok is false and holder is its
	// machine.
	TryLock(ctx context.Context, app string) (lock VaultLock, holder string, ok bool, err error)
}

// VaultLock is the right to change a value.
type VaultLock interface {
	// Save puts a value in its place, unless the lock has ended.
	Save(ctx context.Context, value []byte) error
	Unlock(ctx context.Context) error
}

// WithVault is the store with its consents in a vault. Tokens of clients stay in the
// file: each machine may have its own. There stands, too, the last consent that was read,
// of use while the vault is away and until its access token ends; and one that was
// renewed and that the vault did not take, until it does.
func (s *Store) WithVault(v Vault) *Store {
	return &Store{path: s.path, now: s.now, vault: v, held: map[string]*heldLock{}}
}

// heldLock is a lock of the vault's that a store has, and the value that was there
// last.
type heldLock struct {
	lock VaultLock
	last []byte
}

func vaultFailed(doing string, err error) *Error {
	var passes interface{ Passes() bool }
	if errors.As(err, &passes) && passes.Passes() {
		return &Error{code: CodeTokenBusy, err: err, what: fmt.Sprintf("the consent that machines share could not be %s: %v", doing, err), next: "the next run tries again"}
	}
	return &Error{code: CodeTokenStore, person: true, err: err, what: fmt.Sprintf("the consent that machines share could not be %s: %v", doing, err),
		next: "see that the store that `state` names can be used"}
}

// lockVault waits for the right to change a key's value.
func (s *Store) lockVault(ctx context.Context, key string) (unlock func(), err error) {
	began := s.now()
	for {
		lock, holder, ok, err := s.vault.TryLock(ctx, key)
		if err != nil {
			return nil, vaultFailed("locked", err)
		}
		if ok {
			s.held[key] = &heldLock{lock: lock}
			return func() {
				delete(s.held, key)
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), vaultTime)
				defer cancel()
				_ = lock.Unlock(ctx) // it ends by itself
			}, nil
		}
		if s.now().Sub(began) >= renewalWait {
			return nil, &Error{code: CodeTokenBusy, what: fmt.Sprintf("%s has been renewing the token of this app for %s", holder, renewalWait), next: "the next run tries again"}
		}
		t := time.NewTimer(vaultStep)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, fmt.Errorf("wait for %s, which renews the token: %w", holder, ctx.Err())
		}
	}
}

// vaultGrants is what the vault holds of a key. Where that is nothing, what this
// machine has is put there first, and so is what it could not save before.
func (s *Store) vaultGrants(key string) (set grantSet, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), vaultTime)
	defer cancel()
	value, err := s.vault.Load(ctx, key)
	if err != nil {
		failed := vaultFailed("read", err)
		if own := s.own(key); own != nil && !failed.person {
			return decodeGrants(own) // an access token in it may be good for a while
		}
		return set, failed
	}
	if fresh, ok := s.toSave(key, value); ok {
		if s.held[key] == nil {
			unlock, err := s.lockVault(ctx, key)
			if err != nil {
				return set, err
			}
			defer unlock()
			if value, err = s.vault.Load(ctx, key); err != nil {
				return set, vaultFailed("read", err)
			}
			fresh, ok = s.toSave(key, value)
		}
		if ok {
			if err := s.held[key].lock.Save(ctx, fresh); err != nil {
				return set, vaultFailed("written", err)
			}
			value = fresh
		}
	}
	s.forgetUnsaved(key)
	if value != nil && !bytes.Equal(value, s.own(key)) {
		// For when the vault is away. Where this fails, it is done without.
		_ = s.strict(false, func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte(grantsBucket))
			if err != nil {
				return err
			}
			return b.Put([]byte(key), value)
		})
	}
	return decodeGrants(value)
}

// own is what the file holds of a key; nil where that is nothing.
func (s *Store) own(key string) (value []byte) {
	if s.nothingToRead() {
		return nil
	}
	_ = s.strict(true, func(tx *bbolt.Tx) error { // a file that cannot be read is done without
		if b := tx.Bucket([]byte(grantsBucket)); b != nil {
			value = bytes.Clone(b.Get([]byte(key)))
		}
		return nil
	})
	return value
}

func decodeGrants(value []byte) (set grantSet, err error) {
	if value == nil {
		return set, nil
	}
	if err := json.Unmarshal(value, &set); err != nil {
		return set, vaultFailed("read", errDamaged)
	}
	return set, nil
}

// unsaved is a value that the vault did not take, and the one that it was made of.
type unsaved struct {
	Was   []byte `json:"was"`
	Value []byte `json:"value"`
}

// toSave is what is to be put into the vault in the place of value: what was made
// of it and not saved, or, where there is nothing yet, this machine's own.
func (s *Store) toSave(key string, value []byte) ([]byte, bool) {
	if s.nothingToRead() {
		return nil, false
	}
	var kept unsaved
	var own []byte
	err := s.strict(true, func(tx *bbolt.Tx) error {
		if b := tx.Bucket([]byte(unsavedBucket)); b != nil {
			if v := b.Get([]byte(key)); v != nil {
				_ = json.Unmarshal(v, &kept) // what cannot be read is none
			}
		}
		if b := tx.Bucket([]byte(grantsBucket)); b != nil {
			own = bytes.Clone(b.Get([]byte(key)))
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, false // another process is at the file; the next time tells
	case kept.Value != nil && bytes.Equal(kept.Was, value):
		return kept.Value, true
	case value == nil && own != nil:
		return own, true
	}
	return nil, false
}

// keepUnsaved keeps a value that the vault did not take.
func (s *Store) keepUnsaved(key string, u unsaved) error {
	text, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("encode a consent: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return s.unwritable(err)
	}
	return s.strict(false, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(unsavedBucket))
		if err != nil {
			return err
		}
		return b.Put([]byte(key), text)
	})
}

// forgetUnsaved drops what was kept: it was saved, or what it was made of is gone.
func (s *Store) forgetUnsaved(key string) {
	there := false
	if s.nothingToRead() {
		return
	}
	_ = s.strict(true, func(tx *bbolt.Tx) error { // what cannot be looked at now is later
		b := tx.Bucket([]byte(unsavedBucket))
		there = b != nil && b.Get([]byte(key)) != nil
		return nil
	})
	if there {
		_ = s.strict(false, func(tx *bbolt.Tx) error { return tx.Bucket([]byte(unsavedBucket)).Delete([]byte(key)) })
	}
}

// changeVault lets change alter what the vault holds of a key.
func (s *Store) changeVault(key string, change func(*grantSet) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), renewalWait+vaultTime)
	defer cancel()
	if s.held[key] == nil {
		unlock, err := s.lockVault(ctx, key)
		if err != nil {
			return err
		}
		defer unlock()
	}
	was, failed := s.current(key)
	if failed != nil && s.held[key].last == nil {
		return failed
	}
	if failed != nil {
		// Nobody else changed it: the lock is ours. A refresh token is good once, so that
		// what came for it is not dropped because the vault went away meanwhile.
		was = s.held[key].last
	}
	set, err := decodeGrants(was)
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
	if bytes.Equal(value, was) {
		return nil
	}
	if failed == nil {
		if err := s.held[key].lock.Save(ctx, value); err != nil {
			failed = vaultFailed("written", err)
		}
	}
	if failed != nil {
		return errors.Join(failed, s.keepUnsaved(key, unsaved{Was: was, Value: value}))
	}
	s.held[key].last = value
	return nil
}

// current is what the vault holds of a key, noted as what was there last.
func (s *Store) current(key string) ([]byte, error) {
	if s.held[key].last == nil {
		if _, err := s.vaultGrants(key); err != nil { // puts there what is not yet
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), vaultTime)
	defer cancel()
	value, err := s.vault.Load(ctx, key)
	if err != nil {
		return nil, vaultFailed("read", err)
	}
	s.held[key].last = value
	return value, nil
}
