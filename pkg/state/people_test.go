package state

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"

	bolt "go.etcd.io/bbolt"
)

func TestPeopleAreRememberedForgottenAndCopied(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s := mustOpen(t, f)
	if got, err := s.People(); err != nil || len(got) != 0 {
		t.Fatalf("a new state knows %v (%v)", got, err)
	}
	ana, ben := audit.Person{Name: "Ana", Email: "ana@example.com", Until: 2000}, audit.Person{Until: 1000}
	if err := s.KeepPeople(map[string]audit.Person{"a": ana, "b": ben, "": ana, strings.Repeat("x", 300): ana}, 0); err != nil {
		t.Fatal(err)
	}
	want := map[string]audit.Person{"a": ana, "b": ben}
	if err := s.Copy(f); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, f)
	got, err := s.People()
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("after opening it again (-want +got), %v:\n%s", err, d)
	}
	c, err := openWhole(f.Copy, true, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	got, err = c.People()
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("the copy (-want +got), %v:\n%s", err, d)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	ana.Name = "Ana B."
	if err := s.KeepPeople(map[string]audit.Person{"a": ana}, 1500); err != nil {
		t.Fatal(err)
	}
	got, err = s.People()
	if d := cmp.Diff(map[string]audit.Person{"a": ana}, got); d != "" || err != nil {
		t.Errorf("after forgetting (-want +got), %v:\n%s", err, d)
	}
}

// TestADamagedPersonIsNobody: a cache is no reason to give a state up.
func TestADamagedPersonIsNobody(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	s := mustOpen(t, f)
	if err := s.KeepPeople(map[string]audit.Person{"a": {Name: "Ana", Until: 1}, "b": {Name: "Ben", Until: 1}}, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketPeople).Put([]byte("a"), []byte("nonsense")) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, f)
	got, err := s.People()
	if d := cmp.Diff(map[string]audit.Person{"b": {Name: "Ben", Until: 1}}, got); d != "" || err != nil {
		t.Errorf("(-want +got), %v:\n%s", err, d)
	}
	if err := s.KeepPeople(nil, 0); err != nil {
		t.Fatal(err)
	}
}
