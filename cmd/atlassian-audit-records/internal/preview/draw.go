package preview

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/assets"
	"atlassian_audit_records/internal/assettest"
)

// Dashboard is a tab of the page.
type Dashboard struct {
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Chosen      []Choice `json:"chosen"`
	Groups      []Group  `json:"groups"`
}

// Choice is a template variable and its value; "*" is every one.
type Choice struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Group is a row of the page with its widgets.
type Group struct {
	Title   string   `json:"title"`
	Color   string   `json:"color"`
	Widgets []Widget `json:"widgets"`
}

// Widget is one tile. Which fields are filled depends on the type.
type Widget struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	// X, Y, Width and Height are in columns and rows of the group.
	X      int `json:"x"`
	Y      int `json:"y"`
	Width  int `json:"width"`
	Height int `json:"height"`
	// Note says why there is nothing, or in what this differs from Datadog.
	Note string `json:"note,omitempty"`
	Text string `json:"text,omitempty"`

	Value   float64    `json:"value,omitempty"`
	Bars    []Bar      `json:"bars,omitempty"`
	Columns []string   `json:"columns,omitempty"`
	Rows    [][]string `json:"rows,omitempty"`
	// Total is how many rows there are, of which Rows may be the first.
	Total  int      `json:"total,omitempty"`
	Series []Series `json:"series,omitempty"`
	// Stacked tells bars from lines, Seconds that values are durations.
	Stacked bool `json:"stacked,omitempty"`
	Seconds bool `json:"seconds,omitempty"`
	// Checks are how many groups of a service check have each status.
	Checks map[string]int `json:"checks,omitempty"`
}

// Bar is a bar of a top list, or a country of a map.
type Bar struct {
	Label string  `json:"label"`
	Value float64 `json:"value"`
}

// Series is a line, or one colour of stacked bars: a value for each step of the
// page's time, null where there is none.
type Series struct {
	Label  string     `json:"label"`
	Values []*float64 `json:"values"`
}

// Check is the last status of one group of a service check: ok, warning, critical or unknown.
type Check struct {
	Name, Status string
	Tags         []string
}

// Data is what there is to be shown.
type Data struct {
	// Lines are those of the spool, in any order.
	Lines []Line
	// Points and Checks are what the check reported. Reported says whether that
	// is known at all: the spool does not have it.
	Points   []assettest.Point
	Checks   []Check
	Reported bool
	// Places says where addresses are; nil where nobody knows.
	Places assettest.Places
}

// Line is a line of the spool. At stands in where the record has no date of its own.
type Line struct {
	Text []byte
	At   time.Time
}

// Options say what of the data is drawn.
type Options struct {
	From, To time.Time
	// Chosen are values of template variables by name, escaped as in a search; the
	// others are "*".
	Chosen map[string]string
	Source string
	Notes  []string
}

// steps divide the time axis: the smallest that leaves at most maxSteps.
var steps = []time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 7 * 24 * time.Hour,
}

const (
	maxSteps = 60
	maxRows  = 60 // of a table, or a stream of records
)

// drawing is the page in the making.
type drawing struct {
	o        Options
	all      assettest.Data
	reported bool
	places   bool
	checks   []Check
	from     int64
	step     int64
	buckets  []assettest.Data
	d        *assettest.Dashboard
}

// Draw evaluates every widget of every dashboard over the data.
func Draw(data Data, o Options) (Page, error) {
	logs, left, err := logsOf(data, o)
	if err != nil {
		return Page{}, err
	}
	w := &drawing{o: o, reported: data.Reported, places: data.Places != nil, checks: data.Checks}
	step := steps[len(steps)-1]
	for _, s := range steps {
		if o.To.Sub(o.From) <= maxSteps*s {
			step = s
			break
		}
	}
	w.from, w.step = o.From.Truncate(step).Unix(), int64(step/time.Second)
	w.all = assettest.Data{Logs: logs, Points: data.Points}
	w.buckets = make([]assettest.Data, (o.To.Unix()-w.from)/w.step+1)
	for _, l := range logs {
		b := &w.buckets[(l.Time.Unix()-w.from)/w.step]
		b.Logs = append(b.Logs, l)
	}
	for _, p := range data.Points {
		if at := (p.Time.Unix() - w.from) / w.step; at >= 0 && at < int64(len(w.buckets)) {
			w.buckets[at].Points = append(w.buckets[at].Points, p)
		}
	}
	page := Page{Source: o.Source, Notes: slices.Clone(o.Notes), From: w.from, To: o.To.Unix(), Step: w.step, Records: len(logs)}
	if left.outside > 0 {
		page.Notes = append(page.Notes, fmt.Sprintf("Dated before or after that, and not shown: %d.", left.outside))
	}
	if left.unreadable > 0 {
		page.Notes = append(page.Notes, fmt.Sprintf("Lines that are none of the check's, and not shown: %d.", left.unreadable))
	}
	names, err := fs.Glob(assets.Files, "dashboards/*.json")
	if err != nil {
		return Page{}, fmt.Errorf("list the dashboards: %w", err)
	}
	// The products come first, the collector itself last.
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
	for _, name := range names {
		text, err := assets.Files.ReadFile(name)
		if err != nil {
			return Page{}, fmt.Errorf("read %s: %w", path.Base(name), err)
		}
		if w.d, err = assettest.ParseDashboard(text); err != nil {
			return Page{}, fmt.Errorf("read %s: %w", path.Base(name), err)
		}
		d, err := w.dashboard()
		if err != nil {
			return Page{}, fmt.Errorf("draw %s: %w", path.Base(name), err)
		}
		page.Dashboards = append(page.Dashboards, d)
	}
	return page, nil
}

func rank(name string) int {
	switch {
	case strings.Contains(name, "jira"):
		return 0
	case strings.Contains(name, "confluence"):
		return 1
	case strings.Contains(name, "collector_health"):
		return 3
	}
	return 2
}

func (w *drawing) dashboard() (Dashboard, error) {
	out := Dashboard{Title: w.d.Title, Description: w.d.Description}
	for _, v := range w.d.TemplateVariables {
		value := w.d.Fill("$"+v.Name+".value", w.o.Chosen)
		out.Chosen = append(out.Chosen, Choice{v.Name, strings.ReplaceAll(value, `\`, "")})
	}
	for _, g := range w.d.Widgets {
		group := Group{Title: g.Definition.Title, Color: g.Definition.Color}
		inner := g.Definition.Widgets
		if g.Definition.Type != "group" {
			inner = []assettest.Widget{g}
		}
		for _, one := range inner {
			drawn, err := w.widget(one)
			if err != nil {
				return out, err
			}
			group.Widgets = append(group.Widgets, drawn)
		}
		out.Groups = append(out.Groups, group)
	}
	return out, nil
}
