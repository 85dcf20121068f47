package kube

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/cmd/atlassian-audit-records-shared/internal/kubetest"
	"atlassian_audit_records/pkg/shared"
)

// machine is a machine with a clock of its own, which need not go as the server's.
type machine struct {
	t     *testing.T
	hours *hours
	claim shared.Claim
	store *Store
}

func newMachine(t *testing.T, f *kubetest.Fake, host string) *machine {
	t.Helper()
	m := &machine{t: t, hours: &hours{}, claim: claim(host)}
	m.store = mustOpen(t, "fleet", f.Config(), m.hours.now)
	return m
}

// hold is a run's claim, in a process of its own.
func (m *machine) hold() shared.Grant {
	m.t.Helper()
	g, err := m.store.Hold(m.t.Context(), m.claim)
	if err != nil {
		m.t.Fatalf("%s: Hold: %v", m.claim.Holder.Host, err)
	}
	m.claim.Memory = g.Memory
	return g
}

func (m *machine) write(g shared.Grant) error {
	return m.store.Write(m.t.Context(), g, shared.Write{Last: []shared.Value{{Key: "sites/example.atlassian.net/jira/head", Bytes: []byte(m.claim.Holder.Host)}}})
}

// TestWhenALeaseIsOver: the second machine has seen the first one's lease, or not, and
// then its clock and the server's go on.
func TestWhenALeaseIsOver(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		seen         bool
		own, servers time.Duration
		want         bool
	}{
		"both clocks say so":                           {true, 190 * time.Second, 190 * time.Second, true},
		"it lasted for its time, and not for more":     {true, 181 * time.Second, 181 * time.Second, false},
		"this machine's clock was put ahead":           {true, 24 * time.Hour, time.Minute, false},
		"the server's clock was put ahead":             {true, time.Minute, 24 * time.Hour, false},
		"this machine's clock was put back":            {true, -24 * time.Hour, time.Hour, false},
		"the server's clock was put back":              {true, time.Hour, -24 * time.Hour, false},
		"seen for the first time, long over":           {false, 0, 200 * time.Second, true},
		"seen for the first time, it may just be over": {false, 0, 190 * time.Second, false},
		"seen for the first time, with a wrong clock":  {false, 24 * time.Hour, time.Minute, false},
		"seen for the first time, held":                {false, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := kubetest.New(t)
			a, b := newMachine(t, f, "web-1"), newMachine(t, f, "web-2")
			if g := a.hold(); !g.Held {
				t.Fatal("nobody holds the lease")
			}
			if test.seen {
				if g := b.hold(); g.Held {
					t.Fatal("both hold the lease")
				}
			}
			b.hours.pass(test.own)
			f.Pass(test.servers)
			if g := b.hold(); g.Held != test.want {
				t.Errorf("held is %v", g.Held)
			}
		})
	}
}

// TestALeaseThatIsKeptIsNeverOver, whenever the others look.
func TestALeaseThatIsKeptIsNeverOver(t *testing.T) {
	t.Parallel()
	f := kubetest.New(t)
	a, b := newMachine(t, f, "web-1"), newMachine(t, f, "web-2")
	first := a.hold()
	for i := range 20 {
		if g := b.hold(); g.Held || !g.Holder.Same(a.claim.Holder) {
			t.Fatalf("after %d runs the second machine was answered %+v", i, g)
		}
		for _, m := range []*machine{a, b} {
			m.hours.pass(time.Minute)
		}
		f.Pass(time.Minute)
		if g := a.hold(); g.Fence != first.Fence {
			t.Fatalf("the fence changed from %s to %s", first.Fence, g.Fence)
		}
	}
}

// TestAClockThatWasPutBackIsSeenAnew: it does not keep a machine waiting for as long
// as it was put back.
func TestAClockThatWasPutBackIsSeenAnew(t *testing.T) {
	t.Parallel()
	f := kubetest.New(t)
	a, b := newMachine(t, f, "web-1"), newMachine(t, f, "web-2")
	a.hold()
	b.hours.pass(24 * time.Hour)
	b.hold()
	b.hours.pass(-24 * time.Hour)
	if g := b.hold(); g.Held {
		t.Fatal("both hold the lease")
	}
	b.hours.pass(190 * time.Second)
	f.Pass(190 * time.Second)
	if g := b.hold(); !g.Held {
		t.Error("it waits for a clock that was wrong")
	}
}

// TestAHolderWhoseLeaseIsOverIsRefusedEverywhere: as soon as another one holds it, and
// by the clock of its own before.
func TestAHolderWhoseLeaseIsOverIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	f := kubetest.New(t)
	a, b := newMachine(t, f, "web-1"), newMachine(t, f, "web-2")
	old := a.hold()
	if err := a.write(old); err != nil {
		t.Fatal(err)
	}
	b.hold()
	b.hours.pass(time.Hour)
	f.Pass(time.Hour)
	fresh := b.hold()
	if !fresh.Held {
		t.Fatal("nobody took the lease")
	}
	// The first one's clock stood still: it believes to hold the lease.
	if err := a.write(old); shared.KindOf(err) != shared.Lost {
		t.Errorf("Write: %v", err)
	}
	if err := b.write(fresh); err != nil {
		t.Errorf("Write: %v", err)
	}
	b.hours.pass(181 * time.Second)
	if err := b.write(fresh); shared.KindOf(err) != shared.Lost {
		t.Errorf("Write behind the end: %v", err)
	}
}

// TestALeaseThatSomebodyRemovesFreesThePlaceAndLosesNothing: kubectl delete lease.
func TestALeaseThatSomebodyRemovesFreesThePlaceAndLosesNothing(t *testing.T) {
	t.Parallel()
	f := kubetest.New(t)
	a, b := newMachine(t, f, "web-1"), newMachine(t, f, "web-2")
	old := a.hold()
	if err := a.write(old); err != nil {
		t.Fatal(err)
	}
	f.Remove(leases, "fleet.sites.example.atlassian.net")
	fresh := b.hold()
	if !fresh.Held || fresh.Fence == old.Fence {
		t.Fatalf("the second machine was answered %+v", fresh)
	}
	if err := a.write(old); shared.KindOf(err) != shared.Lost {
		t.Errorf("Write: %v", err)
	}
	if got, err := b.store.Read(t.Context(), []string{"sites/example.atlassian.net/jira/head"}); err != nil || string(got["sites/example.atlassian.net/jira/head"]) != "web-1" {
		t.Errorf("Read: %q, %v", got, err)
	}
}

// TestAnIndexThatSomebodyRemovesEndsTheLease: the store is empty, and who held the
// lease has to find that out before it writes.
func TestAnIndexThatSomebodyRemovesEndsTheLease(t *testing.T) {
	t.Parallel()
	f := kubetest.New(t)
	a := newMachine(t, f, "web-1")
	old := a.hold()
	if err := a.write(old); err != nil {
		t.Fatal(err)
	}
	f.Remove(configMaps, "fleet.sites.example.atlassian.net")
	if err := a.write(old); shared.KindOf(err) != shared.Lost {
		t.Errorf("Write: %v", err)
	}
	if got, err := a.store.Read(t.Context(), []string{"sites/example.atlassian.net/jira/head"}); err != nil || len(got) > 0 {
		t.Errorf("Read: %q, %v", got, err)
	}
	// What the old index left behind is not taken for a value of the new one.
	key := "sites/example.atlassian.net/jira/head"
	if err := a.store.Write(t.Context(), a.hold(), shared.Write{Last: []shared.Value{{Key: key, Bytes: []byte("anew")}}}); err != nil {
		t.Errorf("Write: %v", err)
	}
	if got, err := a.store.Read(t.Context(), []string{key}); err != nil || string(got[key]) != "anew" {
		t.Errorf("Read: %q, %v", got, err)
	}
}

// TestWhatIsNotOursIsSaid and left alone.
func TestWhatIsNotOursIsSaid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		resource string
		change   func(o map[string]any)
		kind     shared.Kind
		says     string
	}{
		"a lease of somebody else's": {leases, func(o map[string]any) {
			o["metadata"].(map[string]any)["annotations"] = nil
		}, shared.Damaged, "is not that of sites/example.atlassian.net"},
		"a lease that something else took": {leases, func(o map[string]any) {
			o["spec"].(map[string]any)["holderIdentity"] = "somebody"
		}, shared.Damaged, "none of this program's"},
		"a lease that was taken as often as can be counted": {leases, func(o map[string]any) {
			o["spec"].(map[string]any)["leaseTransitions"] = math.MaxInt32
		}, shared.Damaged, "have been taken 2147483647 times"},
		"a lease that was taken less often than never": {leases, func(o map[string]any) {
			o["spec"].(map[string]any)["leaseTransitions"] = -1
		}, shared.Damaged, "have been taken -1 times"},
		"an index of a term behind which there is none": {configMaps, func(o map[string]any) {
			o["data"] = map[string]any{"index": `{"version":1,"place":"sites/example.atlassian.net","id":"x","term":2147483647,"values":{}}`}
		}, shared.Damaged, "contradicts itself"},
		"an index without a number left": {configMaps, func(o map[string]any) {
			o["data"] = map[string]any{"index": `{"version":1,"place":"sites/example.atlassian.net","id":"x","next":18446744073709551615,"values":{}}`}
		}, shared.Damaged, "contradicts itself"},
		"an index that is none": {configMaps, func(o map[string]any) {
			o["data"] = map[string]any{"index": "{"}
		}, shared.Damaged, "not, or no more, the index"},
		"an index of another place": {configMaps, func(o map[string]any) {
			o["data"] = map[string]any{"index": `{"version":1,"place":"sites/other","id":"x","values":{}}`}
		}, shared.Damaged, "not, or no more, the index"},
		"an index with a number that is to come": {configMaps, func(o map[string]any) {
			o["data"] = map[string]any{"index": `{"version":1,"place":"sites/example.atlassian.net","id":"x","next":3,"values":{"jira/head":3}}`}
		}, shared.Damaged, "contradicts itself"},
		"an index with a number of two values": {configMaps, func(o map[string]any) {
			o["data"] = map[string]any{"index": `{"version":1,"place":"sites/example.atlassian.net","id":"x","next":3,"values":{"jira/head":2},"drop":[2]}`}
		}, shared.Damaged, "contradicts itself"},
		"an index of a newer version": {configMaps, func(o map[string]any) {
			o["data"] = map[string]any{"index": `{"version":2}`}
		}, shared.Newer, "newer version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := kubetest.New(t)
			a := newMachine(t, f, "web-1")
			a.hold()
			f.Change(t, test.resource, "fleet.sites.example.atlassian.net", test.change)
			_, err := a.store.Hold(t.Context(), a.claim)
			if shared.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Hold: %v, want something of %q", err, test.says)
			}
		})
	}
}

func TestAValueThatIsGoneIsDamage(t *testing.T) {
	t.Parallel()
	f := kubetest.New(t)
	a := newMachine(t, f, "web-1")
	if err := a.write(a.hold()); err != nil {
		t.Fatal(err)
	}
	for _, name := range f.Names(configMaps) {
		if name != "fleet.sites.example.atlassian.net" {
			f.Remove(configMaps, name)
		}
	}
	if _, err := a.store.Read(t.Context(), []string{"sites/example.atlassian.net/jira/head"}); shared.KindOf(err) != shared.Damaged {
		t.Errorf("Read: %v", err)
	}
}

func TestWhatAnAnswerMeans(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code int
		kind shared.Kind
		says string
	}{
		"rights are missing":         {http.StatusForbidden, shared.Refused, "give the account the Role"},
		"credentials are refused":    {http.StatusUnauthorized, shared.Refused, "check the credentials"},
		"the server has trouble":     {http.StatusInternalServerError, shared.Unavailable, "could not read the lease"},
		"the server is not there":    {http.StatusServiceUnavailable, shared.Unavailable, "could not read the lease"},
		"the server has enough work": {http.StatusTooManyRequests, shared.Unavailable, "could not read the lease"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := kubetest.New(t)
			f.Refuse(func(string, string, string) int { return test.code })
			a := newMachine(t, f, "web-1")
			_, err := a.store.Hold(t.Context(), a.claim)
			if shared.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Hold: %v, want something of %q", err, test.says)
			}
		})
	}
	nowhere := mustOpen(t, "fleet", kubetest.Nowhere(), time.Now)
	if _, err := nowhere.Hold(t.Context(), claim("web-1")); shared.KindOf(err) != shared.Unavailable {
		t.Errorf("Hold where nobody listens: %v", err)
	}
}

// TestAPlaceThatCannotStandInAName is told by a hash, and apart from others.
func TestAPlaceThatCannotStandInAName(t *testing.T) {
	t.Parallel()
	f := kubetest.New(t)
	a := newMachine(t, f, "web-1")
	for _, site := range []string{"jira.example.com_8443", "JIRA.example.com", strings.Repeat("a", 200), "jira.example.com"} {
		c := a.claim
		c.Key = "sites/" + site + "/lease"
		g, err := a.store.Hold(t.Context(), c)
		if err != nil || !g.Held {
			t.Fatalf("Hold: %+v, %v", g, err)
		}
		if err := a.store.Write(t.Context(), g, shared.Write{Last: []shared.Value{{Key: "sites/" + site + "/jira/head", Bytes: []byte(site)}}}); err != nil {
			t.Fatalf("Write: %v", err)
		}
		if got, err := a.store.Read(t.Context(), []string{"sites/" + site + "/jira/head"}); err != nil || string(got["sites/"+site+"/jira/head"]) != site {
			t.Errorf("Read: %q, %v", got, err)
		}
	}
	if n := len(f.Names(leases)); n != 4 {
		t.Errorf("there are %d Leases", n)
	}
}
