package check

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/auth"
	"atlassian_audit_records/pkg/shared"
	"atlassian_audit_records/pkg/state"
)

// where is the message in which a failure is told.
type where string

const (
	inConnect where = "can_connect jira"
	inCurrent where = "is_current jira"
	inResult  where = "the result"
	inWarning where = "the first warning"
)

// failing is a row: how a failure is brought about, and where it is told. What
// is said stands in docs/troubleshooting.md, once.
type failing struct {
	code string
	// by is a second cause of the same code, which the page need not quote.
	by      string
	auth    string
	more    []string
	prepare func(w *world)
	told    where
	// does what a run is; nil is a run of the instance.
	run func(w *world) (Result, Recorded)
}

const allowlistPage = `<!DOCTYPE html><html><body><h1>Your IP address is not on the allowlist of this organization</h1></body></html>`

// strike makes every request of that kind go wrong.
func strike(kind atlassiantest.Kind, a atlassiantest.Action) func(w *world) {
	return func(w *world) { w.server.Fault(atlassiantest.Fault{Kind: kind, Action: a}) }
}

// cut makes every request fail before it is answered.
func cut(err error) func(w *world) {
	return func(w *world) {
		w.options.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, err })
	}
}

func denied(d atlassiantest.Denial) func(w *world) {
	return func(w *world) { w.server.Deny("jira", d) }
}

func failures() []failing {
	const audited = atlassiantest.KindAudit
	headers := []string{"Content-Type", "text/html;charset=UTF-8"}
	return []failing{
		{code: atlassian.CodeUnauthorized, prepare: func(w *world) { w.server.Revoke(atlassiantest.Classic) }},
		{code: atlassian.CodeUnauthorized, by: "a service account of another organisation", auth: accountAuth, prepare: func(w *world) {
			w.server.Fault(atlassiantest.Fault{Action: atlassiantest.Answer(401, `{"code":401,"message":"Unauthorized"}`)})
		}},
		{code: atlassian.CodeUnauthorized, by: "a person who is taken for nobody", prepare: strike(audited, atlassiantest.Answer(403,
			`{"errorMessages":["You are not authorized to perform this operation. Administrator privileges are required."],"errors":{}}`,
			"X-Seraph-LoginReason", "AUTHENTICATED_FAILED"))},
		{code: atlassian.CodeExpired, prepare: func(w *world) {
			w.runWell(w.config(classicAuth, "products: [jira]"))
			pass(time.Hour)
			w.server.Revoke(atlassiantest.Classic)
		}},
		{code: CodeExpiring, auth: strings.TrimSuffix(classicAuth, "}") + ", expires: 2000-01-20}"},
		{code: atlassian.CodeScope, auth: scopedAuth, prepare: func(w *world) { w.server.SetScopes(atlassiantest.Scoped, atlassiantest.ScopeJiraUser) }},
		{code: atlassian.CodeWrongHost, auth: scopedAuth, prepare: func(w *world) {
			w.server.Fault(atlassiantest.Fault{Route: atlassiantest.RouteGateway, Action: atlassiantest.Answer(404, "<html>nobody here</html>", headers...)})
		}},
		{code: atlassian.CodeCaptcha, prepare: strike(audited, atlassiantest.Answer(403, "", "X-Seraph-LoginReason", "AUTHENTICATION_DENIED",
			"X-Authentication-Denied-Reason", "CAPTCHA_CHALLENGE; login-url=https://example.atlassian.net/login.jsp"))},
		{code: atlassian.CodeBasicDisabled, prepare: strike(audited, atlassiantest.Answer(403,
			`{"message":"Basic Authentication has been disabled on this instance."}`))},
		{code: auth.CodeClient, auth: accountAuth, prepare: func(w *world) { w.server.Revoke(atlassiantest.Client) }},
		{code: auth.CodeTokenStore, auth: accountAuth, prepare: func(w *world) {
			if err := agent.SecureDir(w.run, agent.Base(w.run)); err != nil {
				w.t.Fatal(err)
			}
			if err := os.Symlink("elsewhere", agent.TokenFile(agent.Base(w.run))); err != nil {
				w.t.Fatal(err)
			}
		}},

		{code: auth.CodeNoConsent, auth: oauthAuth},
		{code: auth.CodeConsentEnded, auth: oauthAuth, prepare: func(w *world) {
			w.consent(w.config(oauthAuth))
			w.server.EndConsent()
			pass(2 * time.Hour)
		}},
		{code: auth.CodeConsentEnded, by: "a lost answer that was noticed too late", auth: oauthAuth, prepare: func(w *world) {
			w.consent(w.config(oauthAuth))
			pass(2 * time.Hour)
			lost := w.server.Fault(atlassiantest.Fault{Kind: atlassiantest.KindToken, Action: atlassiantest.Close()})
			w.runOnce(w.config(oauthAuth, "products: [jira]"))
			lost.Disarm()
			pass(11 * time.Minute)
		}},
		{code: auth.CodeConsentDenied, told: inResult, run: func(w *world) (Result, Recorded) {
			w.server.SetConsent(atlassiantest.Consent{Deny: true})
			return w.authorize(w.config(oauthAuth), "")
		}},
		{code: auth.CodeConsentCode, told: inResult, run: func(w *world) (Result, Recorded) { return w.authorize(w.config(oauthAuth), "forged") }},
		{code: CodeConsentSite, told: inResult, run: func(w *world) (Result, Recorded) {
			w.server.SetConsent(atlassiantest.Consent{Sites: []atlassiantest.Site{{CloudID: "99999999-a1b2-4c33-8d44-5566778899aa", URL: "https://other.atlassian.net"}}})
			return w.authorize(w.config(oauthAuth), "")
		}},
		{code: auth.CodeTokenBusy, auth: oauthAuth, prepare: func(w *world) {
			w.consent(w.config(oauthAuth))
			pass(2 * time.Hour)
			db, err := bbolt.Open(agent.TokenFile(agent.Base(w.run)), 0o600, nil)
			if err != nil {
				w.t.Fatal(err)
			}
			w.t.Cleanup(func() { _ = db.Close() })
		}},

		{code: atlassian.CodeNotAdmin, prepare: denied(atlassiantest.NotAdmin)},
		{code: atlassian.CodeNoProductAccess, prepare: denied(atlassiantest.NoProductAccess)},
		{code: atlassian.CodePlan, prepare: denied(atlassiantest.FreePlan)},
		{code: atlassian.CodeIPAllowlist, prepare: strike(audited, atlassiantest.Answer(403, allowlistPage, headers...))},
		{code: atlassian.CodeForbidden, prepare: strike(audited, atlassiantest.Answer(403, "<html><body>Forbidden</body></html>", headers...))},

		{code: atlassian.CodeCloudID, prepare: strike(atlassiantest.KindTenantInfo, atlassiantest.Answer(404, "<html>no such site</html>", headers...))},
		{code: atlassian.CodeNotFound, prepare: strike(audited, atlassiantest.Answer(404, "{}"))},
		{code: atlassian.CodeLoginPage, prepare: strike(audited, atlassiantest.LoginPage())},
		{code: atlassian.CodeLoginPage, by: "a single sign-on that redirects", prepare: strike(audited, atlassiantest.Redirect("https://id.atlassian.com/login?continue=x"))},
		{code: atlassian.CodeRedirect, prepare: strike(audited, atlassiantest.Redirect("https://renamed.atlassian.net/rest"))},

		{code: atlassian.CodeDNS, prepare: cut(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "example.atlassian.net", IsNotFound: true}})},
		{code: atlassian.CodeNetwork, prepare: cut(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})},
		{code: atlassian.CodeNetwork, by: "a connection that breaks", prepare: strike(audited, atlassiantest.Truncate(0.5))},
		{code: atlassian.CodeTLS, prepare: cut(x509.UnknownAuthorityError{})},
		{code: atlassian.CodeTLS, by: "a certificate that has expired", prepare: cut(x509.CertificateInvalidError{Reason: x509.Expired,
			Cert: &x509.Certificate{NotBefore: time.Unix(0, 0), NotAfter: time.Unix(86400, 0)}})},
		{code: atlassian.CodeClock, told: inCurrent, prepare: func(w *world) {
			w.server = atlassiantest.New(atlassiantest.Options{Seed: 1, Now: func() time.Time { return time.Now().Add(20 * time.Minute) }})
			w.server.Fill(60, 6*time.Hour)
			w.options.Transport = w.server.Transport()
		}},
		{code: atlassian.CodeAuditLog, run: func(w *world) (Result, Recorded) {
			c, err := Parse(nil, []byte("site: https://jira.example.com/jira\ndeployment: data_center\nproducts: [jira]\naudit_log_path: /var/atlassian/application-data/jira/log/audit"), Env{RunPath: w.run})
			if err != nil {
				w.t.Fatal(err)
			}
			return w.runOnce(c)
		}},
		{code: atlassian.CodeClock, by: "a certificate of the future", prepare: cut(x509.CertificateInvalidError{Reason: x509.Expired,
			Cert: &x509.Certificate{NotBefore: time.Unix(2e9, 0), NotAfter: time.Unix(3e9, 0)}})},
		{code: atlassian.CodeProxy, prepare: cut(&atlassian.ProxyError{Proxy: "proxy.example.com:3128", Status: 407})},
		{code: atlassian.CodeProxy, by: "a proxy that cannot be reached", prepare: cut(&net.OpError{Op: "proxyconnect", Err: syscall.ECONNREFUSED})},
		{code: atlassian.CodeTimeout, more: []string{"timeout: 2"}, prepare: strike(audited, atlassiantest.Hang())},

		{code: atlassian.CodeQuota, prepare: strike(audited, atlassiantest.RateLimit(time.Hour, atlassiantest.RetrySeconds))},
		{code: atlassian.CodeUnavailable, prepare: strike(audited, atlassiantest.ServerError(503))},
		{code: atlassian.CodeUnavailable, by: "an outage that says how long", prepare: strike(audited, atlassiantest.Unavailable(time.Hour, atlassiantest.RetrySeconds))},
		{code: atlassian.CodeInvalidAnswer, prepare: strike(audited, atlassiantest.MissingList())},
		{code: atlassian.CodeTooLarge, prepare: strike(audited, atlassiantest.Huge(17<<20))},
		{code: atlassian.CodeBadRequest, prepare: strike(audited, atlassiantest.Answer(400, `{"errorMessages":["Invalid date"],"errors":{}}`))},
		{code: atlassian.CodeInterrupted, more: []string{"timeout: 300"}, prepare: strike(audited, atlassiantest.Hang())},
		{code: auth.CodeTokenWait, auth: accountAuth, prepare: strike(atlassiantest.KindToken, atlassiantest.RateLimit(time.Hour, atlassiantest.RetrySeconds))},
		{code: auth.CodeTokenServer, auth: accountAuth, prepare: strike(atlassiantest.KindToken, atlassiantest.ServerError(500))},
		{code: auth.CodeTokenInvalid, auth: accountAuth, prepare: strike(atlassiantest.KindToken, atlassiantest.LoginPage())},
		{code: auth.CodeTokenRedirect, auth: accountAuth, prepare: strike(atlassiantest.KindToken, atlassiantest.Redirect("https://renamed.atlassian.com/"))},

		{code: CodeConfig, told: inResult, run: func(w *world) (Result, Recorded) {
			rec := &Recorder{}
			res := Collect(w.t.Context(), &Request{Instance: []byte("sites: example.atlassian.net")}, w.options, Env{}, rec, nil)
			return res, rec.Recorded()
		}},
		{code: CodeWithheld, told: inCurrent, prepare: func(w *world) {
			w.server.SetQuirks("jira", atlassiantest.Quirks{DatedBefore: 1})
		}},
		{code: CodeLogsDisabled, told: inWarning, prepare: func(w *world) { w.options.Agent.LogsEnabled = new(bool) }},
		{code: CodeAgentTooOld, told: inWarning, prepare: func(w *world) { w.options.Agent.Version = "7.76.3" }},
		{code: CodeSpoolFull, told: inWarning, prepare: func(w *world) {
			dir := agent.SpoolDir(agent.Base(w.run), audit.Jira.LogSource())
			if err := agent.SecureDir(w.run, dir); err != nil {
				w.t.Fatal(err)
			}
			f, err := os.OpenFile(filepath.Join(dir, "20000101T000000.000Z-0000000000000000.jsonl"), os.O_CREATE|os.O_WRONLY, 0o600)
			if err == nil {
				err = errors.Join(f.Truncate(17<<20), f.Close())
			}
			if err != nil {
				w.t.Fatal(err)
			}
		}, run: func(w *world) (Result, Recorded) {
			c := w.config(classicAuth, "products: [jira]")
			c.SpoolMaxSize = 16 << 20
			return w.runOnce(c)
		}},
		{code: CodeState, told: inCurrent, prepare: func(w *world) {
			files := foldersOf(w.run, "example.atlassian.net").state(audit.Jira)
			for _, dir := range []string{filepath.Dir(files.State), filepath.Dir(files.Marker)} {
				if err := agent.SecureDir(w.run, dir); err != nil {
					w.t.Fatal(err)
				}
			}
			if err := os.WriteFile(files.State, []byte("this is no state"), 0o600); err != nil {
				w.t.Fatal(err)
			}
		}},
		{code: CodeStuckRun, told: inCurrent, prepare: func(w *world) {
			c := w.config(classicAuth, "products: [jira]")
			w.runWell(c)
			files := foldersOf(w.run, c.Host()).state(audit.Jira)
			held, _, err := state.Open(files, state.Options{Now: time.Now})
			if err != nil {
				w.t.Fatal(err)
			}
			w.t.Cleanup(func() { _ = held.Close() })
			before := time.Now().Add(-2 * time.Hour)
			if err := os.Chtimes(files.State, before, before); err != nil {
				w.t.Fatal(err)
			}
		}},
		{code: CodeShared, told: inResult, run: func(w *world) (Result, Recorded) {
			c := w.config(classicAuth, "products: [jira]")
			c.Shared = &Shared{URL: "etcd://etcd-1.example.com/audit"}
			w.options.OpenShared = func(context.Context, shared.Config) (shared.Backend, error) {
				return nil, &shared.Error{Kind: shared.Unavailable, What: "could not read the lease in etcd (etcd-1.example.com:2379, /audit)", Err: context.DeadlineExceeded}
			}
			return w.runOnce(c)
		}},
		{code: CodeDiskFull, told: inWarning, prepare: func(w *world) {
			w.options.FreeSpace = func(string) (int64, error) { return 1 << 20, nil }
		}},
		{code: CodeMachine, told: inCurrent, prepare: func(w *world) {
			if err := os.WriteFile(agent.Base(w.run), nil, 0o600); err != nil {
				w.t.Fatal(err)
			}
		}},
		{code: CodeProgram, told: inResult, prepare: func(w *world) {
			w.options.Transport = roundTrip(func(*http.Request) (*http.Response, error) { panic("an example") })
		}},
	}
}

// unreachable are the codes that no run can report, each with the reason.
var unreachable = map[string]string{
	atlassian.CodeCredential: "an instance cannot be configured without a credential",
	auth.CodeOrigin:          "every request that the client builds goes to the site, the gateway or the authorisation server",
	CodeOpenFiles:            "the Agent does not tell a check about its limit of files: diagnose and validate do",
	CodeLogsEntry:            "the Agent does not tell a check about its logs section: diagnose does",
	CodeAgentFiles:           "the Agent does not tell a check about its files: diagnose does",
	CodeNotRunning:           "a check that is not run says nothing: status and diagnose do",
	CodeUndelivered:          "a run does not judge the Agent: diagnose does",
}

// troubleshoot is the page, each section under its code.
func troubleshoot(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for part := range strings.SplitSeq("\n"+string(text), "\n### ") {
		if code, section, ok := strings.Cut(part, "\n"); ok {
			sections[strings.Trim(code, "`")] = section
		}
	}
	return sections
}

func TestEachFailureHasItsSentenceEverywhere(t *testing.T) {
	t.Parallel()
	sections := troubleshoot(t)
	for _, row := range failures() {
		name := row.code
		if row.by != "" {
			name += ", " + row.by
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				if row.auth == "" {
					row.auth = classicAuth
				}
				if row.prepare != nil {
					row.prepare(w)
				}
				if row.run == nil {
					row.run = func(w *world) (Result, Recorded) {
						return w.runOnce(w.config(row.auth, append(row.more, "products: [jira]")...))
					}
				}
				res, rec := row.run(w)
				_, messages := states(rec)
				if row.told == "" {
					row.told = inConnect
				}
				got := messages[string(row.told)]
				switch row.told {
				case inResult:
					got = res.Error
				case inWarning:
					got = strings.Join(rec.Warnings, "\n")
				}
				if !strings.HasSuffix(got, " ("+row.code+")") || strings.Count(got, " ("+row.code+")") != 1 {
					t.Fatalf("%s is %q, which does not end with the code %s\nthe result is %+v, the warnings %q", row.told, got, row.code, res, rec.Warnings)
				}
				if f, ok := FailureOf(row.code); !ok || f.Title == "" || f.Next == "" {
					t.Errorf("the code %s is none of Failures", row.code)
				}
				plain := strings.ReplaceAll(got, w.run, "/opt/datadog-agent/run")
				if row.by == "" && !strings.Contains(sections[row.code], "\n    "+plain+"\n") {
					t.Errorf("docs/troubleshooting.md does not quote what is said of %s:\n    %s", row.code, plain)
				}
				if row.told != inResult && !slices.ContainsFunc(rec.Warnings, func(s string) bool { return strings.Contains(s, "("+row.code+")") }) {
					t.Errorf("`agent status` is not warned of it: %q", rec.Warnings)
				}
				for _, secret := range []string{atlassiantest.DefaultClassicToken, atlassiantest.DefaultScopedToken, atlassiantest.DefaultClientSecret} {
					if strings.Contains(everything(res, rec), secret) {
						t.Errorf("it shows the secret %s", secret)
					}
				}
			})
		})
	}
}

func TestEveryCodeIsReportedByARow(t *testing.T) {
	t.Parallel()
	var rows, kinds []string
	for _, row := range failures() {
		if _, is := unreachable[row.code]; is {
			t.Errorf("%s has a row, so it is not unreachable", row.code)
		}
		rows = append(rows, row.code)
	}
	for code := range unreachable {
		rows = append(rows, code)
	}
	for _, f := range Failures() {
		kinds = append(kinds, f.Code)
	}
	slices.Sort(rows)
	slices.Sort(kinds)
	if diff := cmp.Diff(slices.Compact(rows), kinds); diff != "" {
		t.Errorf("the rows of this test and Failures (-rows +kinds):\n%s", diff)
	}
}

// TestEveryCodeInTheSourceIsAFailure reads the constants Code… of all packages,
// so that a new one cannot be forgotten here.
func TestEveryCodeInTheSourceIsAFailure(t *testing.T) {
	t.Parallel()
	used := map[string]string{}
	for _, dir := range []string{".", "../pkg/atlassian", "../pkg/auth"} {
		paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				spec, ok := n.(*ast.ValueSpec)
				if !ok || strings.HasSuffix(path, "_test.go") {
					return true
				}
				for i, name := range spec.Names {
					if !strings.HasPrefix(name.Name, "Code") || i >= len(spec.Values) {
						continue
					}
					if lit, ok := spec.Values[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
						if code, err := strconv.Unquote(lit.Value); err == nil {
							used[code] = path + ": " + name.Name
						}
					}
				}
				return true
			})
		}
	}
	if len(used) < 30 {
		t.Fatalf("only %d codes were found", len(used))
	}
	for code, at := range used {
		if _, ok := FailureOf(code); !ok {
			t.Errorf("%s is %q, which check.Failures does not explain: add it there, a row to this file, and a section to docs/troubleshooting.md", at, code)
		}
	}
	for _, f := range Failures() {
		if used[f.Code] == "" {
			t.Errorf("check.Failures explains %q, which no constant is any more", f.Code)
		}
	}
}

func TestTroubleshootingExplainsEveryFailure(t *testing.T) {
	t.Parallel()
	sections := troubleshoot(t)
	delete(sections, "") // what stands before the first
	for _, f := range Failures() {
		section, ok := sections[f.Code]
		delete(sections, f.Code)
		if !ok {
			t.Errorf("docs/troubleshooting.md has no section ### `%s`", f.Code)
			continue
		}
		for _, part := range []string{"\n**" + f.Title + ".**", "\n    ", "\n*Why:* ", "\n*What to do:* " + f.Next, "\n*How to check:* "} {
			if !strings.Contains("\n"+section, part) {
				t.Errorf("the section of %s lacks %q", f.Code, part)
			}
		}
	}
	for code, section := range sections {
		if !strings.HasPrefix(section, "# ") && code != "# Troubleshooting" {
			t.Errorf("docs/troubleshooting.md explains %q, which is no failure any more", code)
		}
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"an answer":                       {&atlassian.Error{Code: atlassian.CodePlan}, "free_plan"},
		"an answer within another error":  {fmt.Errorf("x: %w", errors.Join(&atlassian.Error{Code: "quota"}, fs.ErrExist)), "quota"},
		"a full disk":                     {fmt.Errorf("write: %w", syscall.ENOSPC), "disk_full"},
		"a damaged state":                 {fmt.Errorf("open: %w", state.ErrDamaged), "state"},
		"a state of a later version":      {fmt.Errorf("open: %w", state.ErrNewer), "state"},
		"a wrong configuration":           {&ConfigError{}, "config"},
		"a folder that may not be opened": {fs.ErrPermission, "machine"},
		"the end of the context":          {context.DeadlineExceeded, "machine"},
	} {
		if got := CodeOf(tt.err); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
