package collect

import (
	"context"
	"time"

	"atlassian_audit_records/pkg/audit"
)

const (
	// probeLimit is how many records a probe asks for.
	probeLimit = 100
	// probeSoon is the time between two probes while records are withheld, and
	// the least in any case; probeFirst that after one that found nothing, which
	// doubles with each further one up to probeLast; probeLeast holds where records
	// came meanwhile.
	probeSoon  = 10 * time.Minute
	probeLeast = time.Hour
	probeFirst = 4 * time.Hour
	probeLast  = 24 * time.Hour
)

// undated asks without any date: a source leaves out a bound before the epoch.
// The newest come first, as from the other sources, also of a log.
func undated() audit.Query { return audit.Query{From: -1, Limit: probeLimit, Newest: true} }

// Guard looks into a silence that the stream's rhythm does not explain, and into
// answers that lack known records: it asks once without dates. Where that shows
// records that the question with dates does not, Atlassian withholds them: they
// are delivered, HiddenSince is set in the summary, and it stays so until they
// are shown. Where it agrees, the silence may be real, and nothing is said.
//
// It comes after Live, and asks nothing in most runs: a probe that agreed is
// repeated after 4 hours, then 8, 16 and each 24. An error is one of asking, as
// in Live.
func (c *Collector) Guard(ctx context.Context) error {
	if c.failed != nil {
		return c.failed
	}
	if c.p.HiddenSince != 0 && c.summary.LiveDone && c.p.UpperSet && c.p.Upper > c.p.ProbeUpper {
		// What was withheld is shown again.
		c.p.HiddenSince, c.p.Probes = 0, 0
	}
	if !c.doubtful() {
		return c.Save()
	}
	page, err := c.source.Page(ctx, undated())
	if err != nil {
		return err
	}
	withheld, err := c.withheld(ctx, c.look(page))
	if err != nil {
		return err
	}
	now := c.o.Now().UnixMilli()
	if c.p.ProbeUpper != c.p.Upper {
		c.p.Probes = 0
	}
	c.p.ProbeAt, c.p.ProbeUpper = now, c.p.Upper
	c.p.Probes = min(c.p.Probes+1, 10)
	if len(withheld) == 0 {
		c.p.HiddenSince = 0
		return c.Save()
	}
	if c.p.HiddenSince == 0 {
		c.p.HiddenSince = now
	}
	return together(c.deliver(withheld), c.Save())
}

// doubtful reports whether the stream's silence is to be looked into now.
func (c *Collector) doubtful() bool {
	p := c.p
	if !c.summary.LiveDone && p.MissingSince == 0 {
		return false // the newest were not asked for to their end
	}
	silent := !p.UpperSet || p.MissingSince != 0 || p.HiddenSince != 0 ||
		p.Rhythm.Unusual(p.Floor, p.Upper, c.o.ServerNow().UnixMilli())
	if !silent {
		return false
	}
	wait := probeLeast
	switch {
	case p.HiddenSince != 0 || p.ProbeAt < p.MissingSince:
		wait = probeSoon
	case p.Probes > 0 && p.ProbeUpper == p.Upper:
		wait = min(probeLast, probeFirst<<(p.Probes-1))
	}
	since := c.o.Now().UnixMilli() - p.ProbeAt
	return p.ProbeAt == 0 || since < 0 || since >= wait.Milliseconds()
}

// withheld are the records of a page asked for without dates, if there is one
// among them that should have been collected and that the question with dates
// does not show.
func (c *Collector) withheld(ctx context.Context, v view) ([]audit.Record, error) {
	if !v.dated {
		return nil, nil
	}
	lowest := max(c.p.Floor, c.p.Forgotten)
	if len(v.records) >= probeLimit {
		lowest = max(lowest, v.oldest+1) // the page may end within that millisecond
	}
	var wanted []audit.Record
	for _, r := range v.records {
		owed := c.p.UpperSet && r.Millis <= c.p.Upper && !c.p.Covered.Contains(r.Millis)
		if r.Dated && r.Millis >= lowest && !owed && !r.Own {
			wanted = append(wanted, r)
		}
	}
	doubted, err := c.doubted(wanted)
	if err != nil || len(doubted) == 0 {
		return nil, err
	}
	// They may be new since Live asked, or late: then they are shown now.
	page, err := c.source.Page(ctx, audit.Query{From: v.oldest - slack, Limit: probeLimit, Newest: true})
	if err != nil {
		return nil, err
	}
	shown := c.look(page)
	for _, r := range doubted {
		beyond := len(shown.records) >= probeLimit && r.Millis <= shown.oldest
		if !beyond && !shown.holds([]audit.Record{r}) {
			return wanted, nil
		}
	}
	return nil, nil
}

// doubted are the records that no question with dates has shown: those never
// collected, those that only a probe can have brought, and all where known
// records are missing.
func (c *Collector) doubted(wanted []audit.Record) ([]audit.Record, error) {
	if c.p.MissingSince != 0 {
		return wanted, nil
	}
	fresh, _, err := c.sift(wanted)
	if err != nil {
		return nil, err
	}
	var out []audit.Record
	for _, f := range fresh {
		out = append(out, f.record)
	}
	for _, r := range wanted {
		if !c.p.UpperSet || r.Millis > c.p.Upper {
			out = append(out, r)
		}
	}
	return out, nil
}

// stalled is p, for which it is known when its gap last became shorter.
func (c *Collector) stalled(p audit.Position) audit.Position {
	gap := int64(0)
	if p.UpperSet {
		gap = p.Covered.Gaps(audit.Interval{From: p.Floor, To: p.Upper + 1}).Length()
	}
	switch {
	case gap == 0:
		p.GapLeast, p.GapAt = 0, 0
	case p.GapAt == 0 || gap < p.GapLeast:
		p.GapLeast, p.GapAt = gap, c.o.Now().UnixMilli()
	}
	return p
}

// spoken are the times of the records, but for those in the future and those
// that our own questions made.
func spoken(out []fresh, now int64) []int64 {
	times := make([]int64, 0, len(out))
	for _, f := range out {
		if f.record.Dated && f.record.Millis <= now && !f.record.Own {
			times = append(times, f.record.Millis)
		}
	}
	return times
}
