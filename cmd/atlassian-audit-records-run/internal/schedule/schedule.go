// Package schedule runs the check's instances as the Agent's adapter does: each
// run is a process of its own, `atlassian-audit-records collect`, which is handed
// one request and answers with JSON lines.
//
// A process that may die at any instant is what the check is made for: a run
// that hangs is ended, its memory is given back, an upgrade needs no restart, and
// no mistake in it can take the sender down. The package promises that no
// instance overlaps itself and that no more than four run at once, as in the
// Agent. It keeps nothing.
package schedule

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// runners is how many instances run at once, as in the Agent.
	runners = 4
	// overtime is what a run gets beyond its own limit: it ends by itself.
	overtime = 15 * time.Second
	// farewell is what a process has, once it was told, before it is killed.
	farewell = time.Second
	// maxLine bounds a line of a run's answer.
	maxLine = 1 << 20
)

// A Job is an instance.
type Job struct {
	// Name names it to a person.
	Name string
	// Interval is the time from the start of one run to the start of the next, and
	// Limit when a run is over.
	Interval, Limit time.Duration
	// Request is what the run reads from its standard input.
	Request []byte
}

// A Line is a line of a run's answer.
type Line struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Status  int      `json:"status"`
	Message string   `json:"message"`
	Level   string   `json:"level"`
	Title   string   `json:"title"`
	Text    string   `json:"text"`
	Tags    []string `json:"tags"`
	Error   *string  `json:"error"`
}

// A Runner runs jobs.
type Runner struct {
	// Program is the file of atlassian-audit-records, and Env its environment.
	Program string
	Env     []string
	// Report is handed each line of each answer, but for metrics; of a run that
	// did not answer as it should, a result with an error. It may be called by several
	// goroutines at once.
	Report func(Job, Line)
}

// Run runs every job at its interval until ctx ends. It calls first when each of
// them was run once, well or badly.
func (r *Runner) Run(ctx context.Context, jobs []Job, first func()) {
	slots := make(chan struct{}, runners)
	var running, begun sync.WaitGroup
	begun.Add(len(jobs))
	for _, j := range jobs {
		running.Go(func() { r.repeat(ctx, j, slots, sync.OnceFunc(begun.Done)) })
	}
	begun.Wait()
	first()
	running.Wait()
}

// repeat runs one job. What takes longer than the interval skips the next run.
func (r *Runner) repeat(ctx context.Context, j Job, slots chan struct{}, begun func()) {
	defer begun()
	tick := time.NewTicker(j.Interval)
	defer tick.Stop()
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		r.once(ctx, j)
		<-slots
		begun()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// once is one run.
func (r *Runner) once(ctx context.Context, j Job) {
	limited, cancel := context.WithTimeout(ctx, j.Limit+overtime)
	defer cancel()
	cmd := exec.CommandContext(limited, r.Program, "collect") //nolint:gosec // this program's own companion
	cmd.Env, cmd.Stdin = r.Env, bytes.NewReader(j.Request)
	cmd.WaitDelay = farewell
	interruptible(cmd)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.fail(j, fmt.Sprintf("%s cannot be started: %v", r.Program, err))
		return
	}
	answered := r.listen(j, out)
	_, _ = io.Copy(io.Discard, out) // what follows the result is of no interest
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil, answered:
	case limited.Err() != nil:
		r.fail(j, "the run did not end in its time and was ended; nothing is lost")
	default:
		r.fail(j, fmt.Sprintf("the run ended without a result (%v); nothing is lost", err))
	}
}

// listen reads an answer up to its result, and reports whether there was one.
func (r *Runner) listen(j Job, out io.Reader) bool {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var l Line
		if json.Unmarshal(lines.Bytes(), &l) != nil || l.Type == "metric" {
			continue // nobody takes metrics here
		}
		r.Report(j, l)
		if l.Type == "result" {
			return true
		}
	}
	return false
}

func (r *Runner) fail(j Job, reason string) {
	r.Report(j, Line{Type: "result", Error: &reason})
}

// passed are the variables of the environment that the program needs, as every
// adapter passes them; nothing else of ours reaches it, above all not DD_API_KEY.
var passed = []string{
	"PATH", "HOME", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "PROGRAMDATA", "USERPROFILE", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "GOMEMLIMIT", "GOGC",
	"KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT",
}

// Environment is what of an environment is passed on.
func Environment(of []string) []string {
	var out []string
	for _, kv := range of {
		name, value, ok := strings.Cut(kv, "=")
		if ok && value != "" && slices.Contains(passed, strings.ToUpper(name)) {
			out = append(out, kv)
		}
	}
	return out
}

// A Request is what an adapter sends; package check reads it.
type Request struct {
	Protocol   int    `json:"protocol"`
	CheckID    string `json:"check_id"`
	CheckName  string `json:"check_name"`
	InitConfig string `json:"init_config"`
	Instance   string `json:"instance"`
	Agent      Agent  `json:"agent"`
}

// Agent is what a request tells of the Agent; here `run` stands in its place.
type Agent struct {
	Version     string `json:"version"`
	Hostname    string `json:"hostname"`
	RunPath     string `json:"run_path"`
	LogsRunPath string `json:"logs_run_path"`
	LogsEnabled bool   `json:"logs_enabled"`
	LogLevel    string `json:"log_level"`
	Proxy       Proxy  `json:"proxy"`
}

// Proxy are the Agent's proxies.
type Proxy struct {
	HTTP    string   `json:"http"`
	HTTPS   string   `json:"https"`
	NoProxy []string `json:"no_proxy"`
}

// Encode is the request as a run reads it.
func (r Request) Encode() ([]byte, error) {
	if r.Instance == "" {
		return nil, errors.New("encode a request: it has no instance")
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode a request: %w", err)
	}
	return text, nil
}
