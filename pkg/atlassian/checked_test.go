package atlassian

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"atlassian_audit_records/pkg/audit"
)

// sameLine says that what the decoder checked makes the line that audit makes
// of the record when it looks for itself, late or not.
func sameLine(t rapid.TB, p audit.Product, r audit.Record) {
	t.Helper()
	for _, now := range []int64{r.Millis, r.Millis + (48 * time.Hour).Milliseconds()} {
		l := audit.NewLiner(audit.LineOptions{Stream: audit.Stream{Site: "a.example", Product: p}, NowMillis: now})
		checked, _ := l.Append(nil, r, 1)
		r.Checked = false
		own, _ := l.Append(nil, r, 1)
		if r.Checked = true; string(checked) != string(own) {
			t.Fatalf("of the record %s\nchecked   %s\nunchecked %s", r.Raw, checked, own)
		}
	}
}

func TestWhatTheDecoderCheckedMakesTheSameLine(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, record string
		checked      bool
	}{
		{"an ordinary record", `{"id":1,"summary":"a","created":"2026-05-19T10:00:00.000Z","eventSource":""}`, true},
		{"its date first", `{"created":"2026-05-19T10:00:00.000Z","id":1}`, true},
		{"its date last", `{"id":1,"created":"2026-05-19T10:00:00.000Z"}`, true},
		{"nothing but a date", `{"created":"2026-05-19T10:00:00.000Z"}`, true},
		{"nothing", `{}`, true},
		{"no date", `{"id":1}`, true},
		{"a date that is none", `{"created":{"a":[1]},"id":1}`, true},
		{"white space inside", `{"id":1, "created":"2026-05-19T10:00:00.000Z"}`, false},
		{"white space in a list", `{"a":[1 ],"created":"2026-05-19T10:00:00.000Z"}`, false},
		{"white space in a text", `{"summary":"a b","created":"2026-05-19T10:00:00.000Z"}`, true},
		{"a name of ours", `{"message":1,"created":"2026-05-19T10:00:00.000Z"}`, false},
		{"a name of ours, escaped", `{"\u006dessage":1}`, false},
		{"a name of ours deeper down", `{"a":{"message":1}}`, true},
		{"two dates", `{"created":"2026-05-19T10:00:00.000Z","id":1,"created":"2026-05-19T10:00:01.000Z"}`, false},
		{"an escaped date", `{"id":1,"\u0063reated":"2026-05-19T10:00:00.000Z"}`, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			records, _, err := decodePage([]byte(`{"records":[ `+tc.record+` ]}`), jira().layout, 1)
			if err != nil || len(records) != 1 {
				t.Fatalf("%d records, %v", len(records), err)
			}
			if records[0].Checked != tc.checked {
				t.Errorf("checked is %t", records[0].Checked)
			}
			records[0].Checked = tc.checked
			if tc.checked {
				sameLine(t, audit.Jira, records[0])
			}
		})
	}
}

// TestAnyRecordThatWasCheckedMakesTheSameLine draws records in which names of
// ours and dates stand anywhere.
func TestAnyRecordThatWasCheckedMakesTheSameLine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := "{"
		for i, n := 0, rapid.IntRange(0, 5).Draw(t, "fields"); i < n; i++ {
			if i > 0 {
				text += ","
			}
			name := rapid.SampledFrom([]string{"id", "created", "creationDate", "author", "summary", "evt", "a", `\u0063reated`}).Draw(t, "name")
			value := rapid.SampledFrom([]string{`1`, `"x"`, `null`, `[]`, `{"created":1,"evt":2}`, `1652954400000`, `"2026-05-19T10:00:00.000Z"`, `[ ]`}).Draw(t, "value")
			text += `"` + name + `":` + value
		}
		text += "}"
		for p, s := range map[audit.Product]product{audit.Jira: jira(), audit.Confluence: confluence()} {
			records, _, err := decodePage([]byte(`{"`+s.layout.list+`":[`+text+`]}`), s.layout, 1)
			if err != nil || len(records) != 1 {
				t.Fatalf("%d records of %s, %v", len(records), text, err)
			}
			if records[0].Checked {
				sameLine(t, p, records[0])
			}
		}
	})
}
