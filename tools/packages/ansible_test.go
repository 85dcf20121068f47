package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// ansible runs the playbook inside, on that many hosts, all of which are this one.
func (m machine) ansible(hosts int, variables map[string]any) (string, error) {
	m.t.Helper()
	inventory := "[atlassian_audit_records]\n"
	for i := range hosts {
		inventory += "host" + string(rune('1'+i)) + "\n"
	}
	m.write("/inventory", inventory+"[all:vars]\nansible_connection=local\nansible_become=false\nansible_python_interpreter=/usr/bin/python3\n")
	text, err := json.Marshal(variables)
	noError(m.t, err)
	m.write("/variables.json", string(text))
	out, err := m.command("ansible-playbook", "--diff", "--inventory", "/inventory", "--extra-vars", "@/variables.json", "/ansible/playbook.yml").CombinedOutput()
	return string(out), err
}

// TestAnsible runs the role as an administrator would, twice, and in the ways that
// it has to refuse.
func TestAnsible(t *testing.T) {
	m := newMachine(t)
	m.agentArrives()
	m.bring(rootDir+"/packaging/ansible", "/ansible")
	deb := built(t, program+"_", "_"+runtime.GOARCH+".deb")
	m.bring(deb, "/"+filepath.Base(deb))
	m.write("/etc/init.d/datadog-agent", "#!/bin/sh\necho \"$1\" >> /restarts\n")
	noError(t, os.Chmod(m.root+"/etc/init.d/datadog-agent", 0o755))
	restarts := func() int {
		text, err := os.ReadFile(m.root + "/restarts")
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Count(string(text), "start\n")
	}

	// An Atlassian to collect from takes the program, which is not installed yet.
	m.bring(rootDir+"/bin/linux-"+runtime.GOARCH+"/"+program, "/opt/simulate")
	site := m.simulate("/opt/simulate", 60)
	const secret = "simulated-classic-api-token"
	variables := map[string]any{
		"atlassian_audit_records_package": "/" + filepath.Base(deb),
		"atlassian_audit_records_instances": []any{map[string]any{
			"site": site, "gateway": site, "auth_server": site, "products": []string{"jira", "confluence"}, "tags": []string{"env:test"},
			"auth": map[string]any{"type": "api_token", "email": "audit@example.com", "api_token": secret},
		}},
	}
	changed := regexp.MustCompile(`changed=(\d+)`)
	out, err := m.ansible(1, variables)
	if err != nil {
		t.Fatalf("the playbook failed: %v\n%s", err, out)
	}
	if got := m.rights(ours + "/conf.yaml"); got != "0640 dd-agent:dd-agent" || restarts() != 1 {
		t.Errorf("conf.yaml is %s, and the Agent was restarted %d times\n%s", got, restarts(), out)
	}
	if strings.Contains(out, secret) {
		t.Errorf("the secret is in the output:\n%s", out)
	}
	if n := m.collected(); n != 60 {
		t.Errorf("%d records were collected, want 60", n)
	}
	if out, err = m.ansible(1, variables); err != nil || changed.FindStringSubmatch(out) == nil || changed.FindStringSubmatch(out)[1] != "0" || restarts() != 1 {
		t.Errorf("the second time, with %d restarts so far: %v\n%s", restarts(), err, out)
	}

	before, err := os.ReadFile(m.root + ours + "/conf.yaml")
	noError(t, err)
	if out, err := m.ansible(2, variables); err == nil || !strings.Contains(out, "2 hosts would collect the same records") {
		t.Errorf("two hosts without a shared state: %v\n%s", err, out)
	}
	variables["atlassian_audit_records_instances"] = []any{map[string]any{"sight": site}}
	if out, err := m.ansible(1, variables); err == nil {
		t.Errorf("a configuration that is not valid:\n%s", out)
	}
	if after, err := os.ReadFile(m.root + ours + "/conf.yaml"); err != nil || string(after) != string(before) {
		t.Errorf("conf.yaml was replaced by one that is not valid: %v", err)
	}
}
