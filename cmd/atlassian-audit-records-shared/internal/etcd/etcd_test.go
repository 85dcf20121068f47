package etcd

import (
	"fmt"
	"testing"
	"time"

	"atlassian_audit_records/cmd/atlassian-audit-records-shared/internal/cluster"
	"atlassian_audit_records/pkg/shared"
	"atlassian_audit_records/pkg/shared/sharedtest"
)

func open(t *testing.T, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), shared.Config{URL: url})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func TestEtcdConforms(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 3)
	n := 0
	sharedtest.Conform(t, func(*testing.T) sharedtest.World {
		n++
		prefix := fmt.Sprintf("test-%d", n)
		return sharedtest.World{
			Open:   func(t *testing.T) shared.Backend { return open(t, c.URL(prefix)) },
			Expire: func(_ *testing.T, key string) { c.Expire("/" + prefix + "/" + key) },
		}
	})
}

// TestALeaseEndsByItself: nobody has to end it, and it lasts as long as was asked
// for.
func TestALeaseEndsByItself(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	a, b := open(t, c.URL("p")), open(t, c.URL("p"))
	defer a.Close()
	defer b.Close()
	began := time.Now()
	g, err := a.Hold(t.Context(), shared.Claim{Key: "lease", Holder: shared.Holder{Node: "1", Host: "web-1"}, TTL: 2 * time.Second})
	if err != nil || !g.Held || g.TTL < 2*time.Second {
		t.Fatalf("Hold: %+v, %v", g, err)
	}
	for {
		other, err := b.Hold(t.Context(), shared.Claim{Key: "lease", Holder: shared.Holder{Node: "2", Host: "web-2"}, TTL: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if other.Held {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal("the lease did not end in a minute")
		}
	}
	if lasted := time.Since(began); lasted < g.TTL {
		t.Errorf("the lease lasted for %s, and %s was promised", lasted, g.TTL)
	}
}

// TestALongerIntervalMakesALongerLease, and does not let go of it meanwhile.
func TestALongerIntervalMakesALongerLease(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := open(t, c.URL("p"))
	defer s.Close()
	claim := shared.Claim{Key: "lease", Holder: shared.Holder{Node: "1", Host: "web-1"}, TTL: 3 * time.Minute}
	first, err := s.Hold(t.Context(), claim)
	if err != nil {
		t.Fatal(err)
	}
	claim.TTL, claim.Memory = 10*time.Minute, first.Memory
	second, err := s.Hold(t.Context(), claim)
	if err != nil || !second.Held || second.TTL < 10*time.Minute || second.Fence != first.Fence {
		t.Errorf("after %+v came %+v, %v", first, second, err)
	}
	if err := s.Write(t.Context(), first, shared.Write{Last: []shared.Value{{Key: "k", Bytes: []byte("v")}}}); err != nil {
		t.Errorf("Write: %v", err)
	}
}
