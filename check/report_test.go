package check

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/DataDog/datadog-agent/pkg/util/log"
	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"
)

func instanceOf(t *testing.T, more string) *Config {
	t.Helper()
	c, err := Parse(nil, []byte(goodInstance+more), Env{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEverythingCarriesItsTags(t *testing.T) {
	t.Parallel()
	var r Recorder
	s := NewSender(&r, instanceOf(t, "tags: [team:security]\n"))
	s.ServiceCheck(CanConnect, audit.Jira, StatusCritical, "why")
	s.Metric(MetricLag, audit.Confluence, 3.2)
	s.Metric(MetricRecords, audit.Jira, 7)
	s.Metric(MetricRunDuration, "", 0.5)
	s.Metric("new", "", 1)
	s.Event(audit.Jira, "warning", "title", "text", "key")
	jira := []string{"team:security", "site:example.atlassian.net", "product:jira"}
	want := Recorded{
		ServiceChecks: []ServiceCheck{{Name: "atlassian_audit_records.can_connect", Status: StatusCritical, Tags: jira, Message: "why"}},
		Metrics: []Metric{
			{MetricType: Gauge, Name: "atlassian.audit_records.lag", Value: 3.2, Tags: []string{"team:security", "site:example.atlassian.net", "product:confluence"}},
			{MetricType: Count, Name: "atlassian.audit_records.records", Value: 7, Tags: jira},
			{MetricType: Gauge, Name: "atlassian.audit_records.run.duration", Value: 0.5, Tags: jira[:2]},
			{MetricType: Gauge, Name: "atlassian.audit_records.new", Value: 1, Tags: jira[:2]},
		},
		Events:   []Event{{Title: "title", Text: "text", AlertType: "warning", Tags: jira, AggregationKey: "key"}},
		Logs:     []LogLine{},
		Warnings: []string{},
	}
	if diff := cmp.Diff(want, r.Recorded()); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
}

func TestAnInstanceMayWantNoServiceChecks(t *testing.T) {
	t.Parallel()
	var r Recorder
	s := NewSender(&r, instanceOf(t, "service_checks: false\n"))
	s.ServiceCheck(CanConnect, audit.Jira, StatusOK, "")
	s.Metric(MetricLag, audit.Jira, 1)
	if got := r.Recorded(); len(got.ServiceChecks) != 0 || len(got.Metrics) != 1 {
		t.Errorf("recorded %+v", got)
	}
}

func TestAnEmptyRecorderHasEmptyLists(t *testing.T) {
	t.Parallel()
	var r Recorder
	got, err := json.Marshal(r.Recorded())
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"service_checks":[],"metrics":[],"events":[],"logs":[],"warnings":[]}`; string(got) != want {
		t.Errorf("JSON is %s, want %s", got, want)
	}
}

func TestMetricsAreNamedAsDatadogWants(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`^[a-z][a-z_]*(\.[a-z_]+)*$`)
	seen := map[string]bool{}
	for _, m := range Metrics() {
		if !name.MatchString(m.Name) || seen[m.Name] || m.Description == "" || m.Type != Gauge && m.Type != Count {
			t.Errorf("metric %+v", m)
		}
		seen[m.Name] = true
	}
}

// TestTheAgentsLogGoesOutAsLogLines is not parallel: the Agent's module is one
// for the whole process.
func TestTheAgentsLogGoesOutAsLogLines(t *testing.T) {
	SetupLog(&Recorder{}, "off") // takes what the module kept of runs before this test
	logAll := func() {
		log.Trace("one")
		log.Debugf("%s", "two")
		log.Info("three", "words")
		_ = log.Warn("four")
		_ = log.Errorf("api_key=%s", "0123456789abcdef0123456789abcdef")
		_ = log.Critical("six")
	}
	lines := []LogLine{{"trace", "one"}, {"debug", "two"}, {"info", "three words"}, {"warning", "four"},
		{"error", "api_key=***************************bcdef"}, {"critical", "six"}}
	for _, tt := range []struct {
		level string
		want  []LogLine
	}{
		{"trace", lines}, {"DEBUG", lines[1:]}, {"info", lines[2:]}, {"", lines[2:]}, {"no such level", lines[2:]},
		{"warn", lines[3:]}, {"warning", lines[3:]}, {"error", lines[4:]}, {"critical", lines[5:]}, {"off", []LogLine{}},
	} {
		t.Run("level "+tt.level, func(t *testing.T) {
			var r Recorder
			SetupLog(&r, tt.level)
			logAll()
			if diff := cmp.Diff(tt.want, r.Recorded().Logs); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheLogWritesNowhereElse(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = write, write
	var r Recorder
	SetupLog(&r, "info")
	_ = log.Error("to the report")
	os.Stdout, os.Stderr = stdout, stderr
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64)
	if n, _ := read.Read(b); n > 0 {
		t.Errorf("written to a standard stream: %q", b[:n])
	}
	if got := r.Recorded().Logs; len(got) != 1 {
		t.Errorf("lines are %v", got)
	}
}
