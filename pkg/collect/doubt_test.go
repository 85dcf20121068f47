package collect

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"
)

// TestWhenASilenceIsLookedInto is about the pauses between two questions without dates.
func TestWhenASilenceIsLookedInto(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) int64 { return now.Add(-d).UnixMilli() }
	const ms = time.Millisecond
	for name, tt := range map[string]struct {
		p       audit.Position
		notLive bool
		want    bool
	}{
		"it never was":                                 {audit.Position{}, false, true},
		"the live edge was not read to its end":        {audit.Position{}, true, false},
		"that, but known records are missing":          {audit.Position{MissingSince: ago(time.Minute)}, true, true},
		"the stream speaks":                            {audit.Position{Floor: ago(time.Hour), Upper: ago(0), UpperSet: true}, false, false},
		"records came since, an hour ago":              {audit.Position{ProbeAt: ago(time.Hour), Probes: 3, ProbeUpper: 7}, false, true},
		"records came since, not quite an hour ago":    {audit.Position{ProbeAt: ago(time.Hour - ms), Probes: 3, ProbeUpper: 7}, false, false},
		"once, four hours ago":                         {audit.Position{ProbeAt: ago(4 * time.Hour), Probes: 1}, false, true},
		"once, not quite four hours ago":               {audit.Position{ProbeAt: ago(4*time.Hour - ms), Probes: 1}, false, false},
		"twice, eight hours ago":                       {audit.Position{ProbeAt: ago(8 * time.Hour), Probes: 2}, false, true},
		"twice, not quite eight hours ago":             {audit.Position{ProbeAt: ago(8*time.Hour - ms), Probes: 2}, false, false},
		"ten times, a day ago":                         {audit.Position{ProbeAt: ago(24 * time.Hour), Probes: 10}, false, true},
		"ten times, not quite a day ago":               {audit.Position{ProbeAt: ago(24*time.Hour - ms), Probes: 10}, false, false},
		"records are withheld, ten minutes ago":        {audit.Position{ProbeAt: ago(10 * time.Minute), Probes: 9, HiddenSince: 1}, false, true},
		"records are withheld, not quite ten minutes":  {audit.Position{ProbeAt: ago(10*time.Minute - ms), Probes: 9, HiddenSince: 1}, false, false},
		"they began to be missing since, ten minutes":  {audit.Position{ProbeAt: ago(10 * time.Minute), Probes: 9, MissingSince: ago(time.Minute)}, false, true},
		"they began to be missing since, nine minutes": {audit.Position{ProbeAt: ago(9 * time.Minute), Probes: 9, MissingSince: ago(time.Minute)}, false, false},
		"they were missing then already":               {audit.Position{ProbeAt: ago(time.Minute), Probes: 1, MissingSince: ago(time.Minute)}, false, false},
		"it will be, says a clock that was put back":   {audit.Position{ProbeAt: ago(-ms), Probes: 1}, false, true},
	} {
		c := &Collector{p: tt.p, o: Options{Now: func() time.Time { return now }, ServerNow: func() time.Time { return now }}}
		c.summary.LiveDone = !tt.notLive
		if got := c.doubtful(); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// shows is a source that answers every question with the same page.
type shows struct {
	Source
	page audit.Page
}

func (s shows) Page(context.Context, audit.Query) (audit.Page, error) { return s.page, nil }

// TestWhatIsWithheld is about a record that a question without dates shows: whether it
// should be among those that are shown with dates.
func TestWhatIsWithheld(t *testing.T) {
	t.Parallel()
	record := func(ms int64) audit.Record {
		return audit.Record{ID: time.UnixMilli(ms).String(), Millis: ms, Dated: true}
	}
	page := func(n int, oldest int64) (out []audit.Record) {
		for i := range n {
			out = append(out, record(oldest+int64(n-1-i)*10))
		}
		return out
	}
	now := func() time.Time { return time.UnixMilli(1 << 40) }
	for name, tt := range map[string]struct {
		undated, dated []audit.Record
		p              audit.Position
		want           int
	}{
		"nothing is shown at all":                     {nil, page(3, 5000), audit.Position{}, 0},
		"it is shown with dates, too":                 {page(1, 5000), page(3, 5000), audit.Position{}, 0},
		"it is not shown with dates":                  {page(1, 5005), page(3, 5000), audit.Position{}, 1},
		"nothing is shown with dates":                 {page(2, 5000), nil, audit.Position{}, 2},
		"it lies below the floor":                     {page(1, 5005), nil, audit.Position{Floor: 5006}, 0},
		"it lies at the floor":                        {page(1, 5005), nil, audit.Position{Floor: 5005}, 1},
		"it is in a gap, which will be read":          {page(1, 5005), nil, audit.Position{Upper: 9000, UpperSet: true}, 0},
		"it is where all was read":                    {page(1, 5005), nil, audit.Position{Upper: 9000, UpperSet: true, Covered: spans(0, 9001)}, 1},
		"it is below all that a full page shows":      {page(1, 4999), page(probeLimit, 5000), audit.Position{}, 0},
		"it is of the last moment of a full page":     {[]audit.Record{{ID: "x", Millis: 5000, Dated: true}}, page(probeLimit, 5000), audit.Position{}, 0},
		"it is above the last moment of a full page":  {page(1, 5001), page(probeLimit, 5000), audit.Position{}, 1},
		"it is below a page that is not full":         {page(1, 4999), page(probeLimit-1, 5000), audit.Position{}, 1},
		"the last moment of a full page may go on":    {page(probeLimit, 5000), nil, audit.Position{}, probeLimit - 1},
		"that of a page that is not full is complete": {page(probeLimit-1, 5000), nil, audit.Position{}, probeLimit - 1},
	} {
		c := &Collector{p: tt.p, o: Options{Now: now, ServerNow: now}, limit: 1000, state: &remembered{}, source: shows{page: audit.Page{Records: tt.dated}}}
		got, err := c.withheld(t.Context(), c.look(audit.Page{Records: tt.undated}))
		if err != nil || len(got) != tt.want {
			t.Errorf("%s: %d records, %v; want %d", name, len(got), err, tt.want)
		}
	}
}

// TestWhatARhythmIsLearnedFrom: neither from the future nor from what we did ourselves.
func TestWhatARhythmIsLearnedFrom(t *testing.T) {
	t.Parallel()
	var out []fresh
	for _, r := range []audit.Record{{Millis: 5, Dated: true}, {Millis: 7, Dated: true}, {Millis: 8, Dated: true}, {Millis: 6, Dated: true, Own: true}, {Millis: 3}} {
		out = append(out, fresh{record: r})
	}
	if diff := cmp.Diff([]int64{5, 7}, spoken(out, 7)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestPatienceWithAHistoryEnds where what was missing is shown again, or where the walk
// comes below it.
func TestPatienceWithAHistoryEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		pivot            int64
		done, suspicious bool
		live             bool
		want             bool
	}{
		"the walk is at its end":                 {500, true, false, false, true},
		"the walk came below it":                 {99, false, false, false, true},
		"the walk came to it":                    {100, false, false, false, false},
		"the walk is above it":                   {101, false, false, false, false},
		"something else is missing in this run":  {99, true, true, false, false},
		"it is a walk of the check, at its end":  {500, true, false, true, false},
		"it is a walk of the check, lower still": {99, false, false, true, false},
	} {
		c := &Collector{past: !tt.live}
		c.summary.Suspicious = tt.suspicious
		c.p.Past.MissingSince, c.p.Past.MissingAt = 7, 100
		c.foundAgain(&walk{c: c, pivot: tt.pivot}, tt.done)
		if got := c.p.Past.MissingSince == 0 && c.p.Past.MissingAt == 0; got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
