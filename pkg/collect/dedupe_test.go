package collect

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"atlassian_audit_records/pkg/audit"
)

// remembered is a state that remembers those records, and does nothing else.
type remembered struct {
	State
	seen []audit.Seen
}

func (r *remembered) SeenAt([]int64) ([]audit.Seen, error) { return r.seen, nil }

// TestARecordWithoutAnIDIsCounted follows one group of records without ids through some
// readings of its millisecond: what is emitted at each, and what is taken out of the
// count again. Two of a name are twins; a record that is renamed has another name.
func TestARecordWithoutAnIDIsCounted(t *testing.T) {
	t.Parallel()
	names := func(millis int64, names string) tally {
		t := tally{}
		for _, name := range names {
			t[audit.Seen{Millis: millis, Coarse: 7, Fine: uint64(name)}]++
		}
		return t
	}
	type reading struct{ shown, emitted, out string }
	for name, row := range map[string]struct {
		millis   int64
		readings []reading
	}{
		"the same again": {5, []reading{{"a", "a", ""}, {"a", "", ""}}},
		"another one":    {5, []reading{{"a", "a", ""}, {"ab", "b", ""}, {"ab", "", ""}}},
		"a twin":         {5, []reading{{"a", "a", ""}, {"aa", "a", ""}, {"aa", "", ""}, {"aaa", "a", ""}}},
		"it is renamed":  {5, []reading{{"a", "a", ""}, {"b", "", ""}, {"b", "", ""}}},
		"it is renamed, and then there is another one":   {5, []reading{{"a", "a", ""}, {"b", "", ""}, {"bc", "bc", "a"}, {"bc", "", ""}}},
		"it is renamed while another one comes, and one": {5, []reading{{"a", "a", ""}, {"bc", "bc", "a"}, {"bcd", "d", ""}, {"bcd", "", ""}}},
		"one of two is renamed while another one comes":  {5, []reading{{"ab", "ab", ""}, {"acd", "cd", "b"}, {"acde", "e", ""}}},
		"both are renamed while another one comes":       {5, []reading{{"ab", "ab", ""}, {"cde", "cde", "ab"}, {"cdef", "f", ""}}},
		"it is not shown for a while":                    {5, []reading{{"ab", "ab", ""}, {"a", "", ""}, {"ab", "", ""}}},
		"without a date each is for itself":              {audit.UndatedMillis, []reading{{"a", "a", ""}, {"b", "b", ""}, {"ab", "", ""}, {"bc", "c", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := &remembered{}
			c := &Collector{state: state}
			for _, r := range row.readings {
				seen, err := c.recall([]int64{row.millis})
				if err != nil {
					t.Fatal(err)
				}
				want, out := memoryOf(seen, len(seen)).plan(names(row.millis, r.shown))
				if diff := cmp.Diff(names(row.millis, r.emitted), want); diff != "" {
					t.Fatalf("where %q is shown, this is emitted (-want +got)\n%s", r.shown, diff)
				}
				var goneOnes []audit.Seen
				for s := range names(row.millis, r.out) {
					goneOnes = append(goneOnes, gone(s))
				}
				if diff := cmp.Diff(goneOnes, out, cmpopts.EquateEmpty(), cmpopts.SortSlices(func(a, b audit.Seen) bool { return a.Fine < b.Fine })); diff != "" {
					t.Fatalf("where %q is shown, this is taken out (-want +got)\n%s", r.shown, diff)
				}
				for s, n := range want {
					for range n {
						state.seen = append(state.seen, s)
					}
				}
				state.seen = append(state.seen, out...)
			}
		})
	}
}
