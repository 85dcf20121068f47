package assettest

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

const (
	assets = "../../assets"
	// ordinaryDays is how many days on which nothing is wrong come before a
	// story: more than a rule about new values learns.
	ordinaryDays = 10
)

var places = MadeUpPlaces()

// told is what the check made of a product's records.
type told struct {
	lines  [][]byte
	points []Point
	checks []string
}

// collected runs the check against a simulated site that holds the records, and
// returns what it wrote and reported.
func collected(t *testing.T, records map[string][]atlassiantest.Record) told {
	t.Helper()
	run := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(run, 0o755); err != nil {
		t.Fatal(err)
	}
	var out told
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(500 * 24 * time.Hour) // of the bubble: records reach back weeks
		s := atlassiantest.New(atlassiantest.Options{Seed: 1})
		n := 0
		for product, recs := range records {
			s.Add(product, recs...)
			n += len(recs)
		}
		more := "\ninitial_lookback: 170d\nmin_collection_interval: 60\n"
		var configs []*check.Config
		for _, text := range []string{
			"site: " + atlassiantest.DefaultSiteURL + more + "auth: {type: api_token, email: " + atlassiantest.DefaultEmail + ", api_token: " + atlassiantest.DefaultClassicToken + "}",
			"organization: " + atlassiantest.DefaultOrganizationID + more + "auth: {type: organization_api_key, organization_api_key: " + atlassiantest.DefaultOrganizationKey + "}",
		} {
			c, err := check.Parse(nil, []byte(text), check.Env{RunPath: run})
			if err != nil {
				t.Fatal(err)
			}
			configs = append(configs, c)
		}
		for range 20 {
			rec := &check.Recorder{}
			for _, c := range configs {
				if res := check.Run(t.Context(), c, check.Options{Version: "1.2.3", Transport: s.Transport(), RequestsPerSecond: -1}, rec); res.Error != "" {
					t.Fatal(res.Error)
				}
			}
			for _, m := range rec.Recorded().Metrics {
				out.points = append(out.points, Point{Name: m.Name, Value: m.Value, Tags: m.Tags, Time: time.Now()})
			}
			for _, sc := range rec.Recorded().ServiceChecks {
				out.checks = append(out.checks, sc.Name)
			}
			if out.lines = spooled(t, run); len(out.lines) >= n {
				break
			}
			time.Sleep(time.Minute)
		}
		if len(out.lines) != n {
			t.Fatalf("%d lines of %d records", len(out.lines), n)
		}
	})
	return out
}

func spooled(t *testing.T, run string) [][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(run, "atlassian_audit_records", "spool", "*", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]byte
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			lines = append(lines, line)
		}
	}
	return lines
}

// bubbleStart is a Monday some time before the check runs in its bubble.
var bubbleStart = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)

// ordinary are the records of days on which nothing is wrong.
func ordinary(product string) []atlassiantest.Record {
	var out []atlassiantest.Record
	for day := range ordinaryDays {
		out = append(out, atlassiantest.OrdinaryDay(product, 7, bubbleStart.AddDate(0, 0, day))...)
	}
	return out
}

// storyStart is when stories begin: on the day after the ordinary ones.
var storyStart = bubbleStart.AddDate(0, 0, ordinaryDays).Add(11 * time.Hour)

// logsOf are the lines as Datadog holds them, behind the pipelines.
func logsOf(t *testing.T, lines [][]byte) []Log {
	t.Helper()
	pipes := pipelines(t)
	out := make([]Log, len(lines))
	for i, line := range lines {
		l, err := ParseLine(line)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pipes {
			l = p.Run(l, places)
		}
		if l.Time.IsZero() {
			t.Fatalf("a line without a date: %s", line)
		}
		out[i] = places.Warn(l)
	}
	slices.SortStableFunc(out, func(a, b Log) int { return a.Time.Compare(b.Time) })
	return out
}

// world is everything that the assets are evaluated over: collected once.
type world struct {
	ordinary []Log
	stories  map[string][]Log // by "<product> <name>", each with the ordinary days before it
	all      Data
}

var (
	once   sync.Once
	theOne world
)

// theWorld makes it: the ordinary days and all stories are collected together,
// each story on a day of its own, and then told apart.
func theWorld(t *testing.T) world {
	t.Helper()
	once.Do(func() {
		records := map[string][]atlassiantest.Record{}
		for _, p := range []string{atlassiantest.Jira, atlassiantest.Confluence, atlassiantest.Organization} {
			records[p] = ordinary(p)
		}
		stories := atlassiantest.Stories()
		for i, s := range stories {
			records[s.Product] = append(records[s.Product], s.Records(storyStart.AddDate(0, 0, i))...)
		}
		got := collected(t, records)
		logs := logsOf(t, got.lines)
		day := func(l Log) int { return int(l.Time.Sub(bubbleStart) / (24 * time.Hour)) }
		theOne = world{stories: map[string][]Log{}, all: Data{Logs: logs, Points: got.points, Checks: got.checks}}
		for _, l := range logs {
			if day(l) < ordinaryDays {
				theOne.ordinary = append(theOne.ordinary, l)
			}
		}
		for i, s := range stories {
			told := slices.Clone(theOne.ordinary)
			for _, l := range logs {
				if day(l) == ordinaryDays+i {
					l.Time = l.Time.AddDate(0, 0, -i) // the day after the ordinary ones
					told = append(told, l)
				}
			}
			theOne.stories[s.Product+" "+s.Name] = told
		}
	})
	if theOne.stories == nil {
		t.Fatal("the corpus could not be collected: see the first test that failed")
	}
	return theOne
}

// files are the assets below a folder that end like that, by name without it.
func files(t *testing.T, folder, ext string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(assets, folder, "*"+ext))
	if err != nil || len(paths) == 0 {
		t.Fatalf("there is no %s in %s (%v)", ext, folder, err)
	}
	out := map[string][]byte{}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(p), ext)] = text
	}
	return out
}

func pipelines(t *testing.T) map[string]*Pipeline {
	t.Helper()
	out := map[string]*Pipeline{}
	for name, text := range files(t, "logs", ".yaml") {
		if strings.HasSuffix(name, "_tests") {
			continue
		}
		p, err := ParsePipeline(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = p
	}
	return out
}
