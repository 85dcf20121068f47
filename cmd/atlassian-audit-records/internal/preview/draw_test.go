package preview

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/assets"
	"atlassian_audit_records/internal/assettest"
)

var now = time.Date(2026, 3, 2, 12, 30, 0, 0, time.UTC)

// line is a log line of Jira's so long before now.
func line(id string, ago time.Duration, event, user, ip string) Line {
	at := now.Add(-ago)
	return Line{At: at, Text: fmt.Appendf(nil, `{"timestamp":%d,"ddsource":"jira-audit-records","service":"jira","summary":"s",`+
		`"usr":{"id":%q},"network":{"client":{"ip":%q}},"evt":{"name":%q,"category":"c","outcome":"success"},`+
		`"atlassian":{"site":"a.example","product":"jira","record_id":%q}}`, at.UnixMilli(), user, ip, event, id)}
}

var few = []Line{
	line("1", 10*time.Hour, "user_login_successful", "ana", "192.0.2.1"),
	line("2", 2*time.Hour, "user_login_successful", "ana", "192.0.2.9"),
	line("2", 2*time.Hour, "user_login_successful", "ana", "192.0.2.9"), // delivered, and put back
	line("3", time.Hour, "project_created", "bob", "2001:db8:1:2::3"),
	{Text: []byte("no JSON\n"), At: now},
	line("4", 100*time.Hour, "project_created", "bob", "192.0.2.1"), // before all that is shown
}

// ofOrganization is a line of the organisation's log, which may give a country.
func ofOrganization(id, location string) Line {
	return Line{At: now, Text: fmt.Appendf(nil, `{"timestamp":%d,"ddsource":"atlassian-event-logs","network":{"client":{"ip":"192.0.2.1"}},"evt":{"name":"e"},`+
		`"attributes":{"location":%s},"atlassian":{"site":"api.atlassian.com","product":"organization","record_id":%q}}`, now.Add(-time.Hour).UnixMilli(), location, id)}
}

// tilesOf are a dashboard's tiles by title.
func tilesOf(d Dashboard) map[string]Widget {
	out := map[string]Widget{}
	for _, g := range d.Groups {
		for _, w := range g.Widgets {
			out[w.Title] = w
		}
	}
	return out
}

// drawn is the Jira page over the lines, its tiles by title.
func drawn(t *testing.T, data Data, chosen map[string]string) (Page, map[string]Widget) {
	t.Helper()
	page, err := Draw(data, Options{From: now.Add(-24 * time.Hour), To: now, Chosen: chosen})
	if err != nil {
		t.Fatal(err)
	}
	return page, tilesOf(page.Dashboards[0])
}

func TestTilesOfAFewLines(t *testing.T) {
	t.Parallel()
	page, tiles := drawn(t, Data{Lines: few}, nil)
	if page.Records != 3 || len(page.Notes) != 2 || page.Notes[0] != "Dated before or after that, and not shown: 1." || page.Notes[1] != "Lines that are none of the check's, and not shown: 1." {
		t.Errorf("%d records, notes %q", page.Records, page.Notes)
	}
	if got := tiles["Records"]; got.Total != 3 { // the stream has the title of the number
		t.Errorf("the stream shows %+v", got)
	}
	if got := tiles["People and accounts at work"].Value; got != 2 {
		t.Errorf("%v people", got)
	}
	if d := cmp.Diff([]Bar{{"user_login_successful", 2}, {"project_created", 1}}, tiles["Most frequent events"].Bars); d != "" {
		t.Errorf("most frequent events (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]Bar{{"project_created", 1}, {"user_login_successful", 2}}, tiles["Least frequent events"].Bars); d != "" {
		t.Errorf("least frequent events (-want +got):\n%s", d)
	}
	if d := cmp.Diff([][]string{{"ana", "user_login_successful", "2"}, {"bob", "project_created", "1"}}, tiles["Events by actor"].Rows); d != "" {
		t.Errorf("events by actor (-want +got):\n%s", d)
	}
	series := tiles["Records over time"].Series
	if len(series) != 1 {
		t.Fatalf("series: %+v", series)
	}
	at := map[string]float64{}
	for i, v := range series[0].Values {
		if v != nil {
			at[time.Unix(page.From+int64(i)*page.Step, 0).UTC().Format("15:04")] = *v
		}
	}
	if d := cmp.Diff(map[string]float64{"02:30": 1, "10:30": 1, "11:30": 1}, at); d != "" {
		t.Errorf("records over time (-want +got):\n%s", d)
	}
}

func TestWithoutPlacesTheMapIsAListOfNetworks(t *testing.T) {
	t.Parallel()
	lines := append(slices.Clone(few), ofOrganization("5", `{"ip":"192.0.2.1"}`), ofOrganization("6", `{"ip":"192.0.2.1","countryName":"Example Country"}`))
	page, tiles := drawn(t, Data{Lines: lines}, nil)
	want := Widget{Type: "toplist", Title: "Sign-ins by country", X: 0, Y: 0, Width: 6, Height: 4, Note: noPlaces, Bars: []Bar{{"192.0.2.0/24", 2}}}
	if d := cmp.Diff(want, tiles["Sign-ins by country"]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]Bar{{"192.0.2.0/24", 2}, {"2001:db8:1::/48", 1}}, tiles["Records by country"].Bars); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]Bar{{"192.0.2.0/24", 1}, {"Example Country", 1}}, tilesOf(page.Dashboards[2])["Records by country"].Bars); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if page.maps() {
		t.Error("a map is drawn of nothing")
	}
	for _, title := range []string{"Records are current", "Not read yet"} {
		if tiles[title].Note != noMetrics {
			t.Errorf("%s: %q", title, tiles[title].Note)
		}
	}
}

func TestVariablesChoose(t *testing.T) {
	t.Parallel()
	page, tiles := drawn(t, Data{Lines: few}, map[string]string{"actor": "bob"})
	if d := cmp.Diff([]Bar{{"project_created", 1}}, tiles["Most frequent events"].Bars); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]Choice{{"site", "*"}, {"product", "*"}, {"actor", "bob"}}, page.Dashboards[0].Chosen); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestGroupsAreCutAsTheirLimitsSay(t *testing.T) {
	t.Parallel()
	row := func(v float64, group ...string) assettest.Row { return assettest.Row{Group: group, Value: v} }
	got := topOf([]assettest.Row{row(9, "a", "x"), row(8, "b", "x"), row(7, "a", "y"), row(6, "a", "z"), row(5, "c", "x"), row(4, "b", "y")}, []int{2, 2})
	if d := cmp.Diff([]assettest.Row{row(9, "a", "x"), row(8, "b", "x"), row(7, "a", "y"), row(4, "b", "y")}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestEveryTileOfTheMadeUpWeek: none is left out, and only what a healthy check
// does not report is empty.
func TestEveryTileOfTheMadeUpWeek(t *testing.T) {
	t.Parallel()
	page := madeUpPage(t, t.TempDir())
	names, err := fs.Glob(assets.Files, "dashboards/*.json")
	if err != nil || len(names) != len(page.Dashboards) {
		t.Fatalf("%d dashboards of %d (%v)", len(page.Dashboards), len(names), err)
	}
	tiles, want := 0, 0
	for _, name := range names {
		text, err := assets.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		d, err := assettest.ParseDashboard(text)
		if err != nil {
			t.Fatal(err)
		}
		want += len(d.Leaves())
	}
	for _, d := range page.Dashboards {
		for _, g := range d.Groups {
			for _, w := range g.Widgets {
				tiles++
				health := strings.Contains(d.Title, "Health")
				if strings.HasPrefix(w.Title, "Late") && sum(w.Series) != 0 {
					t.Errorf("lines became late: %+v", w)
				}
				if w.Note != "" && !health || health && w.Type == "check_status" && w.Checks["ok"] != 3 {
					t.Errorf("%s: %q shows %+v", d.Title, w.Title, w)
				}
			}
		}
	}
	if tiles != want {
		t.Errorf("%d tiles of %d", tiles, want)
	}
	if !page.maps() {
		t.Error("there is no map")
	}
}

func sum(series []Series) (n float64) {
	for _, s := range series {
		for _, v := range s.Values {
			if v != nil {
				n += *v
			}
		}
	}
	return n
}

func madeUpPage(t *testing.T, folder string) Page {
	t.Helper()
	data, err := MadeUp(t.Context(), folder, now)
	if err != nil {
		t.Fatal(err)
	}
	page, err := Draw(data, Options{From: now.Add(-MadeUpSpan), To: now, Source: "Made up."})
	if err != nil {
		t.Fatal(err)
	}
	return page
}
