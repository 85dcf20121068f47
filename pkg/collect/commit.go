package collect

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// Pages are committed one after the other, and each in the order in which they
// were read; but several may share a commit, and the next page is read while one
// is under way. What is read and not durable is a batch: one is being gathered,
// and one may be on its way to the disk. A source that takes its time has each
// page committed at once; only where answers come faster than the disk takes
// them are pages gathered, as many as Options.BatchSize allows.

// prompt is the time from which on an answer took so long that its page is not
// kept waiting for others.
const prompt = 20 * time.Millisecond

// batch is one commit: the positions of its pages come to that of the last.
type batch struct {
	position audit.Position
	emitted  []audit.Seen
	lines    []byte
	// long are the records that were too long for a line.
	long   []fresh
	forget int64
	// keep and drop are those of an audit.Change.
	keep, drop audit.Set
	count      tallied
	// oldest and newest are the extremes of the dated milliseconds in emitted;
	// undated tells that one there has no date.
	oldest, newest int64
	undated        bool
	// ended is closed when err is there.
	ended chan struct{}
	err   error
}

// tallied counts records for the summary, once they are durable.
type tallied struct{ records, own, late, undated, truncated int }

func (b *batch) remember(emitted []audit.Seen) {
	for _, s := range emitted {
		if s.Millis == audit.UndatedMillis {
			b.undated = true
		} else {
			b.oldest, b.newest = min(b.oldest, s.Millis), max(b.newest, s.Millis)
		}
	}
	b.emitted = append(b.emitted, emitted...)
}

// touches reports whether the batch may hold something of the given
// milliseconds: of these, what is on the disk may lack it, or not.
func (b *batch) touches(millis []int64) bool {
	for _, ms := range millis {
		if ms == audit.UndatedMillis && b.undated || ms != audit.UndatedMillis && b.oldest <= ms && ms <= b.newest {
			return true
		}
	}
	return false
}

// open is the batch being gathered.
func (c *Collector) open() *batch {
	if c.gathered == nil {
		c.gathered = &batch{position: c.p, oldest: math.MaxInt64, newest: math.MinInt64, lines: c.spare[:0]}
		c.spare = nil
	}
	return c.gathered
}

// queue adds a position, and what belongs to it, to the batch being gathered.
// The batch may have lines already.
func (c *Collector) queue(next audit.Position, emitted []audit.Seen) error {
	if c.failed != nil {
		return c.failed
	}
	if c.o.Mark != nil && !c.durable.FloorSet && next.FloorSet {
		if err := c.o.Mark(next.Floor); err != nil {
			return err
		}
	}
	next.Asked = c.asked(next.Asked)
	b := c.open()
	b.remember(emitted)
	if f := c.forgettable(next); f-next.Forgotten >= forgetStep || next.Forgotten == 0 && f > next.Floor {
		next.Forgotten, b.forget, b.keep = f, f, kept(next)
	}
	next = c.stalled(next)
	b.position, c.p = next, next
	return nil
}

// commit makes next durable, and everything before it.
func (c *Collector) commit(next audit.Position) error {
	if err := c.queue(next, nil); err != nil {
		return err
	}
	return c.flush()
}

// flush makes everything durable that was queued.
func (c *Collector) flush() error {
	if c.gathered != nil {
		if err := c.launch(); err != nil {
			return err
		}
	}
	return c.land()
}

// launch sends the batch that was gathered on its way, after the one before it.
func (c *Collector) launch() error {
	if err := c.land(); err != nil {
		return err
	}
	b := c.gathered
	c.gathered, c.flying = nil, b
	b.ended = make(chan struct{})
	go func() {
		defer close(b.ended)
		b.err = c.write(b)
	}()
	return nil
}

// land waits for the batch that is on its way. After an error nothing may be
// written any more: what is on the disk is only known to the next Open.
func (c *Collector) land() error {
	b := c.flying
	if b == nil {
		return c.failed
	}
	<-b.ended
	c.flying = nil
	if b.err != nil {
		c.failed = b.err
		return c.failed
	}
	c.durable = b.position
	c.p.File, c.p.End, c.p.FileSince = c.file.File, c.file.End, c.file.FileSince
	c.wrote = c.wrote || len(b.lines) > 0
	c.summary.Records += b.count.records
	c.summary.Own += b.count.own
	c.summary.Late += b.count.late
	c.summary.Undated += b.count.undated
	c.summary.Truncated += b.count.truncated
	if cap(b.lines) > cap(c.spare) {
		c.spare = b.lines
	}
	return nil
}

// write makes a batch durable: the position, the memory of the emitted records
// and their lines in one transaction, then the lines in the spool; or, where there
// is much of them, the lines where nobody sees them yet, then the rest. It is the
// only way to the disk; of the collector it uses what nobody else touches while
// a batch is on its way.
func (c *Collector) write(b *batch) error {
	for _, f := range b.long {
		if err := c.spool.Keep(audit.RecordID(c.o.Stream, f.record, f.occurrence), c.o.Redact.Raw(f.record)); err != nil {
			return fmt.Errorf("keep a record that is too long for one log line: %w", err)
		}
	}
	change := audit.Change{Emitted: b.emitted, Forget: b.forget, Keep: b.keep, Drop: b.drop}
	if len(b.lines) > 0 {
		var err error
		if change.Batch, err = c.place(b.lines); err != nil {
			return err
		}
	}
	b.position.File, b.position.End, b.position.FileSince = c.file.File, c.file.End, c.file.FileSince
	change.Position = b.position
	if err := c.state.Commit(change); err != nil {
		return err
	}
	if change.Batch == nil || c.staged {
		return nil
	}
	if err := c.spool.Write(change.Batch.Place, b.lines); err != nil {
		return fmt.Errorf("write %d bytes to the spool; they are written by the next run: %w", len(b.lines), err)
	}
	return nil
}

// place says where lines go, and stages them where they are to be staged.
func (c *Collector) place(lines []byte) (*audit.Batch, error) {
	place, since := c.spool.Next(c.file.File, c.file.End, c.file.FileSince, len(lines))
	if c.staged && place.File != c.file.File {
		if err := c.publish(); err != nil {
			return nil, err
		}
		// What is staged from here on is another file's. Were the one before removed,
		// nothing else would tell.
		if err := c.state.Commit(audit.Change{Position: c.durable, Batch: &audit.Batch{}}); err != nil {
			return nil, err
		}
	}
	b := &audit.Batch{Place: place}
	staged, err := c.spool.Stage(place, lines)
	if err != nil {
		return nil, fmt.Errorf("write %d bytes to the spool, of which nobody reads anything yet; the next run asks for them again: %w", len(lines), err)
	}
	end := place.Offset + int64(len(lines))
	if c.staged = staged; staged {
		b.Staged = end
	} else {
		b.Lines = lines
	}
	c.file.File, c.file.End, c.file.FileSince = place.File, end, since
	return b, nil
}

// publish lets the Agent read what was staged.
func (c *Collector) publish() error {
	if !c.staged {
		return nil
	}
	if err := c.spool.Publish(c.file.File, c.file.End); err != nil {
		return fmt.Errorf("let the Agent read what was written; the next run does: %w", err)
	}
	c.staged = false
	return nil
}

// settle waits until nothing that is not durable touches the milliseconds, so
// that what the state remembers of them is all there is.
func (c *Collector) settle(millis []int64) error {
	for _, b := range []*batch{c.gathered, c.flying} {
		if b != nil && b.touches(millis) {
			return c.flush()
		}
	}
	return nil
}

// nextSeen is the oldest dated record remembered at or after ms.
func (c *Collector) nextSeen(ms int64) (next int64, ok bool, err error) {
	if err := c.flush(); err != nil {
		return 0, false, err
	}
	return c.state.NextSeen(ms)
}

// emit makes lines of the fresh records and queues them with the position.
func (c *Collector) emit(next audit.Position, out []fresh, goneOnes []audit.Seen) error {
	if c.failed != nil {
		return c.failed
	}
	b := c.open()
	if c.past {
		next.Past.Count += len(out)
	}
	emitted := make([]audit.Seen, 0, len(out)+len(goneOnes))
	now := c.o.Now().UnixMilli()
	liner := audit.NewLiner(audit.LineOptions{Stream: c.o.Stream, Service: c.o.Service, Tags: c.o.Tags, NowMillis: now, Names: c.o.Names, Redact: c.o.Redact})
	b.lines = slices.Grow(b.lines, c.roomFor(out, len(b.lines)))
	for _, f := range out {
		emitted = append(emitted, f.record.Seen())
		if also, ok := f.record.Alias(); ok {
			emitted = append(emitted, also)
		}
		if f.record.Own {
			b.count.own++
			continue
		}
		b.count.records++
		var info audit.LineInfo
		b.lines, info = liner.Append(b.lines, f.record, f.occurrence)
		if len(info.Truncated) > 0 {
			b.long = append(b.long, f)
			b.count.truncated++
		}
		if info.Late {
			b.count.late++
		}
		if !f.record.Dated {
			b.count.undated++
		}
	}
	next.Rhythm = next.Rhythm.Learn(spoken(out, now)...)
	if err := c.queue(next, append(emitted, goneOnes...)); err != nil {
		return err
	}
	if len(b.lines) >= c.o.BatchSize || c.pace >= prompt {
		return c.launch()
	}
	return nil
}

// roomFor is about how many bytes the lines of a page take; where gathered bytes came
// before it in the batch, or will follow, those of the rest of a batch.
func (c *Collector) roomFor(out []fresh, gathered int) int {
	const (
		perLine = 800 // what we add to a record, about
		crowd   = 500 // records of a page that others follow, likely
	)
	n := 0
	for _, f := range out {
		n += len(f.record.Raw) + perLine
	}
	if gathered > 0 || c.pace < prompt && len(out) >= crowd {
		n += max(0, c.o.BatchSize-gathered)
	}
	return n
}

// together joins an error with that of what was done after it, once.
func together(err, after error) error {
	if after == nil || errors.Is(err, after) {
		return err
	}
	return errors.Join(err, after)
}
