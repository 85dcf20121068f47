package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMacInstall runs the scripts of the macOS archive on a folder that looks like a
// Mac with an Agent. The programs in it are not run: they are Darwin's.
func TestMacInstall(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("LEFT OUT: install.sh gives files to root, which takes root")
	}
	unpacked, root := t.TempDir(), t.TempDir()
	for name, m := range readArchive(t, built(t, program+"_", "_darwin_arm64.tar.gz")).members {
		noError(t, os.WriteFile(filepath.Join(unpacked, name), m.data, os.FileMode(m.mode)))
		noError(t, os.Chmod(filepath.Join(unpacked, name), os.FileMode(m.mode)))
	}
	run := func(script string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(unpacked, script), args...)
		cmd.Env = append(os.Environ(), "DESTDIR="+root)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("install.sh"); err == nil || !strings.Contains(out, "install the Datadog Agent first") {
		t.Errorf("without an Agent: %v\n%s", err, out)
	}
	const agent = 54321 // the person who installed the Agent
	for _, dir := range []string{"opt/datadog-agent/etc/conf.d", "opt/datadog-agent/run", "usr/local/bin"} {
		noError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	noError(t, os.Chown(filepath.Join(root, "opt/datadog-agent/etc"), agent, agent))
	const conf = "opt/datadog-agent/etc/conf.d/atlassian_audit_records.d"
	for range 2 { // the second time is an upgrade
		if out, err := run("install.sh"); err != nil {
			t.Fatalf("install.sh: %v\n%s", err, out)
		}
		got := map[string]string{}
		for _, path := range []string{"opt/atlassian-audit-records/bin", "opt/atlassian-audit-records/bin/" + program, "opt/atlassian-audit-records/bin/" + program + "-run", "opt/atlassian-audit-records/bin/" + program + "-shared", "opt/datadog-agent/etc/checks.d", "opt/datadog-agent/etc/checks.d/atlassian_audit_records.py", conf, conf + "/conf.yaml.example"} {
			info, err := os.Lstat(filepath.Join(root, path))
			noError(t, err)
			got[path] = fmt.Sprintf("%04o %d", info.Mode().Perm(), info.Sys().(*syscall.Stat_t).Uid)
		}
		if diff := cmp.Diff(map[string]string{
			"opt/atlassian-audit-records/bin":                           "0755 0",
			"opt/atlassian-audit-records/bin/" + program:                "0755 0",
			"opt/atlassian-audit-records/bin/" + program + "-run":       "0755 0",
			"opt/atlassian-audit-records/bin/" + program + "-shared":    "0755 0",
			"opt/datadog-agent/etc/checks.d":                            "0755 54321",
			"opt/datadog-agent/etc/checks.d/atlassian_audit_records.py": "0644 0",
			conf:                        "0755 54321",
			conf + "/conf.yaml.example": "0644 0",
		}, got); diff != "" {
			t.Errorf("rights (-want +got):\n%s", diff)
		}
		if to, err := os.Readlink(filepath.Join(root, "usr/local/bin", program)); err != nil || to != "/opt/atlassian-audit-records/bin/"+program {
			t.Errorf("the link leads to %q, %v", to, err)
		}
	}
	kept := []string{filepath.Join(root, conf, "conf.yaml"), filepath.Join(root, "opt/datadog-agent/run/atlassian_audit_records")}
	noError(t, os.WriteFile(kept[0], []byte("x"), 0o600))
	noError(t, os.Mkdir(kept[1], 0o700))
	out, err := run("uninstall.sh")
	if err != nil || !exists(kept[0]) || !exists(kept[1]) || exists(filepath.Join(root, "opt/atlassian-audit-records")) || exists(filepath.Join(root, "usr/local/bin", program)) {
		t.Errorf("uninstall.sh: %v\n%s", err, out)
	}
	out, err = run("uninstall.sh", "--purge")
	if err != nil || exists(filepath.Dir(kept[0])) || exists(kept[1]) || !exists(filepath.Join(root, "opt/datadog-agent/etc/conf.d")) {
		t.Errorf("uninstall.sh --purge: %v\n%s", err, out)
	}
}

// TestWindowsScripts holds install.ps1 to what the zip holds. There is no PowerShell
// here that could run it.
func TestWindowsScripts(t *testing.T) {
	t.Parallel()
	install, err := os.ReadFile(rootDir + "/packaging/windows/install.ps1")
	noError(t, err)
	for _, e := range windowsLayout() {
		switch e.dst {
		case "LICENSE", "CHANGELOG.md", "THIRD-PARTY-LICENSES.txt", "sbom.cdx.json", "README.txt", "install.ps1", "uninstall.ps1": // stay in the archive
		default:
			if !strings.Contains(string(install), "'"+e.dst+"'") {
				t.Errorf("install.ps1 does not install %s", e.dst)
			}
		}
	}
	for i, b := range install {
		if b >= 0x80 {
			t.Fatalf("byte %d of install.ps1 is not ASCII: Windows PowerShell would read it in the machine's code page", i)
		}
	}
}

// TestUnit lets systemd itself read the unit, where there is one.
func TestUnit(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("LEFT OUT: there is no systemd-analyze here")
	}
	text, err := os.ReadFile(rootDir + "/packaging/atlassian-audit-records.service")
	noError(t, err)
	// The program is not installed here: any other serves to have the rest looked at.
	there := strings.Replace(string(text), "ExecStart=atlassian-audit-records ", "ExecStart=sh ", 1)
	if there == string(text) {
		t.Fatal("ExecStart does not begin with the program's name")
	}
	path := filepath.Join(t.TempDir(), "atlassian-audit-records.service")
	noError(t, os.WriteFile(path, []byte(there), 0o600))
	out, err := exec.CommandContext(t.Context(), tool, "verify", "--man=no", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), "atlassian-audit-records.service:") {
		t.Errorf("systemd-analyze: %v\n%s", err, out)
	}
}
