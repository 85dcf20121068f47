package check

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func TestAStreamThatWasNeverReadIsCriticalAfterAnHour(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.server.Deny("jira", atlassiantest.NotAdmin)
		c := w.config(classicAuth)
		for _, row := range []struct {
			after time.Duration
			want  string
		}{
			{0, "is_current jira WARNING"},
			{59 * time.Minute, "is_current jira WARNING"},
			{2 * time.Minute, "is_current jira CRITICAL"},
		} {
			pass(row.after)
			_, rec := w.runOnce(c)
			short, messages := states(rec)
			if diff := cmp.Diff(row.want, short[1]); diff != "" {
				t.Errorf("after %s more (-want +got):\n%s\n%s", row.after, diff, messages["is_current jira"])
			}
			if !strings.HasSuffix(messages["is_current jira"], "the records have never been read up to the present") {
				t.Errorf("the message is %q", messages["is_current jira"])
			}
		}
	})
}

// TestAReconcileThatNeverEndsIsTold is about late records: the live edge is
// read well, and what is read again is not answered.
func TestAReconcileThatNeverEndsIsTold(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth, "reconcile_interval: 10m")
		w.runWell(c)
		w.server.Fault(atlassiantest.Fault{Product: "jira", Action: atlassiantest.EmptyList(), Match: func(i atlassiantest.RequestInfo) bool {
			return strings.Contains(i.RawQuery, "to=")
		}})
		const sentence = "records that appear late have not been looked for since 2000-01-01T00:01:00Z, although it is due every 10m"
		for _, row := range []struct {
			after time.Duration
			told  bool
		}{{11 * time.Minute, false}, {10 * time.Minute, false}, {10 * time.Minute, true}} {
			pass(row.after)
			_, rec := w.runWell(c)
			short, messages := states(rec)
			if short[1] != "is_current jira WARNING" || strings.Contains(messages["is_current jira"], sentence) != row.told {
				t.Errorf("after %s more: %s: %q", row.after, short[1], messages["is_current jira"])
			}
			if short[3] != "is_current confluence OK" {
				t.Errorf("after %s more: %s", row.after, short[3])
			}
		}
	})
}
