package audit

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A source checked the record as it came: where something is taken out of it, its
// date stands elsewhere.
func TestWhatWasCheckedIsNotTrustedOnceSomethingIsTakenOut(t *testing.T) {
	t.Parallel()
	x, err := NewRedaction([]string{"summary", RedactEmails}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw := `{"id":1,"summary":"a long text that goes","by":"a@example.com","created":"2026-05-19T10:00:00.000Z","z":1}`
	from := strings.Index(raw, `"created"`)
	r := Record{Raw: []byte(raw), ID: "1", Millis: theRun, Dated: true, DateField: Span{From: int32(from), To: int32(strings.Index(raw, `,"z"`))}}
	for _, now := range []int64{theRun, theRun + 2*lateAfter} {
		o := jiraOptions
		o.NowMillis, o.Redact = now, x
		r.Checked = false
		own, _ := NewLiner(o).Append(nil, r, 1)
		r.Checked = true
		checked, _ := NewLiner(o).Append(nil, r, 1)
		if string(own) != string(checked) {
			t.Errorf("checked   %s\nunchecked %s", checked, own)
		}
	}
}

// TestWhatALinerKeepsIsThatOfItsRecord: of many records through one Liner, each gets
// the line that it gets alone.
func TestWhatALinerKeepsIsThatOfItsRecord(t *testing.T) {
	t.Parallel()
	hashed, err := NewRedaction(nil, []string{RedactIPs}, []byte("a key of sixteen"))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		o := jiraOptions
		o.NowMillis = theRun
		if rapid.Bool().Draw(t, "redacted") {
			o.Redact = hashed
		}
		value := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
		l := NewLiner(o)
		for i := range rapid.IntRange(1, 20).Draw(t, "records") {
			address := value("address", `"198.51.100.7"`, `"203.0.113.9, 10.0.0.1"`, `"10.0.0.1"`, `""`, `null`, `7`)
			action := value("action", `"User login failed"`, `"Group created"`, `"group created"`, `""`)
			category := value("category", `"user management"`, `"permissions"`, `null`)
			raw := `{"id":` + fmt.Sprint(i) + `,"remoteAddress":` + address + `,"summary":` + action + `,"category":` + category + `}`
			span := func(name, v string) Span {
				from := strings.Index(raw, `"`+name+`":`) + len(name) + 3
				return Span{From: int32(from), To: int32(from + len(v))}
			}
			r := Record{Raw: []byte(raw), ID: fmt.Sprint(i), Millis: theRun, Dated: true, Facts: Facts{
				Address: span("remoteAddress", address), Action: span("summary", action), Category: span("category", category), Inside: rapid.Bool().Draw(t, "inside")}}
			got, _ := l.Append(nil, r, 1)
			if want, _ := NewLiner(o).Append(nil, r, 1); string(got) != string(want) {
				t.Fatalf("after others %s\nalone        %s", got, want)
			}
		}
	})
}

func TestPlainTextEndsWhereAStringMustBeLookedAt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte{'a', ' ', 0x1f, '"', '\\', 0x80, 0xff, '#', '['})), 0, 40).Draw(t, "text")
		want := 0
		for want < len(text) && text[want] != '"' && text[want] != '\\' && text[want] >= ' ' {
			want++
		}
		if got := PlainText(text); got != want {
			t.Fatalf("%q: %d, want %d", text, got, want)
		}
	})
}
