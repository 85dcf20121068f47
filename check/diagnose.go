package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/auth"
)

// StepStatus is how a step of a diagnosis came out.
type StepStatus string

// The outcomes of a step.
const (
	StepOK      StepStatus = "ok"
	StepWarning StepStatus = "warning"
	StepFailed  StepStatus = "failed"
	// StepSkipped: what would have to be right first was not, or is not there.
	StepSkipped StepStatus = "skipped"
)

// Step is one thing that a diagnosis looked at.
type Step struct {
	// Name is a stable word: "dns", "token", "spool".
	Name string `json:"name"`
	// Instance is a site's host, empty for what concerns all; Product is empty
	// for what concerns the site.
	Instance string        `json:"instance,omitempty"`
	Product  audit.Product `json:"product,omitempty"`
	Status   StepStatus    `json:"status"`
	// Text says what was found, Next what to do, both without a full stop.
	Text string `json:"text"`
	Next string `json:"next,omitempty"`
	// Code is that of the failure, and Doc where it is explained.
	Code string `json:"code,omitempty"`
	Doc  string `json:"doc,omitempty"`
}

// Diagnosis is what was found, step by step.
type Diagnosis struct {
	Version string    `json:"version"`
	At      time.Time `json:"at"`
	RunPath string    `json:"run_path"`
	// OK is true where no step failed.
	OK    bool   `json:"ok"`
	Steps []Step `json:"steps"`
}

// DiagnoseOptions are what a diagnosis needs.
type DiagnoseOptions struct {
	Options
	// Conf is a conf.yaml or a folder of them; Filter leaves out the instances
	// whose site does not contain it.
	Conf, Filter string
	// RunPath is the run path to look at; Given says that it counts before the
	// configuration's.
	RunPath string
	Given   bool
	// Settings are the Agent's, read from DatadogConf, and SettingsErr why they
	// could not be; DatadogGiven says that the operator named the file.
	Settings     agent.Settings
	SettingsErr  error
	DatadogConf  string
	DatadogGiven bool
	// User is the name of the user that the Agent runs as; where this machine
	// knows none of that name, the run path's owner counts.
	User string
	// Getenv reads the environment.
	Getenv func(string) string
	// Program is this program's file, and RunVersion asks another one for its
	// version and that of the protocol it speaks.
	Program    string
	RunVersion func(ctx context.Context, program string) (version string, protocol int, err error)
}

// diagnosis is one under way.
type diagnosis struct {
	o         DiagnoseOptions
	env       Env
	file      *File
	instances []Instance
	steps     []Step
}

// Diagnose looks, in the order in which one thing rests on the other, at all
// that collecting and delivering needs, and tells what it found. It asks
// Atlassian for one record of each product and keeps nothing of it. It changes
// nothing on this machine, with one exception: a consent (auth.type oauth) is
// renewed where it is due, as a run would. Nothing secret and nothing of a record
// is in the answer.
func Diagnose(ctx context.Context, o DiagnoseOptions) Diagnosis {
	o.Options = o.withDefaults()
	o.keepNoToken = true
	d := &diagnosis{o: o, env: Env{RunPath: o.RunPath, Getenv: o.Getenv, Handles: true, Proxy: SettingsProxy(o.Settings)}}
	d.config()
	d.agent(ctx)
	for _, in := range d.instances {
		d.site(ctx, in)
	}
	if d.file == nil {
		for _, name := range siteSteps {
			d.skip(Step{Name: name}, "the configuration is not valid")
		}
	}
	d.local()
	out := Diagnosis{Version: o.Version, At: o.Now().UTC(), RunPath: d.runPath(), Steps: d.redacted()}
	out.OK = !slices.ContainsFunc(out.Steps, func(s Step) bool { return s.Status == StepFailed })
	return out
}

func (d *diagnosis) runPath() string {
	if !d.o.Given && len(d.instances) > 0 {
		return d.instances[0].Config.RunPath
	}
	return d.o.RunPath
}

// redacted are the steps without the secrets of the configuration: the last of
// several safeguards, no step should hold one.
func (d *diagnosis) redacted() []Step {
	secrets := SettingsProxy(d.o.Settings).secrets()
	if d.file != nil {
		for _, in := range d.file.Instances {
			secrets = append(secrets, in.Config.Secrets()...)
		}
	}
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return len(s) < 4 })
	out := slices.Clone(d.steps)
	for i := range out {
		out[i].Text = redact(strings.ReplaceAll(out[i].Text, "\n", "; "), secrets)
		out[i].Next = redact(out[i].Next, secrets)
	}
	return out
}

// The ways in which a step comes out. s has what names it.

func (d *diagnosis) pass(s Step, format string, args ...any) {
	s.Status, s.Text = StepOK, fmt.Sprintf(format, args...)
	d.steps = append(d.steps, s)
}

func (d *diagnosis) skip(s Step, format string, args ...any) {
	s.Status, s.Text = StepSkipped, "skipped: "+fmt.Sprintf(format, args...)
	d.steps = append(d.steps, s)
}

func (d *diagnosis) warn(s Step, code, text, next string) { d.told(s, StepWarning, code, text, next) }

func (d *diagnosis) fail(s Step, code, text, next string) { d.told(s, StepFailed, code, text, next) }

// told adds a step with a code; an empty next is what the code advises.
func (d *diagnosis) told(s Step, status StepStatus, code, text, next string) {
	s.Status, s.Code, s.Text, s.Next = status, code, text, next
	if f, ok := FailureOf(code); ok {
		s.Doc = f.Doc()
		if next == "" {
			s.Next = f.Next
		}
	}
	d.steps = append(d.steps, s)
}

// config reads the configuration.
func (d *diagnosis) config() {
	step := Step{Name: "config"}
	file, err := ParseFile(d.o.Conf, d.env)
	var broken *ConfigError
	switch {
	case errors.As(err, &broken):
		for _, p := range broken.Problems {
			d.fail(step, CodeConfig, p.String(), "")
		}
		return
	case err != nil:
		d.fail(step, CodeConfig, err.Error(), "")
		return
	}
	d.file = file
	var sites []string
	for _, in := range file.Instances {
		c := in.Config
		if d.o.Given {
			c.RunPath = d.o.RunPath
		}
		sites = append(sites, c.Name())
		if strings.Contains(c.Name(), d.o.Filter) {
			d.instances = append(d.instances, in)
		}
	}
	if len(d.instances) == 0 {
		d.fail(step, CodeConfig, fmt.Sprintf("no instance's site contains %q: there are %s", d.o.Filter, strings.Join(sites, ", ")), "correct --instance-filter")
		return
	}
	d.pass(step, "valid: %s", strings.Join(sites, ", "))
	for _, w := range file.Warnings {
		if !ofLogs(w) {
			d.warn(step, CodeConfig, w.String(), "do what it says, or leave it: nothing fails for it")
		}
	}
}

// ofLogs reports a warning about the section `logs:`.
func ofLogs(p Problem) bool { return p.Path == "logs" || strings.HasPrefix(p.Path, "logs[") }

// local looks at what lies on this machine.
func (d *diagnosis) local() {
	if d.file == nil || len(d.instances) == 0 {
		for _, name := range []string{"spool", "oversize", "registry", "state"} {
			d.skip(Step{Name: name}, "the configuration is not valid")
		}
		return
	}
	d.spool()
	d.oversize()
	d.registry()
	for _, in := range d.instances {
		for _, p := range in.Config.Products {
			d.state(in.Config, p)
		}
	}
}

// SettingsProxy is the Agent's proxy as its settings have it. What is no URL is
// left to ParseFile to complain of.
func SettingsProxy(s agent.Settings) Proxy {
	return Proxy{HTTP: auth.Secret(s.ProxyHTTP), HTTPS: auth.Secret(s.ProxyHTTPS), NoProxy: s.NoProxy}
}
