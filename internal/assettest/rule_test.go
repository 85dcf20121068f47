package assettest

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// alarms says which stories each rule must notice. A story may set off other
// rules besides.
var alarms = map[string][]string{
	"account-created-by-hand":              {"jira account-created-by-hand", "confluence account-created-by-hand"},
	"actor-in-a-new-country":               {"jira administrator-from-a-new-network", "confluence administrator-from-a-new-network"},
	"actor-in-a-new-network":               {"jira administrator-from-a-new-network", "confluence administrator-from-a-new-network"},
	"admin-group-member-added":             {"jira admin-group-member-added", "confluence admin-group-member-added", "organization admin-group-member-added"},
	"admin-key-used":                       {"confluence admin-key-used"},
	"administrator-impersonated-user":      {"organization administrator-impersonated-user"},
	"authentication-policy-changed":        {"organization authentication-policy-changed", "organization allowlist-opened"},
	"organization-admin-granted":           {"organization organization-admin-granted"},
	"pages-read-in-number":                 {"organization pages-read-in-number"},
	"anonymous-access":                     {"jira anonymous-access", "confluence anonymous-access"},
	"anonymous-access-and-public-link":     {"confluence anonymous-access-and-public-link"},
	"api-token-created":                    {"jira api-token-created", "confluence api-token-created", "organization admin-api-key-created"},
	"app-installed":                        {"jira app-installed", "confluence app-installed", "organization app-then-export"},
	"app-then-export":                      {"jira app-then-export", "confluence app-then-export", "organization app-then-export"},
	"application-link-created":             {"confluence application-link-created"},
	"audit-configuration-changed":          {"jira audit-configuration-changed", "confluence audit-configuration-changed"},
	"audit-log-exported":                   {"jira audit-log-exported", "confluence audit-log-exported", "organization audit-log-exported"},
	"client-behind-tor":                    {"jira administrator-from-tor", "confluence administrator-from-tor", "organization administrator-from-tor"},
	"collector-misused":                    {"confluence collector-misused"},
	"container-deleted":                    {"jira project-deleted", "confluence space-deleted"},
	"data-imported":                        {"jira data-imported"},
	"dormant-administrator":                {"jira dormant-administrator"},
	"exports-repeated":                     {"jira exports-repeated", "confluence exports-repeated"},
	"failed-sign-ins":                      {"jira failed-sign-ins", "confluence failed-sign-ins", "organization failed-sign-ins"},
	"global-permission-added":              {"jira global-permission-added", "confluence global-permission-added"},
	"global-settings-changed":              {"jira anonymous-access", "confluence global-settings-changed", "organization organization-settings-changed"},
	"issue-security-removed":               {"jira issue-security-removed"},
	"mass-deletion":                        {"jira mass-deletion", "confluence mass-deletion"},
	"mass-group-removal":                   {"jira mass-group-removal", "confluence mass-group-removal", "organization mass-deactivation"},
	"oauth-app-authorized":                 {"jira oauth-app-authorized", "organization oauth-consent"},
	"password-changed-from-many-addresses": {"jira password-changed-from-many-addresses"},
	"permission-scheme-changed":            {"jira permission-scheme-changed"},
	"permission-scheme-reverted":           {"jira permission-scheme-reverted"},
	"project-access-changed":               {"jira project-access-changed"},
	"promotion-then-password":              {"jira promotion-then-password"},
	"public-link":                          {"confluence public-link"},
	"restrictions-removed":                 {"confluence restrictions-removed"},
	"site-exported":                        {"jira backup-created", "confluence site-exported"},
	"space-exported":                       {"confluence space-exported", "organization app-then-export"},
	"space-permissions-changed":            {"confluence space-permissions-opened"},
	"workflow-scheme-copied":               {"jira workflow-scheme-copied"},
	"webhook-created":                      {"jira webhook-created", "confluence webhook-created"},
}

func rules(t *testing.T) map[string]*Rule {
	t.Helper()
	out := map[string]*Rule{}
	for name, text := range files(t, "security", ".json") {
		r, err := ParseRule(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = r
	}
	return out
}

func TestEachRuleNoticesItsStory(t *testing.T) {
	w := theWorld(t)
	all := rules(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if len(alarms[name]) == 0 {
			t.Errorf("the rule %s has no story", name)
		}
		for _, story := range alarms[name] {
			logs, ok := w.stories[story]
			if !ok {
				t.Errorf("there is no story %q", story)
				continue
			}
			signals := all[name].Evaluate(logs)
			if len(signals) == 0 {
				t.Errorf("the rule %s does not notice the story %q", name, story)
			}
			for _, s := range signals {
				if s.Time.Before(storyStart) {
					t.Errorf("the rule %s makes noise on an ordinary day: %v", name, s)
				}
			}
		}
	}
	for name := range alarms {
		if all[name] == nil {
			t.Errorf("there is no rule %s", name)
		}
	}
}

func TestNoRuleWakesAnybodyOnAnOrdinaryDay(t *testing.T) {
	w := theWorld(t)
	if len(w.ordinary) < 600 {
		t.Fatalf("only %d logs on %d ordinary days of two products", len(w.ordinary), ordinaryDays)
	}
	for name, r := range rules(t) {
		for _, s := range r.Evaluate(w.ordinary) {
			t.Errorf("the rule %s makes noise: %v", name, s)
		}
	}
}

// TestEachStoryIsForARule: what TestEachRuleNoticesItsStory does not tell is
// tested by nobody.
func TestEachStoryIsForARule(t *testing.T) {
	t.Parallel()
	told := map[string]bool{}
	for _, stories := range alarms {
		for _, s := range stories {
			told[s] = true
		}
	}
	for _, s := range atlassiantest.Stories() {
		if !told[s.Product+" "+s.Name] {
			t.Errorf("no rule is for the story %q of %s", s.Name, s.Product)
		}
	}
}

// TestSeverityFollowsTheCase: the first case that holds is the one.
func TestSeverityFollowsTheCase(t *testing.T) {
	w := theWorld(t)
	all := rules(t)
	for rule, want := range map[string]string{"failed-sign-ins": "high", "global-permission-added": "high", "public-link": "medium"} {
		found := false
		for _, s := range all[rule].Evaluate(w.stories[alarms[rule][0]]) {
			found = found || s.Status == want
		}
		if !found {
			t.Errorf("the rule %s makes no signal of severity %s", rule, want)
		}
	}
}

// TestRulesAreComplete: what Datadog needs, and a person at night.
func TestRulesAreComplete(t *testing.T) {
	t.Parallel()
	texts := files(t, "security", ".md")
	tactic, technique := regexp.MustCompile(`^tactic:TA\d{4}-[a-z-]+$`), regexp.MustCompile(`^technique:T\d{4}(\.\d{3})?-[a-z-]+$`)
	all := rules(t)
	if len(all) < 25 {
		t.Errorf("only %d rules", len(all))
	}
	names := map[string]string{}
	for name, r := range all {
		if other, ok := names[r.Name]; ok {
			t.Errorf("%s and %s are called the same", name, other)
		}
		names[r.Name] = name
		for what, ok := range map[string]bool{
			"a tactic":                      slices.ContainsFunc(r.Tags, tactic.MatchString),
			"a technique":                   slices.ContainsFunc(r.Tags, technique.MatchString),
			"a source":                      slices.ContainsFunc(r.Tags, func(s string) bool { return strings.HasPrefix(s, "source:") }),
			"security:attack":               slices.Contains(r.Tags, "security:attack"),
			"a name that begins as all do":  strings.HasPrefix(r.Name, "Atlassian "),
			"a longest signal of a day":     r.Options.MaxSignalDuration == 86400,
			"a life longer than its window": r.Options.KeepAlive >= r.Options.EvaluationWindow,
			"severities that exist": !slices.ContainsFunc(r.Cases, func(c RuleCase) bool {
				return !slices.Contains([]string{"low", "medium", "high", "critical"}, c.Status)
			}),
		} {
			if !ok {
				t.Errorf("the rule %s lacks %s", name, what)
			}
		}
		text := string(texts[name])
		for _, part := range []string{"## Goal\n", "## Strategy\n", "## Triage and response\n1. ", "\n2. "} {
			if !strings.Contains(text, part) {
				t.Errorf("the text of the rule %s lacks %q", name, part)
			}
		}
	}
	for name := range texts {
		if all[name] == nil {
			t.Errorf("%s.md belongs to no rule", name)
		}
	}
}
