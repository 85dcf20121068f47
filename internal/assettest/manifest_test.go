package assettest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestManifestNamesWhatIsThere: each dashboard and monitor under its title, and
// nothing else.
func TestManifestNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(assets, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		ManifestVersion string         `json:"manifest_version"`
		Tile            map[string]any `json:"tile"`
		Assets          struct {
			Integration struct {
				SourceTypeName string `json:"source_type_name"`
				Metrics        struct {
					Prefix       string   `json:"prefix"`
					Check        []string `json:"check"`
					MetadataPath string   `json:"metadata_path"`
				} `json:"metrics"`
				ServiceChecks struct {
					MetadataPath string `json:"metadata_path"`
				} `json:"service_checks"`
			} `json:"integration"`
			Dashboards map[string]string `json:"dashboards"`
			Monitors   map[string]string `json:"monitors"`
		} `json:"assets"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if m.ManifestVersion != "2.0.0" {
		t.Errorf("manifest_version = %s", m.ManifestVersion)
	}
	root := filepath.Join(assets, "..")
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"overview", "configuration", "support"} {
		page, heading, _ := strings.Cut(m.Tile[part].(string), "#")
		if page != "README.md" || !strings.Contains(string(readme), "\n## "+heading+"\n") {
			t.Errorf("tile.%s leads nowhere: %s#%s", part, page, heading)
		}
	}
	titled := func(kind string, listed map[string]string) {
		found := map[string]string{}
		for name, text := range files(t, kind, ".json") {
			var d struct {
				Title string `json:"title"`
			}
			if err := json.Unmarshal(text, &d); err != nil {
				t.Fatal(err)
			}
			found[d.Title] = "assets/" + kind + "/" + name + ".json"
		}
		for title, path := range found {
			if listed[title] != path {
				t.Errorf("manifest.json has %q at %q, want %q", title, listed[title], path)
			}
		}
		if len(listed) != len(found) {
			t.Errorf("manifest.json lists %d %s, there are %d", len(listed), kind, len(found))
		}
	}
	titled("dashboards", m.Assets.Dashboards)
	titled("monitors", m.Assets.Monitors)
	i := m.Assets.Integration
	for _, path := range []string{i.Metrics.MetadataPath, i.ServiceChecks.MetadataPath} {
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			t.Error(err)
		}
	}
	for _, name := range described(t) {
		if !strings.HasPrefix(name, i.Metrics.Prefix) {
			t.Errorf("%s does not begin with %s", name, i.Metrics.Prefix)
		}
	}
	if len(i.Metrics.Check) != 1 || !slices.Contains(described(t), i.Metrics.Check[0]) {
		t.Errorf("metrics.check = %v", i.Metrics.Check)
	}
}

// serviceChecks are the names in assets/service_checks.json.
func serviceChecks(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(assets, "service_checks.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Check  string   `json:"check"`
		Groups []string `json:"groups"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, c := range list {
		out = append(out, c.Check)
	}
	return out
}

var (
	checkQuery  = regexp.MustCompile(`^"([a-z_.]+)"\.over\("\*"\)\.by\("site","product"\)\.last\((\d+)\)\.count_by_status\(\)$`)
	metricQuery = regexp.MustCompile(`^(?:min|max)\(last_\d+[mhd]\):((?:min|max):([a-z_.]+)\{\*\} by \{[a-z,]+\}) ([<>]) (\d+)$`)
	logQuery    = regexp.MustCompile(`^logs\("(.+)"\)\.index\("\*"\)\.rollup\("count"\)\.by\("([^"]+)"\)\.last\("1d"\) < (\d+)$`)
)

// TestMonitors: each asks for something that the check sends, and alerts at the
// threshold that it states.
func TestMonitors(t *testing.T) {
	w := theWorld(t)
	type monitor struct {
		Title       string `json:"title"`
		Description string `json:"description"`
		Definition  struct {
			Name, Type, Query, Message string
			Options                    struct {
				Thresholds struct{ Critical float64 }
			}
		} `json:"definition"`
	}
	for name, text := range files(t, "monitors", ".json") {
		var m monitor
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		d := m.Definition
		if !strings.HasSuffix(d.Name, m.Title) || m.Description == "" || !strings.Contains(d.Message, "{{#is_") {
			t.Errorf("%s: the title %q, the name %q, or the message does not do", name, m.Title, d.Name)
		}
		var threshold string
		switch d.Type {
		case "service check":
			q := checkQuery.FindStringSubmatch(d.Query)
			if q == nil || !slices.Contains(serviceChecks(t), q[1]) || !slices.Contains(w.all.Checks, q[1]) {
				t.Errorf("%s: the query %s", name, d.Query)
			}
			continue
		case "query alert":
			q := metricQuery.FindStringSubmatch(d.Query)
			if q == nil || !slices.Contains(described(t), q[2]) {
				t.Errorf("%s: the query %s", name, d.Query)
				continue
			}
			rows, err := metric("q", q[1], w.all.Points)
			if err != nil || len(rows) == 0 && !slices.Contains(sometimes, strings.TrimPrefix(q[2], "atlassian.audit_records.")) {
				t.Errorf("%s: %s shows nothing (%v)", name, q[1], err)
			}
			threshold = q[4]
		case "log alert":
			q := logQuery.FindStringSubmatch(d.Query)
			if q == nil {
				t.Errorf("%s: the query %s", name, d.Query)
				continue
			}
			logs, err := search(w.all.Logs, q[1])
			if err != nil || len(logs) != len(w.all.Logs) {
				t.Errorf("%s: %d of %d logs (%v)", name, len(logs), len(w.all.Logs), err)
			}
			for _, facet := range strings.Split(q[2], ",") {
				if len(logs[0].Facet(facet)) == 0 {
					t.Errorf("%s: no log has %s", name, facet)
				}
			}
			threshold = q[3]
		default:
			t.Errorf("%s: the type %q", name, d.Type)
			continue
		}
		if want, err := json.Marshal(d.Options.Thresholds.Critical); err != nil || string(want) != threshold {
			t.Errorf("%s: the query says %s and the threshold %s", name, threshold, want)
		}
	}
}
