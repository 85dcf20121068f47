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
	q      audit.Query
	cancel context.CancelFunc
	// ended is closed when v, err and took are there.
	ended chan struct{}
	v     view
	err   error
	took  time.Duration
}

// askAhead begins to ask q.
func (w *walk) askAhead(ctx context.Context, q audit.Query) {
	ctx, cancel := context.WithCancel(ctx)
	a := &ahead{q: q, cancel: cancel, ended: make(chan struct{})}
	w.next = a
	go func() {
		defer close(a.ended)
		began := w.c.o.Now()
		a.v, a.err = w.c.ask(ctx, q)
		a.took = w.c.o.Now().Sub(began)
	}()
}

// ask is the answer to q, asked ahead or now.
func (w *walk) ask(ctx context.Context, q audit.Query) (view, error) {
	if a := w.next; a != nil && a.q == q {
		<-a.ended
		a.cancel()
		w.next, w.pace, w.c.pace = nil, a.took, a.took
		return a.v, a.err
	}
	w.settle()
	began := w.c.o.Now()
	v, err := w.c.ask(ctx, q)
	w.pace = w.c.o.Now().Sub(began)
	w.c.pace = w.pace
	return v, err
}

// settle gives up what was asked ahead.
func (w *walk) settle() {
	if w.next != nil {
		w.next.cancel()
		<-w.next.ended
		w.next = nil
	}
}

// affords reports whether there is time for another page after this one, so that
// one asked ahead will hardly have been asked in vain.
func (w *walk) affords() bool {
	return w.soft.Sub(w.c.o.Now()) > 3*w.pace+100*time.Millisecond
}
