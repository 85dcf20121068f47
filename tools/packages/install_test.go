package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// machine is a copy of the clean Debian that tools/clean-root.sh makes.
type machine struct {
	t    *testing.T
	root string
}

// newMachine copies the clean root; the tests that need one are left out, and say
// so, where PACKAGES_ROOT names none (`make test-install` sets it).
func newMachine(t *testing.T) machine {
	t.Helper()
	clean := os.Getenv("PACKAGES_ROOT")
	if clean == "" {
		t.Skip("LEFT OUT: needs a clean root; `make test-install` makes one, as root")
	}
	m := machine{t, filepath.Join(t.TempDir(), "root")}
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", clean, m.root).CombinedOutput(); err != nil {
		t.Fatalf("copy the clean root: %v\n%s", err, out)
	}
	return m
}

// command is a command as root inside, with a /proc of its own that goes with it.
// What is mounted is seen by nobody else.
func (m machine) command(name string, args ...string) *exec.Cmd {
	const inside = `mount -t proc proc "$0/proc" && exec chroot "$0" "$@"`
	cmd := exec.CommandContext(m.t.Context(), "unshare", append([]string{"--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-c", inside, m.root, name}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	return cmd
}

// do runs a command as root, and fails the test where it fails.
func (m machine) do(name string, args ...string) string {
	m.t.Helper()
	out, err := m.command(name, args...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// asAgent runs a command as the Agent's user, without the rights of root.
func (m machine) asAgent(name string, args ...string) string {
	m.t.Helper()
	return m.do("setpriv", append([]string{"--reuid=dd-agent", "--regid=dd-agent", "--clear-groups", "--no-new-privs", name}, args...)...)
}

// bring copies a file or folder in from outside.
func (m machine) bring(from, to string) {
	m.t.Helper()
	noError(m.t, os.MkdirAll(filepath.Dir(m.root+to), 0o755))
	if out, err := exec.CommandContext(m.t.Context(), "cp", "-rT", from, m.root+to).CombinedOutput(); err != nil {
		m.t.Fatalf("bring %s: %v\n%s", from, err, out)
	}
}

func (m machine) write(path, text string) {
	m.t.Helper()
	noError(m.t, os.MkdirAll(filepath.Dir(m.root+path), 0o755))
	noError(m.t, os.WriteFile(m.root+path, []byte(text), 0o644))
}

// agentArrives does what the Agent's own package does to a machine.
func (m machine) agentArrives() {
	m.t.Helper()
	m.do("useradd", "--system", "--user-group", "--home-dir", "/opt/datadog-agent", "--shell", "/usr/sbin/nologin", "dd-agent")
	m.write("/etc/datadog-agent/datadog.yaml", "logs_enabled: true\n")
	m.write("/etc/datadog-agent/conf.d/ntp.d/conf.yaml.default", "instances: [{}]\n")
	m.do("mkdir", "-p", "/etc/datadog-agent/checks.d", "/opt/datadog-agent/run", "/var/log/datadog")
	m.do("chown", "-R", "dd-agent:dd-agent", "/etc/datadog-agent", "/opt/datadog-agent", "/var/log/datadog")
}

// rights are the mode and owner of a path, as a person would read them.
func (m machine) rights(path string) string {
	m.t.Helper()
	return strings.TrimSpace(m.do("stat", "-c", "%04a %U:%G", path))
}

func (m machine) exists(path string) bool {
	_, err := os.Lstat(m.root + path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.t.Fatal(err)
	}
	return err == nil
}

// simulate starts the Atlassian of that program, and returns its address.
func (m machine) simulate(path string, records int) string {
	m.t.Helper()
	cmd := m.command(path, "simulate", "--listen", "127.0.0.1:0", "--records", fmt.Sprint(records))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	noError(m.t, err)
	noError(m.t, cmd.Start())
	m.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // killed, which is no news
	})
	url := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	site := ""
	for lines := bufio.NewScanner(out); site == "" && lines.Scan(); {
		site = url.FindString(lines.Text())
	}
	if site == "" {
		m.t.Fatal("the simulated Atlassian said no address")
	}
	return site
}

// configure writes a configuration for the installed program's own Atlassian to
// where the Agent looks.
func (m machine) configure(records int) {
	m.t.Helper()
	site := m.simulate("/usr/bin/atlassian-audit-records", records)
	m.write("/etc/datadog-agent/conf.d/atlassian_audit_records.d/conf.yaml", fmt.Sprintf(
		"init_config:\ninstances:\n  - site: %[1]s\n    gateway: %[1]s\n    auth_server: %[1]s\n    products: [jira, confluence]\n"+
			"    auth: {type: api_token, email: audit@example.com, api_token: simulated-classic-api-token}\n", site))
	m.do("chown", "dd-agent:dd-agent", "/etc/datadog-agent/conf.d/atlassian_audit_records.d/conf.yaml")
	m.do("chmod", "0640", "/etc/datadog-agent/conf.d/atlassian_audit_records.d/conf.yaml")
}

// collected is how many records one run of the check brings, as the Agent's user.
func (m machine) collected() int {
	m.t.Helper()
	var answer struct {
		Runs []struct {
			Records int
			Error   string
		}
	}
	out := m.asAgent("atlassian-audit-records", "check", "--json")
	noError(m.t, json.NewDecoder(strings.NewReader(out)).Decode(&answer))
	n := 0
	for _, r := range answer.Runs {
		n += r.Records
		if r.Error != "" {
			m.t.Errorf("the check failed: %s", r.Error)
		}
	}
	if len(answer.Runs) != 2 {
		m.t.Errorf("%d products were collected:\n%s", len(answer.Runs), out)
	}
	return n
}

// lines is how many records lie in the spool.
func (m machine) lines() int {
	m.t.Helper()
	files, err := filepath.Glob(m.root + "/opt/datadog-agent/run/atlassian_audit_records/spool/*/*.jsonl")
	noError(m.t, err)
	n := 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		noError(m.t, err)
		n += bytes.Count(text, []byte("\n"))
	}
	return n
}

// asTheAgentDoes runs the installed adapter in the stand-in of the Agent's Python
// that the adapter's own tests use, as the Agent's user.
const asTheAgentDoes = `
import json, os, sys
sys.dont_write_bytecode = True
sys.path[:0] = ['/opt/stubs', '/etc/datadog-agent/checks.d']
import datadog_agent
import atlassian_audit_records as adapter
datadog_agent.config = {'run_path': '/opt/datadog-agent/run', 'logs_config.run_path': '/opt/datadog-agent/run', 'logs_enabled': True}
site = sys.argv[1]
check = adapter.AtlassianAuditRecordsCheck(name=adapter.NAME, init_config={}, instances=({
    'site': site, 'gateway': site, 'auth_server': site, 'products': ['jira', 'confluence'],
    'auth': {'type': 'api_token', 'email': 'audit@example.com', 'api_token': 'simulated-classic-api-token'}},))
check.check_id = 'atlassian_audit_records:0123456789abcdef'
failed = check.run()
print(json.dumps({'uid': os.getuid(), 'error': failed, 'connected': [s[2] for s in check.submitted
                  if s[:2] == ('service_check', 'atlassian_audit_records.can_connect')]}))
`

// another is a package of a later version, of the same programs.
func another(t *testing.T, format, version string) string {
	t.Helper()
	root, err := filepath.Abs(rootDir)
	noError(t, err)
	r := release{root: root, work: filepath.Join(root, "bin"), dist: t.TempDir(), version: version, epoch: time.Unix(1e9, 0)}
	noError(t, r.linuxPackage(platform{"linux", runtime.GOARCH}, format))
	found, err := filepath.Glob(r.dist + "/*." + format)
	noError(t, err)
	return found[0]
}

// agentsFiles are files of the Agent's, which nothing of ours may touch.
var agentsFiles = []string{"/etc/datadog-agent/datadog.yaml", "/etc/datadog-agent/conf.d/ntp.d/conf.yaml.default", "/etc/datadog-agent/checks.d", "/opt/datadog-agent/run"}

const ours = "/etc/datadog-agent/conf.d/atlassian_audit_records.d"

func TestDebThroughItsLife(t *testing.T) {
	m := newMachine(t)
	m.agentArrives()
	m.bring(rootDir+"/adapters/python/tests/stubs", "/opt/stubs")
	m.bring(built(t, program+"_", "_"+runtime.GOARCH+".deb"), "/first.deb")
	m.bring(another(t, "deb", "999.0"), "/later.deb")

	out := m.do("dpkg", "--install", "/first.deb")
	if !strings.Contains(out, "sudo atlassian-audit-records setup") {
		t.Errorf("the installation does not say what is next:\n%s", out)
	}
	got := map[string]string{}
	for _, path := range []string{"/usr/bin/atlassian-audit-records", "/etc/datadog-agent/checks.d/atlassian_audit_records.py", ours, ours + "/conf.yaml.example", "/etc/atlassian-audit-records", "/etc/datadog-agent/checks.d"} {
		got[path] = m.rights(path)
	}
	if diff := cmp.Diff(map[string]string{
		"/usr/bin/atlassian-audit-records":                       "0755 root:root",
		"/etc/datadog-agent/checks.d/atlassian_audit_records.py": "0644 root:root",
		ours:                           "0755 dd-agent:dd-agent",
		ours + "/conf.yaml.example":    "0644 dd-agent:dd-agent",
		"/etc/atlassian-audit-records": "0750 root:root", // there is no systemd-sysusers here
		"/etc/datadog-agent/checks.d":  "0755 dd-agent:dd-agent",
	}, got); diff != "" {
		t.Errorf("rights (-want +got):\n%s", diff)
	}

	// The check, as the Agent's user: directly, then through the adapter.
	m.configure(400)
	conf, err := os.ReadFile(m.root + ours + "/conf.yaml")
	noError(t, err)
	if n := m.collected(); n != 400 {
		t.Errorf("%d records were collected, want 400", n)
	}
	m.write("/as-the-agent.py", asTheAgentDoes)
	site := regexp.MustCompile(`http://\S+`).FindString(string(conf))
	adapter := m.asAgent("python3", "/as-the-agent.py", site)
	var ran struct {
		UID       int
		Error     any
		Connected []int
	}
	noError(t, json.Unmarshal([]byte(strings.TrimSpace(adapter)), &ran))
	if ran.UID == 0 || fmt.Sprint(ran.Error) != "" && ran.Error != nil || cmp.Diff([]int{0, 0}, ran.Connected) != "" {
		t.Errorf("through the adapter: %s", adapter)
	}
	if n := m.lines(); n != 400 {
		t.Errorf("%d lines lie in the spool after both, want 400", n)
	}

	// An upgrade, a downgrade, a removal and a new installation keep all of it.
	for _, step := range [][]string{{"--install", "/later.deb"}, {"--install", "/first.deb"}, {"--remove", program}, {"--install", "/later.deb"}} {
		out := m.do("dpkg", step...)
		if now, err := os.ReadFile(m.root + ours + "/conf.yaml"); err != nil || !bytes.Equal(now, conf) {
			t.Errorf("after %v conf.yaml has changed: %v\n%s", step, err, out)
		}
		if n := m.lines(); n != 400 {
			t.Errorf("after %v %d lines lie in the spool", step, n)
		}
		if step[0] == "--remove" {
			for _, gone := range []string{"/usr/bin/atlassian-audit-records", "/usr/bin/atlassian-audit-records-run", "/etc/datadog-agent/checks.d/atlassian_audit_records.py", "/usr/lib/systemd/system/atlassian-audit-records.service", ours + "/conf.yaml.example"} {
				if m.exists(gone) {
					t.Errorf("after the removal there still is %s", gone)
				}
			}
			if !strings.Contains(out, "/opt/datadog-agent/run/atlassian_audit_records is kept") {
				t.Errorf("the removal does not say what it keeps:\n%s", out)
			}
			continue
		}
		if n := m.collected(); n != 0 {
			t.Errorf("after %v the check collected %d records again", step, n)
		}
		if folder, example := m.rights(ours), m.rights(ours+"/conf.yaml.example"); folder != "0755 dd-agent:dd-agent" || example != "0644 dd-agent:dd-agent" {
			t.Errorf("after %v the folder of the configuration is %s, the example in it %s", step, folder, example)
		}
		if library := "/etc/datadog-agent/checks.d/" + nativeAdapter + ".so"; m.exists(library) && m.rights(library) != "0500 dd-agent:dd-agent" {
			t.Errorf("after %v the native adapter is %s", step, m.rights(library))
		}
	}

	m.do("dpkg", "--purge", program)
	for _, gone := range []string{ours, "/opt/datadog-agent/run/atlassian_audit_records", "/etc/atlassian-audit-records", "/usr/share/doc/atlassian-audit-records"} {
		if m.exists(gone) {
			t.Errorf("after the purge there still is %s", gone)
		}
	}
	for _, kept := range agentsFiles {
		if !m.exists(kept) {
			t.Errorf("the purge took away %s, which is the Agent's", kept)
		}
	}
	if audit := m.do("dpkg", "--audit"); audit != "" {
		t.Errorf("dpkg finds:\n%s", audit)
	}
}

func TestDebBeforeTheAgent(t *testing.T) {
	m := newMachine(t)
	m.bring(built(t, program+"_", "_"+runtime.GOARCH+".deb"), "/first.deb")
	m.do("dpkg", "--install", "/first.deb")
	if got := m.rights(ours + "/conf.yaml.example"); got != "0644 root:root" {
		t.Errorf("without the Agent's user the example is %s", got)
	}
	m.agentArrives()
	m.configure(50)
	if n := m.collected(); n != 50 {
		t.Errorf("%d records were collected, want 50", n)
	}
}

func TestDebLeadsRootNowhere(t *testing.T) {
	m := newMachine(t)
	m.agentArrives()
	m.bring(built(t, program+"_", "_"+runtime.GOARCH+".deb"), "/first.deb")
	m.bring(another(t, "deb", "999.0"), "/later.deb")
	m.do("dpkg", "--install", "/first.deb")
	// The Agent's user lays a link where the next installation gives files away, and where the purge removes.
	m.write("/root/precious", "precious")
	m.asAgent("sh", "-c", "mv "+ours+" /etc/datadog-agent/old && ln -s /root "+ours+" && ln -s /root /opt/datadog-agent/run/atlassian_audit_records")
	cmd := m.command("dpkg", "--install", "/later.deb")
	out, _ := cmd.CombinedOutput() // whether it succeeds is the same here
	if got := m.rights("/root"); !strings.HasSuffix(got, " root:root") {
		t.Errorf("/root was given away: %s\n%s", got, out)
	}
	m.do("dpkg", "--purge", program)
	if !m.exists("/root/precious") {
		t.Error("the purge went through a link")
	}
}

func TestRPMThroughItsLife(t *testing.T) {
	m := newMachine(t)
	m.agentArrives()
	arch := map[string]string{"amd64": ".x86_64", "arm64": ".aarch64"}[runtime.GOARCH]
	m.bring(built(t, program+"-", arch+".rpm"), "/first.rpm")
	m.bring(another(t, "rpm", "999.0"), "/later.rpm")
	// --nodeps: this is a Debian, whose shell rpm does not know.
	m.do("rpm", "--install", "--nodeps", "/first.rpm")
	if got := m.rights(ours); got != "0755 dd-agent:dd-agent" {
		t.Errorf("the folder of the configuration is %s", got)
	}
	m.configure(100)
	if n := m.collected(); n != 100 {
		t.Errorf("%d records were collected, want 100", n)
	}
	m.do("rpm", "--upgrade", "--nodeps", "/later.rpm")
	if n := m.collected(); n != 0 {
		t.Errorf("after the upgrade the check collected %d records again", n)
	}
	if got := m.do("rpm", "--query", program); !strings.HasPrefix(got, program+"-999.0-1.") {
		t.Errorf("installed is %s", got)
	}
	out := m.do("rpm", "--erase", "--nodeps", program)
	if m.exists("/usr/bin/atlassian-audit-records") || !m.exists(ours+"/conf.yaml") || m.lines() != 100 {
		t.Errorf("after the removal the program, conf.yaml or the spool is not what it should be:\n%s", out)
	}
	for _, kept := range agentsFiles {
		if !m.exists(kept) {
			t.Errorf("the removal took away %s, which is the Agent's", kept)
		}
	}
}
