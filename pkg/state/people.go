package state

import (
	"encoding/json"
	"fmt"

	"atlassian_audit_records/pkg/audit"

	bolt "go.etcd.io/bbolt"
)

// bucketPeople is made when somebody is first remembered. It is a cache: what
// cannot be read in it is not there.
var bucketPeople = []byte("people")

// maxAccount bounds an account's id, bytes.
const maxAccount = 256

// People is what is remembered of people, by account id.
func (s *Store) People() (map[string]audit.Person, error) {
	out := map[string]audit.Person{}
	err := s.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketPeople)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			var p audit.Person
			if text, err := unseal(k, v); err == nil && json.Unmarshal(text, &p) == nil {
				out[string(k)] = p
			}
			return nil
		})
	})
	return out, err
}

// KeepPeople remembers people by account id, and forgets those about whom to
// ask again was before the millisecond forget.
func (s *Store) KeepPeople(people map[string]audit.Person, forget int64) error {
	err := s.update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucketPeople)
		if err != nil {
			return err
		}
		var old [][]byte
		err = b.ForEach(func(k, v []byte) error {
			var p audit.Person
			if text, err := unseal(k, v); err != nil || json.Unmarshal(text, &p) != nil || p.Until < forget {
				old = append(old, append([]byte(nil), k...))
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, k := range old {
			if err := b.Delete(k); err != nil {
				return err
			}
		}
		for id, p := range people {
			if id == "" || len(id) > maxAccount {
				continue
			}
			if err := putJSON(b, []byte(id), p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remember people in the state %s: %w", s.path, err)
	}
	return nil
}
