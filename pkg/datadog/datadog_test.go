package datadog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/assets"
	"atlassian_audit_records/pkg/datadog"
	"atlassian_audit_records/pkg/datadog/datadogtest"
)

// org is an organisation and a client of it.
type org struct {
	*datadogtest.Server
	client *datadog.Client
	waits  []time.Duration
}

func newOrg(t *testing.T) *org {
	t.Helper()
	o := &org{Server: datadogtest.New()}
	at := httptest.NewServer(o.Server)
	t.Cleanup(at.Close)
	client, err := datadog.NewClient(datadog.Options{
		URL: at.URL, APIKey: datadogtest.APIKey, AppKey: datadogtest.AppKey,
		Wait: func(ctx context.Context, d time.Duration) error {
			o.waits = append(o.waits, d)
			return ctx.Err()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	o.client = client
	return o
}

func load(t *testing.T, kinds ...datadog.Kind) []datadog.Asset {
	t.Helper()
	if kinds == nil {
		kinds = datadog.Kinds()
	}
	all, err := datadog.Load(assets.Files, kinds)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (o *org) plan(t *testing.T, kinds ...datadog.Kind) datadog.Plan {
	t.Helper()
	plan, err := o.client.PlanInstall(t.Context(), load(t, kinds...))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func (o *org) apply(t *testing.T, plan datadog.Plan) []datadog.Result {
	t.Helper()
	return o.client.Apply(t.Context(), plan, func(datadog.Result) {})
}

// install installs, and expects that nothing fails.
func (o *org) install(t *testing.T, kinds ...datadog.Kind) {
	t.Helper()
	for _, r := range o.apply(t, o.plan(t, kinds...)) {
		if !r.Done {
			t.Fatalf("%s: %s", r.Title, r.Error)
		}
	}
}

// open is what a plan would do, one line each.
func open(plan datadog.Plan) []string {
	var out []string
	for _, c := range plan.Changes {
		if c.Action == datadog.Keep {
			continue
		}
		line := fmt.Sprintf("%s %s", c.Action, c.Asset)
		for _, d := range c.Differences {
			line += "; " + d.String()
		}
		out = append(out, line)
	}
	return out
}

// titled is the thing of a kind with a title, and nil.
func (o *org) titled(kind, title string) map[string]any {
	for _, t := range o.All(kind) {
		if t["title"] == title || t["name"] == title {
			if t["is_read_only"] != true && t["isDefault"] != true {
				return t
			}
		}
	}
	return nil
}

// writes counts requests that are not readings.
func (o *org) writes() (n int) {
	for _, r := range o.Requests() {
		if r.Method != http.MethodGet {
			n++
		}
	}
	return n
}

const (
	overview = "Jira Audit Records - Overview"
	gap      = "[Atlassian audit records] A gap in the records stays open"
	exported = "Atlassian app installed, then data exported"
	pipeline = "Jira Audit Records"
)

func TestAllIsInstalledOnceAndThenAsItShouldBe(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	first := o.plan(t)
	if n := len(load(t)); n < 40 || first.Count(datadog.Create) != n || first.Open() != n {
		t.Fatalf("%d assets, and to do: %v", n, open(first))
	}
	if n := o.writes(); n != 0 {
		t.Errorf("a plan made %d changes", n)
	}
	o.install(t)
	before := o.writes()
	if left := open(o.plan(t)); len(left) > 0 {
		t.Errorf("after an installation there is left to do:\n%s", strings.Join(left, "\n"))
	}
	o.install(t)
	if n := o.writes(); n != before {
		t.Errorf("the second installation made %d changes", n-before)
	}
}

func TestWhatPeopleChangeIsShownAndOverwritten(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	o.install(t)
	o.Edit(datadogtest.Dashboards, id(o.titled(datadogtest.Dashboards, overview)), func(d map[string]any) {
		d["layout_type"] = "free"
		d["widgets"] = d["widgets"].([]any)[:1]
	})
	o.Edit(datadogtest.Monitors, id(o.titled(datadogtest.Monitors, gap)), func(m map[string]any) {
		m["options"].(map[string]any)["thresholds"].(map[string]any)["critical"] = json.Number("5")
	})
	o.Edit(datadogtest.Rules, id(o.titled(datadogtest.Rules, exported)), func(r map[string]any) {
		r["queries"].([]any)[0].(map[string]any)["query"] = "*"
		r["tags"] = append(r["tags"].([]any), "team:security")
	})
	o.Edit(datadogtest.Pipelines, id(o.titled(datadogtest.Pipelines, pipeline)), func(p map[string]any) {
		p["filter"].(map[string]any)["query"] = "source:other"
	})
	got := open(o.plan(t))
	if len(got) != 4 {
		t.Fatalf("to do: %s", strings.Join(got, "\n"))
	}
	for n, want := range []string{
		`update jira-audit-records; filter.query: "source:other" -> "source:jira-audit-records"`,
		`update jira_audit_records_overview; layout_type: "free" -> "ordered"; widgets[1]: nothing -> {`,
		`update gap_stays_open; options.thresholds.critical: 5 -> 0`,
		`update app-then-export; queries[0].query: "*" -> "source:(`,
	} {
		if !strings.HasPrefix(got[n], want) {
			t.Errorf("to do:  %.300s\nwanted: %s", got[n], want)
		}
	}
	o.install(t)
	if left := open(o.plan(t)); len(left) > 0 {
		t.Errorf("left to do: %s", strings.Join(left, "\n"))
	}
}

func id(thing map[string]any) string { return fmt.Sprint(thing["id"]) }

func TestWhatIsForPeopleToDecideIsKept(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	o.install(t)
	edit := func() {
		o.Edit(datadogtest.Rules, id(o.titled(datadogtest.Rules, exported)), func(r map[string]any) {
			r["isEnabled"] = false
			r["cases"].([]any)[0].(map[string]any)["notifications"] = []any{"@slack-security"}
		})
		o.Edit(datadogtest.Pipelines, id(o.titled(datadogtest.Pipelines, pipeline)), func(p map[string]any) { p["is_enabled"] = false })
		o.Edit(datadogtest.Dashboards, id(o.titled(datadogtest.Dashboards, overview)), func(d map[string]any) {
			d["tags"], d["restricted_roles"] = []any{"team:security"}, []any{"r1"}
		})
		o.Edit(datadogtest.Monitors, id(o.titled(datadogtest.Monitors, gap)), func(m map[string]any) {
			m["options"].(map[string]any)["escalation_message"] = "still"
		})
	}
	edit()
	if left := open(o.plan(t)); len(left) > 0 {
		t.Errorf("to do: %s", strings.Join(left, "\n"))
	}
	// Something else differs as well: the update keeps them too.
	o.Edit(datadogtest.Rules, id(o.titled(datadogtest.Rules, exported)), func(r map[string]any) { r["message"] = "other" })
	o.Edit(datadogtest.Pipelines, id(o.titled(datadogtest.Pipelines, pipeline)), func(p map[string]any) { p["processors"] = []any{} })
	o.Edit(datadogtest.Dashboards, id(o.titled(datadogtest.Dashboards, overview)), func(d map[string]any) { d["widgets"] = []any{} })
	o.Edit(datadogtest.Monitors, id(o.titled(datadogtest.Monitors, gap)), func(m map[string]any) { m["query"] = "other" })
	if n := o.plan(t).Count(datadog.Update); n != 4 {
		t.Errorf("%d to update", n)
	}
	o.install(t)
	rule, pipe := o.titled(datadogtest.Rules, exported), o.titled(datadogtest.Pipelines, pipeline)
	board, monitor := o.titled(datadogtest.Dashboards, overview), o.titled(datadogtest.Monitors, gap)
	want := []any{false, []any{"@slack-security"}, false, []any{"team:security"}, []any{"r1"}, "still"}
	got := []any{
		rule["isEnabled"], rule["cases"].([]any)[0].(map[string]any)["notifications"], pipe["is_enabled"],
		board["tags"], board["restricted_roles"], monitor["options"].(map[string]any)["escalation_message"],
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what people decided (-before +after)\n%s", diff)
	}
}

// TestNothingElseIsTouched has an organisation full of things that resemble
// ours, installs, changes everything, installs again, removes, and compares.
func TestNothingElseIsTouched(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	for _, kind := range []string{datadogtest.Dashboards, datadogtest.Monitors, datadogtest.Rules, datadogtest.Pipelines} {
		for n := range 230 { // more than two pages
			o.Add(kind, map[string]any{"title": fmt.Sprint("other ", n), "name": fmt.Sprint("other ", n), "query": fmt.Sprint(n), "widgets": []any{}})
		}
	}
	same := o.Add(datadogtest.Dashboards, map[string]any{"title": overview, "widgets": []any{}, "description": "mine"})
	o.Add(datadogtest.Monitors, map[string]any{"name": gap, "query": "mine", "tags": []any{"managed_by:atlassian-audit-records", "integration:atlassian-audit-records"}})
	o.Add(datadogtest.Rules, map[string]any{"name": exported, "tags": []any{"asset:app-then-export-12345678"}})
	theirs := everything(o)

	plan := o.plan(t)
	if plan.Open() != plan.Count(datadog.Create) {
		t.Fatalf("to do: %v", open(plan))
	}
	if notes := strings.Join(plan.Notes, "\n"); !strings.Contains(notes, same) || !strings.Contains(notes, "left alone") {
		t.Errorf("notes: %s", notes)
	}
	o.install(t)

	// Copies: of the same title, of another, and one whose original is gone.
	for kind, title := range map[string]string{datadogtest.Dashboards: overview, datadogtest.Monitors: gap, datadogtest.Rules: exported, datadogtest.Pipelines: pipeline} {
		for _, of := range []string{title, title + " (copy)"} {
			twin := map[string]any{}
			for _, t := range o.All(kind) {
				if text, _ := json.Marshal(t); (t["title"] == title || t["name"] == title) && marked(string(text)) {
					twin = t
					break
				}
			}
			twin["title"], twin["name"] = of, of
			theirs[o.Add(kind, twin)] = true
		}
	}
	copies := everything(o)
	plan = o.plan(t)
	if plan.Open() > 0 {
		t.Errorf("copies are changed: %v", open(plan))
	}
	if n := strings.Count(strings.Join(plan.Notes, "\n"), "as a copy"); n != 8 {
		t.Errorf("%d copies told of: %s", n, strings.Join(plan.Notes, "\n"))
	}
	plan, err := o.client.PlanRemove(t.Context(), datadog.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	if n := plan.Count(datadog.Remove); n != len(load(t)) {
		t.Errorf("%d to remove, of %d", n, len(load(t)))
	}
	o.apply(t, plan)
	left := everything(o)
	for thing := range theirs {
		if _, ok := left[thing]; !ok {
			t.Errorf("%s was touched", thing)
		}
	}
	if n := len(copies) - len(left); n != len(load(t)) {
		t.Errorf("%d things are gone, and %d were ours", n, len(load(t)))
	}
}

// marked tells what bears a whole mark.
func marked(text string) bool {
	return strings.Contains(text, "Managed by") || strings.Contains(text, `"asset:`) && strings.Contains(text, `"managed_by:`)
}

// everything is all that an organisation has: what people made by its whole
// content, what bears a mark by its id.
func everything(o *org) map[string]bool {
	out := map[string]bool{}
	for _, kind := range []string{datadogtest.Dashboards, datadogtest.Monitors, datadogtest.Rules, datadogtest.Pipelines} {
		for _, t := range o.All(kind) {
			text, _ := json.Marshal(t)
			if marked(string(text)) {
				out[id(t)] = true
			} else {
				out[string(text)] = true
			}
		}
	}
	return out
}

func TestSomethingRenamedIsNotOursAnyMore(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	o.install(t)
	mine := id(o.titled(datadogtest.Rules, exported))
	o.Edit(datadogtest.Rules, mine, func(r map[string]any) { r["name"] = "our own now" })
	plan := o.plan(t)
	if diff := cmp.Diff([]string{"create app-then-export"}, open(plan)); diff != "" {
		t.Errorf("to do (-want +got)\n%s", diff)
	}
	if notes := strings.Join(plan.Notes, "\n"); !strings.Contains(notes, mine) {
		t.Errorf("notes: %s", notes)
	}
}

func TestWhatAnotherVersionInstalledIsToldAndRemoved(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	o.install(t, datadog.Monitors)
	fewer := load(t, datadog.Monitors)[1:]
	plan, err := o.client.PlanInstall(t.Context(), fewer)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Open() != 0 || len(plan.Notes) != 1 || !strings.Contains(plan.Notes[0], "this version does not have") {
		t.Errorf("to do %v, notes %v", open(plan), plan.Notes)
	}
	plan, err = o.client.PlanRemove(t.Context(), []datadog.Kind{datadog.Monitors})
	if err != nil || plan.Count(datadog.Remove) != len(fewer)+1 {
		t.Errorf("to remove %v, %v", open(plan), err)
	}
}
