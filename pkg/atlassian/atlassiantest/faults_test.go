package atlassiantest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

type fault = atlassiantest.Fault

func TestFaultsChooseTheirRequests(t *testing.T) {
	t.Parallel()
	broken := atlassiantest.ServerError(500)
	for _, c := range []struct {
		sentence string
		fault    fault
		jira     string // one letter for each of ten requests: x where it went wrong
		wiki     string
	}{
		{"no condition strikes all", fault{}, "xxxxxxxxxx", "xxxxxxxxxx"},
		{"a product strikes that product", fault{Product: atlassiantest.Jira}, "xxxxxxxxxx", ".........."},
		{"a route strikes that route", fault{Route: atlassiantest.RouteGateway}, "xxxxxxxxxx", ".........."},
		{"nth strikes once", fault{Product: atlassiantest.Jira, Nth: 3}, "..x.......", ".........."},
		{"every strikes now and then", fault{Product: atlassiantest.Confluence, Every: 4}, "..........", "...x...x.."},
		{"after spares the first ones", fault{Product: atlassiantest.Jira, After: 7}, ".......xxx", ".........."},
		{"times ends the fault", fault{Product: atlassiantest.Jira, Times: 2}, "xx........", ".........."},
		{"after and nth count together", fault{Product: atlassiantest.Jira, After: 2, Nth: 2}, "...x......", ".........."},
		{"another kind is spared", fault{Kind: atlassiantest.KindToken}, "..........", ".........."},
		{"any kind strikes all", fault{Kind: atlassiantest.AnyKind}, "xxxxxxxxxx", "xxxxxxxxxx"},
		{"a match decides by anything", fault{Match: func(i atlassiantest.RequestInfo) bool { return strings.Contains(i.RawQuery, "offset=5") }}, ".....x....", ".........."},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			s := fiveRecords(t)
			f := c.fault
			f.Action = broken
			armed := s.Fault(f)
			var jira, wiki strings.Builder
			letter := func(a answer) string {
				return map[int]string{200: ".", 500: "x"}[a.status]
			}
			for i := range 10 {
				jira.WriteString(letter(ask(t, s, gatewayJira, "offset", itoa(i))))
				wiki.WriteString(letter(ask(t, s, siteWiki)))
			}
			if jira.String() != c.jira || wiki.String() != c.wiki {
				t.Errorf("Jira %s, Confluence %s; want %s, %s", jira.String(), wiki.String(), c.jira, c.wiki)
			}
			if got, want := armed.Fired(), strings.Count(c.jira+c.wiki, "x"); got != want {
				t.Errorf("fired %d times, want %d", got, want)
			}
			armed.Disarm()
			if a := ask(t, s, gatewayJira); a.status != 200 {
				t.Errorf("a disarmed fault struck")
			}
		})
	}
}

func TestProbabilityFollowsTheSeed(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) (out string) {
		s := atlassiantest.New(atlassiantest.Options{Seed: seed})
		s.Fault(fault{Probability: 0.3, Action: atlassiantest.ServerError(502)})
		for range 100 {
			out += itoa(ask(t, s, siteJira).status / 100)
		}
		return out
	}
	a, b, c := run(1), run(1), run(2)
	if n := strings.Count(a, "5"); n < 15 || n > 45 {
		t.Errorf("%d of 100 requests were struck at 0.3", n)
	}
	if a != b || a == c {
		t.Errorf("the same seed made %s and %s, another %s", a, b, c)
	}
}

// TestStatuses covers the faults that answer something else. The server's clock
// stands at 06:06:07.
func TestFaultsAnswerSomethingElse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sentence string
		action   atlassiantest.Action
		status   int
		header   map[string]string
		body     string
	}{
		{"429 in seconds", atlassiantest.RateLimit(90*time.Second, atlassiantest.RetrySeconds), 429,
			map[string]string{"Retry-After": "90", "RateLimit-Reason": "jira-quota-tenant-based", "X-RateLimit-Reset": "2026-03-04T06:08Z"}, "Rate limit"},
		{"429 until a date", atlassiantest.RateLimit(90*time.Second, atlassiantest.RetryDate), 429,
			map[string]string{"Retry-After": "Wed, 04 Mar 2026 06:07:37 GMT"}, ""},
		{"429 under the other name", atlassiantest.RateLimit(5*time.Second, atlassiantest.RetryXHeader), 429,
			map[string]string{"Retry-After": "", "X-Retry-After": "5"}, ""},
		{"429 with a reset alone", atlassiantest.RateLimit(5*time.Second, atlassiantest.RetryReset), 429,
			map[string]string{"Retry-After": "", "RateLimit-Reason": "", "X-RateLimit-Reset": "2026-03-04T06:07Z"}, ""},
		{"429 without a word", atlassiantest.RateLimit(5*time.Second, atlassiantest.RetryUnsaid), 429,
			map[string]string{"Retry-After": "", "X-RateLimit-Reset": ""}, ""},
		{"503 in seconds", atlassiantest.Unavailable(1500*time.Millisecond, atlassiantest.RetrySeconds), 503,
			map[string]string{"Retry-After": "2"}, ""},
		{"502", atlassiantest.ServerError(502), 502, nil, "Bad Gateway"},
		{"anything", atlassiantest.Answer(418, "short", "X-Kind", "pot", "Content-Type", "text/plain"), 418,
			map[string]string{"X-Kind": "pot", "Content-Type": "text/plain"}, "short"},
		{"a redirect elsewhere", atlassiantest.Redirect("https://elsewhere.example.com/x"), 302,
			map[string]string{"Location": "https://elsewhere.example.com/x"}, ""},
		{"a redirect to the login page", atlassiantest.LoginRedirect(), 302,
			map[string]string{"Location": "/login?continue=%2F"}, ""},
		{"the login page", atlassiantest.LoginPage(), 200,
			map[string]string{"Content-Type": "text/html;charset=UTF-8"}, "<form"},
		{"nothing", atlassiantest.EmptyBody(), 200, map[string]string{"Content-Length": "0"}, ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			s := fiveRecords(t)
			s.Fault(fault{Action: c.action})
			a := ask(t, s, gatewayJira)
			if a.status != c.status || !strings.Contains(string(a.body), c.body) {
				t.Errorf("answered %d %s", a.status, a.body)
			}
			for k, want := range c.header {
				if got := a.header.Get(k); got != want {
					t.Errorf("%s: %q, want %q", k, got, want)
				}
			}
			if n := len(s.Served(atlassiantest.Jira)); n != 0 {
				t.Errorf("%d records count as served", n)
			}
		})
	}
	if a := send(t, newServer(t), request(t, site+"/login")); a.status != 200 || !strings.Contains(string(a.body), "<form") {
		t.Errorf("the login page is %d %s", a.status, a.body)
	}
}

func TestFaultsSpoilTheList(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sentence string
		action   atlassiantest.Action
		valid    bool   // the body is JSON
		list     string // JSON kind of the list: a list's length, or what it is
		served   int    // records that count as served
	}{
		{"an empty list", atlassiantest.EmptyList(), true, "0", 0},
		{"broken JSON", atlassiantest.MalformedJSON(), false, "", 0},
		{"no list", atlassiantest.MissingList(), true, "missing", 0},
		{"an object for a list", atlassiantest.ListInstead(`{"a":1}`), true, "object", 0},
		{"null for a list", atlassiantest.ListInstead(`null`), true, "null", 0},
		{"a record that is null", atlassiantest.NullRecord(1), true, "5", 4},
		{"a record that is a number", atlassiantest.NumberRecord(-1), true, "5", 4},
		{"a record without a date", atlassiantest.Together(atlassiantest.DropField(0, "created"), atlassiantest.DropField(0, "creationDate")), true, "5", 4},
		{"a record with an unreadable date", atlassiantest.Together(atlassiantest.SetField(2, "created", `"soon"`), atlassiantest.SetField(2, "creationDate", `"soon"`)), true, "5", 4},
		{"two spoiled records", atlassiantest.Together(atlassiantest.NullRecord(0), atlassiantest.NullRecord(4)), true, "5", 3},
		{"a huge body", atlassiantest.Huge(200_000), true, "5", 5},
		{"a body broken off unsaid", atlassiantest.TruncateQuietly(0.6), false, "", 0},
	} {
		for product, rawURL := range map[string]string{atlassiantest.Jira: siteJira, atlassiantest.Confluence: siteWiki} {
			t.Run(c.sentence+" of "+product, func(t *testing.T) {
				t.Parallel()
				s := fiveRecords(t)
				s.Fault(fault{Action: c.action})
				a := ask(t, s, rawURL)
				if a.err != nil || a.status != 200 {
					t.Fatalf("status %d, error %v", a.status, a.err)
				}
				if got := json.Valid(a.body); got != c.valid {
					t.Errorf("the body is JSON: %v, want %v: %s", got, c.valid, a.body)
				}
				if c.valid {
					if got := listKind(a.object(t), product); got != c.list {
						t.Errorf("the list is %s, want %s: %.300s", got, c.list, a.body)
					}
				}
				if got := len(s.Served(product)); got != c.served {
					t.Errorf("%d records count as served, want %d", got, c.served)
				}
				if c.sentence == "a huge body" && len(a.body) < 200_000 {
					t.Errorf("a huge body has %d bytes", len(a.body))
				}
			})
		}
	}
}

func listKind(object map[string]any, product string) string {
	v, ok := object[map[string]string{atlassiantest.Jira: "records", atlassiantest.Confluence: "results"}[product]]
	switch v := v.(type) {
	case []any:
		return itoa(len(v))
	case map[string]any:
		return "object"
	}
	if ok {
		return "null"
	}
	return "missing"
}

func TestASpoiledRecordIsSpoiledAlone(t *testing.T) {
	t.Parallel()
	s := fiveRecords(t)
	plain := ask(t, s, siteJira).list(t)
	s.Fault(fault{Action: atlassiantest.SetField(1, "id", `"text"`)})
	spoiled := ask(t, s, siteJira).list(t)
	for i := range plain {
		same := bytes.Equal(plain[i], spoiled[i])
		if same == (i == 1) {
			t.Errorf("record %d: %s became %s", i, plain[i], spoiled[i])
		}
	}
	if !strings.HasPrefix(string(spoiled[1]), `{"id":"text","summary":"d"`) {
		t.Errorf("the spoiled record is %s", spoiled[1])
	}
}

func TestAPageMayRepeat(t *testing.T) {
	t.Parallel()
	s := fiveRecords(t)
	first := ask(t, s, siteWiki, "limit", "2")
	s.Fault(fault{Action: atlassiantest.RepeatPage()})
	second := ask(t, s, siteWiki, "limit", "2", "start", "2")
	if !bytes.Equal(first.body, second.body) {
		t.Errorf("answered %s, then %s", first.body, second.body)
	}
}

func TestLinksMayPointElsewhere(t *testing.T) {
	t.Parallel()
	s := fiveRecords(t)
	s.Fault(fault{Action: atlassiantest.Together(
		atlassiantest.NextLink("https://elsewhere.example.com/next"), atlassiantest.BaseLink("https://elsewhere.example.com"))})
	links := ask(t, s, gatewayWiki).object(t)["_links"].(map[string]any)
	if links["next"] != "https://elsewhere.example.com/next" || links["base"] != "https://elsewhere.example.com" {
		t.Errorf("the links are %v", links)
	}
}

func TestHooksRunBetweenPages(t *testing.T) {
	t.Parallel()
	s := fiveRecords(t)
	s.OnRequest(func(i atlassiantest.RequestInfo) {
		switch i.N {
		case 2:
			s.Add(atlassiantest.Jira, marked("f", base.Add(4*time.Second)))
		case 3:
			s.Purge(atlassiantest.Jira, base.Add(time.Second))
		}
	})
	var got []string
	for n := range 4 {
		got = append(got, ask(t, s, siteJira, "limit", "2", "offset", itoa(2*n)).keys(t))
	}
	if diff := cmp.Diff([]string{"e d", "d c", "b", ""}, got); diff != "" {
		t.Error(diff)
	}
}

func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sentence string
		action   atlassiantest.Action
		is       error
		header   bool // an answer was begun
	}{
		{"a reset", atlassiantest.Reset(), syscall.ECONNRESET, false},
		{"a close", atlassiantest.Close(), io.EOF, false},
		{"a body cut short", atlassiantest.Truncate(0.5), io.ErrUnexpectedEOF, true},
		{"a body that never begins", atlassiantest.Truncate(0), io.ErrUnexpectedEOF, true},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			s := fiveRecords(t)
			base, shut, err := s.Listen("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = shut() }()
			s.Fault(fault{Action: c.action})
			check := func(how string, a answer) {
				t.Helper()
				if !errors.Is(a.err, c.is) || (a.status == 200) != c.header {
					t.Errorf("%s: status %d, error %v; want %v", how, a.status, a.err, c.is)
				}
			}
			check("without sockets", ask(t, s, siteJira))
			req := request(t, base+jiraPath)
			req.SetBasicAuth(atlassiantest.DefaultEmail, atlassiantest.DefaultClassicToken)
			fresh := &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext}
			check("over a socket", receive(fresh.RoundTrip, req))
			if n := len(s.Served(atlassiantest.Jira)); n != 0 {
				t.Errorf("%d records count as served", n)
			}
		})
	}
}
