package audit

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// theRun is the moment of spooling in these tests.
var theRun = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).UnixMilli()

var jiraOptions = LineOptions{
	Stream:    Stream{Site: "example.atlassian.net", CloudID: "11223344-a1b2-3b33-c444-def123456789", Product: Jira},
	Tags:      []string{"env:prod", "team:security"},
	NowMillis: theRun,
}

var confluenceOptions = LineOptions{
	Stream:    Stream{Site: "example.atlassian.net", CloudID: "11223344-a1b2-3b33-c444-def123456789", Product: Confluence},
	Service:   "wiki",
	NowMillis: theRun,
}

// TestLineGolden compares whole lines; go test -update rewrites them.
func TestLineGolden(t *testing.T) {
	t.Parallel()
	at := func(s string) int64 {
		when, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return when.UnixMilli()
	}
	for name, c := range map[string]struct {
		options LineOptions
		millis  int64 // 0: undated
	}{
		"jira-workflow-updated":      {jiraOptions, at("2026-11-23T11:59:07.418Z")},
		"jira-late":                  {jiraOptions, at("2026-11-22T18:00:00.000Z")},
		"jira-dated-ahead":           {jiraOptions, at("2026-11-23T13:00:00.001Z")},
		"jira-undated":               {jiraOptions, 0},
		"confluence-user-added":      {confluenceOptions, at("2026-11-23T11:30:00.385Z")},
		"confluence-late":            {confluenceOptions, at("2022-01-18T09:49:43.045Z")},
		"colliding-names":            {jiraOptions, at("2026-11-23T11:59:07.418Z")},
		"white-space-and-characters": {jiraOptions, at("2026-11-23T11:59:07.418Z")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(filepath.Join("testdata", "line", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			r := Record{Raw: raw, Millis: c.millis, Dated: c.millis != 0, Facts: cloudFacts(raw)}
			got, _ := Line(nil, r, c.options.Stream.Scope()+":11932", c.options)
			golden := filepath.Join("testdata", "line", name+".golden")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("line differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLineLate(t *testing.T) {
	t.Parallel()
	const hour = int64(time.Hour / time.Millisecond)
	for name, c := range map[string]struct {
		millis int64
		late   bool
	}{
		"a record of this moment has its own date":                {theRun, false},
		"17 hours old to the millisecond is not late":             {theRun - 17*hour, false},
		"a millisecond more is late":                              {theRun - 17*hour - 1, true},
		"an hour ahead to the millisecond is not late":            {theRun + hour, false},
		"a millisecond further ahead is late":                     {theRun + hour + 1, true},
		"a record from the beginning of time is late":             {-1 << 63, true},
		"a record from the end of time is late":                   {1<<63 - 1, true},
		"the epoch is a date like any other, so a record is late": {0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Record{Raw: []byte(`{"created":"x","timestamp":1}`), Millis: c.millis, Dated: true}
			line, info := Line(nil, r, "id", jiraOptions)
			fields := fieldsOf(t, line)
			if info.Late != c.late {
				t.Errorf("Late = %v, want %v", info.Late, c.late)
			}
			if _, ok := fields["timestamp"]; ok == c.late {
				t.Errorf("line has a timestamp: %v, want %v", ok, !c.late)
			}
			if _, ok := fields["created"]; ok == c.late {
				t.Errorf("line has the record's own date at the top: %v, want %v", ok, !c.late)
			}
			ours := fieldsOf(t, fields["atlassian"])
			if _, ok := ours["late"]; ok != c.late {
				t.Errorf("atlassian.late is there: %v, want %v", ok, c.late)
			}
			if _, ok := ours["created"]; !ok {
				t.Error("atlassian.created is missing")
			}
		})
	}
}

func TestLineOfOddRecords(t *testing.T) {
	t.Parallel()
	const head = `"ddsource":"jira-audit-records","service":"jira","ddtags":"site:a.example","atlassian":{"site":"a.example","cloud_id":"","product":"jira","record_id":"x"`
	for name, c := range map[string]struct{ raw, want string }{
		"an empty object is a record without fields":           {`{}`, `{` + head + `}}`},
		"null becomes a value":                                 {`null`, `{` + head + `,"value":null}}`},
		"a number beyond 2^53 stays as it is":                  {` 9007199254740993 `, `{` + head + `,"value":9007199254740993}}`},
		"an array becomes a value without its white space":     {"[1,\n {\"a\": \" b \"}]", `{` + head + `,"value":[1,{"a":" b "}]}}`},
		"no bytes at all become an empty string":               {``, `{` + head + `,"value":""}}`},
		"half an object becomes a string":                      {`{"a":1,`, `{` + head + `,"value":"{\"a\":1,"}}`},
		"two values become a string":                           {`{} {}`, `{` + head + `,"value":"{} {}"}}`},
		"a raw line break in a string makes it no JSON":        {"{\"a\":\"\n\"}", `{` + head + `,"value":"{\"a\":\"\n\"}"}}`},
		"an empty name is a name":                              {`{"":1}`, `{"":1,` + head + `}}`},
		"repeated names stay repeated":                         {`{"a":1,"a":2}`, `{"a":1,"a":2,` + head + `}}`},
		"a repeated colliding name is repeated in its place":   {`{"ddtags":1,"a":0,"ddtags":2}`, `{"a":0,` + head + `,"record":{"ddtags":1,"ddtags":2}}}`},
		"a colliding name is known when it is written escaped": {`{"\u0074imestamp":1}`, `{` + head + `,"record":{"\u0074imestamp":1}}}`},
		"a name is compared whole and by case":                 {`{"Timestamp":1,"timestamp ":2}`, `{"Timestamp":1,"timestamp ":2,` + head + `}}`},
		"a colliding name further down is left alone":          {`{"a":{"timestamp":1}}`, `{"a":{"timestamp":1},` + head + `}}`},
		"an undated record keeps its date field":               {`{"created":"yesterday"}`, `{"created":"yesterday",` + head + `}}`},
		"HTML is not escaped":                                  {`{"a":"<b>&"}`, `{"a":"<b>&",` + head + `}}`},
		"bytes that are not UTF-8 stay as they are":            {"{\"a\":\"\xff\xc0\"}", "{\"a\":\"\xff\xc0\"," + head + `}}`},
		"half a surrogate pair stays as it is":                 {`{"a":"\ud83d"}`, `{"a":"\ud83d",` + head + `}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := LineOptions{Stream: Stream{Site: "a.example", Product: Jira}, NowMillis: theRun}
			got, info := Line([]byte("before\n"), Record{Raw: []byte(c.raw)}, "x", o)
			want := "before\n" + strings.ReplaceAll(c.want, "\n", `\n`) + "\n"
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Errorf("line differs (-want +got):\n%s", diff)
			}
			if info.Late || info.Truncated != nil {
				t.Errorf("info = %+v, want none", info)
			}
		})
	}
}

func TestLineTags(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tags []string
		site string
		want string
	}{
		"without tags the site stands alone":            {nil, "a.example", "site:a.example"},
		"tags come before the site":                     {[]string{"env:prod", "x"}, "a.example", "env:prod,x,site:a.example"},
		"a comma does not make two tags of one":         {[]string{"a:b,c"}, "a.example", "a:b_c,site:a.example"},
		"blank tags vanish and blanks around one too":   {[]string{" ", "", " a:b "}, "a.example", "a:b,site:a.example"},
		"without a site no comma is left over":          {[]string{"a:b"}, "", "a:b"},
		"quotes and control characters are escaped":     {[]string{"a:\"\x01\\\t"}, "a.example", "a:\"\x01\\,site:a.example"},
		"bytes that are not UTF-8 are replaced in ours": {[]string{"a:\xff"}, "a.example", "a:\ufffd,site:a.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := LineOptions{Stream: Stream{Site: c.site, Product: Jira}, Tags: c.tags}
			line, _ := Line(nil, Record{Raw: []byte(`{}`)}, "x", o)
			var got string
			if err := json.Unmarshal(fieldsOf(t, line)["ddtags"], &got); err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("ddtags = %q, want %q", got, c.want)
			}
		})
	}
}

func TestLineDoesNotAllocateForAnOrdinaryRecord(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "line", "jira-workflow-updated.json"))
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		t.Fatal(err)
	}
	r := Record{Raw: compact.Bytes(), Millis: theRun, Dated: true, Facts: cloudFacts(compact.Bytes())}
	dst := make([]byte, 0, 8192)
	l := NewLiner(jiraOptions)
	dst, _ = l.Append(dst[:0], r, 1)
	if n := testing.AllocsPerRun(100, func() { dst, _ = l.Append(dst[:0], r, 1) }); n > 0 {
		t.Errorf("a line allocates %v times", n)
	}
}

// TestLineKeepsEveryField is the promise of the line: whatever object comes
// in, one line of valid JSON goes out with every field in it, byte for byte.
func TestLineKeepsEveryField(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte(anyObject().Draw(t, "record"))
		r := Record{Raw: raw, Dated: rapid.Bool().Draw(t, "dated"), Millis: rapid.Int64().Draw(t, "millis")}
		checkLine(t, r)
	})
}

func FuzzLine(f *testing.F) {
	for _, s := range []string{
		`{"id":11932,"created":"2022-01-06T09:49:07.418+0000","n":9007199254740993}`,
		`{"a" : [ 1 , -0.5e+7 , null , true , {"\u0061":"\\\"\ud83d\ude00"} ] }`,
		`{"timestamp":1,"message":"x","atlassian":{}}`, `[`, `{"a":`, "{\"a\":\"\xff\"}", `1.`, `-`, `{"a":01}`, `"\u12"`, `tru`,
	} {
		f.Add([]byte(s), int64(0), true)
	}
	f.Fuzz(func(t *testing.T, raw []byte, millis int64, dated bool) {
		checkLine(t, Record{Raw: raw, Millis: millis, Dated: dated})
	})
}

// checkLine says what holds for every line that is not truncated.
func checkLine(t rapid.TB, r Record) {
	t.Helper()
	line, info := Line(nil, r, "scope:1", jiraOptions)
	if len(line) > MaxLine {
		t.Fatalf("the line has %d bytes", len(line))
	}
	if bytes.IndexByte(line, '\n') != len(line)-1 {
		t.Fatalf("not one line: %q", line)
	}
	if !json.Valid(line) {
		t.Fatalf("not JSON: %q", line)
	}
	checkDates(t, line)
	if info.Truncated != nil {
		return
	}
	got, ok := members(line)
	if !ok {
		t.Fatalf("not an object: %q", line)
	}
	in, object := members(r.Raw)
	ours := got[len(got)-1]
	if ours.name != "atlassian" {
		t.Fatalf("the last field is %q, want atlassian", ours.name)
	}
	atlassian, _ := members(ours.value)
	if !object {
		v := atlassian[len(atlassian)-1]
		if v.name != "value" {
			t.Fatalf("no atlassian.value in %q", line)
		}
		if json.Valid(r.Raw) && compacted(r.Raw) != string(v.value) {
			t.Fatalf("atlassian.value = %s, want %s", v.value, r.Raw)
		}
		return
	}
	var top, moved []field
	for _, f := range in {
		switch {
		case info.Late && f.name == "created":
		case slices.Contains([]string{"timestamp", "ddsource", "service", "ddtags", "usr", "network", "evt", "atlassian", "message"}, f.name):
			moved = append(moved, f)
		default:
			top = append(top, f)
		}
	}
	want := len(top) + 4
	if r.Dated && !info.Late {
		want++
	}
	if len(got) != want {
		t.Fatalf("%d fields at the top level of %q, want %d", len(got), line, want)
	}
	same(t, top, got[:len(top)])
	var record []field
	if last := atlassian[len(atlassian)-1]; last.name == "record" {
		record, _ = members(last.value)
	}
	same(t, moved, record)
}

func same(t rapid.TB, want, got []field) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%d fields, want %d", len(got), len(want))
	}
	for i := range want {
		if want[i].name != got[i].name || compacted(want[i].value) != string(got[i].value) {
			t.Fatalf("field %d is %q: %s, want %q: %s", i, got[i].name, got[i].value, want[i].name, want[i].value)
		}
	}
}

type field struct {
	name  string
	value json.RawMessage
}

// members reads an object with encoding/json, repeated names included.
func members(raw []byte) (fields []field, ok bool) {
	if !json.Valid(raw) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, false
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, false
		}
		fields = append(fields, field{name.(string), v})
	}
	_, err := d.Token()
	_, end := d.Token()
	return fields, err == nil && end == io.EOF
}

func compacted(raw []byte) string {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return fmt.Sprintf("not JSON: %v", err)
	}
	return b.String()
}

func fieldsOf(t testing.TB, raw []byte) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatalf("%v in %q", err, raw)
	}
	return m
}

// anyObject draws the text of a JSON object, with white space, escapes, large
// numbers, repeated and colliding names.
func anyObject() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string { return drawObject(t, 4) })
}

func drawSpace(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", "", " ", "\n", "\t\r "}).Draw(t, "space")
}

func drawString(t *rapid.T) string {
	s := rapid.SampledFrom([]string{
		`""`, `"a"`, `"timestamp"`, `"message"`, `"created"`, `"\u0063reated"`, `"atlassian"`, `"serv\u0069ce"`, `"ddtags"`, `"ddsource"`, `"usr"`, `"\u0065vt"`, `"network"`,
		`"\ud83d\ude00"`, `"\ud83d"`, `"😀é"`, `" \" \\ \/ \n "`, `"<&>"`, "\"\xff\"", "\"\u2028\"", `"\u0000"`,
	})
	return rapid.OneOf(s, rapid.Custom(func(t *rapid.T) string {
		b, err := json.Marshal(rapid.String().Draw(t, "text"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	})).Draw(t, "string")
}

func drawObject(t *rapid.T, depth int) string {
	return drawList(t, "{", "}", func() string {
		return drawString(t) + drawSpace(t) + ":" + drawSpace(t) + drawValue(t, depth-1)
	})
}

func drawList(t *rapid.T, open, end string, item func() string) string {
	var b strings.Builder
	b.WriteString(drawSpace(t) + open + drawSpace(t))
	for i, n := 0, rapid.IntRange(0, 4).Draw(t, "length"); i < n; i++ {
		if i > 0 {
			b.WriteString("," + drawSpace(t))
		}
		b.WriteString(item() + drawSpace(t))
	}
	b.WriteString(end + drawSpace(t))
	return b.String()
}

func drawValue(t *rapid.T, depth int) string {
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	if depth <= 0 && kind >= 4 {
		kind = 0
	}
	switch kind {
	case 0:
		return rapid.SampledFrom([]string{"null", "true", "false", "0", "-0", "9007199254740993", "-1.50e+400", "18446744073709551616", "1E5"}).Draw(t, "scalar")
	case 1:
		return fmt.Sprint(rapid.Int64().Draw(t, "integer"))
	case 2, 3:
		return drawString(t)
	case 4:
		return drawList(t, "[", "]", func() string { return drawValue(t, depth-1) })
	}
	return drawObject(t, depth)
}

func BenchmarkLine(b *testing.B) {
	raw, err := os.ReadFile(filepath.Join("testdata", "line", "jira-workflow-updated.json"))
	if err != nil {
		b.Fatal(err)
	}
	r := Record{Raw: []byte(compacted(raw)), Millis: theRun, Dated: true}
	r.Facts = cloudFacts(r.Raw)
	r.ID = "11932"
	for _, checked := range []bool{false, true} {
		b.Run(fmt.Sprintf("checked=%t", checked), func(b *testing.B) {
			r.Checked = checked
			b.SetBytes(int64(len(r.Raw)))
			l := NewLiner(jiraOptions)
			var dst []byte
			for b.Loop() {
				dst, _ = l.Append(dst[:0], r, 1)
			}
		})
	}
}
