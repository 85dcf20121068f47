package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/agent/agenttest"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

var demoProducts = []string{atlassiantest.Jira, atlassiantest.Confluence}

// comparison is what the site served beside what arrived at the intake.
type comparison struct {
	products map[string]*counts
	examples []agenttest.Event
}

// counts are of records. Changed ones are those of which a field is not, to the
// byte, as it was served; refused ones arrived, and Datadog would not keep them.
type counts struct {
	served, spooled, arrived, refused, lost, repeated, changed int
}

func (c comparison) good() bool {
	for _, n := range c.products {
		if n.lost+n.repeated+n.changed+n.refused > 0 || n.served == 0 {
			return false
		}
	}
	return true
}

// compare reads every log that arrived and every record of the site. A record is
// recognised by its bytes, of which the log has all, followed by our fields.
func (d *demo) compare(spooled map[string][][]byte, logs []agenttest.Log) (comparison, error) {
	c := comparison{products: map[string]*counts{}}
	for _, p := range demoProducts {
		n := &counts{spooled: len(spooled[p])}
		c.products[p] = n
		var events []agenttest.Event
		for _, l := range logs {
			if e := l.Event(); e.Source == p+"-audit-records" {
				events = append(events, e)
			}
		}
		n.arrived = len(events)
		left := map[string]int{}
		ids := map[string]bool{}
		for _, e := range events {
			record, id, err := apart(e.Attributes)
			if err != nil {
				return comparison{}, err
			}
			left[record]++
			if ids[id] {
				n.repeated++
			}
			ids[id] = true
			if e.Refused != "" {
				n.refused++
			}
		}
		d.site.Each(p, func(r atlassiantest.Stored) bool {
			n.served++
			var raw bytes.Buffer
			if json.Compact(&raw, r.Raw) != nil || left[raw.String()] == 0 {
				n.lost++
			} else {
				left[raw.String()]--
			}
			return true
		})
		over := 0
		for _, more := range left {
			over += more
		}
		// A log that is no record's is a record that was changed, and then that
		// record is missing too; where none is missing it is a repetition.
		n.changed = min(over, n.lost)
		n.lost -= n.changed
		n.repeated = max(n.repeated, over-n.changed)
		c.examples = append(c.examples, examples(events)...)
	}
	c.examples = c.examples[:min(3, len(c.examples))]
	return c, nil
}

// apart takes a log's JSON apart: the record as it was served, and its record_id.
func apart(line []byte) (record, id string, err error) {
	var ours struct {
		Atlassian struct {
			ID string `json:"record_id"`
		} `json:"atlassian"`
	}
	at := bytes.LastIndex(line, []byte(`,"timestamp":`))
	if err := json.Unmarshal(line, &ours); err != nil || at < 0 {
		return "", "", fmt.Errorf("a log arrived that is none of ours: %.80q", line)
	}
	return string(line[:at]) + "}", ours.Atlassian.ID, nil
}

// examples are two logs that are neither long nor the shortest.
func examples(events []agenttest.Event) []agenttest.Event {
	sorted := slices.SortedFunc(slices.Values(events), func(a, b agenttest.Event) int { return len(a.Attributes) - len(b.Attributes) })
	if len(sorted) < 10 {
		return sorted
	}
	return []agenttest.Event{sorted[len(sorted)/4], sorted[len(sorted)/3]}
}

// summarise is the end of the story.
func (d *demo) summarise(c comparison, took time.Duration) {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-28s %10s %12s\n", "", "Jira", "Confluence")
	for _, row := range []struct {
		name string
		of   func(*counts) int
	}{
		{"records served", func(n *counts) int { return n.served }},
		{"lines in the spool", func(n *counts) int { return n.spooled }},
		{"logs at the intake", func(n *counts) int { return n.arrived }},
		{"lost", func(n *counts) int { return n.lost }},
		{"repeated", func(n *counts) int { return n.repeated }},
		{"changed", func(n *counts) int { return n.changed }},
		{"refused for their date", func(n *counts) int { return n.refused }},
	} {
		fmt.Fprintf(&b, "  %-26s %10s %12s\n", row.name,
			grouped(row.of(c.products[atlassiantest.Jira])), grouped(row.of(c.products[atlassiantest.Confluence])))
	}
	fmt.Fprintf(&b, "\nService checks of the last run: %s, %s.\n", d.status(check.CanConnect), d.status(check.IsCurrent))
	fmt.Fprintf(&b, "\nThree of the records as Datadog shows them, with their official date:\n")
	for _, e := range c.examples {
		b.WriteString(pictured(e))
	}
	verdict := "Every record arrived exactly once."
	if !c.good() {
		verdict = "NOT every record arrived exactly once."
	}
	fmt.Fprintf(&b, "\n%s It took %.1f s.\n", verdict, took.Seconds())
	d.say("%s", b.String())
}

func (d *demo) status(name string) string {
	words := []string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}
	n, ok := d.checks[name]
	if !ok || n < 0 || n >= len(words) {
		return name + " was not sent"
	}
	return name + " " + words[n]
}

// pictured shows a log as Datadog does: date, source, service, host and tags,
// then the attributes. The tags with the spool file's name, which every log of a
// file has, are left out.
func pictured(e agenttest.Event) string {
	tags := slices.DeleteFunc(slices.Clone(e.Tags), func(t string) bool {
		return strings.HasPrefix(t, "filename:") || strings.HasPrefix(t, "dirname:")
	})
	var b strings.Builder
	fmt.Fprintf(&b, "\n  %s  source:%s  service:%s  host:%s  %s\n", e.Date.Format("2006-01-02 15:04:05.000 UTC"),
		e.Source, e.Service, e.Host, strings.Join(tags, "  "))
	dec := json.NewDecoder(bytes.NewReader(e.Attributes))
	if _, err := dec.Token(); err != nil {
		return ""
	}
	for dec.More() {
		name, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			break
		}
		switch name {
		case "timestamp", "ddsource", "service", "ddtags":
		case "atlassian":
			for _, part := range []string{"record_id", "created"} {
				var ours map[string]json.RawMessage
				if json.Unmarshal(value, &ours) == nil {
					fmt.Fprintf(&b, "    %-20s %s\n", "atlassian."+part, ours[part])
				}
			}
		default:
			fmt.Fprintf(&b, "    %-20v %s\n", name, shortened(string(value), 150))
		}
	}
	return b.String()
}

// shortened is a text of at most n characters.
func shortened(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// grouped writes a number with commas between its thousands.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
