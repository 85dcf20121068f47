package check

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
)

func TestBudget(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                    string
		interval, budget, limit time.Duration
	}{
		{"half the default interval", 15 * time.Second, 7500 * time.Millisecond, 15 * time.Second},
		{"at most half a minute", time.Hour, 30 * time.Second, time.Minute},
		{"a second leaves a request its time", time.Second, 500 * time.Millisecond, 5 * time.Second},
	} {
		if budget, limit := Budget(&Config{Interval: tt.interval}); budget != tt.budget || limit != tt.limit {
			t.Errorf("%s: %s, %s", tt.name, budget, limit)
		}
	}
}

func TestTheAgentsShortcomingsAreWarnedOf(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for _, tt := range []struct {
		name  string
		agent AgentInfo
		want  []string
	}{
		{"an Agent that says nothing", AgentInfo{}, nil},
		{"the first Agent that will do", AgentInfo{Version: "7.77.0", LogsEnabled: &yes}, nil},
		{"a release candidate", AgentInfo{Version: "7.77.0-rc.1+git.3.1"}, nil},
		{"an Agent of the next kind", AgentInfo{Version: "8.0.0"}, nil},
		{"no version at all", AgentInfo{Version: "unknown"}, nil},
		{"an Agent that is too old", AgentInfo{Version: "7.76.3"}, []string{"the Agent's version is 7.76.3, and versions before 7.77 refuse `start_position: beginning` on a wildcard, so that no audit records are sent: update the Agent (agent_too_old)"}},
		{"an Agent of the last kind", AgentInfo{Version: "6.99.1"}, []string{"the Agent's version is 6.99.1, and versions before 7.77 refuse `start_position: beginning` on a wildcard, so that no audit records are sent: update the Agent (agent_too_old)"}},
		{"no logs", AgentInfo{LogsEnabled: &no}, []string{"the Agent collects no logs, so that audit records are spooled, but not sent: set `logs_enabled: true` in datadog.yaml and restart the Agent (logs_disabled)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := &Recorder{}
			r := &run{config: &Config{}, options: Options{Agent: tt.agent}, report: rec}
			r.warnings()
			if got := rec.Recorded().Warnings; strings.Join(got, "|") != strings.Join(tt.want, "|") {
				t.Errorf("warnings %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSafeHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"example.atlassian.net": "example.atlassian.net",
		"Example.Atlassian.NET": "example.atlassian.net",
		"127.0.0.1:8080":        "127.0.0.1_8080",
		"[::1]:8080":            "___1__8080",
		"../../etc/passwd":      ".._.._etc_passwd",
	} {
		if got := safeHost(host); got != want {
			t.Errorf("safeHost(%q) = %q, want %q", host, got, want)
		}
	}
}

func TestTheFilesOfOneStateStandApart(t *testing.T) {
	t.Parallel()
	files := foldersOf(filepath.FromSlash("/run"), "127.0.0.1:80").state(audit.Confluence)
	got := []string{filepath.ToSlash(files.State), filepath.ToSlash(files.Copy), filepath.ToSlash(files.Marker)}
	want := []string{
		"/run/atlassian_audit_records/state/127.0.0.1_80/confluence.db",
		"/run/atlassian_audit_records/state/127.0.0.1_80/confluence.copy.db",
		"/run/atlassian_audit_records/collected/127.0.0.1_80.confluence.json",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestRequestRunPath(t *testing.T) {
	t.Parallel()
	own, agents := filepath.Join(t.TempDir(), "own"), filepath.Join(t.TempDir(), "agent")
	for _, tt := range []struct {
		name string
		req  Request
		want string
	}{
		{"the configuration's", Request{InitConfig: []byte("run_path: '" + own + "'"), Agent: AgentInfo{RunPath: agents}}, own},
		{"the configuration's, whatever else is wrong", Request{InitConfig: []byte("nonsense: 1\nrun_path: '" + own + "'")}, own},
		{"the Agent's", Request{InitConfig: []byte("timeout: 20"), Agent: AgentInfo{RunPath: agents}}, agents},
		{"the Agent's, where the configuration is no YAML", Request{InitConfig: []byte("{"), Agent: AgentInfo{RunPath: agents}}, agents},
		{"the platform's", Request{}, agent.RunPath()},
	} {
		if got := RequestRunPath(&tt.req); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestFileRunPath(t *testing.T) {
	t.Parallel()
	dir, own := t.TempDir(), filepath.Join(t.TempDir(), "own")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yaml", "init_config:\ninstances: []\n")
	write("b.yaml", "init_config: {run_path: '"+own+"'}\ninstances: []\n")
	env := Env{RunPath: "default"}
	for path, want := range map[string]string{
		dir:                          own,
		filepath.Join(dir, "a.yaml"): "default",
		filepath.Join(dir, "b.yaml"): own,
		filepath.Join(dir, "c.yaml"): "default",
	} {
		if got := FileRunPath(path, env); got != want {
			t.Errorf("FileRunPath(%s) = %q, want %q", path, got, want)
		}
	}
}

func TestCollect(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		req := &Request{
			Instance: []byte("site: " + atlassiantest.DefaultSiteURL + "\ntags: [team:audit]\nauth: " + classicAuth),
			Agent:    AgentInfo{RunPath: w.run, Version: "7.70.1"},
		}
		rec := &Recorder{}
		var limit time.Duration
		if res := Collect(t.Context(), req, w.options, Env{}, rec, func(l time.Duration) { limit = l }); res.Error != "" {
			t.Fatal(res.Error)
		}
		w.wantSpooled(audit.Jira, audit.Confluence)
		if limit != 15*time.Second {
			t.Errorf("the limit is %s", limit)
		}
		if got := rec.Recorded().Warnings; len(got) != 1 || !strings.Contains(got[0], "7.70.1") {
			t.Errorf("warnings %v", got)
		}
	})
}

func TestCollectTellsAllThatIsWrongWithTheConfiguration(t *testing.T) {
	t.Parallel()
	res := Collect(t.Context(), &Request{InitConfig: []byte("timout: 1"), Instance: []byte("lookbak: 1")}, Options{}, Env{}, &Recorder{}, nil)
	for _, part := range []string{"the configuration is not valid: ", "did you mean timeout?", "did you mean lookback?", "instance.site: is missing", "instance.auth: is missing"} {
		if !strings.Contains(res.Error, part) {
			t.Errorf("%q is missing in %q", part, res.Error)
		}
	}
}

func TestAFullDiskIsASentence(t *testing.T) {
	t.Parallel()
	r := &run{config: &Config{}, folders: folders{base: "/run/base"}}
	s := &stream{product: audit.Jira}
	got := r.local(s, fmt.Errorf("commit to the state: %w", syscall.ENOSPC)).Error()
	for _, part := range []string{"the disk is full: commit to the state", "free some space on the file system of /run/base", "nothing is lost"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is missing in %q", part, got)
		}
	}
	if got := sentenceOf(r.local(s, fmt.Errorf("commit to the state: %w", syscall.ENOSPC))); !strings.HasSuffix(got, " (disk_full)") {
		t.Errorf("%q does not end with its code", got)
	}
	if got := r.local(s, errors.New("something else")).Error(); strings.Contains(got, "disk") {
		t.Errorf("another error became %q", got)
	}
	if got := r.local(s, full{}).Error(); got != "jira of : full, free some" {
		t.Errorf("an error that says it all became %q", got)
	}
}

// full is an error as the spool makes it.
type full struct{}

func (full) Error() string  { return "full, free some" }
func (full) DiskFull() bool { return true }
