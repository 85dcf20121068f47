package kube

import (
	"context"
	"net/http"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"atlassian_audit_records/pkg/shared"
)

// api is what of a cluster's API is used: four verbs on three kinds in a namespace.
// It is made of client-go's REST client and not of its clientset, which brings every
// kind that there is.
type api struct {
	http      *http.Client
	namespace string
	clock     *dates
	clients   map[string]rest.Interface // by resource
}

// The resources.
const (
	leases     = "leases"
	configMaps = "configmaps"
	secrets    = "secrets"
)

func newAPI(way *rest.Config, namespace string) (*api, error) {
	way = rest.CopyConfig(way)
	way.UserAgent = shared.Program
	way.QPS = -1 // few requests, one run at a time: the server's own fairness is enough
	way.WarningHandler = rest.NoWarnings{}
	a := &api{namespace: namespace, clock: &dates{}, clients: map[string]rest.Interface{}}
	way.Wrap(func(next http.RoundTripper) http.RoundTripper { return a.clock.on(next) })
	known := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, coordinationv1.AddToScheme} {
		if err := add(known); err != nil {
			return nil, err
		}
	}
	way.NegotiatedSerializer = serializer.NewCodecFactory(known).WithoutConversion()
	var err error
	if a.http, err = rest.HTTPClientFor(way); err != nil {
		return nil, err
	}
	for _, g := range []struct {
		path      string
		version   schema.GroupVersion
		resources []string
	}{
		{"/api", corev1.SchemeGroupVersion, []string{configMaps, secrets}},
		{"/apis", coordinationv1.SchemeGroupVersion, []string{leases}},
	} {
		of := rest.CopyConfig(way)
		of.APIPath, of.GroupVersion = g.path, &g.version
		client, err := rest.RESTClientForConfigAndClient(of, a.http)
		if err != nil {
			return nil, err
		}
		for _, r := range g.resources {
			a.clients[r] = client
		}
	}
	return a, nil
}

// get reads an object as it is now: without a resourceVersion in the question, the
// server answers nothing that is older.
func (a *api) get(ctx context.Context, resource, name string, into runtime.Object) error {
	return a.clients[resource].Get().Namespace(a.namespace).Resource(resource).Name(name).Do(ctx).Into(into)
}

// create makes an object, and update changes it where its resourceVersion is still
// what the object says. Both leave in it what the server made of it.
func (a *api) create(ctx context.Context, resource string, o runtime.Object) error {
	return a.clients[resource].Post().Namespace(a.namespace).Resource(resource).Body(o).Do(ctx).Into(o)
}

func (a *api) update(ctx context.Context, resource, name string, o runtime.Object) error {
	return a.clients[resource].Put().Namespace(a.namespace).Resource(resource).Name(name).Body(o).Do(ctx).Into(o)
}

func (a *api) remove(ctx context.Context, resource, name string) error {
	return a.clients[resource].Delete().Namespace(a.namespace).Resource(resource).Name(name).Body(&metav1.DeleteOptions{}).Do(ctx).Error()
}

// dates notes what the server says the time is: RFC 9110, the header Date, in
// seconds.
type dates struct {
	mu   sync.Mutex
	last time.Time
}

// now is the server's time at its last answer; zero where it did not say.
func (d *dates) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

func (d *dates) on(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(q *http.Request) (*http.Response, error) {
		r, err := next.RoundTrip(q)
		if err != nil {
			return r, err
		}
		if at, err := http.ParseTime(r.Header.Get("Date")); err == nil {
			d.mu.Lock()
			d.last = at.UTC()
			d.mu.Unlock()
		}
		return r, nil
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }
