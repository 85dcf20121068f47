package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func TestStatusTellsPeople(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conf := s.conf("")
	got := start(t, "", "status", "--conf", conf, "--run-path", s.run)
	if got.Status != 1 || !strings.Contains(got.Out, "note:          nothing has been collected yet\n") || !strings.HasSuffix(got.Out, "A person must act: see \"to do\" above.\n") {
		t.Errorf("before the first run: %+v", got)
	}
	if got := start(t, "", "check", "--conf", conf, "--run-path", s.run); got.Status != 0 {
		t.Fatalf("check: %+v", got)
	}
	s.server.ForgetRequests()
	got = start(t, "", "status", "--conf", conf, "--run-path", s.run)
	for _, part := range []string{s.host + " (conf.yaml: instances[0])\n  credential: api_token (classic), its end is not known (auth.expires says it)\n",
		"    covered:       ", "    open gaps:     none\n", "    newest record: ", "    lag:           ", "    undelivered:   ", "    waits:         for nothing\n",
		", done: 20 new records and ", "    can_connect:   OK\n    is_current:    OK\n"} {
		if !strings.Contains(got.Out, part) {
			t.Errorf("%q is missing in\n%s", part, got.Out)
		}
	}
	if got.Status != 0 || got.Err != "" || !strings.HasSuffix(got.Out, "Nothing is to be done.\n") || len(s.server.Requests()) != 0 {
		t.Errorf("outcome %+v, %d requests", got, len(s.server.Requests()))
	}
}

func TestStatusAsksNothingMoreForWhatIsOver(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conf := s.conf("")
	s.server.Deny("jira", atlassiantest.NotAdmin)
	start(t, "", "check", "--conf", conf, "--run-path", s.run)
	if got := start(t, "", "status", "--conf", conf, "--run-path", s.run); got.Status != 1 || strings.Count(got.Out, "    next step:     give it ") != 1 {
		t.Errorf("while it lasts: %+v", got)
	}
	s.server.Deny("jira", atlassiantest.Allowed)
	start(t, "", "check", "--conf", conf, "--run-path", s.run)
	if got := start(t, "", "status", "--conf", conf, "--run-path", s.run); got.Status != 0 || !strings.Contains(got.Out, ", over: the account may not read ") || strings.Contains(got.Out, "next step") {
		t.Errorf("when it is over: %+v", got)
	}
}

func TestStatusAnswersInJSON(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.server.Deny("jira", atlassiantest.NotAdmin)
	conf := s.conf("")
	start(t, "", "check", "--conf", conf, "--run-path", s.run)
	got := start(t, "", "status", "--json", "--conf", conf, "--run-path", s.run)
	var out struct {
		At        time.Time
		RunPath   string `json:"run_path"`
		MustAct   bool   `json:"must_act"`
		Instances []struct {
			Instance   string
			Credential struct{ Type, Kind string }
			Products   []struct {
				Product string
				Source  string
				Gaps    []any
				Covered *struct{ From, To time.Time }
				Lag     *float64         `json:"lag_seconds"`
				Newest  *time.Time       `json:"newest_record"`
				Failure *check.LastError `json:"last_error"`
				Act     []string
			}
		}
	}
	if err := json.Unmarshal([]byte(got.Out), &out); err != nil || got.Status != 1 || got.Err != "" || !out.MustAct || out.RunPath != s.run ||
		len(out.Instances) != 1 || len(out.Instances[0].Products) != 2 || out.Instances[0].Instance != s.host {
		t.Fatalf("outcome %+v, %v", got, err)
	}
	jira, confluence := out.Instances[0].Products[0], out.Instances[0].Products[1]
	if jira.Failure == nil || jira.Failure.Code != "not_admin" || jira.Failure.Next == "" || len(jira.Act) != 1 || jira.Act[0] != jira.Failure.Error || jira.Covered != nil {
		t.Errorf("jira: %+v", jira)
	}
	if confluence.Failure != nil || len(confluence.Act) != 0 || confluence.Source != "state" || confluence.Gaps == nil ||
		confluence.Covered == nil || !confluence.Covered.From.Before(confluence.Covered.To) || confluence.Lag == nil || confluence.Newest == nil {
		t.Errorf("confluence: %+v", confluence)
	}
}

// TestStatusNeedsNoSecret is about a configuration as it lies on the disk, with
// handles that only the Agent resolves.
func TestStatusNeedsNoSecret(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conf := s.conf("")
	start(t, "", "check", "--conf", conf, "--run-path", s.run)
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), atlassiantest.DefaultClassicToken, "ENC[atlassian_token]", 1))
	if err := os.WriteFile(conf, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := start(t, "", "status", "--conf", conf, "--run-path", s.run); got.Status != 0 || got.Err != "" {
		t.Errorf("outcome %+v", got)
	}
}

func TestWhatIsUndeliveredForPeople(t *testing.T) {
	t.Parallel()
	for want, u := range map[string]check.Undelivered{
		"nothing":                        {},
		"120 bytes, the oldest for 1h0m": {Bytes: 120, AgeSeconds: 3600},
		"120 bytes, the oldest for 17h30m; 100 of them are about to be spooled again as late":   {Bytes: 120, AgeSeconds: 63000, TakenOut: 100},
		"nothing; 1 file given up, whose end was never acknowledged: a.jsonl":                   {GivenUp: []string{"a.jsonl"}},
		"nothing; 4 files given up, whose end was never acknowledged: a.jsonl, b, c and 1 more": {GivenUp: []string{"a.jsonl", "b", "c", "d"}},
	} {
		if got := undeliveredText(u); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestStatusWarnsOfMoreFilesThanTheAgentFollows(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conf := s.conf("")
	if got := start(t, "", "check", "--conf", conf, "--run-path", s.run); got.Status != 0 {
		t.Fatalf("check: %+v", got)
	}
	for _, tt := range []struct {
		name      string
		limit     int
		status    int
		said      string
		warn, act int
	}{
		{"two products and a limit of one must be mended", 1, 1, "\nto do: the Agent follows 1 log files at a time, and 2 products with a file each are configured: ", 0, 1},
		{"a limit that is reached when files roll is a warning", 3, 0, "\nwarning: the Agent follows 3 log files at a time, and 2 products are configured, ", 1, 0},
		{"room for two files a product is nothing to tell", 4, 0, "", 0, 0},
	} {
		datadog := filepath.Join(t.TempDir(), "datadog.yaml")
		if err := os.WriteFile(datadog, fmt.Appendf(nil, "logs_config: {open_files_limit: %d}\n", tt.limit), 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"status", "--conf", conf, "--run-path", s.run, "--datadog-conf", datadog}
		got := start(t, "", args...)
		if got.Status != tt.status || !strings.Contains(got.Out, tt.said) || strings.Count(got.Out, "(open_files)") != tt.warn+tt.act {
			t.Errorf("%s: %+v", tt.name, got)
		}
		var out struct {
			Warnings, Act []string
			MustAct       bool `json:"must_act"`
		}
		if err := json.Unmarshal([]byte(start(t, "", append(args, "--json")...).Out), &out); err != nil || len(out.Warnings) != tt.warn || len(out.Act) != tt.act || out.MustAct != (tt.act > 0) {
			t.Errorf("%s, as JSON: %+v, %v", tt.name, out, err)
		}
	}
}

func TestStatusOfASiteThatOnlyTheAgentKnows(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := start(t, "", "status", "--conf", s.handled(s.conf("")), "--run-path", s.run)
	if got.Status != 1 || got.Out != "" || !strings.HasPrefix(got.Err, "conf.yaml: instances[0]: the site is a handle (ENC[…])") {
		t.Errorf("outcome %+v", got)
	}
}

func TestValidateSaysWhenACredentialExpires(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, tt := range []struct {
		name string
		days int
		want string
		warn bool
	}{{"far away", 90, ": the credential (api_token) expires on ", false}, {"near", 9, "warning: conf.yaml: instances[0].auth.expires: the credential expires on ", true}} {
		conf := s.conf("")
		text, err := os.ReadFile(conf)
		if err != nil {
			t.Fatal(err)
		}
		day := time.Now().AddDate(0, 0, tt.days).UTC().Format(time.DateOnly)
		text = []byte(strings.Replace(string(text), "type: api_token", "type: api_token\n      expires: "+day, 1))
		if err := os.WriteFile(conf, text, 0o600); err != nil {
			t.Fatal(err)
		}
		got := start(t, "", "validate", "--conf", conf)
		if got.Status != 0 || !strings.Contains(got.Out, tt.want+day) || strings.Contains(got.Out, "auth.expires: the credential") != tt.warn {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}
