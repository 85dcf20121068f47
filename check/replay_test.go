package check

import (
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
)

func TestReplayFindsTheLinesOfEveryKindOfSite(t *testing.T) {
	t.Parallel()
	for name, site := range map[string]string{
		"a host":                    "https://products.example.com",
		"a host and a context path": "https://products.example.com/jira",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := "/jira"
			if name == "a host" {
				path = ""
			}
			inDataCenter(t, atlassiantest.DataCenter{Paths: map[string]string{"jira": path}, Old: true}, func(t *testing.T, w *world, _ string) {
				c := w.onDataCenter(site, audit.Jira, "auth: "+personalAuth)
				w.runWell(c)
				w.dated()
				w.tailer().ack()
				all := len(w.everywhere(audit.Jira))
				span := ReplaySpan{Since: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Minute)}
				out, err := Replay(c, audit.Jira, span, w.options, true)
				if err != nil {
					t.Fatal(err)
				}
				if now := len(w.everywhere(audit.Jira)); all == 0 || !out.Done || out.Records != all || now != 2*all || out.Instance != c.Name() {
					t.Errorf("%d lines before, %d after, and it says %+v", all, now, out)
				}
			})
		})
	}
}
