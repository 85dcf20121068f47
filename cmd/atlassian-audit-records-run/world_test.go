package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/agent/agenttest"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// programs is the folder with both programs, built once.
var programs string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "atlassian-audit-records-run-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		for name, from := range map[string]string{collector: "../..", "atlassian-audit-records-run": "."} {
			path := "./cmd/atlassian-audit-records"
			if from == "." {
				path = "."
			}
			if runtime.GOOS == "windows" {
				name += ".exe"
			}
			build := exec.Command("go", "build", "-o", filepath.Join(dir, name), path)
			build.Dir = from
			if out, err := build.CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "go build %s: %v\n%s", path, err, out)
				return 1
			}
		}
		programs = dir
		return m.Run()
	}())
}

// limit is when a test gives up waiting: far beyond what it takes on a slow
// machine.
const limit = 2 * time.Minute

// world is a simulated Atlassian, a simulated Datadog and a run path.
type world struct {
	t      *testing.T
	ctx    context.Context
	site   *atlassiantest.Server
	url    string // of the site
	intake *agenttest.Intake
	to     string // the intake's URL
	run    string // the run path
	conf   string // conf.yaml
	agent  string // datadog.yaml
	env    []string
}

// options of a world.
type options struct {
	records int
	answer  func(agenttest.Payload) agenttest.Reply
	probe   func(string) agenttest.Reply
	// logs and init are added to the logs_config of datadog.yaml, top to its top
	// level, source to each entry of conf.yaml's logs section.
	logs, top, source string
	token             string
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, site: atlassiantest.New(atlassiantest.Options{Seed: 1})}
	w.site.Fill(o.records, 6*time.Hour)
	w.intake = newIntake(t, o.answer, o.probe)
	w.url = listen(t, w.site.Listen)
	w.to = listen(t, w.intake.Listen)
	dir := t.TempDir()
	w.run, w.conf, w.agent = filepath.Join(dir, "run"), filepath.Join(dir, "conf.yaml"), filepath.Join(dir, "datadog.yaml")
	if o.token == "" {
		o.token = atlassiantest.DefaultClassicToken
	}
	if err := os.Mkdir(w.run, 0o700); err != nil {
		t.Fatal(err)
	}
	spool := filepath.Join(agent.Base(w.run), "spool")
	var logs strings.Builder
	for _, p := range []string{"jira", "confluence"} {
		fmt.Fprintf(&logs, "  - {type: file, path: '%s', source: %s-audit-records, service: %s, start_position: beginning, "+
			"auto_multi_line_detection: false, fingerprint_config: {fingerprint_strategy: disabled}%s}\n",
			filepath.Join(spool, p+"-audit-records", "*.jsonl"), p, p, o.source)
	}
	w.write(w.conf, fmt.Sprintf("init_config: {}\ninstances:\n  - {site: '%s', gateway: '%s', auth_server: '%s', skip_proxy: true, "+
		"min_collection_interval: 1, tags: [env:test], auth: {type: api_token, email: %s, api_token: '%s'}}\nlogs:\n%s",
		w.url, w.url, w.url, atlassiantest.DefaultEmail, o.token, logs.String()))
	w.write(w.agent, fmt.Sprintf("api_key: 0123456789abcdef0123456789abcdef\nhostname: test-host\nrun_path: '%s'\nconfd_path: '%s'\n%slogs_config:\n"+
		"  logs_dd_url: %s\n  batch_wait: 0.2\n  http_timeout: 2\n  sender_backoff_base: 0.05\n  sender_backoff_max: 0.2\n%s",
		filepath.Join(dir, "agent"), filepath.Join(dir, "confd"), o.top, w.to, o.logs))
	w.env = append(bare(os.Environ()), "NO_PROXY=127.0.0.1")
	return w
}

// bare is the environment without what would configure an Agent.
func bare(env []string) []string {
	var out []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, "DD_") && !strings.HasPrefix(strings.ToUpper(kv), "HTTP_PROXY") && !strings.HasPrefix(strings.ToUpper(kv), "HTTPS_PROXY") {
			out = append(out, kv)
		}
	}
	return out
}

func newIntake(t *testing.T, answer func(agenttest.Payload) agenttest.Reply, probe func(string) agenttest.Reply) *agenttest.Intake {
	t.Helper()
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(decoder.Close)
	return agenttest.NewIntake(agenttest.Options{
		Answer: answer, Probe: probe,
		Decoders: map[string]func([]byte) ([]byte, error){"zstd": func(raw []byte) ([]byte, error) { return decoder.DecodeAll(raw, nil) }},
	})
}

func listen(t *testing.T, f func(string) (string, func() error, error)) string {
	t.Helper()
	url, shut, err := f("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shut(); err != nil {
			t.Error(err)
		}
	})
	return url
}

func (w *world) write(path, text string) {
	w.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// process is a `run` that was started.
type process struct {
	w    *world
	cmd  *exec.Cmd
	err  *lockedBuffer
	done chan struct{}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start starts `run`; the test's end kills it.
func (w *world) start(args ...string) *process {
	w.t.Helper()
	p := &process{w: w, err: &lockedBuffer{}, done: make(chan struct{})}
	args = append([]string{"--conf", w.conf, "--datadog-conf", w.agent, "--run-path", w.run}, args...)
	p.cmd = exec.CommandContext(w.ctx, filepath.Join(programs, "atlassian-audit-records-run"), args...)
	p.cmd.Env, p.cmd.Stderr = w.env, p.err
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	w.t.Cleanup(func() {
		p.kill()
		if w.t.Failed() {
			w.t.Logf("run said:\n%s", p.err)
		}
	})
	return p
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop is SIGTERM; it returns the exit status.
func (p *process) stop() int {
	p.w.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.w.t.Fatal(err)
	}
	return p.wait()
}

// wait is for its end.
func (p *process) wait() int {
	p.w.t.Helper()
	select {
	case <-p.done:
	case <-p.w.ctx.Done():
		p.w.t.Fatal("run did not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// until waits until the intake has seen what makes a condition true.
func (w *world) until(what string, met func() bool) {
	w.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond) // files change without telling
	defer tick.Stop()
	for {
		_, changed := w.intake.Len()
		if met() {
			return
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-w.ctx.Done():
			n, _ := w.intake.Len()
			w.t.Fatalf("waited in vain for %s: the intake has %d logs of %d, and answered %v", what, n, w.held(), w.intake.Codes())
		}
	}
}

// held is the number of records of the site.
func (w *world) held() int {
	return w.site.Len(atlassiantest.Jira) + w.site.Len(atlassiantest.Confluence)
}

// seen counts how often each record arrived, by its record_id.
func seen(t *testing.T, logs []agenttest.Log) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, l := range logs {
		var line struct {
			Atlassian struct {
				ID string `json:"record_id"`
			} `json:"atlassian"`
		}
		if err := json.Unmarshal([]byte(l.Message), &line); err != nil || line.Atlassian.ID == "" {
			t.Fatalf("the intake has a log that is none of ours: %.200q (%v)", l.Message, err)
		}
		out[line.Atlassian.ID]++
	}
	return out
}

// all waits until every record of the site has arrived.
func (w *world) all() {
	w.t.Helper()
	w.until("every record", func() bool { return len(seen(w.t, w.intake.Logs())) >= w.held() })
}

// exactlyOnce fails where a record is missing or there twice.
func (w *world) exactlyOnce() {
	w.t.Helper()
	logs := w.intake.Logs()
	if ids := seen(w.t, logs); len(ids) != w.held() || len(logs) != w.held() {
		w.t.Errorf("%d records arrived in %d logs, of %d", len(ids), len(logs), w.held())
	}
}

// registered is the number of bytes that the registry has as acknowledged, and
// that of the spool.
func (w *world) registered() (acknowledged, spooled int64) {
	w.t.Helper()
	r, err := agent.ReadRegistry(filepath.Join(agent.Base(w.run), "run", "registry.json"))
	if err != nil {
		return 0, -1
	}
	paths, err := filepath.Glob(filepath.Join(agent.Base(w.run), "spool", "*", "*.jsonl"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			w.t.Fatal(err)
		}
		spooled += info.Size()
		acknowledged += r.Files[p].Offset
	}
	return acknowledged, spooled
}
