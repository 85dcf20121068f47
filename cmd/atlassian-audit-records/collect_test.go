package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func TestCollectSpeaksTheProtocol(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := start(t, s.request(), "collect")
	a := readAnswer(t, got.Out)
	if got.Status != 0 || got.Err != "" || a.result["error"] != nil {
		t.Errorf("outcome %+v", got)
	}
	if a.types["service_check"] != 4 || a.types["metric"] < 20 || a.types["warning"] != 0 || a.types["result"] != 1 {
		t.Errorf("lines by type: %v", a.types)
	}
	if _, there := a.result["error"]; !there {
		t.Error("the result lacks its error, which is null")
	}
	if n := lines(t, s.run); n != 40 {
		t.Errorf("%d lines are in the spool", n)
	}

	s.server.ForgetRequests()
	again := start(t, s.request(), "collect")
	if again.Status != 0 || lines(t, s.run) != 40 {
		t.Errorf("a second run: %+v, %d lines", again, lines(t, s.run))
	}
	if n := s.server.Count(atlassiantest.KindAudit); n > 4 {
		t.Errorf("a second run asked %d times", n)
	}
	if n := s.server.Count(atlassiantest.KindTenantInfo); n != 0 {
		t.Errorf("a second run looked the cloudId up")
	}
}

func TestCollectReadsTheEnvironmentFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "collect")
	cmd.Env = append(os.Environ(), asProgram+"=1", check.RequestVariable+"="+s.request())
	cmd.Stdin = strings.NewReader("not the request")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if a := readAnswer(t, string(out)); a.result["error"] != nil {
		t.Errorf("the result is %v", a.result)
	}
}

func TestCollectEndsWithTheStatusThatItsResultCallsFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.server.Revoke(atlassiantest.Classic)
	for _, tt := range []struct {
		name, request string
		status        int
		want          string
	}{
		{"no request", "", 2, "the request cannot be read: it is empty"},
		{"half a request", `{"protocol": 1`, 2, "the request cannot be read: the JSON object is cut short"},
		{"another protocol", `{"protocol": 2, "instance": ""}`, 2, "the request cannot be read: the adapter speaks another version"},
		{"a bad configuration", `{"protocol": 1, "instance": "site: 1"}`, 1, "the configuration is not valid: instance.site: must be text"},
		{"a token that is refused", s.request(), 1, "Atlassian does not accept the credential (status 401)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := start(t, tt.request, "collect")
			a := readAnswer(t, got.Out)
			if text, _ := a.result["error"].(string); got.Status != tt.status || !strings.HasPrefix(text, tt.want) || got.Err != "" {
				t.Errorf("outcome %+v", got)
			}
			if strings.Contains(got.Out, atlassiantest.DefaultClassicToken) {
				t.Error("the token is in the answer")
			}
		})
	}
}

// requestOfALibrary is what an adapter writes that the Agent tells nothing of itself.
func (s *site) requestOfALibrary(datadogConf string) string {
	s.t.Helper()
	text, err := json.Marshal(map[string]any{
		"protocol": 1, "check_id": "x", "check_name": "atlassian_audit_records", "init_config": "", "instance": s.instance(""),
		"agent": map[string]any{"datadog_conf": datadogConf},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func TestCollectReadsTheAgentsSettingsForAnAdapterThatIsToldNone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	datadog := filepath.Join(t.TempDir(), "datadog.yaml")
	for _, tt := range []struct {
		name, datadog string // of the file; empty is none
		env           []string
		warns         string
	}{
		{"from datadog.yaml", "run_path: " + s.run + "\nlogs_enabled: true\n", nil, ""},
		{"where it collects no logs", "run_path: " + s.run + "\n", nil, "the Agent collects no logs"},
		{"from the environment, where there is no file", "", []string{"DD_RUN_PATH=" + s.run, "DD_LOGS_ENABLED=true"}, ""},
		{"from the environment, where the file is damaged", "run_path: [", []string{"DD_RUN_PATH=" + s.run, "DD_LOGS_ENABLED=true"}, "the Agent's settings were left out: " + datadog},
	} {
		if err := os.WriteFile(datadog, []byte(tt.datadog), 0o600); err != nil {
			t.Fatal(err)
		}
		if tt.datadog == "" {
			if err := os.Remove(datadog); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0], "collect")
		cmd.Env = append(append(os.Environ(), asProgram+"=1"), tt.env...)
		cmd.Stdin = strings.NewReader(s.requestOfALibrary(datadog))
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", tt.name, err, out)
		}
		if n := lines(t, s.run); n != 40 { // the first run collects them, the others know that
			t.Errorf("%s: %d lines are in the run path that was set", tt.name, n)
		}
		if got := strings.Contains(string(out), `"type":"warning"`); got != (tt.warns != "") || !strings.Contains(string(out), tt.warns) {
			t.Errorf("%s: want the warning %q:\n%s", tt.name, tt.warns, out)
		}
	}
}

func TestAReaderThatIsGoneEndsTheProcess(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "collect")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdin, cmd.Stdout = strings.NewReader(s.request()), w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the process ended as if it had been heard")
	}
	if got := start(t, s.request(), "collect"); got.Status != 0 || lines(t, s.run) != 40 {
		t.Errorf("the next run: %+v, %d lines", got, lines(t, s.run))
	}
}

func TestAProcessThatIsKilledLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.server.Fill(4000, 6*time.Hour)
	killed := 0
	for kill := 1; kill <= 4; kill++ {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "collect")
		cmd.Env = append(os.Environ(), asProgram+"=1")
		cmd.Stdin = strings.NewReader(s.request())
		struck := make(chan struct{}, 100)
		fault := s.server.Fault(atlassiantest.Fault{Nth: kill, Action: atlassiantest.Do(func() { struck <- struct{}{} })})
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-struck:
			_ = cmd.Process.Kill() // it may have ended meanwhile
			if <-ended != nil {
				killed++
			}
		case <-ended:
		}
		fault.Disarm()
	}
	if killed < 2 {
		t.Errorf("only %d processes were killed", killed)
	}
	if got := start(t, s.request(), "collect"); got.Status != 0 || lines(t, s.run) != 4040 {
		t.Errorf("the last run: %+v, %d lines", got, lines(t, s.run))
	}
}

func TestCollectKeepsNothingOpenOfWhoStartedIt(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("handles are inherited by name there")
	}
	s := newSite(t)
	theirs, inherited, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "collect")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.ExtraFiles = []*os.File{inherited}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := errors.Join(cmd.Start(), inherited.Close(), theirs.SetReadDeadline(time.Now().Add(20*time.Second))); err != nil {
		t.Fatal(err)
	}
	// The pipe ends while the program waits for its request: nobody holds the other end.
	if n, err := theirs.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the descriptor is still open: %v", err)
	}
	if _, err := io.WriteString(stdin, s.request()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(stdin.Close(), cmd.Wait()); err != nil || lines(t, s.run) != 40 {
		t.Errorf("the run: %v, %d lines\n%s", err, lines(t, s.run), out.String())
	}
}

// slow never gives what is asked of it.
type slow struct{}

func (slow) Read([]byte) (int, error) { select {} }

func TestCollectGivesUpInTheEnd(t *testing.T) {
	t.Parallel()
	gone, end := context.WithCancelCause(t.Context())
	end(agent.ErrParentGone)
	for _, tt := range []struct {
		name string
		ctx  context.Context
		want string
	}{
		{"a request that never comes", t.Context(), "the run did not end in its time"},
		{"a parent that is gone", gone, "the process that started this one is gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			status := collectWithin(tt.ctx, stdio{in: slow{}, out: &out, err: io.Discard, getenv: func(string) string { return "" }}, time.Millisecond, time.Millisecond)
			text, _ := readAnswer(t, out.String()).result["error"].(string)
			if status != 1 || !strings.HasPrefix(text, tt.want) {
				t.Errorf("status %d, error %q", status, text)
			}
		})
	}
}

func TestCollectAsRootLeavesNothingOfRoots(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" || os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	s := newSite(t)
	const uid = 54321 // a user that no system knows
	if err := errors.Join(os.Mkdir(s.run, 0o755), os.Chown(s.run, uid, uid)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Dir(s.run), filepath.Dir(filepath.Dir(s.run))} {
		if err := os.Chmod(dir, 0o755); err != nil { // the other user must get through what t.TempDir made
			t.Fatal(err)
		}
	}
	if got := start(t, s.request(), "collect"); got.Status != 0 {
		t.Fatalf("outcome %+v", got)
	}
	owners := map[string]int{}
	out, err := exec.CommandContext(t.Context(), "find", s.run, "-printf", "%U\n").Output()
	if err != nil {
		t.Skip("no GNU find: ", err)
	}
	for _, owner := range strings.Fields(string(out)) {
		owners[owner]++
	}
	if len(owners) != 1 || owners["54321"] < 10 {
		t.Errorf("files by owner: %v", owners)
	}
}
