package collect

import (
	"context"
	"time"

	"atlassian_audit_records/pkg/audit"
)

const (
	// slack is asked for beyond both ends of what is wanted, for sources whose
	// bounds are exclusive or whole seconds; in milliseconds.
	slack = 2000
	// jump is the least empty span in a page that is looked at twice.
	jump = int64(time.Minute / time.Millisecond)
)

// shortestRetention is the least time for which Atlassian keeps audit records:
// a month is the lowest setting that is documented.
const shortestRetention = 30 * 24 * time.Hour

// walk reads a span of time from its upper end down, page by page, and commits
// each page. It trusts nothing that it can check.
type walk struct {
	c    *Collector
	over func() bool
	// soft is the end of the walk's time, share how long it was given.
	soft  time.Time
	share time.Duration
	// next is the page asked for ahead, nil for none; pace is how long the last
	// answer took.
	next *ahead
	pace time.Duration
	// early bounds what is asked before its turn, endEarly ends it.
	early    context.Context //nolint:containedctx // it outlives the call that makes it
	endEarly context.CancelFunc
	// lo is the lowest millisecond wanted. Everything above pivot is read; pivot
	// itself and what lies below is not. A live walk begins at Forever.
	lo, pivot int64
	live      bool
	// look is the upper end of the look-back that a live walk owes, Forever for
	// none.
	look int64
	// top is the pivot with which a walk that is not live began.
	top int64
	// widen asks for the whole second of the pivot, since the source was seen,
	// or must be feared, not to take milliseconds at their word.
	widen bool
	// anchor is a known millisecond at or above the pivot that the first answer
	// must show; anchored is false when there is none.
	anchor   int64
	anchored bool
	// expect are the groups that the last page showed at the pivot.
	expect map[group]int
	// known is the oldest record remembered from lo on: a page that shows it
	// reaches down to where only late records can be.
	known   int64
	isKnown bool
	// ended is the length of a short page that nothing came after: a shorter one
	// below it need only confirm that the pivot is the last. 0 is none.
	ended int
	// again is true for a span that is read once more: it is read with more care.
	again bool
	// newest is the upper end of coverage that the walk found.
	newest   int64
	isNewest bool
}

// question asks for what lies below the pivot, the pivot included.
func (w *walk) question() audit.Query {
	q := audit.Query{From: w.lo - slack}
	if w.live && w.pivot == audit.Forever {
		return q
	}
	q.Bounded, q.To = true, w.pivot
	if w.anchored && w.expect == nil {
		q.To = max(q.To, w.anchor)
	}
	if w.widen {
		q.To = endOfSecond(q.To)
	}
	return q
}

func endOfSecond(ms int64) int64 {
	s := ms / 1000
	if ms < 0 && ms%1000 != 0 {
		s--
	}
	return (s + 1) * 1000
}

// run walks until the span is read, or the budget is over; done tells which. The
// budget is looked at after each commit, so that every run makes headway.
func (w *walk) run(ctx context.Context) (done bool, err error) {
	defer w.settle()
	for q := w.question(); ; q = w.question() {
		v, err := w.ask(ctx, q)
		if err != nil {
			return false, err
		}
		switch {
		case len(v.records) == 0:
			if w.live && w.pivot == audit.Forever {
				return w.nothing()
			}
			if !w.widen {
				w.widen = true
				continue
			}
			return w.drain(ctx)
		case !v.dated:
			return w.drain(ctx)
		case !v.descending || q.Bounded && v.first > q.To+1000:
			w.c.distrust()
			return w.drain(ctx)
		case !w.honest(v):
			if !w.widen {
				w.widen = true
				continue
			}
			return w.drain(ctx)
		}
		done, err := w.step(ctx, q, v)
		if done || err != nil || w.over() {
			return done, err
		}
		if w.c.p.Slice != 0 {
			return w.drain(ctx)
		}
	}
}

// honest reports whether the page shows what is known to be there: the records
// of the pivot as far as they fit, or the anchor.
func (w *walk) honest(v view) bool {
	if w.live && w.pivot == audit.Forever {
		return true
	}
	if w.expect == nil {
		return !w.anchored || v.shows(w.anchor) || v.oldest > w.anchor
	}
	if v.oldest >= w.pivot {
		// The millisecond may go on; block looks at all of it.
		return v.oldest > w.pivot || len(v.at(w.pivot)) > 0
	}
	return covers(v.at(w.pivot), w.expect)
}

// covers reports whether got holds at least what is wanted.
func covers(got, want map[group]int) bool {
	for g, n := range want {
		if got[g] < n {
			return false
		}
	}
	return true
}

// step takes one page that passed the checks.
func (w *walk) step(ctx context.Context, q audit.Query, v view) (done bool, err error) {
	bottom := v.oldest < w.lo
	leaves := v.oldest < w.pivot || w.live && w.pivot == audit.Forever
	switch {
	case leaves && bottom:
		return true, w.take(v, w.lo, true)
	case leaves && v.full:
		if hidden, err := w.hides(ctx, v); err != nil || hidden {
			return false, err
		}
		if hidden, err := w.overlooks(ctx, q, v); err != nil || hidden {
			return false, err
		}
		if w.affords() {
			below := *w
			below.pivot, below.expect = v.oldest, v.at(v.oldest)
			w.askAhead(ctx, below.question(), below.foresee())
		}
		return false, w.take(v, v.oldest, false)
	case leaves:
		return w.short(ctx, q, v)
	case !v.full && len(v.records) < w.ended && covers(v.at(w.pivot), w.expect):
		// The page above was short, nothing came after it, and asked again its
		// last millisecond is all that is left.
		return true, w.take(v, w.lo, true)
	case !v.full:
		return w.last(ctx, q, v)
	default:
		return w.block(ctx, q)
	}
}

// last takes a short page that shows nothing below the pivot. If nothing comes
// after it, the walk ends there.
func (w *walk) last(ctx context.Context, q audit.Query, v view) (done bool, err error) {
	from := q
	q.Offset = len(v.records)
	// An empty list may be false: it is asked for twice.
	for range 2 {
		after, err := w.c.ask(ctx, q)
		if err != nil {
			return false, err
		}
		if len(after.records) > 0 || !covers(v.at(w.pivot), w.expect) {
			return w.block(ctx, from)
		}
	}
	return true, w.take(v, w.lo, true)
}

// short takes a page with fewer records than the source gives. That proves
// nothing: what comes after it is asked for.
func (w *walk) short(ctx context.Context, q audit.Query, v view) (done bool, err error) {
	q.Offset = len(v.records)
	after, err := w.c.ask(ctx, q)
	if err == nil && after.print() == v.print() && !allTwins(v) {
		// The same page again is no answer: what lies below is asked for by time.
		w.ended = len(v.records)
		return false, w.take(v, v.oldest, false)
	}
	switch {
	case err != nil:
		// What the page showed is complete above its last millisecond.
		if takeErr := w.take(v, v.oldest, false); takeErr != nil {
			return false, takeErr
		}
		return false, err
	case len(after.records) > 0:
		// The page was clamped, or grew while it was read.
		w.c.learned, w.ended = len(v.records), 0
		if after.newest > v.oldest && !v.holds(after.from(v.oldest+1)) {
			w.c.distrust()
			return false, nil
		}
		if hidden, err := w.hides(ctx, v); err != nil || hidden {
			return false, err
		}
		return false, w.take(v, v.oldest, false)
	case w.isKnown && v.shows(w.known):
		return true, w.take(v, w.lo, true)
	}
	if w.live && w.isKnown && w.c.p.UpperSet && !w.missing() {
		// Known records that the answer reaches back over are not in it.
		return true, w.c.deliver(v.from(w.lo))
	}
	w.ended = len(v.records)
	return false, w.take(v, v.oldest, false)
}

// take commits what the page shows from low on: low itself is complete when the
// walk ends there, else it becomes the pivot.
func (w *walk) take(v view, low int64, end bool) error {
	from := low
	if !end {
		from = low + 1
	}
	wanted := w.wanted(v.from(max(from, w.lo)))
	out, goneOnes, err := w.c.sift(wanted)
	if err != nil {
		return err
	}
	if ms, ok := v.newestCovering(); ok && (!w.isNewest || ms > w.newest) {
		w.newest, w.isNewest = ms, true
	}
	next := w.c.p
	if w.live {
		next = w.c.raise(next, w.newest, w.isNewest)
	}
	upper := audit.Forever
	if w.pivot != audit.Forever {
		upper = w.pivot + 1
	}
	next = complete(next, audit.Interval{From: from, To: upper}, low, !end)
	if end && w.live {
		next.LiveAt, next.MissingSince = w.c.o.Now().UnixMilli(), 0
	}
	if len(out) > 0 || len(goneOnes) > 0 || !same(w.c.durable, next) {
		if err := w.c.emit(next, out, goneOnes); err != nil {
			return err
		}
	} else {
		// Nothing that would be worth a write.
		w.c.p = next
	}
	w.c.summary.Duplicates += len(wanted) - len(out)
	if !end {
		w.expect, w.pivot = v.at(low), low
	}
	return nil
}

// hides looks into an unusually long empty span of a full page: a source that
// answers in the order of insertion may have put a late record there, and what
// lies between it and its neighbour would never be asked for.
func (w *walk) hides(ctx context.Context, v view) (bool, error) {
	var above, below int64
	last := v.first
	for _, r := range v.records {
		if r.Dated && r.Millis >= w.lo && last-r.Millis > above-below {
			above, below = last, r.Millis
		}
		if r.Dated {
			last = r.Millis
		}
	}
	if span := above - below; span < jump || span <= (v.first-v.oldest)/2 {
		return false, nil
	}
	inside, err := w.c.ask(ctx, audit.Query{From: below + slack, To: above - slack, Bounded: true})
	if err != nil {
		return false, err
	}
	for _, r := range inside.records {
		if r.Dated && below < r.Millis && r.Millis < above {
			w.c.distrust()
			return true, nil
		}
	}
	return false, nil
}

// overlooks asks, where a span is read again, whether the page showed all that
// lies above its lower end: what a source in the order of insertion puts behind
// the page would be asked for neither by this walk nor by the next.
func (w *walk) overlooks(ctx context.Context, q audit.Query, v view) (bool, error) {
	from := v.oldest + slack
	shown := 0
	for _, r := range v.records {
		if r.Dated && r.Millis >= from {
			shown++
		}
	}
	if !w.again || shown == 0 {
		return false, nil
	}
	behind, err := w.c.ask(ctx, audit.Query{From: from, To: q.To, Bounded: q.Bounded, Offset: shown})
	if err != nil {
		return false, err
	}
	above := behind.from(from)
	if len(above) == 0 || v.holds(above) {
		return false, nil
	}
	w.c.distrust()
	return true, nil
}

// nothing takes an empty answer to the live question: it moves nothing.
func (w *walk) nothing() (bool, error) {
	c := w.c
	now := c.o.Now().UnixMilli()
	if w.isKnown && now-w.known < shortestRetention.Milliseconds() {
		c.suspect("the answer was empty although it reaches back over records that are known")
		if c.p.MissingSince == 0 {
			c.p.MissingSince = now
		}
		return true, nil
	}
	c.p.LiveAt = now
	c.summary.LiveDone = true
	return true, c.Save()
}
