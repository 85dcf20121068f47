package kube

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"atlassian_audit_records/pkg/shared"
)

// answers is an API server that answers what it is told, and takes whatever is
// written: then it answers with that, under a version of its own.
type answers struct {
	code           int
	date           string
	lease, index   []byte
	asked, written int
}

func (a *answers) RoundTrip(q *http.Request) (*http.Response, error) {
	a.asked++
	code, body := a.code, a.index
	if strings.Contains(q.URL.Path, "/leases") {
		body = a.lease
	}
	if q.Method != http.MethodGet {
		a.written++
		code = http.StatusOK
		text, err := io.ReadAll(q.Body)
		if err != nil {
			return nil, err
		}
		var o map[string]any
		if err := json.Unmarshal(text, &o); err != nil {
			return nil, err
		}
		if meta, ok := o["metadata"].(map[string]any); ok {
			meta["resourceVersion"], meta["uid"] = strconv.Itoa(a.asked), "written"
		}
		if body, err = json.Marshal(o); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: code, Status: strconv.Itoa(code), Request: q, Body: io.NopCloser(bytes.NewReader(body)),
		Header: http.Header{"Content-Type": {"application/json"}, "Date": {a.date}}}, nil
}

// FuzzAnswers: whatever the API server says of a Lease and of an index, a machine asks
// a bounded number of times, what it may not do says why, and it holds the lease only
// where it wrote so.
func FuzzAnswers(f *testing.F) {
	const lease = `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"l","uid":"u","resourceVersion":"5","annotations":{"atlassian-audit-records/place":"sites/example.atlassian.net"}},` +
		`"spec":{"holderIdentity":"web-1_1","leaseDurationSeconds":180,"acquireTime":"2026-11-23T12:00:00.000000Z","renewTime":"2026-11-23T12:00:00.000000Z","leaseTransitions":4}}`
	const index = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"l","uid":"i","resourceVersion":"7"},` +
		`"data":{"index":"{\"version\":1,\"place\":\"sites/example.atlassian.net\",\"id\":\"1f3a9c22\",\"term\":4,\"lease\":\"u\",\"values\":{\"jira/head\":1},\"next\":2}"}}`
	const date, later = "Mon, 23 Nov 2026 12:00:00 GMT", "Mon, 23 Nov 2026 13:00:00 GMT"
	f.Add(200, date, []byte(lease), []byte(index), []byte(nil))
	f.Add(200, later, []byte(lease), []byte(index), []byte(nil))
	f.Add(200, later, []byte(lease), []byte(index), []byte(`{"uid":"u","version":"5","seen":1795435200000,"date":1795435200}`))
	f.Add(200, later, []byte(strings.Replace(lease, "web-1_1", "web-2_2", 1)), []byte(index), []byte(nil))
	f.Add(200, later, []byte(strings.Replace(lease, `Transitions":4`, `Transitions":2147483647`, 1)), []byte(index), []byte(nil))
	f.Add(200, later, []byte(lease), []byte(strings.Replace(index, `"term\":4`, `"term\":2147483647`, 1)), []byte(nil))
	f.Add(200, later, []byte(lease), []byte(strings.Replace(index, `"next\":2`, `"next\":18446744073709551615`, 1)), []byte(nil))
	f.Add(403, "", []byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`), []byte(`{}`), []byte(`{`))
	f.Add(404, "now", []byte(`{"kind":"Status"`), []byte(`{}`), []byte(nil))
	f.Fuzz(func(t *testing.T, code int, date string, lease, index, memory []byte) {
		if code < 200 || code > 599 || code == http.StatusTooManyRequests || strings.ContainsAny(date, "\r\n") {
			return // no answer, or one that the client's own library asks again for after a pause
		}
		a := &answers{code: code, date: date, lease: lease, index: index}
		s, err := open(config("fleet"), &rest.Config{Host: "https://api.example.com", Transport: a}, func() time.Time { return time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC) })
		if err != nil {
			t.Fatal(err)
		}
		said := func(doing string, err error) {
			t.Helper()
			if err != nil && shared.KindOf(err) == "" {
				t.Errorf("%s: %v is of no kind", doing, err)
			}
			if a.asked > 100 {
				t.Errorf("%s took %d requests", doing, a.asked)
			}
			a.asked = 0
		}
		c := claim("web-2")
		c.Key, c.Memory = "sites/example.atlassian.net/lease", memory
		g, err := s.Hold(t.Context(), c)
		said("Hold", err)
		if g.Held && (a.written == 0 || g.Fence == "" || !g.Holder.Same(c.Holder)) {
			t.Errorf("%+v, and %d requests wrote anything", g, a.written)
		}
		_, err = s.Read(t.Context(), []string{"sites/example.atlassian.net/jira/head"})
		said("Read", err)
		g = shared.Grant{Held: true, Key: c.Key, Fence: "4:u"}
		said("Write", s.Write(t.Context(), g, shared.Write{Last: []shared.Value{{Key: "sites/example.atlassian.net/jira/head", Bytes: []byte("x")}}}))
		said("Release", s.Release(t.Context(), c, g))
	})
}
