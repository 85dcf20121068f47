package audit

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const hour = int64(time.Hour / time.Millisecond)

func TestReadLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		line string
		want *Stored // nil: not ours
	}{
		"a line says all": {
			`{"id":1,"timestamp":1763900000000,"ddsource":"jira-audit-records","atlassian":{"site":"a.example","cloud_id":"","product":"jira","record_id":"a.example:jira:1","created":"2025-11-23T12:13:20.000Z"}}` + "\n",
			&Stored{Home: "a.example", Product: Jira, RecordID: "a.example:jira:1", Created: 1763900000000, Dated: true, Official: 1763900000000, HasOfficial: true},
		},
		"a late one has no official date": {
			`{"id":1,"atlassian":{"site":"a.example","product":"confluence","record_id":"x","created":"2025-11-23T12:13:20.000Z","late":true,"record":{"timestamp":5}}}`,
			&Stored{Home: "a.example", Product: Confluence, RecordID: "x", Created: 1763900000000, Dated: true, Late: true},
		},
		"an undated one has none at all": {
			`{"atlassian":{"site":"a.example","product":"jira","record_id":"x"}}`,
			&Stored{Home: "a.example", Product: Jira, RecordID: "x"},
		},
		"where there is no cloud id a context path belongs to the home": {
			`{"atlassian":{"site":"a.example:8443","cloud_id":"","product":"jira","record_id":"a.example:8443/jira:jira:7"}}`,
			&Stored{Home: "a.example:8443/jira", Product: Jira, RecordID: "a.example:8443/jira:jira:7"},
		},
		"where there is one the record id does not say": {
			`{"atlassian":{"site":"a.example","cloud_id":"c","product":"jira","record_id":"c:jira:7"}}`,
			&Stored{Home: "a.example", Product: Jira, RecordID: "c:jira:7"},
		},
		"a record of another's has no record id": {`{"atlassian":{"site":"a.example","product":"jira"}}`, nil},
		"a part of a line":                       {`{"id":1,"atlassian":{"site":"a.exam`, nil},
		"the end of a line":                      {`"record_id":"x"}}`, nil},
		"two lines":                              {`{"atlassian":{"product":"jira","record_id":"x"}}` + "\n" + `{"atlassian":{"product":"jira","record_id":"y"}}`, nil},
		"atlassian is no object":                 {`{"atlassian":"x"}`, nil},
		"nothing":                                {``, nil},
		"what a power failure leaves":            {strings.Repeat("\x00", 50), nil},
		"numbers where texts should be":          {`{"atlassian":{"site":1,"product":2,"record_id":3,"created":4}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := ReadLine([]byte(c.line))
			if ok != (c.want != nil) {
				t.Fatalf("ours: %v", ok)
			}
			if ok {
				if diff := cmp.Diff(*c.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// TestAppendLateIsLine says that a line made late afterwards is the one that
// would have been made of a record that was late from the start.
func TestAppendLateIsLine(t *testing.T) {
	t.Parallel()
	t.Run("for the golden records", func(t *testing.T) {
		t.Parallel()
		for name, o := range map[string]LineOptions{
			"jira-workflow-updated": jiraOptions, "confluence-user-added": confluenceOptions,
			"colliding-names": jiraOptions, "white-space-and-characters": jiraOptions,
		} {
			raw, err := os.ReadFile(filepath.Join("testdata", "line", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			checkLate(t, Record{Raw: raw, Millis: theRun - hour, Dated: true, Facts: cloudFacts(raw)}, o)
		}
	})
	t.Run("for any record", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			raw := anyObject().Draw(t, "record")
			if rapid.Bool().Draw(t, "dated by a field") {
				field := rapid.SampledFrom([]string{`"created":"x"`, `"creationDate":5`, `"cr\u0065ated":{}`, `"timestamp":3`, `"atlassian":{"late":true}`}).Draw(t, "field")
				raw = "{" + field + strings.TrimSuffix(","+strings.TrimSpace(raw)[1:], ",}")
				if !strings.HasSuffix(raw, "}") {
					raw += "}"
				}
			}
			o := rapid.SampledFrom([]LineOptions{jiraOptions, confluenceOptions}).Draw(t, "options")
			checkLate(t, Record{Raw: []byte(raw), Millis: theRun - rapid.Int64Range(-hour, 17*hour).Draw(t, "age"), Dated: true}, o)
		})
	})
}

func checkLate(t rapid.TB, r Record, o LineOptions) {
	t.Helper()
	line, info := Line(nil, r, "c:jira:1", o)
	if info.Late {
		t.Fatal("it is late from the start")
	}
	later := o
	later.NowMillis += 19 * hour
	want, _ := Line(nil, r, "c:jira:1", later)
	got, changed := AppendLate([]byte("before"), line)
	if !changed {
		t.Fatal("it was not changed")
	}
	if diff := cmp.Diff("before"+string(want), string(got)); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	if again, changed := AppendLate(nil, want); changed || !bytes.Equal(again, want) {
		t.Fatalf("a late line was changed: %s", again)
	}
	s, ok := ReadLine(line)
	if !ok || !s.HasOfficial || s.Official != r.Millis || s.Created != r.Millis || s.TooOld(o.NowMillis) || !s.TooOld(later.NowMillis) {
		t.Fatalf("the line says %+v, %v", s, ok)
	}
	if s, ok = ReadLine(got[len("before"):]); !ok || s.HasOfficial || !s.Late || s.Created != r.Millis || s.TooOld(later.NowMillis) {
		t.Fatalf("the late line says %+v, %v", s, ok)
	}
}

func TestAppendLateOfAReducedLine(t *testing.T) {
	t.Parallel()
	raw := []byte(`{"id":1,"created":"x","summary":"` + strings.Repeat("a", 2*MaxLine) + `"}`)
	line, info := Line(nil, Record{Raw: raw, Millis: theRun, Dated: true}, "c:jira:1", jiraOptions)
	if len(info.Truncated) == 0 {
		t.Fatal("the line is whole")
	}
	got, changed := AppendLate(nil, line)
	s, ok := ReadLine(got)
	if !changed || !ok || !s.Late || s.HasOfficial || len(got) > MaxLine || bytes.Contains(got, []byte(`"created":"x"`)) {
		t.Errorf("changed %v, %+v, %d bytes", changed, s, len(got))
	}
}

// checkDates says that the dates of a line are the same whether it is read whole
// or from its end.
func checkDates(t rapid.TB, line []byte) {
	t.Helper()
	whole, ok := ReadLine(line)
	dates, also := ReadDates(line)
	if !ok || !also {
		t.Fatalf("a line of ours is read: whole %t, its dates %t: %q", ok, also, line)
	}
	want := Stored{Created: whole.Created, Dated: whole.Dated, Official: whole.Official, HasOfficial: whole.HasOfficial, Late: whole.Late}
	got := Stored{Created: dates.Created, Dated: dates.Dated, Official: dates.Official, HasOfficial: dates.HasOfficial, Late: dates.Late}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%q (-whole +from its end):\n%s", line, d)
	}
}

func TestReadDatesOfAnyMoment(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, line string }{
		{"an empty line", ""},
		{"two braces", "}}"},
		{"not an object", `[{"created":"2026-01-02T03:04:05.678Z"}}`},
		{"no date", `{"atlassian":{"product":"jira","created":"2026-01-0203:04:05.678Z"}}`},
		{"a part of a line", `,"created":"2026-01-02T03:04:05.678Z"}}`},
	} {
		if s, ok := ReadDates([]byte(tc.line)); ok {
			t.Errorf("%s is read as %+v", tc.name, s)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.OneOf(rapid.Int64Range(-62167219200000, 253402300799999), rapid.Int64Range(1600000000000, 1800000000000), rapid.Int64()).Draw(t, "millis")
		now := ms + rapid.Int64Range(-100, 100).Draw(t, "hours")*3600_000
		raw := rapid.SampledFrom([]string{`{}`, `{"created":1,"message":{"created":"2026-01-02T03:04:05.678Z"}}`, `{"atlassian":"2026-01-02T03:04:05.678Z"}`, `[]`, `"a`}).Draw(t, "record")
		o := jiraOptions
		o.NowMillis = now
		line, _ := Line(nil, Record{Raw: []byte(raw), Millis: ms, Dated: rapid.Bool().Draw(t, "dated")}, "c:jira:1", o)
		checkDates(t, line)
	})
}

func FuzzReadLine(f *testing.F) {
	line, _ := Line(nil, Record{Raw: []byte(`{"id":1,"created":"x"}`), Millis: theRun, Dated: true}, "c:jira:1", jiraOptions)
	f.Add(line)
	f.Add([]byte(`{"timestamp":1,"atlassian":{"product":"jira","record_id":"x","created":"2026-01-02T03:04:05.678Z"}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		s, ok := ReadLine(line)
		_, _ = ReadDates(line) // must not panic
		late, changed := AppendLate(nil, line)
		switch {
		case changed && !ok:
			t.Fatal("what is not ours was changed")
		case !changed && !bytes.Equal(late, line):
			t.Fatalf("%q was called unchanged", late)
		case changed:
			after, ok := ReadLine(late)
			if !ok || !after.Late || after.HasOfficial || after.RecordID != s.RecordID || after.Created != s.Created {
				t.Fatalf("%q: %+v became %+v", late, s, after)
			}
		}
	})
}
