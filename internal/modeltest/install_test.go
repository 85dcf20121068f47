package modeltest

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	api "github.com/DataDog/datadog-api-client-go/v2/api/datadog"
	"github.com/DataDog/datadog-api-client-go/v2/api/datadogV1"
	"github.com/DataDog/datadog-api-client-go/v2/api/datadogV2"

	"atlassian_audit_records/assets"
	"atlassian_audit_records/pkg/datadog"
	"atlassian_audit_records/pkg/datadog/datadogtest"
)

// TestWhatIsSentFitsTheModels: `assets install` sends JSON as it stands in the
// assets, with its marks.
func TestWhatIsSentFitsTheModels(t *testing.T) {
	all, err := datadog.Load(assets.Files, datadog.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	models := map[datadog.Kind][]func() any{
		datadog.Pipelines:  {func() any { return &datadogV1.LogsPipeline{} }},
		datadog.Dashboards: {func() any { return &datadogV1.Dashboard{} }},
		datadog.Monitors:   {func() any { return &datadogV1.Monitor{} }, func() any { return &datadogV1.MonitorUpdateRequest{} }},
		datadog.Rules: {
			func() any { return &datadogV2.SecurityMonitoringStandardRuleCreatePayload{} },
			func() any { return &datadogV2.SecurityMonitoringRuleUpdatePayload{} },
		},
	}
	for _, a := range all {
		text, err := json.Marshal(a.Body())
		if err != nil {
			t.Fatal(err)
		}
		for _, model := range models[a.Kind] {
			decode(t, a.Name, text, model())
		}
	}
}

// TestDatadogsClientKnowsTheStandIn: what stands in for Datadog in the tests of
// `assets install` has the paths that Datadog's own client asks for, and its
// answers, with all that the stand-in adds, fit that client's models.
func TestDatadogsClientKnowsTheStandIn(t *testing.T) {
	org := datadogtest.New()
	at := httptest.NewServer(org)
	t.Cleanup(at.Close)
	ours, err := datadog.NewClient(datadog.Options{URL: at.URL, APIKey: datadogtest.APIKey, AppKey: datadogtest.AppKey})
	if err != nil {
		t.Fatal(err)
	}
	all, err := datadog.Load(assets.Files, datadog.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	plan, err := ours.PlanInstall(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	ours.Apply(t.Context(), plan, func(r datadog.Result) {
		if !r.Done {
			t.Errorf("%s: %s", r.Title, r.Error)
		}
	})

	ctx := context.WithValue(t.Context(), api.ContextAPIKeys, map[string]api.APIKey{
		"apiKeyAuth": {Key: datadogtest.APIKey}, "appKeyAuth": {Key: datadogtest.AppKey},
	})
	ctx = context.WithValue(ctx, api.ContextServerIndex, 1)
	ctx = context.WithValue(ctx, api.ContextServerVariables, map[string]string{"protocol": "http", "name": strings.TrimPrefix(at.URL, "http://")})
	theirs := api.NewAPIClient(api.NewConfiguration())
	known := func(what string, v any, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		for _, s := range strange(v) {
			// Datadog sends these, and its models do not have them.
			if !strings.Contains(s, "created_at") && !strings.Contains(s, "org_id") {
				t.Errorf("%s%s", what, s)
			}
		}
	}

	pipelines := datadogV1.NewLogsPipelinesApi(theirs)
	listed, _, err := pipelines.ListLogsPipelines(ctx)
	known("pipelines", listed, err)
	for _, p := range listed {
		if !p.GetIsReadOnly() {
			_, _, err := pipelines.UpdateLogsPipeline(ctx, p.GetId(), p)
			known("pipeline", nil, err)
			_, err = pipelines.DeleteLogsPipeline(ctx, p.GetId())
			known("pipeline", nil, err)
		}
	}
	dashboards := datadogV1.NewDashboardsApi(theirs)
	summary, _, err := dashboards.ListDashboards(ctx)
	known("dashboards", summary, err)
	for _, d := range summary.Dashboards {
		whole, _, err := dashboards.GetDashboard(ctx, d.GetId())
		known("dashboard", whole, err)
		_, _, err = dashboards.UpdateDashboard(ctx, d.GetId(), whole)
		known("dashboard", nil, err)
		_, _, err = dashboards.DeleteDashboard(ctx, d.GetId())
		known("dashboard", nil, err)
	}
	monitors := datadogV1.NewMonitorsApi(theirs)
	watched, _, err := monitors.ListMonitors(ctx)
	known("monitors", watched, err)
	for _, m := range watched {
		_, _, err := monitors.UpdateMonitor(ctx, m.GetId(), *datadogV1.NewMonitorUpdateRequest())
		known("monitor", nil, err)
		_, _, err = monitors.DeleteMonitor(ctx, m.GetId())
		known("monitor", nil, err)
	}
	security := datadogV2.NewSecurityMonitoringApi(theirs)
	rules, _, err := security.ListSecurityMonitoringRules(ctx, *datadogV2.NewListSecurityMonitoringRulesOptionalParameters().WithPageSize(100))
	known("rules", rules, err)
	for _, r := range rules.Data {
		if one := r.SecurityMonitoringStandardRuleResponse; one != nil && !one.GetIsDefault() {
			_, _, err := security.UpdateSecurityMonitoringRule(ctx, one.GetId(), *datadogV2.NewSecurityMonitoringRuleUpdatePayload())
			known("rule", nil, err)
			_, err = security.DeleteSecurityMonitoringRule(ctx, one.GetId())
			known("rule", nil, err)
		}
	}
	if n := len(listed) - 1 + len(summary.Dashboards) + len(watched) + len(rules.Data) - 1; n != len(all) {
		t.Errorf("%d of %d assets were listed", n, len(all))
	}
	for _, kind := range []string{datadogtest.Dashboards, datadogtest.Monitors, datadogtest.Rules, datadogtest.Pipelines} {
		for _, left := range org.All(kind) {
			if left["is_read_only"] != true && left["isDefault"] != true {
				t.Errorf("%s/%v is left", kind, left["id"])
			}
		}
	}
}
