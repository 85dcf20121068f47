package collect

import (
	"context"
	"errors"
	"maps"

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

// gather delivers every record of q that is wanted, without moving coverage.
// leaves sees each page and says whether it is the last. The newest record that
// may move the upper end is of the readings that were believed.
//
// Paging by offset shows a record twice, and hides another, when something is
// inserted meanwhile or ties change their order. So a reading is only believed
// when it shows as many records as there are different ones, or when nothing
// new turned up several times; records without ids, of which two may be alike,
// when each page's own count adds up, or when two readings in a row agree.
func (c *Collector) gather(ctx context.Context, q audit.Query, wanted func(audit.Record) bool, leaves func(view) (bool, error)) (newest int64, isNewest bool, err error) {
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
			return g.newest, g.isNewest, err
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
		if len(agreed) > 0 {
			err = g.handOut(ctx, q, agreed)
		}
		return g.newest, g.isNewest, err
	}
	return g.newest, g.isNewest, errRestless
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
		if ms, ok := v.newestCovering(); ok && hand == nil && (!g.isNewest || ms > g.newest) {
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
	seen, err := g.c.recall(millisOf(agreed))
	if err != nil {
		return err
	}
	m := memoryOf(seen, len(agreed))
	want, goneOnes := m.plan(agreed)
	left := 0
	for _, n := range want {
		left += n
	}
	g.c.summary.Duplicates += g.othersShown - left
	if left == 0 {
		return nil
	}
	// Of identical keys the i-th one of a reading is taken by the reading that
	// comes to it first, so that no later one takes an earlier one again.
	handed := tally{}
	for range attempts {
		at := tally{}
		err := g.pass(ctx, q, func(others []audit.Record) error {
			var out []fresh
			for _, r := range others {
				s := r.Seen()
				if at[s]++; at[s] <= handed[s] {
					continue
				}
				if f, ok := m.take(r, want); ok {
					out = append(out, f)
					handed[s]++
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
