package collect

import (
	"context"
	"errors"
	"slices"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// What lies below the floor is nobody's business, unless somebody asks for it:
// then it is a history. It is read as a gap is, newest first, each page a commit;
// but only by History, never by Live or Rest, so that a run of the check costs
// what it cost before, however long the history. What was read is covered like
// everything else, and is therefore never read again.
//
// What a history emitted is remembered only near the place that is read: above it
// coverage says as much. A record that appears late in what was read of a history
// is not found.

// Want makes [from, to) the history that is wanted, as far as it lies below the
// floor, durably. It takes the place of what was wanted before. Where the stream
// has no floor yet, the first one is fixed.
func (c *Collector) Want(from, to int64) error {
	if c.failed != nil {
		return c.failed
	}
	if !c.p.FloorSet {
		if err := c.firstFloor(); err != nil {
			return err
		}
	}
	next := c.p
	next.Wanted = audit.NewSet(audit.Interval{From: from, To: min(to, c.p.Floor)})
	if len(next.History()) == 0 {
		next.Wanted = nil
	}
	if slices.Equal(next.Wanted, c.p.Wanted) {
		return nil
	}
	return c.commit(next)
}

// History reads the newest part of the history that is wanted, until soft, and
// at least one page of it. more tells whether something is left. An error is one
// of asking, or of this machine's, as in Live.
func (c *Collector) History(ctx context.Context, soft time.Time) (more bool, err error) {
	if c.failed != nil {
		return false, c.failed
	}
	iv, ok := c.p.History().Last()
	if !ok {
		return false, c.endHistory()
	}
	c.past = true
	defer func() { c.past = false }()
	if err := c.descend(iv.To); err != nil {
		return false, err
	}
	if err := c.down(ctx, soft, iv); err != nil {
		if saveErr := c.Save(); saveErr != nil && c.failed != nil && !errors.Is(err, saveErr) {
			err = errors.Join(err, saveErr)
		}
		return true, err
	}
	if len(c.p.History()) == 0 {
		return false, c.endHistory()
	}
	return true, nil
}

// down reads the newest part of a gap in a history.
func (c *Collector) down(ctx context.Context, soft time.Time, iv audit.Interval) (err error) {
	if c.o.cursors() {
		c.stride = max(day, c.p.Past.Stride)
		for next := true; next && err == nil; {
			next, err = c.climb(ctx, soft, iv, false)
			if iv, _ = c.p.History().Last(); iv.Empty() {
				break
			}
		}
		c.p.Past.Stride = c.stride
		return together(c.unless(ctx, soft, err), c.Save())
	}
	w := &walk{c: c, over: c.after(soft), lo: iv.From, pivot: iv.To - 1, top: iv.To - 1, widen: true}
	if w.anchor, w.anchored, err = w.near(); err != nil {
		return err
	}
	return c.walk(ctx, w, soft)
}

// endHistory forgets that something was wanted, when all of it is read.
func (c *Collector) endHistory() error {
	if len(c.p.Wanted) == 0 {
		return nil
	}
	next := c.p
	next.Wanted, next.Past = nil, audit.Past{}
	return c.commit(next)
}

// descend notes that a history is read on below top, and forgets what lies far
// above it. That becomes durable with the next commit.
func (c *Collector) descend(top int64) error {
	past, drop := c.p.Past, audit.Interval{}
	switch {
	case past.Known == 0 || top > past.At || len(c.p.Covered.Gaps(audit.Interval{From: top, To: past.At})) > 0:
		// Another place: what is remembered there nobody knows.
		past = audit.Past{Known: top, Mark: top, Stride: past.Stride, MissingSince: past.MissingSince, MissingAt: past.MissingAt}
	case past.Count >= c.o.Remembered:
		drop = audit.Interval{From: past.Mark, To: past.Known}
		past.Known, past.Mark, past.Count = past.Mark, top, 0
	}
	if past.At = top; drop.Empty() {
		c.p.Past = past
		return nil
	}
	next := c.p
	next.Past = past
	if err := c.queue(next, nil); err != nil {
		return err
	}
	c.gathered.drop = c.gathered.drop.Add(drop)
	return nil
}

// kept is what the runs of the check must not forget: what lies below the floor while
// a history is wanted, and then what was not read of it, of which some may have been
// emitted.
func kept(p audit.Position) audit.Set {
	below := audit.Interval{From: never, To: p.Floor}
	if len(p.Wanted) > 0 {
		return audit.NewSet(below)
	}
	return p.Covered.Gaps(below)
}

// doubted is p where the order of the source proved unreliable: what was read in
// good faith is read again, as far as it is remembered.
func doubted(p audit.Position) audit.Position {
	if p.UpperSet {
		p.Recheck = p.Recheck.Add(audit.Interval{From: max(p.Floor, p.Forgotten), To: p.Upper + 1})
	}
	if iv, ok := p.History().Last(); ok && p.Past.Known > iv.To {
		p.Covered = p.Covered.Remove(audit.Interval{From: iv.To, To: p.Past.Known})
	}
	return p
}

// wants reports whether a record that is shown is not one from above a history.
func (w *walk) wants(r audit.Record) bool { return !w.c.past || r.Millis <= w.top }

// wanted are the records of a page that the walk is about.
func (w *walk) wanted(records []audit.Record) []audit.Record {
	if !w.c.past {
		return records
	}
	return slices.DeleteFunc(slices.Clone(records), func(r audit.Record) bool { return r.Dated && !w.wants(r) })
}

// near is a known millisecond at or above the pivot that an honest answer shows:
// a cut of a history, or the next record that is remembered. What lies above a
// history, or far above the place where it is read, is too far away to be asked for.
func (w *walk) near() (ms int64, ok bool, err error) {
	c := w.c
	if c.past && slices.Contains(c.p.Cuts, w.pivot) {
		return w.pivot, true, nil
	}
	ms, ok, err = c.nextSeen(w.pivot)
	if c.past && ms >= c.p.Past.Known {
		ok = false
	}
	return ms, ok, err
}

// denies reports whether the source, which showed nothing of a history, shows
// nothing either where a record is known to be: then it is not believed. It is
// asked for one record from the history's lower end up to the next known one.
func (w *walk) denies(ctx context.Context) (bool, error) {
	known, ok, err := w.c.nextSeen(w.pivot)
	if err != nil || !ok {
		return false, err
	}
	page, err := w.c.source.Page(ctx, audit.Query{From: w.lo - slack, To: endOfSecond(known), Bounded: true, Limit: 1})
	if err != nil {
		return false, err
	}
	for _, r := range page.Records {
		if r.Dated && r.Millis >= w.lo && r.Millis <= w.pivot {
			return false, errFalse
		}
	}
	return len(page.Records) == 0, nil
}

// foundAgain ends the patience with records of a history that were not shown.
func (c *Collector) foundAgain(w *walk, done bool) {
	if past := &c.p.Past; c.past && past.MissingSince != 0 && !c.summary.Suspicious && (done || w.pivot < past.MissingAt) {
		past.MissingSince, past.MissingAt = 0, 0
	}
}
