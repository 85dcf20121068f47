package atlassian_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/auth"
)

// organizationSource asks the simulated organisation's log.
func organizationSource(t testing.TB, transport http.RoundTripper) *atlassian.Source {
	t.Helper()
	key, err := auth.NewOrganizationKey(atlassiantest.DefaultOrganizationKey, parse(t, gatewayURL))
	if err != nil {
		t.Fatal(err)
	}
	c, err := atlassian.New(atlassian.Options{
		Organization: atlassiantest.DefaultOrganizationID, Transport: transport, Credential: key, Now: time.Now, RequestsPerSecond: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c.Source(audit.Organization, "", "")
}

func TestAnOrganisationsLogIsReadByCursors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := atlassiantest.New(atlassiantest.Options{Seed: 1})
		server.Fill(25, time.Hour, atlassiantest.Organization)
		s := organizationSource(t, server.Transport())
		from := time.Now().Add(-time.Hour).UnixMilli()
		q := audit.Query{From: from, Limit: 10}
		var got []audit.Record
		for {
			page, err := s.Page(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page.Records...)
			if q.Cursor = page.Next; page.Next == "" {
				break
			}
		}
		stored := server.Records(atlassiantest.Organization)
		if len(got) != 25 {
			t.Fatalf("%d events, want 25", len(got))
		}
		for i, r := range got {
			want := stored[i]
			if string(r.Raw) != string(want.Raw) || r.Millis != want.Created.UnixMilli() || !r.Dated || r.Processed != want.Processed.UnixMilli() || !r.IsProcessed || r.ID == "" {
				t.Errorf("event %d is %+v, want %+v", i, r, want)
			}
		}
		// The bounds travel with each cursor, since it does not carry them.
		for i, r := range server.Requests() {
			v, err := url.ParseQuery(r.RawQuery)
			if err != nil {
				t.Fatal(err)
			}
			if v.Get("from") == "" || v.Get("sortOrder") != "asc" || (v.Get("cursor") != "") != (i > 0) {
				t.Errorf("request %d asks %s", i, r.RawQuery)
			}
		}
		newest, err := s.Page(t.Context(), audit.Query{Limit: 1, Newest: true})
		if err != nil || len(newest.Records) != 1 || newest.Records[0].ID != got[24].ID {
			t.Errorf("the newest is %+v, %v", newest.Records, err)
		}
	})
}

func TestWhatAnOrganisationsAnswerMeans(t *testing.T) {
	t.Parallel()
	const event = `{"id":"e1","type":"events","attributes":{"time":"2026-05-19T10:00:00.000Z","processedAt":"2026-05-19T10:00:01.000Z"}}`
	type want struct {
		Records int
		Next    string
		Code    string
		Cursor  bool
	}
	for name, row := range map[string]struct {
		status int
		body   string
		cursor string
		want   want
	}{
		"the last page names no next one":            {200, `{"data":[` + event + `],"meta":{"next":null,"page_size":200},"links":{}}`, "", want{Records: 1}},
		"a page names the next one":                  {200, `{"data":[` + event + `],"meta":{"next":"abc"},"links":{"next":"https://api.atlassian.com/x?cursor=other"}}`, "", want{Records: 1, Next: "abc"}},
		"the next one is named in a link alone":      {200, `{"data":[],"links":{"next":"https://elsewhere.example.com/x?cursor=a%2Fb&limit=3"}}`, "", want{Next: "a/b"}},
		"meta is null":                               {200, `{"meta":null,"links":null,"data":[` + event + `]}`, "", want{Records: 1}},
		"an event is null":                           {200, `{"data":[null,` + event + `],"meta":{}}`, "", want{Records: 2}},
		"attributes are no object":                   {200, `{"data":[{"id":"e2","attributes":7}]}`, "", want{Records: 1}},
		"there is no list":                           {200, `{"meta":{"next":null}}`, "", want{Code: atlassian.CodeInvalidAnswer}},
		"the list is null":                           {200, `{"data":null}`, "", want{Code: atlassian.CodeInvalidAnswer}},
		"there are two lists":                        {200, `{"data":[],"data":[]}`, "", want{Code: atlassian.CodeInvalidAnswer}},
		"the JSON is cut short":                      {200, `{"data":[` + event, "", want{Code: atlassian.CodeInvalidAnswer}},
		"the answer is a list":                       {200, `[]`, "", want{Code: atlassian.CodeInvalidAnswer}},
		"the cursor is longer than is kept":          {200, `{"data":[],"meta":{"next":"` + strings.Repeat("x", 20_000) + `"}}`, "", want{Code: atlassian.CodeInvalidAnswer}},
		"a cursor is refused with 400":               {400, `{"errors":[{"title":"Bad Request"}]}`, "abc", want{Code: atlassian.CodeBadRequest, Cursor: true}},
		"a cursor is refused with 410":               {410, `{}`, "abc", want{Code: atlassian.CodeNotFound, Cursor: true}},
		"a question without a cursor is refused":     {400, `{}`, "", want{Code: atlassian.CodeBadRequest}},
		"a cursor does not excuse a key that is bad": {401, `{}`, "abc", want{Code: atlassian.CodeUnauthorized}},
		"an organisation that the key does not know": {404, `{}`, "", want{Code: atlassian.CodeNotFound}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := atlassiantest.New(atlassiantest.Options{Seed: 1})
				server.Fault(atlassiantest.Fault{Action: atlassiantest.Answer(row.status, row.body)})
				page, err := organizationSource(t, server.Transport()).Page(t.Context(), audit.Query{From: 1, Cursor: row.cursor})
				got := want{Records: len(page.Records), Next: page.Next}
				var e *atlassian.Error
				if errors.As(err, &e) {
					got.Code, got.Cursor = e.Code, e.CursorRefused()
				}
				if diff := cmp.Diff(row.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s\n%v", diff, err)
				}
			})
		})
	}
}

func TestAnOrganisationsKeyGoesToTheGatewayAlone(t *testing.T) {
	t.Parallel()
	key, err := auth.NewOrganizationKey("the-key", parse(t, gatewayURL))
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	transport := key.RoundTripper(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		sent++
		if got := r.Header.Get("Authorization"); got != "Bearer the-key" {
			t.Errorf("the header is %q", got)
		}
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}))
	for _, to := range []string{gatewayURL + "/admin/v1/orgs/x", siteURL, "https://api.atlassian.com.example.com/", "http://api.atlassian.com/"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if resp != nil {
			_ = resp.Body.Close()
		}
		if (err == nil) != strings.HasPrefix(to, gatewayURL+"/") {
			t.Errorf("%s: %v", to, err)
		}
	}
	if sent != 1 {
		t.Errorf("%d requests were sent", sent)
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
