package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/auth"
)

// callbackPort is the port of the callback URL that docs/connect.md has people
// enter in the app's settings.
const callbackPort = 14390

// finishLimit bounds what follows the answer of Atlassian's page.
const finishLimit = 2 * time.Minute

// secretVariable names the client secret where the configuration has a handle
// that only the Agent can resolve.
const secretVariable = "ATLASSIAN_CLIENT_SECRET"

// authorizeFlags are the flags of authorize.
type authorizeFlags struct {
	conf, site, runPath string
	datadogConf         string
	products            []string
	port                int
	paste               bool
	timeout             time.Duration
	// given is true where --run-path was: it then counts before init_config's.
	given bool
}

func newAuthorizeCommand(io stdio) *cobra.Command {
	var f authorizeFlags
	cmd := &cobra.Command{
		Use:   "authorize [--conf FILE|DIR] [--site SITE]",
		Short: "Let a person consent that the check reads their sites (auth.type: oauth)",
		Long: "Prints an address, and opens it where there is a browser. The person who signs in there\n" +
			"chooses a site and presses Accept; the browser then comes back to this machine, and what\n" +
			"Atlassian gives is stored below the run path, for the Agent's user alone. At the end one\n" +
			"audit record of each product is asked for.\n\n" +
			"Where the browser runs on another machine, use --paste: the page at which it ends cannot be\n" +
			"opened there, but its address holds the answer.\n\n" +
			"The app must have this callback URL: " + auth.CallbackURL(callbackPort) + ", or that of --port.\n" +
			"Where conf.yaml has the client secret as a handle, ENC[…], which only the Agent can resolve,\n" +
			"it is taken from the environment variable " + secretVariable + ", or else asked for.\n\n" +
			"As root it takes the identity of the run path's owner, so that nothing of root's is left\n" +
			"behind. Exit status: 0 all products can be read, 1 not, 2 wrong use.",
		Example: "  sudo " + program + " authorize --conf /etc/datadog-agent/conf.d/atlassian_audit_records.d\n" +
			"  sudo " + program + " authorize --site https://example.atlassian.net --products jira --paste",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.given = cmd.Flags().Changed("run-path")
			products, err := f.wanted(cmd.CommandPath())
			if err != nil {
				return err
			}
			return f.run(cmd.Context(), io, products)
		},
	}
	cmd.Flags().StringVar(&f.conf, "conf", filepath.Dir(agent.ConfFile(agent.ConfPath())), "a conf.yaml, or a folder of *.yaml files")
	cmd.Flags().StringVar(&f.site, "site", "", "the site to consent for, where the configuration has several")
	cmd.Flags().StringSliceVar(&f.products, "products", nil, "the products to consent for, such as jira,confluence (default all that the configuration collects with the same app)")
	cmd.Flags().IntVar(&f.port, "port", callbackPort, "the port of the app's callback URL")
	cmd.Flags().BoolVar(&f.paste, "paste", false, "ask for the address at which the browser ends, instead of waiting for the browser")
	cmd.Flags().StringVar(&f.runPath, "run-path", agent.RunPath(), "where the consent is kept; where it is given, it counts before run_path in init_config")
	cmd.Flags().StringVar(&f.datadogConf, "datadog-conf", agent.DatadogConf(), datadogConfUsage)
	cmd.Flags().DurationVar(&f.timeout, "timeout", 5*time.Minute, "how long to wait for the browser")
	return cmd
}

// wanted are the products of --products.
func (f authorizeFlags) wanted(command string) ([]audit.Product, error) {
	if f.port < 0 || f.port > 65535 || f.timeout <= 0 {
		return nil, &usageError{reason: "--port must be from 0 to 65535, and --timeout more than 0", next: command + " --help"}
	}
	return productsOf(f.products, command)
}

// productsOf reads the names of products that a person wrote.
func productsOf(words []string, command string) ([]audit.Product, error) {
	var out []audit.Product
	for _, w := range words {
		product := audit.Product(strings.ToLower(strings.TrimSpace(w)))
		if product != audit.Jira && product != audit.Confluence {
			return nil, &usageError{reason: fmt.Sprintf("there is no product %q: there are jira and confluence", w), next: command + " --help"}
		}
		if !slices.Contains(out, product) {
			out = append(out, product)
		}
	}
	return out, nil
}

func (f authorizeFlags) run(ctx context.Context, io stdio, products []audit.Product) error {
	ask := newConsole(io)
	c, all, err := f.instance(io)
	if err != nil {
		return err
	}
	if err := f.secret(ctx, io, ask, c, all); err != nil {
		return err
	}
	redirect := auth.CallbackURL(f.port)
	var back *auth.Callback
	if !f.paste {
		if back, err = auth.ListenCallback(ctx, f.port); err != nil {
			return fmt.Errorf("%w: end the program that has the port, or use --port with another one, and enter its callback URL in the app's settings, or use --paste", err)
		}
		defer back.Close()
		redirect = back.URL()
	}
	a, err := check.NewAuthorization(c, all, products, redirect, check.Options{Version: version, Conf: f.absolute(), OpenShared: openShared})
	if err != nil {
		return err
	}
	defer a.Close()
	f.introduce(io, c, a, redirect)
	code, err := f.answer(ctx, io, ask, back, a)
	if err != nil {
		return f.unanswered(err, a, redirect)
	}
	ctx, cancel := context.WithTimeout(ctx, finishLimit)
	defer cancel()
	done, err := a.Finish(ctx, code)
	if err != nil {
		return told(err)
	}
	return f.conclude(io, a, done)
}

func (f authorizeFlags) absolute() string {
	path, err := filepath.Abs(f.conf)
	if err != nil {
		return f.conf
	}
	return path
}

// instance is the one to consent for, and all of the configuration, read as the
// user to whom the run path belongs.
func (f authorizeFlags) instance(io stdio) (*check.Config, []*check.Config, error) {
	conf, err := checkFlags{conf: f.conf, runPath: f.runPath, datadogConf: f.datadogConf, given: f.given, handles: true}.configured(io)
	if err != nil {
		return nil, nil, err
	}
	var all []*check.Config
	for _, in := range conf.all {
		all = append(all, in.Config)
	}
	c, err := choose(all, f.site)
	return c, all, err
}

// choose is the one instance that signs in with a consent and is meant.
func choose(all []*check.Config, site string) (*check.Config, error) {
	var hosts []string
	var found []*check.Config
	handle := false
	wanted := strings.ToLower(site)
	if _, rest, ok := strings.Cut(wanted, "://"); ok {
		wanted = rest
	}
	wanted = strings.TrimSuffix(strings.TrimSuffix(wanted, "/"), "/wiki")
	for _, c := range all {
		if c.Auth.Type != check.OAuth {
			continue
		}
		if c.Site == nil {
			handle = true
			continue
		}
		if !slices.Contains(hosts, c.Host()) {
			hosts = append(hosts, c.Host())
		}
		if wanted == "" || wanted == c.Host() {
			found = append(found, c)
		}
	}
	switch {
	case len(hosts) == 0 && handle:
		return nil, errors.New(siteHandle)
	case len(hosts) == 0:
		return nil, errors.New("no instance of the configuration has auth.type oauth, and no other kind of credential needs a consent: " +
			"see docs/connect.md for which to use")
	case len(found) == 0:
		return nil, fmt.Errorf("no instance with auth.type oauth has the site %s: there are %s", wanted, strings.Join(hosts, ", "))
	case wanted == "" && len(hosts) > 1:
		return nil, fmt.Errorf("the configuration has several sites with auth.type oauth, and a consent is for one: choose it with --site, of %s", strings.Join(hosts, ", "))
	}
	return found[0], nil
}

// secret completes the client secret where the configuration has a handle.
func (f authorizeFlags) secret(ctx context.Context, io stdio, ask *console, c *check.Config, all []*check.Config) error {
	if c.Auth.ClientSecret != "" {
		return nil
	}
	secret := auth.Secret(strings.TrimSpace(io.getenv(secretVariable)))
	if secret == "" {
		var err error
		fmt.Fprintf(io.out, "The configuration has the client secret of %s as a handle, which only the Agent can resolve.\n", c.Host())
		if secret, err = ask.secret(ctx, "Client secret (not shown): "); err != nil {
			return err
		}
	}
	if secret == "" {
		return errors.New("without the client secret Atlassian gives no token: copy it from the app's Settings at https://developer.atlassian.com/console/myapps")
	}
	for _, other := range all {
		if other.Auth.Type == check.OAuth && other.Auth.ClientID == c.Auth.ClientID && other.Auth.ClientSecret == "" {
			other.Auth.ClientSecret = secret
		}
	}
	return nil
}

func (f authorizeFlags) introduce(io stdio, c *check.Config, a *check.Authorization, redirect string) {
	fmt.Fprintf(io.out, "Open this address in a browser, signed in as the account that shall read the audit records\n"+
		"of %s, choose that site on the page, and press Accept:\n\n  %s\n\n", c.Host(), a.Address())
	fmt.Fprintf(io.out, "It asks for: %s, offline_access\nThe callback URL in the app's settings must be: %s\n", strings.Join(a.Scopes, ", "), redirect)
	for _, p := range a.Missing {
		fmt.Fprintf(io.out, "Warning: the configuration collects %s with the same app, and this consent is not for it; a consent replaces\n"+
			"what an earlier one of the same account was for, so %[1]s will be refused until it is in --products too.\n", p)
	}
	fmt.Fprintln(io.out)
}

// answer is the code, from the browser or from the person.
func (f authorizeFlags) answer(ctx context.Context, io stdio, ask *console, back *auth.Callback, a *check.Authorization) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	if back != nil {
		fmt.Fprintf(io.out, "Waiting for the browser, for %s. (With --paste, it may run on another machine.)\n", f.timeout)
		openBrowser(ctx, io.getenv, a.Address())
		return back.Wait(ctx, a.Consent)
	}
	fmt.Fprintln(io.out, "The browser ends at a page that cannot be opened, or at one that says so. Copy the whole address\nof that page from the browser's address bar.")
	for {
		landing, err := ask.line(ctx, "Address: ")
		if err != nil {
			return "", err
		}
		code, err := a.Consent.Answer(landing)
		var final *auth.Error
		if err == nil || errors.As(err, &final) {
			return code, err
		}
		fmt.Fprintf(io.out, "%s.\n", sentenceCase(err.Error()))
	}
}

// told is an error whose sentence says all: what to do next, and its code where
// it has one of its own.
func told(err error) error {
	if check.CodeOf(err) == check.CodeMachine {
		return err
	}
	return errors.New(check.Sentence(err))
}

func sentenceCase(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// unanswered explains why no code came.
func (f authorizeFlags) unanswered(err error, a *check.Authorization, redirect string) error {
	if final := (*auth.Error)(nil); errors.As(err, &final) {
		return told(err)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var permissions []string
	for _, p := range a.Products {
		permissions = append(permissions, fmt.Sprintf("%s: %s", p, strings.Join(atlassian.Scopes(p), " and ")))
	}
	return fmt.Errorf("no answer came within %s; nothing was changed.\n"+
		"If Atlassian's page said \"Something went wrong\", it does not send the browser back. At https://developer.atlassian.com/console/myapps, look at the app:\n"+
		"  - Permissions: each of these must be added to it (%s)\n"+
		"  - Authorization, OAuth 2.0 (3LO): the callback URL must be exactly %s\n"+
		"  - Distribution: while it is not shared, only its owner may consent\n"+
		"or the account that is signed in lacks one of the products (%s) on the site: give it access, or leave the product out with --products.\n"+
		"If the page after Accept could not be opened, the browser runs on another machine: use --paste.\n"+
		"Then run the command again", f.timeout, strings.Join(permissions, "; "), redirect, joined(a.Products))
}

func joined(products []audit.Product) string {
	words := make([]string, len(products))
	for i, p := range products {
		words[i] = string(p)
	}
	return strings.Join(words, ", ")
}

// conclude tells what came of it.
func (f authorizeFlags) conclude(io stdio, a *check.Authorization, done *check.Authorized) error {
	var b strings.Builder
	b.WriteString("\nThe consent is for:\n")
	for _, s := range done.Sites {
		fmt.Fprintf(&b, "  %s  (%s)\n", s.URL, strings.Join(s.Scopes, ", "))
	}
	fmt.Fprintf(&b, "It is kept in %s, and used for %s.\n\n", a.Kept(), strings.Join(done.Bound, ", "))
	for _, p := range done.Probes {
		fmt.Fprintf(&b, "%s: %s\n", p.Product, p.Sentence())
	}
	if done.Failed() != nil {
		b.WriteString("\nThe consent is stored and need not be given again for this, unless the sentence says so. To look again:\n  " +
			program + " check --conf " + quoted(f.conf) + "\n")
	} else {
		b.WriteString("\nDone: the check reads with this consent from its next run on.\n")
	}
	if _, err := fmt.Fprint(io.out, b.String()); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	if done.Failed() != nil {
		return &statusError{statusFailed}
	}
	return nil
}
