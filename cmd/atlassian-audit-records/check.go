package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/agent"
)

// checkFlags are the flags of check.
type checkFlags struct {
	conf, runPath, filter string
	datadogConf           string
	times                 int
	pause                 time.Duration
	asJSON                bool
	// given is true where --run-path was: it then counts before init_config's.
	given bool
	// handles accepts ENC[…] in place of a secret that is not needed.
	handles bool
}

// checked is the answer of check, for --json.
type checked struct {
	Runs          []check.StreamResult `json:"runs"`
	ServiceChecks []check.ServiceCheck `json:"service_checks"`
	Metrics       []check.Metric       `json:"metrics"`
}

func newCheckCommand(io stdio) *cobra.Command {
	var f checkFlags
	var pause int
	cmd := &cobra.Command{
		Use:   "check [--conf FILE|DIR]",
		Short: "Run the check now, without an Agent",
		Long: "Runs every instance of the configuration once, against the real spool and state, and\n" +
			"prints service checks, metrics and what was collected. What is collected here, the check\n" +
			"in the Agent does not collect again.\n\n" +
			"As root it takes the identity of the run path's owner, so that nothing of root's is left\n" +
			"behind; the configuration is read as that user, as the Agent would.\n\n" +
			"Exit status: 0 all is well or has to wait, 1 an instance failed, 2 wrong use.",
		Example: "  " + program + " check --conf /etc/datadog-agent/conf.d/atlassian_audit_records.d\n" +
			"  " + program + " check --conf conf.yaml --run-path /tmp/run --check-times 2 --pause 1000 --json",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.times < 1 || pause < 0 {
				return &usageError{reason: "--check-times must be at least 1, and --pause at least 0", next: cmd.CommandPath() + " --help"}
			}
			beSmall(io.getenv)
			f.pause = time.Duration(pause) * time.Millisecond
			f.given = cmd.Flags().Changed("run-path")
			return f.run(cmd.Context(), io)
		},
	}
	f.places(cmd)
	cmd.Flags().StringVar(&f.filter, "instance-filter", "", "run only the instances whose site contains this")
	cmd.Flags().IntVar(&f.times, "check-times", 1, "how often to run each instance")
	cmd.Flags().IntVar(&pause, "pause", 0, "milliseconds between two rounds")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object")
	return cmd
}

// places adds the flags that say where the configuration, its Agent and what is
// kept are.
func (f *checkFlags) places(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.conf, "conf", filepath.Dir(agent.ConfFile(agent.ConfPath())), "a conf.yaml, or a folder of *.yaml files")
	cmd.Flags().StringVar(&f.runPath, "run-path", agent.RunPath(), "where state and spool are; where it is given, it counts before run_path in init_config")
	cmd.Flags().StringVar(&f.datadogConf, "datadog-conf", agent.DatadogConf(), datadogConfUsage)
}

func (f checkFlags) run(ctx context.Context, io stdio) error {
	instances, err := f.instances(io)
	if err != nil {
		return err
	}
	rec := &check.Recorder{}
	check.SetupLog(rec, "")
	out := checked{Runs: []check.StreamResult{}}
	conf, err := filepath.Abs(f.conf)
	if err != nil {
		return fmt.Errorf("--conf: %w", err)
	}
	failed := false
	for round := range f.times {
		if round > 0 && !sleep(ctx, f.pause) {
			break
		}
		for _, in := range instances {
			res := check.Run(ctx, in.Config, check.Options{Version: version, Conf: conf, OpenShared: openShared}, rec)
			out.Runs = append(out.Runs, res.Streams...)
			failed = failed || res.Error != ""
		}
		if ctx.Err() != nil {
			break
		}
	}
	kept := rec.Recorded()
	out.ServiceChecks, out.Metrics = kept.ServiceChecks, kept.Metrics
	if f.asJSON {
		err = writeJSON(io.out, out)
	} else {
		err = out.print(io, kept)
	}
	switch {
	case err != nil:
		return err
	case failed:
		return &statusError{statusFailed}
	}
	return nil
}

// configured is a configuration as the command's flags have it.
type configured struct {
	// all are the instances, chosen those that --instance-filter names.
	all, chosen []check.Instance
	settings    agent.Settings
}

// instances are those of the configuration that the flags choose.
func (f checkFlags) instances(io stdio) ([]check.Instance, error) {
	c, err := f.configured(io)
	return c.chosen, err
}

// configured reads the configuration, as the user whom the run path belongs to.
func (f checkFlags) configured(io stdio) (out configured, err error) {
	env := check.Env{RunPath: f.runPath, Getenv: io.getenv, Handles: f.handles}
	out.settings = ofAgent(&env, io, f.datadogConf, f.given)
	runPath, err := filepath.Abs(f.runPath)
	if err != nil {
		return out, fmt.Errorf("--run-path: %w", err)
	}
	if !f.given {
		runPath = check.FileRunPath(f.conf, env)
	}
	if err := agent.BecomeOwner(runPath); err != nil {
		return out, err
	}
	file, err := check.ParseFile(f.conf, env)
	var broken *check.ConfigError
	switch {
	case errors.As(err, &broken):
		for _, p := range broken.Problems {
			fmt.Fprintf(io.err, "error: %s\n", p)
		}
		fmt.Fprintf(io.err, "The configuration is not valid: %s.\n", counted(len(broken.Problems), "problem"))
		return out, &statusError{statusFailed}
	case err != nil:
		return out, err
	}
	var sites []string
	for _, in := range file.Instances {
		if f.given {
			in.Config.RunPath = runPath
		}
		out.all = append(out.all, in)
		sites = append(sites, in.Config.Name())
		if in.Config.Matches(f.filter) {
			out.chosen = append(out.chosen, in)
		}
	}
	if len(out.chosen) == 0 {
		return out, fmt.Errorf("no instance's site contains %q: there are %s", f.filter, strings.Join(sites, ", "))
	}
	return out, nil
}

const datadogConfUsage = "the Agent's datadog.yaml, whose proxy and run_path count as they do for the Agent"

// ofAgent completes env by the Agent's settings, as far as they can be read: before
// root's rights are given up, which that may take. given says that a flag has the
// run path. Where there is no Agent, nothing changes.
func ofAgent(env *check.Env, io stdio, datadogConf string, given bool) (settings agent.Settings) {
	if datadogConf == "" {
		return settings
	}
	settings, _ = agent.ReadSettings(datadogConf, io.getenv) // diagnose tells what is wrong with them
	env.Proxy = check.SettingsProxy(settings)
	if !given && filepath.IsAbs(settings.RunPath) {
		env.RunPath = settings.RunPath
	}
	return settings
}

// siteHandle is said where the site is not known.
const siteHandle = "the site is a handle (ENC[…]), which only the Agent can resolve: write the site itself, it is no secret"

// sleep reports whether the pause passed before ctx ended.
func sleep(ctx context.Context, pause time.Duration) bool {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// print writes the answer for people, in the manner of `datadog-agent check`.
func (c checked) print(io stdio, kept check.Recorded) error {
	var b strings.Builder
	for _, part := range []struct {
		title string
		list  any
		n     int
	}{
		{"Metrics", c.Metrics, len(c.Metrics)},
		{"Service Checks", c.ServiceChecks, len(c.ServiceChecks)},
		{"Events", kept.Events, len(kept.Events)},
	} {
		if part.n == 0 {
			continue
		}
		text, err := json.MarshalIndent(part.list, "", "  ")
		if err != nil {
			return fmt.Errorf("encode the answer: %w", err)
		}
		fmt.Fprintf(&b, "=== %s ===\n%s\n", part.title, text)
	}
	b.WriteString("\n  Running Checks\n  ==============\n\n")
	fmt.Fprintf(&b, "    %s (%s)\n    %s\n", agent.CheckName, version, strings.Repeat("-", len(agent.CheckName)+len(version)+3))
	for _, r := range c.Runs {
		state := "OK"
		if r.Error != nil {
			state = "ERROR"
		}
		fmt.Fprintf(&b, "      Instance: %s, %s [%s]\n", r.Instance, r.Product, state)
		fmt.Fprintf(&b, "      Records: %d, Requests: %d, Duplicates: %d\n", r.Records, r.Requests, r.Duplicates)
		if r.Error != nil {
			fmt.Fprintf(&b, "      Error: %s\n", *r.Error)
		}
		b.WriteString("\n")
	}
	for _, w := range kept.Warnings {
		fmt.Fprintf(&b, "      Warning: %s\n", w)
	}
	for _, l := range kept.Logs {
		fmt.Fprintf(&b, "      %s: %s\n", l.Level, l.Message)
	}
	if _, err := fmt.Fprint(io.out, b.String()); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
