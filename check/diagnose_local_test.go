package check

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/state"
)

func TestDiagnoseFindsWhatIsWrongOnThisMachine(t *testing.T) {
	t.Parallel()
	base := func(m *machine) string { return agent.Base(m.run) }
	firstSpoolFile := func(m *machine) string {
		paths, err := filepath.Glob(spoolGlob(m.run, "jira"))
		if err != nil || len(paths) == 0 {
			m.t.Fatalf("nothing is spooled: %v", err)
		}
		return paths[0]
	}
	must := func(m *machine, err error) {
		m.t.Helper()
		if err != nil {
			m.t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		root bool
		do   func(m *machine)
		want string // one of outcomes
		says string
	}{
		{"the configuration is not valid", false, func(m *machine) {
			m.write("conf.d/atlassian_audit_records.d/conf.yaml", "instances:\n  - sites: x\n", 0o600)
		},
			"config failed config", "did you mean site?"},
		{"no instance is left", false, func(m *machine) { m.options.Filter = "banana" }, "config failed config", "there are example.atlassian.net"},
		{"a secret stands in the configuration literally", false, func(m *machine) { m.configure(accountAuth, "products: [jira]") }, "config warning config", "the Agent does not hide it in a flare"},
		{"datadog.yaml is not there, and was named", false, func(m *machine) { m.options.DatadogGiven = true; m.options.DatadogConf += ".none" },
			"agent_settings failed agent_files", "datadog.yaml.none does not exist"},
		{"there is no Agent", false, func(m *machine) { m.options.DatadogConf += ".none" }, "agent_settings warning agent_files", "no Agent is installed here"},
		{"datadog.yaml is broken", false, func(m *machine) { m.write("datadog.yaml", "api_key: secret-api-key\nlogs_enabled: [\n", 0o600) },
			"agent_settings failed agent_files", "is not valid YAML in line"},
		{"the Agent collects no logs", false, func(m *machine) { m.write("datadog.yaml", "api_key: secret-api-key\n", 0o600) },
			"logs_enabled failed logs_disabled", "logs_enabled is not true"},
		{"no entry follows the spool", false, func(m *machine) {
			text, err := os.ReadFile(m.conf)
			must(m, err)
			m.write("conf.d/atlassian_audit_records.d/conf.yaml", strings.ReplaceAll(string(text), "spool/jira", "sp/jira"), 0o600)
		}, "logs failed logs_entry", "has no entry of type file for"},
		{"an entry would lose records", false, func(m *machine) {
			text, err := os.ReadFile(m.conf)
			must(m, err)
			m.write("conf.d/atlassian_audit_records.d/conf.yaml", strings.ReplaceAll(string(text), "start_position: beginning", "start_position: end"), 0o600)
		}, "logs failed logs_entry", "start_position: beginning"},
		{"the Agent is too old", false, func(m *machine) { m.write("../version-manifest.json", `{"build_version": "7.76.1"}`, 0o644) },
			"agent_version failed agent_too_old", "the Agent is 7.76.1"},
		{"there is no run path", false, func(m *machine) { must(m, os.Rename(m.run, m.run+"-gone")) }, "run_path failed agent_files", "does not exist"},
		{"the run path is a file", false, func(m *machine) {
			must(m, os.Rename(m.run, m.run+"-gone"))
			must(m, os.WriteFile(m.run, nil, 0o600))
		}, "run_path failed agent_files", "is not a folder"},
		{"the run path is another user's", true, func(m *machine) { m.options.User = "nobody" }, "run_path failed agent_files", "and the Agent runs as nobody"},
		{"others may write to a folder", false, func(m *machine) { must(m, os.Chmod(base(m), 0o770)) }, "folders failed machine", "may be written to by others"},
		{"a file was left by another user", true, func(m *machine) { must(m, os.Chown(firstSpoolFile(m), 65534, 65534)) }, "folders failed machine", "a command was run as another user"},
		{"the Agent's user cannot read the spool", true, func(m *machine) { m.options.User = "nobody" }, "spool_readable failed agent_files", "nobody may not"},
		{"there is no adapter", false, func(m *machine) { must(m, os.Remove(filepath.Join(m.dir, "checks.d", "atlassian_audit_records.py"))) },
			"adapter failed agent_files", "so that the Agent does not know the check"},
		{"others have rights on the native adapter", false, func(m *machine) {
			must(m, os.Remove(filepath.Join(m.dir, "checks.d", "atlassian_audit_records.py")))
			m.write("checks.d/libdatadog-agent-atlassian_audit_records.so", "a library\n", 0o550)
		}, "adapter failed agent_files", "has the mode 0550"},
		{"others may write the program of the native adapter", false, func(m *machine) {
			must(m, os.Remove(filepath.Join(m.dir, "checks.d", "atlassian_audit_records.py")))
			m.write("checks.d/libdatadog-agent-atlassian_audit_records.so", "a library\n", 0o500)
			must(m, os.Chmod(filepath.Join(m.dir, "checks.d", agentName), 0o777))
		}, "program failed agent_files", "because others may write"},
		{"the adapter speaks another protocol", false, func(m *machine) {
			m.write("checks.d/atlassian_audit_records.py", "request = {'protocol': 2}\n", 0o644)
		}, "adapter failed agent_files", "the adapter speaks version 2 of the protocol"},
		{"the adapter is something else", false, func(m *machine) { m.write("checks.d/atlassian_audit_records.py", "pass\n", 0o644) },
			"adapter failed agent_files", "is not the adapter of this program"},
		{"others may write the program", false, func(m *machine) { must(m, os.Chmod(filepath.Join(m.dir, "checks.d", agentName), 0o777)) },
			"program failed agent_files", "because others may write"},
		{"program_path is no program", false, func(m *machine) {
			text, err := os.ReadFile(m.conf)
			must(m, err)
			m.write("conf.d/atlassian_audit_records.d/conf.yaml", strings.Replace(string(text), "init_config:", "init_config: {program_path: '"+m.dir+"'}", 1), 0o600)
		}, "program failed agent_files", "which is not a program"},
		{"the spool is full", false, func(m *machine) {
			text, err := os.ReadFile(m.conf)
			must(m, err)
			m.write("conf.d/atlassian_audit_records.d/conf.yaml", strings.Replace(string(text), "init_config:", "init_config: {spool_max_size: 16MiB}", 1), 0o600)
			must(m, os.Truncate(firstSpoolFile(m), 17<<20))
		}, "spool failed spool_full", "collection is paused"},
		{"the Agent has no registry", false, func(m *machine) { must(m, os.Remove(filepath.Join(m.run, agent.RegistryName))) },
			"registry failed undelivered", "has never read any of the 1 files"},
		{"the registry is half written", false, func(m *machine) {
			must(m, os.WriteFile(filepath.Join(m.run, agent.RegistryName), []byte(`{"Version":2,"Reg`), 0o600))
		},
			"registry warning undelivered", "cut short"},
		{"the Agent does not know the spool", false, func(m *machine) {
			path := filepath.Join(m.run, agent.RegistryName)
			must(m, os.WriteFile(path, []byte(`{"Version":2,"Registry":{}}`), 0o600))
			must(m, os.Chtimes(firstSpoolFile(m), time.Now().Add(-2*time.Hour), time.Now().Add(-2*time.Hour)))
		}, "registry failed undelivered", "knows none of the 1 files"},
		{"the Agent does not read on", false, func(m *machine) {
			path := firstSpoolFile(m)
			must(m, os.Truncate(path, 1<<20))
			must(m, os.Chtimes(path, time.Now().Add(-2*time.Hour), time.Now().Add(-2*time.Hour)))
		}, "registry failed undelivered", "are not delivered, some of them since over an hour"},
		{"the Agent does not run", false, func(m *machine) { m.registry(time.Now().Add(-time.Hour)) }, "registry failed undelivered", "start it: sudo systemctl start datadog-agent"},
		{"the run path is not this user's", true, func(m *machine) { must(m, os.Chown(m.run, 65534, 65534)) }, "run_path failed agent_files", "who may not see all of it"},
		{"the state is damaged", false, func(m *machine) {
			must(m, os.WriteFile(foldersOf(m.run, "example.atlassian.net").state("jira").State, []byte("this is no state"), 0o600))
		}, "state jira failed state", "the next run puts its copy in its place"},
		{"Atlassian withholds records", false, func(m *machine) {
			m.server.SetQuirks("jira", atlassiantest.Quirks{DatedBefore: 1})
			pass(time.Minute)
			m.runWell(m.config(classicAuth, "products: [jira]"))
		}, "state jira failed withheld", "the silence is false"},
		{"the check does not run", false, func(m *machine) { pass(3 * time.Hour); m.registry(time.Now()) }, "state jira failed not_running", "has not run since"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.root && os.Geteuid() != 0 {
				t.Skip("only root can give files to another user")
			}
			inWorld(t, func(t *testing.T, w *world) {
				m := w.newMachine(classicAuth, "products: [jira]")
				w.runWell(w.config(classicAuth, "products: [jira]"))
				m.registry(time.Now())
				tt.do(m)
				d := m.diagnose()
				at := slices.Index(outcomes(d), tt.want)
				if at < 0 {
					t.Fatalf("%q is missing in %q\n%+v", tt.want, outcomes(d), d.Steps)
				}
				if s := d.Steps[at]; !strings.Contains(s.Text+": "+s.Next, tt.says) || s.Next == "" || s.Doc == "" {
					t.Errorf("%q is missing in %+v", tt.says, s)
				}
				if failed := strings.Contains(tt.want, " failed "); d.OK == failed {
					t.Errorf("OK is %t: %q", d.OK, outcomes(d))
				}
				if strings.Contains(everythingOf(t, d), "secret-api-key") {
					t.Error("it shows the API key")
				}
				wantNoSecret(t, d)
			})
		})
	}
}

func TestDiagnoseTellsWhatLongRecordsTake(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		m := w.newMachine(classicAuth, "products: [jira]")
		said := func() Step {
			for _, s := range m.diagnose().Steps {
				if s.Name == "oversize" {
					return s
				}
			}
			return Step{}
		}
		w.runWell(w.config(classicAuth, "products: [jira]"))
		if got, want := said(), (Step{Name: "oversize", Status: StepOK, Text: "no record was too long for a log line"}); got != want {
			t.Errorf("before: %+v", got)
		}
		long := `{"summary":"Long","description":"` + strings.Repeat("long ", 200000) + `"}`
		w.server.Add(atlassiantest.Jira, atlassiantest.Record{Created: time.Now(), Raw: json.RawMessage(long)})
		pass(time.Minute)
		w.runWell(w.config(classicAuth, "products: [jira]"))
		var bytes int64
		w.walk(func(path string, info os.FileInfo) {
			if strings.HasPrefix(path, agent.OversizeDir(agent.Base(w.run))) && info.Mode().IsRegular() {
				bytes += info.Size()
			}
		})
		want := fmt.Sprintf("records that are too long for a log line, and were sent reduced, are kept whole in %s: 1, with %d bytes", agent.OversizeDir(agent.Base(w.run)), bytes)
		if got := said(); got.Status != StepOK || got.Text != want || got.Next == "" || bytes < 1e6 {
			t.Errorf("%+v\nwant %s", got, want)
		}
	})
}

func TestDiagnoseBesideARun(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		m := w.newMachine(classicAuth, "products: [jira]")
		c := w.config(classicAuth, "products: [jira]")
		w.runWell(c)
		m.registry(time.Now())
		held, _, err := state.Open(foldersOf(w.run, c.Host()).state("jira"), state.Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		d := m.diagnose()
		last := d.Steps[len(d.Steps)-1]
		if !d.OK || last.Name != "state" || !strings.Contains(last.Text, "a run is in progress") {
			t.Errorf("OK is %t, the last step %+v", d.OK, last)
		}
		if err := held.Close(); err != nil {
			t.Fatal(err)
		}
		// Nor does a diagnosis keep the state from the next run.
		m.diagnose()
		w.runWell(c)
	})
}

func TestDiagnoseOfAFullSpoolThatIsDelivered(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		m := w.newMachine(classicAuth, "products: [jira]")
		w.runWell(w.config(classicAuth, "products: [jira]"))
		paths, err := filepath.Glob(spoolGlob(w.run, "jira"))
		if err != nil || len(paths) != 1 {
			t.Fatalf("%v, %v", paths, err)
		}
		text, err := os.ReadFile(m.conf)
		if err != nil {
			t.Fatal(err)
		}
		m.write("conf.d/atlassian_audit_records.d/conf.yaml", strings.Replace(string(text), "init_config:", "init_config: {spool_max_size: 16MiB}", 1), 0o600)
		if err := os.Truncate(paths[0], 17<<20); err != nil {
			t.Fatal(err)
		}
		m.registry(time.Now()) // the Agent has read all of it
		if d := m.diagnose(); !slices.Contains(outcomes(d), "spool ok") {
			t.Errorf("steps %q", outcomes(d))
		}
	})
}

func TestDiagnoseWhereTheCommandRunSends(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		m := w.newMachine(classicAuth, "products: [jira]")
		w.runWell(w.config(classicAuth, "products: [jira]"))
		m.registry(time.Now())
		own := filepath.Join(agent.Base(w.run), "run")
		if err := os.Mkdir(own, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(w.run, agent.RegistryName), filepath.Join(own, agent.RegistryName)); err != nil {
			t.Fatal(err)
		}
		m.options.DatadogConf += ".none"
		d := m.diagnose()
		if at := slices.Index(outcomes(d), "registry ok"); at < 0 || !strings.HasPrefix(d.Steps[at].Text, "`run` knows 1 of the 1 files") || !d.OK {
			t.Errorf("steps %+v", d.Steps)
		}
	})
}
