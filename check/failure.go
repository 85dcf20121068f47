package check

import (
	"errors"
	"fmt"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/auth"
	"atlassian_audit_records/pkg/shared"
	"atlassian_audit_records/pkg/state"
)

// Failure is one kind of failure: what a code means, whatever the site and the
// product. The sentence that a run or a diagnosis reports says more: which
// product, which scope, until when.
type Failure struct {
	// Code is stable. A message about the failure ends with it in parentheses.
	Code string
	// Title says what happened, and Next what to do, each without a full stop.
	Title, Next string
}

// Doc is where the failure is explained, relative to the repository's root.
func (f Failure) Doc() string { return "docs/troubleshooting.md#" + f.Code }

// Codes of failures on this machine; those of pkg/atlassian and pkg/auth are
// theirs.
const (
	CodeConsentSite  = "consent_site"   // a consent is for another site than the configured one
	CodeExpiring     = "token_expiring" // auth.expires, or the token's own end, is near or past
	CodeConfig       = "config"         // the configuration is not valid
	CodeDiskFull     = "disk_full"      // no room left under the run path
	CodeSpoolFull    = "spool_full"     // spool_max_size is reached
	CodeState        = "state"          // a state is damaged, or of a newer version
	CodeStuckRun     = "stuck_run"      // another run holds the state and does nothing
	CodeMachine      = "machine"        // a file or folder on this machine cannot be used
	CodeProgram      = "program_error"  // a mistake in this program
	CodeLogsDisabled = "logs_disabled"  // the Agent collects no logs
	CodeLogsEntry    = "logs_entry"     // no entry of `logs:` follows the spool
	CodeOpenFiles    = "open_files"     // more spool files than the Agent follows
	CodeAgentTooOld  = "agent_too_old"  // before 7.77
	CodeAgentFiles   = "agent_files"    // what the Agent needs is missing, or not as it needs it
	CodeNotRunning   = "not_running"    // the Agent does not run the check
	CodeWithheld     = "withheld"       // Atlassian shows records without dates that it does not show with dates
	CodeShared       = "shared_state"   // what machines share cannot be reached or used
	CodeUndelivered  = "undelivered"    // the Agent does not read the spool
)

// Failures are all kinds of failure, in the order of the documentation. They
// are the one place that says which codes there are.
func Failures() []Failure {
	const (
		newToken  = "make a new token as the same account, at https://id.atlassian.com/manage-profile/security/api-tokens or, for a service account, at https://admin.atlassian.com, and put it into the configuration"
		nothing   = "nothing: no record is lost, and the next run tries again"
		consent   = "run the command that the message names, or `atlassian-audit-records authorize`"
		newClient = "compare `client_id` and `client_secret` with the credential at https://admin.atlassian.com, or make a new one there"
	)
	return []Failure{
		// The credential.
		{atlassian.CodeUnauthorized, "Atlassian does not accept the credential", "check `email` and the token, and that both are of one account; else " + newToken},
		{atlassian.CodeExpired, "Atlassian does not accept a credential any more that it accepted before", newToken},
		{CodeExpiring, "The credential expires soon, or its day has passed", newToken + "; bring `auth.expires` up to date"},
		{atlassian.CodeScope, "The token lacks a scope", "make a new token with all the scopes that the message names: scopes cannot be added to one that exists"},
		{atlassian.CodeWrongHost, "The site's own host refuses the token, and the gateway could not be asked", "check `gateway`, and that this machine reaches it: tokens with scopes are good for the gateway alone"},
		{atlassian.CodeCaptcha, "Atlassian wants a person to solve a CAPTCHA", "sign in as the account in a browser once, or let an administrator reset its failed login count"},
		{atlassian.CodeBasicDisabled, "The instance takes no user name and password", "use a personal access token"},
		{auth.CodeClient, "The authorisation server refuses the client id or the secret", newClient},
		{atlassian.CodeCredential, "The credential could not be attached to the request", "check `auth`"},
		{auth.CodeOrigin, "A request was not sent, because the credential is not meant for its address", "check `site`, `gateway` and `auth_server`"},
		{auth.CodeTokenStore, "The file of issued tokens cannot be used", "look at who made it; remove it if in doubt: tokens are issued anew, and a consent (`auth.type: oauth`) is given anew"},
		{auth.CodeNoConsent, "Nobody has consented yet that the app reads from the site", consent},
		{auth.CodeConsentEnded, "Atlassian does not take the consent any more", consent},
		{auth.CodeConsentDenied, "The person did not consent, or Atlassian's page gave no consent", consent + ", choose the site and press Accept"},
		{auth.CodeConsentCode, "The code of the consent is refused", consent + "; if it stays so, compare the callback URL in the app's settings with the one that the command prints"},
		{CodeConsentSite, "The consent is for another site than the configured one", consent + ", and choose the configured site on Atlassian's page"},

		// What the account may do.
		{atlassian.CodeNotAdmin, "The account may not read the audit log", "give it the permission that the message names; if it has that, check that it may use the product and that the site is on a paid plan"},
		{atlassian.CodeNoProductAccess, "The account may not use the product", "give the account access to the product, and the administrator permission"},
		{atlassian.CodePlan, "The plan has no audit log", "move the product to a paid plan, or remove it from `products`"},
		{atlassian.CodeIPAllowlist, "Atlassian refuses the address from which this machine asks", "add the public address of this machine, or of its proxy, to the IP allowlist of the organisation"},
		{atlassian.CodeForbidden, "A web page refused the question", "check, in this order, the IP allowlist of the organisation, the proxy, and the permissions of the account"},

		// The address.
		{atlassian.CodeCloudID, "The address is not that of a Cloud site", "check `site`: it is the address that people open in their browser, such as https://example.atlassian.net"},
		{atlassian.CodeNotFound, "The product was not found at this address", "check that the site has the product; otherwise remove it from `products`"},
		{atlassian.CodeLoginPage, "A login page came instead of data", "check the credential; if it is right, check that the site is active and that no proxy or single sign-on answers in its place"},
		{atlassian.CodeRedirect, "The address answers from elsewhere", "if the site was renamed, set `site` to its new address"},

		// The way there.
		{atlassian.CodeDNS, "A name cannot be resolved", "check its spelling in the configuration, and the DNS of this machine"},
		{atlassian.CodeNetwork, "A host cannot be reached, or the connection broke", "check the network, the firewall and the proxy if it stays so"},
		{atlassian.CodeTLS, "There is no trusted connection", "if a proxy or gateway of yours intercepts TLS, give its certificate authority in `tls_ca_cert`"},
		{atlassian.CodeClock, "The clock of this machine is off", "let the machine take its time from an NTP server"},
		{atlassian.CodeProxy, "The proxy refuses, or cannot be reached", "check the proxy's address, user name and password, and that it lets the host through"},
		{atlassian.CodeAuditLog, "The audit log files of a Data Center node cannot be read", "check `audit_log_path`, and that the Agent's user may read the files"},
		{atlassian.CodeTimeout, "No whole answer came in time", "check the network and raise `timeout` if it stays so"},

		// Atlassian.
		{atlassian.CodeQuota, "The rate limit is reached", nothing + ", at the time that the message names"},
		{atlassian.CodeUnavailable, "Atlassian is unavailable", nothing + "; https://status.atlassian.com tells more"},
		{atlassian.CodeInvalidAnswer, "The answer cannot be read", "check that no proxy answers in Atlassian's place; if it stays so, report it with the message"},
		{atlassian.CodeTooLarge, "The answer is too large", "report it with the message if it stays so"},
		{atlassian.CodeBadRequest, "Atlassian did not understand the question", "report it with the message: it should not happen"},
		{atlassian.CodeInterrupted, "The time for the run was over before an answer came", nothing + "; raise `min_collection_interval` if it stays so: a run takes half of it"},
		{auth.CodeTokenWait, "The authorisation server wants to be left alone", nothing + ", at the time that the message names"},
		{auth.CodeTokenServer, "The authorisation server is unavailable", nothing},
		{auth.CodeTokenInvalid, "The authorisation server answered with something that is no token", "check `auth_server`, and that no proxy answers in its place"},
		{auth.CodeTokenRedirect, "The authorisation server redirects", "check `auth_server`"},
		{auth.CodeTokenBusy, "Another process is at the file of issued tokens", nothing + "; if it stays so, find the process atlassian-audit-records that hangs, and end it"},
		{CodeWithheld, "Atlassian shows records when it is asked without dates, and does not show them when it is asked with dates", "look into the audit log in a browser for records that are not in Datadog, and report it to Atlassian's support"},

		// This machine.
		{CodeConfig, "The configuration is not valid", "mend what the message names; `atlassian-audit-records validate` shows every problem at once"},
		{CodeLogsDisabled, "The Agent collects no logs", "set `logs_enabled: true` in datadog.yaml and restart the Agent"},
		{CodeLogsEntry, "The Agent does not follow the spool", "copy the entries of `logs:` from conf.yaml.example, with the path that the message names"},
		{CodeOpenFiles, "There are more spool files than the Agent follows", "raise `logs_config.open_files_limit` in datadog.yaml to what the message names and restart the Agent, or spread the sites over several Agents"},
		{CodeAgentTooOld, "The Agent is older than 7.77", "update the Agent"},
		{CodeAgentFiles, "Something of the Agent's is missing, or not as the check needs it", "do what the message says, as root where needed"},
		{CodeNotRunning, "The Agent does not run the check", "see in `datadog-agent status`, under Collector, whether it runs atlassian_audit_records and with which error, and restart the Agent after a change of the configuration"},
		{CodeUndelivered, "The Agent does not read the spool", "see in `datadog-agent status`, under Logs Agent, whether it follows the files, and restart it after a change of `logs:`"},
		{CodeSpoolFull, "Collection is paused, because the spool is full", "see in `datadog-agent status` that the Agent delivers its logs, or raise `spool_max_size`"},
		{CodeDiskFull, "The disk is full", "free some space on the file system of the run path"},
		{CodeState, "What is remembered of a product cannot be used", "do what the message says; where the file is damaged, the next run puts its copy in its place"},
		{CodeShared, "What machines share of a site cannot be reached or used", "do what the message says; where the store is away, collection goes on until this machine's lease ends, and resumes by itself"},
		{CodeStuckRun, "Another run holds the state and does nothing", "find the process atlassian-audit-records that hangs, and end it"},
		{CodeMachine, "A file or folder on this machine cannot be used", "mend what the message names: mostly an owner or a mode under the run path"},
		{CodeProgram, "The run failed by a mistake in this program", "report it with the message and the version"},
	}
}

// FailureOf is the kind of failure with that code.
func FailureOf(code string) (Failure, bool) {
	for _, f := range Failures() {
		if f.Code == code {
			return f, true
		}
	}
	return Failure{}, false
}

// coded is an error with a code of this package.
type coded struct {
	code string
	err  error
}

func (e *coded) Error() string { return e.err.Error() }
func (e *coded) Unwrap() error { return e.err }

// CodeOf is the code of what failed a run: one of Failures, CodeMachine where
// the error is of no kind of its own.
func CodeOf(err error) string {
	var own *coded
	var site *WrongSiteError
	var answer *atlassian.Error
	var credential *auth.Error
	var config *ConfigError
	switch {
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &site):
		return CodeConsentSite
	case errors.As(err, &answer):
		return answer.Code
	case errors.As(err, &credential):
		return credential.Code()
	case errors.As(err, &config):
		return CodeConfig
	case diskFull(err):
		return CodeDiskFull
	case shared.KindOf(err) != "":
		return CodeShared
	case errors.Is(err, state.ErrDamaged), errors.Is(err, state.ErrNewer):
		return CodeState
	}
	return CodeMachine
}

// withCode is a message about a failure of that kind.
func withCode(message, code string) string { return fmt.Sprintf("%s (%s)", message, code) }

// Sentence is an error as every message shows it: one line, and its code.
func Sentence(err error) string { return sentenceOf(err) }

// sentenceOf is an error as every message shows it: one line, and its code.
func sentenceOf(err error) string { return withCode(oneLine(err), CodeOf(err)) }
