package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"time"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/state"
)

const (
	// firstSamples is into how many parts a span is cut at first, and mostSamples how
	// many questions are asked of a product at most.
	firstSamples = 12
	mostSamples  = 24
	// lineOverhead is what a line has beside Atlassian's record, in bytes, about.
	lineOverhead = 400
	// peekPause and peekTries are how often a state is looked at that a run holds.
	peekPause = 200 * time.Millisecond
	peekTries = 20
)

// BackfillEstimate is what a backfill of one product would come to.
type BackfillEstimate struct {
	// Instance is the site's host, and its context path where it has one.
	Instance string        `json:"instance"`
	Product  audit.Product `json:"product"`
	// Since and Until are what is wanted, LeftSeconds is what of it is not read yet.
	Since       time.Time `json:"since"`
	Until       time.Time `json:"until"`
	LeftSeconds float64   `json:"left_seconds"`
	// Samples were asked for. Exact tells that they showed everything.
	Samples int  `json:"samples"`
	Exact   bool `json:"exact"`
	// Oldest is the date of the oldest record that they showed; nil where they showed none.
	Oldest *time.Time `json:"oldest_record"`
	// Records, Bytes of log lines and Requests are estimated.
	Records  int   `json:"records"`
	Bytes    int64 `json:"bytes"`
	Requests int   `json:"requests"`
	// Points is what Atlassian may count against the hourly quota, 0 where none counts.
	Points int `json:"points"`
	// Seconds is how long it takes at PerMinute requests and PointsPerHour; 0 is no bound.
	Seconds       float64 `json:"seconds"`
	PerMinute     int     `json:"requests_per_minute"`
	PointsPerHour int     `json:"points_per_hour"`
	// Error is nil where the samples could be had.
	Error *string `json:"error"`
}

// sample is a part of a span, and what a question about it showed.
type sample struct {
	audit.Interval
	shown  int
	oldest int64
	bytes  int64
	full   bool
}

// records is how many the part holds, about: where the answer did not reach its lower
// end, as many below as above.
func (s sample) records() float64 {
	if !s.full || s.shown == 0 {
		return float64(s.shown)
	}
	return float64(s.shown) * float64(s.Length()) / float64(max(1, s.To-s.oldest))
}

// EstimateBackfill asks a few questions and tells what a backfill of the target would
// come to. It changes nothing and holds up no run.
func EstimateBackfill(ctx context.Context, t BackfillTarget, o BackfillOptions, options Options) BackfillEstimate {
	options = options.withDefaults()
	c := t.Config
	p := newPace(c, o.PerMinute, o.PointsPerHour)
	out := BackfillEstimate{Instance: c.Name(), Product: t.Product, PerMinute: max(0, p.perMinute), PointsPerHour: max(0, p.points)}
	if err := out.estimate(ctx, t, o, options); err != nil {
		text := redact(sentenceOf(fmt.Errorf("%s of %s: %w", t.Product, c.Name(), err)), c.Secrets())
		out.Error = &text
	}
	return out
}

func (e *BackfillEstimate) estimate(ctx context.Context, t BackfillTarget, o BackfillOptions, options Options) error {
	f := foldersOf(t.Config.RunPath, t.Config.Name())
	position, err := peekPosition(ctx, f.state(t.Product))
	if err != nil {
		return err
	}
	now := options.Now()
	want := audit.Interval{From: o.Since.UnixMilli(), To: now.UnixMilli()}
	if !o.Until.IsZero() {
		want.To = min(want.To, o.Until.UnixMilli())
	}
	if o.Since.IsZero() && len(position.Wanted) > 0 {
		want = audit.Interval{From: position.Wanted[0].From, To: position.Wanted[len(position.Wanted)-1].To}
	}
	e.Since, e.Until = moment(want.From), moment(want.To)
	spans := position.Covered.Gaps(want)
	if position.UpperSet && want.To > position.Upper {
		// What is newer than all that was read is the check's.
		spans = position.Covered.Gaps(audit.Interval{From: want.From, To: position.Upper + 1})
	}
	e.LeftSeconds = float64(spans.Length()) / 1000
	if len(spans) == 0 {
		e.Exact = true
		return nil
	}
	base := f.base
	options.keepNoToken = true
	site, err := newSite(t.Config, options, base)
	if err != nil {
		return err
	}
	defer site.client.Close()
	cloudID := position.CloudID
	if cloudID == "" && t.Config.Deployment == Cloud {
		if cloudID, err = site.client.CloudID(ctx); err != nil {
			return err
		}
	}
	s := sampler{at: site.endpoint(t.Config, t.Product, cloudID, position), product: t.Product}
	if err := s.take(ctx, spans); err != nil {
		return err
	}
	e.sum(s)
	return nil
}

// peekPosition is the position of a state, which a run may hold for a while.
func peekPosition(ctx context.Context, f state.Files) (p audit.Position, err error) {
	for range peekTries {
		p, err = state.Peek(f, peekPause)
		if !errors.Is(err, state.ErrBusy) || ctx.Err() != nil {
			break
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return audit.Position{}, nil
	}
	return p, err
}

// sampler asks for parts of a span.
type sampler struct {
	at      endpoint
	product audit.Product
	parts   []sample
}

// take cuts the spans into parts, asks about each, and then about the halves of those
// that say the least.
func (s *sampler) take(ctx context.Context, spans audit.Set) error {
	length := max(1, spans.Length()/firstSamples)
	for i := len(spans) - 1; i >= 0; i-- {
		for to := spans[i].To; to > spans[i].From; {
			from := max(spans[i].From, to-length)
			if from-spans[i].From < length/4 || len(s.parts) >= mostSamples-1 {
				from = spans[i].From
			}
			one, err := s.ask(ctx, audit.Interval{From: from, To: to})
			if err != nil {
				return err
			}
			s.parts = append(s.parts, one)
			to = from
		}
	}
	s.clamped()
	for len(s.parts) < mostSamples {
		worst := slices.IndexFunc(s.parts, func(p sample) bool { return p.full && p.Length() > 1 })
		if worst < 0 {
			break
		}
		for i, p := range s.parts {
			if p.full && p.Length() > 1 && p.records() > s.parts[worst].records() {
				worst = i
			}
		}
		whole := s.parts[worst]
		middle := whole.From + whole.Length()/2
		below, err := s.ask(ctx, audit.Interval{From: whole.From, To: middle})
		if err != nil {
			return err
		}
		above := whole
		above.From = middle
		if above.oldest < middle {
			// The answer reached into the lower half: above it is exact.
			above.full = false
			share := float64(whole.To-middle) / float64(max(1, whole.To-whole.oldest))
			above.shown, above.bytes = int(math.Round(float64(whole.shown)*share)), int64(float64(whole.bytes)*share)
			above.oldest = middle
		}
		s.parts[worst] = above
		s.parts = append(s.parts, below)
		s.clamped()
	}
	return nil
}

// ask asks for the newest records of a part.
func (s *sampler) ask(ctx context.Context, iv audit.Interval) (sample, error) {
	limit := 1000
	if s.product == audit.Organization {
		limit = 200
	}
	page, err := s.at.Page(ctx, audit.Query{From: iv.From, To: iv.To - 1, Bounded: true, Limit: limit, Newest: true})
	if err != nil {
		return sample{}, err
	}
	out := sample{Interval: iv, oldest: iv.To, full: len(page.Records) >= limit || page.Limit > 0 && len(page.Records) >= page.Limit}
	for _, r := range page.Records {
		if at := r.At(); iv.Contains(at) {
			out.shown++
			out.bytes += int64(len(r.Raw)) + lineOverhead
			out.oldest = min(out.oldest, at)
		}
	}
	return out, nil
}

// clamped marks the answers that a source made smaller without saying so: several are
// as long as the longest.
func (s *sampler) clamped() {
	longest, n := s.page()
	for i := range s.parts {
		if n > 1 && s.parts[i].shown == longest && longest > 1 {
			s.parts[i].full = true
		}
	}
}

// page is the length of the longest answer, and how many were as long.
func (s *sampler) page() (longest, n int) {
	for _, p := range s.parts {
		switch {
		case p.shown > longest:
			longest, n = p.shown, 1
		case p.shown == longest:
			n++
		}
	}
	return longest, n
}

// sum adds up the parts.
func (e *BackfillEstimate) sum(s sampler) {
	records, shown, bytes, oldest := 0.0, 0, int64(0), audit.Forever
	e.Samples, e.Exact = s.at.Requests(), true
	full := false
	for _, p := range s.parts {
		records += p.records()
		shown += p.shown
		bytes += p.bytes
		full = full || p.full
		e.Exact = e.Exact && !p.full
		if p.shown > 0 {
			oldest = min(oldest, p.oldest)
		}
	}
	e.Records = int(math.Round(records))
	if shown > 0 {
		at := moment(oldest)
		e.Oldest = &at
		e.Bytes = int64(records * float64(bytes) / float64(shown))
	}
	size, _ := s.page()
	if !full {
		size = 1000
		if s.product == audit.Organization {
			size = 200
		}
	}
	// Two requests find the end of a span.
	e.Requests = 2 + int(math.Ceil(records/float64(max(1, size))))
	if s.product == audit.Organization {
		// It is read in parts of a day at first, of a month where there is little.
		e.Requests += 6 + int(e.LeftSeconds/(30*24*60*60))
	}
	if e.PerMinute > 0 {
		e.Seconds = float64(e.Requests) * 60 / float64(e.PerMinute)
	}
	if e.PointsPerHour > 0 {
		e.Points = e.Requests + e.Records
		e.Seconds = max(e.Seconds, float64(e.Points)*3600/float64(e.PointsPerHour))
	}
}
