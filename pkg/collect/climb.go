package collect

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"atlassian_audit_records/pkg/audit"
)

const (
	day = int64(24 * time.Hour / time.Millisecond)
	// settled is how old an event must be for a cursor to have to show it: younger
	// ones may have come between two answers.
	settled = int64(time.Minute / time.Millisecond)
	// mostDisorder is the disorder up to which the order of a log is made use of.
	// Beyond it spans are read with an upper bound, to their end.
	mostDisorder = int64(time.Hour / time.Millisecond)
	// patient is how often a page that came before, or one that is empty although
	// more should follow, is asked for again.
	patient = 3
	// never is before every time.
	never = math.MinInt64
)

// climb reads a log that is ordered by the time of processing, oldest first, by
// cursors. It is the counterpart of walk, and trusts as little: coverage is made
// of the times that pages show, never of a cursor, so that a cursor that is
// lost, refused, stuck or wrong costs requests and nothing else.
type climb struct {
	c    *Collector
	over func() bool
	// live climbs to the end of the log; else up to stop, the last millisecond
	// wanted. A known event stands at or above it.
	live bool
	stop int64
	// whole: the order says nothing, so that the span is asked for with its upper
	// bound, and is read when nothing more comes.
	whole bool
	// bottom is where a climb through a history begins: nothing below is its business.
	bottom int64
	// lo is the millisecond from which on nothing is covered yet by this climb.
	lo int64
	q  audit.Query
	// newest is the latest processing that was shown and is not after Atlassian's
	// clock, high the latest shown in its place, by which disorder is measured.
	newest   int64
	isNewest bool
	high     int64
	// print is of the page before, again how often it came once more, empty how
	// many pages in a row held nothing.
	print        uint64
	again, empty int
	// pages is how many were taken, full tells that the last one was.
	pages int
	full  bool
	// tried is where reading by time last took the place of a cursor. asking is true
	// while time is asked whether a cursor is dead.
	tried  int64
	asking bool
	// held is the question that time was asked in the place of.
	held audit.Query
	// moved is true once something was committed that the next run need not read
	// again: only then may the budget end the climb.
	moved bool
}

// liveUp reads the log from where its cursor stands to its end.
func (c *Collector) liveUp(ctx context.Context, soft time.Time) error {
	if c.p.UpperSet {
		c.lookBack()
	}
	w := &climb{c: c, over: c.after(soft), live: true, lo: c.p.CursorLow, high: never, tried: never}
	w.q = audit.Query{From: c.p.CursorFrom, Cursor: c.p.Cursor}
	if c.p.Cursor == "" {
		bottom, err := c.bottom(ctx)
		if err != nil {
			return c.unless(ctx, soft, err)
		}
		w.byTime(bottom)
	}
	// What else there is to say is about what Rest reads, and is saved with that.
	return together(c.unless(ctx, soft, w.run(ctx)), c.flush())
}

// unless is err, unless it only says that the time of the run is over.
func (c *Collector) unless(ctx context.Context, soft time.Time, err error) error {
	if ctx.Err() != nil && isCutShort(err, !c.o.Now().Before(soft)) {
		return nil
	}
	return err
}

// bottom is where the live edge begins when there is no cursor: a look-back
// below what was read last, or, the first time, below the newest event, so that
// what happens now does not wait for the history.
func (c *Collector) bottom(ctx context.Context) (int64, error) {
	look := c.o.Lookback.Milliseconds()
	if c.p.UpperSet {
		return max(c.p.Floor, c.p.Forgotten, c.p.Upper-look), nil
	}
	p, err := c.source.Page(ctx, audit.Query{From: c.p.Floor - slack, Limit: 1, Newest: true})
	if err != nil || len(p.Records) == 0 {
		return c.p.Floor, err
	}
	newest := p.Records[0].At()
	if newest > c.o.ServerNow().UnixMilli() {
		// A date in the future, or a wrong clock: it tells nothing.
		return c.p.Floor, nil
	}
	return max(c.p.Floor, newest-look), nil
}

// restUp reads the newest span that is still owed, as Rest does.
func (c *Collector) restUp(ctx context.Context, soft time.Time) (more bool, err error) {
	before := c.Position()
	for next := true; next; {
		iv, again, both := c.owedUp()
		if iv.Empty() {
			break
		}
		if both {
			// They take turns, so that neither starves.
			c.p.AgainNext = !c.p.AgainNext
		}
		if next, err = c.climb(ctx, soft, iv, again); err != nil {
			return true, together(c.unless(ctx, soft, err), c.Save())
		}
		next = next && !both
	}
	if err := c.Save(); err != nil {
		return false, err
	}
	if err := c.reconcile(); err != nil {
		return false, err
	}
	left, _, _ := c.owedUp()
	return !left.Empty() && !(slices.Equal(before.Covered, c.p.Covered) && slices.Equal(before.Recheck, c.p.Recheck)), nil
}

// climb reads the upper part of a span, as much as is read at once. next tells
// whether there is time for the one below it.
func (c *Collector) climb(ctx context.Context, soft time.Time, iv audit.Interval, again bool) (next bool, err error) {
	whole, length := c.p.Disorder >= mostDisorder, c.stride
	if whole && c.p.Slice != 0 {
		length = c.p.Slice
	}
	if (whole || !again) && iv.Length() > length {
		// The newest of it first, as far as a log allows that is read upwards.
		iv.From = iv.To - length
	}
	w := &climb{c: c, over: c.after(soft), stop: iv.To - 1, lo: iv.From, bottom: iv.From, whole: whole, high: never, tried: never}
	w.byTime(iv.From)
	began := c.o.Now()
	if again {
		// Pages that end elsewhere than the last time show what lay between two.
		defer c.trim()()
	}
	if err := w.run(ctx); err != nil {
		return false, err
	}
	cut := w.lo <= w.stop
	quick := w.pages <= 1 || c.o.Now().Sub(began) < soft.Sub(began)/4
	switch {
	case whole && cut:
		c.p.Slice = max(sliver, iv.Length()/2)
	case whole && quick:
		c.p.Slice = min(century, 2*length)
	case c.past && cut:
		c.stride = max(day, c.stride/2)
	case c.past && w.pages <= 1:
		c.stride = min(30*day, 2*c.stride)
	case !again && w.pages <= 1:
		c.stride *= 2
	}
	// A look-back that is more than a run can read waits until all else is read.
	c.p.LookCut = c.p.LookCut || again && cut
	return !again && !whole && !cut && !w.over(), nil
}

// trim makes pages a little shorter, by a number that differs from time to time,
// until the function that it answers is called.
func (c *Collector) trim() (restore func()) {
	size := c.limit
	if c.learned > 0 {
		size = min(size, c.learned)
	}
	c.less = c.limit - size + int(c.p.Upper/1000%97)*size/300
	return func() { c.less = 0 }
}

// owedUp is owed, without what the live edge is still to read: again tells
// whether it is to be read again, both that there is something of either kind.
func (c *Collector) owedUp() (iv audit.Interval, again, both bool) {
	if !c.p.UpperSet {
		return iv, false, false
	}
	all := audit.Interval{From: max(c.p.Floor, c.p.Forgotten), To: c.p.Upper + 1}
	if !c.summary.LiveDone && c.p.Cursor != "" {
		all.To = min(all.To, c.p.CursorLow)
	}
	once, isNever := c.p.Covered.Gaps(all).Last()
	twice, isTwice := c.p.Recheck.Within(all).Last()
	if isTwice && (c.p.AgainNext || !isNever) {
		return twice, true, isNever
	}
	return once, false, isNever && isTwice
}

// byTime asks without a cursor from ms on.
func (w *climb) byTime(ms int64) {
	w.q = audit.Query{From: ms - slack}
	if w.whole {
		w.q.Bounded, w.q.To = true, w.stop+slack
	}
	if w.pages == 0 {
		w.lo = ms
	}
}

// run reads page by page until the climb is at its end, or the budget is over.
func (w *climb) run(ctx context.Context) error {
	// Requests are rationed, so that no page is kept waiting for others.
	w.c.pace = prompt
	for {
		v, err := w.c.ask(ctx, w.q)
		var refused interface{ CursorRefused() bool }
		if w.q.Cursor != "" && errors.As(err, &refused) && refused.CursorRefused() {
			if err := w.leaveCursor(); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		done, err := w.step(v)
		if done || err != nil || (w.moved || w.whole && w.stop-w.lo >= sliver) && w.over() {
			return err
		}
	}
}

// step takes one page.
func (w *climb) step(v view) (done bool, err error) {
	c := w.c
	if w.live {
		c.shownTo = v.ceiling
	}
	if len(v.records) == 0 {
		if w.empty++; v.next != "" && v.next != w.q.Cursor && w.empty < patient {
			w.q.Cursor = v.next
			return false, nil
		}
		if w.whole && w.empty < 2 {
			// An empty list may be false: it is asked for twice.
			return false, nil
		}
		if w.q.Cursor != "" && w.full && !w.over() && w.askTime() {
			return false, nil
		}
		return true, w.end()
	}
	w.empty = 0
	shown := v.print()
	if w.pages > 0 && shown == w.print {
		if w.again++; w.again < patient {
			return false, nil
		}
		return false, w.leaveCursor()
	}
	if w.q.Cursor != "" && w.leadsBack(v) && w.leaveCursor() == nil {
		return false, nil
	}
	w.again, w.print, w.full = 0, shown, v.full
	w.pages++

	stuck := v.next != "" && v.next == w.q.Cursor && v.full
	last := v.next == "" || v.next == w.q.Cursor && !v.full
	before := w.newest
	ahead, disorder := w.measure(v)
	next := c.p
	alive := w.asking && w.newest <= before
	// A full page that ends where the cursor stood says nothing of what comes then.
	mute := alive && v.full && !last
	if w.asking && !alive && w.live {
		next.Cursor, next.CursorFrom, next.CursorLow = "", 0, 0
	}
	w.asking = false
	if disorder = min(disorder, mostDisorder); disorder > next.Disorder {
		next.Disorder = disorder
		if next.Disorder == mostDisorder {
			next = doubted(next)
		}
		c.notice("the events of the log were not in the order of their processing: more of it is read again, which costs more requests; nothing is lost by it")
	}
	if w.live {
		next = c.raise(next, w.newest, w.isNewest)
	}
	// What lies below is complete, as far as the order can be relied on.
	upper := w.lo
	switch {
	case w.whole:
		if last {
			upper = w.stop + 1
		}
	case !w.isNewest:
	case last && (w.live || w.newest >= w.stop):
		upper = w.newest + 1
	case next.Disorder >= mostDisorder:
	default:
		upper = max(upper, w.newest-2*next.Disorder)
	}
	if !w.live {
		done, upper = upper > w.stop, min(upper, w.stop+1)
	}
	next = complete(next, audit.Interval{From: w.lo, To: upper}, 0, false)
	if w.live {
		switch {
		case mute:
		case last || alive:
			next.LiveAt = c.o.Now().UnixMilli()
		case !ahead && !stuck:
			next.Cursor, next.CursorFrom, next.CursorLow = v.next, w.q.From, upper
			w.moved = true
		}
	}
	if upper > w.lo {
		w.lo, w.moved = upper, true
	}
	if err := w.take(v, next); err != nil {
		return false, err
	}
	switch {
	case done:
		return true, w.reached()
	case mute:
		w.q = w.held
		return false, nil
	case last || alive:
		return true, w.end()
	case stuck:
		return false, w.leaveCursor()
	}
	w.q.Cursor = v.next
	return false, nil
}

// measure looks at the times of a page: ahead reports events that are dated
// after Atlassian's clock, disorder by how much an event stood too late.
func (w *climb) measure(v view) (ahead bool, disorder int64) {
	for _, r := range v.records {
		at := r.At()
		switch {
		case at == audit.UndatedMillis || at < w.q.From-mostDisorder:
			// What was not asked for says nothing of the order.
			continue
		case at > v.ceiling:
			ahead = true
			continue
		}
		if w.high != never {
			disorder = max(disorder, w.high-at)
		}
		w.high = max(w.high, at)
		if !w.isNewest || at > w.newest {
			w.newest, w.isNewest = at, true
		}
	}
	return ahead, disorder
}

// take commits what is new on the page, oldest first.
func (w *climb) take(v view, next audit.Position) error {
	c := w.c
	lowest, highest := max(c.p.Floor, c.p.Forgotten), audit.Forever
	if c.past {
		lowest, highest = w.bottom, w.stop
	}
	wanted := make([]audit.Record, 0, len(v.records))
	for _, r := range slices.Backward(v.records) {
		if at := r.At(); at == audit.UndatedMillis || at >= lowest && at <= highest {
			wanted = append(wanted, r)
		}
	}
	out, goneOnes, err := c.sift(wanted)
	if err != nil {
		return err
	}
	if !w.live && c.shownTo != 0 && c.p.Cursor != "" {
		for _, f := range out {
			if at := f.record.At(); at > c.p.Upper && at < c.shownTo-settled {
				// The cursor should have shown it.
				next.Cursor, next.CursorFrom, next.CursorLow = "", 0, 0
				break
			}
		}
	}
	if len(out) > 0 || len(goneOnes) > 0 || !same(c.p, next) {
		if err := c.emit(next, out, goneOnes); err != nil {
			return err
		}
	} else {
		c.p = next
	}
	c.summary.Duplicates += len(wanted) - len(out)
	return nil
}

// end is the end of the log. A climb that had to get further was not shown what
// is known to be there.
func (w *climb) end() error {
	c := w.c
	if w.isNewest && (w.live || w.newest >= w.stop) {
		// Nothing comes after it: its millisecond is complete.
		c.p = complete(c.p, audit.Interval{From: w.lo, To: w.newest + 1}, 0, false)
		w.lo = max(w.lo, w.newest+1)
	}
	if w.live {
		c.p.LiveAt = c.o.Now().UnixMilli()
		c.summary.LiveDone = true
		if !c.p.UpperSet {
			c.notice("the log of the organisation shows no event at all: without Atlassian Guard (Standard or Premium) or a Cloud Enterprise plan Atlassian keeps none; " +
				"with it, wait for the first one")
		}
		return nil
	}
	if w.lo > w.stop {
		return w.reached()
	}
	now := c.o.Now().UnixMilli()
	if !w.whole && now-c.p.Upper < shortestRetention.Milliseconds() && !(&walk{c: c, top: w.stop}).missing() {
		return nil
	}
	c.p = complete(c.p, audit.Interval{From: w.lo, To: w.stop + 1}, 0, false)
	w.lo = w.stop + 1
	return nil
}

// reached ends a climb that saw all that it had to.
func (w *climb) reached() error {
	switch c := w.c; {
	case c.summary.Suspicious:
	case c.past:
		c.p.Past.MissingSince, c.p.Past.MissingAt = 0, 0
	default:
		c.p.GapMissingSince, c.p.GapMissingAt = 0, 0
	}
	return nil
}

// milder is what is left of a disorder after a reconcile found everything: it
// may have been the fault of a moment, unless it was beyond all bounds.
func milder(disorder int64) int64 {
	if disorder >= mostDisorder {
		return disorder
	}
	return disorder / 2
}
