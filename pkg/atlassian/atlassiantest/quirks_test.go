package atlassiantest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

type quirks = atlassiantest.Quirks

func TestQuirksOfTheList(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) string { return base.Add(d).Format("2006-01-02T15:04:05.000Z") }
	for _, c := range []struct {
		sentence string
		quirks   quirks
		query    []string
		want     string
	}{
		{"a clamp holds whatever is asked", quirks{MaxPage: 2}, []string{"limit", "4"}, "e d"},
		{"a clamp leaves smaller pages alone", quirks{MaxPage: 2}, []string{"limit", "1"}, "e"},
		{"insertion order lists the latest inserted first", quirks{InsertionOrder: true}, nil, "d c b a e"},
		{"insertion order still keeps the bounds", quirks{InsertionOrder: true}, []string{"from", at(time.Second)}, "d c b e"},
		{"insertion order can be paged", quirks{InsertionOrder: true}, []string{"limit", "2", "offset", "3"}, "a e"},
		{"ascending lists oldest first", quirks{Ascending: true}, []string{"limit", "3"}, "a b c"},
		{"bounds in whole seconds reach further back", quirks{SecondPrecisionBounds: true}, []string{"from", at(1900 * time.Millisecond)}, "e d c b"},
		{"bounds in whole seconds reach less far up", quirks{SecondPrecisionBounds: true}, []string{"to", at(1900 * time.Millisecond)}, "c b a"},
		{"dates in whole seconds do not change bounds", quirks{SecondPrecisionDates: true}, []string{"to", at(time.Second)}, "c b a"},
		{"exclusive bounds leave themselves out", quirks{ExclusiveBounds: true}, []string{"from", at(0), "to", at(1500 * time.Millisecond)}, "c b"},
		{"equal bounds can be allowed", quirks{EqualBounds: true}, []string{"from", at(time.Second), "to", at(time.Second)}, "c b"},
		{"what is dated from a moment on is hidden from a question with a bound", quirks{DatedBefore: base.Add(1500 * time.Millisecond).UnixMilli()}, []string{"from", at(0)}, "c b a"},
		{"and from one with the other bound", quirks{DatedBefore: 1}, []string{"to", at(time.Minute)}, ""},
		{"but shown without bounds", quirks{DatedBefore: 1}, nil, "e d c b a"},
		{"an ignored offset lists the first page", quirks{IgnoreOffset: true}, []string{"limit", "2", "offset", "4"}, "e d"},
		{"an ignored from lists everything", quirks{IgnoreFrom: true}, []string{"from", at(time.Second)}, "e d c b a"},
		{"an ignored to lists everything", quirks{IgnoreTo: true}, []string{"to", at(time.Second)}, "e d c b a"},
		{"rows past the end are the last page again", quirks{RowsPastEnd: true}, []string{"limit", "2", "offset", "8"}, "b a"},
		{"rows past the end leave earlier pages alone", quirks{RowsPastEnd: true}, []string{"limit", "2", "offset", "1"}, "d c"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			s := fiveRecords(t)
			s.SetQuirks(atlassiantest.Jira, c.quirks)
			if got := ask(t, s, gatewayJira, c.query...).keys(t); got != c.want {
				t.Errorf("Jira listed %q, want %q", got, c.want)
			}
			if got := ask(t, s, gatewayWiki).keys(t); got != "e d c b a" {
				t.Errorf("Confluence, which has no quirk, listed %q", got)
			}
		})
	}
}

func TestQuirksOfTheNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sentence string
		quirks   quirks
		field    string
		want     any
	}{
		{"the total is the site's by default", quirks{}, "total", 5.0},
		{"the total may be the query's", quirks{TotalLie: atlassiantest.TotalFiltered}, "total", 4.0},
		{"the total may be too big", quirks{TotalLie: atlassiantest.TotalTooBig}, "total", 1010.0},
		{"the total may be too small", quirks{TotalLie: atlassiantest.TotalTooSmall}, "total", 1.0},
		{"the total may be 0", quirks{TotalLie: atlassiantest.TotalZero}, "total", 0.0},
		{"the total may be missing", quirks{TotalLie: atlassiantest.TotalMissing}, "total", nil},
		{"a clamped limit is told", quirks{MaxPage: 2}, "limit", 2.0},
		{"a clamped limit may be kept secret", quirks{MaxPage: 2, EchoRequestedLimit: true}, "limit", 3.0},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			s := fiveRecords(t)
			s.SetQuirks(atlassiantest.Jira, c.quirks)
			got := ask(t, s, siteJira, "from", "2026-03-04T05:06:08.000Z", "limit", "3").object(t)[c.field]
			if got != c.want {
				t.Errorf("%s is %v, want %v", c.field, got, c.want)
			}
		})
	}
}

func TestQuirksOfConfluencesLinks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sentence string
		quirks   quirks
		start    string
		next     any
		size     float64
	}{
		{"next counts the records given", quirks{MaxPage: 2}, "0", "/rest/api/audit?next=true&limit=2&start=2", 2},
		{"next may count the records asked for", quirks{MaxPage: 2, NextFromRequested: true}, "0", "/rest/api/audit?next=true&limit=2&start=3", 2},
		{"next may begin with /wiki", quirks{NextWithContext: true}, "0", "/wiki/rest/api/audit?next=true&limit=3&start=3", 3},
		{"next may be there on the last page", quirks{NextAlways: true}, "3", "/rest/api/audit?next=true&limit=3&start=5", 2},
		{"the size may be a lie", quirks{SizeLie: true}, "3", nil, 38},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			s := fiveRecords(t)
			s.SetQuirks(atlassiantest.Confluence, c.quirks)
			got := ask(t, s, siteWiki, "limit", "3", "start", c.start).object(t)
			if next := got["_links"].(map[string]any)["next"]; next != c.next {
				t.Errorf("next is %v, want %v", next, c.next)
			}
			if got["size"] != c.size {
				t.Errorf("size is %v, want %v", got["size"], c.size)
			}
		})
	}
}

func TestDatesMayBeWrittenInManyWays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sentence         string
		quirks           quirks
		jira, confluence string
	}{
		{"plain", quirks{}, `"created":"2026-03-04T05:06:07.089+0000"`, `"creationDate":1772600767089`},
		{"in whole seconds", quirks{SecondPrecisionDates: true}, `"created":"2026-03-04T05:06:07.000+0000"`, `"creationDate":1772600767000`},
		{"with a colon", quirks{DateFormat: atlassiantest.DateColonOffset}, `"created":"2026-03-04T05:06:07.089+00:00"`, `"creationDate":"2026-03-04T05:06:07.089+00:00"`},
		{"with Z", quirks{DateFormat: atlassiantest.DateZulu}, `"created":"2026-03-04T05:06:07.089Z"`, `"creationDate":"2026-03-04T05:06:07.089Z"`},
		{"without milliseconds", quirks{DateFormat: atlassiantest.DateNoMillis}, `"created":"2026-03-04T05:06:07+0000"`, `"creationDate":"2026-03-04T05:06:07+0000"`},
		{"in another zone", quirks{DateFormat: atlassiantest.DateOtherZone}, `"created":"2026-03-04T07:06:07.089+0200"`, `"creationDate":"2026-03-04T07:06:07.089+0200"`},
		{"as a number", quirks{DateFormat: atlassiantest.DateEpochMillis}, `"created":1772600767089`, `"creationDate":1772600767089`},
		{"as a number in quotes", quirks{DateFormat: atlassiantest.DateEpochText}, `"created":"1772600767089"`, `"creationDate":"1772600767089"`},
		{"as Jira does", quirks{DateFormat: atlassiantest.DateOffset}, `"created":"2026-03-04T05:06:07.089+0000"`, `"creationDate":"2026-03-04T05:06:07.089+0000"`},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			for product, want := range map[string]string{atlassiantest.Jira: c.jira, atlassiantest.Confluence: c.confluence} {
				s.Add(product, marked("x", base.Add(89*time.Millisecond+999*time.Microsecond)))
				s.SetQuirks(product, c.quirks)
				rawURL := map[string]string{atlassiantest.Jira: siteJira, atlassiantest.Confluence: siteWiki}[product]
				if got := string(ask(t, s, rawURL).list(t)[0]); !strings.Contains(got, want) {
					t.Errorf("%s served %s, want %s", product, got, want)
				}
			}
		})
	}
}

func TestTiesMayBeShuffled(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.SetQuirks(atlassiantest.Jira, quirks{ShuffleTies: true})
	var want []string
	s.Add(atlassiantest.Jira, marked("old", base.Add(-time.Second)), marked("new", base.Add(time.Second)))
	for i := range 20 {
		want = append(want, "r"+itoa(i))
		s.Add(atlassiantest.Jira, marked("r"+itoa(i), base))
	}
	orders := map[string]bool{}
	slices.Sort(want)
	for range 5 {
		got := strings.Fields(ask(t, s, siteJira).keys(t))
		if got[0] != "new" || got[21] != "old" {
			t.Errorf("the tie's neighbours moved: %v", got)
		}
		tie := got[1:21]
		orders[strings.Join(tie, " ")] = true
		if diff := cmp.Diff(want, slices.Sorted(slices.Values(tie))); diff != "" {
			t.Error(diff)
		}
	}
	if len(orders) != 5 {
		t.Errorf("5 requests saw %d different orders", len(orders))
	}
	if got := strings.Fields(ask(t, s, siteJira, "limit", "5", "offset", "0").keys(t)); len(got) != 5 || got[0] != "new" {
		t.Errorf("a page that ends within the tie holds %v", got)
	}
}

func TestTheClockMayBeSkewed(t *testing.T) {
	t.Parallel()
	s := fiveRecords(t)
	s.SetQuirks(atlassiantest.Jira, quirks{ClockSkew: -20 * time.Minute})
	if got := ask(t, s, siteJira).header.Get("Date"); got != "Wed, 04 Mar 2026 05:46:07 GMT" {
		t.Errorf("Jira's Date is %s", got)
	}
	if got := ask(t, s, siteWiki).header.Get("Date"); got != "Wed, 04 Mar 2026 06:06:07 GMT" {
		t.Errorf("Confluence's Date is %s", got)
	}
}
