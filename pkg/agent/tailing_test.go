package agent

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestLookForRival(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		file    func(spool string) string // in the Agent's registry
		age     time.Duration
		running bool
		found   bool
	}{
		"a running Agent that follows the spool": {func(s string) string { return filepath.Join(s, "jira-audit-records", "gone.jsonl") }, time.Second, true, true},
		"a stopped one that did":                 {func(s string) string { return filepath.Join(s, "jira-audit-records", "gone.jsonl") }, time.Hour, false, true},
		"one that follows other files":           {func(string) string { return "/var/log/syslog" }, time.Second, true, false},
		"one that sees the spool under another path": {func(string) string {
			return "/host/atlassian_audit_records/spool/jira-audit-records/there.jsonl"
		}, time.Second, true, true},
		"one with a spool of its own": {func(string) string {
			return "/host/atlassian_audit_records/spool/jira-audit-records/other.jsonl"
		}, time.Second, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			spool := filepath.Join(dir, "run", CheckName, "spool")
			if err := os.MkdirAll(filepath.Join(spool, "jira-audit-records"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(spool, "jira-audit-records", "there.jsonl"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, RegistryName)
			file := tt.file(spool)
			if err := WriteRegistry(path, Registry{Files: map[string]RegistryEntry{file: {Offset: 3}}}); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, now.Add(-tt.age), now.Add(-tt.age)); err != nil {
				t.Fatal(err)
			}
			r, err := LookForRival(path, spool, now)
			if err != nil || r.Running != tt.running || (r.File == file) != tt.found || r.File != "" != tt.found {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

func TestWithoutARegistryThereIsNoRival(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), RegistryName)
	for _, text := range []string{"", `{"Version":2,"Regis`} {
		if text != "" {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := LookForRival(path, "/spool", time.Now()); err != nil || r.Running || r.File != "" {
			t.Errorf("%q: %+v, %v", text, r, err)
		}
	}
}
