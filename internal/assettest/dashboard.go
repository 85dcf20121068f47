package assettest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Dashboard is a dashboard as Datadog exports it.
type Dashboard struct {
	Title             string             `json:"title"`
	Description       string             `json:"description"`
	LayoutType        string             `json:"layout_type"`
	ReflowType        string             `json:"reflow_type"`
	Widgets           []Widget           `json:"widgets"`
	TemplateVariables []TemplateVariable `json:"template_variables"`
}

// TemplateVariable is a choice that a dashboard offers.
type TemplateVariable struct {
	Name      string   `json:"name"`
	Prefix    string   `json:"prefix"`
	Defaults  []string `json:"defaults"`
	Available []string `json:"available_values"`
}

// Widget is one tile, or a group of them.
type Widget struct {
	Definition Definition `json:"definition"`
	Layout     *Layout    `json:"layout"`
}

// Layout is a widget's place in columns and rows of its group.
type Layout struct {
	X      int `json:"x"`
	Y      int `json:"y"`
	Width  int `json:"width"`
	Height int `json:"height"`
}

// Definition is what a widget shows.
type Definition struct {
	Type     string          `json:"type"`
	Title    string          `json:"title"`
	Content  string          `json:"content"`
	Requests []WidgetRequest `json:"requests"`
	Widgets  []Widget        `json:"widgets"`
	// Check, GroupBy and Tags belong to a check status.
	Check   string   `json:"check"`
	GroupBy []string `json:"group_by"`
	Tags    []string `json:"tags"`
	// Color is a group's.
	Color string `json:"background_color"`
}

// WidgetRequest is a question of a widget's.
type WidgetRequest struct {
	Queries  []WidgetQuery `json:"queries"`
	Formulas []struct {
		Formula string `json:"formula"`
		Alias   string `json:"alias"`
	} `json:"formulas"`
	// Query belongs to a stream of logs, as do the columns.
	Query struct {
		DataSource  string `json:"data_source"`
		QueryString string `json:"query_string"`
	} `json:"query"`
	Columns []struct {
		Field string `json:"field"`
		Width string `json:"width"`
	} `json:"columns"`
	ResponseFormat string `json:"response_format"`
	// DisplayType is "bars" or "line" in a timeseries.
	DisplayType string `json:"display_type"`
}

// WidgetQuery asks for logs or for a metric.
type WidgetQuery struct {
	Name       string `json:"name"`
	DataSource string `json:"data_source"`
	Search     struct {
		Query string `json:"query"`
	} `json:"search"`
	Compute struct {
		Aggregation string `json:"aggregation"`
		Metric      string `json:"metric"`
	} `json:"compute"`
	GroupBy []struct {
		Facet string `json:"facet"`
		Limit int    `json:"limit"`
		Sort  struct {
			Aggregation string `json:"aggregation"`
			Order       string `json:"order"`
		} `json:"sort"`
	} `json:"group_by"`
	// Query is that of a metric.
	Query string `json:"query"`
}

// Point is a value of a metric.
type Point struct {
	Name  string
	Value float64
	Tags  []string
	Time  time.Time
}

// Row is one bar, slice or line of what a widget shows.
type Row struct {
	Query string
	Group []string
	Value float64
}

// Shown is what a widget shows.
type Shown struct {
	Rows []Row
	Logs []Log
}

// Data are what there is to be shown.
type Data struct {
	Logs   []Log
	Points []Point
	Checks []string // names of service checks that reported
}

// ParseDashboard reads a dashboard.
func ParseDashboard(text []byte) (*Dashboard, error) {
	var d Dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("the dashboard: %w", err)
	}
	return &d, nil
}

// Leaves are the widgets that are not groups, in their order.
func (d *Dashboard) Leaves() []Widget { return leaves(nil, d.Widgets) }

func leaves(out, in []Widget) []Widget {
	for _, w := range in {
		if w.Definition.Type == "group" {
			out = leaves(out, w.Definition.Widgets)
		} else {
			out = append(out, w)
		}
	}
	return out
}

// Show evaluates a widget. chosen are the values of template variables by name;
// the others have their default.
func (d *Dashboard) Show(w Widget, data Data, chosen map[string]string) (Shown, error) {
	out, err := d.show(w, data, chosen)
	if err != nil {
		return Shown{}, fmt.Errorf("the widget %q: %w", w.Definition.Title, err)
	}
	return out, nil
}

func (d *Dashboard) show(w Widget, data Data, chosen map[string]string) (Shown, error) {
	var out Shown
	switch w.Definition.Type {
	case "check_status":
		if slices.Contains(data.Checks, w.Definition.Check) {
			out.Rows = []Row{{Query: w.Definition.Check, Value: 1}}
		}
		return out, nil
	case "list_stream":
		for _, r := range w.Definition.Requests {
			if r.Query.DataSource != "logs_stream" || r.ResponseFormat != "event_list" {
				return out, fmt.Errorf("a stream of %q as %q is not known here", r.Query.DataSource, r.ResponseFormat)
			}
			logs, err := search(data.Logs, d.Fill(r.Query.QueryString, chosen))
			if err != nil {
				return out, err
			}
			out.Logs = append(out.Logs, logs...)
		}
		return out, nil
	case "toplist", "timeseries", "query_value", "query_table", "geomap", "sunburst", "treemap":
	default:
		return out, fmt.Errorf("the type %q is not known here", w.Definition.Type)
	}
	for _, r := range w.Definition.Requests {
		names := map[string]bool{}
		for _, q := range r.Queries {
			names[q.Name] = true
			rows, err := d.query(q, data, chosen)
			if err != nil {
				return out, err
			}
			out.Rows = append(out.Rows, rows...)
		}
		for _, f := range r.Formulas {
			if !names[f.Formula] {
				return out, fmt.Errorf("the formula %q is not known here", f.Formula)
			}
		}
	}
	return out, nil
}

// Fill puts values in the place of $name and $name.value; the variables that are
// not chosen have their default.
func (d *Dashboard) Fill(query string, chosen map[string]string) string {
	for _, v := range d.TemplateVariables {
		value := "*"
		if len(v.Defaults) > 0 {
			value = v.Defaults[0]
		}
		if c, ok := chosen[v.Name]; ok {
			value = c
		}
		query = strings.ReplaceAll(query, "$"+v.Name+".value", value)
		whole := v.Prefix + ":" + value
		if value == "*" {
			whole = "*"
		}
		query = strings.ReplaceAll(query, "$"+v.Name, whole)
	}
	return query
}

func (d *Dashboard) query(q WidgetQuery, data Data, chosen map[string]string) ([]Row, error) {
	switch q.DataSource {
	case "metrics":
		return metric(q.Name, d.Fill(q.Query, chosen), data.Points)
	case "logs":
	default:
		return nil, fmt.Errorf("the data source %q is not known here", q.DataSource)
	}
	logs, err := search(data.Logs, d.Fill(q.Search.Query, chosen))
	if err != nil {
		return nil, err
	}
	groups := map[string]*Row{}
	distinct := map[string]map[string]bool{}
	var order []string
	for i := range logs {
		l := &logs[i]
		for _, group := range l.groups(q) {
			key := strings.Join(group, "\x00")
			r, ok := groups[key]
			if !ok {
				r = &Row{Query: q.Name, Group: group}
				groups[key], distinct[key] = r, map[string]bool{}
				order = append(order, key)
			}
			switch q.Compute.Aggregation {
			case "count":
				r.Value++
			case "cardinality":
				for _, v := range l.Facet(q.Compute.Metric) {
					distinct[key][v] = true
				}
				r.Value = float64(len(distinct[key]))
			default:
				return nil, fmt.Errorf("the aggregation %q is not known here", q.Compute.Aggregation)
			}
		}
	}
	rows := make([]Row, len(order))
	for i, key := range order {
		rows[i] = *groups[key]
	}
	ascending := len(q.GroupBy) > 0 && q.GroupBy[0].Sort.Order == "asc"
	slices.SortStableFunc(rows, func(a, b Row) int {
		by := int(b.Value - a.Value)
		if ascending {
			by = -by
		}
		if by == 0 {
			by = slices.Compare(a.Group, b.Group)
		}
		return by
	})
	return rows, nil
}

// groups are the combinations of the log's values of the facets that a query
// groups by; none where it lacks one.
func (l *Log) groups(q WidgetQuery) [][]string {
	out := [][]string{nil}
	for _, g := range q.GroupBy {
		var longer [][]string
		for _, before := range out {
			for _, v := range l.Facet(g.Facet) {
				longer = append(longer, append(slices.Clone(before), v))
			}
		}
		out = longer
	}
	return out
}

func search(logs []Log, query string) ([]Log, error) {
	q, err := ParseQuery(query)
	if err != nil {
		return nil, err
	}
	var out []Log
	for i := range logs {
		if q.Match(&logs[i]) {
			out = append(out, logs[i])
		}
	}
	return out, nil
}

// metric reads "agg:name{scope} by {tags}", with .as_count() behind, and takes
// the last point of each group.
func metric(name, query string, points []Point) ([]Row, error) {
	_, rest, ok := strings.Cut(query, ":")
	metricName, rest, ok2 := strings.Cut(rest, "{")
	scope, rest, ok3 := strings.Cut(rest, "}")
	if !ok || !ok2 || !ok3 {
		return nil, fmt.Errorf("%q is no query of a metric", query)
	}
	var by []string
	if _, tags, found := strings.Cut(rest, "by {"); found {
		tags, _, _ = strings.Cut(tags, "}")
		by = strings.Split(tags, ",")
	}
	groups := map[string]Row{}
	for _, p := range points {
		if p.Name != metricName || !inScope(scope, p.Tags) {
			continue
		}
		var group []string
		for _, key := range by {
			for _, t := range p.Tags {
				if k, v, _ := strings.Cut(t, ":"); k == strings.TrimSpace(key) {
					group = append(group, v)
				}
			}
		}
		if len(group) == len(by) {
			groups[strings.Join(group, "\x00")] = Row{Query: name, Group: group, Value: p.Value}
		}
	}
	var rows []Row
	for _, r := range groups {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b Row) int { return slices.Compare(a.Group, b.Group) })
	return rows, nil
}

func inScope(scope string, tags []string) bool {
	for want := range strings.SplitSeq(scope, ",") {
		want = strings.TrimSpace(want)
		if want == "*" || strings.HasSuffix(want, ":*") {
			continue
		}
		if !slices.Contains(tags, want) {
			return false
		}
	}
	return true
}
