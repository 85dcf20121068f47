package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestOversizeRecords(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return `"` + strings.Repeat("0123456789", n/10) + `"` }
	list := func(n int, item string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	var many strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&many, `,"field %d":"value %d"`, i, i)
	}
	deep := strings.Repeat(`{"a":[`, 4000) + long(2_000_000) + strings.Repeat(`]}`, 4000)
	for _, c := range []struct {
		name      string
		raw       string
		truncated []string
		keeps     map[string]string // fields that stay as they are
		least     int               // bytes that the line must still make use of
	}{
		{name: "a line as long as it may be is not cut", raw: `{"a":` + long(899_500) + `}`},
		{name: "a long string is cut, its neighbours are not", raw: `{"id":1,"summary":"s","text":` + long(1_000_000) + `,"n":9007199254740993}`,
			truncated: []string{"text"}, keeps: map[string]string{"id": "1", "summary": `"s"`, "n": "9007199254740993"}, least: 850_000},
		{name: "of three strings the two long ones are cut", raw: `{"a":` + long(700_000) + `,"b":` + long(800_000) + `,"c":` + long(200_000) + `}`,
			truncated: []string{"a", "b"}, keeps: map[string]string{"c": long(200_000)}, least: 850_000},
		{name: "a long array of small objects is shortened", raw: `{"id":1,"changedValues":` + list(20_000, `{"fieldName":"Status","changedFrom":"Open","changedTo":"Done"}`) + `}`,
			truncated: []string{"changedValues"}, keeps: map[string]string{"id": "1"}, least: 850_000},
		{name: "an array of larger objects keeps whole ones, too", raw: `{"id":1,"changedValues":` + list(1_000, `{"from":`+long(1_000)+`,"to":`+long(1_000)+`}`) + `}`,
			truncated: []string{"changedValues"}, keeps: map[string]string{"id": "1"}, least: 850_000},
		{name: "one large value in an array of small ones is cut by itself", raw: `{"changedValues":[{"to":"a"},{"to":` + long(1_500_000) + `},{"to":"c"}]}`,
			truncated: []string{"changedValues[1].to"}, least: 850_000},
		{name: "a large object within an object is cut field by field", raw: `{"objectItem":{"name":"n","more":{"x":` + long(950_000) + `}}}`,
			truncated: []string{"objectItem.more.x"}, least: 850_000},
		{name: "a moved field is cut where it stands", raw: `{"message":` + long(1_000_000) + `,"a":1}`,
			truncated: []string{"atlassian.record.message"}, keeps: map[string]string{"a": "1"}, least: 850_000},
		{name: "a record that is an array is shortened", raw: list(100_000, `"0123456789"`),
			truncated: []string{"atlassian.value"}, least: 850_000},
		{name: "a record that is a string is cut", raw: long(1_000_000),
			truncated: []string{"atlassian.value"}, least: 850_000},
		{name: "a record that is no JSON is cut", raw: strings.Repeat(`{"`, 500_000),
			truncated: []string{"atlassian.value"}, least: 850_000},
		{name: "a number of a million digits becomes the string of its first ones", raw: `{"n":` + strings.Repeat("1", 1_000_000) + `}`,
			truncated: []string{"n"}, least: 850_000},
		{name: "a name of a million characters cannot be shortened and goes", raw: `{"id":1,` + long(1_000_000) + `:2}`,
			truncated: []string{strings.Repeat("0123456789", 7)[:64] + "…"}, keeps: map[string]string{"id": "1"}},
		{name: "of too many fields the first stay and the list of losses is bounded", raw: `{"id":1` + many.String() + strings.Repeat(`,"x":"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"`, 10_000) + `}`,
			truncated: nil, keeps: map[string]string{"id": "1", "field 0": `"value 0"`}, least: 800_000},
		{name: "many cut values in one field are told by the field", raw: `{"id":1,"list":` + list(100, long(10_000)) + `}`,
			truncated: []string{"list"}, keeps: map[string]string{"id": "1"}, least: 850_000},
		{name: "hostile nesting ends soon", raw: `{"id":1,"deep":` + deep + `}`,
			truncated: nil, keeps: map[string]string{"id": "1"}},
		{name: "white space is not what makes a record large", raw: `{"id":1,` + strings.Repeat(" ", 2_000_000) + `"a":[ 1 ]}`,
			keeps: map[string]string{"id": "1", "a": "[1]"}},
		{name: "white space is gone before anything is cut", raw: `{"id":1,` + strings.Repeat("\n", 2_000_000) + `"a": ` + long(1_000_000) + `}`,
			truncated: []string{"a"}, keeps: map[string]string{"id": "1"}, least: 850_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			line, info := Line(nil, Record{Raw: []byte(c.raw), Millis: theRun, Dated: true}, "x:1", jiraOptions)
			fields := checkReduced(t, []byte(c.raw), line, info, MaxLine)
			if c.truncated != nil && !cmp.Equal(c.truncated, info.Truncated) {
				t.Errorf("truncated = %.200q, want %q", info.Truncated, c.truncated)
			}
			if c.least == 0 && c.truncated == nil && c.keeps == nil && info.Truncated != nil {
				t.Errorf("truncated %q", info.Truncated)
			}
			for name, want := range c.keeps {
				if got := string(fields[name]); got != want {
					t.Errorf("%s = %.100s, want %.100s", name, got, want)
				}
			}
			if len(line) < c.least {
				t.Errorf("only %d bytes of the line are used", len(line))
			}
		})
	}
}

// checkReduced says what holds for every line, cut or not, and returns its
// fields.
func checkReduced(t rapid.TB, raw, line []byte, info LineInfo, limit int) map[string]json.RawMessage {
	t.Helper()
	if len(line) > limit {
		t.Fatalf("the line has %d bytes", len(line))
	}
	if bytes.IndexByte(line, '\n') != len(line)-1 || !json.Valid(line) {
		t.Fatalf("not one line of JSON: %.200q", line)
	}
	var fields map[string]json.RawMessage
	var ours struct {
		Truncated []string
		RecordID  string `json:"record_id"`
		Value     json.RawMessage
	}
	if err := json.Unmarshal(line, &fields); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(fields["atlassian"], &ours); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(info.Truncated, ours.Truncated); diff != "" {
		t.Fatalf("atlassian.truncated differs (-told +line):\n%s", diff)
	}
	if ours.RecordID == "" || fields["ddsource"] == nil {
		t.Fatalf("ours is missing in %.200q", line)
	}
	if len(info.Truncated) > maxPaths+1 {
		t.Fatalf("%d paths", len(info.Truncated))
	}
	// What no path leads to is as it was.
	in, _ := members(raw)
	count := map[string]int{}
	for _, f := range in {
		count[f.name]++
	}
	for _, f := range in {
		if count[f.name] > 1 || homeOf([]byte(strconv.Quote(f.name)), "") != homeTop || slices.Contains(info.Truncated, more) || slices.ContainsFunc(info.Truncated, func(p string) bool {
			shown := pathName(quoted(f.name))
			return p == shown || strings.HasPrefix(p, shown+".") || strings.HasPrefix(p, shown+"[")
		}) {
			continue
		}
		if got := fields[f.name]; string(got) != compacted(f.value) {
			t.Fatalf("%q is told whole and is %.100s, want %.100s", f.name, got, f.value)
		}
	}
	return fields
}

func quoted(s string) []byte {
	return append(appendEscaped([]byte{'"'}, s), '"')
}

// A cut string is a beginning of what it was, and no character or escape
// sequence is cut in two.
func TestStringsAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "é", "日", "😀", `\n`, `\"`, `\\`, `\u00e9`, `\ud83d\ude00`, `\ud83d`, `\uDE00`, "\xff", "\xf0\x9f"}), 1, 30).Draw(t, "parts")
		v := []byte(`"` + strings.Join(parts, "") + `"`)
		n := rapid.IntRange(1, len(v)-1).Draw(t, "n")
		at := stringCut(v, n)
		if at > n || at < 1 {
			t.Fatalf("cut at %d, want at most %d", at, n)
		}
		short := append(slices.Clone(v[:at]), '"')
		if !json.Valid(short) {
			t.Fatalf("%q is no JSON", short)
		}
		if n-at >= 12 {
			t.Fatalf("%q cut at %d of %d", v, at, n)
		}
		if utf8.Valid(v) && !utf8.Valid(short) {
			t.Fatalf("%q is cut within a character", short)
		}
		var whole, part string
		if json.Unmarshal(v, &whole) != nil || json.Unmarshal(short, &part) != nil || !strings.HasPrefix(whole, part) {
			t.Fatalf("%q is no beginning of %q", part, whole)
		}
	})
}

// smallLimit stands for MaxLine where many records are drawn.
const smallLimit = 30_000

// TestWhateverIsTooLargeIsReduced draws records around and beyond the limit.
func TestWhateverIsTooLargeIsReduced(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte(largeObject(t, 3, rapid.SampledFrom([]int{25_000, 31_000, 100_000}).Draw(t, "size")))
		line, info := NewLiner(jiraOptions).append(nil, Record{Raw: raw, Millis: theRun, Dated: true}, []byte("x:1"), smallLimit)
		checkReduced(t, raw, line, info, smallLimit)
		if len(raw) > smallLimit && info.Truncated == nil {
			t.Fatal("nothing is told of what was cut")
		}
	})
}

// largeObject is an object of about size bytes, made of few or many parts.
func largeObject(t *rapid.T, depth, size int) string {
	var b strings.Builder
	b.WriteByte('{')
	parts := rapid.SampledFrom([]int{1, 2, 7, 50}).Draw(t, "fields")
	for i := range parts {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%s%d":`, rapid.SampledFrom([]string{"a", "n.b[0]", "é\\n", "long" + strings.Repeat("x", 70)}).Draw(t, "name"), i)
		b.WriteString(largeValue(t, depth-1, size/parts))
	}
	b.WriteByte('}')
	return b.String()
}

func largeValue(t *rapid.T, depth, size int) string {
	kinds := 4
	if depth > 0 {
		kinds = 6
	}
	unit := rapid.SampledFrom([]string{"x", "日", `\u00e9`, `\ud83d\ude00`}).Draw(t, "unit")
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0, 1:
		return `"` + strings.Repeat(unit, size/len(unit)) + `"`
	case 2:
		return "1" + strings.Repeat("0", size)
	case 3:
		item := rapid.SampledFrom([]string{"1", `{"a":"` + strings.Repeat(unit, 20) + `"}`, `[[],{},null]`}).Draw(t, "item")
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", size/(len(item)+1)), ",") + "]"
	case 4:
		return "[" + largeValue(t, depth-1, size/2) + "," + largeValue(t, depth-1, size/2) + "]"
	}
	return largeObject(t, depth, size)
}

// FuzzReduced grows foreign values beyond the limit.
func FuzzReduced(f *testing.F) {
	f.Add([]byte(`{"a":["é\n",1,{"b":"c"}]}`), uint32(10_000), false)
	f.Add([]byte(`[[[["x"]]]]`), uint32(9_000), true)
	f.Add([]byte(`"\ud83d\ude00"`), uint32(8_000), true)
	f.Fuzz(func(t *testing.T, item []byte, n uint32, fields bool) {
		if !json.Valid(item) {
			return
		}
		times := int(n) % (200_000/(len(item)+1) + 1)
		var raw []byte
		for i := range times {
			if fields {
				raw = append(strconv.AppendQuote(append(raw, ','), strconv.Itoa(i)), ':')
			} else {
				raw = append(raw, ',')
			}
			raw = append(raw, item...)
		}
		switch {
		case len(raw) == 0:
			raw = []byte("{}")
		case fields:
			raw[0] = '{'
			raw = append(raw, '}')
		default:
			raw[0] = '['
			raw = append(append([]byte(`{"list":`), raw...), "]}"...)
		}
		line, info := NewLiner(jiraOptions).append(nil, Record{Raw: raw, Millis: theRun, Dated: true}, []byte("x:1"), smallLimit)
		checkReduced(t, raw, line, info, smallLimit)
	})
}
