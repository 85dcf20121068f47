package atlassian

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"
)

const (
	jiraRecord = `{"id":11932,"summary":"Workflow updated","remoteAddress":"10.1.2.3","authorKey":"ug:1",` +
		`"authorAccountId":"5ff3","created":"2022-01-06T09:49:07.418+0000","category":"workflows","eventSource":"",` +
		`"objectItem":{"name":"x","typeName":"WORKFLOW"},"big":9007199254740993,"tiny":1.10}`
	confluenceRecord = `{"author":{"type":"user","displayName":"System","operations":null,"accountId":"acc1"},` +
		`"remoteAddress":"10.0.0.1","creationDate":1642495383045,"summary":"User added to group","description":"",` +
		`"category":"Users and groups","sysAdmin":false,"superAdmin":false,"affectedObject":{"name":"g","objectType":"Group"},` +
		`"changedValues":[],"associatedObjects":[{"name":"u","objectType":"User"}]}`
)

// seen is what a test compares of a record.
type seen struct {
	Raw    string
	Millis int64
	Dated  bool
	ID     string
}

func seenOf(rs []audit.Record) (out []seen) {
	for _, r := range rs {
		s := seen{Raw: string(r.Raw), Dated: r.Dated, ID: r.ID}
		if r.Dated {
			s.Millis = r.Millis
		}
		out = append(out, s)
	}
	return out
}

func TestDecodePage(t *testing.T) {
	t.Parallel()
	jiraAt := at(t, "2022-01-06T09:49:07.418Z").UnixMilli()
	for name, tc := range map[string]struct {
		layout layout
		body   string
		want   []seen
		limit  int
		err    string
	}{
		"an empty list is no records":                {jira().layout, `{"records":[]}`, nil, 0, ""},
		"an empty list with white space in it":       {jira().layout, " { \"records\" : [ \n ] } \n", nil, 0, ""},
		"the applied limit is told":                  {jira().layout, `{"offset":0,"limit":250,"total":112,"records":[]}`, nil, 250, ""},
		"a limit that is no number is ignored":       {jira().layout, `{"limit":"many","records":[]}`, nil, 0, ""},
		"a Jira record is kept to the byte":          {jira().layout, `{"records":[` + jiraRecord + `]}`, []seen{{jiraRecord, jiraAt, true, "11932"}}, 0, ""},
		"a Confluence record is kept to the byte":    {confluence().layout, `{"results":[` + confluenceRecord + `],"start":0}`, []seen{{confluenceRecord, 1642495383045, true, ""}}, 0, ""},
		"the order of the answer is kept":            {jira().layout, `{"records":[{"id":2},{"id":3},{"id":1}]}`, []seen{{`{"id":2}`, 0, false, "2"}, {`{"id":3}`, 0, false, "3"}, {`{"id":1}`, 0, false, "1"}}, 0, ""},
		"white space inside a record stays":          {jira().layout, "{\"records\":[ { \"id\" :\t7 } ,{}]}", []seen{{"{ \"id\" :\t7 }", 0, false, "7"}, {"{}", 0, false, ""}}, 0, ""},
		"an id may be a string":                      {jira().layout, `{"records":[{"id":"a\u0062c"}]}`, []seen{{`{"id":"a\u0062c"}`, 0, false, "abc"}}, 0, ""},
		"an id beyond 2^53 stays whole":              {jira().layout, `{"records":[{"id":9007199254740993}]}`, []seen{{`{"id":9007199254740993}`, 0, false, "9007199254740993"}}, 0, ""},
		"an id that is neither is no id":             {jira().layout, `{"records":[{"id":{"x":1}},{"id":null},{"id":true}]}`, []seen{{`{"id":{"x":1}}`, 0, false, ""}, {`{"id":null}`, 0, false, ""}, {`{"id":true}`, 0, false, ""}}, 0, ""},
		"a field's name may be escaped":              {jira().layout, `{"records":[{"\u0069d":5}]}`, []seen{{`{"\u0069d":5}`, 0, false, "5"}}, 0, ""},
		"the last of two equal fields counts":        {jira().layout, `{"records":[{"id":5,"id":6}]}`, []seen{{`{"id":5,"id":6}`, 0, false, "6"}}, 0, ""},
		"an id of Confluence's is not used":          {confluence().layout, `{"results":[{"id":5}]}`, []seen{{`{"id":5}`, 0, false, ""}}, 0, ""},
		"what is no object is a record all the same": {jira().layout, `{"records":[null,7,"x",[1],false]}`, []seen{{"null", 0, false, ""}, {"7", 0, false, ""}, {`"x"`, 0, false, ""}, {"[1]", 0, false, ""}, {"false", 0, false, ""}}, 0, ""},
		"a record's own list is not the list":        {jira().layout, `{"x":{"records":[1]},"records":[]}`, nil, 0, ""},
		"a missing list":                             {jira().layout, `{"offset":0,"total":0}`, nil, 0, `it has no list "records"`},
		"the other product's list":                   {jira().layout, `{"results":[]}`, nil, 0, `it has no list "records"`},
		"a list that is null":                        {jira().layout, `{"records":null}`, nil, 0, `its "records" is not a list`},
		"a list that is an object":                   {confluence().layout, `{"results":{}}`, nil, 0, `its "results" is not a list`},
		"two lists":                                  {jira().layout, `{"records":[1],"records":[]}`, nil, 0, `it has more than one list "records"`},
		"a bare list":                                {jira().layout, `[]`, nil, 0, "it is not a JSON object"},
		"null":                                       {jira().layout, `null`, nil, 0, "it is not a JSON object"},
		"nothing":                                    {jira().layout, ``, nil, 0, "it is not valid JSON"},
		"a truncated list":                           {jira().layout, `{"records":[{"id":1},`, nil, 0, "it is not valid JSON"},
		"a truncated record":                         {jira().layout, `{"records":[{"id":1`, nil, 0, "it is not valid JSON"},
		"a missing end":                              {jira().layout, `{"records":[]`, nil, 0, "it is not valid JSON"},
		"something after the end":                    {jira().layout, `{"records":[]}x`, nil, 0, "it is not valid JSON"},
		"a second value after the end":               {jira().layout, `{"records":[]}{}`, nil, 0, "it is not valid JSON"},
		"a comma too many":                           {jira().layout, `{"records":[1,]}`, nil, 0, "it is not valid JSON"},
		"a comma too few":                            {jira().layout, `{"records":[1 2]}`, nil, 0, "it is not valid JSON"},
		"an error after a whole list":                {jira().layout, `{"records":[],"total":01}`, nil, 0, "it is not valid JSON"},
		"an error inside a record's unknown field":   {jira().layout, `{"records":[{"x":tru}]}`, nil, 0, "it is not valid JSON"},
		"a raw line break inside a string":           {jira().layout, "{\"records\":[\"\n\"]}", nil, 0, "it is not valid JSON"},
		"a list nested too deep": {jira().layout, `{"records":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`,
			nil, 0, "it is not valid JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			records, limit, err := decodePage([]byte(tc.body), tc.layout, 10)
			if tc.err != "" {
				if err == nil || err.Error() != tc.err {
					t.Fatalf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, seenOf(records)); diff != "" {
				t.Error(diff)
			}
			if limit != tc.limit {
				t.Errorf("limit %d, want %d", limit, tc.limit)
			}
		})
	}
}

func oneKeys(t *testing.T, l layout, record string) audit.Keys {
	t.Helper()
	records, _, err := decodePage([]byte(`{"`+l.list+`":[`+record+`]}`), l, 1)
	if err != nil || len(records) != 1 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	return records[0].Keys
}

// TestKeys checks what two reads of one record may differ in, and what makes
// two records.
func TestKeys(t *testing.T) {
	t.Parallel()
	noID := strings.Replace(jiraRecord, `"id":11932,`, "", 1)
	const same, coarse, fine = "same", "other coarse key", "other fine key"
	for name, tc := range map[string]struct {
		layout   layout
		record   string
		old, new string
		want     string
	}{
		"a renamed author":                     {confluence().layout, confluenceRecord, `"displayName":"System"`, `"displayName":"Sys"`, same},
		"an author who became a guest":         {confluence().layout, confluenceRecord, `"type":"user"`, `"type":"user","isGuest":true`, same},
		"an erased user name":                  {confluence().layout, confluenceRecord, `"operations":null`, `"operations":[],"username":null,"publicName":"Unknown user"`, same},
		"an administrator since":               {confluence().layout, confluenceRecord, `"sysAdmin":false`, `"sysAdmin":true`, same},
		"a flag that is new":                   {confluence().layout, confluenceRecord, `"superAdmin":false`, `"ultraAdmin":false`, fine},
		"a flag that is gone":                  {confluence().layout, confluenceRecord, `"superAdmin":false`, `"sysAdmin":false`, same},
		"white space between fields":           {confluence().layout, confluenceRecord, `,"changedValues":[]`, "\n , \"changedValues\" : [ ]", same},
		"white space inside the author":        {confluence().layout, confluenceRecord, `"accountId":"acc1"`, `"accountId" :  "acc1" `, same},
		"white space inside an object":         {confluence().layout, confluenceRecord, `{"name":"g","objectType":"Group"}`, `{ "name" : "g", "objectType": "Group" }`, same},
		"an absent field that becomes null":    {jira().layout, noID, `"eventSource":""`, `"eventSource":"","description":null`, same},
		"the same moment in another form":      {jira().layout, noID, "2022-01-06T09:49:07.418+0000", "2022-01-06T10:49:07.418+01:00", same},
		"an author key that vanished":          {jira().layout, noID, `"authorKey":"ug:1",`, ``, same},
		"a millisecond later":                  {confluence().layout, confluenceRecord, "1642495383045", "1642495383046", coarse},
		"another account":                      {confluence().layout, confluenceRecord, "acc1", "acc2", coarse},
		"another summary":                      {confluence().layout, confluenceRecord, "User added to group", "User removed", coarse},
		"a blank more in the summary":          {confluence().layout, confluenceRecord, "User added to group", "User added  to group", coarse},
		"another category":                     {confluence().layout, confluenceRecord, "Users and groups", "Spaces", coarse},
		"another address":                      {confluence().layout, confluenceRecord, "10.0.0.1", "10.0.0.2", coarse},
		"another description":                  {confluence().layout, confluenceRecord, `"description":""`, `"description":"d"`, fine},
		"another object":                       {confluence().layout, confluenceRecord, `"name":"g"`, `"name":"h"`, fine},
		"another value changed":                {confluence().layout, confluenceRecord, `"changedValues":[]`, `"changedValues":[{"name":"a"}]`, fine},
		"another associated object":            {confluence().layout, confluenceRecord, `"name":"u"`, `"name":"v"`, fine},
		"another account in Jira":              {jira().layout, noID, `"5ff3"`, `"5ff4"`, coarse},
		"another object in Jira":               {jira().layout, noID, `"name":"x"`, `"name":"y"`, fine},
		"another text of an unreadable date":   {jira().layout, noID, "2022-01-06T09:49:07.418+0000", "yesterday", coarse},
		"an empty value and none are not same": {jira().layout, noID, `"eventSource":"",`, ``, fine},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(tc.record, tc.old, tc.new, 1)
			if changed == tc.record {
				t.Fatal("the row changes nothing")
			}
			a, b := oneKeys(t, tc.layout, tc.record), oneKeys(t, tc.layout, changed)
			got := same
			switch {
			case a.Coarse != b.Coarse:
				got = coarse
			case a.Fine != b.Fine:
				got = fine
			}
			if got != tc.want || (a.Fingerprint == b.Fingerprint) != (tc.want == same) {
				t.Errorf("%s, want %s (fingerprints %s, %s)", got, tc.want, a.Fingerprint, b.Fingerprint)
			}
		})
	}
	if k := oneKeys(t, jira().layout, jiraRecord); k != (audit.Keys{}) {
		t.Errorf("a record with an id has keys: %+v", k)
	}
	a, b, c := oneKeys(t, jira().layout, `[1, 2]`), oneKeys(t, jira().layout, `[1,2]`), oneKeys(t, jira().layout, `[1,3]`)
	if a != b || a == c || a.Fingerprint == "" {
		t.Errorf("keys of malformed records: %+v %+v %+v", a, b, c)
	}
}

// FuzzDecodePage holds the scanner against encoding/json: it accepts the same
// texts, and finds the same records in them.
func FuzzDecodePage(f *testing.F) {
	for _, s := range []string{
		`{"records":[` + jiraRecord + `,` + confluenceRecord + `]}`, `{"records":[{"id":1,"created":"x"},null,-0.5e+7]}`,
		`{"records":[]}x`, `{"a":"\u00e9\\\"","records":[[[]],{"":{}}]}`, ` [1, 2 ,3 ] `, "\"\x80\"", `{"\u0072ecords":[]}`, "-", "0.", "1e", `{"a" 1}`, `{,}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		records, _, err := decodePage(body, jira().layout, 4)
		if (err == nil || err.Error() != errNotJSON.Error()) != json.Valid(body) {
			t.Fatalf("encoding/json says %v, the scanner %v", json.Valid(body), err)
		}
		if err != nil {
			return
		}
		var page map[string]json.RawMessage
		var want []json.RawMessage
		if err := json.Unmarshal(body, &page); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(page["records"], &want); err != nil {
			t.Fatal(err)
		}
		if len(want) != len(records) {
			t.Fatalf("%d records, want %d", len(records), len(want))
		}
		for i, r := range records {
			if !bytes.Equal(r.Raw, want[i]) {
				t.Fatalf("record %d is %q, want %q", i, r.Raw, want[i])
			}
			var o map[string]json.RawMessage
			if json.Unmarshal(want[i], &o) != nil || o == nil {
				continue
			}
			if r.Checked {
				sameLine(t, audit.Jira, r)
			}
			ms, dated := parseDate(o["created"])
			if r.Dated != dated || dated && r.Millis != ms || r.ID != parseID(o["id"]) {
				t.Fatalf("record %q read as %v %v %q", r.Raw, r.Millis, r.Dated, r.ID)
			}
			if r.ID == "" && r.Keys.Fingerprint == "" {
				t.Fatalf("record %q has neither id nor keys", r.Raw)
			}
			compacted := bytes.Buffer{}
			if err := json.Compact(&compacted, r.Raw); err != nil {
				t.Fatal(err)
			}
			if got := compact(nil, r.Raw); !bytes.Equal(got, compacted.Bytes()) {
				t.Fatalf("%q compacted to %q", r.Raw, got)
			}
		}
	})
}

func benchmarkBody(product string, n int) []byte {
	list, record := "records", jiraRecord
	if product == "confluence" {
		list, record = "results", confluenceRecord
	}
	return []byte(`{"` + list + `":[` + strings.Repeat(record+",", n-1) + record + `],"limit":1000}`)
}

func BenchmarkDecodePage(b *testing.B) {
	for name, l := range map[string]layout{"jira": jira().layout, "confluence": confluence().layout} {
		body := benchmarkBody(name, 1000)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := decodePage(body, l, 1000); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/encoding_json_scan", func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if !json.Valid(body) {
					b.Fatal("invalid")
				}
			}
		})
	}
}

// TestDecodeAllocations keeps the cost of a record in sight.
func TestDecodeAllocations(t *testing.T) {
	for name, l := range map[string]layout{"jira": jira().layout, "confluence": confluence().layout} {
		body := benchmarkBody(name, 100)
		perPage := testing.AllocsPerRun(5, func() {
			if _, _, err := decodePage(body, l, 100); err != nil {
				t.Fatal(err)
			}
		})
		if perRecord := perPage / 100; perRecord > 10 {
			t.Errorf("%s: %.1f allocations a record, want at most 10", name, perRecord)
		}
	}
}
