package check

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/auth"
)

func TestDiagnoseFindsNothingWhereAllIsWell(t *testing.T) {
	t.Parallel()
	for name, credential := range map[string]string{"a token without scopes": classicAuth, "a token with scopes": scopedAuth, "a service account": accountAuth} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				m := w.newMachine(credential, "products: [jira]")
				w.runWell(w.config(credential, "products: [jira]"))
				m.registry(time.Now())
				before := w.snapshot()
				d := m.diagnose()
				// The transport of these tests makes no connections.
				want := instead(wellSteps, map[string]string{"connection": "connection skipped", "tls": "tls skipped"})
				if credential == accountAuth { // its secret stands there literally
					want = slices.Insert(want, 1, "config warning config")
				}
				if diff := cmp.Diff(want, outcomes(d)); diff != "" || !d.OK {
					t.Errorf("OK is %t, steps (-want +got):\n%s\n%+v", d.OK, diff, d.Steps)
				}
				if diff := cmp.Diff(before, w.snapshot()); diff != "" {
					t.Errorf("it changed files (-before +after):\n%s", diff)
				}
			})
		})
	}
}

// TestDiagnoseFindsEachFailure provokes every failure of TestEachFailure… that
// is Atlassian's, the credential's or the way's.
func TestDiagnoseFindsEachFailure(t *testing.T) {
	t.Parallel()
	elsewhere := map[string]string{ // where the cross is, if not among the steps towards a record
		atlassian.CodeCloudID: "site", atlassian.CodeDNS: "dns", atlassian.CodeNetwork: "connection", atlassian.CodeTLS: "tls",
		atlassian.CodeProxy: "proxy", auth.CodeTokenStore: "folders", CodeDiskFull: "spool",
	}
	for _, row := range failures() {
		name := row.code
		if row.by != "" {
			name += ", " + row.by
		}
		if row.told == inResult {
			continue // a program that fails, or another command's
		}
		switch row.code {
		case CodeLogsDisabled, CodeAgentTooOld, CodeSpoolFull, CodeState, CodeStuckRun, CodeMachine, CodeWithheld:
			continue // TestDiagnoseFindsWhatIsWrongOnThisMachine
		case atlassian.CodeInterrupted:
			continue // a diagnosis has no budget that could be over
		case atlassian.CodeAuditLog:
			continue // TestDiagnoseKnowsDataCenter
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				m := w.newMachine(row.auth, append(row.more, "products: [jira]")...)
				if row.prepare != nil {
					row.prepare(w)
				}
				m.registry(time.Now())
				d := m.diagnose()
				at := slices.IndexFunc(d.Steps, func(s Step) bool { return s.Code == row.code })
				if at < 0 {
					t.Fatalf("no step has the code %s: %q\n%+v", row.code, outcomes(d), d.Steps)
				}
				step := d.Steps[at]
				wantName := elsewhere[row.code]
				switch {
				case row.code == atlassian.CodeNetwork && row.by != "":
					wantName = stepRecord
				case row.code == atlassian.CodeClock && row.by != "":
					wantName = "tls"
				case row.code == atlassian.CodeClock:
					wantName = "clock"
				case wantName == "":
					wantName = stepOf(row.code)
				}
				_, isWait := map[string]bool{atlassian.CodeQuota: true, auth.CodeTokenWait: true, CodeExpiring: true}[row.code]
				isWait = isWait || row.by == "an outage that says how long"
				want := StepFailed
				if isWait {
					want = StepWarning
				}
				if step.Name != wantName || step.Status != want || step.Next == "" || step.Doc != "docs/troubleshooting.md#"+row.code || d.OK != isWait {
					t.Errorf("OK is %t, the step %+v, want %s of %s", d.OK, step, want, wantName)
				}
				if i := slices.Index(recordSteps, step.Name); i >= 0 && want == StepFailed {
					for _, s := range d.Steps[at+1 : at+len(recordSteps)-i] {
						if s.Status != StepSkipped || !strings.HasPrefix(s.Text, "skipped: ") {
							t.Errorf("%+v comes behind what failed", s)
						}
					}
				}
				wantNoSecret(t, d)
			})
		})
	}
}

// TestDiagnoseAsksFurther: what Atlassian's answer leaves open.
func TestDiagnoseAsksFurther(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		auth     string
		products string
		prepare  func(w *world)
		code     string
		says     string
	}{
		{"Jira confirms that the permission is missing", classicAuth, "jira", denied(atlassiantest.NotAdmin), atlassian.CodeNotAdmin,
			"Jira confirms that the account does not have the permission Administer Jira"},
		{"Jira says that the permission is there", classicAuth, "jira", strike(atlassiantest.KindAudit, atlassiantest.Answer(403, `{"errorMessages":["No."],"errors":{}}`)), atlassian.CodeNotAdmin,
			"Jira says that the account does have the permission Administer Jira, so that is not the cause"},
		{"a service account's token names the scope that it lacks", accountAuth, "jira", func(w *world) { w.server.SetScopes(atlassiantest.Client, atlassiantest.ScopeJiraUser) },
			atlassian.CodeScope, "the token lacks the scope read:audit-log:jira"},
		{"a service account of another site", accountAuth, "jira", func(w *world) {
			w.server.Fault(atlassiantest.Fault{Kind: atlassiantest.KindResources, Action: atlassiantest.Answer(200,
				`[{"id":"99999999-a1b2-4c33-8d44-5566778899aa","url":"https://other.atlassian.net","scopes":["read:audit-log:jira","read:user:jira"]}]`)})
			w.server.Fault(atlassiantest.Fault{Action: atlassiantest.Answer(401, `{"code":401,"message":"Unauthorized"}`)})
		}, atlassian.CodeCloudID, "the token is good, but not for example.atlassian.net: it reaches https://other.atlassian.net"},
		{"a token with scopes for the other product", scopedAuth, "jira, confluence", func(w *world) {
			w.server.SetScopes(atlassiantest.Scoped, atlassiantest.ScopeJiraAudit, atlassiantest.ScopeJiraUser)
		}, atlassian.CodeScope, "the same token is accepted for jira: a token with scopes is made for one product"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				m := w.newMachine(tt.auth, "products: ["+tt.products+"]")
				tt.prepare(w)
				d := m.diagnose()
				at := slices.IndexFunc(d.Steps, func(s Step) bool { return s.Status == StepFailed })
				if at < 0 || d.Steps[at].Code != tt.code || !strings.Contains(d.Steps[at].Text+": "+d.Steps[at].Next, tt.says) {
					t.Errorf("%q is missing in %+v", tt.says, d.Steps)
				}
			})
		})
	}
}

func TestDiagnoseLeavesAtlassianAloneWhenItWantsThat(t *testing.T) {
	t.Parallel()
	for code, action := range map[string]atlassiantest.Action{
		"quota": atlassiantest.RateLimit(time.Hour, atlassiantest.RetrySeconds), "unavailable": atlassiantest.Unavailable(time.Hour, atlassiantest.RetrySeconds),
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			testDiagnoseWaits(t, code, action)
		})
	}
}

func testDiagnoseWaits(t *testing.T, code string, action atlassiantest.Action) {
	t.Helper()
	inWorld(t, func(t *testing.T, w *world) {
		m := w.newMachine(classicAuth, "products: [jira]")
		strike(atlassiantest.KindAudit, action)(w)
		w.runWell(w.config(classicAuth, "products: [jira]"))
		w.requests()
		d := m.diagnose()
		if got := kinds(w.requests()); len(got) > 0 {
			t.Errorf("it asked %v", got)
		}
		if at := slices.IndexFunc(d.Steps, func(s Step) bool { return s.Name == "wait" }); at < 0 || d.Steps[at].Code != code || !strings.Contains(d.Steps[at].Text, "not asked before 2000-01-01T01:01:00Z") {
			t.Errorf("steps %+v", d.Steps)
		}
	})
}

func TestDiagnoseLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for name, credential := range map[string]string{"an API token": classicAuth, "a service account, for which a token is issued": accountAuth} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				m := w.newMachine(credential)
				before := []string{}
				w.walk(func(path string, _ os.FileInfo) { before = append(before, path) })
				if d := m.diagnose(); !d.OK {
					t.Errorf("steps %q", outcomes(d))
				}
				after := []string{}
				w.walk(func(path string, _ os.FileInfo) { after = append(after, path) })
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("files below the run path (-before +after):\n%s", diff)
				}
			})
		})
	}
}
