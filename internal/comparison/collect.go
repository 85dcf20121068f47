package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// collectWord is the argument that makes this program one run of the check.
const collectWord = "collect"

// ours is this check, configured as `setup` leaves it, at that interval. self
// is a program that calls collect when its argument is collectWord.
func ours(interval time.Duration, self string) collector {
	products := []string{atlassiantest.Jira, atlassiantest.Confluence}
	return collector{
		name: "this check", products: products, interval: interval,
		hire: func(s *site, folder string) (*crew, error) {
			o := s.Options()
			request, err := json.Marshal(map[string]any{
				"protocol": check.ProtocolVersion, "check_id": "comparison", "check_name": agent.CheckName, "init_config": map[string]any{},
				"instance": map[string]any{
					"site": s.url, "gateway": s.url, "auth_server": s.url, "skip_proxy": true, "min_collection_interval": interval.Seconds(),
					"auth": map[string]any{"type": "api_token", "email": o.Email, "api_token": o.ClassicToken},
				},
				"agent": map[string]any{"version": "7.77.0", "hostname": "comparison", "run_path": folder, "logs_run_path": folder, "logs_enabled": true, "log_level": "error"},
			})
			if err != nil {
				return nil, fmt.Errorf("encode the request: %w", err)
			}
			// The limits of memory are those that the program sets for itself.
			c := newCrew(folder, &hand{products: products, argv: []string{self, collectWord},
				env: append(os.Environ(), check.RequestVariable+"="+string(request), "GOMEMLIMIT=40MiB", "GOGC=50")})
			base := agent.Base(folder)
			var patterns []string
			for _, p := range products {
				patterns = append(patterns, filepath.Join(agent.SpoolDir(base, p+"-audit-records"), "*.jsonl"))
			}
			c.arrive = linesOf(patterns...)
			return c, nil
		},
	}
}

// collect is one run of the check, as the program's `collect` is, but for the
// clock: it is the script's.
func collect(ctx context.Context, getenv func(string) string, out io.Writer) int {
	now, err := scriptClock(getenv(nowVariable))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	w := check.NewWriter(out)
	req, err := check.ReadRequest(strings.NewReader(""), getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	check.SetupLog(w, req.Agent.LogLevel)
	res := check.Collect(ctx, req, check.Options{Version: "comparison", Now: now}, check.Env{Getenv: getenv}, w, nil)
	if err := w.Result(res.Error); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	tellPeak(getenv(usageVariable))
	return 0
}

// scriptClock starts at the time that text says and goes on from there.
func scriptClock(text string) (func() time.Time, error) {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%s does not say the time: %w", nowVariable, err)
	}
	base, started := time.UnixMilli(ms), time.Now()
	return func() time.Time { return base.Add(time.Since(started)) }, nil
}

// tellPeak writes down the most memory that this process had, where the system
// tells. The system's own account of a process that has ended counts what its
// parent had before.
func tellPeak(file string) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil || file == "" {
		return
	}
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, "VmHWM:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			return
		}
		f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return
		}
		_, _ = fmt.Fprintln(f, kib<<10)
		_ = f.Close()
	}
}
