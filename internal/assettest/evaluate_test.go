package assettest

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// at is a log so many minutes after the beginning.
func at(minutes int, name, user, ip string) Log {
	l := Log{Attributes: map[string]any{}, Time: bubbleStart.Add(time.Duration(minutes) * time.Minute)}
	for path, v := range map[string]string{"evt.name": name, "usr.id": user, "network.client.ip": ip} {
		if v != "" {
			l.Set(path, v)
		}
	}
	return l
}

// ruleOf is a rule of these queries and cases, by account.
func ruleOf(t *testing.T, more string, queries, cases string) *Rule {
	t.Helper()
	r, err := ParseRule([]byte(`{"name":"r","options":{` + more + `},"queries":[` + queries + `],"cases":[` + cases + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// times are the minutes of the signals, with their severities.
func times(signals []Signal) []string {
	out := []string{}
	for _, s := range signals {
		out = append(out, s.Status+" "+strings.Join(s.Group, ",")+" "+strconv.Itoa(int(s.Time.Sub(bubbleStart)/time.Minute)))
	}
	return out
}

func TestThresholdsAreCountedWithinTheWindow(t *testing.T) {
	t.Parallel()
	r := ruleOf(t, `"detectionMethod":"threshold","evaluationWindow":600`,
		`{"name":"a","query":"@evt.name:a","groupByFields":["@usr.id"],"aggregation":"count"},{"name":"b","query":"@evt.name:b","groupByFields":["@usr.id"],"aggregation":"count"}`,
		`{"status":"high","condition":"a > 0 && b > 0"},{"status":"low","condition":"a > 2 || b >= 2"}`)
	got := times(r.Evaluate([]Log{
		at(0, "a", "x", ""), at(1, "a", "x", ""), at(2, "a", "x", ""), // three within the window
		at(3, "b", "y", ""),                    // somebody else
		at(4, "c", "x", ""),                    // something else
		at(5, "b", "", ""), at(6, "b", "", ""), // nobody
		at(11, "a", "x", ""),                       // the first two are too old
		at(12, "b", "x", ""), at(23, "b", "x", ""), // both, then one alone
	}))
	if d := cmp.Diff([]string{"low x 2", "high x 12"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestNobodyCountsWhereThatIsAllowed(t *testing.T) {
	t.Parallel()
	r := ruleOf(t, `"detectionMethod":"threshold","evaluationWindow":600`,
		`{"name":"a","query":"@evt.name:a","groupByFields":["@usr.id"],"hasOptionalGroupByFields":true,"aggregation":"count"}`, `{"status":"low","condition":"a > 1"}`)
	if d := cmp.Diff([]string{"low  1"}, times(r.Evaluate([]Log{at(0, "a", "", ""), at(1, "a", "", "")}))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestCardinalityCountsDifferentValues(t *testing.T) {
	t.Parallel()
	r := ruleOf(t, `"detectionMethod":"threshold","evaluationWindow":600`,
		`{"name":"a","query":"*","groupByFields":["@usr.id"],"distinctFields":["@network.client.ip"],"aggregation":"cardinality"}`, `{"status":"low","condition":"a > 1"}`)
	got := times(r.Evaluate([]Log{at(0, "a", "x", "1"), at(1, "a", "x", "1"), at(2, "a", "x", ""), at(3, "a", "x", "2"), at(13, "a", "x", "1")}))
	if d := cmp.Diff([]string{"low x 3"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestNewValuesAreLearnedFirstAndForgottenInTheEnd(t *testing.T) {
	t.Parallel()
	r := ruleOf(t, `"detectionMethod":"new_value","newValueOptions":{"learningMethod":"duration","learningDuration":2,"forgetAfter":10}`,
		`{"name":"a","query":"*","groupByFields":["@usr.id"],"aggregation":"new_value","metrics":["@network.client.ip"]}`, `{"status":"low"}`)
	const day = 24 * 60
	got := times(r.Evaluate([]Log{
		at(0, "a", "x", "1"), at(day, "a", "x", "2"), at(3*day, "a", "x", "1"), // learned
		at(3*day+1, "a", "x", "3"),                             // new
		at(4*day, "a", "y", "3"),                               // y is being learned
		at(12*day, "a", "x", "1"), at(13*day+2, "a", "x", "3"), // kept; forgotten
	}))
	if d := cmp.Diff([]string{"low x,3 4321", "low x,3 18722"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestRulesThatAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"nam":"x"}`: "unknown field",
		`{"options":{"detectionMethod":"anomaly_detection"},"queries":[],"cases":[]}`:                                                                                                                                  "anomaly_detection",
		`{"options":{"detectionMethod":"threshold"},"queries":[],"cases":[]}`:                                                                                                                                          "no evaluation window",
		`{"options":{"detectionMethod":"threshold","evaluationWindow":60},"queries":[{"name":"a","query":"a:","aggregation":"count"}],"cases":[]}`:                                                                     "no value",
		`{"options":{"detectionMethod":"threshold","evaluationWindow":60},"queries":[{"name":"a","query":"*","aggregation":"sum"}],"cases":[]}`:                                                                        "aggregated",
		`{"options":{"detectionMethod":"threshold","evaluationWindow":60},"queries":[{"name":"a","query":"*","aggregation":"count"}],"cases":[{"condition":"b > 0"}]}`:                                                 "names no query",
		`{"options":{"detectionMethod":"threshold","evaluationWindow":60},"queries":[{"name":"a","query":"*","aggregation":"count"}],"cases":[{"condition":"a > many"}]}`:                                              "no condition",
		`{"options":{"detectionMethod":"threshold","evaluationWindow":60},"queries":[{"name":"a","query":"*","aggregation":"count"},{"name":"b","query":"*","groupByFields":["x"],"aggregation":"count"}],"cases":[]}`: "grouped otherwise",
	} {
		if _, err := ParseRule([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestPipelinesThatAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"id: x\npipelin: {}": "not found",
		"id: x\npipeline: {type: pipeline, processors: [{type: grok-parser, name: g}]}":       "grok-parser",
		"id: x\npipeline: {type: pipeline, filter: {query: '('}}":                             "query",
		"id: x\npipeline: {type: pipeline, processors: [{type: date-remapper, name: dates}]}": "no sources",
	} {
		if _, err := ParsePipeline([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestAPipelineLeavesOtherLogsAlone(t *testing.T) {
	t.Parallel()
	p := pipelines(t)["jira-audit-records"]
	l, err := ParseLine([]byte(`{"ddsource":"other","service":"s","summary":"x","timestamp":1000}`))
	if err != nil {
		t.Fatal(err)
	}
	before, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	after, err := json.Marshal(p.Run(l, places))
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Errorf("%s became %s", before, after)
	}
}
