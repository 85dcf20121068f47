package collect

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// pages is a source that gives records of a millisecond, a thousand a page, and a
// state that remembers another millisecond, or none.
type pages struct {
	State
	at, left, known int64
	calls           int
}

func (p *pages) Page(context.Context, audit.Query) (audit.Page, error) {
	p.calls++
	n := min(p.left, 1000)
	p.left -= n
	var page audit.Page
	for i := range n {
		id := string(rune('a'+i%26)) + time.Unix(i, p.left).String()
		page.Records = append(page.Records, audit.Record{ID: id, Raw: []byte(id), Millis: p.at, Dated: true})
	}
	return page, nil
}

func (p *pages) NextSeen(int64) (int64, bool, error) { return p.known, p.known != 0, nil }

// TestWhatASliceIsReadFor: of a stream without order a slice shows what is known, or
// is not believed; and it is cut where it is more than a run can read.
func TestWhatASliceIsReadFor(t *testing.T) {
	t.Parallel()
	const known, other = 50_000, 40_000
	for name, tt := range map[string]struct {
		source      pages
		spare, over bool
		hides, cut  bool
	}{
		"what is known is shown":                             {source: pages{at: known, left: 10, known: known}},
		"what is known is not shown":                         {source: pages{at: other, left: 10, known: known}, hides: true},
		"nothing is known":                                   {source: pages{at: other, left: 10}},
		"as many records as a slice may hold":                {source: pages{at: known, left: most, known: known}},
		"more records than a slice may hold":                 {source: pages{at: known, left: most + 1, known: known}, cut: true},
		"more than it may hold, and the first slice":         {source: pages{at: known, left: most + 1, known: known}, spare: true, over: true, cut: true},
		"the time is over":                                   {source: pages{at: known, left: 10, known: known}, over: true, cut: true},
		"the time is over, and it is the first of the slice": {source: pages{at: known, left: 10, known: known}, spare: true, over: true},
	} {
		c := &Collector{source: &tt.source, state: &tt.source, limit: 1000, past: true, o: Options{Now: time.Now, ServerNow: time.Now, PageSize: 1000}}
		c.p.Past.Known = math.MaxInt64
		w := &walk{c: c, over: func() bool { return tt.over }, lo: 0, pivot: 100_000, top: -1}
		p, err := w.part(t.Context(), century, tt.spare)
		if cut := errors.Is(err, errCut); cut != tt.cut || err != nil && !cut {
			t.Errorf("%s: %v, want cut %t", name, err, tt.cut)
		}
		if err == nil && p.hides != tt.hides {
			t.Errorf("%s: it hides something is %t, want %t", name, p.hides, tt.hides)
		}
	}
}
