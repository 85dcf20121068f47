package collect

import (
	"context"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// ahead is a page that is asked for while the one before it is committed: the
// answer takes its time, and so does the disk. It changes nothing of what a
// walk does, only when it asks; nobody else may ask meanwhile.
type ahead struct {
	q audit.Query
	// ended is closed when v, err and took are there.
	ended chan struct{}
	v     view
	err   error
	took  time.Duration
}

// askAhead begins to ask q.
func (w *walk) askAhead(ctx context.Context, q audit.Query, next foresight) {
	ctx = w.until(ctx)
	a := &ahead{q: q, ended: make(chan struct{})}
	w.next = a
	go func() {
		defer close(a.ended)
		began := w.c.o.Now()
		a.v, a.err = w.c.askAnd(ctx, q, next)
		a.took = w.c.o.Now().Sub(began)
	}()
}

// ask is the answer to q, asked ahead or now.
func (w *walk) ask(ctx context.Context, q audit.Query) (view, error) {
	if a := w.next; a != nil && a.q == q {
		<-a.ended
		w.next, w.pace, w.c.pace = nil, a.took, a.took
		return a.v, a.err
	}
	if w.next != nil {
		w.settle()
	}
	began := w.c.o.Now()
	v, err := w.c.askAnd(w.until(ctx), q, w.foresee())
	w.pace = w.c.o.Now().Sub(began)
	w.c.pace = w.pace
	return v, err
}

// until is what bounds all that is asked before its turn.
func (w *walk) until(ctx context.Context) context.Context {
	if w.early == nil {
		w.early, w.endEarly = context.WithCancel(ctx)
	}
	return w.early
}

// settle gives up what was asked before its turn.
func (w *walk) settle() {
	if w.early == nil {
		return
	}
	w.endEarly()
	if w.next != nil {
		<-w.next.ended
	}
	if s, ok := w.c.source.(Prefetcher); ok {
		s.Settle()
	}
	w.next, w.early, w.endEarly = nil, nil, nil
}

// foresight says what is asked after a page that ends at a millisecond.
type foresight = func(oldest int64) (audit.Query, bool)

// foresee is what is likely to be asked after the page that is asked for now: what
// lies below it, where the page above it was a full one.
func (w *walk) foresee() foresight {
	if w.expect == nil || w.ended != 0 || w.again || w.c.p.Slice != 0 {
		return nil
	}
	now := *w
	return func(oldest int64) (audit.Query, bool) {
		if oldest >= now.pivot || oldest < now.lo || !now.affords() {
			return audit.Query{}, false
		}
		now.pivot = oldest
		return now.question(), true
	}
}

// affords reports whether there is time for another page after this one, so that
// one asked ahead will hardly have been asked in vain.
func (w *walk) affords() bool {
	return w.soft.Sub(w.c.o.Now()) > 3*w.pace+100*time.Millisecond
}
