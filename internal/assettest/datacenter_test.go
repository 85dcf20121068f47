package assettest

import (
	"encoding/json"
	"testing"
	"time"
)

// TestRulesKnowDataCenter: Data Center names events by keys, which become other
// names now and then, and puts what was affected elsewhere. The lines are as the
// check writes them, shortened to what rules look at.
func TestRulesKnowDataCenter(t *testing.T) {
	t.Parallel()
	all := rules(t)
	for rule, c := range map[string]struct {
		name, more string
		n          int
	}{
		"admin-group-member-added":    {"group_membership_added", `"affectedObjects":[{"name":"confluence-administrators","type":"Group"},{"name":"ana","type":"User"}]`, 1},
		"global-permission-added":     {"global_permission_added", `"changedValues":[{"key":"Permission","to":"Administer Jira"},{"key":"Group","to":"contractors"}]`, 1},
		"anonymous-access":            {"global_settings_edited", `"changedValues":[{"key":"Anonymous access","from":"false","to":"true"}]`, 1},
		"audit-configuration-changed": {"audit_config_updated", `"changedValues":[{"key":"Database retention","to":"1"}]`, 1},
		"api-token-created":           {"token_created", `"type":{"actionI18nKey":"personal.access.tokens.audit.log.summary.token.created"}`, 1},
		"container-deleted":           {"space_removed", `"affectedObjects":[{"name":"Mergers","type":"Space"}]`, 1},
		"global-settings-changed":     {"global_settings_edited", `"changedValues":[]`, 1},
		"failed-sign-ins":             {"login_failed", `"method":"Browser"`, 10},
		"mass-group-removal":          {"group_membership_removed", `"affectedObjects":[]`, 11},
		"mass-deletion":               {"page_deleted", `"affectedObjects":[]`, 21},
	} {
		var logs []Log
		for i := range c.n {
			outcome := "success"
			if rule == "failed-sign-ins" {
				outcome = "failure"
			}
			line := `{` + c.more + `,"ddsource":"confluence-audit-records","usr":{"id":"2c9","name":"ana"},"network":{"client":{"ip":"10.0.0.7"}},"evt":{"name":"` + c.name + `","outcome":"` + outcome + `"}}`
			if !json.Valid([]byte(line)) {
				t.Fatalf("%s is no JSON", line)
			}
			l, err := ParseLine([]byte(line))
			if err != nil {
				t.Fatal(err)
			}
			l.Time = bubbleStart.Add(time.Duration(i) * time.Second)
			logs = append(logs, l)
		}
		if got := all[rule].Evaluate(logs); len(got) != 1 {
			t.Errorf("the rule %s makes %d signals of %d events %s", rule, len(got), c.n, c.name)
		}
		if got := all[rule].Evaluate(logs[1:]); len(got) != 0 {
			t.Errorf("the rule %s makes a signal of %d events %s", rule, c.n-1, c.name)
		}
	}
}
