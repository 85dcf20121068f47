package explore

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/collect"
	"atlassian_audit_records/pkg/state"
)

// network carries the requests of a process, each at its turn.
type network struct {
	http.RoundTripper
	p *process
}

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := n.p.w.turns.ask(n.p, "ask "+r.URL.Path+"?"+r.URL.RawQuery); err != nil {
		if r.Body != nil {
			err = errors.Join(err, r.Body.Close())
		}
		return nil, err
	}
	return n.RoundTripper.RoundTrip(r)
}

// reading is a source that asks nobody: it reads its files at its turn.
type reading struct {
	collect.Source
	p *process
}

func (r reading) Page(ctx context.Context, q audit.Query) (audit.Page, error) {
	if err := r.p.w.turns.ask(r.p, fmt.Sprintf("read %+v", q)); err != nil {
		return audit.Page{}, err
	}
	return r.Source.Page(ctx, q)
}

// Asked passes on what the source wants to be remembered.
func (r reading) Asked() []audit.Asked {
	if s, ok := r.Source.(interface{ Asked() []audit.Asked }); ok {
		return s.Asked()
	}
	return nil
}

// foreseeing is a source that fetches answers before their turn. It takes note of what
// was foreseen, and of what was asked then.
type foreseeing struct {
	collect.Prefetcher
	p *process
	// next is what was foreseen last, nil for nothing.
	next *audit.Query
}

func (f *foreseeing) Page(ctx context.Context, q audit.Query) (audit.Page, error) {
	f.asked(q)
	return f.Prefetcher.Page(ctx, q)
}

func (f *foreseeing) Prefetch(ctx context.Context, q audit.Query, next func(oldest int64) (audit.Query, bool)) (audit.Page, error) {
	f.asked(q)
	return f.Prefetcher.Prefetch(ctx, q, func(oldest int64) (audit.Query, bool) {
		q, ok := next(oldest)
		if ok {
			f.next = &q
			f.p.foreseen.Add(1)
		}
		return q, ok
	})
}

func (f *foreseeing) asked(q audit.Query) {
	if f.next != nil && *f.next == q {
		f.next = nil
		f.p.early.Add(1)
	}
}

// Failures of a commit: of one that was not made, and of one that was made
// although it said otherwise.
var (
	errNoCommit = errors.New("the commit failed")
	errUnsure   = errors.New("the commit failed in its last step")
)

// stateOf is the state as a process sees it.
type stateOf struct {
	*state.Store
	p      *process
	failed error
}

func (s *stateOf) turn(op string) error {
	if err := s.p.w.turns.ask(s.p, "state "+op); err != nil {
		return err
	}
	return s.failed
}

func (s *stateOf) Position() (audit.Position, error) {
	if err := s.turn("Position"); err != nil {
		return audit.Position{}, err
	}
	return s.Store.Position()
}

func (s *stateOf) Batch() (audit.Batch, bool, error) {
	if err := s.turn("Batch"); err != nil {
		return audit.Batch{}, false, err
	}
	return s.Store.Batch()
}

func (s *stateOf) SeenAt(millis []int64) ([]audit.Seen, error) {
	if err := s.turn("SeenAt"); err != nil {
		return nil, err
	}
	return s.Store.SeenAt(millis)
}

func (s *stateOf) NextSeen(ms int64) (int64, bool, error) {
	if err := s.turn("NextSeen"); err != nil {
		return 0, false, err
	}
	return s.Store.NextSeen(ms)
}

func (s *stateOf) Commit(c audit.Change) error {
	err := s.turn("Commit")
	if err == nil || errors.Is(err, errUnsure) {
		if bad := s.Store.Commit(c); bad != nil {
			return bad
		}
		s.p.s.committed(s.p, c)
	}
	if err != nil && s.failed == nil {
		s.failed = err
	}
	return err
}
