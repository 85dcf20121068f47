package audit

import (
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
