package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/agent"
)

// acknowledged writes the registry of an Agent that has delivered everything.
func (s *site) acknowledged() {
	s.t.Helper()
	paths, err := filepath.Glob(filepath.Join(agent.Base(s.run), "spool", "*", "*.jsonl"))
	if err != nil || len(paths) == 0 {
		s.t.Fatalf("the spool holds %v (%v)", paths, err)
	}
	reg := agent.Registry{Files: map[string]agent.RegistryEntry{}}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			s.t.Fatal(err)
		}
		reg.Files[path] = agent.RegistryEntry{Offset: info.Size(), LastUpdated: time.Now()}
	}
	if err := agent.WriteRegistry(filepath.Join(s.run, agent.RegistryName), reg); err != nil {
		s.t.Fatal(err)
	}
}

// spooledLines is how often each line stands in the spool.
func (s *site) spooledLines() map[string]int {
	s.t.Helper()
	paths, err := filepath.Glob(filepath.Join(agent.Base(s.run), "spool", "*", "*.jsonl"))
	if err != nil {
		s.t.Fatal(err)
	}
	lines := map[string]int{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			lines[line]++
		}
	}
	return lines
}

func TestReplaySendsDeliveredRecordsOnceMore(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conf := s.conf("")
	replay := func(args ...string) outcome {
		t.Helper()
		return start(t, "", append([]string{"replay", "--conf", conf, "--run-path", s.run}, args...)...)
	}
	if got := start(t, "", "check", "--conf", conf, "--run-path", s.run); got.Status != 0 {
		t.Fatalf("check: %+v", got)
	}
	if got := replay("--since", "1h", "--yes"); got.Status != 0 || strings.Count(got.Out, "nothing to send") != 2 {
		t.Errorf("before anything is delivered: %+v", got)
	}
	s.acknowledged()
	before := len(s.spooledLines())

	if got := replay("--since", "1h"); got.Status != 2 || !strings.Contains(got.Err, "there is no terminal to ask on") {
		t.Errorf("without a terminal: %+v", got)
	}
	got := replay("--since", "1h", "--dry-run")
	for _, part := range []string{"  jira of " + s.host + "\n    20 records, 1 file, ", " bytes would be sent once more\n", "    spooled  ", "    dated    ", "  confluence of " + s.host + "\n"} {
		if got.Status != 0 || !strings.Contains(got.Out, part) {
			t.Errorf("%q is missing: %+v", part, got)
		}
	}
	if n := len(s.spooledLines()); n != before {
		t.Errorf("a dry run made %d lines of %d", n, before)
	}
	if got := replay("--since", "2h", "--until", "1h", "--yes"); got.Status != 0 || strings.Count(got.Out, "nothing to send") != 2 {
		t.Errorf("a span before everything: %+v", got)
	}

	got = replay("--since", "1h", "--product", "jira", "--yes", "--json")
	var answer struct {
		Since, Until time.Time
		Replays      []check.ReplayResult
	}
	if err := json.Unmarshal([]byte(got.Out), &answer); err != nil || got.Status != 0 {
		t.Fatalf("%v: %+v", err, got)
	}
	if r := answer.Replays; len(r) != 1 || r[0].Product != "jira" || r[0].Records != 20 || !r[0].Done || r[0].SpooledFrom == nil || answer.Since.IsZero() {
		t.Errorf("the answer is %s", got.Out)
	}
	twice := 0
	for line, n := range s.spooledLines() {
		if n == 2 && strings.Contains(line, `"ddsource":"jira-audit-records"`) {
			twice++
		} else if n != 1 {
			t.Errorf("%d times: %s", n, line)
		}
	}
	if twice != 20 {
		t.Errorf("%d lines are there twice", twice)
	}
	got = replay("--since", "1h", "--yes")
	if got.Status != 0 || !strings.Contains(got.Out, "left out 20 records, sent again before, last at ") || !strings.Contains(got.Out, "20 records, 1 file, ") {
		t.Errorf("a second time: %+v", got)
	}
	if got = replay("--since", "1h", "--yes", "--again"); got.Status != 0 || strings.Count(got.Out, "20 records, 1 file, ") != 2 {
		t.Errorf("again: %+v", got)
	}
}

// TestReplayTellsWhatItDidBeforeItFailed: the first product's lines are on their way.
func TestReplayTellsWhatItDidBeforeItFailed(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"--yes", "--json"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			conf := s.conf("")
			if got := start(t, "", "check", "--conf", conf, "--run-path", s.run); got.Status != 0 {
				t.Fatalf("check: %+v", got)
			}
			s.acknowledged()
			ledgers, err := filepath.Glob(filepath.Join(agent.Base(s.run), "state", "*", "confluence.db"))
			if err != nil || len(ledgers) != 1 {
				t.Fatalf("%v (%v)", ledgers, err)
			}
			if err := os.WriteFile(filepath.Join(filepath.Dir(ledgers[0]), "confluence.replayed.json"), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
			got := start(t, "", "replay", "--conf", conf, "--run-path", s.run, "--since", "1h", "--yes", how)
			if got.Status != 1 || !strings.Contains(got.Err, "confluence of "+s.host) || !strings.Contains(got.Err, "cannot be read") {
				t.Errorf("%+v", got)
			}
			if !strings.Contains(got.Out, "20 records, 1 file, ") && !strings.Contains(got.Out, `"records": 20,`) && !strings.Contains(got.Out, `"records":20,`) {
				t.Errorf("it does not tell what it did: %+v", got)
			}
		})
	}
}

func TestReplayIsToldWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conf := s.conf("")
	for name, row := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"no time":                  {[]string{"--yes"}, 2, "--since is missing"},
		"something that is none":   {[]string{"--yes", "--since", "yesterday"}, 2, `--since must be a time like 2026-11-23T09:00:00Z or how long ago, like 6h, not "yesterday"`},
		"a time ahead":             {[]string{"--yes", "--since", "-1h"}, 2, "how long ago"},
		"the end before the start": {[]string{"--yes", "--since", "1h", "--until", "2h"}, 2, "must be before --until"},
		"a product of nobody's":    {[]string{"--yes", "--since", "1h", "--product", "trello"}, 1, `no instance has the product "trello": there are jira, confluence`},
		"a site of nobody's":       {[]string{"--yes", "--since", "1h", "--site", "other"}, 1, `no instance's site contains "other"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := start(t, "", append([]string{"replay", "--conf", conf, "--run-path", s.run}, row.args...)...)
			if got.Status != row.status || !strings.Contains(got.Err, row.want) || !strings.Contains(got.Err, "Try: ") && row.status == 2 {
				t.Errorf("%+v", got)
			}
		})
	}
}
