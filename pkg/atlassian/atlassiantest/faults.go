package atlassiantest

import (
	"math/rand/v2"
	"slices"
)

// Fault says which requests go wrong, and how. A request must meet every
// condition that is set. Where several faults strike one request, all of their
// actions apply, the one armed first going first.
type Fault struct {
	// Name appears in RequestInfo.Faults; by default the action's.
	Name string
	// Product, Route and Kind choose requests; "" chooses all. A fault with no
	// Kind concerns requests for audit records only, so that a session can still
	// be begun; AnyKind lifts that.
	Product string
	Route   Route
	Kind    Kind
	// Match chooses by anything else; nil chooses all.
	Match func(RequestInfo) bool

	// Of the requests so chosen, counted from 1 since the fault was armed:
	// After leaves out that many at first; Nth strikes only that one; Every
	// strikes each Every-th; Probability strikes at random, as the seed has it.
	// 0 means no condition.
	After, Nth, Every int
	Probability       float64
	// Times ends the fault after it has struck so often; 0: never.
	Times int

	// Action is what goes wrong.
	Action Action
}

// AnyKind chooses requests of every kind: for a Fault's Kind alone.
const AnyKind Kind = "any"

// Armed is a fault in force.
type Armed struct {
	s     *Server
	f     Fault
	rand  *rand.Rand
	seen  int // requests chosen
	fired int
}

// Fault arms f. It holds from the next request on.
func (s *Server) Fault(f Fault) *Armed {
	if f.Name == "" {
		f.Name = f.Action.name
	}
	if f.Kind == "" {
		f.Kind = KindAudit
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed++
	a := &Armed{s: s, f: f, rand: newRand(s.o.Seed, 1000+s.armed)}
	// Copied, so that a list being walked never changes.
	s.faults = append(slices.Clone(s.faults), a)
	return a
}

// ClearFaults disarms all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Fired is the number of requests that the fault has struck.
func (a *Armed) Fired() int {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	return a.fired
}

// Disarm ends the fault.
func (a *Armed) Disarm() {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.s.faults = slices.DeleteFunc(slices.Clone(a.s.faults), func(b *Armed) bool { return a == b })
}

// strike collects what goes wrong with a request.
func (s *Server) strike(i *RequestInfo) *damage {
	s.mu.Lock()
	var hit []*Armed
	for _, a := range s.faults {
		if a.strikes(*i) {
			hit = append(hit, a)
		}
	}
	s.mu.Unlock()
	d := &damage{}
	for _, a := range hit {
		i.Faults = append(i.Faults, a.f.Name)
		if a.f.Action.apply != nil {
			a.f.Action.apply(d, s)
		}
	}
	return d
}

// strikes decides whether the fault strikes a request, and counts. The lock is
// held by the caller.
func (a *Armed) strikes(i RequestInfo) bool {
	f := &a.f
	switch {
	case f.Product != "" && f.Product != i.Product,
		f.Route != "" && f.Route != i.Route,
		f.Kind == KindAudit && !i.Audit(),
		f.Kind != KindAudit && f.Kind != AnyKind && f.Kind != i.Kind,
		f.Times > 0 && a.fired >= f.Times,
		f.Match != nil && !f.Match(i):
		return false
	}
	a.seen++
	n := a.seen - f.After
	switch {
	case n <= 0,
		f.Nth > 0 && n != f.Nth,
		f.Every > 0 && n%f.Every != 0,
		f.Probability > 0 && a.rand.Float64() >= f.Probability:
		return false
	}
	a.fired++
	return true
}
