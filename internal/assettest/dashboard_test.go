package assettest

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func dashboards(t *testing.T) map[string]*Dashboard {
	t.Helper()
	out := map[string]*Dashboard{}
	for name, text := range files(t, "dashboards", ".json") {
		d, err := ParseDashboard(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = d
	}
	return out
}

// sometimes are metrics that a healthy run against a site does not send;
// assets/metadata.csv says when they are.
var sometimes = []string{"auth.expires_in", "undelivered.bytes", "undelivered.age"}

// described are the metrics that assets/metadata.csv describes.
func described(t *testing.T) []string {
	t.Helper()
	f, err := os.Open(filepath.Join(assets, "metadata.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range rows[1:] {
		out = append(out, r[0])
	}
	return out
}

func TestEachWidgetShowsSomething(t *testing.T) {
	w := theWorld(t)
	names := described(t)
	for name, d := range dashboards(t) {
		for i, leaf := range d.Leaves() {
			if leaf.Definition.Type == "note" {
				if leaf.Definition.Content == "" {
					t.Errorf("%s: widget %d says nothing", name, i)
				}
				continue
			}
			shown, err := d.Show(leaf, w.all, nil)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			empty := len(shown.Rows) == 0 && len(shown.Logs) == 0
			for _, r := range leaf.Definition.Requests {
				for _, q := range r.Queries {
					if q.DataSource != "metrics" {
						continue
					}
					_, metric, _ := strings.Cut(q.Query, ":")
					metric, _, _ = strings.Cut(metric, "{")
					if !slices.Contains(names, metric) {
						t.Errorf("%s: %q asks for %s, which metadata.csv does not know", name, leaf.Definition.Title, metric)
					}
					if slices.Contains(sometimes, strings.TrimPrefix(metric, "atlassian.audit_records.")) {
						empty = false
					}
				}
			}
			if empty {
				t.Errorf("%s: %q shows nothing", name, leaf.Definition.Title)
			}
		}
	}
}

// TestStreamsShowTheirColumns: a column that is empty on every log is a typing
// mistake, or belongs to another product.
func TestStreamsShowTheirColumns(t *testing.T) {
	w := theWorld(t)
	always := []string{"status_line", "timestamp"}
	// Only resolve_users brings Jira's people names.
	unless := []string{"@usr.name"}
	for name, d := range dashboards(t) {
		for _, leaf := range d.Leaves() {
			if leaf.Definition.Type != "list_stream" {
				continue
			}
			shown, err := d.Show(leaf, w.all, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range leaf.Definition.Requests[0].Columns {
				if slices.Contains(always, c.Field) || slices.Contains(unless, c.Field) {
					continue
				}
				if !slices.ContainsFunc(shown.Logs, func(l Log) bool { return len(l.Facet(c.Field)) > 0 }) {
					t.Errorf("%s: the column %s of %q is always empty", name, c.Field, leaf.Definition.Title)
				}
			}
		}
	}
}

// TestTemplateVariablesChoose: a site, product or actor that does not exist
// leaves every widget over logs empty, one that does leaves some of it.
func TestTemplateVariablesChoose(t *testing.T) {
	w := theWorld(t)
	for name, d := range dashboards(t) {
		if name == "atlassian_audit_records_collector_health" {
			continue
		}
		var known []string
		for _, v := range d.TemplateVariables {
			known = append(known, v.Name)
		}
		if diff := cmp.Diff([]string{"site", "product", "actor"}, known); diff != "" {
			t.Errorf("%s: template variables (-want +got):\n%s", name, diff)
		}
		site, product, _ := strings.Cut(map[string]string{
			"jira_audit_records_overview":                "example.atlassian.net jira",
			"confluence_audit_records_overview":          "example.atlassian.net confluence",
			"atlassian_organization_audit_logs_overview": "api.atlassian.com organization",
		}[name], " ")
		some := map[string]string{"site": site, "product": product, "actor": "712020:0a0a0a0a-0000-4000-8000-000000000001"}
		for _, v := range known {
			for _, leaf := range d.Leaves() {
				if !overLogs(leaf) {
					continue
				}
				shown, err := d.Show(leaf, w.all, map[string]string{v: "nothing"})
				if err != nil {
					t.Fatal(err)
				}
				if len(shown.Rows)+len(shown.Logs) > 0 {
					t.Errorf("%s: %q does not care about $%s", name, leaf.Definition.Title, v)
				}
			}
			value := some[v]
			if v == "actor" {
				value = strings.ReplaceAll(value, ":", `\:`)
			}
			shown, err := d.Show(d.Leaves()[1], w.all, map[string]string{v: value})
			if err != nil {
				t.Fatal(err)
			}
			if len(shown.Rows) == 0 {
				t.Errorf("%s: nothing is left for $%s = %s", name, v, some[v])
			}
		}
	}
}

func overLogs(w Widget) bool {
	if w.Definition.Type == "list_stream" {
		return true
	}
	for _, r := range w.Definition.Requests {
		for _, q := range r.Queries {
			return q.DataSource == "logs"
		}
	}
	return false
}

// TestProductsAreLaidOutAlike: who knows one page finds their way on the other.
func TestProductsAreLaidOutAlike(t *testing.T) {
	t.Parallel()
	var first []string
	for name, d := range dashboards(t) {
		if name == "atlassian_audit_records_collector_health" {
			continue
		}
		var order []string
		for _, g := range d.Widgets {
			order = append(order, "# "+g.Definition.Title)
			for _, w := range g.Definition.Widgets {
				order = append(order, w.Definition.Type+" "+w.Definition.Title)
			}
		}
		if first == nil {
			first = order
		}
		if diff := cmp.Diff(first, order); diff != "" {
			t.Errorf("%s is laid out otherwise:\n%s", name, diff)
		}
	}
}

// TestWidgetsHaveRoom: within twelve columns, and none upon another.
func TestWidgetsHaveRoom(t *testing.T) {
	t.Parallel()
	for name, d := range dashboards(t) {
		if d.LayoutType != "ordered" || d.ReflowType != "fixed" || d.Title == "" || d.Description == "" {
			t.Errorf("%s: %q is laid out %s and %s", name, d.Title, d.LayoutType, d.ReflowType)
		}
		room(t, name, d.Widgets)
	}
}

func room(t *testing.T, where string, widgets []Widget) {
	t.Helper()
	for i, w := range widgets {
		a := w.Layout
		if a == nil || a.X < 0 || a.Width < 1 || a.Height < 1 || a.X+a.Width > 12 {
			t.Errorf("%s: %q stands outside of the page", where, w.Definition.Title)
			continue
		}
		for _, other := range widgets[:i] {
			if b := other.Layout; b != nil && a.X < b.X+b.Width && b.X < a.X+a.Width && a.Y < b.Y+b.Height && b.Y < a.Y+a.Height {
				t.Errorf("%s: %q stands upon %q", where, w.Definition.Title, other.Definition.Title)
			}
		}
		room(t, where+" / "+w.Definition.Title, w.Definition.Widgets)
	}
}
