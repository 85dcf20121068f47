package collect

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// Collector collects one stream during one run. It is for one goroutine.
type Collector struct {
	o      Options
	state  State
	spool  Spool
	source Source
	// p is the position, durable what of it was committed.
	p       audit.Position
	durable audit.Position
	summary Summary
	// failed is the error after which nothing may be written any more: what is
	// on the disk is only known to the next Open.
	failed error
	// limit is the page size asked for, learned what the source was seen to
	// clamp it to (0: unknown), good the answers since limit was last changed.
	limit   int
	learned int
	good    int
	// wrote is true while the last batch is on disk and the state does not say so.
	wrote bool
	// gathered is the batch that pages are added to, flying the one on its way to
	// the disk; nil for none. spare is the memory of one that landed.
	gathered, flying *batch
	spare            []byte
	// file is where the next line goes: of it File, End and FileSince are used, by
	// the batch on its way.
	file audit.Position
	// staged is true while the Agent does not see that file.
	staged bool
	// pace is how long the last answer took.
	pace time.Duration
	// stride is how much of a log's past is read at once where it is read upwards,
	// shownTo the moment up to which its cursor showed everything in this run.
	// Pages are less smaller than limit while something is read again.
	stride  int64
	shownTo int64
	less    int
	// past is true while History reads.
	past bool
}

// Open loads the position and completes the last batch, so that what was
// committed is on disk before anything else happens. After an error nothing may
// be collected.
func Open(o Options, state State, spool Spool, source Source) (*Collector, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Collector{o: o, state: state, spool: spool, source: source, limit: o.PageSize, stride: day}
	if c.p, err = state.Position(); err != nil {
		return nil, fmt.Errorf("read the position: %w", err)
	}
	c.durable, c.file = c.p, c.p
	b, ok, err := state.Batch()
	if err != nil {
		return nil, fmt.Errorf("read the last batch: %w", err)
	}
	_, rest, err := spool.Recover(b)
	if err != nil {
		return nil, fmt.Errorf("complete the last batch: %w", err)
	}
	c.wrote = ok
	if b.Staged > 0 {
		// From now on the file may be removed, and another one staged.
		if err := state.Commit(audit.Change{Position: c.p, Batch: &audit.Batch{}}); err != nil {
			return nil, fmt.Errorf("let go of what was staged: %w", err)
		}
		c.wrote = false
	}
	if len(rest) > 0 {
		c.file = audit.Position{}
		c.open().lines = slices.Clone(rest)
		if err := c.commit(c.p); err != nil {
			return nil, fmt.Errorf("complete the last batch: %w", err)
		}
	}
	return c, nil
}

// Position is what is known now; it shares no memory with the collector's.
func (c *Collector) Position() audit.Position {
	p := c.p
	p.Covered, p.Recheck, p.Cuts, p.Wanted = slices.Clone(p.Covered), slices.Clone(p.Recheck), slices.Clone(p.Cuts), slices.Clone(p.Wanted)
	return p
}

// SetSite remembers what was found out about the site, with the next commit.
func (c *Collector) SetSite(cloudID, route string) { c.p.CloudID, c.p.Route = cloudID, route }

// Wait commits that nothing may be asked before until.
func (c *Collector) Wait(until time.Time, reason string) error {
	next := c.p
	next.WaitUntil, next.WaitReason = until.UnixMilli(), reason
	return c.commit(next)
}

// Save commits what is known and not durable yet, if it matters: what SetSite
// said, or since when records are missing.
func (c *Collector) Save() error {
	c.p.Asked = c.asked(c.p.Asked)
	if err := c.flush(); err != nil || same(c.durable, c.p) {
		return err
	}
	return c.commit(c.p)
}

// Close ends a run: what is known and not durable is committed, and the last
// batch, which is on disk, is retired, so that nobody who moves its file away
// makes the next run write it again.
func (c *Collector) Close() error {
	if err := c.shown(); err != nil {
		return err
	}
	if !c.wrote {
		return c.Save()
	}
	if err := c.state.Commit(audit.Change{Position: c.p, Batch: &audit.Batch{}}); err != nil {
		c.failed = err
		return err
	}
	c.durable, c.wrote = c.p, false
	return nil
}

// shown makes everything durable, and lets the Agent read it.
func (c *Collector) shown() error {
	if err := c.flush(); err != nil {
		return err
	}
	if err := c.publish(); err != nil {
		c.failed = err
		return err
	}
	return nil
}

// Release is for a run that does not end well: what is staged is for the Agent to
// read now, not only when the next run has looked at it.
func (c *Collector) Release() error {
	if c.failed != nil || !c.staged {
		return c.failed
	}
	return c.Close()
}

// NewFile lets go of the spool file being appended to, durably: the next line
// begins a new one, and nobody will write to the old one again.
func (c *Collector) NewFile() error {
	if err := c.shown(); err != nil {
		return err
	}
	next := c.p
	next.File, next.End, next.FileSince = "", 0, 0
	if err := c.state.Commit(audit.Change{Position: next, Batch: &audit.Batch{}}); err != nil {
		c.failed = err
		return err
	}
	c.p, c.durable, c.wrote = next, next, false
	c.file.File, c.file.End, c.file.FileSince = "", 0, 0
	return nil
}

// Resume is the millisecond from which everything would have to be read again
// were the state lost: nothing that matters is older.
func (c *Collector) Resume() int64 { return c.forgettable(c.p) }

// Summary tells what the run did so far.
func (c *Collector) Summary() Summary {
	s := c.summary
	s.Notices = slices.Clone(s.Notices)
	if c.p.UpperSet {
		s.Upper = c.p.Upper
		s.Gap = time.Duration(c.p.Covered.Gaps(audit.Interval{From: c.p.Floor, To: c.p.Upper + 1}).Length()) * time.Millisecond
		s.Recheck = time.Duration(c.p.Recheck.Length()) * time.Millisecond
	}
	s.History = time.Duration(c.p.History().Length()) * time.Millisecond
	s.LiveAt, s.HiddenSince, s.GapAt = c.p.Present(), c.p.HiddenSince, c.p.GapAt
	return s
}

// forgetStep keeps the memory from being trimmed at every commit.
const forgetStep = int64(time.Hour / time.Millisecond)

// forgettable is the millisecond below which, down to the floor, nothing will ever be
// read again: below every gap, every recheck, the next look-back and the next reconcile.
func (c *Collector) forgettable(p audit.Position) int64 {
	if !p.UpperSet {
		return p.Floor
	}
	f := min(p.Upper, p.LookUpper) - c.o.Lookback.Milliseconds()
	f = min(f, p.ReconcileUpper-c.o.ReconcileWindow.Milliseconds())
	if ms, ok := p.Recheck.Min(); ok {
		f = min(f, ms)
	}
	if ms, ok := p.Covered.Gaps(audit.Interval{From: p.Floor, To: p.Upper + 1}).Min(); ok {
		f = min(f, ms)
	}
	return max(f, p.Floor, p.Forgotten)
}

// asked are the questions to be remembered, where the source says so.
func (c *Collector) asked(was []audit.Asked) []audit.Asked {
	if s, ok := c.source.(interface{ Asked() []audit.Asked }); ok {
		return s.Asked()
	}
	return was
}

// notice adds a sentence once.
func (c *Collector) notice(sentence string) {
	if !slices.Contains(c.summary.Notices, sentence) {
		c.summary.Notices = append(c.summary.Notices, sentence)
	}
}

// complete is p after everything in iv was read: covered up to the newest
// record read, never beyond, and no longer to be read again. A cut at which
// iv ends stays to be shown again.
func complete(p audit.Position, iv audit.Interval, cut int64, isCut bool) audit.Position {
	upper := p.Floor
	if p.UpperSet {
		upper = max(upper, p.Upper+1)
	}
	iv.To = min(iv.To, upper)
	p.Covered = p.Covered.Add(iv)
	p.Recheck = p.Recheck.Remove(iv)
	cuts := make([]int64, 0, len(p.Cuts)+1)
	for _, ms := range p.Cuts {
		if !iv.Contains(ms) && (!isCut || ms != cut) {
			cuts = append(cuts, ms)
		}
	}
	if isCut {
		cuts = append(cuts, cut)
	}
	p.Cuts = cuts
	return p
}

// same reports whether committing b where a is durable would change nothing
// that matters.
func same(a, b audit.Position) bool {
	lists := slices.Equal(a.Asked, b.Asked) && slices.Equal(a.Covered, b.Covered) && slices.Equal(a.Recheck, b.Recheck) && slices.Equal(a.Cuts, b.Cuts) &&
		slices.Equal(a.Wanted, b.Wanted) && a.Past.MissingSince == b.Past.MissingSince && a.Past.Stride == b.Past.Stride
	// LiveAt is kept to within five minutes, so that an idle run writes nothing.
	fresh := b.LiveAt-a.LiveAt < 5*time.Minute.Milliseconds() && b.LiveAt >= a.LiveAt
	return lists && fresh && a.Floor == b.Floor && a.FloorSet == b.FloorSet && a.Upper == b.Upper && a.UpperSet == b.UpperSet &&
		a.ReconcileAt == b.ReconcileAt && a.ReconcileUpper == b.ReconcileUpper && a.ReconcileTarget == b.ReconcileTarget &&
		a.Cursor == b.Cursor && a.CursorFrom == b.CursorFrom && a.CursorLow == b.CursorLow && a.Disorder == b.Disorder &&
		a.Slice == b.Slice && a.LookCut == b.LookCut && a.AgainNext == b.AgainNext && a.MissingSince == b.MissingSince && a.ProbeAt == b.ProbeAt && a.HiddenSince == b.HiddenSince && a.GapMissingSince == b.GapMissingSince && a.WaitUntil == b.WaitUntil && a.CloudID == b.CloudID && a.Route == b.Route
}

// isCutShort reports whether err only says that the run's time is over.
func isCutShort(err error, over bool) bool {
	var done interface{ Timeout() bool }
	return over && errors.As(err, &done) && done.Timeout()
}
