package collect

import (
	"context"
	"errors"

	"atlassian_audit_records/pkg/audit"
)

// block reads a millisecond that is larger than a page: by offset, until a page
// leaves it. Records with ids are committed page by page; those without are
// counted, and emitted when two countings agree. The budget never cuts it.
func (w *walk) block(ctx context.Context, q audit.Query) (done bool, err error) {
	at := func(r audit.Record) bool { return !r.Dated || r.Millis >= w.pivot && w.wants(r) }
	var leaving view
	shown := map[group]int{}
	leaves := func(v view) (bool, error) {
		if !v.dated || !v.descending {
			return true, errDisorder
		}
		for g, n := range v.at(w.pivot) {
			shown[g] += n
		}
		leaving = v
		return v.oldest < w.pivot, nil
	}
	_, _, err = w.c.gather(ctx, q, at, leaves)
	switch {
	case errors.Is(err, errDisorder):
		w.c.distrust()
		return w.drain(ctx)
	case err != nil:
		return false, err
	case !covers(shown, w.expect):
		if w.widen {
			return w.drain(ctx)
		}
		w.widen = true
		return false, nil
	case !leaving.dated || leaving.oldest >= w.pivot:
		// Nothing came any more. Empty lists may be false, so what lies below is
		// asked for in another way before the walk ends here.
		below, err := w.c.ask(ctx, audit.Query{From: w.lo - slack, To: w.pivot - 1, Bounded: true})
		if err != nil {
			return false, err
		}
		if !leaving.dated || below.dated && below.newest >= w.lo {
			return false, errFalse
		}
		return true, w.take(view{descending: true}, w.lo, true)
	case leaving.oldest < w.lo:
		return true, w.take(leaving, w.lo, true)
	}
	if hidden, err := w.hides(ctx, leaving); err != nil || hidden {
		return false, err
	}
	if skipped, err := w.skips(ctx, leaving); err != nil || skipped {
		return false, err
	}
	return false, w.take(leaving, leaving.oldest, false)
}

// skips asks, where a span is read again, for what lies between the pivot and the
// end of the page that left it: a source in the order of insertion may show that
// behind the page, where neither this walk nor the next would ask for it.
func (w *walk) skips(ctx context.Context, v view) (bool, error) {
	from, to := v.oldest+slack, w.pivot-slack
	if !w.again || from >= to {
		return false, nil
	}
	between, err := w.c.ask(ctx, audit.Query{From: from, To: to, Bounded: true})
	if err != nil {
		return false, err
	}
	for _, r := range between.records {
		if r.Dated && r.Millis > v.oldest && r.Millis < w.pivot && !v.holds([]audit.Record{r}) {
			w.c.distrust()
			return true, nil
		}
	}
	return false, nil
}

// errDisorder stops a reading that relies on order, errCut one whose time is
// over; errFalse says that a list was empty that cannot have been.
var (
	errDisorder = errors.New("records are not in order")
	errCut      = errors.New("the time of this run is over")
	errFalse    = errors.New("an answer was empty although there are records: nothing is taken as read, and the next run asks again")
)
