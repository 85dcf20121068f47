package check

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/auth"
	"atlassian_audit_records/pkg/state"
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
	"spool ok", "registry ok", "state jira ok",
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

func TestDiagnoseFindsNothingWhereAllIsWell(t *testing.T) {
	t.Parallel()
	for name, credential := range map[string]string{"a token without scopes": classicAuth, "a token with scopes": scopedAuth, "a service account": accountAuth} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				m := w.newMachine(credential, "products: [jira]")
				w.runWell(w.config(credential, "products: [jira]"))
				m.registry(time.Now())
				before := w.snapshot()
				d := m.diagnose()
				// The transport of these tests makes no connections.
				want := instead(wellSteps, map[string]string{"connection": "connection skipped", "tls": "tls skipped"})
				if credential == accountAuth { // its secret stands there literally
					want = slices.Insert(want, 1, "config warning config")
				}
				if diff := cmp.Diff(want, outcomes(d)); diff != "" || !d.OK {
					t.Errorf("OK is %t, steps (-want +got):\n%s\n%+v", d.OK, diff, d.Steps)
				}
				if diff := cmp.Diff(before, w.snapshot()); diff != "" {
					t.Errorf("it changed files (-before +after):\n%s", diff)
				}
			})
		})
	}
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

// TestDiagnoseFindsEachFailure provokes every failure of TestEachFailure… that
// is Atlassian's, the credential's or the way's.
func TestDiagnoseFindsEachFailure(t *testing.T) {
	t.Parallel()
	elsewhere := map[string]string{ // where the cross is, if not among the steps towards a record
		atlassian.CodeCloudID: "site", atlassian.CodeDNS: "dns", atlassian.CodeNetwork: "connection", atlassian.CodeTLS: "tls",
		atlassian.CodeProxy: "proxy", auth.CodeTokenStore: "folders", CodeDiskFull: "spool",
	}
	for _, row := range failures() {
		name := row.code
		if row.by != "" {
			name += ", " + row.by
		}
		if row.told == inResult {
			continue // a program that fails, or another command's
		}
		switch row.code {
		case CodeLogsDisabled, CodeAgentTooOld, CodeSpoolFull, CodeState, CodeStuckRun, CodeMachine, CodeWithheld:
			continue // TestDiagnoseFindsWhatIsWrongOnThisMachine
		case atlassian.CodeInterrupted:
			continue // a diagnosis has no budget that could be over
		case atlassian.CodeAuditLog:
			continue // TestDiagnoseKnowsDataCenter
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				m := w.newMachine(row.auth, append(row.more, "products: [jira]")...)
				if row.prepare != nil {
					row.prepare(w)
				}
				m.registry(time.Now())
				d := m.diagnose()
				at := slices.IndexFunc(d.Steps, func(s Step) bool { return s.Code == row.code })
				if at < 0 {
					t.Fatalf("no step has the code %s: %q\n%+v", row.code, outcomes(d), d.Steps)
				}
				step := d.Steps[at]
				wantName := elsewhere[row.code]
				switch {
				case row.code == atlassian.CodeNetwork && row.by != "":
					wantName = stepRecord
				case row.code == atlassian.CodeClock && row.by != "":
					wantName = "tls"
				case row.code == atlassian.CodeClock:
					wantName = "clock"
				case wantName == "":
					wantName = stepOf(row.code)
				}
				_, isWait := map[string]bool{atlassian.CodeQuota: true, auth.CodeTokenWait: true, CodeExpiring: true}[row.code]
				isWait = isWait || row.by == "an outage that says how long"
				want := StepFailed
				if isWait {
					want = StepWarning
				}
				if step.Name != wantName || step.Status != want || step.Next == "" || step.Doc != "docs/troubleshooting.md#"+row.code || d.OK != isWait {
					t.Errorf("OK is %t, the step %+v, want %s of %s", d.OK, step, want, wantName)
				}
				if i := slices.Index(recordSteps, step.Name); i >= 0 && want == StepFailed {
					for _, s := range d.Steps[at+1 : at+len(recordSteps)-i] {
						if s.Status != StepSkipped || !strings.HasPrefix(s.Text, "skipped: ") {
							t.Errorf("%+v comes behind what failed", s)
						}
					}
				}
				wantNoSecret(t, d)
			})
		})
	}
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

// TestDiagnoseAsksFurther: what Atlassian's answer leaves open.
func TestDiagnoseAsksFurther(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		auth     string
		products string
		prepare  func(w *world)
		code     string
		says     string
	}{
		{"Jira confirms that the permission is missing", classicAuth, "jira", denied(atlassiantest.NotAdmin), atlassian.CodeNotAdmin,
			"Jira confirms that the account does not have the permission Administer Jira"},
		{"Jira says that the permission is there", classicAuth, "jira", strike(atlassiantest.KindAudit, atlassiantest.Answer(403, `{"errorMessages":["No."],"errors":{}}`)), atlassian.CodeNotAdmin,
			"Jira says that the account does have the permission Administer Jira, so that is not the cause"},
		{"a service account's token names the scope that it lacks", accountAuth, "jira", func(w *world) { w.server.SetScopes(atlassiantest.Client, atlassiantest.ScopeJiraUser) },
			atlassian.CodeScope, "the token lacks the scope read:audit-log:jira"},
		{"a service account of another site", accountAuth, "jira", func(w *world) {
			w.server.Fault(atlassiantest.Fault{Kind: atlassiantest.KindResources, Action: atlassiantest.Answer(200,
				`[{"id":"99999999-a1b2-4c33-8d44-5566778899aa","url":"https://other.atlassian.net","scopes":["read:audit-log:jira","read:user:jira"]}]`)})
			w.server.Fault(atlassiantest.Fault{Action: atlassiantest.Answer(401, `{"code":401,"message":"Unauthorized"}`)})
		}, atlassian.CodeCloudID, "the token is good, but not for example.atlassian.net: it reaches https://other.atlassian.net"},
		{"a token with scopes for the other product", scopedAuth, "jira, confluence", func(w *world) {
			w.server.SetScopes(atlassiantest.Scoped, atlassiantest.ScopeJiraAudit, atlassiantest.ScopeJiraUser)
		}, atlassian.CodeScope, "the same token is accepted for jira: a token with scopes is made for one product"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				m := w.newMachine(tt.auth, "products: ["+tt.products+"]")
				tt.prepare(w)
				d := m.diagnose()
				at := slices.IndexFunc(d.Steps, func(s Step) bool { return s.Status == StepFailed })
				if at < 0 || d.Steps[at].Code != tt.code || !strings.Contains(d.Steps[at].Text+": "+d.Steps[at].Next, tt.says) {
					t.Errorf("%q is missing in %+v", tt.says, d.Steps)
				}
			})
		})
	}
}

func TestDiagnoseLeavesAtlassianAloneWhenItWantsThat(t *testing.T) {
	t.Parallel()
	for code, action := range map[string]atlassiantest.Action{
		"quota": atlassiantest.RateLimit(time.Hour, atlassiantest.RetrySeconds), "unavailable": atlassiantest.Unavailable(time.Hour, atlassiantest.RetrySeconds),
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			testDiagnoseWaits(t, code, action)
		})
	}
}

func testDiagnoseWaits(t *testing.T, code string, action atlassiantest.Action) {
	t.Helper()
	inWorld(t, func(t *testing.T, w *world) {
		m := w.newMachine(classicAuth, "products: [jira]")
		strike(atlassiantest.KindAudit, action)(w)
		w.runWell(w.config(classicAuth, "products: [jira]"))
		w.requests()
		d := m.diagnose()
		if got := kinds(w.requests()); len(got) > 0 {
			t.Errorf("it asked %v", got)
		}
		if at := slices.IndexFunc(d.Steps, func(s Step) bool { return s.Name == "wait" }); at < 0 || d.Steps[at].Code != code || !strings.Contains(d.Steps[at].Text, "not asked before 2000-01-01T01:01:00Z") {
			t.Errorf("steps %+v", d.Steps)
		}
	})
}

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

func everythingOf(t *testing.T, d Diagnosis) string {
	t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDiagnoseLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for name, credential := range map[string]string{"an API token": classicAuth, "a service account, for which a token is issued": accountAuth} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				m := w.newMachine(credential)
				before := []string{}
				w.walk(func(path string, _ os.FileInfo) { before = append(before, path) })
				if d := m.diagnose(); !d.OK {
					t.Errorf("steps %q", outcomes(d))
				}
				after := []string{}
				w.walk(func(path string, _ os.FileInfo) { after = append(after, path) })
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("files below the run path (-before +after):\n%s", diff)
				}
			})
		})
	}
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
