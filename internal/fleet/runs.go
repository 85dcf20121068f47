package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/agent"
)

// collectWord is the argument that makes this program one run of the check at
// another time, which the program itself cannot be told.
const collectWord = "collect-ahead"

const (
	// roleVariable tells a test binary that it is one of the processes here.
	roleVariable = "FLEET_ROLE"
	// aheadVariable is how far the clock of a run is ahead, as a duration.
	aheadVariable = "FLEET_AHEAD"
	// patience is how long one run may take.
	patience = 2 * time.Minute
)

// runners are the Agent's, with its instances.
type runners struct {
	n       int
	program string // what collects; this program itself where it is empty
	self    string
	runPath string
	places  []place
}

// round is what the runs of all instances used.
type round struct {
	runs    int
	cpu     time.Duration // of all runs
	wall    time.Duration // of all runs, one after the other
	elapsed time.Duration // from the first to the last
	peak    int64         // the most memory of one of them, in bytes; 0 where the system does not tell
}

// all runs every instance's once, as many at a time as there are runners, with the
// clock so far ahead.
func (r *runners) all(ctx context.Context, every int, ahead time.Duration) (out round, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	queue := make(chan place)
	var mu sync.Mutex
	var done sync.WaitGroup
	for range r.n {
		done.Go(func() {
			for p := range queue {
				u, runErr := r.one(ctx, p, ahead)
				mu.Lock()
				out.runs++
				out.cpu += u.cpu
				out.wall += u.wall
				out.peak = max(out.peak, u.peak)
				if runErr != nil && err == nil {
					err = fmt.Errorf("a run for %s: %w", p.URL, runErr)
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	for i, p := range r.places {
		if i%every == 0 {
			queue <- p
		}
	}
	close(queue)
	done.Wait()
	out.elapsed = time.Since(began)
	return out, err
}

// one is a run as the adapter starts it: a process that is handed its request in
// the environment.
func (r *runners) one(ctx context.Context, p place, ahead time.Duration) (u round, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	logs := true
	request, err := json.Marshal(map[string]any{
		"protocol": check.ProtocolVersion, "check_id": p.URL, "check_name": agent.CheckName, "init_config": map[string]any{},
		"instance": map[string]any{
			"site": p.URL, "gateway": p.URL, "auth_server": p.URL, "skip_proxy": true, "min_collection_interval": 60,
			"auth": map[string]any{"type": "api_token", "email": p.Email, "api_token": p.Token},
		},
		"agent": map[string]any{"version": "7.77.0", "hostname": "fleet", "run_path": r.runPath, "logs_run_path": r.runPath, "logs_enabled": logs, "log_level": "error"},
	})
	if err != nil {
		return u, fmt.Errorf("encode the request: %w", err)
	}
	program, word := r.program, "collect"
	env := append(os.Environ(), check.RequestVariable+"="+string(request))
	if program == "" || ahead != 0 {
		// The limits of memory are those that the program sets for itself.
		program, word = r.self, collectWord
		env = append(env, roleVariable+"=yes", aheadVariable+"="+ahead.String(), "GOMEMLIMIT=44MiB", "GOGC=200")
	}
	cmd := exec.CommandContext(ctx, program, word) //nolint:gosec // the operator names the program
	cmd.Env = env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	runErr := cmd.Run()
	u.wall = time.Since(began)
	if cmd.ProcessState != nil {
		u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		u.peak = peakOf(cmd.ProcessState)
	}
	if err := resultOf(stdout.Bytes()); err != nil {
		return u, errors.Join(err, runErr, errors.New(strings.TrimSpace(stderr.String())))
	}
	return u, runErr
}

// resultOf is the error of the line with the result.
func resultOf(answer []byte) error {
	for line := range bytes.Lines(answer) {
		var l struct {
			Type    string  `json:"type"`
			Error   *string `json:"error"`
			Message string  `json:"message"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			return fmt.Errorf("the answer has a line that is no JSON: %w", err)
		}
		switch {
		case l.Type == "warning":
			return fmt.Errorf("it warns: %s", l.Message)
		case l.Type == "result" && l.Error != nil:
			return errors.New(*l.Error)
		case l.Type == "result":
			return nil
		}
	}
	return errors.New("the answer has no result")
}

// collectAhead is one run of the check, as the program's `collect` is, but for the
// clock.
func collectAhead(ctx context.Context, getenv func(string) string) int {
	ahead, err := time.ParseDuration(getenv(aheadVariable))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	w := check.NewWriter(os.Stdout)
	req, err := check.ReadRequest(strings.NewReader(""), getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	check.SetupLog(w, req.Agent.LogLevel)
	now := func() time.Time { return time.Now().Add(ahead) }
	res := check.Collect(ctx, req, check.Options{Version: "fleet", Now: now}, check.Env{Getenv: getenv}, w, nil)
	if err := w.Result(res.Error); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
