package atlassiantest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStories(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC)
	known := map[string]bool{}
	all := Stories()
	for i, s := range all {
		name := s.Product + " " + s.Name
		if known[name] || s.What == "" || i > 0 && all[i-1].Product > s.Product {
			t.Errorf("the story %q is there twice, says nothing, or stands in the wrong place", name)
		}
		known[name] = true
		records := s.Records(at)
		if len(records) == 0 || !records[0].Created.Equal(at) {
			t.Errorf("the story %q does not begin when it should", name)
		}
		for i, r := range records {
			if !json.Valid(r.Raw) || i > 0 && r.Created.Before(records[i-1].Created) {
				t.Errorf("the story %q: record %d is no JSON or comes too early: %s", name, i, r.Raw)
			}
		}
		if d := cmp.Diff(records, Stories()[i].Records(at)); d != "" {
			t.Errorf("the story %q is told otherwise the second time:\n%s", name, d)
		}
	}
}

func TestOrdinaryDay(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 23, 0, 0, 0, time.UTC)
	for _, product := range []string{Jira, Confluence, Organization} {
		day := OrdinaryDay(product, 1, at)
		if len(day) < 40 || len(day) > 80 {
			t.Errorf("%s: %d records", product, len(day))
		}
		for i, r := range day {
			if h := r.Created.Hour(); !json.Valid(r.Raw) || h < 8 || h > 18 || i > 0 && r.Created.Before(day[i-1].Created) || r.Created.Day() != 23 {
				t.Errorf("%s: record %d is no JSON, or dated %v: %s", product, i, r.Created, r.Raw)
			}
		}
		if d := cmp.Diff(day, OrdinaryDay(product, 1, at.Add(-time.Hour))); d != "" {
			t.Errorf("%s: the same day is told otherwise:\n%s", product, d)
		}
		if cmp.Equal(day, OrdinaryDay(product, 2, at)) {
			t.Errorf("%s: the seed does not matter", product)
		}
	}
}
