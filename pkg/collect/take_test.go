package collect

import (
	"testing"

	"atlassian_audit_records/pkg/audit"
)

func TestAnIdIsTakenOnceHoweverOftenAPageShowsIt(t *testing.T) {
	t.Parallel()
	m := memory{emitted: map[group]int{}, fine: map[audit.Seen]int{}, ever: map[audit.Seen]int{}}
	r := audit.Record{ID: "7", Millis: 5, Dated: true}
	undated := audit.Record{ID: "8"}
	for _, step := range []struct {
		what   string
		record audit.Record
		taken  bool
	}{
		{"an id", r, true},
		{"the same once more", r, false},
		{"an id without a date", undated, true},
		{"the same, with one", audit.Record{ID: "8", Millis: 5, Dated: true}, false},
		{"another id of that millisecond", audit.Record{ID: "9", Millis: 5, Dated: true}, true},
	} {
		f, ok := m.take(step.record, nil)
		if ok != step.taken || ok && f.occurrence != 1 {
			t.Errorf("%s: taken %t, occurrence %d", step.what, ok, f.occurrence)
		}
	}
}
