package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHistoryIsWhatIsWantedAndNotCovered(t *testing.T) {
	t.Parallel()
	iv := func(from, to int64) Interval { return Interval{From: from, To: to} }
	for name, tc := range map[string]struct{ wanted, covered, want Set }{
		"nothing is wanted":             {nil, Set{iv(0, 10)}, nil},
		"nothing is read":               {Set{iv(0, 10)}, nil, Set{iv(0, 10)}},
		"all is read":                   {Set{iv(2, 8)}, Set{iv(0, 10)}, nil},
		"the upper part is read":        {Set{iv(0, 10)}, Set{iv(6, 20)}, Set{iv(0, 6)}},
		"islands are read":              {Set{iv(0, 10)}, Set{iv(2, 3), iv(5, 7)}, Set{iv(0, 2), iv(3, 5), iv(7, 10)}},
		"two spans, one of them read":   {Set{iv(0, 10), iv(20, 30)}, Set{iv(20, 40)}, Set{iv(0, 10)}},
		"what is read lies elsewhere":   {Set{iv(0, 10)}, Set{iv(10, 20)}, Set{iv(0, 10)}},
		"the end of a span is excluded": {Set{iv(0, 10)}, Set{iv(0, 9)}, Set{iv(9, 10)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tc.want, Position{Wanted: tc.wanted, Covered: tc.covered}.History()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
