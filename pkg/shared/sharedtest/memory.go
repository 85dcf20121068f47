package sharedtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"atlassian_audit_records/pkg/shared"
)

// Store is a store in memory, as etcd would be: atomic, with leases that end by a
// clock of its own.
type Store struct {
	mu     sync.Mutex
	now    func() time.Time
	values map[string][]byte
	// versions count how often a value was written or removed.
	versions map[string]int
	leases   map[string]lease
	terms    int
	limits   shared.Limits
	// writes counts those that were done, and refused what was not done because a
	// lease was lost.
	writes, refused int
}

type lease struct {
	holder shared.Holder
	fence  string
	ends   time.Time
}

// NewStore makes an empty store. now is its clock.
func NewStore(now func() time.Time) *Store {
	return &Store{now: now, values: map[string][]byte{}, versions: map[string]int{}, leases: map[string]lease{}, limits: shared.Limits{Value: 1 << 20, Piece: 128 << 10}}
}

// SetLimits changes what the store takes.
func (s *Store) SetLimits(l shared.Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l
}

// Keys are the keys of all values, sorted.
func (s *Store) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.values))
}

// Value is what stands under a key.
func (s *Store) Value(key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.values[key])
}

// Put changes a value behind everybody's back; nil removes it.
func (s *Store) Put(key string, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(key, value)
}

func (s *Store) put(key string, value []byte) {
	s.versions[key]++
	if value == nil {
		delete(s.values, key)
	} else {
		s.values[key] = slices.Clone(value)
	}
}

// Expire ends a lease, as if its time had passed.
func (s *Store) Expire(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.leases, key)
}

// Writes are how many writes were done, and how many were not, because the lease
// was lost.
func (s *Store) Writes() (done, refused int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes, s.refused
}

// Client is one machine's way to the store.
func (s *Store) Client() *Client { return &Client{s: s, known: map[string]int{}} }

// Client is a shared.Backend. Its way can be cut.
type Client struct {
	s   *Store
	mu  sync.Mutex
	cut bool
	// known are the versions of what was read or written last.
	known map[string]int
	// before is called before each operation, by its name.
	before func(operation string)
}

// Cut cuts the way to the store, or mends it.
func (c *Client) Cut(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
}

// Before has f called before each operation, by its name: "hold", "release", "read"
// or "write". Nil ends that.
func (c *Client) Before(f func(operation string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before = f
}

func (c *Client) begin(ctx context.Context, operation string) error {
	c.mu.Lock()
	before := c.before
	c.mu.Unlock()
	if before != nil {
		before(operation)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return &shared.Error{Kind: shared.Unavailable, What: "the store in memory cannot be reached"}
	}
	if err := ctx.Err(); err != nil {
		return &shared.Error{Kind: shared.Unavailable, What: "the store in memory did not answer in time", Err: err}
	}
	return nil
}

// held is the lease that is in force under a key.
func (s *Store) held(key string) (lease, bool) {
	l, ok := s.leases[key]
	return l, ok && s.now().Before(l.ends)
}

// Hold implements shared.Backend.
func (c *Client) Hold(ctx context.Context, claim shared.Claim) (shared.Grant, error) {
	if err := c.begin(ctx, "hold"); err != nil {
		return shared.Grant{}, err
	}
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.held(claim.Key)
	if ok && !l.holder.Same(claim.Holder) {
		return shared.Grant{Holder: l.holder, Key: claim.Key}, nil
	}
	if !ok {
		s.terms++
		l = lease{holder: claim.Holder, fence: fmt.Sprint(s.terms)}
	}
	l.ends = s.now().Add(claim.TTL)
	s.leases[claim.Key] = l
	return shared.Grant{Held: true, Holder: l.holder, TTL: claim.TTL, Key: claim.Key, Fence: l.fence, Memory: []byte(l.fence)}, nil
}

// Release implements shared.Backend.
func (c *Client) Release(ctx context.Context, claim shared.Claim, g shared.Grant) error {
	if err := c.begin(ctx, "release"); err != nil {
		return err
	}
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.held(claim.Key); ok && g.Held && l.fence == g.Fence {
		delete(s.leases, claim.Key)
	}
	return nil
}

// Read implements shared.Backend.
func (c *Client) Read(ctx context.Context, keys []string) (map[string][]byte, error) {
	if err := c.begin(ctx, "read"); err != nil {
		return nil, err
	}
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string][]byte{}
	for _, k := range keys {
		c.known[k] = s.versions[k]
		if v, ok := s.values[k]; ok {
			out[k] = slices.Clone(v)
		}
	}
	return out, nil
}

// Write implements shared.Backend.
func (c *Client) Write(ctx context.Context, g shared.Grant, w shared.Write) error {
	if err := c.begin(ctx, "write"); err != nil {
		return err
	}
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.held(g.Key); !ok || !g.Held || l.fence != g.Fence {
		s.refused++
		return &shared.Error{Kind: shared.Lost, What: "the lease is not held any more"}
	}
	for _, v := range slices.Concat(w.First, w.Last) {
		if !shared.ValidKey(v.Key) || len(v.Bytes) > s.limits.Value {
			return &shared.Error{Kind: shared.Refused, What: fmt.Sprintf("the store in memory does not take %d bytes under %q", len(v.Bytes), v.Key)}
		}
	}
	for _, k := range w.Same {
		_, there := s.values[k]
		if known, ok := c.known[k]; ok && known != s.versions[k] || !ok && there {
			return shared.ChangedSince(k, "the store in memory")
		}
	}
	for _, v := range slices.Concat(w.First, w.Last) {
		s.put(v.Key, append([]byte{}, v.Bytes...))
		c.known[v.Key] = s.versions[v.Key]
	}
	for _, k := range w.Drop {
		s.put(k, nil)
	}
	s.writes++
	return nil
}

// Limits implements shared.Backend.
func (c *Client) Limits() shared.Limits {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.limits
}

// Close implements shared.Backend.
func (c *Client) Close() error { return nil }
