package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/datadog/datadogtest"
)

// organization is a Datadog organisation, and the program that is pointed at it.
type organization struct {
	*datadogtest.Server
	url string
}

func newOrganization(t *testing.T) *organization {
	t.Helper()
	o := &organization{Server: datadogtest.New()}
	at := httptest.NewServer(o.Server)
	t.Cleanup(at.Close)
	o.url = at.URL
	return o
}

// run runs `assets` as a process, with the organisation's keys unless env says
// otherwise.
func (o *organization) run(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"assets"}, args...)...)
	cmd.Env = append(append(os.Environ(), asProgram+"=1", "DD_SITE=", "DD_API_KEY="+datadogtest.APIKey, "DD_APP_KEY="+datadogtest.AppKey), env...)
	cmd.Args = append(cmd.Args, "--api-url", o.url)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	var exit *exec.ExitError
	if e := cmd.Run(); e != nil && !errors.As(e, &exit) {
		t.Fatalf("start the program: %v", e)
	}
	got := outcome{cmd.ProcessState.ExitCode(), out.String(), err.String()}
	for _, key := range []string{datadogtest.APIKey, datadogtest.AppKey} {
		if strings.Contains(got.Out+got.Err, key) {
			t.Errorf("a key is shown: %+v", got)
		}
	}
	return got
}

// status fails the test where the process ended otherwise.
func (o outcome) want(t *testing.T, status int, said ...string) {
	t.Helper()
	if o.Status != status {
		t.Errorf("ended with %d, want %d: %+v", o.Status, status, o)
	}
	for _, s := range said {
		if !strings.Contains(o.Out+o.Err, s) {
			t.Errorf("%q was not said in %+v", s, o)
		}
	}
}

func TestAssetsFromInstallationToRemoval(t *testing.T) {
	t.Parallel()
	o := newOrganization(t)
	o.run(t, nil, "diff").want(t, 1, "+ pipeline  Jira Audit Records", "+ rule      Atlassian app installed, then data exported", " to create.")
	o.run(t, nil, "install", "--yes").want(t, 0, "created dashboard Jira Audit Records - Overview (abc-")
	o.run(t, nil, "diff").want(t, 0, " as they should be.")

	board := ""
	for _, d := range o.All(datadogtest.Dashboards) {
		if d["title"] == "Jira Audit Records - Overview" {
			board, _ = d["id"].(string)
		}
	}
	o.Edit(datadogtest.Dashboards, board, func(d map[string]any) { d["layout_type"] = "free" })
	o.run(t, nil, "diff").want(t, 1, "~ dashboard Jira Audit Records - Overview ("+board+")", `layout_type: "free" -> "ordered"`, "1 to change, ")

	var answer struct {
		API     string
		Changes []struct{ Action, Kind, Asset string }
		Results []struct {
			Action, ID string
			Done       bool
		}
	}
	got := o.run(t, nil, "install", "--yes", "--json", "--only", "dashboards")
	got.want(t, 0)
	if err := json.Unmarshal([]byte(got.Out), &answer); err != nil {
		t.Fatalf("%v: %s", err, got.Out)
	}
	if len(answer.Results) != 1 || answer.Results[0].ID != board || !answer.Results[0].Done || answer.API != o.url {
		t.Errorf("answer %+v", answer)
	}
	for _, c := range answer.Changes {
		if c.Kind != "dashboards" {
			t.Errorf("--only dashboards looked at %s", c.Kind)
		}
	}

	o.run(t, nil, "remove", "--yes").want(t, 0, "removed rule ", "removed pipeline ")
	left := 0
	for _, kind := range []string{datadogtest.Pipelines, datadogtest.Dashboards, datadogtest.Monitors, datadogtest.Rules} {
		left += len(o.All(kind))
	}
	if left != 2 {
		t.Errorf("%d things are left, and there were 2", left)
	}
	o.run(t, nil, "remove", "--yes").want(t, 0, "Nothing of this program's is there.")
}

func TestAssetsSayWhatWasDoneWhereSomethingFails(t *testing.T) {
	t.Parallel()
	o := newOrganization(t)
	o.SetFault(func(method, path string, _ int) datadogtest.Fault {
		if method == http.MethodPost && path == datadogtest.Rules {
			return datadogtest.Fault{Status: http.StatusForbidden, Body: `{"errors":["Forbidden"]}`}
		}
		return datadogtest.Fault{}
	})
	o.run(t, nil, "install", "--yes").want(t, 1, "created monitor ", "failed  to create the rule ", "security_monitoring_rules_write", "not tried", "run this again")
	o.SetFault(nil)
	o.run(t, nil, "install", "--yes").want(t, 0, "created rule ")
	o.run(t, nil, "diff").want(t, 0)
}

func TestAssetsRefuse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		env    []string
		args   []string
		status int
		says   string
	}{
		{"no API key", []string{"DD_API_KEY="}, []string{"diff"}, 2, "DD_API_KEY is not set"},
		{"no application key", []string{"DD_APP_KEY="}, []string{"install", "--yes"}, 2, "DD_APP_KEY is not set"},
		{"a kind that there is not", nil, []string{"diff", "--only", "boards"}, 2, "pipelines, dashboards, monitors, rules"},
		{"an installation without a terminal", nil, []string{"install"}, 2, "--yes"},
		{"a removal without a terminal", nil, []string{"remove"}, 2, "--yes"},
		{"a command that there is not", nil, []string{"upgrade"}, 2, "unknown flag"},
		{"keys of another organisation", []string{"DD_APP_KEY=0000"}, []string{"install", "--yes"}, 1, "Nothing was changed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newOrganization(t)
			o.run(t, tt.env, tt.args...).want(t, tt.status, tt.says)
			for _, r := range o.Requests() {
				if r.Method != http.MethodGet {
					t.Errorf("%s %s", r.Method, r.Path)
				}
			}
		})
	}
	if diff := cmp.Diff(outcome{Status: 2, Err: "Error: assets has no command \"upgrade\"\nTry: atlassian-audit-records assets --help\n"}, start(t, "", "assets", "upgrade")); diff != "" {
		t.Errorf("outcome (-want +got)\n%s", diff)
	}
}
