package check

import (
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
)

func TestABackfillOfAnOrganisation(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.server.Fill(900, 90*24*time.Hour, atlassiantest.Organization)
		w.server.SetLimits(atlassiantest.Limits{PerMinute: 50})
		c := w.organization("initial_lookback: 1h")
		w.runWell(c)
		e := EstimateBackfill(t.Context(), targetsOf(c)[0], month(time.Now().AddDate(0, -2, 0)), w.options)
		left := w.server.Len(atlassiantest.Organization) - len(w.spooled(audit.Organization))
		if e.Error != nil || e.Records < left*9/10 || e.Records > left*11/10 || e.PerMinute != BackfillOrganization {
			t.Errorf("%d records are estimated as %+v", left, e)
		}
		o := month(time.Now().AddDate(0, -2, 0))
		o.Progress = func([]BackfillProgress) { w.runWell(c) }
		res := Backfill(t.Context(), targetsOf(c), o, w.options)
		readWell(t, res)
		if res[0].Records != left {
			t.Errorf("%d records of %d", res[0].Records, left)
		}
		w.wantSpooled(audit.Organization)
		if n := res[0].Requests; n > 2*e.Requests+60 {
			t.Errorf("it took %d requests, and %d were estimated", n, e.Requests)
		}
	})
}

// TestABackfillOfADataCenter: the events that Data Center writes of the questions of a
// backfill are left out, by the check too.
func TestABackfillOfADataCenter(t *testing.T) {
	t.Parallel()
	const site = "https://products.example.com/jira"
	for name, row := range map[string]struct {
		dc  atlassiantest.DataCenter
		how func(logs string) string
	}{
		"by its API":       {how: func(string) string { return "auth: " + personalAuth }},
		"by the older API": {dc: atlassiantest.DataCenter{Old: true}, how: func(string) string { return "auth: " + personalAuth }},
		"by its files":     {how: func(logs string) string { return "audit_log_path: " + logs }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inDataCenter(t, row.dc, func(t *testing.T, w *world, logs string) {
				w.server.Fill(500, 20*24*time.Hour)
				w.options.PageSize = 40
				c := w.onDataCenter(site, audit.Jira, row.how(logs)+"\ninitial_lookback: 1h")
				w.runWell(c)
				o := month(time.Now())
				n := 0
				o.Progress = func([]BackfillProgress) {
					if n++; n%5 == 0 {
						w.server.AddBurst(atlassiantest.Jira, 1, time.Now())
						w.runWell(c)
					}
				}
				readWell(t, Backfill(t.Context(), targetsOf(c), o, w.options))
				for range 3 {
					pass(time.Minute)
					w.runWell(c)
				}
				if got, want := len(w.lines(audit.Jira)), w.stored(audit.Jira); got != want || got < 250 {
					t.Errorf("%d lines of %d records", got, want)
				}
			})
		})
	}
}
