package atlassiantest

import (
	"math"
	"net/url"
	"slices"
)

// query is what a request asks of a store, bounds in milliseconds.
type query struct {
	from, to       int64
	hasFrom, hasTo bool
	offset         int
	asked          int  // the limit as it was asked for
	limit          int  // the limit as the product applies it
	nothing        bool // no record whatever the bounds say
	after          *cursor
	newest         bool // the organisation's log, latest first
	cursor         *eventCursor
}

// bounds reads the two bounds of a question in the words of its product. wrong is the
// one that cannot be read, "" for none.
func (q *query) bounds(v url.Values, from, to string, read func(text string) (ms int64, ok bool)) (wrong string) {
	for _, b := range []struct {
		name string
		ms   *int64
		has  *bool
	}{{from, &q.from, &q.hasFrom}, {to, &q.to, &q.hasTo}} {
		text := v.Get(b.name)
		if text == "" {
			continue
		}
		if *b.ms, *b.has = read(text); !*b.has {
			return b.name
		}
	}
	return ""
}

// page is one answer's list, and the numbers that go with it.
type page struct {
	query query
	seqs  []uint32
	count int    // records that match the query
	held  int    // records of the whole site
	start int    // where the page begins
	next  string // the organisation's cursor of the page after it; "" for none
}

// page chooses the records of an answer. The lock is held by the caller.
func (st *store) page(q query) page {
	k := &st.quirks
	if k.MaxPage > 0 && q.limit > k.MaxPage {
		q.limit = k.MaxPage
	}
	if k.IgnoreOffset {
		q.offset = 0
	}
	p := page{query: q, held: len(st.index)}
	lo, hi := st.bounds(q)
	if q.after != nil {
		lo, hi = st.behind(*q.after, lo, hi)
	}
	p.count = hi - lo
	p.start = q.offset
	if k.RowsPastEnd && p.start >= p.count {
		p.start = max(0, p.count-q.limit)
	}
	if p.start >= p.count {
		return p
	}
	n := min(q.limit, p.count-p.start)
	switch {
	case k.InsertionOrder:
		p.seqs = slices.Clone(st.index[lo:hi])
		slices.Sort(p.seqs)
		if !k.Ascending {
			slices.Reverse(p.seqs)
		}
		p.seqs = slices.Clone(p.seqs[p.start : p.start+n])
	case k.ShuffleTies:
		p.seqs = st.shuffled(lo, hi, p.start, n)
	default:
		p.seqs = make([]uint32, n)
		for i := range p.seqs {
			p.seqs[i] = st.index[st.at(lo, hi, p.start+i)]
		}
	}
	return p
}

// at is the place in the index of the i-th record of the range in the order in
// which records are listed: newest first, within a millisecond the latest
// inserted first.
func (st *store) at(lo, hi, i int) int {
	if st.quirks.Ascending {
		return lo + i
	}
	return hi - 1 - i
}

// bounds is the range of the index that the query asks for.
func (st *store) bounds(q query) (lo, hi int) {
	k := &st.quirks
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if q.hasFrom && !k.IgnoreFrom {
		from = q.from
		if k.SecondPrecisionBounds {
			from = floorSecond(from)
		}
		if k.ExclusiveBounds {
			from++
		}
	}
	if q.hasTo && !k.IgnoreTo {
		to = q.to
		if k.SecondPrecisionBounds {
			to = floorSecond(to)
		}
		if k.ExclusiveBounds {
			to--
		}
	}
	if k.DatedBefore != 0 && (q.hasFrom || q.hasTo) {
		to = min(to, k.DatedBefore-1)
	}
	if q.nothing || from > to {
		return 0, 0
	}
	lo, hi = st.below(from), len(st.index)
	if to != math.MaxInt64 {
		hi = st.below(to + 1)
	}
	return lo, hi
}

// shuffled lists n records from start on, with those of each millisecond in
// another order at each call.
func (st *store) shuffled(lo, hi, start, n int) []uint32 {
	millis := func(i int) int64 { return st.recs[st.index[st.at(lo, hi, i)]].place }
	first, end := start, start+n
	for first > 0 && millis(first-1) == millis(start) {
		first--
	}
	for end < hi-lo && millis(end) == millis(start+n-1) {
		end++
	}
	all := make([]uint32, end-first)
	for i := range all {
		all[i] = st.index[st.at(lo, hi, first+i)]
	}
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && st.recs[all[j]].place == st.recs[all[i]].place {
			j++
		}
		tie := all[i:j]
		st.shuffles.Shuffle(len(tie), func(a, b int) { tie[a], tie[b] = tie[b], tie[a] })
		i = j
	}
	return slices.Clone(all[start-first : start-first+n])
}
