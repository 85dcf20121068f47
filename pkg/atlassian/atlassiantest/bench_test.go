package atlassiantest_test

import (
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// BenchmarkDownload reads 500,000 records page by page over a loopback socket
// and throws them away: what any collector's throughput is compared with.
// held-MB is the heap that the server needs to hold them.
func BenchmarkDownload(b *testing.B) {
	const records = 500_000
	s := atlassiantest.New(atlassiantest.Options{})
	s.Fill(records, 30*24*time.Hour, atlassiantest.Jira)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	origin, shut, err := s.Listen("")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = shut() }()
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	var read int64
	for b.Loop() {
		for n := 0; n < records; n += 1000 {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, origin+jiraPath+"?offset="+itoa(n), nil)
			if err != nil {
				b.Fatal(err)
			}
			req.SetBasicAuth(atlassiantest.DefaultEmail, atlassiantest.DefaultClassicToken)
			res, err := tr.RoundTrip(req)
			if err != nil {
				b.Fatal(err)
			}
			k, err := io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if err != nil || res.StatusCode != http.StatusOK {
				b.Fatalf("status %d, error %v", res.StatusCode, err)
			}
			read += k
		}
	}
	b.SetBytes(read / int64(b.N))
	b.ReportMetric(float64(m.HeapAlloc)/1e6, "held-MB")
}
