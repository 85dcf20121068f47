package atlassiantest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// marked is a record that carries nothing but its key.
func marked(key string, at time.Time) atlassiantest.Record {
	return atlassiantest.Record{Created: at, Key: key, Raw: []byte(`{"summary":"` + key + `","category":"test"}`)}
}

// keys are the marks of the records listed, in order.
func (a answer) keys(t *testing.T) string {
	t.Helper()
	if a.err != nil || a.status != 200 {
		t.Fatalf("status %d, error %v: %s", a.status, a.err, a.body)
	}
	var out []string
	for _, raw := range a.list(t) {
		_, rest, _ := strings.Cut(string(raw), `"summary":"`)
		key, _, _ := strings.Cut(rest, `"`)
		out = append(out, key)
	}
	return strings.Join(out, " ")
}

// fiveRecords has, from old to new: a; b and c in one millisecond; d half a
// second later; e, which was inserted first.
func fiveRecords(t *testing.T) *atlassiantest.Server {
	t.Helper()
	s := newServer(t)
	for _, p := range []string{atlassiantest.Jira, atlassiantest.Confluence} {
		s.Add(p,
			marked("e", base.Add(3*time.Second)),
			marked("a", base),
			marked("b", base.Add(time.Second)),
			marked("c", base.Add(time.Second)),
			marked("d", base.Add(1500*time.Millisecond)),
		)
	}
	return s
}

func TestJiraAnswersQueries(t *testing.T) {
	t.Parallel()
	const day = "2026-03-04T"
	for _, c := range []struct {
		sentence string
		url      string
		query    []string
		want     string
	}{
		{"everything comes newest first, and of a tie the latest inserted first", siteJira, nil, "e d c b a"},
		{"the gateway answers the same", gatewayJira, nil, "e d c b a"},
		{"version 2 answers the same", strings.Replace(siteJira, "/3/", "/2/", 1), nil, "e d c b a"},
		{"from is inclusive", siteJira, []string{"from", day + "05:06:08.000Z"}, "e d c b"},
		{"to is inclusive", siteJira, []string{"to", day + "05:06:08.000Z"}, "c b a"},
		{"a millisecond counts", siteJira, []string{"from", day + "05:06:08.001Z"}, "e d"},
		{"both bounds hold", siteJira, []string{"from", day + "05:06:08.000Z", "to", day + "05:06:08.500Z"}, "d c b"},
		{"an escaped +0000 is a zone", gatewayJira, []string{"from", day + "05:06:08.500+0000"}, "e d"},
		{"a zone with a colon is a zone", gatewayJira, []string{"from", day + "07:06:08.500+02:00"}, "e d"},
		{"no milliseconds are as good as .000", gatewayJira, []string{"to", day + "05:06:08Z"}, "c b a"},
		{"no zone is good enough for the site", siteJira, []string{"from", day + "05:06:08.500"}, "e d"},
		{"no zone makes the gateway find nothing", gatewayJira, []string{"from", day + "05:06:08.500"}, ""},
		{"one bound without a zone is enough for that", gatewayJira, []string{"from", day + "05:06:08.500Z", "to", day + "09:00:00"}, ""},
		{"from after to finds nothing", siteJira, []string{"from", day + "06:00:00Z", "to", day + "05:00:00Z"}, ""},
		{"from equal to to finds nothing", siteJira, []string{"from", day + "05:06:08.000Z", "to", day + "05:06:08.000Z"}, ""},
		{"a limit is kept", siteJira, []string{"limit", "2"}, "e d"},
		{"an offset skips from the newest", siteJira, []string{"limit", "2", "offset", "2"}, "c b"},
		{"an offset beyond the end finds nothing", siteJira, []string{"offset", "5"}, ""},
		{"a limit of 0 is 1,000", siteJira, []string{"limit", "0"}, "e d c b a"},
		{"a negative limit is 1,000", siteJira, []string{"limit", "-1"}, "e d c b a"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			if got := ask(t, fiveRecords(t), c.url, c.query...).keys(t); got != c.want {
				t.Errorf("listed %q, want %q", got, c.want)
			}
		})
	}
}

func TestConfluenceAnswersQueries(t *testing.T) {
	t.Parallel()
	second := func(d time.Duration) string { return itoa(int(base.Add(d).UnixMilli())) }
	for _, c := range []struct {
		sentence string
		url      string
		query    []string
		want     string
	}{
		{"everything comes newest first", siteWiki, nil, "e d c b a"},
		{"the gateway answers the same", gatewayWiki, nil, "e d c b a"},
		{"startDate is inclusive", gatewayWiki, []string{"startDate", second(time.Second)}, "e d c b"},
		{"endDate is inclusive", gatewayWiki, []string{"endDate", second(time.Second)}, "c b a"},
		{"one millisecond can be asked for", gatewayWiki, []string{"startDate", second(time.Second), "endDate", second(time.Second)}, "c b"},
		{"startDate after endDate finds nothing", gatewayWiki, []string{"startDate", second(2 * time.Second), "endDate", second(0)}, ""},
		{"a start skips from the newest", gatewayWiki, []string{"limit", "2", "start", "3"}, "b a"},
		{"a start beyond the end finds nothing", gatewayWiki, []string{"start", "99"}, ""},
		{"since counts back from the server's clock", gatewayWiki + "/since", []string{"number", "59", "units", "MINUTES"}, ""},
		{"since reaches three months by default", gatewayWiki + "/since", nil, "e d c b a"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			if got := ask(t, fiveRecords(t), c.url, c.query...).keys(t); got != c.want {
				t.Errorf("listed %q, want %q", got, c.want)
			}
		})
	}
}

func TestWrongQueriesAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sentence string
		url      string
		status   int
		text     string
	}{
		{"a + that became a blank is an invalid date", gatewayJira + "?from=2026-03-04T05:06:08.500+0000", 400, `Invalid date \"2026-03-04T05:06:08.500 0000\"`},
		{"so it is at the site", siteJira + "?to=2026-03-04T05:06:08.500+0000", 400, `Invalid date \"2026-03-04T05:06:08.500 0000\"`},
		{"a word is an invalid date", siteJira + "?from=yesterday", 400, `Invalid date \"yesterday\"`},
		{"a month 13 is an invalid date", siteJira + "?from=2026-13-04T05:06:08Z", 400, "Invalid date"},
		{"an offset must be a number", siteJira + "?offset=x", 400, "offset"},
		{"an ISO date is no startDate", siteWiki + "?startDate=2026-03-04T05:06:08Z", 400, "startDate"},
		{"a negative start is refused", siteWiki + "?start=-1", 400, "start"},
		{"a filter is not simulated", siteJira + "?filter=group", 501, "filter"},
		{"a search is not simulated", siteWiki + "?searchString=group", 501, "search"},
		{"an export is not simulated", siteWiki + "/export", 501, "export"},
		{"another path is not found", site + "/rest/api/3/project", 404, "null for uri"},
		{"the gateway wants Confluence's /wiki", gateway + "/ex/confluence/" + atlassiantest.DefaultCloudID + "/rest/api/audit", 404, ""},
		{"the gateway wants the site's cloudId", gateway + "/ex/jira/00000000-0000-4000-8000-000000000000" + jiraPath, 404, ""},
		{"the gateway wants the product of the path", gateway + "/ex/confluence/" + atlassiantest.DefaultCloudID + jiraPath, 404, ""},
		{"a site does not serve the gateway's paths", site + "/ex/jira/" + atlassiantest.DefaultCloudID + jiraPath, 404, ""},
		{"the gateway does not serve a site's paths", gateway + jiraPath, 404, ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			// Not through url.Values: the query must reach the server as written.
			req := request(t, strings.SplitN(c.url, "?", 2)[0])
			if _, query, ok := strings.Cut(c.url, "?"); ok {
				req.URL.RawQuery = query
			}
			token := atlassiantest.DefaultClassicToken
			if req.URL.Host == "api.atlassian.com" {
				token = atlassiantest.DefaultScopedToken
			}
			req.SetBasicAuth(atlassiantest.DefaultEmail, token)
			a := send(t, fiveRecords(t), req)
			if a.status != c.status || !strings.Contains(string(a.body), c.text) {
				t.Errorf("answered %d %s, want %d with %s", a.status, a.body, c.status, c.text)
			}
			a.object(t)
		})
	}
}

func TestJiraTellsOfItsPage(t *testing.T) {
	t.Parallel()
	s := fiveRecords(t)
	a := ask(t, s, gatewayJira, "from", "2026-03-04T05:06:08.000Z", "offset", "1", "limit", "2")
	got := a.object(t)
	delete(got, "records")
	want := map[string]any{"offset": 1.0, "limit": 2.0, "total": 5.0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("beside its list (-want +got):\n%s", diff)
	}
	if got := ask(t, s, gatewayJira, "limit", "5000").object(t)["limit"]; got != 1000.0 {
		t.Errorf("a limit of 5000 was applied as %v", got)
	}
	if got, want := a.header.Get("Date"), base.Add(time.Hour).Format("Mon, 02 Jan 2006 15:04:05 GMT"); got != want {
		t.Errorf("Date: %s, want the server's clock %s", got, want)
	}
}

func TestConfluenceTellsWhereToGoOn(t *testing.T) {
	t.Parallel()
	s := fiveRecords(t)
	a := ask(t, s, gatewayWiki, "limit", "2", "startDate", "1", "endDate", "9999999999999").object(t)
	want := map[string]any{
		"start": 0.0, "limit": 2.0, "size": 2.0,
		"_links": map[string]any{
			"base":    "https://example.atlassian.net/wiki",
			"context": "/wiki",
			"next":    "/rest/api/audit?next=true&limit=2&start=2&startDate=1&endDate=9999999999999",
			"self":    "https://example.atlassian.net/wiki/rest/api/audit?endDate=9999999999999&limit=2&startDate=1",
		},
	}
	delete(a, "results")
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("beside its list (-want +got):\n%s", diff)
	}
	last := ask(t, s, siteWiki, "limit", "2", "start", "3").object(t)
	if next, ok := last["_links"].(map[string]any)["next"]; ok {
		t.Errorf("the last page names a next one: %v", next)
	}
}
