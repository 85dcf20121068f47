package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// The measures of docs/performance.md. Each is a ratio of two things measured in
// the same run on the same machine, or a number that depends on no machine.

func (s *subject) instance() map[string]any {
	out := map[string]any{
		"site": s.url, "gateway": s.url, "auth_server": s.url, "skip_proxy": true, "products": []string{"jira"},
		"auth":             map[string]any{"type": "api_token", "email": atlassiantest.DefaultEmail, "api_token": atlassiantest.DefaultClassicToken},
		"initial_lookback": "31d", "min_collection_interval": 60,
	}
	if s.authority != "" {
		out["tls_ca_cert"] = s.authority
	}
	return out
}

func (s *subject) encode(v any) []byte {
	s.b.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		s.b.Fatal(err)
	}
	return out
}

// download reads all pages one after the other and hands each to keep.
func (s *subject) download(keep func(io.Reader) error) time.Duration {
	s.b.Helper()
	t := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.authorities}, ForceAttemptHTTP2: true}
	defer t.CloseIdleConnections()
	began := time.Now()
	for n := 0; n < s.records; n += 1000 {
		req, err := http.NewRequestWithContext(s.b.Context(), http.MethodGet,
			s.url+"/rest/api/3/auditing/record?limit=1000&offset="+strconv.Itoa(n), nil)
		if err != nil {
			s.b.Fatal(err)
		}
		req.SetBasicAuth(atlassiantest.DefaultEmail, atlassiantest.DefaultClassicToken)
		res, err := t.RoundTrip(req)
		if err != nil {
			s.b.Fatal(err)
		}
		err = keep(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			s.b.Fatalf("status %d, error %v", res.StatusCode, err)
		}
	}
	return time.Since(began)
}

// discard throws a page away.
func discard(page io.Reader) error {
	_, err := io.Copy(io.Discard, page)
	return err
}

// inFolder lets f use a folder, and removes it at once: as in a spool that is
// delivered, the system uses its memory for the next one.
func (s *subject) inFolder(f func(folder string)) {
	s.b.Helper()
	folder, err := os.MkdirTemp(s.b.TempDir(), "")
	if err != nil {
		s.b.Fatal(err)
	}
	f(folder)
	if err := os.RemoveAll(folder); err != nil {
		s.b.Fatal(err)
	}
}

// downloadToFile keeps all pages in a file, each of them safe from a crash
// before the next is asked for: the least that any collector does.
func (s *subject) downloadToFile(folder string) time.Duration {
	s.b.Helper()
	f, err := os.Create(filepath.Join(folder, "pages"))
	if err != nil {
		s.b.Fatal(err)
	}
	took := s.download(func(page io.Reader) error {
		if _, err := io.Copy(f, page); err != nil {
			return err
		}
		return f.Sync()
	})
	if err := f.Close(); err != nil {
		s.b.Fatal(err)
	}
	return took
}

// collect runs the check, unthrottled, until it has all records.
func (s *subject) collect(runPath string) (took time.Duration, requests int) {
	s.b.Helper()
	c, err := check.Parse([]byte(`{"spool_max_size": "100GiB"}`), s.encode(s.instance()), check.Env{RunPath: runPath})
	if err != nil {
		s.b.Fatal(err)
	}
	began := time.Now()
	for records := 0; records < s.records; {
		res := check.Run(s.b.Context(), c, check.Options{RequestsPerSecond: -1}, &check.Recorder{})
		if res.Error != "" || len(res.Streams) != 1 || res.Streams[0].Records == 0 {
			s.b.Fatalf("a run after %d records: %+v", records, res)
		}
		records += res.Streams[0].Records
		requests += res.Streams[0].Requests
	}
	return time.Since(began), requests
}

// BenchmarkBackfill compares the collection of a long history with a plain
// sequential download of the same pages from the same server: over TLS and
// compressed, as Atlassian sends them, and as bare bytes over HTTP, which nobody
// is sent but which shows what collecting itself costs.
func BenchmarkBackfill(b *testing.B) {
	for _, bb := range []struct {
		name    string
		records int
		latency time.Duration
		edge    bool
		most    float64 // 0 for what is only told
	}{
		{"500000_records", 500_000, 0, true, 1.6},
		{"500000_records_bare", 500_000, 0, false, 0},
		{"120000_records_at_200ms", 120_000, 200 * time.Millisecond, false, 1.1},
	} {
		b.Run(bb.name, func(b *testing.B) {
			beSmall(os.Getenv)
			s := newSubject(b, siteOptions{Records: bb.records, Latency: bb.latency, Edge: bb.edge})
			if bb.edge {
				// The edge compresses each page once, before anything is measured.
				s.download(discard)
				s.inFolder(func(folder string) { s.collect(folder) })
			}
			var plain, kept, took time.Duration
			requests := 0
			for b.Loop() {
				b.StopTimer()
				plain += s.download(discard)
				if bb.latency == 0 {
					s.inFolder(func(folder string) { kept += s.downloadToFile(folder) })
				}
				b.StartTimer()
				s.inFolder(func(folder string) {
					t, n := s.collect(folder)
					took += t
					requests += n
				})
			}
			ratio := took.Seconds() / plain.Seconds()
			perThousand := float64(requests) / float64(b.N*bb.records) * 1000
			b.ReportMetric(ratio, "x-download")
			b.ReportMetric(perThousand, "requests/1000")
			b.ReportMetric(float64(b.N*bb.records)/took.Seconds(), "records/s")
			if kept > 0 {
				b.ReportMetric(took.Seconds()/kept.Seconds(), "x-kept-download")
			}
			b.Logf("download %.2f s, download to a file %.2f s, collection %.2f s, %d requests", plain.Seconds(), kept.Seconds(), took.Seconds(), requests)
			if bb.most > 0 && ratio > bb.most {
				b.Errorf("collecting takes %.2f times as long as a download; at most %.1f is wanted", ratio, bb.most)
			}
			if perThousand > 1.1 {
				b.Errorf("%.3f requests for 1,000 records; at most 1.1 is wanted", perThousand)
			}
		})
	}
}

// process runs the program as an adapter does and tells what it cost: CPU time,
// and the most anonymous memory that it was seen to hold, in bytes; 0 where the
// system does not tell.
func (s *subject) process(runPath string) (cpu time.Duration, anonymous int64) {
	s.b.Helper()
	request := s.encode(map[string]any{
		"protocol": 1, "init_config": map[string]any{}, "instance": s.instance(),
		"agent": map[string]any{"run_path": runPath, "logs_run_path": runPath},
	})
	cmd := exec.CommandContext(s.b.Context(), "../../bin/atlassian-audit-records", "collect")
	cmd.Env = append(os.Environ(), check.RequestVariable+"="+string(request))
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		s.b.Fatalf("start the program, which `make build` makes: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil || !strings.Contains(out.String(), `"error":null`) {
				s.b.Fatalf("a run ended with %v: %s", err, out.String())
			}
			return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), anonymous
		case <-tick.C:
			anonymous = max(anonymous, rssAnon(cmd.Process.Pid))
		}
	}
}

// rssAnon is the anonymous memory of a process in bytes, as Linux tells it.
func rssAnon(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, ok := strings.Cut(string(text), "\nRssAnon:")
	if !ok {
		return 0
	}
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return 0
	}
	return kib << 10
}

// BenchmarkMemory lets the program itself read as much of a long history as one
// run reads.
func BenchmarkMemory(b *testing.B) {
	s := newSubject(b, siteOptions{Records: 500_000})
	var most int64
	for b.Loop() {
		_, n := s.process(b.TempDir())
		most = max(most, n)
	}
	if most == 0 {
		b.Skip("this system does not tell the anonymous memory of a process")
	}
	b.ReportMetric(float64(most)/(1<<20), "MiB-anonymous")
	if most > 64<<20 {
		b.Errorf("a run held %d MiB of anonymous memory; at most 64 are wanted", most>>20)
	}
}

// BenchmarkIdleRun compares the CPU time of a run that finds nothing new with
// that of an empty Go program.
func BenchmarkIdleRun(b *testing.B) {
	const times = 20
	s := newSubject(b, siteOptions{Records: 2000})
	runPath := b.TempDir()
	s.process(runPath)
	empty := emptyProgram(b)
	turn := func() (idle, nothing time.Duration) {
		for range times {
			cpu, _ := s.process(runPath)
			idle += cpu
			cmd := exec.CommandContext(b.Context(), empty)
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
			nothing += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		}
		return idle, nothing
	}
	turn() // both programs were just built: the first times cost either more
	var idle, nothing time.Duration
	s.requests("forget")
	runs := 0
	for b.Loop() {
		i, n := turn()
		idle, nothing, runs = idle+i, nothing+n, runs+times
	}
	ratio := idle.Seconds() / nothing.Seconds()
	b.ReportMetric(ratio, "x-empty-program")
	b.ReportMetric(float64(idle.Microseconds())/float64(runs)/1000, "ms-CPU/run")
	b.ReportMetric(float64(s.requests("count"))/float64(runs), "requests/run")
	if ratio > 5 {
		b.Errorf("an idle run takes %.1f times the CPU of an empty program; at most 5 is wanted", ratio)
	}
}

func emptyProgram(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	for name, text := range map[string]string{"main.go": "package main\n\nfunc main() {}\n", "go.mod": "module empty\n\ngo 1.26\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	cmd := exec.CommandContext(b.Context(), "go", "build", "-o", "empty.exe", ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build an empty program: %v\n%s", err, out)
	}
	return filepath.Join(dir, "empty.exe")
}
