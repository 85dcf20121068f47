package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// pastSite is a site with records of a year and an instance that looks back an hour.
func pastSite(t *testing.T, records int) (s *site, backfill func(args ...string) *exec.Cmd, conf string) {
	t.Helper()
	s = newSite(t)
	s.server.Fill(records, 365*24*time.Hour)
	for _, p := range demoProducts {
		s.server.UpdateQuirks(p, func(q *atlassiantest.Quirks) { q.MaxPage = 40 })
	}
	conf = s.confWith("initial_lookback: 1h")
	return s, func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"backfill", "--conf", conf, "--run-path", s.run}, args...)...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		return cmd
	}, conf
}

// confWith writes a conf.yaml whose instance has one more line.
func (s *site) confWith(line string) string {
	s.t.Helper()
	path := s.conf("")
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, "    "+line+"\n"...), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// ended is a process that ran to its end.
func ended(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// wantOnce fails unless each record of the site stands in the spool once.
func (s *site) wantOnce() {
	s.t.Helper()
	held := 0
	for _, p := range demoProducts {
		held += s.server.Len(p)
	}
	lines := s.spooledLines()
	ids := map[string]int{}
	for line, n := range lines {
		var l struct {
			Atlassian struct {
				ID string `json:"record_id"`
			} `json:"atlassian"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Atlassian.ID == "" {
			s.t.Fatalf("the line %q: %v", line, err)
		}
		ids[l.Atlassian.ID] += n
	}
	for id, n := range ids {
		if n > 1 {
			s.t.Errorf("%s stands there %d times", id, n)
		}
	}
	if len(ids) != held {
		s.t.Errorf("%d of %d records are in the spool", len(ids), held)
	}
}

// TestABackfillThatIsInterruptedGoesOn interrupts processes, kills some, and lets the
// check run beside them: in the end each record is there once.
func TestABackfillThatIsInterruptedGoesOn(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent an interrupt there")
	}
	s, backfill, conf := pastSite(t, 2400)
	random := rand.New(rand.NewPCG(20, 26))
	args, interrupted := []string{"--since", "400d", "--max-requests-per-minute", "900"}, 0
	for round := range 8 {
		cmd := backfill(args...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		asked := s.server.Count(atlassiantest.KindAudit)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		const few = 3
		for n := 0; s.server.Count(atlassiantest.KindAudit) < asked+few && n < 1000; n++ {
			wait := time.NewTimer(10 * time.Millisecond)
			<-wait.C
		}
		if got := start(t, "", "check", "--conf", conf, "--run-path", s.run); got.Status != 0 {
			t.Fatalf("a check beside it: %+v", got)
		}
		sig := os.Interrupt
		if round%2 == 1 {
			sig = os.Kill
		}
		wait := time.NewTimer(time.Duration(random.Int64N(int64(200 * time.Millisecond))))
		<-wait.C
		_ = cmd.Process.Signal(sig) // it may have ended
		_ = cmd.Wait()
		if cmd.ProcessState.ExitCode() == statusFailed {
			interrupted++
			if !strings.Contains(out.String(), "To go on where it stopped: atlassian-audit-records backfill\n") || !strings.Contains(errs.String(), "It ends after the page that is being read") {
				t.Errorf("an interrupted backfill said %q and %q", out.String(), errs.String())
			}
			args = []string{"--max-requests-per-minute", "900"}
		}
	}
	if interrupted == 0 {
		t.Error("no backfill was interrupted")
	}
	if got := ended(t, backfill("--since", "400d", "--max-requests-per-minute", "-1")); got.Status != 0 || strings.Count(got.Out, "all of it: ") != 2 {
		t.Fatalf("the last backfill: %+v", got)
	}
	if got := start(t, "", "check", "--conf", conf, "--run-path", s.run); got.Status != 0 {
		t.Fatalf("the last check: %+v", got)
	}
	s.wantOnce()
}

// TestABackfillAndAnotherOne: two processes at once, of which the second gives way.
func TestABackfillAndAnotherOne(t *testing.T) {
	t.Parallel()
	s, backfill, _ := pastSite(t, 600)
	first := backfill("--since", "400d", "--max-requests-per-minute", "120")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	for n := 0; s.server.Count(atlassiantest.KindAudit) < 3 && n < 1000; n++ {
		wait := time.NewTimer(10 * time.Millisecond)
		<-wait.C
	}
	got := ended(t, backfill("--since", "400d", "--json"))
	var answer backfillAnswer
	if err := json.Unmarshal([]byte(got.Out), &answer); err != nil || got.Status != 1 {
		t.Fatalf("%v: %+v", err, got)
	}
	for _, r := range answer.Backfills {
		if r.Done || r.Error == nil || !strings.Contains(*r.Error, "another backfill of it is in progress") {
			t.Errorf("the second one ended with %+v", r)
		}
	}
	if err := first.Wait(); err != nil {
		t.Error("the first one:", err)
	}
	s.wantOnce()
}

func TestADryRunOfABackfill(t *testing.T) {
	t.Parallel()
	s, backfill, _ := pastSite(t, 600)
	got := ended(t, backfill("--since", "400d", "--dry-run"))
	if got.Status != 0 || !strings.Contains(got.Out, "jira of "+s.host+"\n  wanted   ") || !strings.Contains(got.Out, "Nothing was changed.") || strings.Count(got.Out, ", at most 60 a minute\n") != 2 {
		t.Errorf("the estimate is %+v", got)
	}
	if n := lines(t, s.run); n != 0 {
		t.Errorf("it wrote %d lines", n)
	}
	got = ended(t, backfill("--since", "400d", "--dry-run", "--json"))
	var answer estimateAnswer
	if err := json.Unmarshal([]byte(got.Out), &answer); err != nil || len(answer.Estimates) != 2 || answer.Estimates[0].Records < 200 {
		t.Errorf("%v: %+v", err, got)
	}
}

func TestBackfillIsToldWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, backfill, _ := pastSite(t, 10)
	for name, row := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"something that is no time": {[]string{"--since", "yesterday"}, 2, `--since must be a day like 2024-01-01, a time like 2024-01-01T09:00:00Z or how long ago, like 90d, not "yesterday"`},
		"a time ahead":              {[]string{"--since", "2999-01-01"}, 2, "--since (2999-01-01T00:00:00Z) must be in the past"},
		"the end before the start":  {[]string{"--since", "10d", "--until", "20d"}, 2, "must be before --until"},
		"an end alone":              {[]string{"--until", "20d"}, 2, "--until needs --since"},
		"an estimate of nothing":    {[]string{"--dry-run"}, 2, "--dry-run needs --since"},
		"a product of nobody's":     {[]string{"--since", "10d", "--product", "trello"}, 1, `no instance has the product "trello": there are jira, confluence`},
		"a site of nobody's":        {[]string{"--since", "10d", "--instance-filter", "other"}, 1, `no instance's site contains "other"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ended(t, backfill(row.args...))
			if got.Status != row.status || !strings.Contains(got.Err, row.want) || !strings.Contains(got.Err, "Try: ") && row.status == 2 {
				t.Errorf("%+v", got)
			}
		})
	}
	if got := ended(t, backfill()); got.Status != 0 || strings.Count(got.Out, "nothing is left of what was asked for; say with --since what is wanted") != 2 {
		t.Errorf("where nothing is wanted: %+v", got)
	}
}

func TestMomentsThatAPersonWrites(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"2024-01-01":                "2024-01-01T00:00:00Z",
		"2024-01-01T09:00:00+02:00": "2024-01-01T07:00:00Z",
		"90d":                       "2026-08-25T12:00:00Z",
		"36h":                       "2026-11-22T00:00:00Z",
		"-1h":                       "",
		"-3d":                       "",
		"99999d":                    "",
		"1969-12-31":                "",
		"2024-13-01":                "",
		"soon":                      "",
		"":                          "",
	} {
		at, ok := momentOf(text, now)
		if got := at.Format(time.RFC3339); ok != (want != "") || ok && got != want {
			t.Errorf("%q is %s (%t), want %q", text, got, ok, want)
		}
	}
}

func TestTheProgressOfABackfill(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	reading := check.BackfillProgress{Instance: "a.example", Product: "jira", Records: 600, Total: 100 * day, Began: 100 * day, Left: 75 * day, At: now.Add(-25 * day)}
	waiting := reading
	waiting.Why = "the quota"
	done := check.BackfillProgress{Instance: "a.example", Product: "confluence", Records: 1, Total: day, Done: true}
	for _, width := range []int{0, 60, 200} {
		var out bytes.Buffer
		p := newProgress(&out, func() time.Time { return now })
		if width > 0 {
			p.width = func() int { return width }
		}
		at := now
		for range 3 {
			now = now.Add(30 * time.Second)
			p.show([]check.BackfillProgress{reading, waiting, done})
		}
		p.end()
		now = at
		text := out.String()
		switch width {
		case 0:
			want := "2026-11-23T12:01:00Z  25 % jira of a.example: 600 records, back to 2026-10-29, 10/s, 3m 0s left\n" +
				"2026-11-23T12:01:00Z  25 % jira of a.example: 600 records, back to 2026-10-29, 10/s, waiting: the quota\n" +
				"2026-11-23T12:01:00Z 100 % confluence of a.example: 1 record, all is read\n"
			if text != want {
				t.Errorf("without a terminal it wrote\n%s", text)
			}
		case 60:
			for line := range strings.Lines(strings.ReplaceAll(text, "\x1b[3A", "")) {
				line = strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "\r\x1b[2K")
				if n := len([]rune(line)); n > 59 {
					t.Errorf("a line of %d characters: %q", n, line)
				}
			}
		default:
			if strings.Count(text, "\x1b[3A") != 2 || strings.Count(text, "\n") != 9 || !strings.Contains(text, "[#####---------------]  25 % jira of a.example") ||
				!strings.Contains(text, "[####################] 100 % confluence") {
				t.Errorf("on a terminal it wrote\n%q", text)
			}
		}
	}
}
