package atlassian

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"
)

// told are the facts of a record as texts, in the order of audit.Facts.
func told(r audit.Record) map[string]string {
	out := map[string]string{}
	put := func(name string, s audit.Span) {
		if s.To > 0 {
			out[name] = string(r.Raw[s.From:s.To])
		}
	}
	put("id", r.Facts.ActorID)
	put("name", r.Facts.ActorName)
	put("email", r.Facts.ActorEmail)
	put("address", r.Facts.Address)
	put("action", r.Facts.Action)
	put("category", r.Facts.Category)
	return out
}

func TestFactsOfRecords(t *testing.T) {
	t.Parallel()
	nested := layout{list: "results", slot: confluenceSlot, account: "accountId", places: []place{
		{fact: factActorID, slot: slotAccount, path: []string{"who", "id"}},
		{fact: factActorName, slot: slotAccount, path: []string{"who", "name", "full"}},
		{fact: factActorName, slot: slotAccount, path: []string{"alias"}},
		{fact: factAction, slot: slotSummary},
	}}
	for name, c := range map[string]struct {
		layout layout
		record string
		want   map[string]string
	}{
		"Jira's": {jira().layout,
			`{"id":1,"summary":"User created","remoteAddress":"192.0.2.1, 10.0.0.1","authorKey":"ug:1","authorAccountId":"5ff3","created":"x","category":"user management"}`,
			map[string]string{"id": `"5ff3"`, "address": `"192.0.2.1, 10.0.0.1"`, "action": `"User created"`, "category": `"user management"`}},
		"Jira's where only the old key is there": {jira().layout, `{"id":1,"authorAccountId":null,"authorKey":"ug:1"}`, map[string]string{"id": `"ug:1"`}},
		"Jira's where nobody did it":             {jira().layout, `{"id":1,"authorAccountId":"","authorKey":null,"summary":"","remoteAddress":""}`, map[string]string{}},
		"Jira's with other types than expected":  {jira().layout, `{"id":1,"authorAccountId":12,"summary":{"a":"b"},"remoteAddress":["x"],"category":true}`, map[string]string{"id": `12`}},
		"Confluence's": {confluence().layout,
			"{ \"author\" : {\"type\":\"user\",\n\"publicName\":\"Unknown user\",\"displayName\" : \"Ana \\\" Ä\",\"userKey\":\"k\",\"accountId\":\"5ff3\",\"email\":\"a@example.com\"}, \"remoteAddress\":\"2001:db8::1\", \"summary\":\"Space created\",\"category\":\"Spaces\"}",
			map[string]string{"id": `"5ff3"`, "name": `"Ana \" Ä"`, "email": `"a@example.com"`, "address": `"2001:db8::1"`, "action": `"Space created"`, "category": `"Spaces"`}},
		"Confluence's system": {confluence().layout, `{"author":{"displayName":"System","accountType":"","publicName":"Unknown user"},"summary":"User added to group"}`,
			map[string]string{"name": `"System"`, "action": `"User added to group"`}},
		"Confluence's old users":                     {confluence().layout, `{"author":{"username":"ana","userKey":null}}`, map[string]string{"id": `"ana"`}},
		"Confluence's author that is a text is none": {confluence().layout, `{"author":"ana"}`, map[string]string{}},
		"what lies deeper":                           {nested, `{"author":{"who":{"name":{"full":"Ana"},"id":"7"},"alias":"A"},"summary":"s"}`, map[string]string{"id": `"7"`, "name": `"Ana"`, "action": `"s"`}},
		"the second best place":                      {nested, `{"author":{"alias":"A","who":{"name":"Ana"}}}`, map[string]string{"name": `"A"`}},
		"of a name that stands twice the last one":   {nested, `{"author":{"alias":"A","alias":"B"}}`, map[string]string{"name": `"B"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Not the first record, and with space around: spans count from the record.
			body := `{"` + c.layout.list + `":[ {"summary":"another"} , ` + c.record + ` ]}`
			records, _, err := decodePage([]byte(body), c.layout, 2)
			if err != nil || len(records) != 2 {
				t.Fatalf("%d records, error %v", len(records), err)
			}
			if diff := cmp.Diff(c.want, told(records[1])); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if strings.Contains(string(records[1].Raw), "another") {
				t.Errorf("the wrong record: %s", records[1].Raw)
			}
		})
	}
}
