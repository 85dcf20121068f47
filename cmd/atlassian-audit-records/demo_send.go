package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/agent/agenttest"
)

// The payloads that the demo's intake is too busy for, and does not like.
const (
	demoBusy   = 2
	demoChoosy = 4
)

// send is the rest of the way: `run` sends the spool until all of it arrived.
func (d *demo) send(ctx context.Context, site, folder string) (err error) {
	d.intake = agenttest.NewIntake(agenttest.Options{Answer: func(p agenttest.Payload) agenttest.Reply {
		switch p.Number {
		case demoBusy:
			return agenttest.Reply{Status: http.StatusServiceUnavailable}
		case demoChoosy:
			return agenttest.Reply{Status: http.StatusRequestEntityTooLarge}
		}
		return agenttest.Reply{}
	}})
	to, shut, err := d.intake.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shut()) }()
	conf, datadog, err := d.settings(site, to, folder)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, d.sender, "--conf", conf, "--datadog-conf", datadog, "--run-path", folder) //nolint:gosec // this program's own companion
	var said bytes.Buffer
	cmd.Env, cmd.Stderr = withoutAgent(os.Environ()), &said
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", d.sender, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for arrived, changed := d.intake.Len(); arrived < d.lines; arrived, changed = d.intake.Len() {
		select {
		case <-changed:
		case err := <-ended:
			if ctx.Err() != nil {
				return fmt.Errorf("%s of %s lines of the spool had reached the intake: %w", grouped(arrived), grouped(d.lines), ctx.Err())
			}
			return fmt.Errorf("`run` ended too early: %w: %s", err, lastLine(said.String()))
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil { // Windows has no such signal
		err = cmd.Process.Kill()
		if err != nil {
			return fmt.Errorf("end `run`: %w", err)
		}
		var killed *exec.ExitError
		if err := <-ended; err != nil && !errors.As(err, &killed) {
			return fmt.Errorf("end `run`: %w", err)
		}
		return nil
	}
	if err := <-ended; err != nil {
		return fmt.Errorf("`run` ended with an error: %w: %s", err, lastLine(said.String()))
	}
	codes := d.intake.Codes()
	d.say("\n`run` sends the spool with the Agent's log pipeline. The intake takes %s, is busy for one\n"+
		"(%d answer of 503), and refuses one as too large (%d answer of 413), which comes again in halves.\n",
		counted(codes[http.StatusAccepted], "payload"), codes[http.StatusServiceUnavailable], codes[http.StatusRequestEntityTooLarge])
	return nil
}

// settings writes the files that `run` reads: the check's, and the Agent's.
func (d *demo) settings(site, to, folder string) (conf, datadog string, err error) {
	var logs []map[string]any
	for _, p := range demoProducts {
		source := p + "-audit-records"
		logs = append(logs, map[string]any{
			"type": "file", "path": filepath.Join(agent.SpoolDir(d.base, source), "*.jsonl"), "source": source, "service": p,
			"start_position": "beginning", "auto_multi_line_detection": false,
			"fingerprint_config": map[string]any{"fingerprint_strategy": "disabled"},
		})
	}
	conf, datadog = filepath.Join(folder, "conf.yaml"), filepath.Join(folder, "datadog.yaml")
	for path, v := range map[string]any{
		conf: map[string]any{"init_config": map[string]any{}, "instances": []any{d.instance(site)}, "logs": logs},
		datadog: map[string]any{
			"api_key": strings.Repeat("0", 32), "hostname": "demo", "run_path": folder,
			"logs_config": map[string]any{
				"logs_dd_url": to, "compression_kind": "gzip", "batch_wait": 0.2,
				"sender_backoff_base": 0.1, "sender_backoff_max": 0.5,
			},
		},
	} {
		text, err := json.Marshal(v) // which is YAML too
		if err != nil {
			return "", "", fmt.Errorf("write the settings: %w", err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return "", "", fmt.Errorf("write the settings: %w", err)
		}
	}
	return conf, datadog, nil
}

// withoutAgent is an environment in which nothing configures an Agent.
func withoutAgent(env []string) []string {
	var out []string
	for _, kv := range env {
		name, _, _ := strings.Cut(strings.ToUpper(kv), "=")
		if !strings.HasPrefix(name, "DD_") && !strings.HasSuffix(name, "_PROXY") {
			out = append(out, kv)
		}
	}
	return out
}

// lastLine is the last line of a text.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
