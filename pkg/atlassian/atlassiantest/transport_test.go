package atlassiantest_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNothingIsAnsweredBeforeItsTime(t *testing.T) {
	for _, c := range []struct {
		sentence string
		prepare  func(*atlassiantest.Server)
		takes    time.Duration
	}{
		{"a plain answer takes no time", func(*atlassiantest.Server) {}, 0},
		{"latency holds up every answer", func(s *atlassiantest.Server) {
			s.SetQuirks(atlassiantest.Jira, quirks{Latency: 200 * time.Millisecond})
		}, 200 * time.Millisecond},
		{"a slow fault adds to it", func(s *atlassiantest.Server) {
			s.SetQuirks(atlassiantest.Jira, quirks{Latency: 200 * time.Millisecond})
			s.Fault(fault{Action: atlassiantest.Slow(time.Minute)})
		}, time.Minute + 200*time.Millisecond},
		{"a dripping body takes a pause a piece", func(s *atlassiantest.Server) {
			s.Fault(fault{Action: atlassiantest.Drip(10, time.Second)})
		}, 55 * time.Second},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				s.Add(atlassiantest.Jira, atlassiantest.Record{Raw: []byte(strings.Repeat("1", 500)), Verbatim: true})
				c.prepare(s)
				start := time.Now()
				a := ask(t, s, siteJira)
				if a.err != nil || a.status != 200 {
					t.Fatalf("status %d, error %v", a.status, a.err)
				}
				if got := time.Since(start); got != c.takes {
					t.Errorf("an answer of %d bytes took %s, want %s", len(a.body), got, c.takes)
				}
			})
		})
	}
}

func TestAClientMayGiveUp(t *testing.T) {
	for _, c := range []struct {
		sentence string
		action   atlassiantest.Action
	}{
		{"on a server that hangs", atlassiantest.Hang()},
		{"on a slow answer", atlassiantest.Slow(time.Hour)},
		{"within a dripping body", atlassiantest.Drip(1, time.Minute)},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := fiveRecords(t)
				s.Fault(fault{Action: c.action})
				ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
				defer cancel()
				req := request(t, siteJira).WithContext(ctx)
				req.SetBasicAuth(atlassiantest.DefaultEmail, atlassiantest.DefaultClassicToken)
				start := time.Now()
				a := send(t, s, req)
				if !errors.Is(a.err, context.DeadlineExceeded) || time.Since(start) != 90*time.Second {
					t.Errorf("after %s: %v", time.Since(start), a.err)
				}
				synctest.Wait()
				if n := len(s.Served(atlassiantest.Jira)); n != 0 {
					t.Errorf("%d records count as served", n)
				}
			})
		})
	}
}

func TestAClientMayCloseABodyUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.AddBurst(atlassiantest.Jira, 1000, base)
		req := request(t, siteJira)
		req.SetBasicAuth(atlassiantest.DefaultEmail, atlassiantest.DefaultClassicToken)
		res, err := s.Transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		synctest.Wait()
		if n := len(s.Served(atlassiantest.Jira)); n != 0 {
			t.Errorf("%d records count as served", n)
		}
	})
}

func TestGzip(t *testing.T) {
	t.Parallel()
	s := fiveRecords(t)
	s.Fault(fault{Action: atlassiantest.Gzip()})
	if got := ask(t, s, siteJira).keys(t); got != "e d c b a" {
		t.Errorf("a client that leaves it to its transport reads %q", got)
	}
	req := request(t, siteJira)
	req.SetBasicAuth(atlassiantest.DefaultEmail, atlassiantest.DefaultClassicToken)
	req.Header.Set("Accept-Encoding", "identity")
	a := send(t, s, req)
	z, err := gzip.NewReader(strings.NewReader(string(a.body)))
	if err != nil {
		t.Fatal(err)
	}
	if a.body, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	if got := a.keys(t); got != "e d c b a" || a.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("a client that unpacks by itself reads %q", got)
	}
}

func TestThreeOriginsServeTheirOwn(t *testing.T) {
	t.Parallel()
	s := fiveRecords(t)
	origins := map[string]*httptest.Server{
		"site":    httptest.NewServer(s.SiteHandler()),
		"gateway": httptest.NewServer(s.GatewayHandler()),
		"auth":    httptest.NewServer(s.AuthHandler()),
	}
	paths := map[string]string{
		"site":    "/_edge/tenant_info",
		"gateway": "/ex/jira/" + atlassiantest.DefaultCloudID + jiraPath,
		"auth":    "/oauth/token",
	}
	for name, origin := range origins {
		defer origin.Close()
		for of, path := range paths {
			a := receive(origin.Client().Do, request(t, origin.URL+path))
			if found := a.status != http.StatusNotFound; found != (name == of) {
				t.Errorf("the %s answered %d for what the %s serves", name, a.status, of)
			}
		}
	}
}

func TestListenServesEverythingOnOneOrigin(t *testing.T) {
	t.Parallel()
	s := fiveRecords(t)
	origin, shut, err := s.Listen("")
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{}
	for _, path := range []string{jiraPath, wikiPath} {
		req := request(t, origin+path)
		req.SetBasicAuth(atlassiantest.DefaultEmail, atlassiantest.DefaultClassicToken)
		a := receive(tr.RoundTrip, req)
		if got := a.keys(t); got != "e d c b a" {
			t.Errorf("%s lists %q", path, got)
		}
		if path == wikiPath {
			if got := a.object(t)["_links"].(map[string]any)["base"]; got != origin+"/wiki" {
				t.Errorf("the base is %v", got)
			}
		}
	}
	// A request that hangs must not keep the port from closing.
	s.Fault(fault{Action: atlassiantest.Hang()})
	hung := make(chan answer)
	begun := make(chan struct{})
	s.OnAnswer(func(atlassiantest.RequestInfo) { close(begun) })
	go func() {
		req := request(t, origin+jiraPath)
		req.SetBasicAuth(atlassiantest.DefaultEmail, atlassiantest.DefaultClassicToken)
		hung <- receive(tr.RoundTrip, req)
	}()
	<-begun
	if err := shut(); err != nil {
		t.Error(err)
	}
	if a := <-hung; a.err == nil {
		t.Errorf("a request that hung was answered %d", a.status)
	}
	tr.CloseIdleConnections()

	if _, _, err := s.Listen("nowhere"); err == nil {
		t.Error("an address without a port was taken")
	}
}
