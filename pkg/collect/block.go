package collect

import (
	"context"
	"errors"
	"maps"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// errRestless says that no two readings of the same records agreed.
var errRestless = errors.New("the records of one moment changed each time they were read; the next run reads them again")

const (
	// attempts is how often the same records are read before a run gives up.
	attempts = 25
	// quietPasses is after how many readings that showed nothing new nothing
	// new is expected any more.
	quietPasses = 4
)

// block reads a millisecond that is larger than a page: by offset, until a page
// leaves it. Records with ids are committed page by page; those without are
// counted, and emitted when two countings agree. The budget never cuts it.
func (w *walk) block(ctx context.Context, q audit.Query) (done bool, err error) {
	at := func(r audit.Record) bool { return !r.Dated || r.Millis >= w.pivot }
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
	err = w.c.gather(ctx, q, at, leaves)
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
	case leaving.oldest >= w.pivot:
		return true, w.take(view{descending: true}, w.lo, true)
	case leaving.oldest < w.lo:
		return true, w.take(leaving, w.lo, true)
	}
	return false, w.take(leaving, leaving.oldest, false)
}

// errDisorder stops a reading that relies on order, errCut one whose time is over.
var (
	errDisorder = errors.New("records are not in order")
	errCut      = errors.New("the time of this run is over")
)

// gather delivers every record of q that is wanted, without moving coverage.
// leaves sees each page and says whether it is the last.
//
// Paging by offset shows a record twice, and hides another, when something is
// inserted meanwhile or ties change their order. So a reading is only believed
// when it shows as many records as there are different ones, or when nothing
// new turned up several times; records without ids, of which two may be alike,
// when each page's own count adds up, or when two readings in a row agree.
func (c *Collector) gather(ctx context.Context, q audit.Query, wanted func(audit.Record) bool, leaves func(view) (bool, error)) error {
	g := &gathering{c: c, wanted: wanted, leaves: leaves}
	g.forget()
	for n := range attempts {
		if n == 1 && !q.Bounded && g.isNewest {
			// What arrives while it is read would shift it for ever.
			q.Bounded, q.To = true, endOfSecond(g.newest)
			g.forget()
		}
		known := len(g.ids)
		if err := g.pass(ctx, q, nil); err != nil {
			return err
		}
		if len(g.ids) > known {
			g.quiet = 0
		} else {
			g.quiet++
		}
		if len(g.ids) < g.idsShown && g.quiet < quietPasses {
			continue
		}
		agreed, ok := g.agreed()
		if !ok {
			continue
		}
		if len(agreed) == 0 {
			return nil
		}
		return g.handOut(ctx, q, agreed)
	}
	return errRestless
}

// gathering is what is known of the records of a question after some readings.
type gathering struct {
	c      *Collector
	wanted func(audit.Record) bool
	leaves func(view) (bool, error)
	// ids are the records with ids that any reading showed, idsShown how many
	// the last one did, quiet the readings since ids grew.
	ids      map[audit.Seen]struct{}
	idsShown int
	quiet    int
	// counts is the last reading's count of the others, before the one before;
	// floor what single pages prove to be there.
	counts, before, floor tally
	othersShown           int
	newest                int64
	isNewest              bool
}

func (g *gathering) forget() {
	g.ids, g.floor, g.counts, g.before = map[audit.Seen]struct{}{}, tally{}, nil, nil
	g.quiet = 0
}

// pass reads once. Records with ids are delivered as they come; of the others
// hand, if it is there, takes those to be emitted.
func (g *gathering) pass(ctx context.Context, q audit.Query, hand func([]audit.Record) error) error {
	g.before, g.counts = g.counts, tally{}
	g.idsShown, g.othersShown = 0, 0
	return g.c.read(ctx, q, func(v view) (bool, error) {
		stop, err := g.leaves(v)
		if err != nil {
			return true, err
		}
		if ms, ok := v.newestCovering(); ok && (!g.isNewest || ms > g.newest) {
			g.newest, g.isNewest = ms, true
		}
		var ids, others []audit.Record
		page := tally{}
		for _, r := range v.records {
			switch {
			case !g.wanted(r):
			case r.ID != "":
				ids = append(ids, r)
				g.ids[r.Seen()] = struct{}{}
			default:
				others = append(others, r)
				page[r.Seen()]++
			}
		}
		g.idsShown += len(ids)
		g.othersShown += len(others)
		for s, n := range page {
			g.counts[s] += n
			g.floor[s] = max(g.floor[s], n)
		}
		if err := g.c.deliver(ids); err != nil {
			return true, err
		}
		if hand != nil {
			if err := hand(others); err != nil {
				return true, err
			}
		}
		return stop, nil
	})
}

// agreed is the count of the records without ids, if it can be believed.
func (g *gathering) agreed() (tally, bool) {
	sum := 0
	for _, n := range g.floor {
		sum += n
	}
	switch {
	case sum == g.othersShown:
		return maps.Clone(g.floor), true
	case maps.Equal(g.counts, g.before):
		return g.counts, true
	}
	return nil, false
}

// handOut emits what the count says is new, reading until all of it was found.
func (g *gathering) handOut(ctx context.Context, q audit.Query, agreed tally) error {
	m, err := g.c.recall(millisOf(agreed))
	if err != nil {
		return err
	}
	want, goneOnes := m.plan(agreed)
	left := 0
	for _, n := range want {
		left += n
	}
	g.c.summary.Duplicates += g.othersShown - left
	if left == 0 {
		return nil
	}
	for range attempts {
		err := g.pass(ctx, q, func(others []audit.Record) error {
			var out []fresh
			for _, r := range others {
				if f, ok := m.take(r, want); ok {
					out = append(out, f)
				}
			}
			if len(out) == 0 {
				return nil
			}
			tombs := goneOnes
			goneOnes = nil
			left -= len(out)
			return g.c.emit(g.c.p, out, tombs)
		})
		if err != nil || left == 0 {
			return err
		}
	}
	return errRestless
}

func millisOf(t tally) []int64 {
	out := make([]int64, 0, len(t))
	for s := range t {
		out = append(out, s.Millis)
	}
	return out
}

// deliver emits what is new among the records and covers nothing.
func (c *Collector) deliver(records []audit.Record) error {
	out, goneOnes, err := c.sift(records)
	if err != nil {
		return err
	}
	c.summary.Duplicates += len(records) - len(out)
	if len(out) == 0 && len(goneOnes) == 0 {
		return nil
	}
	return c.emit(c.p, out, goneOnes)
}

// century is longer than any span that is read.
const century = 100 * int64(366*24*time.Hour/time.Millisecond)

// distrust remembers that the order of the source cannot be relied on.
func (c *Collector) distrust() {
	if c.p.Slice == 0 {
		c.p.Slice = century
	}
	c.notice("the answers were not in order of time: this stream is read by counting pages, which costs more requests; nothing is lost by it")
}

// drain reads what is left of the span without relying on order or bounds: by
// offset until nothing more comes, in slices that fit into a run.
func (w *walk) drain(ctx context.Context) (done bool, err error) {
	c := w.c
	for {
		low, q, err := w.slice()
		if err != nil {
			return false, err
		}
		var newest int64
		var isNewest, shown bool
		must, isMust, err := w.mustShow(low)
		if err != nil {
			return false, err
		}
		wanted := func(r audit.Record) bool { return !r.Dated || r.Millis >= w.lo }
		err = c.gather(ctx, q, wanted, func(v view) (bool, error) {
			if ms, ok := v.newestCovering(); ok && (!isNewest || ms > newest) {
				newest, isNewest = ms, true
			}
			shown = shown || isMust && v.shows(must)
			if w.over() {
				return true, errCut
			}
			return false, nil
		})
		if errors.Is(err, errCut) {
			// Less at once next time, or it would be cut again.
			next := c.p
			next.Slice = max(1000, min(w.upper(newest, isNewest)-low, w.length())/2)
			return false, c.commit(next, nil, nil)
		}
		if err != nil {
			return false, err
		}
		if isMust && !shown && !w.missing() {
			return true, nil
		}
		if w.live && !isNewest {
			if low == w.lo {
				return w.nothing()
			}
			c.p.Slice = min(century, 2*w.length())
			continue
		}
		next := c.p
		upper := audit.Forever
		if w.live {
			next = c.raise(next, newest, isNewest)
		}
		if w.pivot != audit.Forever {
			upper = w.pivot + 1
		}
		next = complete(next, audit.Interval{From: low, To: upper}, 0, false)
		if w.live && w.pivot == audit.Forever {
			next.LiveAt, next.MissingSince = c.o.Now().UnixMilli(), 0
			c.summary.LiveDone = true
		}
		c.p = next
		if err := c.Save(); err != nil {
			return false, err
		}
		if low == w.lo {
			return true, nil
		}
		w.pivot, w.expect, w.anchored = low-1, nil, false
		if w.over() {
			return false, nil
		}
	}
}

// slice is the upper part of the span that is read at once, and its question.
func (w *walk) slice() (low int64, q audit.Query, err error) {
	if w.pivot == audit.Forever {
		low = max(w.lo, w.c.o.ServerNow().UnixMilli()-w.length())
		return low, audit.Query{From: low - slack}, nil
	}
	low = max(w.lo, w.pivot+1-w.length())
	to, ok, err := w.c.state.NextSeen(w.pivot)
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
	if w.pivot != audit.Forever {
		return w.c.state.NextSeen(w.pivot)
	}
	ms, ok, err := w.c.state.NextSeen(low)
	return ms, ok && w.c.p.UpperSet && ms <= w.c.p.Upper, err
}

func (w *walk) upper(newest int64, isNewest bool) int64 {
	switch {
	case w.pivot != audit.Forever:
		return w.pivot + 1
	case isNewest:
		return newest + 1
	}
	return w.c.o.ServerNow().UnixMilli()
}
