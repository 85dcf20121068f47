package assettest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestPipelinesOwnSamples runs the samples that come with the pipelines.
func TestPipelinesOwnSamples(t *testing.T) {
	t.Parallel()
	all := pipelines(t)
	for name, text := range files(t, "logs", "_tests.yaml") {
		id, tests, err := ParsePipelineTests(text)
		if err != nil {
			t.Fatal(err)
		}
		p := all[name]
		if p == nil || id != p.ID || len(tests) < 3 {
			t.Errorf("%s_tests.yaml is of the pipeline %q and has %d tests", name, id, len(tests))
			continue
		}
		for i, test := range tests {
			l, err := ParseLine([]byte(test.Sample))
			if err != nil {
				t.Fatalf("%s, test %d: %v", name, i, err)
			}
			if strings.TrimSpace(test.Sample) != string(mustCompact(t, test.Sample)) {
				t.Errorf("%s, test %d: the sample is not one line", name, i)
			}
			late := l.First("atlassian.late") != ""
			got := p.Run(l, nil)
			attributes, err := got.JSON()
			if err != nil {
				t.Fatal(err)
			}
			want, err := test.Result.JSON()
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(normal(t, want), normal(t, attributes)); d != "" {
				t.Errorf("%s, test %d: attributes (-want +got):\n%s", name, i, d)
			}
			if got.Message != test.Result.Message || got.Service != test.Result.Service || got.Status != test.Result.Status {
				t.Errorf("%s, test %d: message %q, service %q, status %q", name, i, got.Message, got.Service, got.Status)
			}
			if at := got.Time.UnixMilli(); !late && at != test.Result.Timestamp {
				t.Errorf("%s, test %d: timestamp %d, want %d", name, i, at, test.Result.Timestamp)
			}
			if d := cmp.Diff([]string{"source:LOGS_SOURCE"}, test.Result.Tags); d != "" {
				t.Errorf("%s, test %d: tags (-want +got):\n%s", name, i, d)
			}
		}
	}
}

// TestFacetsAreOfWhatLogsHave: each facet of a pipeline is of an attribute that some log
// of its source has, in the corpus or among the samples. Names and e-mail addresses of
// the products' people come with resolve_users, which the corpus is collected without.
func TestFacetsAreOfWhatLogsHave(t *testing.T) {
	t.Parallel()
	logs := map[string][]Log{}
	for _, l := range theWorld(t).all.Logs {
		source := strings.Join(l.Facet("source"), "")
		logs[source] = append(logs[source], l)
	}
	for name, p := range pipelines(t) {
		_, tests, err := ParsePipelineTests(files(t, "logs", "_tests.yaml")[name])
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range tests {
			l, err := ParseLine([]byte(test.Sample))
			if err != nil {
				t.Fatal(err)
			}
			logs[name] = append(logs[name], p.Run(l, nil))
		}
		if len(p.Facets) == 0 {
			t.Errorf("%s has no facets", name)
		}
		for _, f := range p.Facets {
			if name != "atlassian-event-logs" && (f.Path == "usr.name" || f.Path == "usr.email") {
				continue
			}
			if !slices.ContainsFunc(logs[name], func(l Log) bool { return len(l.Values(f.Path)) > 0 }) {
				t.Errorf("%s: no log has what the facet %q is of, %s", name, f.Name, f.Path)
			}
		}
	}
}

func mustCompact(t *testing.T, text string) []byte {
	t.Helper()
	var v json.RawMessage
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func normal(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestPipelinesOverTheCorpus: what holds for each line that the check wrote.
func TestPipelinesOverTheCorpus(t *testing.T) {
	w := theWorld(t)
	seen := map[string]int{}
	for _, l := range w.all.Logs {
		seen[l.Status]++
		organization := l.Source == "atlassian-event-logs"
		message := l.First("summary")
		if organization {
			message = l.First("atlassian.record.message.content")
		}
		switch {
		case message == "" || l.Message != message:
			t.Fatalf("the message %q of %q", l.Message, message)
		case l.Service != l.First("service"), !organization && !strings.HasPrefix(l.Source, l.Service):
			t.Fatalf("the service %q of the source %q", l.Service, l.Source)
		case l.First("evt.name") == "" || l.First("evt.outcome") == "" || l.First("evt.category") == "" && !organization:
			t.Fatalf("no evt: %v", l.Attributes)
		case l.First("remoteAddress")+l.First("attributes.location.ip") != "" && l.First("network.client.geoip.country.iso_code") == "":
			t.Fatalf("no place: %v", l.Attributes)
		case l.First("usr.id") == "" && l.First("authorAccountId") != "":
			t.Fatalf("nobody did it: %v", l.Attributes)
		}
		if at, err := time.Parse(time.RFC3339, l.First("atlassian.created")); err != nil || !at.Equal(l.Time) {
			t.Fatalf("the date %v of a record of %s", l.Time, l.First("atlassian.created"))
		}
	}
	for _, status := range []string{"info", "notice", "warning"} {
		if seen[status] == 0 {
			t.Errorf("no log has the status %s: %v", status, seen)
		}
	}
}
