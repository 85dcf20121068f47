package etcd

import (
	"encoding/json"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"atlassian_audit_records/pkg/shared"
)

// FuzzHolder: whatever stands under the key of a lease, it is a holder that is written
// as it was read, or an error that says whose it may be.
func FuzzHolder(f *testing.F) {
	f.Add([]byte(`{"version":1,"holder":{"node":"1","host":"web-1","since":"2026-11-23T12:00:00Z"}}`))
	f.Add([]byte(`{"version":2,"holder":[]}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`web-1`))
	f.Fuzz(func(t *testing.T, value []byte) {
		s := &Store{prefix: "/p/", name: "etcd at 127.0.0.1"}
		read := func(v []byte) (shared.Holder, error) {
			return s.holder(&mvccpb.KeyValue{Key: []byte("/p/lease"), Value: v})
		}
		who, err := read(value)
		if kind := shared.KindOf(err); err != nil && kind != shared.Damaged && kind != shared.Newer {
			t.Fatalf("%v is of kind %q", err, kind)
		}
		if err != nil {
			return
		}
		again, err := json.Marshal(held{heldVersion, who})
		if err != nil {
			return // a year that no date is written of
		}
		if back, err := read(again); err != nil || !back.Same(who) || !back.Since.Equal(who.Since) {
			t.Errorf("%+v became %+v, %v", who, back, err)
		}
	})
}

// FuzzLeaseID: what a machine remembers of etcd's lease is that lease, or none.
func FuzzLeaseID(f *testing.F) {
	f.Add([]byte("694d77aa9e38260f"))
	f.Add([]byte("-1"))
	f.Add([]byte("lease"))
	f.Fuzz(func(t *testing.T, memory []byte) {
		id := leaseID(memory)
		if back := leaseID(grant("k", shared.Holder{}, 0, 1, id).Memory); back != id {
			t.Errorf("%q is lease %x, and is remembered as %x", memory, id, back)
		}
	})
}
