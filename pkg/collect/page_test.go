package collect

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"
)

// heavy is a source whose answers are too large from some number of records on.
type heavy struct {
	Source
	most  int
	asked []int
}

type tooLargeError struct{ error }

func (tooLargeError) TooLarge() bool { return true }

func (h *heavy) Page(_ context.Context, q audit.Query) (audit.Page, error) {
	if h.asked = append(h.asked, q.Limit); q.Limit > h.most {
		return audit.Page{}, tooLargeError{errors.New("the answer is too large")}
	}
	return audit.Page{}, nil
}

// TestAnAnswerThatIsTooLarge is asked for by half as many records, down to one; after
// some answers that are not, by twice as many.
func TestAnAnswerThatIsTooLarge(t *testing.T) {
	t.Parallel()
	now := func() time.Time { return time.UnixMilli(1 << 40) }
	for name, tt := range map[string]struct {
		most, answers int
		asked         []int
		fails         bool
	}{
		"from twenty records on": {19, 1, []int{20, 10}, false},
		"from three on":          {2, 1, []int{20, 10, 5, 2}, false},
		"at any number":          {0, 1, []int{20, 10, 5, 2, 1}, true},
		"never":                  {20, 2, []int{20, 20}, false},
		"for a while":            {10, 9, []int{20, 10, 10, 10, 10, 10, 10, 10, 10, 20, 10}, false},
	} {
		source := &heavy{most: tt.most}
		c := &Collector{o: Options{Now: now, ServerNow: now, PageSize: 20}, limit: 20, source: source}
		var err error
		for range tt.answers {
			_, err = c.ask(t.Context(), audit.Query{})
		}
		if (err != nil) != tt.fails {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.asked, source.asked); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// TestWhatIsWantedOfAPageLeavesItAsItIs: others look at the page later.
func TestWhatIsWantedOfAPageLeavesItAsItIs(t *testing.T) {
	t.Parallel()
	var records []audit.Record
	for _, ms := range []int64{9, 7, 5, 3} {
		records = append(records, audit.Record{Raw: []byte("{}"), Millis: ms, Dated: true})
	}
	records = append(records, audit.Record{Raw: []byte("{}")})
	v := view{records: records, oldest: 3, newest: 9, dated: true}
	times := func(records []audit.Record) (out []int64) {
		for _, r := range records {
			out = append(out, r.At())
		}
		return out
	}
	before := times(v.records)
	for name, row := range map[string]struct {
		from, top int64
		want      []int64
	}{
		"all of it":         {3, 9, []int64{9, 7, 5, 3, audit.UndatedMillis}},
		"what is not below": {5, 9, []int64{9, 7, 5, audit.UndatedMillis}},
		"what is not above": {1, 5, []int64{5, 3, audit.UndatedMillis}},
		"what lies between": {5, 7, []int64{7, 5, audit.UndatedMillis}},
	} {
		w := &walk{c: &Collector{past: true}, top: row.top}
		if diff := cmp.Diff(row.want, times(w.wanted(v.from(row.from)))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
		if diff := cmp.Diff(before, times(v.records)); diff != "" {
			t.Errorf("%s: the page has changed (-before +after)\n%s", name, diff)
		}
	}
}
