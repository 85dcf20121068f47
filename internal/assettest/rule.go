package assettest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rule is a detection rule in the format of integrations-core's
// assets/security/<id>.json.
type Rule struct {
	Name      string      `json:"name"`
	Product   []string    `json:"product"`
	Tags      []string    `json:"tags"`
	IsEnabled bool        `json:"isEnabled"`
	Options   RuleOptions `json:"options"`
	Queries   []RuleQuery `json:"queries"`
	Cases     []RuleCase  `json:"cases"`
	// Message is the triage text, which stands in <id>.md.
	Message string `json:"message"`
}

// RuleOptions say how a rule is evaluated; durations are in seconds.
type RuleOptions struct {
	DetectionMethod   string          `json:"detectionMethod"`
	EvaluationWindow  int             `json:"evaluationWindow"`
	KeepAlive         int             `json:"keepAlive"`
	MaxSignalDuration int             `json:"maxSignalDuration"`
	NewValue          NewValueOptions `json:"newValueOptions"`
}

// NewValueOptions are those of a rule about what was never seen; in days.
type NewValueOptions struct {
	ForgetAfter       int    `json:"forgetAfter"`
	LearningMethod    string `json:"learningMethod"`
	LearningDuration  int    `json:"learningDuration"`
	LearningThreshold int    `json:"learningThreshold"`
}

// RuleQuery is what a rule counts.
type RuleQuery struct {
	Name          string   `json:"name"`
	Query         string   `json:"query"`
	GroupByFields []string `json:"groupByFields"`
	// OptionalGroups keeps logs that lack a field of the group.
	OptionalGroups bool     `json:"hasOptionalGroupByFields"`
	DistinctFields []string `json:"distinctFields"`
	Aggregation    string   `json:"aggregation"`
	Metrics        []string `json:"metrics"`

	match Query
}

// RuleCase is when a rule makes a signal, and how severe that is.
type RuleCase struct {
	Name          string   `json:"name"`
	Status        string   `json:"status"`
	Condition     string   `json:"condition"`
	Notifications []string `json:"notifications"`

	holds func(counts map[string]float64) bool
}

// Signal is what a rule found.
type Signal struct {
	Status string
	Case   string
	Group  []string
	Time   time.Time
}

// ParseRule reads a rule; an unknown field is an error.
func ParseRule(text []byte) (*Rule, error) {
	var r Rule
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("the rule: %w", err)
	}
	if err := r.prepare(); err != nil {
		return nil, fmt.Errorf("the rule %q: %w", r.Name, err)
	}
	return &r, nil
}

func (r *Rule) prepare() error {
	var names []string
	for i := range r.Queries {
		q := &r.Queries[i]
		var err error
		if q.match, err = ParseQuery(q.Query); err != nil {
			return err
		}
		if !slices.Equal(q.GroupByFields, r.Queries[0].GroupByFields) || q.OptionalGroups != r.Queries[0].OptionalGroups {
			return fmt.Errorf("the query %s is grouped otherwise than the first", q.Name)
		}
		switch {
		case q.Aggregation == "count" && len(q.DistinctFields) == 0:
		case q.Aggregation == "cardinality" && len(q.DistinctFields) == 1:
		case q.Aggregation == "new_value" && len(q.Metrics) == 1 && len(r.Queries) == 1:
		default:
			return fmt.Errorf("the query %s cannot be aggregated by %q", q.Name, q.Aggregation)
		}
		names = append(names, q.Name)
	}
	switch r.Options.DetectionMethod {
	case "threshold":
		if r.Options.EvaluationWindow <= 0 {
			return fmt.Errorf("there is no evaluation window")
		}
	case "new_value":
		if r.Options.NewValue.LearningMethod != "duration" {
			return fmt.Errorf("learning by %q is not known here", r.Options.NewValue.LearningMethod)
		}
		if len(r.Cases) != 1 || r.Cases[0].Condition != "" {
			return fmt.Errorf("a rule about new values has one case without a condition")
		}
		return nil
	default:
		return fmt.Errorf("the detection method %q is not known here", r.Options.DetectionMethod)
	}
	for i := range r.Cases {
		c := &r.Cases[i]
		var err error
		if c.holds, err = parseCondition(c.Condition, names); err != nil {
			return err
		}
	}
	if len(r.Queries) == 0 || len(r.Cases) == 0 {
		return fmt.Errorf("there is no query or no case")
	}
	return nil
}

// parseCondition reads comparisons of counts with numbers, joined by && and,
// weaker, ||.
func parseCondition(text string, names []string) (func(map[string]float64) bool, error) {
	var cases [][]func(map[string]float64) bool
	for _, alternative := range strings.Split(text, "||") {
		var all []func(map[string]float64) bool
		for _, one := range strings.Split(alternative, "&&") {
			words := strings.Fields(one)
			if len(words) != 3 || !slices.Contains([]string{">", ">=", "<", "<=", "==", "!="}, words[1]) {
				return nil, fmt.Errorf("%q is no condition", one)
			}
			if !slices.Contains(names, words[0]) {
				return nil, fmt.Errorf("the condition %q names no query", one)
			}
			n, err := strconv.ParseFloat(words[2], 64)
			if err != nil {
				return nil, fmt.Errorf("%q is no condition", one)
			}
			all = append(all, func(counts map[string]float64) bool { return compare(counts[words[0]], words[1], n) })
		}
		cases = append(cases, all)
	}
	return func(counts map[string]float64) bool {
		return slices.ContainsFunc(cases, func(all []func(map[string]float64) bool) bool {
			return !slices.ContainsFunc(all, func(holds func(map[string]float64) bool) bool { return !holds(counts) })
		})
	}, nil
}

// Evaluate are the signals that the logs, in the order of time, give rise to:
// one for each log after which a case holds.
func (r *Rule) Evaluate(logs []Log) []Signal {
	if r.Options.DetectionMethod == "new_value" {
		return r.newValues(logs)
	}
	window := time.Duration(r.Options.EvaluationWindow) * time.Second
	type hit struct {
		at    time.Time
		query int
		value string
	}
	recent := map[string][]hit{}
	var out []Signal
	for i := range logs {
		l := &logs[i]
		group, ok := l.group(r.Queries[0])
		if !ok {
			continue
		}
		key := strings.Join(group, "\x00")
		found := false
		for n, q := range r.Queries {
			if !q.match.Match(l) {
				continue
			}
			found = true
			h := hit{at: l.Time, query: n}
			if q.Aggregation == "cardinality" {
				v := l.Facet(q.DistinctFields[0])
				if len(v) == 0 {
					continue
				}
				h.value = v[0]
			}
			recent[key] = append(recent[key], h)
		}
		if !found {
			continue
		}
		recent[key] = slices.DeleteFunc(recent[key], func(h hit) bool { return l.Time.Sub(h.at) >= window })
		counts := map[string]float64{}
		for n, q := range r.Queries {
			distinct := map[string]bool{}
			for _, h := range recent[key] {
				switch {
				case h.query != n:
				case q.Aggregation == "cardinality":
					distinct[h.value] = true
				default:
					counts[q.Name]++
				}
			}
			if q.Aggregation == "cardinality" {
				counts[q.Name] = float64(len(distinct))
			}
		}
		for _, c := range r.Cases {
			if c.holds(counts) {
				out = append(out, Signal{Status: c.Status, Case: c.Name, Group: group, Time: l.Time})
				break
			}
		}
	}
	return out
}

// newValues finds values that their group never had, once it was learned.
func (r *Rule) newValues(logs []Log) []Signal {
	const day = 24 * time.Hour
	q, o := r.Queries[0], r.Options.NewValue
	first := map[string]time.Time{}           // of a group
	last := map[string]map[string]time.Time{} // of a value within a group
	var out []Signal
	for i := range logs {
		l := &logs[i]
		group, ok := l.group(q)
		if !ok || !q.match.Match(l) {
			continue
		}
		key := strings.Join(group, "\x00")
		if _, ok := first[key]; !ok {
			first[key], last[key] = l.Time, map[string]time.Time{}
		}
		for _, v := range l.Facet(q.Metrics[0]) {
			seen, known := last[key][v]
			known = known && l.Time.Sub(seen) < time.Duration(o.ForgetAfter)*day
			last[key][v] = l.Time
			if !known && l.Time.Sub(first[key]) >= time.Duration(o.LearningDuration)*day {
				out = append(out, Signal{Status: r.Cases[0].Status, Case: r.Cases[0].Name, Group: append(group, v), Time: l.Time})
			}
		}
	}
	return out
}

// group is the log's value of each field by which a query groups; a log that
// lacks one is in no group, unless that is allowed.
func (l *Log) group(q RuleQuery) ([]string, bool) {
	out := make([]string, 0, len(q.GroupByFields)+1)
	for _, f := range q.GroupByFields {
		v := l.Facet(f)
		if len(v) == 0 {
			if !q.OptionalGroups {
				return nil, false
			}
			v = []string{""}
		}
		out = append(out, v[0])
	}
	return out, true
}
