// Package etcd shares sites through etcd, version 3.4 and later.
//
// A lease is a key that is bound to a lease of etcd's, which outlives the process
// that keeps it alive. The fence is the key's create revision: etcd gives none
// twice, and it stays the same for as long as the key is there. Every write is a
// transaction that compares it, so that etcd itself refuses what comes late.
package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"atlassian_audit_records/pkg/shared"
)

const (
	// maxOps and maxBytes are below what a transaction may hold by etcd's defaults
	// (--max-txn-ops 128, --max-request-bytes 1.5 MiB).
	maxOps   = 100
	maxBytes = 1 << 20
	// dialTime is how long the making of a connection may take.
	dialTime = 5 * time.Second
)

// Store is an etcd, as a shared.Backend.
type Store struct {
	client *clientv3.Client
	way    way
	prefix string
	name   string

	mu sync.Mutex
	// known are the modification revisions of what was read or written last; 0 where
	// nothing was there.
	known map[string]int64
}

// Open makes a client, and signs in where a user is named.
func Open(ctx context.Context, c shared.Config) (*Store, error) {
	at, err := c.Etcd()
	if err != nil {
		return nil, &shared.Error{Kind: shared.Refused, What: "state " + err.Error()}
	}
	s := &Store{prefix: at.Prefix, name: c.Name(), known: map[string]int64{}}
	// The context ends with the client, not with the opening of it.
	o := clientv3.Config{DialTimeout: dialTime, Username: c.Username, Password: c.Password, Logger: zap.NewNop()}
	scheme := "http://"
	if at.TLS {
		scheme = "https://"
		if o.TLS, err = tlsConfig(c); err != nil {
			return nil, err
		}
	}
	s.way = way{endpoints: at.Endpoints, tls: o.TLS}
	for _, e := range at.Endpoints {
		o.Endpoints = append(o.Endpoints, scheme+e)
	}
	if end, ok := ctx.Deadline(); ok {
		o.DialTimeout = min(o.DialTimeout, max(time.Until(end)-reachTime, reachTime))
	}
	if s.client, err = clientv3.New(o); err != nil {
		return nil, s.failed("sign in", err)
	}
	return s, nil
}

func tlsConfig(c shared.Config) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.SkipVerify} //nolint:gosec // only where the configuration says so, which warns
	refused := func(what string, err error) error {
		return &shared.Error{Kind: shared.Refused, What: what, Err: err, Next: "give a PEM file that the Agent's user may read"}
	}
	if c.CACert != "" {
		pem, err := os.ReadFile(c.CACert)
		if err != nil {
			return nil, refused("state_tls_ca_cert cannot be read", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, refused("state_tls_ca_cert holds no certificate", nil)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.PrivateKey)
		if err != nil {
			return nil, refused("state_tls_cert and state_tls_private_key cannot be used", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

// held is what stands under the key of a lease.
type held struct {
	Version int           `json:"version"`
	Holder  shared.Holder `json:"holder"`
}

const heldVersion = 1

func (s *Store) key(k string) string { return s.prefix + k }

// Hold implements shared.Backend. Its memory is the id of etcd's lease.
func (s *Store) Hold(ctx context.Context, c shared.Claim) (shared.Grant, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	id := leaseID(c.Memory)
	kv, who, err := s.look(ctx, c.Key)
	if err != nil {
		return shared.Grant{}, err
	}
	if kv != nil && !who.Same(c.Holder) {
		return shared.Grant{Holder: who, Key: c.Key}, nil
	}
	if kv != nil {
		// Ours, even where we forgot its lease.
		id = clientv3.LeaseID(kv.Lease)
	}
	ttl, err := s.keepAlive(ctx, id)
	if err != nil {
		return shared.Grant{}, err
	}
	if ttl >= c.TTL && kv != nil {
		return grant(c.Key, who, ttl, kv.CreateRevision, id), nil
	}
	if ttl < c.TTL {
		// It ended, there never was one, or the interval was made longer since.
		if id, ttl, err = s.newLease(ctx, c.TTL); err != nil {
			return shared.Grant{}, err
		}
	}
	return s.take(ctx, c, id, ttl)
}

// look reads the key of a lease; kv is nil where nobody holds it.
func (s *Store) look(ctx context.Context, key string) (kv *mvccpb.KeyValue, who shared.Holder, err error) {
	r, err := s.client.Get(ctx, s.key(key))
	if err != nil {
		return nil, who, s.failed("read the lease", err)
	}
	if len(r.Kvs) == 0 {
		return nil, who, nil
	}
	who, err = s.holder(r.Kvs[0])
	return r.Kvs[0], who, err
}

func (s *Store) holder(kv *mvccpb.KeyValue) (shared.Holder, error) {
	var h held
	if err := json.Unmarshal(kv.Value, &h); err != nil || h.Version < 1 {
		return h.Holder, &shared.Error{Kind: shared.Damaged, What: fmt.Sprintf("%s holds something under %s that is no lease of this program's", s.name, kv.Key),
			Next: "find out who writes there, and remove the key"}
	}
	if h.Version > heldVersion {
		return h.Holder, &shared.Error{Kind: shared.Newer, What: fmt.Sprintf("%s was taken by a newer version", kv.Key), Next: "use one version of this program on all machines that share the site"}
	}
	return h.Holder, nil
}

// keepAlive keeps a lease of etcd's alive, and answers how long it lasts: 0 where it
// ended already.
func (s *Store) keepAlive(ctx context.Context, id clientv3.LeaseID) (time.Duration, error) {
	if id == clientv3.NoLease {
		return 0, nil
	}
	r, err := s.client.KeepAliveOnce(ctx, id)
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, s.failed("keep the lease alive", err)
	}
	return time.Duration(r.TTL) * time.Second, nil
}

func (s *Store) newLease(ctx context.Context, ttl time.Duration) (clientv3.LeaseID, time.Duration, error) {
	r, err := s.client.Grant(ctx, int64((ttl+time.Second-1)/time.Second))
	if err != nil {
		return 0, 0, s.failed("make a lease", err)
	}
	return r.ID, time.Duration(r.TTL) * time.Second, nil
}

// take puts the key where it is not there, or is ours, in one transaction.
func (s *Store) take(ctx context.Context, c shared.Claim, id clientv3.LeaseID, ttl time.Duration) (shared.Grant, error) {
	key := s.key(c.Key)
	value := func(h shared.Holder) (string, error) {
		v, err := json.Marshal(held{heldVersion, h})
		if err != nil {
			return "", fmt.Errorf("encode a lease: %w", err)
		}
		return string(v), nil
	}
	fresh, err := value(c.Holder)
	if err != nil {
		return shared.Grant{}, err
	}
	r, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, fresh, clientv3.WithLease(id))).Else(clientv3.OpGet(key)).Commit()
	if err != nil {
		return shared.Grant{}, s.failed("take the lease", err)
	}
	if r.Succeeded {
		return grant(c.Key, c.Holder, ttl, r.Header.Revision, id), nil
	}
	kvs := r.Responses[0].GetResponseRange().Kvs
	if len(kvs) == 0 { // it cannot be, within one transaction
		return shared.Grant{}, &shared.Error{Kind: shared.Unavailable, What: s.name + " answered that a lease is held, and not whose"}
	}
	who, err := s.holder(kvs[0])
	if err != nil || !who.Same(c.Holder) {
		return shared.Grant{Holder: who, Key: c.Key}, errors.Join(err, s.revoke(ctx, id))
	}
	// Ours: bound to the longer lease, it keeps its create revision.
	old := clientv3.LeaseID(kvs[0].Lease)
	again, err := value(who)
	if err != nil {
		return shared.Grant{}, err
	}
	r, err = s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", kvs[0].ModRevision)).
		Then(clientv3.OpPut(key, again, clientv3.WithLease(id))).Commit()
	if err != nil {
		return shared.Grant{}, s.failed("take the lease", err)
	}
	if !r.Succeeded {
		return shared.Grant{}, &shared.Error{Kind: shared.Unavailable, What: "the lease in " + s.name + " changed while it was taken", Next: "the next run tries again"}
	}
	if old != id {
		// It holds nothing any more; where it cannot be ended, it ends by itself.
		_ = s.revoke(ctx, old)
	}
	return grant(c.Key, who, ttl, kvs[0].CreateRevision, id), nil
}

func (s *Store) revoke(ctx context.Context, id clientv3.LeaseID) error {
	if id == clientv3.NoLease {
		return nil
	}
	if _, err := s.client.Revoke(ctx, id); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return s.failed("end a lease", err)
	}
	return nil
}

func grant(key string, who shared.Holder, ttl time.Duration, revision int64, id clientv3.LeaseID) shared.Grant {
	return shared.Grant{
		Held: true, Holder: who, TTL: ttl, Key: key, Fence: strconv.FormatInt(revision, 10), Memory: strconv.AppendInt(nil, int64(id), 16),
	}
}

func leaseID(memory []byte) clientv3.LeaseID {
	id, _ := strconv.ParseInt(string(memory), 16, 64) // what cannot be read is no memory
	return clientv3.LeaseID(id)
}

// Release implements shared.Backend: with etcd's lease, the key ends.
func (s *Store) Release(ctx context.Context, _ shared.Claim, g shared.Grant) error {
	if !g.Held {
		return nil
	}
	ctx, cancel := within(ctx)
	defer cancel()
	return s.revoke(ctx, leaseID(g.Memory))
}

// Read implements shared.Backend: one transaction, which sees all keys at one moment.
func (s *Store) Read(ctx context.Context, keys []string) (map[string][]byte, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	out := map[string][]byte{}
	for some := range slices.Chunk(keys, maxOps) {
		var ops []clientv3.Op
		for _, k := range some {
			ops = append(ops, clientv3.OpGet(s.key(k)))
		}
		r, err := s.client.Txn(ctx).Then(ops...).Commit()
		if err != nil {
			return nil, s.failed("read", err)
		}
		for i, one := range r.Responses {
			revision := int64(0)
			for _, kv := range one.GetResponseRange().Kvs {
				out[some[i]], revision = kv.Value, kv.ModRevision
			}
			s.know(some[i], revision)
		}
	}
	return out, nil
}

func (s *Store) know(key string, revision int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[key] = revision
}

// same are the comparisons for what must stand there as it did.
func (s *Store) same(keys []string) []clientv3.Cmp {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []clientv3.Cmp
	for _, k := range keys {
		out = append(out, clientv3.Compare(clientv3.ModRevision(s.key(k)), "=", s.known[k]))
	}
	return out
}

// Write implements shared.Backend. What fits into one transaction is written in
// one; of more, what nothing refers to yet comes before, and what nothing refers to
// any more behind it, each fenced and compared with what must stand there.
func (s *Store) Write(ctx context.Context, g shared.Grant, w shared.Write) error {
	revision, err := strconv.ParseInt(g.Fence, 10, 64)
	if !g.Held || err != nil || revision <= 0 {
		return &shared.Error{Kind: shared.Lost, What: "the lease in " + s.name + " is not held"}
	}
	ctx, cancel := within(ctx)
	defer cancel()
	t := &batch{s: s, key: g.Key, revision: revision, same: w.Same}
	for i, v := range slices.Concat(w.First, w.Last) {
		// Last is together, since a head is one value.
		if i == len(w.First) && !t.fits(len(w.Last), sizeOf(w.Last)) {
			if err := t.commit(ctx); err != nil {
				return err
			}
		}
		if i < len(w.First) && !t.fits(1, len(v.Bytes)) {
			if err := t.commit(ctx); err != nil {
				return err
			}
		}
		t.add(clientv3.OpPut(s.key(v.Key), string(v.Bytes)), len(v.Key)+len(v.Bytes))
		t.put = append(t.put, v.Key)
	}
	for _, k := range w.Drop {
		if !t.fits(1, 0) {
			if err := t.commit(ctx); err != nil {
				return err
			}
		}
		t.add(clientv3.OpDelete(s.key(k)), len(k))
	}
	return t.commit(ctx)
}

func sizeOf(values []shared.Value) (n int) {
	for _, v := range values {
		n += len(v.Key) + len(v.Bytes)
	}
	return n
}

// batch gathers the operations of a transaction.
type batch struct {
	s *Store
	// key and revision are the lease's.
	key      string
	revision int64
	same     []string
	ops      []clientv3.Op
	bytes    int
	// put are the keys of the values among ops.
	put []string
}

func (t *batch) fits(ops, bytes int) bool {
	return len(t.ops) == 0 || len(t.ops)+ops <= maxOps && t.bytes+bytes <= maxBytes
}

func (t *batch) add(op clientv3.Op, bytes int) {
	t.ops = append(t.ops, op)
	t.bytes += bytes
}

func (t *batch) commit(ctx context.Context) error {
	fence := clientv3.Compare(clientv3.CreateRevision(t.s.key(t.key)), "=", t.revision)
	r, err := t.s.client.Txn(ctx).If(append(t.s.same(t.same), fence)...).Then(t.ops...).Else(clientv3.OpGet(t.s.key(t.key))).Commit()
	put := t.put
	t.ops, t.bytes, t.put = nil, 0, nil
	if err != nil {
		return t.s.failed("write", err)
	}
	if !r.Succeeded {
		for _, kv := range r.Responses[0].GetResponseRange().Kvs {
			if kv.CreateRevision == t.revision {
				return shared.ChangedSince(strings.Join(t.same, ", "), t.s.name)
			}
		}
		return &shared.Error{Kind: shared.Lost, What: "the lease in " + t.s.name + " is not held any more"}
	}
	for _, k := range put {
		t.s.know(k, r.Header.Revision)
	}
	return nil
}

// Limits implements shared.Backend. Pieces are far smaller than values, because a
// record is written again when pieces are put together.
func (s *Store) Limits() shared.Limits { return shared.Limits{Value: maxBytes, Piece: 128 << 10} }

// Close implements shared.Backend. Leases live on.
func (s *Store) Close() error {
	// The client says here that the context it was closed with is cancelled.
	if err := s.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("close the connection to %s: %w", s.name, err)
	}
	return nil
}
