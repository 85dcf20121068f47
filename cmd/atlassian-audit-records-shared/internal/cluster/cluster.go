// Package cluster runs a real etcd of several nodes in the process of a test.
package cluster

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// Cluster is an etcd. Its nodes listen on this machine alone.
type Cluster struct {
	t     testing.TB
	nodes []*node
}

type node struct {
	config *embed.Config
	etcd   *embed.Etcd
	client url.URL
}

// ready is how long a node may take to be part of the cluster.
const ready = time.Minute

// Certificates are PEM files: of an authority, and of a server's, or a client's,
// certificate with its key.
type Certificates struct{ CA, Cert, Key string }

// New starts an etcd of so many nodes, which speaks no TLS.
func New(t testing.TB, nodes int) *Cluster {
	t.Helper()
	return newCluster(t, nodes, nil)
}

// NewTLS starts one node that speaks TLS, and takes only clients with a certificate of
// that authority's.
func NewTLS(t testing.TB, c Certificates) *Cluster {
	t.Helper()
	return newCluster(t, 1, &c)
}

func newCluster(t testing.TB, nodes int, certs *Certificates) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	dir := t.TempDir()
	var initial []string
	for i := range nodes {
		client, peer := address(t), address(t)
		name := fmt.Sprintf("etcd-%d", i)
		o := embed.NewConfig()
		o.Name, o.Dir = name, filepath.Join(dir, name)
		o.ListenClientUrls, o.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
		o.ListenPeerUrls, o.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
		o.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
		o.UnsafeNoFsync = true
		if certs != nil {
			client.Scheme = "https"
			o.ListenClientUrls, o.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
			o.ClientTLSInfo = transport.TLSInfo{CertFile: certs.Cert, KeyFile: certs.Key, TrustedCAFile: certs.CA, ClientCertAuth: true}
		}
		o.TickMs, o.ElectionMs = 50, 500
		initial = append(initial, name+"="+peer.String())
		c.nodes = append(c.nodes, &node{config: o, client: client})
	}
	for _, n := range c.nodes {
		n.config.InitialCluster = strings.Join(initial, ",")
	}
	t.Cleanup(func() {
		for i := range c.nodes {
			c.Stop(i)
		}
	})
	c.start()
	return c
}

// address is one of this machine on which nobody listens.
func address(t testing.TB) url.URL {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return url.URL{Scheme: "http", Host: l.Addr().String()}
}

// start starts all nodes that do not run, and waits until they do.
func (c *Cluster) start() {
	c.t.Helper()
	var started []*node
	for _, n := range c.nodes {
		if n.etcd != nil {
			continue
		}
		var err error
		if n.etcd, err = embed.StartEtcd(n.config); err != nil {
			c.t.Fatalf("start a node of etcd: %v", err)
		}
		started = append(started, n)
	}
	for _, n := range started {
		select {
		case <-n.etcd.Server.ReadyNotify():
		case <-time.After(ready):
			c.t.Fatalf("%s is not ready after %s", n.config.Name, ready)
		}
	}
}

// Stop stops a node, as a crash would: the others are not told.
func (c *Cluster) Stop(i int) {
	if n := c.nodes[i]; n.etcd != nil {
		n.etcd.Close()
		n.etcd = nil
	}
}

// Start starts all nodes again that were stopped.
func (c *Cluster) Start() {
	c.t.Helper()
	for _, n := range c.nodes {
		n.config.ClusterState = embed.ClusterStateFlagExisting
	}
	c.start()
}

// Leader is the node that leads; -1 for none.
func (c *Cluster) Leader() int {
	for i, n := range c.nodes {
		if n.etcd != nil && n.etcd.Server.Leader() == n.etcd.Server.MemberID() {
			return i
		}
	}
	return -1
}

// Endpoints are host:port of every node.
func (c *Cluster) Endpoints() []string {
	var out []string
	for _, n := range c.nodes {
		out = append(out, n.client.Host)
	}
	return out
}

// URL is the etcd as the configuration names it, with a prefix.
func (c *Cluster) URL(prefix string) string {
	return "etcd://" + strings.Join(c.Endpoints(), ",") + "/" + prefix
}

// Client is an administrator's way in.
func (c *Cluster) Client() *clientv3.Client {
	c.t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints(), DialTimeout: ready, Logger: zap.NewNop()})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}

// Expire ends the lease that a key is bound to, as its time would.
func (c *Cluster) Expire(key string) {
	c.t.Helper()
	client := c.Client()
	ctx, cancel := context.WithTimeout(context.Background(), ready)
	defer cancel()
	r, err := client.Get(ctx, key)
	if err != nil || len(r.Kvs) != 1 || r.Kvs[0].Lease == 0 {
		c.t.Fatalf("%s is bound to no lease: %v, %v", key, r, err)
	}
	if _, err := client.Revoke(ctx, clientv3.LeaseID(r.Kvs[0].Lease)); err != nil {
		c.t.Fatal(err)
	}
}

// Keys are all keys below a prefix.
func (c *Cluster) Keys(prefix string) []string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), ready)
	defer cancel()
	r, err := c.Client().Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		c.t.Fatal(err)
	}
	var out []string
	for _, kv := range r.Kvs {
		out = append(out, string(kv.Key))
	}
	return out
}
