package kube

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"atlassian_audit_records/cmd/atlassian-audit-records-shared/internal/kubetest"
	"atlassian_audit_records/pkg/shared"
	"atlassian_audit_records/pkg/shared/sharedtest"
)

// hours are the clocks of all machines and of the server, put ahead together.
type hours struct{ ahead atomic.Int64 }

func (h *hours) now() time.Time { return time.Now().Add(time.Duration(h.ahead.Load())) }

func (h *hours) pass(d time.Duration) { h.ahead.Add(int64(d)) }

// on puts the server's clock ahead, as its answers tell it.
func (h *hours) on(way *rest.Config) *rest.Config {
	way = rest.CopyConfig(way)
	way.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(q *http.Request) (*http.Response, error) {
			r, err := next.RoundTrip(q)
			if err == nil {
				r.Header.Set("Date", h.now().UTC().Format(http.TimeFormat))
			}
			return r, err
		})
	})
	return way
}

func config(name string) shared.Config {
	return shared.Config{URL: "kubernetes://" + kubetest.Namespace + "/" + name}
}

func mustOpen(t *testing.T, name string, way *rest.Config, now func() time.Time) *Store {
	t.Helper()
	s, err := open(config(name), way, now)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

// conform runs the suite, each of its tests under a name of its own.
func conform(t *testing.T, way *rest.Config) {
	n := 0
	sharedtest.Conform(t, func(*testing.T) sharedtest.World {
		n++
		name, h := fmt.Sprintf("test-%d", n), &hours{}
		return sharedtest.World{
			Open:   func(t *testing.T) shared.Backend { return mustOpen(t, name, h.on(way), h.now) },
			Expire: func(*testing.T, string) { h.pass(4 * time.Minute) },
		}
	})
}

func TestKubernetesConforms(t *testing.T) {
	t.Parallel()
	conform(t, kubetest.New(t).Config())
}

// TestARealKubernetesConforms has the rights of the manifest and no others.
func TestARealKubernetesConforms(t *testing.T) {
	t.Parallel()
	server := kubetest.Start(t)
	server.Apply(manifest(t))
	way := server.As("datadog", "datadog-agent")
	conform(t, way)
	t.Run("consents", func(t *testing.T) { consents(t, way) })
	t.Run("heads", func(t *testing.T) { heads(t, way) })
	t.Run("without the rights", func(t *testing.T) {
		s := mustOpen(t, "none", server.As("datadog", "another"), time.Now)
		_, err := s.Hold(t.Context(), claim("web-1"))
		if shared.KindOf(err) != shared.Refused || !strings.Contains(err.Error(), "give the account the Role") {
			t.Errorf("Hold: %v", err)
		}
	})
	t.Run("without the namespace", func(t *testing.T) {
		admin := server.Admin()
		s, err := open(shared.Config{URL: "kubernetes://nowhere"}, admin, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Hold(t.Context(), claim("web-1")); shared.KindOf(err) != shared.Refused || !strings.Contains(err.Error(), "make the namespace") {
			t.Errorf("Hold: %v", err)
		}
	})
	if names := server.Names(secrets); len(names) == 0 || !strings.HasPrefix(names[0], "consents-test.") {
		t.Errorf("the Secrets are %v", names)
	}
}

// manifest are the objects of the manifest.
func manifest(t *testing.T) []map[string]any {
	t.Helper()
	return kubetest.Manifest(t, "../../../../packaging/kubernetes/shared-state.yaml")
}

const leaseKey = "sites/example.atlassian.net/lease"

func holder(host string) shared.Holder {
	return shared.Holder{Node: "node-of-" + host, Host: host, Since: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
}

func claim(host string) shared.Claim {
	return shared.Claim{Key: leaseKey, Holder: holder(host), TTL: 3 * time.Minute}
}

// consents is the life of an app's consent.
func consents(t *testing.T, way *rest.Config) {
	s := mustOpen(t, "consents-test", way, time.Now)
	for _, value := range []string{"first", "second", "third"} {
		c := shared.NewConsents(s, holder("web-"+value), time.Now)
		lock, _, ok, err := c.TryLock(t.Context(), "auth.atlassian.com_Client_1")
		if err != nil || !ok {
			t.Fatalf("TryLock: %v, %v", ok, err)
		}
		if err := lock.Save(t.Context(), []byte(value)); err != nil {
			t.Fatalf("Save: %v", err)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Fatalf("Unlock: %v", err)
		}
		if got, err := c.Load(t.Context(), "auth.atlassian.com_Client_1"); err != nil || string(got) != value {
			t.Errorf("Load: %q, %v", got, err)
		}
		if err := lock.Save(t.Context(), []byte("late")); shared.KindOf(err) != shared.Lost {
			t.Errorf("Save behind Unlock: %v", err)
		}
	}
}

// heads are a few writes, each in the place of the one before.
func heads(t *testing.T, way *rest.Config) {
	s := mustOpen(t, "heads-test", way, time.Now)
	g, err := s.Hold(t.Context(), claim("web-1"))
	if err != nil || !g.Held {
		t.Fatalf("Hold: %+v, %v", g, err)
	}
	key := "sites/example.atlassian.net/jira/head"
	for _, v := range []string{"1", "2", "3"} {
		if err := s.Write(t.Context(), g, shared.Write{Last: []shared.Value{{Key: key, Bytes: []byte(v)}}}); err != nil {
			t.Fatalf("Write: %v", err)
		}
		if got, err := s.Read(t.Context(), []string{key}); err != nil || string(got[key]) != v {
			t.Fatalf("Read: %q, %v", got, err)
		}
	}
}

func TestConsentsAreSecretsAndNothingElseIs(t *testing.T) {
	t.Parallel()
	f := kubetest.New(t)
	consents(t, f.Config())
	if n := len(f.Names(secrets)); n != 2 { // one, and one that is replaced and goes with the next write
		t.Errorf("there are %d Secrets", n)
	}
	if names := f.Names(configMaps); len(names) != 1 {
		t.Errorf("there are the ConfigMaps %v, and one index is wanted", names)
	}
}

// TestTheRoleGrantsWhatIsUsedAndNoMore compares the manifest with what the suite and a
// consent ask for.
func TestTheRoleGrantsWhatIsUsedAndNoMore(t *testing.T) {
	t.Parallel()
	f := kubetest.New(t)
	conform(t, f.Config())
	consents(t, f.Config())
	heads(t, f.Config())
	var granted []string
	groups := map[string]string{configMaps: "", secrets: "", leases: "coordination.k8s.io"}
	for _, o := range manifest(t) {
		if o["kind"] != "Role" {
			continue
		}
		rules, _ := o["rules"].([]any)
		for _, r := range rules {
			rule, _ := r.(map[string]any)
			for _, resource := range strings.Fields(strings.Trim(fmt.Sprint(rule["resources"]), "[]")) {
				if want := "[" + groups[resource] + "]"; fmt.Sprint(rule["apiGroups"]) != want {
					t.Errorf("the group of %s is %v, want %s", resource, rule["apiGroups"], want)
				}
				for _, verb := range strings.Fields(strings.Trim(fmt.Sprint(rule["verbs"]), "[]")) {
					granted = append(granted, verb+" "+resource)
				}
			}
		}
	}
	slices.Sort(granted)
	if diff := cmp.Diff(f.Asked(), granted); diff != "" {
		t.Errorf("the manifest (-used +granted)\n%s", diff)
	}
}

// TestNothingIsLeftOver: what a write replaces goes with the next one, and so does
// what one that failed left behind.
func TestNothingIsLeftOver(t *testing.T) {
	t.Parallel()
	f := kubetest.New(t)
	s := mustOpen(t, "fleet", f.Config(), time.Now)
	g, err := s.Hold(t.Context(), claim("web-1"))
	if err != nil || !g.Held {
		t.Fatalf("Hold: %+v, %v", g, err)
	}
	head := func(v string) shared.Write {
		w := shared.Write{Last: []shared.Value{{Key: "sites/example.atlassian.net/jira/head", Bytes: []byte(v)}}}
		for i := range 5 {
			w.First = append(w.First, shared.Value{Key: fmt.Sprintf("sites/example.atlassian.net/jira/seen/%s-%d", v, i), Bytes: []byte(v)})
		}
		return w
	}
	// Of the first write's values, half; also where the question comes late.
	half := regexp.MustCompile(`^fleet\.[0-9a-f]{8}-[345]\.`)
	f.Refuse(func(verb, _, name string) int {
		if verb == "create" && half.MatchString(name) {
			return http.StatusForbidden
		}
		return 0
	})
	if err := s.Write(t.Context(), g, head("a")); shared.KindOf(err) != shared.Refused {
		t.Fatalf("Write: %v", err)
	}
	for _, v := range []string{"b", "c"} {
		w := head(v)
		if v == "c" {
			for i := range 5 {
				w.Drop = append(w.Drop, fmt.Sprintf("sites/example.atlassian.net/jira/seen/b-%d", i))
			}
		}
		if err := s.Write(t.Context(), g, w); err != nil {
			t.Fatalf("Write: %v", err)
		}
	}
	if err := s.Write(t.Context(), g, shared.Write{Last: []shared.Value{{Key: "sites/example.atlassian.net/jira/head", Bytes: []byte("d")}}}); err != nil {
		t.Fatal(err)
	}
	// What is there goes with the index, as the cluster sees to.
	index := f.Meta(configMaps, "fleet.sites.example.atlassian.net")
	for _, name := range f.Names(configMaps) {
		owners, _ := f.Meta(configMaps, name)["ownerReferences"].([]any)
		if name != index["name"] && (len(owners) != 1 || owners[0].(map[string]any)["uid"] != index["uid"]) {
			t.Errorf("%s belongs to %v", name, owners)
		}
	}
	// The index, five pieces, the head and the one that it replaced.
	if names := f.Names(configMaps); len(names) != 8 {
		t.Errorf("there are %d ConfigMaps: %v", len(names), names)
	}
}

// TestWhatARunAsks of the server: docs/shared-state.md has the numbers.
func TestWhatARunAsks(t *testing.T) {
	t.Parallel()
	f := kubetest.New(t)
	heads(t, f.Config())
	s := mustOpen(t, "heads-test", f.Config(), time.Now)
	key := "sites/example.atlassian.net/jira/head"
	var g shared.Grant
	for _, step := range []struct {
		name string
		do   func() error
		want int
	}{
		{"keeping the lease", func() (err error) { g, err = s.Hold(t.Context(), claim("web-1")); return err }, 3},
		{"what stands there", func() error { _, err := s.Read(t.Context(), []string{key}); return err }, 2},
		{"sharing what was delivered", func() error {
			return s.Write(t.Context(), g, shared.Write{Last: []shared.Value{{Key: key, Bytes: []byte("4")}}})
		}, 5},
	} {
		before := f.Answers()
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if n := f.Answers() - before; n != step.want {
			t.Errorf("%s takes %d requests, and %d are documented", step.name, n, step.want)
		}
	}
	other := mustOpen(t, "heads-test", f.Config(), time.Now)
	before := f.Answers()
	if g, err := other.Hold(t.Context(), claim("web-2")); err != nil || g.Held || f.Answers()-before != 1 {
		t.Errorf("standing by takes %d requests: %+v, %v", f.Answers()-before, g, err)
	}
}

// TestPlainTextIsForThisMachine: whoever is on the way could hide records.
func TestPlainTextIsForThisMachine(t *testing.T) {
	t.Parallel()
	for host, ok := range map[string]bool{
		"https://kubernetes.example.com:6443": true, "http://127.0.0.1:8001": true, "http://localhost:8001": true, "http://[::1]:8001": true,
		"http://kubernetes.example.com": false, "kubernetes.example.com:8080": false, "http://10.0.0.1": false,
	} {
		c := config("fleet")
		c.Kubeconfig = kubetest.Kubeconfig(t, &rest.Config{Host: host})
		_, err := Open(c, time.Now)
		if refused := shared.KindOf(err) == shared.Refused && strings.Contains(err.Error(), "https"); ok && err != nil || !ok && !refused {
			t.Errorf("%s: %v", host, err)
		}
	}
}
