package collect

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"

	"atlassian_audit_records/pkg/audit"
)

// view is a page, looked at.
type view struct {
	records []audit.Record
	// newest and oldest are the extremes of the dated records' times; dated is
	// false when there is none, first the time of the first of them.
	newest, oldest, first int64
	dated                 bool
	// descending is true when no dated record is newer than one before it.
	descending bool
	// full is true when the page held as many records as the source gives.
	full bool
	// ceiling is Atlassian's clock: what is dated after it covers nothing.
	ceiling int64
	// next is the cursor of the page after this one, empty for none.
	next string
}

// errRepeated says that a page came twice.
var errRepeated = errors.New("the same page came twice from Atlassian: nothing of it is taken as read, and the next run asks again; if it goes on, report it to their support")

// ask asks once, with as many records as answers of a bearable size hold.
func (c *Collector) ask(ctx context.Context, q audit.Query) (view, error) {
	return c.askAnd(ctx, q, nil)
}

// askAnd is ask; where the source can, it fetches meanwhile what next says will
// be asked after it. next may be nil.
func (c *Collector) askAnd(ctx context.Context, q audit.Query, next func(oldest int64) (audit.Query, bool)) (view, error) {
	for {
		q.Limit = max(1, c.limit-c.less)
		p, err := c.page(ctx, q, next)
		var tooLarge interface{ TooLarge() bool }
		if err != nil && c.limit > 1 && errors.As(err, &tooLarge) && tooLarge.TooLarge() {
			c.limit, c.good = max(1, c.limit/2), 0
			continue
		}
		if err != nil {
			return view{}, err
		}
		c.learn(p)
		v := c.look(p)
		v.next = p.Next
		if c.good++; c.good >= 8 && c.limit < c.o.PageSize {
			c.limit, c.good = min(c.o.PageSize, 2*c.limit), 0
		}
		return v, nil
	}
}

func (c *Collector) page(ctx context.Context, q audit.Query, next func(oldest int64) (audit.Query, bool)) (audit.Page, error) {
	s, ok := c.source.(Prefetcher)
	if next == nil || !ok {
		return c.source.Page(ctx, q)
	}
	return s.Prefetch(ctx, q, func(oldest int64) (audit.Query, bool) {
		following, ok := next(oldest)
		following.Limit = q.Limit
		return following, ok
	})
}

// learn takes what a page says and shows of the size that is applied. It only
// ever saves requests: that a page is short proves nothing.
func (c *Collector) learn(p audit.Page) {
	if p.Limit > 0 && p.Limit < c.limit-c.less {
		c.learned = p.Limit
	}
	if c.learned > 0 && len(p.Records) > c.learned {
		c.learned = len(p.Records)
	}
}

var pageSeed = maphash.MakeSeed()

func (c *Collector) look(p audit.Page) view {
	v := view{records: p.Records, descending: true, newest: math.MinInt64, oldest: math.MaxInt64}
	now := p.Date
	if now.IsZero() {
		now = c.o.ServerNow()
	}
	// The Date header is in whole seconds.
	v.ceiling = now.UnixMilli() + 999
	for _, r := range p.Records {
		if !r.Dated {
			continue
		}
		if !v.dated {
			v.first = r.Millis
		}
		if v.dated && r.Millis > v.oldest {
			v.descending = false
		}
		v.dated = true
		v.newest, v.oldest = max(v.newest, r.Millis), min(v.oldest, r.Millis)
	}
	full := max(1, c.limit-c.less)
	if c.learned > 0 {
		full = min(full, c.learned)
	}
	v.full = len(p.Records) >= full
	return v
}

// print tells pages apart by what is in them.
func (v view) print() uint64 {
	var h maphash.Hash
	h.SetSeed(pageSeed)
	for _, r := range v.records {
		h.Write(r.Raw)
	}
	return h.Sum64()
}

// newestCovering is the time of the newest record that may move the upper end
// of coverage; ok is false when all are dated after Atlassian's clock.
func (v view) newestCovering() (ms int64, ok bool) {
	for _, r := range v.records {
		if r.Dated && r.Millis <= v.ceiling && (!ok || r.Millis > ms) {
			ms, ok = r.Millis, true
		}
	}
	return ms, ok
}

// from are the records of the page from ms on, and those without a date. They may be
// the page's own, and must not be changed.
func (v view) from(ms int64) []audit.Record {
	if v.oldest >= ms {
		return v.records
	}
	out := make([]audit.Record, 0, len(v.records))
	for _, r := range v.records {
		if !r.Dated || r.Millis >= ms {
			out = append(out, r)
		}
	}
	return out
}

// shows reports whether a record of the millisecond is on the page.
func (v view) shows(ms int64) bool {
	for _, r := range v.records {
		if r.Dated && r.Millis == ms {
			return true
		}
	}
	return false
}

// holds reports whether the page holds all of the records.
func (v view) holds(records []audit.Record) bool {
	there := map[audit.Seen]bool{}
	for _, r := range v.records {
		there[r.Seen()] = true
	}
	for _, r := range records {
		if r.Dated && !there[r.Seen()] {
			return false
		}
	}
	return true
}

// at counts the page's records of a millisecond by group.
func (v view) at(ms int64) map[group]int {
	out := map[group]int{}
	for _, r := range v.records {
		if r.Dated && r.Millis == ms {
			out[groupOf(r.Seen())]++
		}
	}
	return out
}

// read reads q by offset from its start until a page is empty twice, or until
// each says stop. It is for what cannot be read by time.
func (c *Collector) read(ctx context.Context, q audit.Query, each func(view) (stop bool, err error)) error {
	q.Offset = 0
	var last view
	for empty, again := 0, 0; ; {
		v, err := c.ask(ctx, q)
		if err != nil {
			return err
		}
		if len(v.records) == 0 {
			// An empty list may be false: it is asked for twice.
			if empty++; empty == 2 {
				return nil
			}
			continue
		}
		empty = 0
		if q.Offset > 0 && v.print() == last.print() && !allTwins(v) {
			// Asked for again at the same offset: to go on would skip a page.
			if again++; again == 3 {
				return fmt.Errorf("offset %d: %w", q.Offset, errRepeated)
			}
			continue
		}
		again = 0
		stop, err := each(v)
		if err != nil || stop {
			return err
		}
		q.Offset += len(v.records)
		last = v
	}
}

// allTwins reports whether the page holds nothing but identical records without
// ids, of which the next page may well hold the same.
func allTwins(v view) bool {
	for _, r := range v.records {
		if r.ID != "" || r.Seen() != v.records[0].Seen() {
			return false
		}
	}
	return true
}
