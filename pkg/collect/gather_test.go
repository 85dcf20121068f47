package collect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"atlassian_audit_records/pkg/audit"
)

// readings is a source that answers each reading by offset with the pages that stand
// for it, the last of them for ever. A page is a word; each small letter in it is a
// record with that id, each capital one without an id, and the same letter the same.
type readings struct {
	Source
	pages []string
	begun int
}

func (r *readings) Page(_ context.Context, q audit.Query) (audit.Page, error) {
	if q.Offset == 0 {
		r.begun++
	}
	at, p := 0, audit.Page{}
	for _, page := range strings.Fields(r.pages[min(r.begun, len(r.pages))-1]) {
		if at == q.Offset {
			for _, letter := range page {
				record := audit.Record{Raw: fmt.Appendf(nil, `{"letter":%q}`, letter), Millis: 5, Dated: true}
				if unicode.IsLower(letter) {
					record.ID = string(letter)
				} else {
					record.Keys.Fine = uint64(letter)
				}
				p.Records = append(p.Records, record)
			}
		}
		at += len(page)
	}
	return p, nil
}

// Commit makes a state of what is remembered.
func (r *remembered) Commit(c audit.Change) error {
	r.seen = append(r.seen, c.Emitted...)
	return nil
}

// takesAll is a spool.
type takesAll struct{ Spool }

func (takesAll) Next(string, int64, int64, int) (audit.Place, int64) {
	return audit.Place{File: "a.jsonl"}, 0
}

func (takesAll) Stage(audit.Place, []byte) (bool, error) { return false, nil }

func (takesAll) Write(audit.Place, []byte) error { return nil }

// TestWhenAReadingByOffsetIsBelieved tells what each reading of the same records shows,
// how many readings it takes, and what is emitted in the end.
func TestWhenAReadingByOffsetIsBelieved(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		pages    []string
		begun    int
		records  int
		restless bool
	}{
		"records with ids, each once":                           {[]string{"ab cd e"}, 1, 5, false},
		"nothing, which is asked for twice":                     {[]string{""}, 2, 0, false},
		"one came twice, since it was shifted, and hid another": {[]string{"ab bd", "ab cd"}, 2, 4, false},
		"one comes twice each time, and nothing else any more":  {[]string{"ab bc"}, 5, 3, false},
		"one comes twice, and each time there is a new one":     {[]string{"ab b", "ab bc", "ab bcd", "ab bcd e", "ab bcdef"}, 9, 6, false},
		"records without ids, on one page":                      {[]string{"ABC"}, 2, 3, false},
		"twins on one page":                                     {[]string{"AAB"}, 2, 3, false},
		"twins on two pages, which may be one that was shifted": {[]string{"AB BC"}, 3, 4, false},
		"one of two was shifted, and the next reading adds up":  {[]string{"AB BC", "AB CD"}, 3, 4, false},
		"what was counted is gone when it is handed out":        {[]string{"AB BC", "AB BD"}, 27, 3, true},
		"what was counted is shown in parts":                    {[]string{"AB BC", "AB BC", "AB", "AB BC"}, 4, 4, false},
		"of both kinds":                                         {[]string{"aA bB", "aA bB"}, 2, 4, false},
		"records without ids of which no two readings agree":    {restlessly(), 25, 0, true},
		"all that was counted is gone when it is handed out":    {[]string{"A", ""}, 51, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := func() time.Time { return time.UnixMilli(1 << 40) }
			source := &readings{pages: tt.pages}
			c := &Collector{o: Options{Now: now, ServerNow: now, BatchSize: 1 << 20}, limit: 10, state: &remembered{}, spool: takesAll{}, source: source}
			_, _, err := c.gather(t.Context(), audit.Query{Bounded: true, To: 9}, func(audit.Record) bool { return true }, func(view) (bool, error) { return false, nil })
			if tt.restless != errors.Is(err, errRestless) || !tt.restless && err != nil {
				t.Fatalf("gather: %v", err)
			}
			if err := c.flush(); err != nil {
				t.Fatal(err)
			}
			if source.begun != tt.begun || c.summary.Records != tt.records {
				t.Errorf("it took %d readings and emitted %d records, want %d and %d", source.begun, c.summary.Records, tt.begun, tt.records)
			}
		})
	}
}

// restlessly is more readings than are tried, of which no two in a row agree.
func restlessly() (out []string) {
	for range attempts {
		out = append(out, "AB B", "A AB")
	}
	return out
}
