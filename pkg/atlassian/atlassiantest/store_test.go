package atlassiantest_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func TestARecordIsServedAsItWasGiven(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sentence string
		product  string
		record   atlassiantest.Record
		want     string
	}{
		{"Jira's id comes first and its date before the category", atlassiantest.Jira, atlassiantest.Record{Raw: []byte(`{"summary":"s","category":"c"}`)},
			`{"id":10001,"summary":"s","created":"2026-03-04T05:06:07.000+0000","category":"c"}`},
		{"Jira's date comes last without a category", atlassiantest.Jira, atlassiantest.Record{Raw: []byte(`{"summary":"s"}`)},
			`{"id":10001,"summary":"s","created":"2026-03-04T05:06:07.000+0000"}`},
		{"an empty object gets both", atlassiantest.Jira, atlassiantest.Record{Raw: []byte(`{}`)},
			`{"id":10001,"created":"2026-03-04T05:06:07.000+0000"}`},
		{"an id of its own is kept", atlassiantest.Jira, atlassiantest.Record{Raw: []byte(`{"id":"x","category":"c"}`)},
			`{"id":"x","created":"2026-03-04T05:06:07.000+0000","category":"c"}`},
		{"a date of its own is kept", atlassiantest.Jira, atlassiantest.Record{Raw: []byte(`{"created":"soon"}`)}, `{"id":10001,"created":"soon"}`},
		{"Confluence gets a date before the summary and no id", atlassiantest.Confluence, atlassiantest.Record{Raw: []byte(`{"author":{},"summary":"s"}`)},
			`{"author":{},"creationDate":1772600767000,"summary":"s"}`},
		{"Confluence's date comes last without a summary", atlassiantest.Confluence, atlassiantest.Record{Raw: []byte(`{"author":{}}`)},
			`{"author":{},"creationDate":1772600767000}`},
		{"an empty object gets Confluence's date", atlassiantest.Confluence, atlassiantest.Record{Raw: []byte(`{}`)}, `{"creationDate":1772600767000}`},
		{"a nested category is none", atlassiantest.Jira, atlassiantest.Record{Raw: []byte(`{"a":{"category":1}}`)},
			`{"id":10001,"a":{"category":1},"created":"2026-03-04T05:06:07.000+0000"}`},
		{"a verbatim record gets nothing", atlassiantest.Jira, atlassiantest.Record{Raw: []byte(`{"category":"c"}`), Verbatim: true}, `{"category":"c"}`},
		{"what is no object gets nothing", atlassiantest.Jira, atlassiantest.Record{Raw: []byte(`[1]`)}, `[1]`},
		{"the key takes its place", atlassiantest.Confluence, atlassiantest.Record{Raw: []byte(`{"summary":"s %KEY% s","x":"%KEY%"}`), Key: "k1"},
			`{"creationDate":1772600767000,"summary":"s k1 s","x":"k1"}`},
		{"white space, escapes and numbers stay", atlassiantest.Confluence, atlassiantest.Record{Raw: []byte("{ \"summary\" : \"\\u003c\\/\u2028\", \"n\":9007199254740993 , \"m\":1.0e+2 }")},
			"{ \"creationDate\":1772600767000,\"summary\" : \"\\u003c\\/\u2028\", \"n\":9007199254740993 , \"m\":1.0e+2 }"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			c.record.Created = base
			s.Add(c.product, c.record)
			rawURL := map[string]string{atlassiantest.Jira: siteJira, atlassiantest.Confluence: siteWiki}[c.product]
			if got := string(ask(t, s, rawURL).list(t)[0]); got != c.want {
				t.Errorf("served %s, want %s", got, c.want)
			}
			if got := string(s.Records(c.product)[0].Raw); got != c.want {
				t.Errorf("held %s, want %s", got, c.want)
			}
		})
	}
}

func TestLateRecordsTakeTheirPlace(t *testing.T) {
	t.Parallel()
	s := fiveRecords(t)
	s.Add(atlassiantest.Jira, marked("late", base.Add(1200*time.Millisecond)))
	if got := ask(t, s, siteJira).keys(t); got != "e d late c b a" {
		t.Errorf("listed %q", got)
	}
	seqs := s.AddLate(atlassiantest.Confluence, 2, time.Hour-time.Second)
	for _, seq := range seqs {
		if got := s.Records(atlassiantest.Confluence)[seq].Created; !got.Equal(base.Add(time.Second)) {
			t.Errorf("a late record is dated %s", got)
		}
	}
	got := ask(t, s, siteWiki, "endDate", itoa(int(base.Add(time.Second).UnixMilli()))).list(t)
	if len(got) != 5 || strings.Contains(string(got[0]), `"summary":"c"`) {
		t.Errorf("late records do not come first in their millisecond: %s", got)
	}
}

func TestJirasIDsAscendWithGaps(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.AddBurst(atlassiantest.Jira, 500, base)
	last, gaps := int64(0), 0
	for _, r := range s.Records(atlassiantest.Jira) {
		if r.ID <= last {
			t.Fatalf("id %d follows %d", r.ID, last)
		}
		if last > 0 && r.ID > last+1 {
			gaps++
		}
		last = r.ID
	}
	if gaps < 20 {
		t.Errorf("500 ids have %d gaps", gaps)
	}
	s.AddBurst(atlassiantest.Confluence, 1, base)
	if id := s.Records(atlassiantest.Confluence)[0].ID; id != 0 {
		t.Errorf("Confluence has an id %d", id)
	}
}

func TestTwinsAreEqualToTheByte(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.AddTwins(atlassiantest.Confluence, 3, base)
	s.AddTwins(atlassiantest.Jira, 3, base)
	twins := s.Records(atlassiantest.Confluence)
	if !bytes.Equal(twins[0].Raw, twins[1].Raw) || !bytes.Equal(twins[1].Raw, twins[2].Raw) || twins[0].Key != "" {
		t.Errorf("Confluence's twins differ: %s\n%s", twins[0].Raw, twins[1].Raw)
	}
	var rest []string
	for _, r := range s.Records(atlassiantest.Jira) {
		_, after, _ := strings.Cut(string(r.Raw), ",")
		rest = append(rest, after)
		if want := `{"id":` + itoa(int(r.ID)) + `,`; !strings.HasPrefix(string(r.Raw), want) {
			t.Errorf("a twin begins %.30s, want %s", r.Raw, want)
		}
	}
	if rest[0] != rest[1] || rest[1] != rest[2] {
		t.Errorf("Jira's twins differ beside their ids: %v", rest)
	}
}

func TestPurgeRemovesTheOldAndRemembersIt(t *testing.T) {
	t.Parallel()
	s := fiveRecords(t)
	if n := s.Purge(atlassiantest.Jira, base.Add(time.Second)); n != 1 || s.Len(atlassiantest.Jira) != 4 {
		t.Errorf("%d purged, %d left", n, s.Len(atlassiantest.Jira))
	}
	if got := ask(t, s, siteJira).keys(t); got != "e d c b" {
		t.Errorf("listed %q", got)
	}
	var purged []string
	s.Each(atlassiantest.Jira, func(r atlassiantest.Stored) bool {
		if r.Purged {
			purged = append(purged, r.Key)
		}
		return true
	})
	if diff := cmp.Diff([]string{"a"}, purged); diff != "" {
		t.Error(diff)
	}
}

func TestRenameChangesNamesAlone(t *testing.T) {
	t.Parallel()
	const who, former = "712020:aa", "Former <Náme>"
	wiki := `{"author":{"displayName":"Former \u003cN\u00e1me>","username":"712020:aa","accountId":"712020:aa","publicName":"Former <Náme>"},` +
		`"summary":"Former <Náme>","affectedObject":{"name":"Former <Náme>","objectType":"User"},` +
		`"associatedObjects":[{"name":"Former <Náme>","objectType":"Group"},{"name":"Former \u003CNáme\u003E","objectType":"User"}],"n":1.0}`
	wikiWant := `{"author":{"displayName":"New \"Name\"","username":"712020:aa","accountId":"712020:aa","publicName":"New \"Name\""},` +
		`"creationDate":1772600767000,"summary":"Former <Náme>","affectedObject":{"name":"New \"Name\"","objectType":"User"},` +
		`"associatedObjects":[{"name":"Former <Náme>","objectType":"Group"},{"name":"New \"Name\"","objectType":"User"}],"n":1.0}`
	jira := `{"authorAccountId":"712020:aa","objectItem":{"id":"712020:aa","name":"Former <Náme>","typeName":"USER"},` +
		`"associatedItems":[{"id":"712020:aa","name":"712020:aa","typeName":"USER"},{"id":"ug:1","name":"ug:1","typeName":"USER"}]}`
	jiraWant := `{"id":10001,"authorAccountId":"712020:aa","objectItem":{"id":"712020:aa","name":"New \"Name\"","typeName":"USER"},` +
		`"associatedItems":[{"id":"712020:aa","name":"712020:aa","typeName":"USER"},{"id":"ug:1","name":"ug:1","typeName":"USER"}],"created":"2026-03-04T05:06:07.000+0000"}`

	s := newServer(t)
	add := func() {
		s.Add(atlassiantest.Confluence, atlassiantest.Record{Created: base, Raw: []byte(wiki)})
		s.Add(atlassiantest.Jira, atlassiantest.Record{Created: base, Raw: []byte(jira)})
	}
	add()
	if diff := cmp.Diff(map[string]string{who: former}, s.Accounts(atlassiantest.Confluence)); diff != "" {
		t.Error(diff)
	}
	s.Rename(who, "In between")
	s.Rename(who, `New "Name"`)
	if got := string(s.Records(atlassiantest.Confluence)[0].Raw); got != wikiWant {
		t.Errorf("Confluence serves\n%s\nwant\n%s", got, wikiWant)
	}
	if got := string(s.Records(atlassiantest.Jira)[0].Raw); got != jiraWant {
		t.Errorf("Jira serves\n%s\nwant\n%s", got, jiraWant)
	}
	add() // what comes later is renamed too
	if got := string(s.Records(atlassiantest.Confluence)[1].Raw); got != wikiWant {
		t.Errorf("Confluence serves a later record as\n%s\nwant\n%s", got, wikiWant)
	}
}

// TestPagesAgreeWithASortedList compares the server with the plainest thing
// that could answer: a list that is sorted, cut and counted.
func TestPagesAgreeWithASortedList(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := newServer(t)
		type rec struct{ at, seq int }
		var all []rec
		for range rapid.IntRange(1, 6).Draw(rt, "batches") {
			var batch []atlassiantest.Record
			for _, at := range rapid.SliceOfN(rapid.IntRange(0, 20), 0, 8).Draw(rt, "millis") {
				batch = append(batch, marked("r"+itoa(len(all)), base.Add(time.Duration(at)*time.Millisecond)))
				all = append(all, rec{at, len(all)})
			}
			s.Add(atlassiantest.Confluence, batch...)
		}
		from, to := rapid.IntRange(-1, 21).Draw(rt, "from"), rapid.IntRange(-1, 21).Draw(rt, "to")
		start, limit := rapid.IntRange(0, 10).Draw(rt, "start"), rapid.IntRange(1, 10).Draw(rt, "limit")

		var want []string
		for at := 20; at >= 0; at-- {
			for seq := len(all) - 1; seq >= 0; seq-- {
				if all[seq].at == at && at >= from && at <= to {
					want = append(want, "r"+itoa(seq))
				}
			}
		}
		want = want[min(start, len(want)):]
		want = want[:min(limit, len(want))]
		ms := base.UnixMilli()
		got := ask(t, s, gatewayWiki, "startDate", itoa(int(ms)+from), "endDate", itoa(int(ms)+to), "start", itoa(start), "limit", itoa(limit)).keys(t)
		if got != strings.Join(want, " ") {
			rt.Errorf("from %d to %d, %d after %d: listed %q, want %q", from, to, limit, start, got, want)
		}
	})
}

// FuzzRecord holds the server to serving any object with nothing but its own
// additions.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"summary":"s","category":"c"}`), "k")
	f.Add([]byte(` { "a" : [ {} , "\"" ] , "category" : null } `), "")
	f.Add([]byte(`{"category":1,"category":2,"created":{}}`), "%KEY%")
	f.Add([]byte(`[`), "x")
	c := atlassiantest.NewCorpus(1)
	for range 5 {
		f.Add([]byte(c.Jira(base).Raw), "k")
		f.Add([]byte(c.Confluence(base).Raw), "k")
	}
	f.Fuzz(func(t *testing.T, raw []byte, name string) {
		s := newServer(t)
		for _, p := range []string{atlassiantest.Jira, atlassiantest.Confluence} {
			s.Add(p, atlassiantest.Record{Created: base, Raw: raw})
			s.Rename(name, name+"!")
			got := s.Records(p)[0].Raw
			if json.Valid(raw) != json.Valid(got) && !bytes.Contains(raw, []byte(atlassiantest.KeyMark)) {
				t.Errorf("%q became %q", raw, got)
			}
		}
	})
}
