package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/agent"
)

// setupLimit bounds what is asked of Atlassian.
const setupLimit = 2 * time.Minute

// setupFlags are the flags of setup: the answers that need no question.
type setupFlags struct {
	conf, runPath, datadogConf  string
	site, organization          string
	deployment                  string
	products                    []string
	kind                        string
	email, username, clientID   string
	secretFile, secretEnv       string
	secretHandle, expires       string
	auditLogPath                string
	gateway, authServer         string
	force, untested             bool
	runPathGiven, productsGiven bool
	kindGiven                   bool
}

func newSetupCommand(io stdio) *cobra.Command {
	var f setupFlags
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Write a configuration: asks, finds out, tests, and says what remains to be done",
		Long: "Asks for the site, finds out what it is, recommends a kind of credential and says how to\n" +
			"get it, reads one audit record of each product with it, and writes conf.yaml for the\n" +
			"Agent's user. Nothing is asked that a flag answers, so that it can be scripted.\n\n" +
			"The secret is never a flag, which others could see: it is asked for without being shown, or\n" +
			"read from a file (--secret-file, mode 0600) or an environment variable (--secret-env).\n" +
			"A client secret or an organisation's key is put into a file of its own beside conf.yaml; with --secret-handle 'ENC[…]'\n" +
			"that handle is written in its place, and the secret nowhere.\n\n" +
			"With --audit-log-path the audit log files of a Data Center node are read in place of its API: no\n" +
			"credential is asked for, and nothing is asked of the site.\n\n" +
			"Exit status: 0 the file is written, 1 it is not, 2 wrong use.",
		Example: "  sudo " + program + " setup\n" +
			"  sudo " + program + " setup --site example.atlassian.net --products jira,confluence \\\n" +
			"    --auth service_account --client-id abc123 --secret-file /root/client_secret",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.runPathGiven = cmd.Flags().Changed("run-path")
			f.productsGiven = cmd.Flags().Changed("products")
			f.kindGiven = cmd.Flags().Changed("auth")
			if err := f.check(cmd.CommandPath()); err != nil {
				return err
			}
			return f.run(cmd.Context(), io)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.conf, "conf", agent.ConfFile(agent.ConfPath()), "the file to write")
	flags.StringVar(&f.runPath, "run-path", agent.RunPath(), "the Agent's run_path")
	flags.StringVar(&f.datadogConf, "datadog-conf", agent.DatadogConf(), datadogConfUsage)
	flags.StringVar(&f.site, "site", "", "the address of the site, as people open it in their browser")
	flags.StringVar(&f.organization, "organization", "", "an organisation's id, in place of --site, for the organisation's own audit log")
	flags.StringVar(&f.deployment, "deployment", "", "cloud or data_center, in place of finding it out")
	flags.StringSliceVar(&f.products, "products", nil, "the products to collect, such as jira,confluence")
	flags.StringVar(&f.kind, "auth", "", "the kind of credential: service_account, api_token, oauth; on Data Center personal_access_token or basic; organization_api_key")
	flags.StringVar(&f.email, "email", "", "for api_token: the account's e-mail address")
	flags.StringVar(&f.username, "username", "", "for basic: the account's user name")
	flags.StringVar(&f.clientID, "client-id", "", "for service_account and oauth: the client id")
	flags.StringVar(&f.secretFile, "secret-file", "", "a file of mode 0600 that holds the token or client secret")
	flags.StringVar(&f.secretEnv, "secret-env", "", "the name of an environment variable that holds it")
	flags.StringVar(&f.secretHandle, "secret-handle", "", "what to write in its place: a handle of the Agent's secret management, ENC[name]")
	flags.StringVar(&f.expires, "expires", "", "the day on which the credential ends, like 2027-03-01; the check reminds of it 30 days before")
	flags.StringVar(&f.auditLogPath, "audit-log-path", "", "on a Data Center node, the folder of its audit log files, to be read in place of the API")
	flags.StringVar(&f.gateway, "gateway", "", "another gateway than Atlassian's, as in Atlassian Government Cloud")
	flags.StringVar(&f.authServer, "auth-server", "", "another authorisation server than Atlassian's")
	flags.BoolVar(&f.force, "force", false, "replace a configuration that is there, and keep it beside the new one")
	flags.BoolVar(&f.untested, "untested", false, "write the configuration without asking Atlassian anything; needs --deployment")
	return cmd
}

var handleForm = regexp.MustCompile(`^ENC\[.+\]$`)

// check refuses flags that contradict each other.
func (f *setupFlags) check(command string) error {
	wrong := func(format string, args ...any) error {
		return &usageError{reason: fmt.Sprintf(format, args...), next: command + " --help"}
	}
	switch {
	case f.site != "" && f.organization != "":
		return wrong("--site and --organization are two configurations: run it once for each")
	case f.deployment != "" && f.deployment != "cloud" && f.deployment != "data_center":
		return wrong("--deployment must be cloud or data_center")
	case f.auditLogPath != "" && (f.organization != "" || f.deployment == "cloud"):
		return wrong("--audit-log-path is for Data Center, whose nodes write audit log files")
	case f.auditLogPath != "" && f.hasCredential():
		return wrong("--audit-log-path reads files, which takes no credential: leave out --auth and what belongs to it")
	case f.untested && f.deployment == "" && f.organization == "" && f.auditLogPath == "":
		return wrong("--untested asks Atlassian nothing, so --deployment has to say what the site is")
	case f.expires != "" && !isDay(f.expires):
		return wrong("--expires must be a day, like 2027-03-01")
	case f.secretFile != "" && f.secretEnv != "":
		return wrong("--secret-file and --secret-env both hold the secret: give one of them")
	case f.secretHandle != "" && !handleForm.MatchString(f.secretHandle):
		return wrong("--secret-handle must be written ENC[name]; where it is the secret itself, others can see it now: revoke it")
	case f.kindGiven && check.SecretOption(check.AuthType(f.kind)) == "":
		return wrong("there is no credential of the kind %q", f.kind)
	}
	_, err := productsOf(f.products, command)
	return err
}

// hasCredential reports whether a flag is about one.
func (f *setupFlags) hasCredential() bool {
	return f.kindGiven || f.email+f.username+f.clientID+f.secretFile+f.secretEnv+f.secretHandle+f.expires != ""
}

func isDay(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

func (f *setupFlags) run(ctx context.Context, io stdio) error {
	ask := newConsole(io)
	path, err := f.target()
	if err != nil {
		return err
	}
	if f.runPath, err = filepath.Abs(f.runPath); err != nil {
		return fmt.Errorf("--run-path: %w", err)
	}
	env := check.Env{RunPath: f.runPath, Getenv: io.getenv}
	ofAgent(&env, io, f.datadogConf, f.runPathGiven)
	f.runPath = env.RunPath
	a, err := f.ask(ctx, io, ask, env)
	if err != nil {
		return err
	}
	if a.SecretHandle == "" && check.SecretFileOption(a.Type) {
		a.SecretFile = secretPath(path, a.Type)
		if _, err := os.Lstat(a.SecretFile); err == nil && !f.force {
			return existing(a.SecretFile)
		}
	}
	c, err := a.Config(env)
	if err != nil {
		return told(fmt.Errorf("this makes no valid configuration: %w", err))
	}
	beside := check.ReadNeighbours(path, env)
	if err := beside.Conflict(c, filepath.Base(path)); err != nil {
		return told(err)
	}
	if err := f.test(ctx, io, ask, c); err != nil {
		return err
	}
	return f.write(io, path, a, beside.Followed)
}

// target is the file to write, which must not be there yet.
func (f *setupFlags) target() (string, error) {
	path, err := filepath.Abs(f.conf)
	if err != nil {
		return "", fmt.Errorf("--conf: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "conf.yaml")
	}
	if _, err := os.Lstat(path); err == nil && !f.force {
		return "", existing(path)
	}
	return path, nil
}

func existing(path string) error {
	return fmt.Errorf("%s is there already, and nothing was changed: edit it, write another file with --conf (the Agent reads every *.yaml of the folder), or replace it with --force, which keeps the old one beside it", path)
}

// secretPath is where a client secret, or an organisation's key, is kept: beside the configuration, in no
// file that the Agent reads or puts into a flare.
func secretPath(conf string, kind check.AuthType) string {
	name := strings.TrimSuffix(filepath.Base(conf), filepath.Ext(conf))
	return filepath.Join(filepath.Dir(conf), name+"."+check.SecretOption(kind))
}

// test asks one real question about each product, unless that cannot be done
// yet.
func (f *setupFlags) test(ctx context.Context, io stdio, ask *console, c *check.Config) error {
	switch {
	case f.untested:
		return nil
	case c.Auth.Type == check.OAuth:
		fmt.Fprintln(io.out, "\nThis kind of credential is tested once a person has consented: see below.")
		return nil
	}
	fmt.Fprintf(io.out, "\nReading one audit record of each product …\n")
	ctx, cancel := context.WithTimeout(ctx, setupLimit)
	defer cancel()
	probes, err := check.ProbeInstance(ctx, c, check.Options{Version: version})
	if err != nil {
		return told(err)
	}
	failed := false
	for _, p := range probes {
		fmt.Fprintf(io.out, "  %s: %s\n", p.Product, p.Sentence())
		failed = failed || p.Err != nil
	}
	if !failed {
		return nil
	}
	if ask.asked > 0 {
		answer, err := ask.line(ctx, "\nWrite the configuration all the same? [y/N] ")
		if err == nil && strings.HasPrefix(strings.ToLower(answer), "y") {
			return nil
		}
	}
	return errors.New("nothing was written: do what the sentences above say, and run the command again")
}

// write puts the files in place, and says what remains.
func (f *setupFlags) write(io stdio, path string, a check.Answers, followed []string) error {
	text, err := a.YAML(followed)
	if err != nil {
		return err
	}
	like := []string{f.runPath, filepath.Dir(filepath.Dir(path))}
	now := time.Now()
	var kept []string
	install := func(path string, data []byte, mode fs.FileMode) error {
		backup, err := agent.Install(path, data, mode, like, f.force, now)
		if errors.Is(err, fs.ErrExist) {
			return existing(path)
		}
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%w: run the command as root, or as the Agent's user", err)
		}
		if backup != "" {
			kept = append(kept, backup)
		}
		return err
	}
	if a.SecretFile != "" {
		if err := install(a.SecretFile, []byte(a.Secret.Reveal()+"\n"), 0o600); err != nil {
			return err
		}
	}
	if err := install(path, text, 0o640); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nWritten: %s\n", path)
	if a.SecretFile != "" {
		fmt.Fprintf(&b, "The secret is in: %s\n", a.SecretFile)
	}
	for _, k := range kept {
		fmt.Fprintf(&b, "What was there before is in: %s\n", k)
	}
	if owner, user := agent.OwnerName(path), agent.OwnerName(f.runPath); owner != user && user != "" {
		fmt.Fprintf(&b, "It belongs to %s. So that the Agent can read it: sudo chown %s %s %s\n", owner, user, path, a.SecretFile)
	}
	b.WriteString("\nWhat remains, in this order:\n")
	for i, command := range f.remaining(path, a) {
		fmt.Fprintf(&b, "  %d. %s\n", i+1, command)
	}
	fmt.Fprintf(&b, "The Agent sends logs only with `logs_enabled: true` in datadog.yaml.\n")
	if path != agent.ConfFile(agent.ConfPath()) && filepath.Dir(path) != filepath.Dir(agent.ConfFile(agent.ConfPath())) {
		fmt.Fprintf(&b, "An Agent that was installed the usual way reads %s, not this file.\n", agent.ConfFile(agent.ConfPath()))
	}
	if _, err := fmt.Fprint(io.out, b.String()); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
