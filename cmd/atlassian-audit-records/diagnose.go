package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/agent"
)

// diagnoseLimit ends a diagnosis whatever it waits for.
const diagnoseLimit = 5 * time.Minute

// diagnoseFlags are the flags of diagnose.
type diagnoseFlags struct {
	checkFlags
	datadogConf, user string
	datadogGiven      bool
}

func newDiagnoseCommand(io stdio) *cobra.Command {
	var f diagnoseFlags
	cmd := &cobra.Command{
		Use:   "diagnose [--conf FILE|DIR]",
		Short: "Find out what keeps audit records from arriving, and what to do",
		Long: "Looks, one after the other, at the configuration, the Agent's settings and files, the way\n" +
			"to Atlassian (DNS, proxy, TLS, clock), the credential, its scopes and permissions, the\n" +
			"plan, one record of each product, the spool, what the Agent has read of it, and what is\n" +
			"remembered. It does not disturb a running Agent.\n\n" +
			"The answer holds nothing secret and nothing of a record: it is safe to paste into a\n" +
			"ticket. docs/troubleshooting.md explains each code.\n\n" +
			"As root it takes the identity of the run path's owner.\n" +
			"Exit status: 0 nothing failed, 1 something did, 2 wrong use.",
		Example: "  sudo " + program + " diagnose\n" +
			"  " + program + " diagnose --conf conf.yaml --run-path /tmp/run --instance-filter example --json",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.given = cmd.Flags().Changed("run-path")
			f.datadogGiven = cmd.Flags().Changed("datadog-conf")
			return f.run(cmd.Context(), io)
		},
	}
	cmd.Flags().StringVar(&f.conf, "conf", filepath.Dir(agent.ConfFile(agent.ConfPath())), "a conf.yaml, or a folder of *.yaml files")
	cmd.Flags().StringVar(&f.runPath, "run-path", agent.RunPath(), "where state and spool are; where it is given, it counts before run_path in init_config and in datadog.yaml")
	cmd.Flags().StringVar(&f.filter, "instance-filter", "", "look only at the instances whose site contains this")
	cmd.Flags().StringVar(&f.datadogConf, "datadog-conf", agent.DatadogConf(), "the Agent's datadog.yaml; checks.d is looked for beside it")
	cmd.Flags().StringVar(&f.user, "agent-user", agent.UserName(), "the user that the Agent runs as")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object")
	return cmd
}

func (f diagnoseFlags) run(ctx context.Context, io stdio) error {
	ctx, cancel := context.WithTimeout(ctx, diagnoseLimit)
	defer cancel()
	check.SetupLog(&check.Recorder{}, "off")
	conf, err := filepath.Abs(f.conf)
	if err != nil {
		return fmt.Errorf("--conf: %w", err)
	}
	o := check.DiagnoseOptions{
		Options:     check.Options{Version: version, Now: time.Now, Conf: conf, OpenShared: openShared},
		Conf:        f.conf,
		Filter:      f.filter,
		Given:       f.given,
		DatadogConf: f.datadogConf, DatadogGiven: f.datadogGiven,
		User:       f.user,
		Getenv:     io.getenv,
		RunVersion: askVersion,
	}
	// Read before root's rights are given up, which may be needed for it.
	o.Settings, o.SettingsErr = agent.ReadSettings(f.datadogConf, io.getenv)
	if o.RunPath, err = filepath.Abs(f.runPath); err != nil {
		return fmt.Errorf("--run-path: %w", err)
	}
	if !f.given {
		if filepath.IsAbs(o.Settings.RunPath) {
			o.RunPath = o.Settings.RunPath
		}
		o.RunPath = check.FileRunPath(f.conf, check.Env{RunPath: o.RunPath})
	}
	if o.Program, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if err := agent.BecomeOwner(o.RunPath); err != nil {
		return err
	}
	found := check.Diagnose(ctx, o)
	if f.asJSON {
		err = writeJSON(io.out, found)
	} else {
		_, err = fmt.Fprint(io.out, diagnosisText(found, utf8Terminal(io)))
	}
	switch {
	case err != nil:
		return fmt.Errorf("write the answer: %w", err)
	case !found.OK:
		return &statusError{statusFailed}
	}
	return nil
}

// askVersion starts another program of ours to ask for its version.
func askVersion(ctx context.Context, path string) (string, int, error) {
	cmd := exec.CommandContext(ctx, path, "version", "--json")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "SYSTEMROOT=" + os.Getenv("SYSTEMROOT")}
	out, err := cmd.Output()
	if err != nil {
		return "", 0, fmt.Errorf("run it: %w", err)
	}
	var v struct {
		Version  string `json:"version"`
		Protocol int    `json:"protocol"`
	}
	if err := json.Unmarshal(out, &v); err != nil {
		return "", 0, errors.New("its answer is not that of this program")
	}
	return v.Version, v.Protocol, nil
}

// signs are how the outcomes are shown.
type signs struct {
	ok, warning, failed, skipped, next string
	width                              int
}

var (
	plainSigns = signs{"[ok]", "[warn]", "[FAIL]", "[skip]", "->", 6}
	fineSigns  = signs{"✓", "!", "✗", "-", "→", 1}
)

func (s signs) of(status check.StepStatus) string {
	switch status {
	case check.StepOK:
		return s.ok
	case check.StepWarning:
		return s.warning
	case check.StepFailed:
		return s.failed
	}
	return s.skipped
}

var utf8Locale = regexp.MustCompile(`(?i)utf-?8`)

// utf8Terminal reports whether the output is a terminal that shows more than
// ASCII, as far as the environment tells.
func utf8Terminal(io stdio) bool {
	f, ok := io.out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	if io.getenv("WT_SESSION") != "" { // Windows Terminal
		return true
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} { // the first that is set counts
		if v := io.getenv(name); v != "" {
			return utf8Locale.MatchString(v)
		}
	}
	return false
}

// diagnosisText is a diagnosis for people.
func diagnosisText(d check.Diagnosis, fine bool) string {
	s := plainSigns
	if fine {
		s = fineSigns
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, %s\nrun path %s\n", program, d.Version, d.At.Format(time.RFC3339), d.RunPath)
	counts := map[check.StepStatus]int{}
	part := "-"
	for _, step := range d.Steps {
		counts[step.Status]++
		title := "This machine and the Agent"
		switch {
		case step.Product != "":
			title = step.Instance + ", " + string(step.Product)
		case step.Instance != "":
			title = step.Instance
		case step.Name == "spool" || step.Name == "oversize" || step.Name == "registry":
			title = "The spool and its delivery"
		}
		if title != part {
			part = title
			fmt.Fprintf(&b, "\n%s\n", title)
		}
		text := step.Text
		if step.Code != "" && step.Status == check.StepFailed {
			text += " (" + step.Code + ")"
		}
		fmt.Fprintf(&b, "  %-*s %s: %s\n", s.width, s.of(step.Status), strings.ReplaceAll(step.Name, "_", " "), text)
		if step.Next != "" {
			fmt.Fprintf(&b, "  %*s %s %s\n", s.width, "", s.next, step.Next)
		}
	}
	fmt.Fprintf(&b, "\n%d ok, %s, %d failed, %d skipped", counts[check.StepOK], counted(counts[check.StepWarning], "warning"), counts[check.StepFailed], counts[check.StepSkipped])
	if !d.OK {
		b.WriteString(": docs/troubleshooting.md has a section for each code")
	}
	b.WriteString("\n")
	if !fine {
		return asciiOnly(b.String())
	}
	return b.String()
}

// asciiOnly is a text for terminals that show nothing else.
func asciiOnly(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '…':
			return '.'
		case r > '~':
			return '?'
		}
		return r
	}, s)
}
