package atlassiantest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// base is the clock of most tests here.
var base = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func newServer(t *testing.T) *atlassiantest.Server {
	t.Helper()
	return atlassiantest.New(atlassiantest.Options{Seed: 7, Now: func() time.Time { return base.Add(time.Hour) }})
}

// answer is what a test looks at in a response.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// list decodes the records of either product.
func (a answer) list(t *testing.T) []json.RawMessage {
	t.Helper()
	var in struct{ Records, Results []json.RawMessage }
	if err := json.Unmarshal(a.body, &in); err != nil {
		t.Fatalf("the answer is not JSON: %v\n%.300s", err, a.body)
	}
	return append(in.Records, in.Results...)
}

func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var in map[string]any
	if err := json.Unmarshal(a.body, &in); err != nil {
		t.Fatalf("the answer is not a JSON object: %v\n%.300s", err, a.body)
	}
	return in
}

const (
	site          = "https://example.atlassian.net"
	gateway       = "https://api.atlassian.com"
	jiraPath      = "/rest/api/3/auditing/record"
	wikiPath      = "/wiki/rest/api/audit"
	siteJira      = site + jiraPath
	siteWiki      = site + wikiPath
	gatewayJira   = gateway + "/ex/jira/" + atlassiantest.DefaultCloudID + jiraPath
	gatewayWiki   = gateway + "/ex/confluence/" + atlassiantest.DefaultCloudID + wikiPath
	tokenEndpoint = "https://auth.atlassian.com/oauth/token"
)

// ask sends a GET with the credential that suits the host.
func ask(t *testing.T, s *atlassiantest.Server, rawURL string, query ...string) answer {
	t.Helper()
	req := request(t, rawURL, query...)
	token := atlassiantest.DefaultClassicToken
	if req.URL.Host == "api.atlassian.com" {
		token = atlassiantest.DefaultScopedToken
	}
	req.SetBasicAuth(atlassiantest.DefaultEmail, token)
	return send(t, s, req)
}

func request(t *testing.T, rawURL string, query ...string) *http.Request {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	v := u.Query()
	for i := 0; i < len(query); i += 2 {
		v.Set(query[i], query[i+1])
	}
	u.RawQuery = v.Encode()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func send(t *testing.T, s *atlassiantest.Server, req *http.Request) answer {
	t.Helper()
	c := http.Client{
		Transport:     s.Transport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return receive(c.Do, req)
}

// receive sends a request by way of do and reads what comes.
func receive(do func(*http.Request) (*http.Response, error), req *http.Request) answer {
	res, err := do(req)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, body, err}
}

func TestAWalkByOffsetReadsEveryRecordOnce(t *testing.T) {
	t.Parallel()
	for product, rawURL := range map[string]string{atlassiantest.Jira: gatewayJira, atlassiantest.Confluence: gatewayWiki} {
		s := newServer(t)
		c := atlassiantest.NewCorpus(3)
		var recs []atlassiantest.Record
		for i := range 2345 {
			recs = append(recs, c.Record(product, base.Add(time.Duration(i*i%7919)*time.Millisecond)))
		}
		s.Add(product, recs...)
		seen := map[string]int{}
		offset := map[string]string{atlassiantest.Jira: "offset", atlassiantest.Confluence: "start"}[product]
		for n := 0; ; {
			list := ask(t, s, rawURL, offset, itoa(n)).list(t)
			if len(list) == 0 {
				break
			}
			n += len(list)
			for _, raw := range list {
				seen[string(raw)]++
			}
		}
		for _, r := range s.Records(product) {
			if seen[string(r.Raw)] != 1 || r.Served != 1 {
				t.Errorf("%s record %d was read %d times and counted as served %d times", product, r.Seq, seen[string(r.Raw)], r.Served)
			}
		}
		if len(seen) != 2345 {
			t.Errorf("%s: %d different records read, want 2345", product, len(seen))
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// array decodes a list of objects.
func (a answer) array(t *testing.T) (out []map[string]any) {
	t.Helper()
	if err := json.Unmarshal(a.body, &out); err != nil {
		t.Fatalf("the answer is no list: %v\n%.300s", err, a.body)
	}
	return out
}
