package atlassian

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"
)

const first = int64(1_700_000_000_000)

// rows are n entities of which the newest is dated ms, each a millisecond apart.
func rows(n int, ms int64) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"timestamp":%q,"source":"%d"}`, time.UnixMilli(ms-int64(i)).UTC().Format(jiraTime), ms)
	}
	return b.String()
}

func events(rows, paging string) string {
	return `{"entities":[` + rows + `],"pagingInfo":` + paging + `}`
}

// TestPagesAreFollowedByCursor is about how a page behind another one is asked
// for: by the cursor where there is one that does what it should, by counting
// where not, and never at another address.
func TestPagesAreFollowedByCursor(t *testing.T) {
	t.Parallel()
	const more = `{"lastPage":false,"size":3,"nextPageOffset":0,"nextPageCursor":"1699999999998,47","nextPageLink":"http://elsewhere.example.com/x?pageCursor=no"}`
	q := audit.Query{From: first - 1000, To: first, Bounded: true, Limit: 3}
	behind := q
	behind.Offset = 3
	for name, row := range map[string]struct {
		first string
		// second answers the second question; third, where it is not empty, the third.
		second, third func() *http.Response
		ask           audit.Query
		want          []string // what the questions after the first say of offset and cursor
		records       int
	}{
		"by its cursor": {first: events(rows(3, first), more), ask: behind,
			second: func() *http.Response { return reply(200, events(rows(2, first-3), `{"lastPage":true,"size":2}`)) },
			want:   []string{"offset 0 cursor 1699999999998,47"}, records: 2},
		"by the cursor in a link that comes alone": {
			first: events(rows(3, first), `{"lastPage":false,"nextPageLink":"http://elsewhere.example.com/x?offset=0&limit=3&pageCursor=1699999999998,47"}`), ask: behind,
			second: func() *http.Response { return reply(200, events(rows(2, first-3), `{"lastPage":true}`)) },
			want:   []string{"offset 0 cursor 1699999999998,47"}, records: 2},
		"by counting behind the last page": {first: events(rows(3, first), `{"lastPage":true,"size":3}`), ask: behind,
			second: func() *http.Response { return reply(200, events("", `{"lastPage":true,"size":0}`)) },
			want:   []string{"offset 3"}},
		"by counting where another question is asked": {first: events(rows(3, first), more), ask: audit.Query{From: first - 1000, Limit: 3, Offset: 3},
			second: func() *http.Response { return reply(200, events(rows(1, first-3), `{"lastPage":true}`)) },
			want:   []string{"offset 3"}, records: 1},
		"by counting where the cursor is not understood": {first: events(rows(3, first), more), ask: behind,
			second: func() *http.Response { return reply(400, `{"message":"cursor?"}`) },
			third:  func() *http.Response { return reply(200, events(rows(2, first-3), `{"lastPage":true}`)) },
			want:   []string{"offset 0 cursor 1699999999998,47", "offset 3"}, records: 2},
		"by counting where the cursor leads up again": {first: events(rows(3, first), more), ask: behind,
			second: func() *http.Response { return reply(200, events(rows(3, first), more)) },
			third:  func() *http.Response { return reply(200, events(rows(2, first-3), `{"lastPage":true}`)) },
			want:   []string{"offset 0 cursor 1699999999998,47", "offset 3"}, records: 2},
		"to the lower bound, which a cursor may forget": {first: events(rows(3, first), more), ask: behind,
			second: func() *http.Response { return reply(200, events(rows(3, first-5000), more)) },
			want:   []string{"offset 0 cursor 1699999999998,47"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked []string
			c := newTestClient(t, func(r *http.Request) (*http.Response, error) {
				v := r.URL.Query()
				if r.URL.Host != "jira.example.com" || r.URL.Path != "/jira/rest/auditing/1.0/events" || v.Get("from") == "" {
					t.Errorf("asked at %s", r.URL)
				}
				asked = append(asked, strings.TrimSuffix("offset "+v.Get("offset")+" cursor "+v.Get("pageCursor"), " cursor "))
				switch len(asked) {
				case 1:
					return reply(200, row.first), nil
				case 2:
					return row.second(), nil
				}
				return row.third(), nil
			}, func(o *Options) { o.Site = mustURL(t, "https://jira.example.com/jira") })
			s := c.DataCenter(DataCenterOptions{Product: audit.Jira})
			if page, err := s.Page(t.Context(), q); err != nil || len(page.Records) != 3 {
				t.Fatalf("%d records, %v", len(page.Records), err)
			}
			page, err := s.Page(t.Context(), row.ask)
			if err != nil || len(page.Records) != row.records {
				t.Errorf("%d records, %v", len(page.Records), err)
			}
			if diff := cmp.Diff(append([]string{"offset 0"}, row.want...), asked); diff != "" {
				t.Errorf("questions (-want +got):\n%s", diff)
			}
		})
	}
}

// TestACursorThatFailedIsNotTriedAgain: every page would cost two questions.
func TestACursorThatFailedIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	cursors := 0
	c := newTestClient(t, func(r *http.Request) (*http.Response, error) {
		if r.URL.Query().Has("pageCursor") {
			cursors++
			return reply(400, "{}"), nil
		}
		var offset int64
		if _, err := fmt.Sscan(r.URL.Query().Get("offset"), &offset); err != nil {
			t.Error(err)
		}
		return reply(200, events(rows(3, first-offset), `{"lastPage":false,"nextPageCursor":"1,2"}`)), nil
	})
	s := c.DataCenter(DataCenterOptions{Product: audit.Jira})
	for i := range 4 {
		if _, err := s.Page(t.Context(), audit.Query{From: first - 1000, Limit: 3, Offset: 3 * i}); err != nil {
			t.Fatal(err)
		}
	}
	if cursors != 1 {
		t.Errorf("a cursor was tried %d times", cursors)
	}
}

func TestWhereThereIsNoAuditLogTheBaseURLIsNamed(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		route, path string
		status      int
		want        string
		asked       int
	}{
		"neither resource is there":                        {status: 404, asked: 2, want: "its context path included"},
		"the events are gone that were there":              {route: RouteEvents, status: 404, asked: 1, want: "its context path included"},
		"the older one is gone and the events are missing": {route: RouteRecords, status: 404, asked: 2, want: "its context path included"},
		"the token is wrong":                               {status: 401, asked: 1, want: "check `personal_access_token`"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			c := newTestClient(t, func(*http.Request) (*http.Response, error) { asked++; return reply(row.status, "{}"), nil },
				func(o *Options) {
					o.Site = mustURL(t, "https://jira.example.com/jira")
					o.Credential = token{kind: "personal_access_token", routes: []string{RouteSite}}
				})
			_, err := c.DataCenter(DataCenterOptions{Product: audit.Jira, Route: row.route}).Page(t.Context(), anyQuery)
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.Next, row.want) || e.Site != "jira.example.com/jira" || asked != row.asked {
				t.Errorf("after %d questions: %v", asked, err)
			}
		})
	}
}

// search is the event of a search.
func search(author string, ms int64, results string) *audit.Record {
	return searchAt("", author, ms, results)
}

// searchAt has the address of the author's profile page too.
func searchAt(uri, author string, ms int64, results string) *audit.Record {
	raw := fmt.Sprintf(`{"timestamp":%q,"author":{"id":"1","name":%q,"uri":%q},"type":{"actionI18nKey":"atlassian.audit.event.action.audit.search"},`+
		`"extraAttributes":[{"nameI18nKey":"atlassian.audit.event.attribute.results","value":%q}]}`, time.UnixMilli(ms).UTC().Format(jiraTime), author, uri, results)
	r := decodeLine([]byte(raw))
	return &r
}

func TestASearchIsOursOnlyWhereOneOfOurQuestionsAccountsForIt(t *testing.T) {
	t.Parallel()
	asked := audit.Asked{At: first, Until: first + 400, Count: 50}
	for name, row := range map[string]struct {
		asked   []audit.Asked
		account string
		signed  string
		events  []*audit.Record
		want    string // o for ours, - for somebody else's
	}{
		"while it was under way":                    {asked: []audit.Asked{asked}, events: []*audit.Record{search("audit", first+200, "50")}, want: "o"},
		"each question accounts for one":            {asked: []audit.Asked{asked}, events: []*audit.Record{search("audit", first+200, "50"), search("audit", first+201, "50")}, want: "o-"},
		"the same event is read again":              {asked: []audit.Asked{asked}, events: []*audit.Record{search("audit", first+200, "50"), search("audit", first+200, "50")}, want: "oo"},
		"it found something else":                   {asked: []audit.Asked{asked}, events: []*audit.Record{search("audit", first+200, "51")}, want: "-"},
		"at another time":                           {asked: []audit.Asked{asked}, events: []*audit.Record{search("audit", first+60_000, "50")}, want: "-"},
		"before it was sent":                        {asked: []audit.Asked{asked}, events: []*audit.Record{search("audit", first-6_000, "50")}, want: "-"},
		"the clocks differ a little":                {asked: []audit.Asked{asked}, events: []*audit.Record{search("audit", first+4_000, "50")}, want: "o"},
		"by another account":                        {asked: []audit.Asked{asked}, account: "audit", events: []*audit.Record{search("mallory", first+200, "50")}, want: "-"},
		"by the account in capitals":                {asked: []audit.Asked{asked}, account: "audit", events: []*audit.Record{search("Audit", first+200, "50")}, want: "o"},
		"by the account under another name":         {asked: []audit.Asked{asked}, account: "audit", events: []*audit.Record{searchAt("http://jira/secure/ViewProfile.jspa?name=audit", "Audit Collector", first+200, "50")}, want: "o"},
		"by the account, in Confluence":             {asked: []audit.Asked{asked}, account: "a b", events: []*audit.Record{searchAt("http://wiki/admin/users/viewuser.action?username=a+b", "Audit Collector", first+200, "50")}, want: "o"},
		"by somebody who calls himself so":          {asked: []audit.Asked{asked}, account: "audit", events: []*audit.Record{searchAt("http://jira/secure/ViewProfile.jspa?name=mallory", "audit", first+200, "50")}, want: "-"},
		"a token's, by its account":                 {asked: []audit.Asked{asked}, signed: "audit", events: []*audit.Record{searchAt("http://jira/secure/ViewProfile.jspa?name=audit", "Audit Collector", first+200, "50")}, want: "o"},
		"a token's, by another account":             {asked: []audit.Asked{asked}, signed: "audit", events: []*audit.Record{searchAt("http://jira/secure/ViewProfile.jspa?name=mallory", "audit", first+200, "50")}, want: "-"},
		"a token's, where no page says whose":       {asked: []audit.Asked{asked}, signed: "audit", events: []*audit.Record{search("Audit Collector", first+200, "50")}, want: "o"},
		"no answer came":                            {asked: []audit.Asked{{At: first, Until: first + 30_000, Count: -1}}, events: []*audit.Record{search("audit", first+200, "50")}, want: "o"},
		"the better of two questions accounts":      {asked: []audit.Asked{{At: first, Until: first + 30_000, Count: -1}, asked}, events: []*audit.Record{search("audit", first+200, "50"), search("audit", first+300, "7")}, want: "oo"},
		"nothing says how many":                     {asked: []audit.Asked{asked}, events: []*audit.Record{search("audit", first+200, "")}, want: "o"},
		"nothing was asked":                         {events: []*audit.Record{search("audit", first+200, "50")}, want: "-"},
		"a text in another record looks like it":    {asked: []audit.Asked{asked}, events: []*audit.Record{lookalike()}, want: "-"},
		"what was accounted for before counts once": {asked: []audit.Asked{{At: first, Until: first, Count: 50, Record: "of another"}}, events: []*audit.Record{search("audit", first, "50")}, want: "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSearches(row.account, row.asked, time.Now, time.Second)
			s.signedIn = row.signed
			got := ""
			for _, e := range row.events {
				if s.own(e) {
					got += "o"
				} else {
					got += "-"
				}
			}
			if got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
		})
	}
}

func lookalike() *audit.Record {
	r := decodeLine([]byte(`{"timestamp":"2023-11-14T22:13:20.200Z","type":{"actionI18nKey":"x"},"extraAttributes":[{"name":"atlassian.audit.event.action.audit.search"}]}`))
	return &r
}

func TestQuestionsAreNotRememberedForEver(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(first)
	s := newSearches("", nil, func() time.Time { return now }, time.Second)
	for range 2000 {
		s.begin()
		s.sent()
		s.answered(3)
		now = now.Add(time.Minute)
	}
	if n := len(s.Asked()); n > askedOld+15 || n < askedOld {
		t.Errorf("%d questions are remembered where none is ever accounted for", n)
	}
	text, err := json.Marshal(s.Asked())
	if err != nil || len(text) > 6000 {
		t.Errorf("they take %d bytes, %v", len(text), err)
	}
}
