package atlassiantest_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// served are n records of a corpus as a server serves them.
func served(t *testing.T, product string, n int) []atlassiantest.Stored {
	t.Helper()
	s := newServer(t)
	c := atlassiantest.NewCorpus(5)
	for i := range n {
		s.Add(product, c.Record(product, base.Add(time.Duration(i)*time.Millisecond)))
	}
	return s.Records(product)
}

func TestTheCorpusFollowsItsSeed(t *testing.T) {
	t.Parallel()
	text := func(seed uint64) (out []string) {
		c := atlassiantest.NewCorpus(seed)
		for range 50 {
			j, w := c.Jira(base), c.Confluence(base)
			out = append(out, j.Key+string(j.Raw), w.Key+string(w.Raw))
		}
		return out
	}
	if diff := cmp.Diff(text(1), text(1)); diff != "" {
		t.Errorf("one seed made two corpora:\n%s", diff)
	}
	if cmp.Equal(text(1), text(2)) {
		t.Error("two seeds made one corpus")
	}
}

func TestCorpusRecordsAreOfUsualSizeAndToldApartByTheirKeys(t *testing.T) {
	t.Parallel()
	for _, p := range []string{atlassiantest.Jira, atlassiantest.Confluence} {
		keys := map[string]bool{}
		for _, r := range served(t, p, 4000) {
			if !json.Valid(r.Raw) {
				t.Fatalf("not JSON: %s", r.Raw)
			}
			if n := len(r.Raw); n < 380 || n > 1300 {
				t.Errorf("%d bytes: %s", n, r.Raw)
			}
			if keys[r.Key] || !bytes.Contains(r.Raw, []byte(r.Key)) || bytes.Contains(r.Raw, []byte(atlassiantest.KeyMark)) {
				t.Errorf("the key %q does not mark %s", r.Key, r.Raw)
			}
			keys[r.Key] = true
		}
	}
}

func TestTheCorpusHasAllFamiliesAndOddities(t *testing.T) {
	t.Parallel()
	for product, wants := range map[string][]string{
		atlassiantest.Jira: {
			`"User created"`, `"User added to group"`, `"Group deleted"`, `"Project created"`, `"Project roles changed"`, `"Permission scheme updated"`,
			`"Global permission added"`, `"Workflow updated"`, `"Workflow scheme copied"`, `"Custom field created"`, `"Global configuration updated"`,
			`"User login failed"`, `"User login successful"`, `"App installed"`, `"API token created"`, `"Data export started"`,
			`"Audit log configuration updated"`, `"Work item deleted"`, `"User's password changed"`,
			`"remoteAddress":"10.83.76.139"`, `"remoteAddress":"2001:db8:`, `, 10.83.76.139"`, `"authorAccountId":"ug:`, `"ug:`, `"qm:`,
			`"eventSource":""`, `"changedFrom":""`, `"description":""`, `\u003c`, `\/`, `9007199254740993`, `18446744073709551615`, `12345678901234567890.125`, "\u2028", `\u2028`,
		},
		atlassiantest.Confluence: {
			`"User added to group"`, `"Group created"`, `"Space permission added"`, `"Global permission added"`, `"Space created"`, `"Page restriction added"`,
			`"Public link turned on"`, `"Global settings updated"`, `"User login failed"`, `"User login successful"`, `"App installed"`, `"API token revoked"`,
			`"Audit log configuration updated"`, `"displayName":"System"`, `"publicName":"Unknown user"`, `"isGuest":`, `"superAdmin":`, `"sysAdmin":true`,
			`"remoteAddress":"2001:db8:`, `"remoteAddress":"10.83.76.139"`, `"remoteAddress":""`, `"hiddenNewValue":`, `"objectType":""`, `"changedValues":[]`,
			`\u003c`, `\/`, `9007199254740993`, `18446744073709551615`, "\u2028", `\u2028`, `\ud`,
		},
	} {
		var all bytes.Buffer
		without := map[string]int{}
		for _, r := range served(t, product, 4000) {
			all.Write(r.Raw)
			for _, field := range []string{`"remoteAddress"`, `"authorKey"`, `"authorAccountId"`, `"changedFrom"`, `"superAdmin"`, `"accountId"`} {
				if !bytes.Contains(r.Raw, []byte(field)) {
					without[field]++
				}
			}
		}
		for _, want := range wants {
			if !strings.Contains(all.String(), want) {
				t.Errorf("%s: 4,000 records have no %s", product, want)
			}
		}
		missing := []string{`"remoteAddress"`, `"authorKey"`, `"authorAccountId"`, `"changedFrom"`}
		if product == atlassiantest.Confluence {
			missing = []string{`"superAdmin"`, `"accountId"`}
			if without[`"remoteAddress"`] > 0 {
				t.Errorf("Confluence, which always has an address, left it out")
			}
		}
		for _, field := range missing {
			if without[field] < 20 || without[field] > 3800 {
				t.Errorf("%s: %d of 4,000 records lack %s", product, without[field], field)
			}
		}
	}
}

func TestCorpusRecordsHaveTheDocumentedShape(t *testing.T) {
	t.Parallel()
	type item struct {
		ID, Name, TypeName, ParentID, ParentName *string
	}
	for _, r := range served(t, atlassiantest.Jira, 2000) {
		var in struct {
			ID              int64
			Summary         string
			RemoteAddress   *string
			AuthorKey       *string
			AuthorAccountID *string
			Created         string
			Category        string
			EventSource     *string
			Description     *string
			ObjectItem      item
			ChangedValues   []struct{ FieldName, ChangedFrom, ChangedTo *string }
			AssociatedItems []item
		}
		if err := json.Unmarshal(r.Raw, &in); err != nil {
			t.Fatalf("%v: %s", err, r.Raw)
		}
		at, err := time.Parse("2006-01-02T15:04:05.000-0700", in.Created)
		if err != nil || !at.Equal(r.Created) || in.ID != r.ID || in.Summary == "" || in.Category == "" {
			t.Errorf("created %q, id %d, summary %q, category %q", in.Created, in.ID, in.Summary, in.Category)
		}
	}
	for _, r := range served(t, atlassiantest.Confluence, 2000) {
		var in map[string]any
		if err := json.Unmarshal(r.Raw, &in); err != nil {
			t.Fatalf("%v: %s", err, r.Raw)
		}
		for _, field := range []string{"author", "remoteAddress", "creationDate", "summary", "description", "category", "sysAdmin", "affectedObject", "changedValues", "associatedObjects"} {
			if _, ok := in[field]; !ok {
				t.Errorf("no %s, which Confluence always has, in %s", field, r.Raw)
			}
		}
		if _, ok := in["id"]; ok {
			t.Errorf("an id, which Confluence never has, in %s", r.Raw)
		}
	}
}
