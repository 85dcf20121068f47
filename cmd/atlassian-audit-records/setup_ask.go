package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/auth"
)

// The kinds of credential by what they are for, the recommended one first.
var (
	cloudKinds = []kindOfAuth{
		{check.ServiceAccount, "a service account's OAuth 2.0 credential: belongs to no person, and nothing has to be renewed (recommended)"},
		{check.APIToken, "an API token of a person: quickest to get; expires within a year, and goes when the person does"},
		{check.OAuth, "an OAuth 2.0 (3LO) app with a person's consent: where service accounts and API tokens are not allowed"},
	}
	dataCenterKinds = []kindOfAuth{
		{check.PersonalAccessToken, "a personal access token of an administrator (recommended)"},
		{check.Basic, "an administrator's user name and password: where the version has no such tokens (Jira before 8.14, Confluence before 7.9)"},
	}
	organizationKinds = []kindOfAuth{{"organization_api_key", "an API key of the organisation (recommended)"}}
)

type kindOfAuth struct {
	kind check.AuthType
	what string
}

// ask completes the answers: from the flags, and where they are silent, from
// the person.
func (f *setupFlags) ask(ctx context.Context, io stdio, ask *console, env check.Env) (check.Answers, error) {
	a := check.Answers{
		Organization: f.organization, SecretHandle: f.secretHandle,
		Gateway: f.gateway, AuthServer: f.authServer,
	}
	if f.runPath != agent.RunPath() {
		a.RunPath = f.runPath
	}
	var err error
	if f.organization == "" {
		if err = f.askSite(ctx, io, ask, env, &a); err != nil {
			return a, err
		}
	}
	if f.auditLogPath != "" {
		a.AuditLogPath, err = filepath.Abs(f.auditLogPath)
		return a, err
	}
	if err = f.askKind(ctx, io, ask, &a); err != nil {
		return a, err
	}
	introduceKind(io, ask, a)
	switch a.Type {
	case check.APIToken:
		a.Email, err = ask.orLine(ctx, f.email, "E-mail address of the account: ")
	case check.Basic:
		a.Username, err = ask.orLine(ctx, f.username, "User name: ")
	case check.ServiceAccount, check.OAuth:
		a.ClientID, err = ask.orLine(ctx, f.clientID, "Client id: ")
	}
	if err != nil {
		return a, err
	}
	conversation := ask.asked > 0
	if f.secretNeeded(a) {
		if a.Secret, err = f.askSecret(ctx, io, ask, a.Type); err != nil {
			return a, err
		}
	}
	if a.Expires = f.expires; a.Expires == "" && conversation {
		a.Expires, err = askExpiry(ctx, io, ask, a)
	}
	return a, err
}

// askExpiry asks for the day on which a token ends of which the person chose how
// long it lives: no API tells. Where the token tells itself, nobody is asked.
func askExpiry(ctx context.Context, io stdio, ask *console, a check.Answers) (string, error) {
	switch a.Type {
	case check.APIToken, check.PersonalAccessToken, check.OrganizationKey:
	default:
		return "", nil
	}
	if _, told := auth.TokenExpiry(a.Secret); told {
		return "", nil
	}
	for {
		text, err := ask.line(ctx, "The day on which it expires, like 2027-03-01 (nothing where it does not, or you do not know): ")
		if err != nil || text == "" || isDay(text) {
			return text, err
		}
		fmt.Fprintln(io.out, "Write it like 2027-03-01, or nothing.")
	}
}

// askSite asks for the address and finds out what answers there.
func (f *setupFlags) askSite(ctx context.Context, io stdio, ask *console, env check.Env, a *check.Answers) error {
	for {
		site, err := ask.orLine(ctx, f.site, "Address of the site, as you open it in the browser (like https://example.atlassian.net): ")
		if err != nil {
			return err
		}
		err = f.detect(ctx, io, env, site, a)
		if err == nil {
			break
		}
		if f.site != "" || ctx.Err() != nil {
			return err
		}
		fmt.Fprintf(io.out, "%s.\n", sentenceCase(err.Error()))
	}
	if a.DataCenter && len(a.Products) == 1 && !f.productsGiven {
		return nil
	}
	return f.askProducts(ctx, io, ask, a)
}

func (f *setupFlags) detect(ctx context.Context, io stdio, env check.Env, site string, a *check.Answers) error {
	a.Site = site
	if f.deployment != "" || f.auditLogPath != "" {
		a.DataCenter = f.deployment != "cloud"
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, setupLimit)
	defer cancel()
	found, err := check.Detect(ctx, site, env, check.Options{Version: version})
	if err != nil {
		return told(err)
	}
	a.Site = found.Base.String()
	if found.Cloud() {
		fmt.Fprintf(io.out, "%s is a Cloud site.\n", a.Site)
		return nil
	}
	a.DataCenter, a.Products = true, []audit.Product{found.Product}
	fmt.Fprintf(io.out, "%s is %s Data Center, version %s.\n", a.Site, sentenceCase(string(found.Product)), found.Version)
	return nil
}

func (f *setupFlags) askProducts(ctx context.Context, io stdio, ask *console, a *check.Answers) error {
	if f.productsGiven {
		products, err := productsOf(f.products, program+" setup")
		a.Products = products
		return err
	}
	byDefault := "jira,confluence"
	if a.DataCenter {
		byDefault = "jira"
	}
	for {
		text, err := ask.line(ctx, "Products to collect ["+byDefault+"]: ")
		if err != nil {
			return err
		}
		if text == "" {
			text = byDefault
		}
		words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
		if a.Products, err = productsOf(words, ""); err == nil {
			return nil
		}
		fmt.Fprintf(io.out, "%s.\n", sentenceCase(err.Error()))
	}
}

func (f *setupFlags) askKind(ctx context.Context, io stdio, ask *console, a *check.Answers) error {
	kinds, of := cloudKinds, "a Cloud site"
	switch {
	case a.Organization != "":
		kinds, of = organizationKinds, "an organisation"
	case a.DataCenter:
		kinds, of = dataCenterKinds, "Data Center"
	}
	if f.kindGiven {
		a.Type = check.AuthType(f.kind)
		if !slices.ContainsFunc(kinds, func(k kindOfAuth) bool { return k.kind == a.Type }) {
			return fmt.Errorf("%s is no credential for %s: use %s", f.kind, of, namesOf(kinds))
		}
		return nil
	}
	if len(kinds) == 1 {
		a.Type = kinds[0].kind
		return nil
	}
	fmt.Fprintln(io.out, "\nHow shall the check sign in?")
	for i, k := range kinds {
		fmt.Fprintf(io.out, "  %d. %s: %s\n", i+1, k.kind, k.what)
	}
	for {
		text, err := ask.line(ctx, "Which [1]: ")
		if err != nil {
			return err
		}
		if text == "" {
			text = "1"
		}
		for i, k := range kinds {
			if text == string(k.kind) || text == strconv.Itoa(i+1) {
				a.Type = k.kind
				return nil
			}
		}
		fmt.Fprintf(io.out, "Answer with a number from 1 to %d.\n", len(kinds))
	}
}

func namesOf(kinds []kindOfAuth) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k.kind)
	}
	return strings.Join(names, ", ")
}

// introduceKind says how to get the credential, to a person who is asked for
// it. docs/connect.md has it step by step.
func introduceKind(io stdio, ask *console, a check.Answers) {
	if ask.asked == 0 {
		return
	}
	var scopes, permissions []string
	for _, p := range a.Products {
		scopes = append(scopes, atlassian.Scopes(p)...)
		permissions = append(permissions, atlassian.Permission(p))
	}
	needs := strings.Join(permissions, " and ")
	text := map[check.AuthType]string{
		check.ServiceAccount: "Make it as an organisation administrator at https://admin.atlassian.com: Directory, Service accounts,\n" +
			"Create. Give the account the products, and in them " + needs + ".\n" +
			"Then: Create credentials, OAuth 2.0, with exactly these scopes (they cannot be changed later):\n  " + strings.Join(scopes, "\n  "),
		check.APIToken: "Make it at https://id.atlassian.com/manage-profile/security/api-tokens, as an account that has\n" +
			needs + ". A token without scopes is for both products; one with\n" +
			"scopes (" + strings.Join(scopes, ", ") + ") is for one of them.",
		check.OAuth: "Make an OAuth 2.0 integration at https://developer.atlassian.com/console/myapps, with the callback URL\n" +
			"  " + auth.CallbackURL(callbackPort) + "\nand under Permissions these scopes:\n  " + strings.Join(scopes, "\n  ") +
			"\nIts Settings show the client id and secret. Who consents later must have " + needs + ".",
		check.Basic: "The account needs " + needs + ". Make one for the purpose: after several failed\n" +
			"sign-ins Data Center wants a person to solve a CAPTCHA.",
		check.PersonalAccessToken: "Make it as an administrator, in the product: your profile, Personal Access Tokens, Create token.",
		"organization_api_key":    "Make it at https://admin.atlassian.com: Settings, API keys, Create API key, with the\nscope read:events:admin or without scopes.",
	}[a.Type]
	fmt.Fprintf(io.out, "\n%s\ndocs/connect.md shows it step by step.\n\n", text)
}

// secretNeeded reports whether the secret itself is to be written or tried out;
// otherwise its handle is all that is written.
func (f *setupFlags) secretNeeded(a check.Answers) bool {
	return a.SecretHandle == "" || !f.untested && a.Type != check.OAuth
}

// askSecret is the secret, from where the flags say, or from the person.
func (f *setupFlags) askSecret(ctx context.Context, io stdio, ask *console, kind check.AuthType) (auth.Secret, error) {
	switch {
	case f.secretFile != "":
		data, err := agent.ReadSecretFile(f.secretFile)
		return auth.Secret(data), err
	case f.secretEnv != "":
		if secret := strings.TrimSpace(io.getenv(f.secretEnv)); secret != "" {
			return auth.Secret(secret), nil
		}
		return "", fmt.Errorf("the environment variable %s is empty or not there", f.secretEnv)
	}
	what := map[string]string{"client_secret": "Client secret", "organization_api_key": "API key", "password": "Password"}[check.SecretOption(kind)]
	if what == "" {
		what = "Token"
	}
	secret, err := ask.secret(ctx, what+" (not shown): ")
	if err == nil && secret == "" {
		err = errors.New("there is no credential without its secret: run the command again when you have it")
	}
	return secret, err
}

// quoted is a path as it is typed in a command.
func quoted(path string) string {
	if strings.ContainsAny(path, " \t") {
		return `"` + path + `"`
	}
	return path
}

// remaining are the commands that are left to run.
func (f *setupFlags) remaining(path string, a check.Answers) []string {
	user := agent.OwnerName(f.runPath)
	as, root := "", "sudo "
	switch {
	case runtime.GOOS == "windows":
		root = ""
	case user != "":
		as = "sudo -u " + user + " "
	default:
		as = "sudo -u dd-agent "
	}
	flags := ""
	if path != agent.ConfFile(agent.ConfPath()) {
		flags = " --conf " + quoted(path)
	}
	if f.runPathGiven {
		flags += " --run-path " + quoted(f.runPath)
	}
	first := as + program + " validate" + flags
	if a.Type == check.OAuth {
		first = root + program + " authorize" + flags
	}
	second, third := as+"datadog-agent check "+agent.CheckName, "sudo systemctl restart datadog-agent"
	switch runtime.GOOS {
	case "darwin":
		third = "sudo launchctl kickstart -k system/com.datadoghq.agent"
	case "windows":
		second = `& "$env:ProgramFiles\Datadog\Datadog Agent\bin\agent.exe" check ` + agent.CheckName
		third = "Restart-Service -Force datadogagent"
	}
	return []string{first, second, third}
}
