package atlassian

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"
)

// TestQuota is about what good answers say of the quota; the local clock is 5 minutes
// behind Atlassian's.
func TestQuota(t *testing.T) {
	t.Parallel()
	const date = "Date: Mon, 23 Nov 2026 12:05:00 GMT"
	local := at(t, "2026-11-23T12:00:00Z")
	for name, tc := range map[string]struct {
		status  int
		headers []string
		want    Quota
	}{
		"nothing is said": {200, nil, Quota{}},
		"much is left, and a reset without seconds": {200, []string{"X-RateLimit-Limit: 65000", "X-RateLimit-Remaining: 60000", "X-RateLimit-Reset: 2026-11-23T13:00Z"},
			Quota{Limit: 65000, Remaining: 60000, Reset: local.Add(55 * time.Minute)}},
		"little is left":                    {200, []string{"X-RateLimit-NearLimit: true", "X-RateLimit-Limit: 100", "X-RateLimit-Remaining: 0"}, Quota{Near: true, Limit: 100}},
		"little is left, and nothing else":  {200, []string{"X-RateLimit-NearLimit: TRUE"}, Quota{Near: true}},
		"one number is none":                {200, []string{"X-RateLimit-NearLimit: false", "X-RateLimit-Limit: 100"}, Quota{}},
		"what is no number is none":         {200, []string{"X-RateLimit-Limit: many", "X-RateLimit-Remaining: 5"}, Quota{}},
		"what is below nothing is none":     {200, []string{"X-RateLimit-Limit: 0", "X-RateLimit-Remaining: -5"}, Quota{}},
		"a refusal says nothing of a quota": {404, []string{"X-RateLimit-NearLimit: true"}, Quota{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTestClient(t, func(*http.Request) (*http.Response, error) {
				return reply(tc.status, `{"records":[]}`, append([]string{date}, tc.headers...)...), nil
			}, func(o *Options) { o.Now = func() time.Time { return local } })
			_, err := c.Source(audit.Jira, testCloudID, RouteSite).Page(t.Context(), anyQuery)
			if (err == nil) != (tc.status == 200) {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, c.Quota()); d != "" {
				t.Errorf("the quota (-want +got):\n%s", d)
			}
		})
	}
}
