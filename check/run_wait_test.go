package check

import (
	"slices"
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
		short, messages := states(rec)
		want := []string{"can_connect jira OK", "is_current jira WARNING", "can_connect confluence OK", "is_current confluence WARNING"}
		if diff := cmp.Diff(want, short); diff != "" {
			t.Errorf("service checks (-want +got):\n%s", diff)
		}
		if m := messages["is_current jira"]; !strings.HasPrefix(m, "Atlassian is not asked before 2000-01-01T01:01:00Z: Atlassian's rate limit is reached") {
			t.Errorf("the message is %q", m)
		}
		if n, _ := metric(rec, MetricThrottled, audit.Jira); n != 1 {
			t.Errorf("throttled: %v", n)
		}
		w.requests()
		pass(59 * time.Minute)
		_, rec = w.runWell(c)
		if got := kinds(w.requests()); len(got) > 0 {
			t.Errorf("before the hour was over it asked %v", got)
		}
		if again, _ := states(rec); !slices.Equal(again, want) {
			t.Errorf("service checks while waiting: %v", again)
		}
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
		for _, word := range kinds(w.requests()) {
			if word != "confluence at site" {
				t.Errorf("it asked for %s", word)
			}
		}
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

func TestAWaitOfTheAuthorisationServerIsForBothProducts(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(accountAuth)
		w.server.Fault(atlassiantest.Fault{Kind: atlassiantest.KindToken, Times: 1, Action: atlassiantest.RateLimit(time.Hour, atlassiantest.RetrySeconds)})
		w.runWell(c)
		if diff := cmp.Diff([]string{"tenant_info", "token"}, kinds(w.requests())); diff != "" {
			t.Errorf("requests of the first run (-want +got):\n%s", diff)
		}
		pass(time.Minute)
		w.runWell(c)
		if got := kinds(w.requests()); len(got) > 0 {
			t.Errorf("while it should wait it asked %v", got)
		}
		pass(time.Hour)
		w.runWell(c)
		w.wantSpooled(both...)
	})
}

func TestAWaitOfTheSiteItselfIsForBothProducts(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		w.server.Fault(atlassiantest.Fault{Kind: atlassiantest.KindTenantInfo, Times: 1, Action: atlassiantest.RateLimit(time.Hour, atlassiantest.RetrySeconds)})
		w.runWell(c)
		pass(time.Minute)
		w.runWell(c)
		if diff := cmp.Diff([]string{"tenant_info"}, kinds(w.requests())); diff != "" {
			t.Errorf("requests of two runs (-want +got):\n%s", diff)
		}
		pass(time.Hour)
		w.runWell(c)
		w.wantSpooled(both...)
	})
}
