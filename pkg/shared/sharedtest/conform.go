package sharedtest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/shared"
)

// World is an empty store, as Conform wants it.
type World struct {
	// Open is another machine's way to the store. The suite closes it.
	Open func(t *testing.T) shared.Backend
	// Expire makes the lease end that was taken last under a key, as if its time had
	// passed without its being kept alive.
	Expire func(t *testing.T, key string)
	// TTL is how long the suite's leases last; 0 is three minutes. No test waits for
	// it.
	TTL time.Duration
}

// machine is one of the machines that share a store.
type machine struct {
	t      *testing.T
	w      World
	b      shared.Backend
	holder shared.Holder
	memory []byte
}

func (w World) machine(t *testing.T, host string) *machine {
	t.Helper()
	b := w.Open(t)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &machine{t: t, w: w, b: b, holder: shared.Holder{Node: "node-of-" + host, Host: host, Since: moment}}
}

var moment = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	place     = "sites/example.atlassian.net/"
	leaseKey  = place + "lease"
	elsewhere = "sites/other.atlassian.net/"
)

func (m *machine) claim(key string) shared.Claim {
	ttl := m.w.TTL
	if ttl == 0 {
		ttl = 3 * time.Minute
	}
	return shared.Claim{Key: key, Holder: m.holder, TTL: ttl, Memory: m.memory}
}

// hold claims the lease, and remembers as a machine does.
func (m *machine) hold() shared.Grant {
	m.t.Helper()
	g, err := m.b.Hold(m.t.Context(), m.claim(leaseKey))
	if err != nil {
		m.t.Fatalf("%s: Hold: %v", m.holder.Host, err)
	}
	m.memory = g.Memory
	return g
}

func (m *machine) mustHold() shared.Grant {
	m.t.Helper()
	g := m.hold()
	if !g.Held || !g.Holder.Same(m.holder) || g.Fence == "" || g.TTL <= 0 || g.Key != leaseKey {
		m.t.Fatalf("%s does not hold the lease: %+v", m.holder.Host, g)
	}
	return g
}

func (m *machine) write(g shared.Grant, w shared.Write) {
	m.t.Helper()
	if err := m.b.Write(m.t.Context(), g, w); err != nil {
		m.t.Fatalf("%s: Write: %v", m.holder.Host, err)
	}
}

func (m *machine) mustLose(g shared.Grant) {
	m.t.Helper()
	before := m.read(place+"lost/first", place+"lost/last", place+"kept")
	err := m.b.Write(m.t.Context(), g, shared.Write{
		First: []shared.Value{{Key: place + "lost/first", Bytes: []byte("x")}}, Last: []shared.Value{{Key: place + "lost/last", Bytes: []byte("x")}}, Drop: []string{place + "kept"},
	})
	if shared.KindOf(err) != shared.Lost {
		m.t.Errorf("%s wrote under a lease that it does not hold: %v, want an error of kind %q", m.holder.Host, err, shared.Lost)
	}
	after := m.read(place+"lost/first", place+"lost/last", place+"kept")
	delete(after, place+"lost/first") // to which nothing refers
	if diff := cmp.Diff(before, after); diff != "" {
		m.t.Errorf("a write that was refused changed something (-before +after)\n%s", diff)
	}
}

func (m *machine) read(keys ...string) map[string]string {
	m.t.Helper()
	values, err := m.b.Read(m.t.Context(), keys)
	if err != nil {
		m.t.Fatalf("%s: Read: %v", m.holder.Host, err)
	}
	out := map[string]string{}
	for k, v := range values {
		out[k] = string(v)
	}
	return out
}

// Conform tests a kind of store. open makes an empty one for each test.
func Conform(t *testing.T, open func(t *testing.T) World) {
	for name, test := range map[string]func(t *testing.T, w World){
		"one machine holds a lease, and the others are told who":                  oneHolds,
		"a lease that is kept stays the same":                                     keptStays,
		"a lease that ended is the next one's, and its old holder is refused":     endedIsTaken,
		"a lease that ended and is taken by its old holder is another one":        takenAgain,
		"of many at once, one gets it":                                            manyAtOnce,
		"two leases have nothing to do with each other":                           twoLeases,
		"what is released is free at once, and only by its holder":                released,
		"what is written can be read by all, and what is dropped is gone":         written,
		"a write is as large as it has to be":                                     largeWrite,
		"a value of the largest size is taken":                                    largestValue,
		"a write that comes after a later one of the same holder changes nothing": lateWrite,
		"a lease outlives the connection":                                         outlives,
		"a machine that was copied under another name does not hold":              copied,
		"a question that may not take any time is not answered":                   cancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func oneHolds(t *testing.T, w World) {
	a, b := w.machine(t, "web-1"), w.machine(t, "web-2")
	a.mustHold()
	g := b.hold()
	if g.Held || !g.Holder.Same(a.holder) || !g.Holder.Since.Equal(moment) {
		t.Errorf("the second machine was answered %+v, want that %+v holds the lease", g, a.holder)
	}
	b.mustLose(g)
}

func keptStays(t *testing.T, w World) {
	a, b := w.machine(t, "web-1"), w.machine(t, "web-2")
	first := a.mustHold()
	a.holder.Since = moment.Add(time.Hour) // each claim brings the present along
	second := a.mustHold()
	if first.Fence != second.Fence || !second.Holder.Since.Equal(moment) {
		t.Errorf("a lease that was kept changed from %+v to %+v", first, second)
	}
	a.write(first, shared.Write{Last: []shared.Value{{Key: place + "kept", Bytes: []byte("1")}}})
	if g := b.hold(); g.Held || !g.Holder.Since.Equal(moment) {
		t.Errorf("the second machine was answered %+v", g)
	}
}

func endedIsTaken(t *testing.T, w World) {
	a, b := w.machine(t, "web-1"), w.machine(t, "web-2")
	old := a.mustHold()
	a.write(old, shared.Write{Last: []shared.Value{{Key: place + "kept", Bytes: []byte("of the first")}}})
	if g := b.hold(); g.Held { // a store may end a lease for those who have seen it
		t.Fatalf("both hold the lease: %+v", g)
	}
	w.Expire(t, leaseKey)
	a.mustLose(old)
	fresh := b.mustHold()
	if fresh.Fence == old.Fence {
		t.Errorf("the fence of the new lease is that of the old one: %q", old.Fence)
	}
	a.mustLose(old)
	if g := a.hold(); g.Held || !g.Holder.Same(b.holder) {
		t.Errorf("the old holder was answered %+v", g)
	}
	b.write(fresh, shared.Write{Last: []shared.Value{{Key: place + "kept", Bytes: []byte("of the second")}}})
	if got := a.read(place + "kept")[place+"kept"]; got != "of the second" {
		t.Errorf("there stands %q", got)
	}
}

func takenAgain(t *testing.T, w World) {
	a := w.machine(t, "web-1")
	old := a.mustHold()
	w.Expire(t, leaseKey)
	fresh := a.mustHold()
	if fresh.Fence == old.Fence {
		t.Errorf("the fence of the new lease is that of the old one: %q", old.Fence)
	}
	a.mustLose(old)
	a.write(fresh, shared.Write{Last: []shared.Value{{Key: place + "kept", Bytes: []byte("1")}}})
}

func manyAtOnce(t *testing.T, w World) {
	var machines []*machine
	for i := range 6 {
		machines = append(machines, w.machine(t, fmt.Sprintf("web-%d", i)))
	}
	grants, errs := make([]shared.Grant, len(machines)), make([]error, len(machines))
	var all sync.WaitGroup
	for i, m := range machines {
		all.Go(func() { grants[i], errs[i] = m.b.Hold(t.Context(), m.claim(leaseKey)) })
	}
	all.Wait()
	held := 0
	for i, g := range grants {
		if errs[i] != nil {
			t.Fatalf("Hold: %v", errs[i])
		}
		if g.Held {
			held++
		}
	}
	if held != 1 {
		t.Errorf("%d machines hold the lease", held)
	}
}

func twoLeases(t *testing.T, w World) {
	a, b := w.machine(t, "web-1"), w.machine(t, "web-2")
	old := a.mustHold()
	c := b.claim(elsewhere + "lease")
	c.TTL *= 10 // where a lease ends because time passes, only one of them is to
	g, err := b.b.Hold(t.Context(), c)
	if err != nil || !g.Held {
		t.Fatalf("another site's lease was answered %+v, %v", g, err)
	}
	w.Expire(t, leaseKey)
	a.mustLose(old)
	b.write(g, shared.Write{Last: []shared.Value{{Key: elsewhere + "kept", Bytes: []byte("1")}}})
}

func released(t *testing.T, w World) {
	a, b := w.machine(t, "web-1"), w.machine(t, "web-2")
	old := a.mustHold()
	if err := a.b.Release(t.Context(), a.claim(leaseKey), old); err != nil {
		t.Fatalf("Release: %v", err)
	}
	a.mustLose(old)
	b.mustHold()
	if err := a.b.Release(t.Context(), a.claim(leaseKey), old); err != nil {
		t.Errorf("Release of a lease that is not held any more: %v", err)
	}
	if g := a.hold(); g.Held {
		t.Errorf("a machine released another's lease")
	}
}

func written(t *testing.T, w World) {
	a, b := w.machine(t, "web-1"), w.machine(t, "web-2")
	if got := b.read(place + "none/of/it"); len(got) != 0 {
		t.Errorf("an empty store answered %v", got)
	}
	g := a.mustHold()
	a.write(g, shared.Write{
		First: []shared.Value{{Key: place + "jira/seen/1", Bytes: []byte("one")}, {Key: place + "jira/seen/2", Bytes: []byte{0, 255, '\n'}}},
		Last:  []shared.Value{{Key: place + "jira/head", Bytes: []byte("h")}},
		Drop:  []string{place + "jira/seen/0"},
	})
	want := map[string]string{place + "jira/seen/1": "one", place + "jira/seen/2": "\x00\xff\n", place + "jira/head": "h"}
	keys := []string{place + "jira/seen/0", place + "jira/seen/1", place + "jira/seen/2", place + "jira/head"}
	if diff := cmp.Diff(want, b.read(keys...)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	a.write(g, shared.Write{Last: []shared.Value{{Key: place + "jira/head", Bytes: []byte("i")}}, Drop: []string{place + "jira/seen/1", place + "jira/seen/0"}})
	delete(want, place+"jira/seen/1")
	want[place+"jira/head"] = "i"
	if diff := cmp.Diff(want, b.read(keys...)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func largeWrite(t *testing.T, w World) {
	a, b := w.machine(t, "web-1"), w.machine(t, "web-2")
	g := a.mustHold()
	const pieces = 300
	var first []shared.Value
	var drop, keys []string
	want := map[string]string{place + "jira/head": "whole"}
	for i := range pieces {
		v := shared.Value{Key: fmt.Sprintf("%sjira/seen/%d", place, i), Bytes: bytes.Repeat([]byte{byte(i)}, min(8<<10, a.b.Limits().Piece))}
		first = append(first, v)
		keys = append(keys, v.Key)
		drop = append(drop, fmt.Sprintf("%sjira/seen/%d", place, i+pieces))
		want[v.Key] = string(v.Bytes)
	}
	a.write(g, shared.Write{First: first, Last: []shared.Value{{Key: place + "jira/head", Bytes: []byte("whole")}}, Drop: drop})
	got := map[string]string{}
	for some := range slices.Chunk(append(keys, place+"jira/head"), 8) {
		for k, v := range b.read(some...) {
			got[k] = v
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%.2000s", diff)
	}
	a.write(g, shared.Write{Last: []shared.Value{{Key: place + "jira/head", Bytes: []byte("empty")}}, Drop: keys})
	if got := b.read(keys[0], keys[pieces-1]); len(got) != 0 {
		t.Errorf("%d values that were dropped are there", len(got))
	}
}

func largestValue(t *testing.T, w World) {
	a := w.machine(t, "web-1")
	g := a.mustHold()
	l := a.b.Limits()
	if l.Piece <= 0 || l.Value < l.Piece {
		t.Fatalf("the limits make no sense: %+v", l)
	}
	whole := bytes.Repeat([]byte{1}, l.Value)
	a.write(g, shared.Write{Last: []shared.Value{{Key: place + "jira/head", Bytes: whole}}})
	if got := a.read(place + "jira/head")[place+"jira/head"]; got != string(whole) {
		t.Errorf("%d bytes came back of %d", len(got), len(whole))
	}
}

// lateWrite has a run's write come when the next run of the same machine has read
// what was there before it, and written too.
func lateWrite(t *testing.T, w World) {
	first, next := w.machine(t, "web-1"), w.machine(t, "web-1")
	const head, kept = place + "jira/head", place + "kept"
	for _, there := range []bool{false, true} {
		g := first.mustHold()
		if there {
			first.read(head, kept)
			first.write(g, shared.Write{Last: []shared.Value{{Key: head, Bytes: []byte("0")}, {Key: kept, Bytes: []byte("1")}}, Same: []string{head}})
		}
		next.memory = first.memory
		again := next.mustHold()
		before := next.read(head, kept)
		next.write(again, shared.Write{Last: []shared.Value{{Key: head, Bytes: []byte("2")}}, Same: []string{head}})
		before[head] = "2"
		err := first.b.Write(t.Context(), g, shared.Write{
			First: []shared.Value{{Key: place + "jira/seen/1", Bytes: []byte("1")}},
			Last:  []shared.Value{{Key: head, Bytes: []byte("1")}}, Drop: []string{kept}, Same: []string{head},
		})
		if shared.KindOf(err) != shared.Changed {
			t.Errorf("a write that came late was answered %v, want an error of kind %q", err, shared.Changed)
		}
		if diff := cmp.Diff(before, first.read(head, kept)); diff != "" {
			t.Errorf("a write that came late changed something (-before +after)\n%s", diff)
		}
		// Who has read it may write, and again.
		for _, v := range []string{"3", "4"} {
			first.write(g, shared.Write{Last: []shared.Value{{Key: head, Bytes: []byte(v)}}, Same: []string{head}})
		}
		if got := next.read(head)[head]; got != "4" {
			t.Errorf("there stands %q", got)
		}
	}
}

func outlives(t *testing.T, w World) {
	a, b := w.machine(t, "web-1"), w.machine(t, "web-2")
	g := func() shared.Grant {
		c := w.Open(t)
		defer func() {
			if err := c.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}()
		g, err := c.Hold(t.Context(), a.claim(leaseKey))
		if err != nil || !g.Held {
			t.Fatalf("Hold: %+v, %v", g, err)
		}
		return g
	}()
	if got := b.hold(); got.Held {
		t.Error("the lease ended with the connection")
	}
	a.memory = g.Memory
	if again := a.mustHold(); again.Fence != g.Fence {
		t.Errorf("the next process has the fence %q, the one before had %q", again.Fence, g.Fence)
	}
}

func copied(t *testing.T, w World) {
	a, b := w.machine(t, "web-1"), w.machine(t, "web-2")
	a.mustHold()
	b.memory, b.holder.Node = a.memory, a.holder.Node
	if g := b.hold(); g.Held {
		t.Errorf("a copy under another name holds the lease: %+v", g)
	}
}

func cancelled(t *testing.T, w World) {
	a := w.machine(t, "web-1")
	g := a.mustHold()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, holdErr := a.b.Hold(ctx, a.claim(leaseKey))
	_, readErr := a.b.Read(ctx, []string{place + "kept"})
	writeErr := a.b.Write(ctx, g, shared.Write{Last: []shared.Value{{Key: place + "kept", Bytes: []byte("1")}}})
	for name, err := range map[string]error{"Hold": holdErr, "Read": readErr, "Write": writeErr} {
		if shared.KindOf(err) != shared.Unavailable {
			t.Errorf("%s: %v, want an error of kind %q", name, err, shared.Unavailable)
		}
	}
}
