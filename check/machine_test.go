package check

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// machine is the Agent's side of a world: its files as they should be.
type machine struct {
	*world
	dir     string // of datadog.yaml and checks.d
	conf    string
	site    string
	options DiagnoseOptions
}

// newMachine installs an Agent for an instance with that auth.
func (w *world) newMachine(auth string, more ...string) *machine {
	w.t.Helper()
	m := &machine{world: w, dir: filepath.Join(filepath.Dir(w.run), "etc"), site: atlassiantest.DefaultSiteURL}
	m.conf = filepath.Join(m.dir, "conf.d", "atlassian_audit_records.d", "conf.yaml")
	m.write("datadog.yaml", "logs_enabled: true\nrun_path: '"+w.run+"'\n", 0o600)
	m.write("checks.d/atlassian_audit_records.py", "request = {'protocol': 1}\n", 0o644)
	m.write("checks.d/"+agentName, "a program\n", 0o755)
	m.write("../version-manifest.json", `{"build_version": "7.77.3"}`, 0o644)
	m.configure(auth, more...)
	m.registry(time.Now())
	m.options = DiagnoseOptions{
		Options: w.options, Conf: m.conf, RunPath: w.run, DatadogConf: filepath.Join(m.dir, "datadog.yaml"),
		Getenv: func(string) string { return "" }, Program: filepath.Join(m.dir, "checks.d", agentName),
	}
	return m
}

func (m *machine) write(name, text string, mode os.FileMode) {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		m.t.Fatal(err)
	}
}

// configure writes conf.yaml, with the logs entries of its products.
func (m *machine) configure(auth string, more ...string) {
	m.t.Helper()
	if auth == "" {
		auth = classicAuth
	}
	text := "init_config:\ninstances:\n  - site: " + m.site + "\n    min_collection_interval: 60\n    tags: [team:audit]\n    auth: " + auth + "\n"
	for _, line := range more {
		text += "    " + line + "\n"
	}
	text += "logs:\n"
	for _, p := range both {
		text += "  - {type: file, path: '" + spoolGlob(m.run, p) + "', source: " + p.LogSource() +
			", service: x, start_position: beginning, auto_multi_line_detection: false, fingerprint_config: {fingerprint_strategy: disabled}}\n"
	}
	m.write("conf.d/atlassian_audit_records.d/conf.yaml", text, 0o600)
}

// registry is the Agent's, in which every file of the spool is read to its end.
func (m *machine) registry(written time.Time) {
	m.t.Helper()
	type entry struct {
		LastUpdated time.Time
		Offset      string
		TailingMode string
	}
	entries := map[string]entry{}
	for _, p := range both {
		paths, err := filepath.Glob(spoolGlob(m.run, p))
		if err != nil {
			m.t.Fatal(err)
		}
		for _, path := range paths {
			info, err := os.Stat(path)
			if err != nil {
				m.t.Fatal(err)
			}
			size, err := json.Marshal(info.Size())
			if err != nil {
				m.t.Fatal(err)
			}
			entries["file:"+path] = entry{written, string(size), "beginning"}
		}
	}
	text, err := json.Marshal(map[string]any{"Version": 2, "Registry": entries})
	if err != nil {
		m.t.Fatal(err)
	}
	path := filepath.Join(m.run, agent.RegistryName)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Chtimes(path, written, written); err != nil {
		m.t.Fatal(err)
	}
}

// diagnose is a diagnosis as the command makes it.
func (m *machine) diagnose() Diagnosis {
	m.t.Helper()
	o := m.options
	o.Options = m.world.options
	o.Settings, o.SettingsErr = agent.ReadSettings(o.DatadogConf, o.Getenv)
	return Diagnose(m.t.Context(), o)
}

// outcomes are the steps as "name product status code".
func outcomes(d Diagnosis) []string {
	out := []string{}
	for _, s := range d.Steps {
		words := []string{s.Name, string(s.Product), string(s.Status), s.Code}
		out = append(out, strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " "))
	}
	return out
}

// wellSteps are those of a machine on which all is well, and jira alone.
var wellSteps = []string{
	"config ok", "agent_settings ok", "logs_enabled ok", "logs ok", "open_files ok", "agent_version ok", "run_path ok", "folders ok", "spool_readable ok", "adapter ok", "program ok",
	"dns ok", "connection ok", "tls ok", "proxy ok", "clock ok", "site ok",
	"token jira ok", "scopes jira ok", "permission jira ok", "plan jira ok", "record jira ok",
	"spool ok", "oversize ok", "registry ok", "state jira ok",
}

// without is the list with what is offered in the place of each entry of that
// step.
func instead(list []string, by map[string]string) []string {
	var out []string
	for _, entry := range list {
		words := strings.Fields(entry)
		if other, ok := by[words[0]]; ok {
			entry = other
		}
		if entry != "" {
			out = append(out, entry)
		}
	}
	return out
}

// snapshot is every file below the run path with its bytes; lock files, which
// are empty, and nothing else may be made by a diagnosis.
func (w *world) snapshot() map[string]string {
	out := map[string]string{}
	w.walk(func(path string, info os.FileInfo) {
		if info.Mode().IsRegular() && !strings.HasSuffix(path, ".lock") {
			text, err := os.ReadFile(path)
			if err != nil {
				w.t.Fatal(err)
			}
			out[path] = string(text)
		}
	})
	return out
}

func wantNoSecret(t *testing.T, d Diagnosis) {
	t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{atlassiantest.DefaultClassicToken, atlassiantest.DefaultScopedToken, atlassiantest.DefaultClientSecret, "simulated-access-token", atlassiantest.DefaultEmail} {
		if strings.Contains(string(text), secret) {
			t.Errorf("it shows %s: %s", secret, text)
		}
	}
}

func everythingOf(t *testing.T, d Diagnosis) string {
	t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
