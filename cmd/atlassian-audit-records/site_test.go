package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// site is a simulated Atlassian on a loopback port, and a run path.
type site struct {
	t      *testing.T
	server *atlassiantest.Server
	url    string
	host   string
	run    string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := atlassiantest.New(atlassiantest.Options{Seed: 1})
	s.Fill(40, 6*time.Hour)
	url, shut, err := s.Listen("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shut(); err != nil {
			t.Error(err)
		}
	})
	return &site{t, s, url, strings.TrimPrefix(url, "http://"), filepath.Join(t.TempDir(), "run")}
}

// instance is the site's configuration as YAML, each line indented.
func (s *site) instance(indent string) string {
	lines := []string{
		"site: " + s.url, "gateway: " + s.url, "auth_server: " + s.url, "min_collection_interval: 60", "auth:", "  type: api_token",
		"  email: " + atlassiantest.DefaultEmail, "  api_token: " + atlassiantest.DefaultClassicToken,
	}
	return strings.Join(lines, "\n"+indent)
}

// conf writes a conf.yaml.
func (s *site) conf(initConfig string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "conf.yaml")
	text := "init_config: {" + initConfig + "}\ninstances:\n  - " + s.instance("    ") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// request is what an adapter would write.
func (s *site) request() string {
	s.t.Helper()
	text, err := json.Marshal(map[string]any{
		"protocol": 1, "check_id": "x", "check_name": "atlassian_audit_records", "init_config": "", "instance": s.instance(""),
		"agent": map[string]any{"version": "7.77.0", "run_path": s.run, "logs_enabled": true, "log_level": "info"},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// lines is the number of lines in the spool below a run path.
func lines(t *testing.T, run string) int {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(run, "atlassian_audit_records", "spool", "*", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(text, []byte("\n"))
	}
	return n
}

// answer is what an adapter reads: the lines by type, and the result's error.
type answer struct {
	types  map[string]int
	result map[string]any
}

func readAnswer(t *testing.T, out string) answer {
	t.Helper()
	a := answer{types: map[string]int{}}
	for line := range strings.Lines(out) {
		if a.result != nil {
			t.Errorf("after the result comes %s", line)
		}
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("the line %q: %v", line, err)
		}
		kind := fmt.Sprint(l["type"])
		a.types[kind]++
		if kind == "result" {
			a.result = l
		}
	}
	if a.result == nil {
		t.Fatalf("there is no result in %q", out)
	}
	return a
}
