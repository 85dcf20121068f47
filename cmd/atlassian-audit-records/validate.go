package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/agent"
)

// validation is the answer of validate.
type validation struct {
	Valid     bool            `json:"valid"`
	Instances int             `json:"instances"`
	Problems  []check.Problem `json:"problems"`
	Warnings  []check.Problem `json:"warnings"`
	// Credentials are those of a valid configuration, in its order.
	Credentials []credential `json:"credentials,omitempty"`
}

// credential is how an instance signs in, and until when.
type credential struct {
	Instance string         `json:"instance"`
	Type     check.AuthType `json:"type"`
	// Expires is left out where it is unknown.
	Expires time.Time `json:"expires,omitzero"`
	shown   string
}

func newValidateCommand(io stdio) *cobra.Command {
	var conf, runPath, datadogConf string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "validate [--conf FILE|DIR]",
		Short: "Check a configuration without asking Atlassian anything",
		Long: "Reads conf.yaml, or every *.yaml of a folder, and prints everything that is wrong\n" +
			"with it, and warnings for what would work but should not stay so.\n\n" +
			"Handles of the Agent's secret management (ENC[…]) are taken as given.\n" +
			"Exit status: 0 valid, 1 not valid or not readable, 2 wrong use.",
		Example: "  " + program + " validate --conf /etc/datadog-agent/conf.d/atlassian_audit_records.d\n" +
			"  " + program + " validate --conf conf.yaml --json",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			env := check.Env{RunPath: runPath, Getenv: io.getenv, Handles: true}
			settings := ofAgent(&env, io, datadogConf, cmd.Flags().Changed("run-path"))
			file, err := check.ParseFile(conf, env)
			out := validation{Valid: err == nil, Problems: []check.Problem{}, Warnings: []check.Problem{}}
			var broken *check.ConfigError
			switch {
			case errors.As(err, &broken):
				out.Problems = broken.Problems
				out.Warnings = append(out.Warnings, broken.Warnings...)
			case err != nil:
				return err
			default:
				out.Instances = len(file.Instances)
				out.Warnings = append(out.Warnings, file.Warnings...)
				out.credentials(file, time.Now())
				if notice := check.CrowdOf(file.Instances, settings.OpenFiles).Notice(); notice != "" {
					out.Warnings = append(out.Warnings, check.Problem{Path: "instances", Text: notice})
				}
			}
			if err := out.write(io, asJSON); err != nil {
				return err
			}
			if !out.Valid {
				return &statusError{statusFailed}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&conf, "conf", filepath.Dir(agent.ConfFile(agent.ConfPath())), "a conf.yaml, or a folder of *.yaml files")
	cmd.Flags().StringVar(&runPath, "run-path", agent.RunPath(), "the Agent's run_path, where init_config has none")
	cmd.Flags().StringVar(&datadogConf, "datadog-conf", agent.DatadogConf(), datadogConfUsage)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// credentials tells until when the instances can sign in, and warns in time.
func (v *validation) credentials(file *check.File, now time.Time) {
	for _, in := range file.Instances {
		c := credential{Instance: in.Config.Name(), Type: in.Config.Auth.Type, shown: in.Config.ExpiryShown(now)}
		c.Expires, _ = in.Config.Expires()
		v.Credentials = append(v.Credentials, c)
		if _, notice := in.Config.ExpiryNotice(now); notice != "" {
			v.Warnings = append(v.Warnings, check.Problem{Path: in.Where + ".auth.expires", Text: notice})
		}
	}
}

func (v validation) write(io stdio, asJSON bool) error {
	if asJSON {
		return writeJSON(io.out, v)
	}
	var b strings.Builder
	for _, p := range v.Problems {
		fmt.Fprintf(&b, "error: %s\n", p)
	}
	for _, p := range v.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", p)
	}
	for _, c := range v.Credentials {
		if c.shown != "" {
			fmt.Fprintf(&b, "%s: the credential (%s) %s\n", c.Instance, c.Type, c.shown)
		}
	}
	if v.Valid {
		fmt.Fprintf(&b, "The configuration is valid: %s, %s.\n", counted(v.Instances, "instance"), counted(len(v.Warnings), "warning"))
	} else {
		fmt.Fprintf(&b, "The configuration is not valid: %s.\n", counted(len(v.Problems), "problem"))
	}
	if _, err := fmt.Fprint(io.out, b.String()); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
