package collect

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"atlassian_audit_records/pkg/audit"
)

// TestWhatIsWorthACommit changes each field of a position: all are worth one but those
// that only go along with others. A new field has to be put on one side.
func TestWhatIsWorthACommit(t *testing.T) {
	t.Parallel()
	along := []string{
		"File", "End", "FileSince", // with the lines
		"LookUpper", "Forgotten", "GapMissingAt", "ProbeUpper", "Probes", "GapLeast", "GapAt", "WaitReason", "Rhythm",
		"Past.At", "Past.Known", "Past.Mark", "Past.Count", "Past.MissingAt",
		"LiveAt", // in steps, see below
	}
	fields := 0
	var each func(path string, v reflect.Value, whole *audit.Position)
	each = func(path string, v reflect.Value, whole *audit.Position) {
		for i := range v.NumField() {
			name, f := path+v.Type().Field(i).Name, v.Field(i)
			if name == "Past" {
				each("Past.", f, whole)
				continue
			}
			fields++
			was := reflect.New(f.Type()).Elem()
			was.Set(f)
			switch f.Kind() {
			case reflect.Int, reflect.Int64:
				f.SetInt(7)
			case reflect.Bool:
				f.SetBool(true)
			case reflect.String:
				f.SetString("x")
			case reflect.Slice:
				f.Set(reflect.MakeSlice(f.Type(), 1, 1))
			case reflect.Struct:
				if name != "Rhythm" {
					t.Fatalf("%s is of a kind that this test does not know", name)
				}
			}
			worth := !slices.Contains(along, name)
			if same(audit.Position{}, *whole) == worth || same(*whole, audit.Position{}) == worth && name != "LiveAt" {
				t.Errorf("%s: worth a commit is %t", name, !worth)
			}
			f.Set(was)
		}
	}
	var p audit.Position
	each("", reflect.ValueOf(&p).Elem(), &p)
	if fields < len(along)+20 {
		t.Errorf("%d fields", fields)
	}
	for later, want := range map[time.Duration]bool{
		0: true, 5*time.Minute - time.Millisecond: true, 5 * time.Minute: false, -time.Millisecond: false,
	} {
		a, b := audit.Position{LiveAt: 1 << 40}, audit.Position{LiveAt: 1<<40 + later.Milliseconds()}
		if same(a, b) != want {
			t.Errorf("the live edge was read %s later: same is %t", later, !want)
		}
	}
}

func spans(bounds ...int64) audit.Set {
	var out audit.Set
	for pair := range slices.Chunk(bounds, 2) {
		out = out.Add(audit.Interval{From: pair[0], To: pair[1]})
	}
	return out
}

// TestWhatIsReadIsCovered up to the newest record and no further.
func TestWhatIsReadIsCovered(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		before, want audit.Position
		iv           audit.Interval
		cut          int64
		isCut        bool
	}{
		"a span below the newest record": {
			before: audit.Position{Upper: 99, UpperSet: true}, iv: audit.Interval{From: 10, To: 20},
			want: audit.Position{Upper: 99, UpperSet: true, Covered: spans(10, 20)},
		},
		"a span that ends with the newest record": {
			before: audit.Position{Upper: 99, UpperSet: true}, iv: audit.Interval{From: 10, To: audit.Forever},
			want: audit.Position{Upper: 99, UpperSet: true, Covered: spans(10, 100)},
		},
		"nothing, where no record was read yet": {
			before: audit.Position{Floor: 5}, iv: audit.Interval{From: 5, To: audit.Forever},
			want: audit.Position{Floor: 5},
		},
		"a newest record below the floor": {
			before: audit.Position{Floor: 50, Upper: 20, UpperSet: true}, iv: audit.Interval{From: 10, To: 60},
			want: audit.Position{Floor: 50, Upper: 20, UpperSet: true, Covered: spans(10, 50)},
		},
		"what was to be read again": {
			before: audit.Position{Upper: 99, UpperSet: true, Recheck: spans(0, 50)}, iv: audit.Interval{From: 10, To: 20},
			want: audit.Position{Upper: 99, UpperSet: true, Covered: spans(10, 20), Recheck: spans(0, 10, 20, 50)},
		},
		"cuts within it are shown, others stay": {
			before: audit.Position{Upper: 99, UpperSet: true, Cuts: []int64{9, 10, 19, 20}}, iv: audit.Interval{From: 10, To: 20},
			want: audit.Position{Upper: 99, UpperSet: true, Covered: spans(10, 20), Cuts: []int64{9, 20}},
		},
		"a new cut stands beside the others, once": {
			before: audit.Position{Upper: 99, UpperSet: true, Cuts: []int64{3, 9, 30}}, iv: audit.Interval{From: 10, To: 20}, cut: 9, isCut: true,
			want: audit.Position{Upper: 99, UpperSet: true, Covered: spans(10, 20), Cuts: []int64{3, 30, 9}},
		},
		"the number of a cut that is none means nothing": {
			before: audit.Position{Upper: 99, UpperSet: true, Cuts: []int64{3, 9}}, iv: audit.Interval{From: 10, To: 20}, cut: 9,
			want: audit.Position{Upper: 99, UpperSet: true, Covered: spans(10, 20), Cuts: []int64{3, 9}},
		},
	} {
		got := complete(tt.before, tt.iv, tt.cut, tt.isCut)
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// TestWhatMayBeForgotten is what lies below all that is still to be asked about.
func TestWhatMayBeForgotten(t *testing.T) {
	t.Parallel()
	c := &Collector{o: Options{Lookback: 10 * time.Millisecond, ReconcileWindow: 100 * time.Millisecond}}
	p := audit.Position{Floor: 100, Upper: 1000, UpperSet: true, LookUpper: 900, ReconcileUpper: 950, Covered: spans(100, 1001)}
	for name, tt := range map[string]struct {
		change func(p *audit.Position)
		want   int64
	}{
		"the reconcile window, counted from the last reconcile": {func(*audit.Position) {}, 850},
		"the look-back, counted from the last one":              {func(p *audit.Position) { p.ReconcileUpper = 1000; p.LookUpper = 800 }, 790},
		"the look-back, counted from the newest record":         {func(p *audit.Position) { p.ReconcileUpper = 2000; p.LookUpper = 2000 }, 990},
		"what is to be read again":                              {func(p *audit.Position) { p.Recheck = spans(300, 310) }, 300},
		"what was to be read again, but higher up":              {func(p *audit.Position) { p.Recheck = spans(960, 970) }, 850},
		"a gap":                              {func(p *audit.Position) { p.Covered = spans(100, 400, 500, 1001) }, 400},
		"a gap just below the newest record": {func(p *audit.Position) { p.ReconcileUpper = 2000; p.LookUpper = 1010; p.Covered = spans(100, 1000) }, 990},
		"a gap below the floor is no gap":    {func(p *audit.Position) { p.Covered = spans(50, 60, 100, 1001) }, 850},
		"nothing below the floor":            {func(p *audit.Position) { p.ReconcileUpper = 150 }, 100},
		"nothing twice":                      {func(p *audit.Position) { p.Forgotten = 880 }, 880},
		"nothing, before the first record":   {func(p *audit.Position) { p.UpperSet = false }, 100},
	} {
		p := p
		tt.change(&p)
		if got := c.forgettable(p); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

// TestAGapIsWatched: when it became shorter is remembered, and no more.
func TestAGapIsWatched(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(7_000)
	c := &Collector{o: Options{Now: func() time.Time { return now }}}
	for name, tt := range map[string]struct {
		covered           audit.Set
		least, at         int64
		wantLeast, wantAt int64
	}{
		"a new gap":               {spans(0, 60, 70, 100), 0, 0, 10, 7000},
		"it is as long as it was": {spans(0, 60, 70, 100), 10, 3000, 10, 3000},
		"it became longer":        {spans(0, 50, 70, 100), 10, 3000, 10, 3000},
		"it became shorter":       {spans(0, 61, 70, 100), 10, 3000, 9, 7000},
		"it is closed":            {spans(0, 100), 10, 3000, 0, 0},
	} {
		p := c.stalled(audit.Position{Upper: 99, UpperSet: true, Covered: tt.covered, GapLeast: tt.least, GapAt: tt.at})
		if p.GapLeast != tt.wantLeast || p.GapAt != tt.wantAt {
			t.Errorf("%s: the least is %d since %d, want %d since %d", name, p.GapLeast, p.GapAt, tt.wantLeast, tt.wantAt)
		}
	}
	if p := c.stalled(audit.Position{GapLeast: 10, GapAt: 3000}); p.GapLeast != 0 || p.GapAt != 0 {
		t.Errorf("before the first record: %+v", p)
	}
}

// TestADisorderBecomesMilder by half, unless it was beyond all bounds.
func TestADisorderBecomesMilder(t *testing.T) {
	t.Parallel()
	for was, want := range map[int64]int64{0: 0, 1: 0, 40_000: 20_000, mostDisorder - 1: (mostDisorder - 1) / 2, mostDisorder: mostDisorder, mostDisorder + 1: mostDisorder + 1} {
		if got := milder(was); got != want {
			t.Errorf("after %d: %d, want %d", was, got, want)
		}
	}
}

// TestAnErrorThatOnlySaysThatTimeIsOver: nothing else is let pass, nor is that before
// the end of the time.
func TestAnErrorThatOnlySaysThatTimeIsOver(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err        error
		over, want bool
	}{
		"the time is over":                  {context.DeadlineExceeded, true, true},
		"an answer took too long meanwhile": {context.DeadlineExceeded, false, false},
		"another error":                     {errors.New("status 500"), true, false},
	} {
		if got := isCutShort(tt.err, tt.over); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestAMomentEndsWithItsSecond, also before 1970.
func TestAMomentEndsWithItsSecond(t *testing.T) {
	t.Parallel()
	for ms, want := range map[int64]int64{0: 1000, 1: 1000, 999: 1000, 1000: 2000, -1: 0, -999: 0, -1000: 0, -1001: -1000} {
		if got := endOfSecond(ms); got != want {
			t.Errorf("%d: %d, want %d", ms, got, want)
		}
	}
}
