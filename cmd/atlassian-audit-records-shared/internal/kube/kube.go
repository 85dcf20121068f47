// Package kube shares sites through the API of a Kubernetes cluster, version 1.24 and
// later, without an etcd of one's own.
//
// Kubernetes changes one object at a time, and compares its resourceVersion. So each
// place, a site or an app, has one object that says what holds: a ConfigMap, the
// index. It names the fence, and for each key the object that has its value. Values
// are ConfigMaps, and Secrets where they are consents; each is written once and never
// changed, under a name that nobody else ever uses. The rest follows from comparing
// the index's resourceVersion alone:
//
//  1. Who takes the Lease puts its fence into the index before Hold returns, and so
//     before it reads anything. It compares the resourceVersion, so what a holder
//     before it has written is there, or will be refused.
//  2. A write reads the index, and goes no further where it has another fence.
//  3. It reserves the numbers of its values: an update of the index, which
//     counts them among the dropped ones. From then on nobody else has these
//     numbers, and none that was among the dropped ones before can come into use:
//     whoever reserved it read the index before, and will be refused.
//  4. So these can be removed at any time, and the new values be made.
//  5. It puts the new values into the index, and what they replace among the
//     dropped ones: the second update, by which all of the write is seen at once.
//
// A holder that was paused fails at 3 or 5, wherever it stood, once somebody has
// come as far as 1. What it leaves behind is among the dropped ones. One request that
// was under way all that time may make a value to which nothing refers; it goes with
// the index, its owner.
package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"atlassian_audit_records/pkg/shared"
)

const (
	// maxValue is below the 1 MiB that a ConfigMap or a Secret takes.
	maxValue = 1<<20 - 4<<10
	// maxPiece is far smaller, because a record is written again when pieces are put
	// together.
	maxPiece = 128 << 10
	// attempts is how often what somebody else changed meanwhile is read again.
	attempts = 10
	// abreast is how many requests are under way at once.
	abreast = 8
)

// Store is a namespace of a cluster, as a shared.Backend.
type Store struct {
	api   *api
	name  string
	title string
	now   func() time.Time

	mu   sync.Mutex
	held map[string]term // by the lease's key
	// known are the numbers of the values that were read or written last; none where
	// nothing was there.
	known map[string]*uint64
}

// term is what this process knows of a lease that it took or kept.
type term struct {
	fence string
	asked time.Time
	ttl   time.Duration
}

// Open finds the way to the cluster: by the kubeconfig that is named, or by what a pod
// is given. It asks nothing yet.
func Open(c shared.Config, now func() time.Time) (*Store, error) {
	if _, err := c.Kubernetes(); err != nil {
		return nil, &shared.Error{Kind: shared.Refused, What: "state " + err.Error()}
	}
	way, err := wayTo(c.Kubeconfig)
	if err != nil {
		return nil, err
	}
	if at, _, err := rest.DefaultServerUrlFor(way); err == nil && at.Scheme != "https" && !isLoopback(at.Hostname()) {
		return nil, &shared.Error{Kind: shared.Refused, What: c.Name() + " is reached in plain text: whoever is on the way could read consents and hide records",
			Next: "give the cluster's https:// address in the kubeconfig"}
	}
	return open(c, way, now)
}

func wayTo(kubeconfig string) (*rest.Config, error) {
	if kubeconfig != "" {
		way, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}, &clientcmd.ConfigOverrides{}).ClientConfig()
		if err != nil {
			return nil, &shared.Error{Kind: shared.Refused, What: "state_kubeconfig cannot be used", Err: err, Next: "give a kubeconfig that the Agent's user may read"}
		}
		return way, nil
	}
	way, err := rest.InClusterConfig()
	if errors.Is(err, rest.ErrNotInCluster) {
		return nil, &shared.Error{Kind: shared.Refused, What: "this process does not run in a pod of a cluster, or was not given KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT",
			Next: "give state_kubeconfig"}
	}
	if err != nil {
		return nil, &shared.Error{Kind: shared.Refused, What: "the pod's service account cannot be used", Err: err,
			Next: "see that the pod has one and automountServiceAccountToken is not false, or give state_kubeconfig"}
	}
	return way, nil
}

// isLoopback reports whether a host is this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func open(c shared.Config, way *rest.Config, now func() time.Time) (*Store, error) {
	at, err := c.Kubernetes()
	if err != nil {
		return nil, &shared.Error{Kind: shared.Refused, What: "state " + err.Error()}
	}
	a, err := newAPI(way, at.Namespace)
	if err != nil {
		return nil, &shared.Error{Kind: shared.Refused, What: "the way to " + c.Name() + " cannot be used", Err: err, Next: "check the kubeconfig"}
	}
	return &Store{api: a, name: at.Name, title: c.Name(), now: now, held: map[string]term{}, known: map[string]*uint64{}}, nil
}

// Limits implements shared.Backend.
func (s *Store) Limits() shared.Limits { return shared.Limits{Value: maxValue, Piece: maxPiece} }

// Close implements shared.Backend. Leases live on.
func (s *Store) Close() error {
	s.api.http.CloseIdleConnections()
	return nil
}

// Read implements shared.Backend. All values of a place are those of one index.
func (s *Store) Read(ctx context.Context, keys []string) (map[string][]byte, error) {
	of := map[string][]string{}
	var places []string
	for _, k := range keys {
		place, key, err := s.split(k)
		if err != nil {
			return nil, err
		}
		if of[place] == nil {
			places = append(places, place)
		}
		of[place] = append(of[place], key)
	}
	out := map[string][]byte{}
	for _, place := range places {
		if err := s.readPlace(ctx, place, of[place], out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// readPlace reads keys of a place. A value that is gone was replaced since the index
// was read, or somebody removed it.
func (s *Store) readPlace(ctx context.Context, place string, keys []string, out map[string][]byte) error {
	before := ""
	for range attempts {
		ix, err := s.index(ctx, place)
		if err != nil {
			return err
		}
		if ix == nil {
			ix = &index{}
		}
		values := make([][]byte, len(keys))
		missing := make([]bool, len(keys))
		err = each(ctx, len(keys), func(ctx context.Context, i int) error {
			n, ok := ix.Values[keys[i]]
			if !ok {
				return nil
			}
			var err error
			values[i], missing[i], err = s.load(ctx, ix, n)
			return err
		})
		if err != nil {
			return err
		}
		gone := ""
		for i, k := range keys {
			if _, ok := ix.Values[k]; ok && !missing[i] {
				out[place+"/"+k] = values[i]
			} else if missing[i] {
				gone = k
			}
		}
		if gone == "" {
			for _, k := range keys {
				s.know(place+"/"+k, ix.number(k))
			}
			return nil
		}
		if ix.ResourceVersion == before {
			return &shared.Error{Kind: shared.Damaged, What: fmt.Sprintf("the object with the value of %s/%s is missing in %s", place, gone, s.title),
				Next: "find out who removes objects there; to begin anew from a machine's own state, or with initial_lookback, remove the ConfigMap " + ix.Name}
		}
		before = ix.ResourceVersion
	}
	return s.busy("read")
}

func (s *Store) know(key string, number *uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[key] = number
}

// same reports whether the key has the value in the index that was read or written
// last.
func (s *Store) same(ix *index, key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, is := s.known[key], ix.number(strings.TrimPrefix(key, ix.Place+"/"))
	return was == nil && is == nil || was != nil && is != nil && *was == *is
}

// busy is the error for what others change all the time.
func (s *Store) busy(doing string) error {
	return &shared.Error{Kind: shared.Unavailable, What: fmt.Sprintf("could not %s in %s: it is changed all the time", doing, s.title), Next: "the next run tries again"}
}

// each calls f for 0 to n-1, some at once, and answers one of the errors.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	var once sync.Once
	var first error
	next := make(chan int)
	for range min(n, abreast) {
		all.Go(func() {
			for i := range next {
				if err := f(ctx, i); err != nil {
					once.Do(func() { first = err })
					cancel()
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	return first
}
