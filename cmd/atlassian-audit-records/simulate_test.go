package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func TestSimulateServesUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"simulate", "--listen", "127.0.0.1:0", "--records", "10"}, stdio{in: strings.NewReader(""), out: w, err: w, getenv: os.Getenv})
		_ = w.Close()
	}()
	var said bytes.Buffer
	origin := regexp.MustCompile(`site: (http://127\.0\.0\.1:\d+)\n`)
	buf := make([]byte, 4096)
	var found []string
	for found == nil {
		n, err := r.Read(buf)
		if err != nil {
			t.Fatalf("it ended with %v after %s", err, said.String())
		}
		said.Write(buf[:n])
		found = origin.FindStringSubmatch(said.String())
	}
	go func() { _, _ = io.Copy(io.Discard, r) }() // so that it never waits for us
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, found[1]+"/_edge/tenant_info", nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("it answers %v, %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	interrupt()
	if status := <-ended; status != 0 {
		t.Errorf("it ended with status %d", status)
	}
}

func TestSimulateWhereThePortIsTaken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if got := start(t, "", "simulate", "--listen", s.host); got.Status != 1 || got.Out != "" || !strings.HasSuffix(got.Err, ": choose another port, or 0 for any that is free\n") {
		t.Errorf("outcome %+v", got)
	}
}

func TestSimulateNamesEveryFaultAndScenario(t *testing.T) {
	t.Parallel()
	help := start(t, "", "simulate", "--help").Out
	for _, fault := range atlassiantest.FaultNames() {
		if !strings.Contains(help, fault) {
			t.Errorf("the help lacks %s", fault)
		}
	}
	for _, scenario := range atlassiantest.ScenarioNames() {
		if !strings.Contains(help, scenario) {
			t.Errorf("the help lacks %s", scenario)
		}
	}
	if got := start(t, "", "simulate", "--listen", "127.0.0.1:0", "--scenario", "banana"); got.Status != 1 || !strings.HasPrefix(got.Err, "Error: no scenario is called \"banana\"; there are ") {
		t.Errorf("outcome %+v", got)
	}
	if got := start(t, "", "simulate", "--listen", "127.0.0.1:0", "--fault", "banana"); got.Status != 1 || !strings.HasPrefix(got.Err, "Error: no fault is called \"banana\"; there are ") {
		t.Errorf("outcome %+v", got)
	}
}
