package atlassiantest

import (
	"context"
	"math/rand/v2"
	"time"
)

// TrafficOptions describe a stream of new records.
type TrafficOptions struct {
	// Seed decides what comes when.
	Seed uint64
	// Products are those that get records; both by default.
	Products []string
	// Rate is the number of records per second of the server's clock, all
	// products together.
	Rate float64
	// Bursts is the share of arrivals (0 to 1) that are several records of one
	// millisecond, and BurstSize how many those are; 5 by default.
	Bursts    float64
	BurstSize int
	// Late is the share of arrivals that are dated back, by up to LateBy;
	// 10 minutes by default.
	Late   float64
	LateBy time.Duration
}

// Traffic adds records of a corpus to a server as time goes by. The same
// options make the same records at the same times after its start, however
// often it is asked to catch up. It is not safe for concurrent use.
type Traffic struct {
	s      *Server
	o      TrafficOptions
	rand   *rand.Rand
	corpus *Corpus
	next   time.Time
	added  int
}

// NewTraffic makes a stream that starts at the server's present time. Nothing
// is added yet.
func NewTraffic(s *Server, o TrafficOptions) *Traffic {
	if len(o.Products) == 0 {
		o.Products = []string{Jira, Confluence}
	}
	if o.BurstSize <= 0 {
		o.BurstSize = 5
	}
	if o.LateBy <= 0 {
		o.LateBy = 10 * time.Minute
	}
	t := &Traffic{s: s, o: o, rand: newRand(o.Seed, 3), corpus: NewCorpus(o.Seed + 1), next: s.now()}
	t.schedule(1)
	return t
}

// Added is the number of records added so far.
func (t *Traffic) Added() int { return t.added }

// Step adds exactly n records at the server's present time, whatever the rate.
func (t *Traffic) Step(n int) {
	for end := t.added + n; t.added < end; {
		t.arrive(t.s.now(), end-t.added)
	}
}

// Advance adds what is due by the server's clock, each record with the date at
// which it was due, and returns how many records that were.
func (t *Traffic) Advance() int {
	before := t.added
	for now := t.s.now(); t.o.Rate > 0 && !t.next.After(now); {
		t.schedule(t.arrive(t.next, t.o.BurstSize))
	}
	return t.added - before
}

// Run keeps adding what is due until ctx ends.
func (t *Traffic) Run(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.Advance()
		}
	}
}

// schedule sets the time of the next arrival, n records after the last.
func (t *Traffic) schedule(n int) {
	if t.o.Rate > 0 {
		wait := t.rand.ExpFloat64() * float64(n) / t.o.Rate
		t.next = t.next.Add(time.Duration(wait * float64(time.Second)))
	}
}

// arrive adds one record, a burst or a late one, at most limit records.
func (t *Traffic) arrive(at time.Time, limit int) int {
	product := t.o.Products[t.rand.IntN(len(t.o.Products))]
	kind := t.rand.Float64()
	back := time.Duration(t.rand.Int64N(int64(t.o.LateBy)))
	n, late := 1, kind < t.o.Late
	switch {
	case late:
		at = at.Add(-back)
	case kind < t.o.Late+t.o.Bursts:
		n = min(limit, t.o.BurstSize)
	}
	recs := make([]Record, n)
	for i := range recs {
		recs[i] = t.s.compose(t.corpus, product, at)
		if product == Organization && late {
			// An event of a while ago that is processed only now.
			recs[i].Processed = t.s.now()
		}
	}
	t.s.Add(product, recs...)
	t.added += n
	return n
}

// Fill adds n records of the products in turn, spread over the span that ends
// now, in the order of their dates.
func (s *Server) Fill(n int, span time.Duration, products ...string) {
	if len(products) == 0 {
		products = []string{Jira, Confluence}
	}
	const batch = 10000
	start := s.now().Add(-span)
	for done := 0; done < n; done += batch {
		s.mu.Lock()
		recs := map[string][]Record{}
		for i := done; i < min(n, done+batch); i++ {
			at := start.Add(time.Duration(float64(span) * (float64(i) + 0.5) / float64(n)))
			product := products[i%len(products)]
			recs[product] = append(recs[product], s.compose(s.corpus, product, at))
		}
		s.mu.Unlock()
		for product, r := range recs {
			s.Add(product, r...)
		}
	}
}
