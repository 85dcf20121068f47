package preview

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"atlassian_audit_records/internal/assettest"
)

const (
	noMetrics = "The check's metrics and service checks go to Datadog and are kept nowhere on this machine."
	noPlaces  = "This program knows no places of addresses, which Datadog's pipeline looks up. Shown is the country that a record gives itself, else the network."
	places    = "@network.client.geoip."
)

// widget draws one tile.
func (w *drawing) widget(in assettest.Widget) (Widget, error) {
	def := in.Definition
	out := Widget{Type: def.Type, Title: def.Title, Text: def.Content, Width: 12, Height: 2}
	if l := in.Layout; l != nil {
		out.X, out.Y, out.Width, out.Height = l.X, l.Y, l.Width, l.Height
	}
	var err error
	switch {
	case def.Type == "note":
		return out, nil
	case !w.reported && (def.Type == "check_status" || ofMetrics(def)):
		out.Note = noMetrics
		return out, nil
	case def.Type == "check_status":
		out.Checks = w.statuses(def)
	case def.Type == "timeseries":
		err = w.series(in, &out)
	case def.Type == "list_stream":
		err = w.stream(in, &out)
	default:
		if !w.places && byPlace(def) {
			in = w.byNetwork(in)
			out.Type, out.Note = "toplist", noPlaces
		}
		err = w.scalar(in, &out)
	}
	if empty(out) && out.Note == "" {
		out.Note = "Nothing of this kind in these records."
		if ofMetrics(def) || def.Type == "check_status" {
			out.Note = "The check had nothing to report here."
		}
	}
	return out, err
}

func empty(w Widget) bool {
	return w.Type != "query_value" && len(w.Bars)+len(w.Rows)+len(w.Series)+len(w.Checks) == 0
}

func ofMetrics(def assettest.Definition) bool {
	return slices.ContainsFunc(def.Requests, func(r assettest.WidgetRequest) bool {
		return slices.ContainsFunc(r.Queries, func(q assettest.WidgetQuery) bool { return q.DataSource == "metrics" })
	})
}

func byPlace(def assettest.Definition) bool {
	for _, r := range def.Requests {
		for _, q := range r.Queries {
			for _, g := range q.GroupBy {
				if strings.HasPrefix(g.Facet, places) {
					return true
				}
			}
		}
	}
	return false
}

// byNetwork is the widget with networks in the place of places.
func (w *drawing) byNetwork(in assettest.Widget) assettest.Widget {
	in.Definition.Type = "toplist"
	in.Definition.Requests = slices.Clone(in.Definition.Requests)
	for i := range in.Definition.Requests {
		r := &in.Definition.Requests[i]
		r.Queries = slices.Clone(r.Queries)
		for j := range r.Queries {
			q := &r.Queries[j]
			q.GroupBy = slices.Clone(q.GroupBy)
			for k, g := range q.GroupBy {
				if strings.HasPrefix(g.Facet, places) {
					q.GroupBy[k].Facet = "@" + countryPath
					if strings.HasPrefix(g.Facet, places+"as.") {
						q.GroupBy[k].Facet = "@" + networkPath
					}
				}
			}
		}
	}
	return in
}

// scalar draws what has no time: numbers, top lists, tables and maps.
func (w *drawing) scalar(in assettest.Widget, out *Widget) error {
	shown, err := w.d.Show(in, w.all, w.o.Chosen)
	if err != nil {
		return err
	}
	limits, facets := groupings(in.Definition)
	rows := topOf(shown.Rows, limits)
	switch out.Type {
	case "query_value":
		for _, r := range rows {
			out.Value += r.Value
		}
	case "query_table":
		out.Columns = append(facets, "records")
		out.Total = len(rows)
		for _, r := range rows[:min(len(rows), maxRows)] {
			out.Rows = append(out.Rows, append(slices.Clone(r.Group), strconv.FormatFloat(r.Value, 'f', -1, 64)))
		}
	default:
		for _, r := range rows {
			out.Bars = append(out.Bars, Bar{strings.Join(r.Group, ", "), r.Value})
		}
	}
	return nil
}

// groupings are the limits and the names of what the first query groups by.
func groupings(def assettest.Definition) (limits []int, facets []string) {
	if len(def.Requests) == 0 || len(def.Requests[0].Queries) == 0 {
		return nil, nil
	}
	for _, g := range def.Requests[0].Queries[0].GroupBy {
		limits = append(limits, g.Limit)
		facets = append(facets, strings.TrimPrefix(g.Facet, "@"))
	}
	return limits, facets
}

// topOf keeps, of rows in the order of their values, the first values of the
// outer group, and within each the first ones of the next.
func topOf(rows []assettest.Row, limits []int) []assettest.Row {
	if len(limits) == 0 {
		return rows
	}
	kept := map[string]map[string]bool{} // by the groups before it: values
	var out []assettest.Row
	for _, r := range rows {
		fits := true
		for i, limit := range limits {
			before := strings.Join(r.Group[:i], "\x00")
			if kept[before] == nil {
				kept[before] = map[string]bool{}
			}
			if !kept[before][r.Group[i]] && limit > 0 && len(kept[before]) >= limit {
				fits = false
				break
			}
			kept[before][r.Group[i]] = true
		}
		if fits {
			out = append(out, r)
		}
	}
	return out
}

// series draws a timeseries: the widget is evaluated for each step of time.
func (w *drawing) series(in assettest.Widget, out *Widget) error {
	values := map[string][]*float64{}
	sums := map[string]float64{}
	for i, bucket := range w.buckets {
		shown, err := w.d.Show(in, bucket, w.o.Chosen)
		if err != nil {
			return err
		}
		for _, r := range shown.Rows {
			label := strings.Join(r.Group, " ")
			if values[label] == nil {
				values[label] = make([]*float64, len(w.buckets))
			}
			values[label][i] = &r.Value
			sums[label] += r.Value
		}
	}
	labels := slices.SortedFunc(maps.Keys(values), func(a, b string) int {
		return cmp.Or(cmp.Compare(sums[b], sums[a]), cmp.Compare(a, b))
	})
	if limits, _ := groupings(in.Definition); len(limits) > 0 && limits[0] > 0 && len(labels) > limits[0] {
		labels = labels[:limits[0]]
	}
	for _, l := range labels {
		out.Series = append(out.Series, Series{l, values[l]})
	}
	for _, r := range in.Definition.Requests {
		out.Stacked = r.DisplayType == "bars"
		for _, q := range r.Queries {
			for _, m := range []string{".lag{", ".gap{", ".duration{", ".expires_in{", ".age{"} {
				out.Seconds = out.Seconds || q.DataSource == "metrics" && strings.Contains(q.Query, m)
			}
		}
	}
	return nil
}

// stream draws single records, the newest first.
func (w *drawing) stream(in assettest.Widget, out *Widget) error {
	shown, err := w.d.Show(in, w.all, w.o.Chosen)
	if err != nil {
		return err
	}
	out.Total = len(shown.Logs)
	columns := in.Definition.Requests[0].Columns
	for _, c := range columns {
		out.Columns = append(out.Columns, strings.TrimPrefix(c.Field, "@"))
	}
	for i := len(shown.Logs) - 1; i >= 0 && len(out.Rows) < maxRows; i-- {
		l := &shown.Logs[i]
		row := make([]string, len(columns))
		for n, c := range columns {
			switch c.Field {
			case "status_line":
				row[n] = l.Status
			case "timestamp":
				row[n] = l.Time.Format("Jan 02 15:04:05")
			default:
				row[n] = strings.Join(l.Facet(c.Field), ", ")
			}
		}
		out.Rows = append(out.Rows, row)
	}
	return nil
}

// statuses counts the groups of a service check by status.
func (w *drawing) statuses(def assettest.Definition) map[string]int {
	out := map[string]int{}
	for _, c := range w.checks {
		fits := c.Name == def.Check
		for _, tag := range def.Tags {
			tag = w.d.Fill(tag, w.o.Chosen)
			fits = fits && (tag == "*" || strings.HasSuffix(tag, ":*") || slices.Contains(c.Tags, tag))
		}
		if fits {
			out[c.Status]++
		}
	}
	return out
}
