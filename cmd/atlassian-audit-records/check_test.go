package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func TestCheckAnswersInJSONToTheLetter(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := start(t, "", "check", "--conf", s.conf(""), "--run-path", s.run, "--check-times", "2", "--pause", "10", "--json")
	if got.Status != 0 || got.Err != "" {
		t.Fatalf("outcome %+v", got)
	}
	var shape map[string]json.RawMessage
	var runs, serviceChecks, metrics []map[string]any
	if err := json.Unmarshal([]byte(got.Out), &shape); err != nil {
		t.Fatal(err)
	}
	keys := []string{}
	for k := range shape {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	if diff := cmp.Diff([]string{"metrics", "runs", "service_checks"}, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	for name, list := range map[string]*[]map[string]any{"runs": &runs, "service_checks": &serviceChecks, "metrics": &metrics} {
		if err := json.Unmarshal(shape[name], list); err != nil {
			t.Fatal(err)
		}
	}
	for i := range runs {
		if n, _ := runs[i]["requests"].(float64); n < 1 || i >= 2 && n > 2 {
			t.Errorf("run %d made %v requests", i, n)
		}
		delete(runs[i], "requests")
		if i >= 2 {
			delete(runs[i], "duplicates") // as many as the look-back holds
		}
	}
	row := func(product string, records float64) map[string]any {
		return map[string]any{"instance": s.host, "product": product, "records": records, "error": nil}
	}
	want := []map[string]any{row("jira", 20), row("confluence", 20), row("jira", 0), row("confluence", 0)}
	want[0]["duplicates"], want[1]["duplicates"] = 0.0, 0.0
	if diff := cmp.Diff(want, runs); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	if len(serviceChecks) != 8 || len(metrics) < 40 {
		t.Errorf("%d service checks and %d metrics", len(serviceChecks), len(metrics))
	}
}

func TestCheckPrintsForPeople(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := start(t, "", "check", "--conf", filepath.Dir(s.conf("")), "--run-path", s.run)
	for _, part := range []string{"=== Metrics ===\n[", "=== Service Checks ===\n[", "  Running Checks\n  ==============\n",
		"Instance: " + s.host + ", jira [OK]\n      Records: 20, Requests: "} {
		if !strings.Contains(got.Out, part) {
			t.Errorf("%q is missing in\n%s", part, got.Out)
		}
	}
	if got.Status != 0 || got.Err != "" || strings.Contains(got.Out, "logs") {
		t.Errorf("outcome %+v", got)
	}
}

func TestCheckFailsWhereAnInstanceDoes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.server.Deny("jira", atlassiantest.NotAdmin)
	conf := s.conf("")
	got := start(t, "", "check", "--conf", conf, "--run-path", s.run, "--json")
	var out checked
	if err := json.Unmarshal([]byte(got.Out), &out); err != nil || got.Status != 1 || got.Err != "" {
		t.Fatalf("outcome %+v, %v", got, err)
	}
	if len(out.Runs) != 2 || out.Runs[0].Error == nil || !strings.Contains(*out.Runs[0].Error, "status 403") || out.Runs[1].Error != nil {
		t.Errorf("runs %+v", out.Runs)
	}
	got = start(t, "", "check", "--conf", conf, "--run-path", s.run)
	if !strings.Contains(got.Out, ", jira [ERROR]\n") || !strings.Contains(got.Out, ", confluence [OK]\n") || got.Status != 1 {
		t.Errorf("outcome %+v", got)
	}
}

func TestTheRunPathOfTheCommandLineCountsFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	configured := filepath.Join(t.TempDir(), "configured")
	conf := s.conf("run_path: '" + configured + "'")
	if got := start(t, "", "check", "--conf", conf); got.Status != 0 || lines(t, configured) != 40 {
		t.Errorf("outcome %+v, %d lines", got, lines(t, configured))
	}
	if got := start(t, "", "check", "--conf", conf, "--run-path", s.run); got.Status != 0 || lines(t, s.run) != 40 {
		t.Errorf("outcome %+v, %d lines", got, lines(t, s.run))
	}
}

func TestCheckRefusesWhatItCannotRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conf := s.conf("")
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("instances:\n  - sites: x\n    lookback: 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"a filter that matches nothing", []string{"--conf", conf, "--instance-filter", "banana"}, 1, "Error: no instance's site contains \"banana\": there are " + s.host + "\n"},
		{"no rounds", []string{"--conf", conf, "--check-times", "0"}, 2, "Error: --check-times must be at least 1, and --pause at least 0\nTry: atlassian-audit-records check --help\n"},
		{"a configuration that is wrong", []string{"--conf", bad}, 1, "error: bad.yaml:2: instances[0]: has the unknown option \"sites\": did you mean site?\n"},
		{"a configuration that is not there", []string{"--conf", conf + ".none"}, 1, "Error: " + conf + ".none does not exist: give the path of conf.yaml, or of its folder, with --conf\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := start(t, "", append([]string{"check", "--run-path", s.run}, tt.args...)...)
			if got.Status != tt.status || !strings.HasPrefix(got.Err, tt.want) || got.Out != "" {
				t.Errorf("outcome %+v, want status %d and %q", got, tt.status, tt.want)
			}
		})
	}
	if got := start(t, "", "check", "--run-path", s.run, "--conf", conf, "--instance-filter", s.host); got.Status != 0 {
		t.Errorf("a filter that matches: %+v", got)
	}
}
