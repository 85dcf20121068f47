package atlassian

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"atlassian_audit_records/pkg/audit"
)

// FuzzAnswer gives every question an answer of anything: what comes back is
// data, or an *Error that a person can be shown, and it comes in bounded time.
func FuzzAnswer(f *testing.F) {
	f.Add(uint16(200), "Content-Type: application/json", `{"records":[`+jiraRecord+`]}`)
	f.Add(uint16(200), "Content-Type: text/html", "<html>log in</html>")
	f.Add(uint16(200), "", `{"entities":[{"timestamp":"2026-11-23T10:00:00Z"}],"pagingInfo":{"lastPage":false,"nextPageLink":"https://x/?pageCursor=1,2"}}`)
	f.Add(uint16(200), "", `{"cloudId":"C10DC10D-0000-4000-8000-00000000C10D"}`)
	f.Add(uint16(200), "", `{"values":[{"accountId":"a","displayName":"A"}]}`)
	f.Add(uint16(200), "", `[{"id":"c","url":"https://x","scopes":["a","a"]}]`)
	f.Add(uint16(200), "", `{"typeId":"jira","version":"9.12.0"}`)
	f.Add(uint16(200), "", `{"permissions":{"ADMINISTER":{"havePermission":true}}}`)
	f.Add(uint16(200), "", `{"data":[{"id":"e","attributes":{"time":"2026-05-19T10:00:00.000Z"}}],"meta":{"next":"x"}}`)
	f.Add(uint16(302), "Location: https://id.atlassian.com/login?token=1", "")
	f.Add(uint16(301), "Location: ://", "")
	f.Add(uint16(401), "X-Failure-Category: FAILURE_CLIENT_SCOPE_CHECK", `{"code":401,"message":"scope does not match"}`)
	f.Add(uint16(403), "X-Seraph-LoginReason: AUTHENTICATION_DENIED", "")
	f.Add(uint16(403), "", `{"errorMessages":["not permitted to use", "\u0000\n"],"errors":[{"detail":"no"}]}`)
	f.Add(uint16(429), "Retry-After: Mon, 23 Nov 2026 12:05:00 GMT\nRateLimit-Reason: jira-quota-based", "")
	f.Add(uint16(503), "X-RateLimit-Reset: 99999999999999999999\nDate: yesterday", "busy")
	f.Add(uint16(418), "", "\xff\xfe")
	f.Fuzz(func(t *testing.T, status uint16, headers, body string) {
		status = 200 + status%400
		synctest.Test(t, func(t *testing.T) {
			c := newTestClient(t, func(r *http.Request) (*http.Response, error) {
				h := http.Header{}
				for line := range strings.Lines(headers) {
					if name, value, ok := strings.Cut(line, ":"); ok {
						h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
					}
				}
				resp := reply(int(status), body)
				resp.Header, resp.Request = h, r
				return resp, nil
			})
			for name, ask := range questions(c) {
				started := time.Now()
				err := ask(t)
				if took := time.Since(started); took > time.Minute {
					t.Errorf("%s took %s", name, took)
				}
				var e *Error
				switch {
				case err == nil && status != 200:
					t.Errorf("%s: status %d is taken for data", name, status)
				case err == nil:
				case !errors.As(err, &e):
					t.Errorf("%s: %T is no *Error: %v", name, err, err)
				default:
					checkSentence(t, name, err.Error())
					if until, ok := e.WaitUntil(); ok && time.Until(until) > maxWait {
						t.Errorf("%s waits until %s", name, until)
					}
				}
			}
		})
	})
}

// questions are all that can be asked.
func questions(c *Client) map[string]func(*testing.T) error {
	return map[string]func(*testing.T) error{
		"jira": func(t *testing.T) error {
			_, err := c.Source(audit.Jira, "", "").Page(t.Context(), anyQuery)
			return err
		},
		"confluence": func(t *testing.T) error {
			_, err := c.Source(audit.Confluence, "", "").Page(t.Context(), anyQuery)
			return err
		},
		"data center": func(t *testing.T) error {
			_, err := c.DataCenter(DataCenterOptions{Product: audit.Confluence}).Page(t.Context(), anyQuery)
			return err
		},
		"people": func(t *testing.T) error {
			people, err := c.Source(audit.Jira, "", "").Users(t.Context(), []string{"a"})
			if _, nobody := people[""]; nobody {
				t.Error("somebody has no account id")
			}
			return err
		},
		"cloudId": func(t *testing.T) error {
			id, err := c.CloudID(t.Context())
			if err == nil && (!isUUID(id) || id != strings.ToLower(id)) {
				t.Errorf("the cloudId %q", id)
			}
			return err
		},
		"sites": func(t *testing.T) error {
			sites, err := c.Resources(t.Context())
			for _, s := range sites {
				checkSentence(t, "a site", s.URL+" "+strings.Join(s.Scopes, " "))
				if n := len(slices.Compact(slices.Sorted(slices.Values(s.Scopes)))); n != len(s.Scopes) {
					t.Errorf("scopes come twice: %q", s.Scopes)
				}
			}
			return err
		},
		"permission": func(t *testing.T) error {
			_, err := c.AdministersJira(t.Context(), "", "")
			return err
		},
	}
}

// checkSentence: what a person is shown is text of one line.
func checkSentence(t *testing.T, name, s string) {
	t.Helper()
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) || len(s) > 4<<10 {
		t.Errorf("%s: this is no sentence: %q", name, s)
	}
}

// FuzzDetect: whatever answers at an address is a product with an address of
// its own on the same host, or an *Error.
func FuzzDetect(f *testing.F) {
	f.Add("/jira/secure/Dashboard.jspa", `{"typeId":"jira","version":"9.12.0"}`)
	f.Add("/", `{"cloudId":"c10dc10d-0000-4000-8000-00000000c10d"}`)
	f.Add("/a//b/", `{"baseUrl":"https://elsewhere","version":"8","deploymentType":"Server"}`)
	f.Fuzz(func(t *testing.T, path, body string) {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			at := &url.URL{Scheme: "https", Host: "jira.example.com", Path: "/" + strings.TrimLeft(path, "/")}
			var answer roundTripper = func(r *http.Request) (*http.Response, error) {
				if asked++; r.URL.Host != at.Host {
					t.Errorf("%s was asked", r.URL.Host)
				}
				resp := reply(200, body)
				resp.Request = r
				return resp, nil
			}
			found, err := Detect(t.Context(), at, Options{Transport: answer, Rand: func() float64 { return 1 }, RequestsPerSecond: -1, Now: time.Now})
			var e *Error
			switch {
			case err != nil && !errors.As(err, &e):
				t.Errorf("%T is no *Error: %v", err, err)
			case err != nil:
				checkSentence(t, "the error", err.Error())
			case found.Base.Host != at.Host || !strings.HasPrefix(at.Path+"/", found.Base.Path) || found.Cloud() == (found.Product != ""):
				t.Errorf("%+v was found at %s", found, at)
			}
			if limit := 10 + 6*strings.Count(at.Path, "/"); asked > limit {
				t.Errorf("%d questions for a path of %d parts", asked, strings.Count(at.Path, "/"))
			}
		})
	})
}

// FuzzLayouts reads any bytes as the pages of every kind of source: an error, or
// records whose bytes stand in the answer, that can be told from each other
// again, and whose attributes are what a line can carry.
func FuzzLayouts(f *testing.F) {
	f.Add([]byte(`{"records":[` + jiraRecord + `]}`))
	f.Add([]byte(`{"results":[` + confluenceRecord + `]}`))
	f.Add([]byte(`{"entities":[` + strings.TrimSpace(event("a", 0)) + `,{"timestamp":{"epochSecond":1,"nano":999999999}}],"pagingInfo":{"nextPageCursor":"1,2","lastPage":false}}`))
	f.Add([]byte(`{"entities":[{"affectedObjects":[{"name":{}},null],"changedValues":[{"key":[],"from":1,"to":"\ud800"}]}],"pagingInfo":{"nextPageLink":"%zz?pageCursor=%"}}`))
	f.Add([]byte(`{"entities":[],"pagingInfo":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		nextCursor(body) // of any bytes it is text, or nothing
		for name, l := range map[string]layout{"jira": jira().layout, "confluence": confluence().layout, "data center": entityLayout()} {
			lastDate(body, l) // of any bytes it is a moment, or none
			records, _, err := decodePage(body, l, 4)
			if err != nil && len(records) > 0 {
				t.Fatalf("%s: an error came with records", name)
			}
			again, _, _ := decodePage(slices.Clone(body), l, 4)
			for i, r := range records {
				if !json.Valid(r.Raw) || !strings.Contains(string(body), string(r.Raw)) {
					t.Fatalf("%s: the record %q does not stand in the answer", name, r.Raw)
				}
				if r.Keys != again[i].Keys || r.ID != again[i].ID || r.Millis != again[i].Millis {
					t.Fatalf("%s: the same bytes are two records: %+v, %+v", name, r, again[i])
				}
				if r.ID == "" && r.Keys.Fingerprint == "" {
					t.Fatalf("%s: the record %q cannot be told from others", name, r.Raw)
				}
			}
		}
	})
}

// FuzzOwn: a record is only taken for a question of ours that has one, is the
// event of a search, and accounts for one question alone.
func FuzzOwn(f *testing.F) {
	for _, r := range []*audit.Record{search("audit", 1000, "5"), searchAt("http://x/?name=audit", "Audit", 1000, "0")} {
		f.Add([]byte(r.Raw))
	}
	f.Add([]byte(`{"timestamp":"1970-01-01T00:00:01Z","type":{"actionI18nKey":"` + searchKey + `"},"author":{"uri":"%zz"},"extraAttributes":[{"nameI18nKey":"` + resultsKey + `","value":{}}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := decodeLine(raw)
		now := func() time.Time { return time.UnixMilli(1000) }
		s := newSearches("audit", nil, now, time.Second)
		if s.own(&r) {
			t.Fatalf("%q is taken for ours where nothing was asked", raw)
		}
		s.sent()
		s.answered(5)
		if s.own(&r) && !strings.Contains(string(raw), searchKey) {
			t.Fatalf("%q is no search", raw)
		}
		other := r
		other.Keys.Fingerprint += "another"
		if s.own(&r) && s.own(&other) {
			t.Fatalf("one question accounts for two events like %q", raw)
		}
	})
}
