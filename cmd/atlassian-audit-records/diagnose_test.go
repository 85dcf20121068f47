package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// installed is a site's conf.yaml with its logs entries, and an Agent's files
// around it; the answer is its datadog.yaml.
func (s *site) installed() (conf, datadog string) {
	s.t.Helper()
	dir := s.t.TempDir()
	put := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			s.t.Fatal(err)
		}
		return path
	}
	text := "init_config:\ninstances:\n  - " + s.instance("    ") + "\nlogs:\n"
	for product, source := range map[string]string{"jira": "jira-audit-records", "confluence": "confluence-audit-records"} {
		text += "  - {type: file, path: '" + filepath.Join(s.run, agent.CheckName, "spool", source, "*.jsonl") + "', source: " + source + ", service: " + product +
			", start_position: beginning, auto_multi_line_detection: false, fingerprint_config: {fingerprint_strategy: disabled}}\n"
	}
	adapter, err := os.ReadFile("../../adapters/python/atlassian_audit_records.py")
	if err != nil {
		s.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	put("checks.d/atlassian_audit_records.py", string(adapter), 0o644)
	if err := os.Symlink(self, filepath.Join(dir, "checks.d", program)); err != nil {
		s.t.Fatal(err)
	}
	return put("conf.d/atlassian_audit_records.d/conf.yaml", text, 0o644), put("datadog.yaml", "logs_enabled: true\napi_key: 0123456789abcdef0123456789abcdef\n", 0o644)
}

func TestDiagnoseAsAProcess(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conf, datadog := s.installed()
	if err := os.Mkdir(s.run, 0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{"diagnose", "--conf", conf, "--run-path", s.run, "--datadog-conf", datadog}

	got := start(t, "", args...)
	for _, part := range []string{"[ok]   config: valid: " + s.host, "[ok]   logs enabled: true", "[ok]   token: accepted by the site's own host", "[ok]   record: one was read",
		"this program", " 0 failed"} {
		if !strings.Contains(got.Out, part) {
			t.Errorf("%q is missing in\n%s", part, got.Out)
		}
	}
	if got.Status != 0 || got.Err != "" || regexp.MustCompile(`[^\n -~]`).MatchString(got.Out) {
		t.Errorf("it is not well, or not plain ASCII where the output is no terminal: %+v", got)
	}

	// After a run with records in spool and state, nothing of a record is shown.
	if got := start(t, "", "check", "--conf", conf, "--run-path", s.run); got.Status != 0 {
		t.Fatalf("check: %+v", got)
	}
	for _, args := range [][]string{args, append(args, "--json"), append(args, "--instance-filter", s.host)} {
		got := start(t, "", args...)
		if got.Status != 1 || !strings.Contains(got.Out, check.CodeUndelivered) { // no Agent reads this spool
			t.Errorf("%v: outcome %+v", args, got)
		}
		for _, secret := range s.secrets() {
			if strings.Contains(got.Out+got.Err, secret) {
				t.Errorf("%v shows %q:\n%s", args, secret, got.Out)
			}
		}
	}
}

// secrets are the credentials, and every text of every record that is long
// enough to be told from anything else.
func (s *site) secrets() []string {
	out := []string{atlassiantest.DefaultEmail, atlassiantest.DefaultClassicToken, "0123456789abcdef0123456789abcdef"}
	seen := map[string]bool{}
	var collect func(v any)
	collect = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, inner := range v {
				collect(inner)
			}
		case []any:
			for _, inner := range v {
				collect(inner)
			}
		case string:
			// Words that a diagnosis uses by itself say nothing of a record.
			if len(v) > 5 && !seen[v] && v != "atlassian" && v != "System" {
				seen[v] = true
				out = append(out, v)
			}
		}
	}
	for _, product := range []string{"jira", "confluence"} {
		for _, r := range s.server.Records(product) {
			var v any
			if err := json.Unmarshal(r.Raw, &v); err != nil {
				s.t.Fatal(err)
			}
			collect(v)
		}
	}
	if len(out) < 100 {
		s.t.Fatalf("the corpus has only %d texts", len(out))
	}
	return out
}

func TestDiagnoseAnswersInJSON(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.server.Deny("confluence", atlassiantest.FreePlan)
	conf, datadog := s.installed()
	if err := os.Mkdir(s.run, 0o755); err != nil {
		t.Fatal(err)
	}
	got := start(t, "", "diagnose", "--conf", conf, "--run-path", s.run, "--datadog-conf", datadog, "--json")
	var d check.Diagnosis
	if err := json.Unmarshal([]byte(got.Out), &d); err != nil || got.Status != 1 || got.Err != "" || d.OK {
		t.Fatalf("outcome %+v, %v", got, err)
	}
	var failed []check.Step
	for _, step := range d.Steps {
		if step.Status == check.StepFailed {
			failed = append(failed, step)
		}
	}
	if len(failed) != 1 || failed[0].Name != "plan" || failed[0].Product != "confluence" || failed[0].Code != "free_plan" ||
		failed[0].Doc != "docs/troubleshooting.md#free_plan" || failed[0].Next == "" {
		t.Errorf("failed: %+v", failed)
	}
}

func TestDiagnoseTakesTheIdentityOfTheRunPathsOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	s := newSite(t)
	conf, datadog := s.installed()
	if err := os.Mkdir(s.run, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(s.run, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(filepath.Dir(s.run)), 0o755); err != nil { // which testing closes to others
		t.Fatal(err)
	}
	if err := os.Chmod(datadog, 0o600); err != nil { // which root alone may read
		t.Fatal(err)
	}
	got := start(t, "", "diagnose", "--conf", conf, "--run-path", s.run, "--datadog-conf", datadog)
	for _, part := range []string{"[ok]   run path: " + s.run + ", of nobody", "[ok]   logs enabled: true", "[ok]   record: one was read"} {
		if !strings.Contains(got.Out, part) {
			t.Errorf("%q is missing in\n%s", part, got.Out)
		}
	}
}

func TestDiagnoseOfAConfigurationThatIsNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	got := start(t, "", "diagnose", "--conf", filepath.Join(dir, "none"), "--run-path", dir, "--datadog-conf", filepath.Join(dir, "none.yaml"))
	for _, part := range []string{"[FAIL] config: ", "does not exist", "[skip] dns: skipped: the configuration is not valid", "[FAIL] agent settings: "} {
		if !strings.Contains(got.Out, part) {
			t.Errorf("%q is missing in\n%s", part, got.Out)
		}
	}
	if got.Status != 1 || got.Err != "" {
		t.Errorf("outcome %+v", got)
	}
}

func TestDiagnosisOnATerminal(t *testing.T) {
	t.Parallel()
	d := check.Diagnosis{Version: "1.2.3", RunPath: "/run", Steps: []check.Step{
		{Name: "config", Status: check.StepOK, Text: "valid"},
		{Name: "run_path", Status: check.StepFailed, Text: "sudo -u dd-agent …", Code: "agent_files", Next: "do it"},
		{Name: "token", Instance: "x.atlassian.net", Product: "jira", Status: check.StepSkipped, Text: "skipped: config comes first"},
		{Name: "clock", Instance: "x.atlassian.net", Status: check.StepWarning, Text: "so so"},
	}}
	want := `
This machine and the Agent
  ✓ config: valid
  ✗ run path: sudo -u dd-agent … (agent_files)
    → do it

x.atlassian.net, jira
  - token: skipped: config comes first

x.atlassian.net
  ! clock: so so

1 ok, 1 warning, 1 failed, 1 skipped: docs/troubleshooting.md has a section for each code
`
	if got := diagnosisText(d, true); !strings.HasSuffix(got, want) {
		t.Errorf("the text is\n%s\nand not\n%s", got, want)
	}
	plain := diagnosisText(d, false)
	for _, part := range []string{"[ok]   config", "[FAIL] run path: sudo -u dd-agent . (agent_files)\n         -> do it\n", "[skip] token", "[warn] clock"} {
		if !strings.Contains(plain, part) {
			t.Errorf("%q is missing in\n%s", part, plain)
		}
	}
}
