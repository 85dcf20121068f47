package check

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/agent"
)

// The columns of integrations-core's metadata.csv, in its order.
var metadataColumns = []string{"metric_name", "metric_type", "interval", "unit_name", "per_unit_name", "description",
	"orientation", "integration", "short_name", "curated_metric", "sample_tags"}

func TestTheMetricsAreThoseOfMetadataCSV(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../assets/metadata.csv")
	if err != nil {
		t.Fatal(err)
	}
	got, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{metadataColumns}
	for _, m := range Metrics() {
		want = append(want, []string{MetricPrefix + m.Name, string(m.Type), "", m.Unit, "", m.Description,
			strconv.Itoa(m.Orientation), agent.CheckName, m.Short, "", ""})
	}
	// integrations-core wants the file sorted by name.
	slices.SortFunc(want[1:], func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("assets/metadata.csv (-code +file):\n%s", diff)
	}
	if bytes.Contains(text, []byte("\r")) || !bytes.HasSuffix(text, []byte("\n")) {
		t.Error("assets/metadata.csv: the lines must end in a line feed")
	}
}

func TestMetricsAreDescribedWithinDatadogsBounds(t *testing.T) {
	t.Parallel()
	// Of the units that Datadog knows, those that are used here.
	units := []string{"second", "record", "request", "error", "byte"}
	short := map[string]bool{}
	for _, m := range Metrics() {
		switch {
		case !slices.Contains(units, m.Unit):
			t.Errorf("%s: is %q a unit of Datadog's?", m.Name, m.Unit)
		case len(m.Description) > 400 || strings.Contains(m.Description, "|"):
			t.Errorf("%s: the description does not fit", m.Name)
		case m.Orientation < -1 || m.Orientation > 1 || m.Short == "" || short[m.Short]:
			t.Errorf("%s: %+v", m.Name, m)
		}
		short[m.Short] = true
	}
}

func TestTheServiceChecksAreThoseOfServiceChecksJSON(t *testing.T) {
	t.Parallel()
	type described struct {
		AgentVersion string   `json:"agent_version"`
		Integration  string   `json:"integration"`
		Check        string   `json:"check"`
		Statuses     []string `json:"statuses"`
		Groups       []string `json:"groups"`
		Name         string   `json:"name"`
		Description  string   `json:"description"`
	}
	text, err := os.ReadFile("../assets/service_checks.json")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []described
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&got); err != nil {
		t.Fatal(err)
	}
	names := map[Status]string{StatusOK: "ok", StatusWarning: "warning", StatusCritical: "critical", StatusUnknown: "unknown"}
	for _, s := range ServiceChecks() {
		d := described{"7.77.0", "Atlassian audit records", s.Name, nil, []string{"host", "site", "product"}, s.Title, s.Description}
		for _, status := range s.Statuses {
			d.Statuses = append(d.Statuses, names[status])
		}
		want = append(want, d)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("assets/service_checks.json (-code +file):\n%s", diff)
	}
}
