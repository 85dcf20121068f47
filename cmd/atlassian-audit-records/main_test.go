package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// asProgram makes the test binary the program.
const asProgram = "ATLASSIAN_AUDIT_RECORDS_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	if options := os.Getenv(asSite); options != "" {
		if err := serveSite(options, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// outcome is how a process ended.
type outcome struct {
	Status   int
	Out, Err string
}

// start runs the program as a process of its own.
func start(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdin = strings.NewReader(stdin)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	var exit *exec.ExitError
	if e := cmd.Run(); e != nil && !errors.As(e, &exit) {
		t.Fatalf("start the program: %v", e)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), err.String()}
}

const configs = "../../testdata/config/"

func TestWrongUseEndsWithStatusTwoAndSaysWhatToTry(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"a command that there is not", []string{"banana"}, "Error: there is no command \"banana\"\nTry: atlassian-audit-records --help\n"},
		{"a misspelt command", []string{"validat"}, "Error: there is no command \"validat\"\nTry: atlassian-audit-records validate\n"},
		{"a flag that there is not", []string{"validate", "--config", "x"}, "Error: unknown flag: --config\nTry: atlassian-audit-records validate --help\n"},
		{"a flag without its value", []string{"validate", "--conf"}, "Error: flag needs an argument: --conf\nTry: atlassian-audit-records validate --help\n"},
		{"an argument too many", []string{"version", "2"}, "Error: version takes no argument, but was given \"2\"\nTry: atlassian-audit-records version --help\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(outcome{Status: 2, Err: tt.want}, start(t, "", tt.args...)); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		conf string
		want outcome
	}{
		{"a good file", "good-logs.yaml", outcome{0, "The configuration is valid: 1 instance, 0 warnings.\n", ""}},
		{"a good folder", "good-folder", outcome{0, "The configuration is valid: 2 instances, 0 warnings.\n", ""}},
		{"handles of the Agent's secret management", "invalid-secret-handle.yaml", outcome{0,
			"warning: invalid-secret-handle.yaml: logs: has no entry of type file for /opt/datadog-agent/run/atlassian_audit_records/spool/jira-audit-records/*.jsonl: jira records would be spooled, but not sent to Datadog\n" +
				"warning: invalid-secret-handle.yaml: logs: has no entry of type file for /opt/datadog-agent/run/atlassian_audit_records/spool/confluence-audit-records/*.jsonl: confluence records would be spooled, but not sent to Datadog\n" +
				"The configuration is valid: 1 instance, 2 warnings.\n", ""}},
		{"a bad file", "invalid-interval.yaml", outcome{1,
			"error: invalid-interval.yaml:8: instances[0].min_collection_interval: must be a whole number of seconds, like 15, without quotes or unit\n" +
				"error: invalid-interval.yaml:9: instances[0].timeout: must be a number of seconds, like 30, without quotes or unit\n" +
				"The configuration is not valid: 2 problems.\n", ""}},
		{"a file that is not there", "none.yaml", outcome{1, "",
			"Error: " + filepath.FromSlash(configs+"none.yaml") + " does not exist: give the path of conf.yaml, or of its folder, with --conf\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := start(t, "", "validate", "--run-path", "/opt/datadog-agent/run", "--conf", filepath.FromSlash(configs+tt.conf))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

func TestValidateAnswersInJSON(t *testing.T) {
	t.Parallel()
	got := start(t, "", "validate", "--json", "--conf", filepath.FromSlash(configs+"invalid-unknown-key.yaml"))
	want := `{
  "valid": false,
  "instances": 0,
  "problems": [
    {
      "file": "invalid-unknown-key.yaml",
      "line": 8,
      "path": "instances[0]",
      "text": "has the unknown option \"lookbak\": did you mean lookback?"
    }
  ],
  "warnings": []
}
`
	if diff := cmp.Diff(outcome{1, want, ""}, got); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if got := start(t, "", "version"); got.Status != 0 || got.Err != "" || !strings.HasPrefix(got.Out, "atlassian-audit-records dev (go1.") {
		t.Errorf("outcome %+v", got)
	}
	got := start(t, "", "version", "--json")
	var v struct {
		Version  string
		Protocol int
	}
	if err := json.Unmarshal([]byte(got.Out), &v); err != nil || v.Version != "dev" || v.Protocol != 1 {
		t.Errorf("outcome %+v, error %v", got, err)
	}
}

func TestTheLinkerSetsTheVersion(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "program")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-X main.version=1.2.3", "-o", path, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), path, "version").Output()
	if err != nil || !strings.HasPrefix(string(out), "atlassian-audit-records 1.2.3 (") {
		t.Errorf("version prints %q, error %v", out, err)
	}
}

func TestWithoutACommandTheHelpIsPrinted(t *testing.T) {
	t.Parallel()
	got := start(t, "")
	if got.Status != 0 || got.Err != "" || !strings.Contains(got.Out, "Available Commands:") {
		t.Errorf("outcome %+v", got)
	}
}

func TestTheHelpOfEveryCommandShowsAnExample(t *testing.T) {
	t.Parallel()
	root := newRootCommand(stdio{in: strings.NewReader(""), out: &bytes.Buffer{}, err: &bytes.Buffer{}, getenv: os.Getenv}, new(bool), commands()...)
	all := append([]*cobra.Command{root}, root.Commands()...)
	if len(all) < 3 {
		t.Fatalf("there are only %d commands", len(all))
	}
	for _, c := range all {
		if c.Short == "" || !strings.Contains(c.Example, program+" ") {
			t.Errorf("%s has the short text %q and the example %q", c.CommandPath(), c.Short, c.Example)
		}
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		if got := start(t, "", args...); got.Status != 0 || !strings.Contains(got.Out, "Examples:") || got.Err != "" {
			t.Errorf("%v: outcome %+v", args, got)
		}
	}
}
