package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/agent/agenttest"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

const (
	demoRecords = 4000           // there at the start, in both products
	demoSpan    = 10 * time.Hour // how far back these reach
	demoBurst   = 300            // of one millisecond: more than a page
	demoPage    = 250            // the page size that the site applies
	demoRate    = 120            // records that arrive each second
	demoLatency = 15 * time.Millisecond
	demoKillAt  = 6                // the answer after which the process is killed
	demoWait    = 3 * time.Second  // what the site asks for when it limits
	demoLimit   = 25 * time.Second // when the demo gives up
)

func newDemoCommand(std stdio) *cobra.Command {
	keep := false
	cmd := &cobra.Command{
		Use:   "demo [--keep]",
		Short: "Show the main job from end to end on this machine, with nothing configured",
		Long: "Simulates an Atlassian site in which records keep arriving, and runs the check against it\n" +
			"several times as the Agent's adapter does: each run is a process of its own. One of them is\n" +
			"killed, one is told to wait. Then `run` sends what they spooled, with the log pipeline of the\n" +
			"Agent's own modules, to a simulated Datadog that is busy and choosy at first. In the end all\n" +
			"that the site holds is compared with what arrived there. Everything happens in a temporary\n" +
			"folder and on loopback ports.\n\n" +
			"Exit status: 0 every record is there exactly once, 1 not, 2 wrong use.",
		Example: "  " + program + " demo\n  " + program + " demo --keep",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			folder, err := os.MkdirTemp("", "atlassian-audit-records-demo-")
			if err != nil {
				return fmt.Errorf("make a temporary folder: %w", err)
			}
			defer func() {
				if keep {
					fmt.Fprintf(std.out, "\nEverything is kept in %s\n", folder)
				} else {
					err = errors.Join(err, os.RemoveAll(folder))
				}
			}()
			ctx, cancel := context.WithTimeout(cmd.Context(), demoLimit)
			defer cancel()
			return demonstrate(ctx, std.out, folder)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the folder with the state and the spool, and print where it is")
	return cmd
}

// demo is one demonstration.
type demo struct {
	out    io.Writer
	site   *atlassiantest.Server
	base   string // of state and spool
	self   string // the program's own file
	sender string // that of `run`
	env    []string
	intake *agenttest.Intake
	runs   int
	lines  int            // in the spool after the last run
	checks map[string]int // the worst status of each service check of the last run
}

// demonstrate tells a story, and fails when it does not end well.
func demonstrate(ctx context.Context, out io.Writer, folder string) (err error) {
	began := time.Now()
	d := &demo{out: out, site: atlassiantest.New(atlassiantest.Options{Seed: uint64(began.Unix())}), base: agent.Base(folder)}
	if d.self, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program's file: %w", err)
	}
	if d.sender, err = besideThis(sender); err != nil {
		return err
	}
	d.populate()
	url, shut, err := d.site.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shut()) }()
	if err := d.configure(url, folder); err != nil {
		return err
	}
	d.say("A simulated Atlassian site listens on %s. Jira and Confluence hold %s audit records,\n"+
		"%d of them of one millisecond, some equal to the byte; %d more arrive each second. A page holds %d.\n\n"+
		"The check, run by run. Each run is a process, started as the Datadog Agent's adapter starts it:\n\n",
		url, grouped(d.held()), demoBurst, demoRate, demoPage)

	quiet := d.traffic(ctx)
	story := d.tell(ctx)
	quiet()
	if story == nil {
		story = d.finish(ctx)
	}
	if story == nil {
		story = d.send(ctx, url, folder)
	}
	if story != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("the demo took longer than %s and was given up (%w): try again when this machine is less busy; where that "+
				"does not help, something is lost: please report this with the version", demoLimit, story)
		}
		return story
	}
	spooled, err := d.spooled()
	if err != nil {
		return err
	}
	c, err := d.compare(spooled, d.intake.Logs())
	if err != nil {
		return err
	}
	d.summarise(c, time.Since(began))
	if !c.good() {
		return errors.New("not every record arrived exactly once; please report this with the version")
	}
	return nil
}

// populate gives the site its records.
func (d *demo) populate() {
	d.site.Fill(demoRecords, demoSpan)
	now := time.Now()
	for _, p := range demoProducts {
		d.site.SetQuirks(p, atlassiantest.Quirks{MaxPage: demoPage, Latency: demoLatency})
		d.site.AddTwins(p, 3, now.Add(-2*time.Hour))
	}
	d.site.AddBurst(atlassiantest.Confluence, demoBurst, now.Add(-time.Hour))
}

// configure writes the request that an adapter would send into the environment
// of the runs.
func (d *demo) configure(url, folder string) error {
	request, err := json.Marshal(map[string]any{
		"protocol": check.ProtocolVersion, "check_id": "demo", "check_name": agent.CheckName,
		"init_config": map[string]any{}, "instance": d.instance(url),
		"agent": map[string]any{"version": "7.77.0", "hostname": "demo", "run_path": folder, "logs_run_path": folder, "logs_enabled": true, "log_level": "error"},
	})
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	d.env = append(os.Environ(), check.RequestVariable+"="+string(request))
	return nil
}

// instance is the configuration of the check.
func (d *demo) instance(url string) map[string]any {
	o := d.site.Options()
	return map[string]any{
		"site": url, "gateway": url, "auth_server": url, "skip_proxy": true,
		"auth": map[string]any{"type": "api_token", "email": o.Email, "api_token": o.ClassicToken},
		"tags": []string{"env:demo"},
	}
}

// traffic lets records arrive until the function that it returns is called.
func (d *demo) traffic(ctx context.Context) (quiet func()) {
	t := atlassiantest.NewTraffic(d.site, atlassiantest.TrafficOptions{Seed: 2, Rate: demoRate, Bursts: 0.05, Late: 0.05, LateBy: 5 * time.Minute})
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { t.Run(ctx) })
	return func() {
		stop()
		running.Wait()
	}
}

// tell is the story while records arrive.
func (d *demo) tell(ctx context.Context) error {
	if err := d.killed(ctx); err != nil {
		return err
	}
	if err := d.run(ctx, "goes on where that one was cut"); err != nil {
		return err
	}
	limit := d.site.Fault(atlassiantest.Fault{Action: atlassiantest.RateLimit(demoWait, atlassiantest.RetrySeconds)})
	until := time.Now().Add(demoWait)
	if err := d.run(ctx, fmt.Sprintf("is told to wait %.0f s (429, Retry-After)", demoWait.Seconds())); err != nil {
		return err
	}
	limit.Disarm()
	if err := d.run(ctx, "knows that it has to wait, and asks nothing"); err != nil {
		return err
	}
	if !pause(ctx, time.Until(until.Add(time.Second))) {
		return ctx.Err()
	}
	if err := d.run(ctx, "goes on"); err != nil {
		return err
	}
	if !pause(ctx, time.Second) {
		return ctx.Err()
	}
	return d.run(ctx, "while records arrive")
}

// finish lets the check run until it finds nothing new.
func (d *demo) finish(ctx context.Context) error {
	about := "after the last record"
	for i := range 10 {
		before := d.lines
		if err := d.run(ctx, about); err != nil {
			return err
		}
		if d.lines == before && i > 0 {
			return nil
		}
		about = "finds nothing new"
	}
	return errors.New("records are still found in the tenth run after the last one arrived; please report this with the version")
}

// start makes one run a process, and done its end.
func (d *demo) start(ctx context.Context) (cmd *exec.Cmd, out *bytes.Buffer, err error) {
	cmd = exec.CommandContext(ctx, d.self, "collect") //nolint:gosec // this program's own file
	out = &bytes.Buffer{}
	cmd.Env, cmd.Stdout = d.env, out
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start the check: %w", err)
	}
	return cmd, out, nil
}

// killed is a run that is killed in the middle.
func (d *demo) killed(ctx context.Context) error {
	reached := make(chan struct{})
	var once sync.Once
	first := d.site.Count(atlassiantest.KindAudit)
	d.site.OnAnswer(func(i atlassiantest.RequestInfo) {
		if i.Audit() && d.site.Count(atlassiantest.KindAudit) >= first+demoKillAt {
			once.Do(func() { close(reached) })
		}
	})
	cmd, _, err := d.start(ctx)
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed, or too early: either way no status is of interest
		close(ended)
	}()
	select {
	case <-ended:
		return errors.New("the first run ended before it could be killed; please report this with the version")
	case <-reached:
	}
	if err := cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill the first run: %w", err)
	}
	<-ended
	return d.account("is killed in the middle (kill -9)", demoKillAt)
}

// run is a run that comes to its end.
func (d *demo) run(ctx context.Context, about string) error {
	asked := d.site.Count(atlassiantest.KindAudit)
	cmd, out, err := d.start(ctx)
	if err != nil {
		return err
	}
	_ = cmd.Wait() // what it has to say, it says in its result
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := d.understand(out.Bytes()); err != nil {
		return err
	}
	return d.account(about, d.site.Count(atlassiantest.KindAudit)-asked)
}

// understand reads a run's answer as an adapter does.
func (d *demo) understand(answer []byte) error {
	d.checks = map[string]int{}
	for line := range bytes.Lines(answer) {
		var l struct {
			Type, Name string
			Status     int
			Error      *string
		}
		if err := json.Unmarshal(line, &l); err != nil {
			return fmt.Errorf("a run wrote a line that is not JSON: %w", err)
		}
		switch l.Type {
		case "service_check":
			d.checks[l.Name] = max(l.Status, d.checks[l.Name])
		case "result":
			if l.Error != nil {
				return fmt.Errorf("a run failed: %s", *l.Error)
			}
			return nil
		}
	}
	return errors.New("a run ended without a result; please report this with the version")
}

// account tells what a run brought.
func (d *demo) account(about string, requests int) error {
	lines, err := d.spooled()
	if err != nil {
		return err
	}
	n := 0
	for _, l := range lines {
		n += len(l)
	}
	d.runs++
	d.say("  run %-2d  %5s records  %3d requests  %s\n", d.runs, grouped(n-d.lines), requests, about)
	d.lines = n
	return nil
}

// spooled are the lines in the spool, by product.
func (d *demo) spooled() (map[string][][]byte, error) {
	out := map[string][][]byte{}
	for _, p := range demoProducts {
		files, err := filepath.Glob(filepath.Join(agent.SpoolDir(d.base, p+"-audit-records"), "*.jsonl"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("read the spool: %w", err)
			}
			for line := range bytes.Lines(text) {
				if bytes.HasSuffix(line, []byte("\n")) { // a killed run may leave a part of one
					out[p] = append(out[p], line)
				}
			}
		}
	}
	return out, nil
}

func (d *demo) held() int {
	n := 0
	for _, p := range demoProducts {
		n += d.site.Len(p)
	}
	return n
}

func (d *demo) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.out, format, args...) // a reader who left changes nothing
}

// pause reports whether the time passed before ctx ended.
func pause(ctx context.Context, wait time.Duration) bool {
	t := time.NewTimer(max(wait, 0))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
