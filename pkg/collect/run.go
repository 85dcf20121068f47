package collect

import (
	"context"
	"errors"
	"slices"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// patience is how long known records may be missing from answers before they
// are taken as purged by Atlassian.
const patience = time.Hour

// Live reads the live edge: everything from the look-back on, with no upper
// bound, newest first. It returns nil when it is done and when soft (by
// Options.Now) cut it; Summary.LiveDone tells which. What it could not read
// before soft is a gap, which Rest closes.
func (c *Collector) Live(ctx context.Context, soft time.Time) error {
	if c.failed != nil {
		return c.failed
	}
	if !c.p.FloorSet {
		if err := c.firstFloor(); err != nil {
			return err
		}
	}
	if c.o.cursors() {
		return c.liveUp(ctx, soft)
	}
	lo, look := c.p.Floor, audit.Forever
	if c.p.UpperSet {
		lo = max(lo, c.p.Forgotten, c.lookBack())
		if lo < c.p.Upper {
			look = c.p.Upper
		}
	}
	w := &walk{c: c, over: c.after(soft), lo: lo, pivot: audit.Forever, live: true, look: look}
	return c.walk(ctx, w, soft)
}

// lookBack is where the live question begins. It owes the look-back until it is
// read. Where that proved more than a run can read, the live question begins at
// the upper end, and Rest reads the look-back, one after the other, each counted
// from the end of the last; a completed reconcile lets the live edge try again.
func (c *Collector) lookBack() int64 {
	look := c.o.Lookback.Milliseconds()
	before := audit.Interval{From: c.p.LookUpper - look, To: c.p.LookUpper + 1}
	if len(c.p.Recheck.Within(before)) > 0 || c.p.LookCut && len(c.p.Recheck) > 0 {
		return c.p.Upper
	}
	lo := max(c.p.Floor, c.p.Forgotten, before.From)
	c.p.Recheck = c.p.Recheck.Add(audit.Interval{From: lo, To: c.p.Upper + 1})
	c.p.LookUpper = c.p.Upper
	if c.p.LookCut {
		return c.p.Upper
	}
	return lo
}

// Rest reads the newest span that is still owed: a gap, or what is to be read
// again. It makes headway even when soft has passed, so that a run whose live
// edge takes all its time still closes gaps. more tells whether something was
// left when it returned, and worth another step in this run.
func (c *Collector) Rest(ctx context.Context, soft time.Time) (more bool, err error) {
	if c.failed != nil {
		return false, c.failed
	}
	if err := c.reconcile(); err != nil {
		return false, err
	}
	if c.o.cursors() {
		return c.restUp(ctx, soft)
	}
	iv, ok := c.owed()
	if !ok {
		return false, nil
	}
	c.p.AgainNext = !c.p.AgainNext
	before := c.Position()
	top := iv.To - 1
	w := &walk{c: c, over: c.after(soft), lo: iv.From, pivot: top, top: top, widen: true}
	w.again = len(c.p.Recheck.Within(iv)) > 0
	w.anchor, w.anchored, err = c.nextSeen(w.pivot)
	if err != nil {
		return false, err
	}
	if slices.Contains(c.p.Cuts, w.pivot) {
		w.anchor, w.anchored = w.pivot, true
	}
	if err := c.walk(ctx, w, soft); err != nil {
		// Whose turn it is next is kept, or a span that cannot be read would keep
		// the others waiting for ever.
		if saveErr := c.Save(); saveErr != nil && c.failed != nil && !errors.Is(err, saveErr) {
			err = errors.Join(err, saveErr)
		}
		return true, err
	}
	if err := c.reconcile(); err != nil {
		return false, err
	}
	_, ok = c.owed()
	moved := !slices.Equal(before.Covered, c.p.Covered) || !slices.Equal(before.Recheck, c.p.Recheck)
	return ok && moved, nil
}

// walk reads a span and makes durable what came of it.
func (c *Collector) walk(ctx context.Context, w *walk, soft time.Time) error {
	return together(c.goDown(ctx, w, soft), c.flush())
}

func (c *Collector) goDown(ctx context.Context, w *walk, soft time.Time) error {
	var err error
	w.soft, w.share = soft, soft.Sub(c.o.Now())
	if w.known, w.isKnown, err = c.nextSeen(w.lo); err != nil {
		return err
	}
	// A known record says something of what lies above it only where everything
	// from the lower end up to it was read before.
	if w.isKnown && (w.known > min(w.pivot, c.p.Upper) || len(c.p.Covered.Gaps(audit.Interval{From: w.lo, To: w.known})) > 0) {
		w.isKnown = false
	}
	var done bool
	if c.p.Slice != 0 {
		done, err = w.drain(ctx)
	} else {
		done, err = w.run(ctx)
	}
	if err != nil {
		if ctx.Err() != nil && isCutShort(err, !c.o.Now().Before(soft)) {
			return nil
		}
		return err
	}
	if w.live && done && !c.summary.Suspicious {
		c.summary.LiveDone = true
		if w.lo < c.p.LookUpper {
			c.p.LookUpper = c.p.Upper
		}
	}
	c.foundAgain(w, done)
	c.gapShown(w, done)
	if w.live && !done && w.look != audit.Forever && w.pivot <= w.look {
		c.p.LookCut = true
	}
	return c.Save()
}

// gapShown ends the patience with records of a gap that were not shown: the gap was
// read, or what is owed lies below it.
func (c *Collector) gapShown(w *walk, done bool) {
	if w.live || c.past || c.p.GapMissingSince == 0 || c.summary.Suspicious {
		return
	}
	owed, ok := c.owed()
	if !ok || done && w.top == c.p.GapMissingAt || owed.To-1 < c.p.GapMissingAt {
		c.p.GapMissingSince, c.p.GapMissingAt = 0, 0
	}
}

// owed is the newest span that was never read, or the newest that is to be read
// again: where there are both they take turns, so that neither starves.
func (c *Collector) owed() (audit.Interval, bool) {
	if !c.p.UpperSet {
		return audit.Interval{}, false
	}
	all := audit.Interval{From: max(c.p.Floor, c.p.Forgotten), To: c.p.Upper + 1}
	never, isNever := c.p.Covered.Gaps(all).Last()
	again, isAgain := c.p.Recheck.Within(all).Last()
	if isAgain && (c.p.AgainNext || !isNever) {
		return again, true
	}
	return never, isNever
}

// firstFloor fixes how far back is read, durably, at the first attempt.
func (c *Collector) firstFloor() error {
	next := c.p
	next.Floor, next.FloorSet = c.o.ServerNow().Add(-c.o.InitialLookback).UnixMilli(), true
	return c.commit(next)
}

// after tells whether the budget is over.
func (c *Collector) after(soft time.Time) func() bool {
	return func() bool { return !c.o.Now().Before(soft) }
}

// raise moves the upper end of coverage to the newest record read. The first
// time is also the first reconcile: everything was just read.
func (c *Collector) raise(p audit.Position, newest int64, ok bool) audit.Position {
	if !ok {
		return p
	}
	if !p.UpperSet {
		p.Upper, p.UpperSet, p.LookUpper = newest, true, newest
		p.ReconcileAt, p.ReconcileUpper = c.o.Now().UnixMilli(), newest
		return p
	}
	p.Upper = max(p.Upper, newest)
	return p
}

// reconcile begins the next reading of the reconcile window when it is due, and
// ends the one under way when nothing of it is owed any more.
func (c *Collector) reconcile() error {
	p := c.p
	if !p.UpperSet {
		return nil
	}
	now := c.o.Now().UnixMilli()
	if p.ReconcileTarget != 0 && len(p.Recheck) == 0 {
		next := p
		next.ReconcileUpper, next.ReconcileAt, next.ReconcileTarget = p.ReconcileTarget, now, 0
		next.LookCut, next.Disorder = false, milder(p.Disorder)
		return c.commit(next)
	}
	since := now - p.ReconcileAt
	if p.ReconcileTarget != 0 || since >= 0 && since < c.o.ReconcileInterval.Milliseconds() {
		return nil
	}
	lo := max(p.Floor, p.Forgotten, p.ReconcileUpper-c.o.ReconcileWindow.Milliseconds())
	next := p
	next.Recheck = p.Recheck.Add(audit.Interval{From: lo, To: p.Upper + 1})
	next.ReconcileTarget = p.Upper
	return c.commit(next)
}

// suspect notes that an answer lacked what it should have shown.
func (c *Collector) suspect(what string) {
	c.summary.Suspicious = true
	c.notice(what + "; nothing is taken as read, and the next run asks again (a wrong permission, a purge by Atlassian, or a fault of theirs: look at the audit log in the browser)")
}

// missing notes that known records are not shown, and reports whether that went
// on for so long that they must have been purged.
func (w *walk) missing() bool {
	c := w.c
	now := c.o.Now().UnixMilli()
	since := &c.p.MissingSince
	switch {
	case w.live:
	case c.past:
		if since = &c.p.Past.MissingSince; *since == 0 {
			c.p.Past.MissingAt = w.top
		}
	default:
		if since = &c.p.GapMissingSince; *since == 0 {
			c.p.GapMissingAt = w.top
		}
	}
	// What is shown without dates was not purged.
	if *since != 0 && now-*since >= patience.Milliseconds() && c.p.HiddenSince == 0 {
		c.notice("records that are known have not been shown for over an hour: they are taken as purged by Atlassian")
		return true
	}
	if *since == 0 {
		*since = now
	}
	c.suspect("the answer lacked records that are known and that it reaches back over")
	return false
}
