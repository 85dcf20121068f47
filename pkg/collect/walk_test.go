package collect

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"atlassian_audit_records/pkg/audit"
)

// TestWhatAPageMustShow: the first one of a walk its anchor, each other one the records
// that the page before it ended with.
func TestWhatAPageMustShow(t *testing.T) {
	t.Parallel()
	c := &Collector{o: Options{ServerNow: time.Now}, limit: 10}
	page := func(millis ...int64) view {
		var p audit.Page
		for _, ms := range millis {
			p.Records = append(p.Records, audit.Record{ID: "1", Millis: ms, Dated: true})
		}
		return c.look(p)
	}
	two := map[group]int{groupOf(audit.Record{ID: "1", Millis: 50, Dated: true}.Seen()): 2}
	for name, tt := range map[string]struct {
		w    walk
		v    view
		want bool
	}{
		"the first page of the live edge":            {walk{live: true, pivot: audit.Forever}, page(7), true},
		"the second page of the live edge":           {walk{live: true, pivot: 50, expect: two}, page(50, 50, 40), true},
		"that without a record of the page before":   {walk{live: true, pivot: 50, expect: two}, page(50, 40), false},
		"that of a gap without one":                  {walk{pivot: 50, expect: two}, page(50, 40), false},
		"a page that may go on in that millisecond":  {walk{pivot: 50, expect: two}, page(50), true},
		"the first page of a gap, without an anchor": {walk{pivot: 50}, page(40), true},
		"with its anchor":                            {walk{pivot: 50, anchored: true, anchor: 60}, page(60, 40), true},
		"without its anchor":                         {walk{pivot: 50, anchored: true, anchor: 60}, page(40), false},
		"one that ends above the anchor":             {walk{pivot: 50, anchored: true, anchor: 60}, page(70), true},
	} {
		if got := tt.w.honest(tt.v); got != tt.want {
			t.Errorf("%s: honest is %t", name, got)
		}
	}
}

// TestWhereTheLiveQuestionBegins: at the look-back, unless the last one is still owed or
// was more than a run can read.
func TestWhereTheLiveQuestionBegins(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		p           audit.Position
		want        int64
		wantRecheck audit.Set
	}{
		"at the look-back, counted from the last one": {audit.Position{Upper: 1000, LookUpper: 900}, 800, spans(800, 1001)},
		"not below the floor":                         {audit.Position{Upper: 1000, LookUpper: 900, Floor: 850}, 850, spans(850, 1001)},
		"not below what was forgotten":                {audit.Position{Upper: 1000, LookUpper: 900, Forgotten: 870}, 870, spans(870, 1001)},
		"the last one is still owed":                  {audit.Position{Upper: 1000, LookUpper: 900, Recheck: spans(850, 860)}, 1000, spans(850, 860)},
		"its last millisecond is still owed":          {audit.Position{Upper: 1000, LookUpper: 900, Recheck: spans(900, 901)}, 1000, spans(900, 901)},
		"something below it is owed":                  {audit.Position{Upper: 1000, LookUpper: 900, Recheck: spans(700, 800)}, 800, spans(700, 1001)},
		"it was more than a run can read":             {audit.Position{Upper: 1000, LookUpper: 900, LookCut: true}, 1000, spans(800, 1001)},
		"that, and something below it is owed":        {audit.Position{Upper: 1000, LookUpper: 900, LookCut: true, Recheck: spans(700, 800)}, 1000, spans(700, 800)},
	} {
		c := &Collector{p: tt.p, o: Options{Lookback: 100 * time.Millisecond}}
		c.p.UpperSet = true
		if got := c.lookBack(); got != tt.want {
			t.Errorf("%s: it begins at %d, want %d", name, got, tt.want)
		}
		if diff := cmp.Diff(tt.wantRecheck, c.p.Recheck, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: what is owed (-want +got)\n%s", name, diff)
		}
	}
}

// TestPatienceWithWhatIsMissing: it is told at once and taken as purged after an hour,
// of the live edge, of a gap and of a history each for itself.
func TestPatienceWithWhatIsMissing(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1 << 40)
	ago := func(d time.Duration) int64 { return now.Add(-d).UnixMilli() }
	since := now.UnixMilli()
	type grace struct{ live, gap, gapAt, past, pastAt int64 }
	for name, tt := range map[string]struct {
		live, past   bool
		before, want grace
		hidden       int64
		purged       bool
	}{
		"of the live edge, for the first time":     {live: true, want: grace{live: since}},
		"of the live edge, not quite an hour":      {live: true, before: grace{live: ago(time.Hour - time.Millisecond)}, want: grace{live: ago(time.Hour - time.Millisecond)}},
		"of the live edge, an hour":                {live: true, before: grace{live: ago(time.Hour)}, want: grace{live: ago(time.Hour)}, purged: true},
		"an hour, but shown without dates":         {live: true, before: grace{live: ago(time.Hour)}, want: grace{live: ago(time.Hour)}, hidden: 1},
		"of a gap, for the first time":             {want: grace{gap: since, gapAt: 77}},
		"of a gap, of which another part was":      {before: grace{gap: ago(time.Minute), gapAt: 99}, want: grace{gap: ago(time.Minute), gapAt: 99}},
		"of a gap, an hour":                        {before: grace{gap: ago(time.Hour), gapAt: 99}, want: grace{gap: ago(time.Hour), gapAt: 99}, purged: true},
		"of a gap, while the live edge lacks some": {before: grace{live: ago(time.Hour)}, want: grace{live: ago(time.Hour), gap: since, gapAt: 77}},
		"of a history, for the first time":         {past: true, want: grace{past: since, pastAt: 77}},
		"of a history, an hour":                    {past: true, before: grace{past: ago(time.Hour), pastAt: 99}, want: grace{past: ago(time.Hour), pastAt: 99}, purged: true},
	} {
		c := &Collector{past: tt.past, o: Options{Now: func() time.Time { return now }}}
		c.p.MissingSince, c.p.GapMissingSince, c.p.GapMissingAt, c.p.HiddenSince = tt.before.live, tt.before.gap, tt.before.gapAt, tt.hidden
		c.p.Past.MissingSince, c.p.Past.MissingAt = tt.before.past, tt.before.pastAt
		purged := (&walk{c: c, live: tt.live, top: 77}).missing()
		got := grace{c.p.MissingSince, c.p.GapMissingSince, c.p.GapMissingAt, c.p.Past.MissingSince, c.p.Past.MissingAt}
		if purged != tt.purged || got != tt.want || c.summary.Suspicious == purged {
			t.Errorf("%s: purged is %t, %+v, suspicious is %t; want %t, %+v", name, purged, got, c.summary.Suspicious, tt.purged, tt.want)
		}
	}
}

// TestPatienceEndsWhereAGapIsShown: it begins anew only for a gap that was read, or
// that is owed no more.
func TestPatienceEndsWhereAGapIsShown(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		live, past, suspicious, done bool
		top                          int64
		owed                         audit.Set // what is not covered up to 100
		ends                         bool
	}{
		"it was read to its end":                           {done: true, top: 50, owed: spans(10, 81), ends: true},
		"it was not read to its end":                       {top: 50, owed: spans(10, 81)},
		"another was read to its end":                      {done: true, top: 80, owed: spans(10, 51)},
		"nothing is owed any more":                         {top: 80, ends: true},
		"what is owed lies below it":                       {top: 80, owed: spans(10, 50), ends: true},
		"it is owed still":                                 {top: 80, owed: spans(10, 51)},
		"something was not shown this time":                {suspicious: true, done: true, top: 50},
		"it was the live edge that was read":               {live: true, done: true, top: 50},
		"it was a history that was read":                   {past: true, done: true, top: 50},
		"it was read, and more above it is owed than once": {done: true, top: 50, owed: spans(60, 81), ends: true},
	} {
		c := &Collector{past: tt.past}
		c.summary.Suspicious = tt.suspicious
		c.p.UpperSet, c.p.Upper, c.p.GapMissingSince, c.p.GapMissingAt = true, 100, 7, 50
		c.p.Covered = audit.NewSet(audit.Interval{From: 0, To: 101})
		for _, iv := range tt.owed {
			c.p.Covered = c.p.Covered.Remove(iv)
		}
		c.gapShown(&walk{c: c, live: tt.live, top: tt.top}, tt.done)
		if ended := c.p.GapMissingSince == 0 && c.p.GapMissingAt == 0; ended != tt.ends || !ended && c.p.GapMissingAt != 50 {
			t.Errorf("%s: it ended is %t, want %t", name, ended, tt.ends)
		}
	}
	c := &Collector{}
	c.p.GapMissingAt = 50
	if c.gapShown(&walk{c: c}, true); c.p.GapMissingAt != 50 {
		t.Error("patience that never began has ended")
	}
}
