package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// TestMain is also what is compared: the tests start this file again as the check.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == collectWord {
		os.Exit(collect(context.Background(), os.Getenv, os.Stdout))
	}
	os.Exit(m.Run())
}

// faultless are the scenarios in which no request goes wrong.
var faultless = map[string]bool{
	"calm": true, "bulk": true, "ties": true, "full-minutes": true, "late-by-seconds": true, "late-by-minutes": true, "late-by-hours": true,
	"twins": true, "renamed": true, "arrivals": true, "asleep": true,
}

// TestThisCheckLosesAndRepeatsNothing keeps our column of docs/comparison.md
// true, at fewer runs than there.
func TestThisCheckLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range atlassiantest.Scenarios() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			interval := 10 * time.Minute
			if c.Name == theDay {
				interval = 30 * time.Minute
			}
			o, err := through(t.Context(), c, ours(interval, self), 1, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if o.lost() != 0 || o.repeated != 0 || o.foreign != 0 || o.held < 400 {
				t.Errorf("of %d records %d are lost, %d repeated, and %d lines are no records", o.held, o.lost(), o.repeated, o.foreign)
			}
			if got := o.struck == 0; got != faultless[c.Name] {
				t.Errorf("faults struck %d requests", o.struck)
			}
			if o.runs == 0 || o.requests < o.runs || o.usage.cpu == 0 {
				t.Errorf("%d runs, %d requests, %s of CPU", o.runs, o.requests, o.usage.cpu)
			}
		})
	}
}

// careless is a collector of the kind that the comparison must see through: it
// asks from where it stood to now, and remembers now before it asks.
func careless(t *testing.T) collector {
	t.Helper()
	python, err := interpreter(t.Context(), "python3")
	if err != nil {
		t.Fatal(err)
	}
	shim, err := filepath.Abs("../../tools/comparison/shim.py")
	if err != nil {
		t.Fatal(err)
	}
	f := foreign{
		name: "careless", shim: "wazuh", interval: 5 * time.Minute, forks: true, gateway: true,
		scripts: []script{{product: atlassiantest.Jira, file: "careless.py"}},
	}
	return f.collector(python, shim, "testdata")
}

func TestWhatIsLostAndRepeatedIsSeen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		scenario        string
		loses, repeats  bool
		strikes, sleeps bool
	}{
		{scenario: "calm"},
		{scenario: "late-by-minutes", loses: true},
		{scenario: "killed", loses: true, strikes: true},
		{scenario: "arrivals", loses: true, repeats: true}, // its clock is ahead of the seven that arrive
		{scenario: "rate-limit", loses: true, strikes: true},
		{scenario: "asleep", sleeps: true},
	} {
		t.Run(tt.scenario, func(t *testing.T) {
			t.Parallel()
			c, err := atlassiantest.ScenarioNamed(tt.scenario)
			if err != nil {
				t.Fatal(err)
			}
			o, err := through(t.Context(), c, careless(t), 1, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if o.foreign != 0 || o.delivered == 0 || o.lost() > 0 != tt.loses || o.repeated > 0 != tt.repeats || o.struck > 0 != tt.strikes {
				t.Errorf("%+v, of which %d lost", o, o.lost())
			}
			if all := 1 + int(c.Length/(5*time.Minute)) + int(afterwards/afterwardsGap); o.runs < all != tt.sleeps {
				t.Errorf("%d runs of %d", o.runs, all)
			}
		})
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	c, err := atlassiantest.ScenarioNamed("twins")
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSite(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.shut(); err != nil {
			t.Error(err)
		}
	})
	s.set(begin.Add(c.Length))
	var all [][]byte
	var twins []int // the places of the last ten, which are alike
	for i, r := range s.Records(atlassiantest.Confluence) {
		all = append(all, r.Raw)
		if r.Key == "" {
			twins = append(twins, i)
		}
	}
	last := all[twins[len(twins)-1]]
	less := append(append([][]byte{}, all[:twins[len(twins)-1]]...), all[twins[len(twins)-1]+1:]...)
	for name, tt := range map[string]struct {
		arrived [][]byte
		want    outcome
	}{
		"all":                      {all, outcome{held: len(all), delivered: len(all)}},
		"nothing":                  {nil, outcome{held: len(all)}},
		"one of ten twins lacks":   {less, outcome{held: len(all), delivered: len(all) - 1}},
		"an eleventh of ten twins": {append(append([][]byte{}, all...), last), outcome{held: len(all), delivered: len(all), repeated: 1}},
		"all of them twice":        {append(append([][]byte{}, all...), all...), outcome{held: len(all), delivered: len(all), repeated: len(all)}},
		"something else":           {append(append([][]byte{}, all...), []byte("{}"), []byte(`"record-c999999"`)), outcome{held: len(all), delivered: len(all), foreign: 2}},
	} {
		var got outcome
		got.count(s, []string{atlassiantest.Confluence}, tt.arrived)
		if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(outcome{}, usage{})); d != "" {
			t.Errorf("%s (-want +got)\n%s", name, d)
		}
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	scenarios := []atlassiantest.Scenario{{Name: theDay}, {Name: "calm", About: "Nothing"}}
	results := []result{{collector{name: "ours", products: []string{"jira", "confluence"}, interval: time.Minute}, map[string]outcome{
		theDay: {held: 10, delivered: 8, repeated: 3, requests: 4, usage: usage{cpu: 5 * time.Second, peak: 6 << 20}},
		"calm": {held: 2, delivered: 1, foreign: 7},
	}}}
	const day = `| the day | products | every | held | delivered | lost | repeated | requests | CPU seconds | peak MiB |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| ours | jira, confluence | 1 min | 10 | 8 | 2 | 3 | 4 | 5 | 6 |

`
	const alone = "| lost / repeated, each alone | ours |\n| --- | ---: |\n| `calm` | 1 / 0, and 7 that are no records |\n\n* `calm`: Nothing.\n"
	for _, tt := range []struct {
		scenarios []atlassiantest.Scenario
		want      string
	}{{scenarios, day + alone}, {scenarios[:1], day}, {scenarios[1:], alone}} {
		var b strings.Builder
		tables(&b, tt.scenarios, results)
		if d := cmp.Diff(tt.want, b.String()); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
	}
}

func TestScriptsAreOfTheVersionThatWasMeasured(t *testing.T) {
	t.Parallel()
	text := "print(1)\nprint(2)\n"
	f := foreign{name: "theirs", scripts: []script{{file: "a.py", source: "https://example.com/a.py", sum: sumOf([]byte("print(0)\n"))}}}
	folder := t.TempDir()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, "a.py"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := func(when, part string, anyVersion bool) {
		t.Helper()
		err := f.verify(folder, anyVersion)
		if part == "" && err != nil || part != "" && (err == nil || !strings.Contains(err.Error(), part)) {
			t.Errorf("%s: %v", when, err)
		}
	}
	want("not there", "not fetched; get it with\n    curl -fsSL -o ", false)
	write(text)
	want("another version", "is not the version", false)
	want("another version, and it does not matter", "", true)
	f.scripts[0].sum = sumOf([]byte(text))
	want("that version", "", false)
	write(strings.ReplaceAll(text, "\n", "\r\n"))
	want("that version with other line ends", "", false)
	write(text + "print(3)\n")
	want("more than that version", "is not the version", false)
}

func TestOnlyWhatWasAskedForIsCompared(t *testing.T) {
	t.Parallel()
	for asked, tt := range map[string]struct{ left, out, err string }{
		"":       {left: "this check", out: "Sentinel function, Splunk add-on, Wazuh pollers"},
		"this":   {left: "this check"},
		"WAZUH":  {out: "Wazuh pollers", err: "no collector left"},
		"banana": {err: "no collector left"},
	} {
		var said strings.Builder
		got, err := options{scripts: t.TempDir(), collectors: asked}.ready(t.Context(), &said)
		if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: %v", asked, err)
		}
		var left, out []string
		for _, k := range got {
			left = append(left, k.name)
		}
		for _, f := range others {
			if strings.Contains(said.String(), f.name+" is left out: ") {
				out = append(out, f.name)
			}
		}
		if strings.Join(left, ", ") != tt.left || strings.Join(out, ", ") != tt.out {
			t.Errorf("%q compares %q and leaves out %q", asked, left, out)
		}
	}
}
