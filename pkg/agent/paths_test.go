package agent

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDefaultPaths(t *testing.T) {
	t.Parallel()
	type paths struct{ Run, Conf string }
	for goos, want := range map[string]paths{
		"linux":   {"/opt/datadog-agent/run", "/etc/datadog-agent/conf.d"},
		"darwin":  {"/opt/datadog-agent/run", "/opt/datadog-agent/etc/conf.d"},
		"windows": {`C:\ProgramData\Datadog\run`, `C:\ProgramData\Datadog\conf.d`},
	} {
		if diff := cmp.Diff(want, paths{runPath(goos), confPath(goos)}); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", goos, diff)
		}
	}
}

func TestEverythingLiesInOneFolderOfTheRunPath(t *testing.T) {
	t.Parallel()
	base := Base(filepath.FromSlash("/run"))
	got := []string{base, SpoolDir(base, "jira-audit-records"), StateDir(base), OversizeDir(base), TokenFile(base), ConfFile("conf.d")}
	for i := range got {
		got[i] = filepath.ToSlash(got[i])
	}
	want := []string{
		"/run/atlassian_audit_records",
		"/run/atlassian_audit_records/spool/jira-audit-records",
		"/run/atlassian_audit_records/state",
		"/run/atlassian_audit_records/oversize",
		"/run/atlassian_audit_records/tokens.json",
		"conf.d/atlassian_audit_records.d/conf.yaml",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths differ (-want +got):\n%s", diff)
	}
}

func TestFilesystemOfTheTestsIsLocal(t *testing.T) {
	t.Parallel()
	if err := LocalFilesystem(t.TempDir()); err != nil {
		t.Error(err)
	}
	if err := LocalFilesystem(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a path that does not exist was not refused")
	}
}
