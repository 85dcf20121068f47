package collect

import (
	"context"
	"errors"
	"time"

	"atlassian_audit_records/pkg/audit"
)

const (
	// century is longer than any span that is read.
	century = 100 * int64(366*24*time.Hour/time.Millisecond)
	// sliver is the length of a slice that the budget does not cut.
	sliver = int64(time.Minute / time.Millisecond)
	// most is how many records a slice may hold, for all are remembered while it
	// is read.
	most = 40_000
)

// distrust remembers that the order of the source cannot be relied on. What was
// read in good faith is read again, as far as it is remembered.
func (c *Collector) distrust() {
	if c.p.Slice == 0 {
		c.p.Slice = century
		c.p = doubted(c.p)
	}
	c.notice("the answers were not in order of time: this stream is read by counting pages, which costs more requests; nothing is lost by it")
}

// drain reads what is left of the span without relying on order or bounds: by
// offset until nothing more comes, in slices that fit into a run. A slice that
// was cut is halved, one that took little of the run, or was a single page, is
// doubled. Of the live edge only the upper end is drained: what lies below is
// owed, and Rest reads it.
func (w *walk) drain(ctx context.Context) (done bool, err error) {
	w.settle()
	if w.live && w.pivot != audit.Forever {
		return true, nil
	}
	// The first slice makes headway even where the budget is over already.
	spare := w.over()
	for {
		length := w.length()
		if w.live {
			// All of it; after a look-back that was too much it is only what is new.
			length, spare = century, spare || w.c.p.LookCut
		}
		part, err := w.part(ctx, length, spare)
		if errors.Is(err, errCut) || err != nil && ctx.Err() != nil {
			return false, w.cut(part, err)
		}
		if err != nil {
			return false, err
		}
		if part.hides && !w.missing() {
			return true, nil
		}
		if w.live && !part.isNewest {
			return w.nothing()
		}
		if err := w.drained(part); err != nil {
			return false, err
		}
		if w.live || part.low == w.lo {
			return true, nil
		}
		w.pivot, w.expect, w.anchored = part.low-1, nil, false
		if spare = false; w.over() {
			return false, nil
		}
	}
}

// part is a slice that was read, as far as it was.
type part struct {
	low, length int64
	newest      int64
	isNewest    bool
	// hides is true when a known record was not shown.
	hides bool
	took  time.Duration
	pages int
}

// part reads one slice of the given length below the pivot.
func (w *walk) part(ctx context.Context, length int64, spare bool) (p part, err error) {
	low, q, err := w.slice(length)
	if err != nil {
		return p, err
	}
	must, isMust, err := w.mustShow(low)
	if err != nil {
		return p, err
	}
	began, shown, seen, pages := w.c.o.Now(), false, 0, 0
	wanted := func(r audit.Record) bool { return !r.Dated || r.Millis >= w.lo && w.wants(r) }
	p = part{low: low, length: length}
	p.newest, p.isNewest, err = w.c.gather(ctx, q, wanted, func(v view) (bool, error) {
		shown = shown || isMust && v.shows(must)
		seen += len(v.records)
		pages++
		if length > sliver && (!spare && w.over() || seen > most) {
			return true, errCut
		}
		return false, nil
	})
	p.hides, p.took, p.pages = isMust && !shown, w.c.o.Now().Sub(began), pages
	if err == nil && w.c.past && !isMust && seen == 0 {
		p.hides, err = w.denies(ctx)
	}
	return p, err
}

// cut takes a slice that was more than a run can read: less at once next time.
// The newest record that it showed becomes the upper end, so that what lies
// below it is a gap like any other.
func (w *walk) cut(p part, why error) error {
	next := w.c.p
	if w.live {
		next = w.c.raise(next, p.newest, p.isNewest)
		next.LookCut = next.LookCut || w.look != audit.Forever
	} else {
		next.Slice = max(1000, min(w.pivot+1-p.low, p.length)/2)
	}
	if err := w.c.commit(next); err != nil {
		return err
	}
	if errors.Is(why, errCut) {
		return nil
	}
	return why
}

// drained commits a slice that was read to its end.
func (w *walk) drained(p part) error {
	c := w.c
	next, upper := c.p, audit.Forever
	if w.live {
		next = c.raise(next, p.newest, p.isNewest)
		next.LiveAt, next.MissingSince = c.o.Now().UnixMilli(), 0
		c.summary.LiveDone = true
	} else {
		upper = w.pivot + 1
	}
	next = complete(next, audit.Interval{From: p.low, To: upper}, 0, false)
	if !w.live && next.Slice != 0 && (p.took < w.share/4 || p.pages <= 1) {
		next.Slice = min(century, 2*p.length)
	}
	c.p = next
	return c.Save()
}

// slice is the upper part of the span that is read at once, and its question.
func (w *walk) slice(length int64) (low int64, q audit.Query, err error) {
	if w.live {
		low = max(w.lo, w.c.o.ServerNow().UnixMilli()-length)
		return low, audit.Query{From: low - slack}, nil
	}
	low = max(w.lo, w.pivot+1-length)
	to, ok, err := w.near()
	if !ok {
		to = w.pivot
	}
	return low, audit.Query{From: low - slack, To: endOfSecond(to), Bounded: true}, err
}

// length is how much time is read at once.
func (w *walk) length() int64 {
	if w.c.p.Slice == 0 {
		return century
	}
	return w.c.p.Slice
}

// mustShow is a known millisecond that a reading of the slice has to show.
func (w *walk) mustShow(low int64) (int64, bool, error) {
	if !w.live {
		return w.near()
	}
	ms, ok, err := w.c.nextSeen(low)
	return ms, ok && w.c.p.UpperSet && ms <= w.c.p.Upper, err
}
