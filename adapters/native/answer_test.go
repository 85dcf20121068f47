//go:build cgo && linux

package native

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLines(t *testing.T) {
	t.Parallel()
	canConnect := func(message string) call {
		return call{Kind: "service_check", CheckID: checkID, Name: "atlassian_audit_records.can_connect", Number: 2,
			Tags: []string{"site:example.atlassian.net", "env:test"}, Text: message}
	}
	for _, tt := range []struct {
		name  string
		lines []string
		calls []call
		fails string
		says  string // on the host's standard error
	}{
		{"a service check is submitted as it came",
			[]string{`{"type": "service_check", "name": "a.b", "status": 3, "tags": ["x:y", "é:ü"], "hostname": "db-1", "message": "in \"order\""}`, good},
			[]call{{Kind: "service_check", CheckID: checkID, Name: "a.b", Number: 3, Tags: []string{"x:y", "é:ü"}, Host: "db-1", Text: `in "order"`}}, "", ""},
		{"each type of metric has the Agent's number",
			[]string{`{"type": "metric", "metric_type": "gauge", "name": "m", "value": 3.25, "tags": [], "hostname": ""}`,
				`{"type": "metric", "metric_type": "rate", "name": "m", "value": -1e-3}`,
				`{"type": "metric", "metric_type": "count", "name": "m", "value": 12345678901}`,
				`{"type": "metric", "metric_type": "monotonic_count", "name": "m", "value": 0}`,
				`{"type": "metric", "metric_type": "histogram", "name": "m", "value": 0.1}`, good},
			[]call{{Kind: "metric", CheckID: checkID, Name: "m", Number: 3.25, Type: 0, Tags: []string{}},
				{Kind: "metric", CheckID: checkID, Name: "m", Number: -0.001, Type: 1, Tags: []string{}},
				{Kind: "metric", CheckID: checkID, Name: "m", Number: 12345678901, Type: 2, Tags: []string{}},
				{Kind: "metric", CheckID: checkID, Name: "m", Number: 0, Type: 3, Tags: []string{}},
				{Kind: "metric", CheckID: checkID, Name: "m", Number: 0.1, Type: 5, Tags: []string{}}}, "", ""},
		{"an event carries its texts and tags, and who it is from",
			[]string{`{"type": "event", "title": "The state was set aside", "text": "Since noon.", "alert_type": "warning", "tags": ["product:jira"], "aggregation_key": "state"}`, good},
			[]call{{Kind: "event", CheckID: checkID, Name: "The state was set aside", Text: "Since noon.", Tags: []string{"product:jira"},
				Event: []string{"normal", "warning", "state", "atlassian_audit_records", "atlassian_audit_records"}}}, "", ""},
		{"a warning shows in the Agent's own output, on one line",
			[]string{`{"type": "warning", "message": "the disk is 95% full: %s\nsecond"}`, good}, nil, "",
			"atlassian_audit_records | WARN | the disk is 95% full: %s second\n"},
		{"an error in the log shows, and what is less does not",
			[]string{`{"type": "log", "level": "error", "message": "no"}`, `{"type": "log", "level": "info", "message": "yes"}`,
				`{"type": "log", "level": "debug", "message": "maybe"}`, good}, nil, "", "atlassian_audit_records | ERROR | no\n"},
		{"unknown types and unknown metric types are ignored without a word",
			[]string{`{"type": "histogram_bucket", "name": "x"}`, "", `{"type": "metric", "metric_type": "set", "name": "x", "value": 1}`, good}, nil, "", ""},
		{"the error of the result is the run's, after everything was submitted",
			[]string{`{"type": "result", "error": "the token was refused (401): make a new one"}`,
				`{"type": "metric", "metric_type": "count", "name": "m", "value": 1}`},
			[]call{{Kind: "metric", CheckID: checkID, Name: "m", Number: 1, Type: 2, Tags: []string{}}}, "the token was refused (401): make a new one", ""},
		{"only a line feed ends a line",
			[]string{"{\"type\": \"result\", \"error\": \"a\u2028b\u0085c\"}"}, nil, "a\u2028b\u0085c", ""},
		{"silence is critical", nil,
			[]call{canConnect("PROGRAM ended with exit status 0 before it gave a result. Run `PROGRAM version` as the user of the Agent to see whether it starts.")},
			"PROGRAM ended with exit status 0 before it gave a result. Run `PROGRAM version` as the user of the Agent to see whether it starts.", ""},
		{"a secret in any text becomes asterisks",
			[]string{`{"type": "warning", "message": "w ` + secret + `"}`, `{"type": "event", "title": "` + secret + `", "text": "e ` + secret + `"}`,
				`{"type": "service_check", "name": "x", "status": 0, "message": "s ` + secret + `"}`, `{"type": "result", "error": "r ` + secret + `"}`},
			[]call{{Kind: "event", CheckID: checkID, Name: "********", Text: "e ********", Tags: []string{},
				Event: []string{"normal", "info", "", "atlassian_audit_records", "atlassian_audit_records"}},
				{Kind: "service_check", CheckID: checkID, Name: "x", Tags: []string{}, Text: "s ********"}},
			"r ********", "atlassian_audit_records | WARN | w ********\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProgram(t, "", tt.lines...)
			began := float64(time.Now().Unix())
			r, failed := p.once(job{})
			got := r.Runs[0].Calls
			for i := range got {
				if got[i].Kind == "event" {
					if got[i].Number < began || got[i].Number > began+120 {
						t.Errorf("the event is dated %v, which is not now", got[i].Number)
					}
					got[i].Number = 0
				}
				got[i].Text = strings.ReplaceAll(got[i].Text, p.path, "PROGRAM")
			}
			if diff := cmp.Diff(tt.calls, got); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if got := strings.ReplaceAll(failed, p.path, "PROGRAM"); got != tt.fails {
				t.Errorf("error %q, want %q", got, tt.fails)
			}
			if r.stderr != tt.says {
				t.Errorf("the host's standard error holds %q, want %q", r.stderr, tt.says)
			}
		})
	}
}

func TestALineThatCannotBeUsedIsNamedAndTheOthersCount(t *testing.T) {
	t.Parallel()
	bad := []string{
		"not json", "[1]", "null", `{"no": "type"}`, `{"type": "metric", "metric_type": "gauge", "name": "x", "value": "y"}`,
		`{"type": "service_check", "name": "x", "status": 7}`, `{"type": "service_check", "name": "x", "status": 0.5}`,
		`{"type": "metric", "metric_type": "gauge", "value": 1}`, `{"type": "service_check", "name": "nul\u0000", "status": 0}`,
		`{"type": "event", "title": 1, "text": "t"}`, `{"type": "metric", "metric_type": "gauge", "name": "x", "value": 1e999}`,
		`{"type": "metric", "metric_type": "gauge", "name": "x", "value": 1, "tags": "a"}`,
		`{"type": "metric", "metric_type": "gauge", "name": "x", "value": 1, "tags": [1]}`,
		"{\"type\": \"event\", \"title\": \"\xff\", \"text\": \"t\"}",
	}
	r, failed := newProgram(t, "", append(bad, `{"type": "metric", "metric_type": "gauge", "name": "x", "value": 1}`, good)...).once(job{})
	if failed != "" {
		t.Errorf("the run failed: %s", failed)
	}
	want := []call{{Kind: "metric", CheckID: checkID, Name: "x", Number: 1, Tags: []string{}}}
	if diff := cmp.Diff(want, r.Runs[0].Calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	for i := range bad {
		if said := fmt.Sprintf("| WARN | Line %d of the answer of atlassian-audit-records was ignored: ", i+1); !strings.Contains(r.stderr, said) {
			t.Errorf("nothing was said of line %d, %s:\n%s", i+1, bad[i], r.stderr)
		}
	}
	if strings.Contains(r.stderr, "not json") {
		t.Errorf("a line is quoted:\n%s", r.stderr)
	}
}

func TestALineOfAnyLengthUpToTheLimit(t *testing.T) {
	t.Parallel()
	// Pieces of a pipe end anywhere: also within a character.
	fits, long := strings.Repeat("é", (1<<19)-64), strings.Repeat("x", 1<<20)
	r, failed := newProgram(t, "", `{"type": "event", "title": "`+long+`", "text": ""}`, `{"type": "event", "title": "`+fits+`", "text": ""}`,
		`{"type": "result", "error": "the end"}`).once(job{})
	if failed != "the end" {
		t.Errorf("error %q", failed)
	}
	if calls := r.Runs[0].Calls; len(calls) != 1 || calls[0].Name != fits {
		t.Errorf("%d calls, want one with the title that fits", len(calls))
	}
	if !strings.Contains(r.stderr, "it is larger than 1 MiB") {
		t.Errorf("nothing was said of the longer line: %q", r.stderr)
	}
}

func TestAnAnswerWithoutItsLastLineBreak(t *testing.T) {
	t.Parallel()
	p := newProgram(t, "")
	for text, want := range map[string]string{
		good:                                   "",
		`{"type": "result", "error": "whole"}`: "whole",
	} {
		p.beside(".out", text)
		if _, failed := p.once(job{}); failed != want {
			t.Errorf("%s: error %q, want %q", text, failed, want)
		}
	}
	p.beside(".out", good[:len(good)-4])
	if _, failed := p.once(job{}); !strings.Contains(failed, "before it gave a result") {
		t.Errorf("a result that is cut short counts: %q", failed)
	}
}

func TestServiceChecksFalseLeavesTheServiceCheckOutButNotTheError(t *testing.T) {
	t.Parallel()
	p := newProgram(t, "status=3")
	for name, tt := range map[string]struct {
		init, instance string
		want           int
	}{
		"by the instance":                      {"", "service_checks: false\n", 0},
		"by init_config":                       {"service_checks: false\n", "", 0},
		"the instance overrules init_config":   {"service_checks: false\n", "service_checks: true\n", 1},
		"not where it is below another key":    {"", "other:\n  service_checks: false\n", 1},
		"also where the configuration is JSON": {"", "", 0},
	} {
		in := p.of(tt.instance)
		in.InitConfig += tt.init
		if strings.HasSuffix(name, "JSON") {
			in.InitConfig = `{"program_path": "` + p.path + `", "service_checks": false}`
		}
		r, failed := p.once(job{Instances: []instance{in}})
		if !strings.Contains(failed, "ended with exit status 3 before it gave a result") {
			t.Errorf("%s: error %q", name, failed)
		}
		if len(r.Runs[0].Calls) != tt.want {
			t.Errorf("%s: %d service checks, want %d", name, len(r.Runs[0].Calls), tt.want)
		}
	}
}
