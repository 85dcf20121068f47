package check

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
)

func TestARateLimitBindsTheNextProcess(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		w.server.Fault(atlassiantest.Fault{Times: 2, Action: atlassiantest.RateLimit(time.Hour, atlassiantest.RetrySeconds)})
		_, rec := w.runWell(c)
		want := []string{"can_connect jira OK", "is_current jira WARNING", "can_connect confluence OK", "is_current confluence WARNING"}
		messages := wantStates(t, rec, want...)
		if m := messages["is_current jira"]; !strings.HasPrefix(m, "Atlassian is not asked before 2000-01-01T01:01:00Z: Atlassian's rate limit is reached") {
			t.Errorf("the message is %q", m)
		}
		if n, _ := metric(rec, MetricThrottled, audit.Jira); n != 1 {
			t.Errorf("throttled: %v", n)
		}
		w.requests()
		pass(59 * time.Minute)
		_, rec = w.runWell(c)
		w.wantAsked() // nothing before the hour is over
		wantStates(t, rec, want...)
		pass(2 * time.Minute)
		w.runWell(c)
		w.wantSpooled(both...)
	})
}

func TestAWaitOfOneProductLeavesTheOtherAlone(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		w.server.Fault(atlassiantest.Fault{Product: "jira", Times: 1, Action: atlassiantest.RateLimit(time.Hour, atlassiantest.RetrySeconds)})
		w.runWell(c)
		w.wantSpooled(audit.Confluence)
		w.requests()
		pass(time.Minute)
		w.runWell(c)
		w.wantAsked("confluence at site")
	})
}

func TestAWaitIsAtMostSixHours(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		w.server.Fault(atlassiantest.Fault{Times: 2, Action: atlassiantest.RateLimit(100*time.Hour, atlassiantest.RetrySeconds)})
		w.runWell(c)
		pass(6*time.Hour + time.Second)
		w.runWell(c)
		w.wantSpooled(both...)
	})
}

func TestAWaitOfWhatTheProductsShareIsForBoth(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, auth string
		kind       atlassiantest.Kind
		asked      []string
	}{
		{"of the authorisation server", accountAuth, atlassiantest.KindToken, []string{"tenant_info", "token"}},
		{"of the site itself", classicAuth, atlassiantest.KindTenantInfo, []string{"tenant_info"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				c := w.config(tt.auth)
				w.server.Fault(atlassiantest.Fault{Kind: tt.kind, Times: 1, Action: atlassiantest.RateLimit(time.Hour, atlassiantest.RetrySeconds)})
				w.runWell(c)
				if diff := cmp.Diff(tt.asked, kinds(w.requests())); diff != "" {
					t.Errorf("requests of the first run (-want +got):\n%s", diff)
				}
				pass(time.Minute)
				w.runWell(c)
				w.wantAsked() // nothing while it should wait
				pass(time.Hour)
				w.runWell(c)
				w.wantSpooled(both...)
			})
		})
	}
}
