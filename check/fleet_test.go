package check

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/shared"
	"atlassian_audit_records/pkg/shared/sharedtest"
)

// fleet is several machines that share one site, a store and a Datadog that keeps
// what their Agents deliver.
type fleet struct {
	t         *testing.T
	w         *world
	store     *sharedtest.Store
	delivered map[string]int // by record id
}

// box is one of the machines.
type box struct {
	*world
	f      *fleet
	name   string
	client *sharedtest.Client
	agent  *tailer
	at     map[string]int64 // how far its Agent has delivered each file
}

// inFleet runs test in a bubble of time. No Agent delivers unless it is told to.
func inFleet(t *testing.T, test func(t *testing.T, f *fleet)) {
	t.Helper()
	inWorld(t, func(t *testing.T, w *world) {
		test(t, &fleet{t: t, w: w, store: sharedtest.NewStore(time.Now), delivered: map[string]int{}})
	})
}

// inPair is inFleet with two machines.
func inPair(t *testing.T, test func(t *testing.T, f *fleet, a, b *box)) {
	t.Helper()
	inFleet(t, func(t *testing.T, f *fleet) { test(t, f, f.box("web-1"), f.box("web-2")) })
}

func (f *fleet) box(name string) *box {
	f.t.Helper()
	run := filepath.Join(filepath.Dir(f.w.run), name)
	if err := os.Mkdir(run, 0o755); err != nil {
		f.t.Fatal(err)
	}
	b := &box{f: f, name: name, client: f.store.Client(), at: map[string]int64{}}
	b.world = &world{t: f.t, server: f.w.server, run: run, options: f.w.options}
	b.options.Agent.Hostname, b.options.Agent.RunPath = name, run
	b.opens(b.client)
	b.agent = b.tailer()
	return b
}

// opens puts another store, or another way to it, in the place of what the box has.
func (b *box) opens(store shared.Backend) {
	b.options.OpenShared = func(context.Context, shared.Config) (shared.Backend, error) { return store, nil }
}

// outlast is until a lease of the box's is over.
func (b *box) outlast() {
	b.t.Helper()
	pass(LeaseTime(b.sharedConfig(classicAuth)) + time.Second)
}

func (b *box) sharedConfig(auth string, more ...string) *Config {
	b.t.Helper()
	c := b.config(auth, more...)
	c.Shared = &Shared{URL: "etcd://127.0.0.1:2379/test"}
	return c
}

// works is a run that must end well.
func (b *box) works() Recorded {
	b.t.Helper()
	_, rec := b.runWell(b.sharedConfig(classicAuth))
	b.dated()
	return rec
}

// deliver is the box's Agent at work: what lies in its spool arrives.
func (b *box) deliver() {
	b.t.Helper()
	for _, p := range both {
		for _, path := range b.files("spool", p) {
			text, err := os.ReadFile(path)
			if err != nil {
				b.t.Fatal(err)
			}
			for line := range strings.Lines(string(text[b.at[path]:])) {
				s, ok := audit.ReadLine([]byte(line))
				if !ok {
					b.t.Fatalf("%s holds %q", path, line)
				}
				b.f.delivered[s.RecordID]++
			}
			b.at[path] = int64(len(text))
		}
	}
	b.agent.ack()
}

// shares is a run behind a delivery, which shares it: settleAfter has passed.
func (b *box) shares() {
	b.t.Helper()
	b.deliver()
	pass(time.Minute)
	b.works()
}

// states are the box's service checks.
func (b *box) statesOf(rec Recorded) (string, map[string]string) {
	short, messages := states(rec)
	return strings.Join(short, ", "), messages
}

// wantDelivered fails unless every record was delivered, those that may be repeated
// at most twice and all others once.
func (f *fleet) wantDelivered(mayRepeat ...string) {
	f.t.Helper()
	n := 0
	for _, p := range both {
		n += len(f.w.server.Records(string(p)))
	}
	if len(f.delivered) != n || n == 0 {
		f.t.Errorf("%d records were delivered, and %d are at Atlassian", len(f.delivered), n)
	}
	for id, times := range f.delivered {
		if times > 2 || times == 2 && !slices.Contains(mayRepeat, id) {
			f.t.Errorf("%s was delivered %d times", id, times)
		}
	}
}

// undelivered are the records in the box's spool that its Agent has not delivered.
func (b *box) undelivered() []string {
	b.t.Helper()
	var ids []string
	for _, p := range both {
		for _, path := range b.files("spool", p) {
			text, err := os.ReadFile(path)
			if err != nil {
				b.t.Fatal(err)
			}
			for line := range strings.Lines(string(text[b.at[path]:])) {
				s, _ := audit.ReadLine([]byte(line))
				ids = append(ids, s.RecordID)
			}
		}
	}
	return ids
}

// more puts new records into the site.
func (f *fleet) more(n int) { f.w.server.Fill(n, time.Minute) }
