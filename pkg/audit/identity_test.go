package audit

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func someParts() *rapid.Generator[[][]byte] {
	return rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xFF}), 0, 3), 0, 4)
}

func TestKeysTellPartsApart(t *testing.T) {
	t.Parallel()
	same := func(a, b [][]byte) bool {
		return slices.EqualFunc(a, b, func(x, y []byte) bool { return bytes.Equal(x, y) })
	}
	rapid.Check(t, func(t *rapid.T) {
		c1, c2 := someParts().Draw(t, "coarse 1"), someParts().Draw(t, "coarse 2")
		f1, f2 := someParts().Draw(t, "fine 1"), someParts().Draw(t, "fine 2")
		a, b := NewKeys(c1, f1), NewKeys(c2, f2)
		if (a.Coarse == b.Coarse) != same(c1, c2) {
			t.Fatalf("coarse keys of %q and %q: %x and %x", c1, c2, a.Coarse, b.Coarse)
		}
		if (a.Fine == b.Fine) != same(f1, f2) {
			t.Fatalf("fine keys of %q and %q: %x and %x", f1, f2, a.Fine, b.Fine)
		}
		if (a.Fingerprint == b.Fingerprint) != (same(c1, c2) && same(f1, f2)) {
			t.Fatalf("fingerprints %s and %s", a.Fingerprint, b.Fingerprint)
		}
		if len(a.Fingerprint) != 32 || strings.Trim(a.Fingerprint, "0123456789abcdef") != "" {
			t.Fatalf("fingerprint %q", a.Fingerprint)
		}
	})
}

// Keys are kept in the state and record_id in Datadog: they must not change
// with the program. The values were worked out apart, from the format in
// docs/formats.md: sha256 over (8-byte length, bytes) of each part.
func TestKeysStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	got := NewKeys([][]byte{[]byte("1764000000000"), []byte("557058:abc")}, [][]byte{[]byte("Space created"), {}})
	want := Keys{Coarse: 0x6d9cce514aaa08d0, Fine: 0xcc996a95a4b37b6a, Fingerprint: "a7b72e5e9f100d1abb03121a5132c173"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("keys (-want +got):\n%s", d)
	}
}

func TestWhatIsRememberedOfARecord(t *testing.T) {
	t.Parallel()
	keys := Keys{Coarse: 11, Fine: 22, Fingerprint: "f"}
	hashed := func(id string) uint64 { return Record{ID: id}.Seen().Coarse }
	for _, c := range []struct {
		name   string
		record Record
		want   Seen
	}{
		{"a number as id is kept as it is", Record{ID: "11932", Millis: 5, Dated: true, Keys: keys}, Seen{Millis: 5, Coarse: 11932, HasID: true}},
		{"so is the largest that fits", Record{ID: "9223372036854775807", Millis: 5, Dated: true}, Seen{Millis: 5, Coarse: 1<<63 - 1, HasID: true}},
		{"without an id the keys are kept", Record{Millis: -5, Dated: true, Keys: keys}, Seen{Millis: -5, Coarse: 11, Fine: 22}},
		{"without a time it is undated, whatever Millis says", Record{ID: "1", Millis: 5}, Seen{Millis: UndatedMillis, Coarse: 1, HasID: true}},
		{"without either too", Record{Millis: 5, Keys: keys}, Seen{Millis: UndatedMillis, Coarse: 11, Fine: 22}},
		{"zero is an id", Record{ID: "0", Millis: 5, Dated: true}, Seen{Millis: 5, HasID: true}},
	} {
		if d := cmp.Diff(c.want, c.record.Seen()); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
	// Ids that are no plain numbers are hashed, and no hash is like a number.
	ids := []string{"9223372036854775808", "007", "+7", "7 ", " 7", "-7", "7.0", "7e0", "٧", "a", "A", "\x00"}
	seen := map[uint64]string{7: "7"}
	for _, id := range ids {
		h := hashed(id)
		if h>>63 != 1 {
			t.Errorf("the id %q is remembered as the number %d", id, h)
		}
		if other, ok := seen[h]; ok {
			t.Errorf("the ids %q and %q are remembered alike", id, other)
		}
		seen[h] = id
	}
}

func TestNumbersAreIdsOfTheirOwnOnlyAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "-1", "+1", "01", "00", "1 ", "1_0", "9223372036854775808", "99999999999999999999", "1e3", "a"} {
		if n, ok := parseNumber(id); ok {
			t.Errorf("%q is the number %d", id, n)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.OneOf(rapid.Uint64Range(0, 1<<63-1), rapid.Uint64Range(0, 11)).Draw(t, "number")
		if n, ok := parseNumber(strconv.FormatUint(want, 10)); !ok || n != want {
			t.Fatalf("%d is read as %d, %t", want, n, ok)
		}
	})
}

func TestRecordID(t *testing.T) {
	t.Parallel()
	cloud := Stream{Site: "example.atlassian.net", CloudID: "c-1", Product: Jira}
	server := Stream{Site: "jira.example.com:8443", Product: Confluence}
	for _, c := range []struct {
		name       string
		stream     Stream
		record     Record
		occurrence int
		want       string
	}{
		{"a record with an id is named by it", cloud, Record{ID: "11932", Keys: Keys{Fingerprint: "f"}}, 0, "c-1:jira:11932"},
		{"whatever its occurrence", cloud, Record{ID: "11932"}, 3, "c-1:jira:11932"},
		{"one without is named by fingerprint and occurrence", cloud, Record{Keys: Keys{Fingerprint: "00ff"}}, 1, "c-1:jira:00ff-1"},
		{"so that twins differ", cloud, Record{Keys: Keys{Fingerprint: "00ff"}}, 12, "c-1:jira:00ff-12"},
		{"without a cloud id the host is the scope", server, Record{ID: "5"}, 0, "jira.example.com:8443:confluence:5"},
	} {
		if got := RecordID(c.stream, c.record, c.occurrence); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestLogSourcesAreThoseOfDatadog(t *testing.T) {
	t.Parallel()
	if a, b := Jira.LogSource(), Confluence.LogSource(); a != "jira-audit-records" || b != "confluence-audit-records" {
		t.Errorf("%q, %q", a, b)
	}
}

func TestTimeIsUTC(t *testing.T) {
	t.Parallel()
	for ms, want := range map[int64]string{
		0:                 "1970-01-01T00:00:00Z",
		-1:                "1969-12-31T23:59:59.999Z",
		1_763_899_200_123: "2025-11-23T12:00:00.123Z",
	} {
		if got := (Record{Millis: ms, Dated: true}).Time().Format(time.RFC3339Nano); got != want {
			t.Errorf("%d is %s, want %s", ms, got, want)
		}
	}
}

// TestAPositionSurvivesBeingWritten: it is kept as JSON.
func TestAPositionSurvivesBeingWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		covered, _ := someSet(t)
		recheck, _ := someSet(t)
		ms := rapid.Int64()
		p := Position{
			Floor: ms.Draw(t, "floor"), FloorSet: rapid.Bool().Draw(t, "floor set"),
			Upper: ms.Draw(t, "upper"), UpperSet: rapid.Bool().Draw(t, "upper set"),
			Covered: covered, Recheck: recheck, Cuts: rapid.SliceOfN(ms, 1, 3).Draw(t, "cuts"),
			Forgotten: ms.Draw(t, "forgotten"), WaitUntil: ms.Draw(t, "wait"), WaitReason: rapid.String().Draw(t, "reason"),
			CloudID: rapid.String().Draw(t, "cloud id"), File: rapid.String().Draw(t, "file"), End: ms.Draw(t, "end"),
		}
		body, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var got Position
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(p, got, cmp.Transformer("plain", func(s Set) []Interval { return append([]Interval{}, s...) })); d != "" {
			t.Fatalf("%s is read differently (-want +got):\n%s", body, d)
		}
	})
}

// A position that an earlier state holds has fewer fields: they are zero.
func TestAPositionOfFewFieldsIsRead(t *testing.T) {
	t.Parallel()
	var got Position
	if err := json.Unmarshal([]byte(`{"floor":5,"floor_set":true,"upper":0,"upper_set":false,"of the future":1}`), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Position{Floor: 5, FloorSet: true}, got); d != "" {
		t.Errorf("position (-want +got):\n%s", d)
	}
}
