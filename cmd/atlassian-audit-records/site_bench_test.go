package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// asSite makes the test binary a simulated site, so that what a measure counts of
// its own process is the collector's, and the server's garbage is the server's.
const asSite = "ATLASSIAN_AUDIT_RECORDS_BENCH_SITE"

// siteOptions is what the value of asSite says, as JSON.
type siteOptions struct {
	Records int
	Latency time.Duration
	// Edge is the way on which Atlassian's answers really come; see edge.
	Edge bool
}

// siteAnswer is the first line that the site writes.
type siteAnswer struct {
	URL         string
	Certificate []byte
}

// serveSite is the process of the site: it answers the commands that come in
// ("forget" its requests, "count" them) until there are no more.
func serveSite(options string, in io.Reader, out io.Writer) error {
	debug.SetGCPercent(400)
	var o siteOptions
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		return err
	}
	s := atlassiantest.New(atlassiantest.Options{Seed: 1})
	s.Fill(o.Records, 30*24*time.Hour, atlassiantest.Jira)
	s.SetQuirks(atlassiantest.Jira, atlassiantest.Quirks{Latency: o.Latency})
	a := siteAnswer{}
	if o.Edge {
		front := httptest.NewUnstartedServer(&edge{next: s.Handler(), seed: maphash.MakeSeed(), kept: map[uint64][]byte{}})
		front.EnableHTTP2 = true
		front.StartTLS()
		defer front.Close()
		a = siteAnswer{URL: front.URL, Certificate: front.Certificate().Raw}
	} else {
		url, shut, err := s.Listen("")
		if err != nil {
			return err
		}
		defer func() { _ = shut() }()
		a.URL = url
	}
	if err := json.NewEncoder(out).Encode(a); err != nil {
		return err
	}
	commands := bufio.NewScanner(in)
	for commands.Scan() {
		if commands.Text() == "forget" {
			s.ForgetRequests()
		}
		if _, err := fmt.Fprintln(out, s.Count(atlassiantest.KindAudit)); err != nil {
			return err
		}
	}
	return commands.Err()
}

// edge is how Atlassian's answers really come: HTTP/2 over TLS, and compressed
// (Jira Cloud sets Content-Encoding: gzip where the client accepts it, observed in
// public reports). What a body is compressed to is kept, so that the server's work
// is small in every measure.
type edge struct {
	next http.Handler
	seed maphash.Seed
	mu   sync.Mutex
	kept map[uint64][]byte
}

func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		e.next.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	e.next.ServeHTTP(answer, r)
	body := answer.Body.Bytes()
	key := maphash.Bytes(e.seed, body)
	e.mu.Lock()
	packed, ok := e.kept[key]
	e.mu.Unlock()
	if !ok {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, _ = z.Write(body) // into memory
		_ = z.Close()
		packed = out.Bytes()
		e.mu.Lock()
		e.kept[key] = packed
		e.mu.Unlock()
	}
	h := w.Header()
	for k, v := range answer.Header() {
		h[k] = v
	}
	h.Del("Content-Length")
	h.Set("Content-Encoding", "gzip")
	w.WriteHeader(answer.Code)
	_, _ = w.Write(packed) // the client may be gone
}

// subject is a simulated site with many records, in a process of its own.
type subject struct {
	b       *testing.B
	records int
	url     string
	// authority is the file of the certificate that the site shows, and authorities
	// what it holds; empty where it speaks HTTP.
	authority   string
	authorities *x509.CertPool
	commands    io.Writer
	answers     *bufio.Reader
}

func newSubject(b *testing.B, o siteOptions) *subject {
	b.Helper()
	s := &subject{b: b, records: o.Records}
	cmd := exec.Command(os.Args[0]) // it ends when its input does
	cmd.Env = append(os.Environ(), asSite+"="+string(s.encode(o)))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close() // which ends it
		if err := cmd.Wait(); err != nil {
			b.Errorf("the site ended with %v", err)
		}
	})
	s.commands, s.answers = in, bufio.NewReader(out)
	var a siteAnswer
	line, err := s.answers.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err != nil {
		b.Fatalf("the site did not begin: %v", err)
	}
	s.url = a.URL
	if a.Certificate == nil {
		return s
	}
	s.authorities = x509.NewCertPool()
	s.authority = filepath.Join(b.TempDir(), "edge.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate})
	s.authorities.AppendCertsFromPEM(text)
	if err := os.WriteFile(s.authority, text, 0o600); err != nil {
		b.Fatal(err)
	}
	return s
}

// requests is how often the site was asked for audit records, since it was told
// to forget.
func (s *subject) requests(command string) (n int) {
	s.b.Helper()
	if _, err := fmt.Fprintln(s.commands, command); err != nil {
		s.b.Fatal(err)
	}
	line, err := s.answers.ReadString('\n')
	if err == nil {
		_, err = fmt.Sscan(line, &n)
	}
	if err != nil {
		s.b.Fatal(err)
	}
	return n
}
