package main

import (
	"fmt"
	"strings"

	"atlassian_audit_records/pkg/datadog"
)

// mostDifferences bounds what is shown of one thing; --json has them all.
const mostDifferences = 12

// planText is a plan for people.
func planText(client *datadog.Client, plan datadog.Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Datadog at %s\n\n", client.Address())
	signs := map[datadog.Action]string{datadog.Create: "+", datadog.Update: "~", datadog.Remove: "-"}
	for _, c := range plan.Changes {
		if c.Action == datadog.Keep {
			continue
		}
		fmt.Fprintf(&b, "  %s %-9s %s%s\n", signs[c.Action], c.Kind.One(), c.Title, inBrackets(c.ID))
		for n, d := range c.Differences {
			if n == mostDifferences {
				fmt.Fprintf(&b, "        and %d more: --json shows all\n", len(c.Differences)-n)
				break
			}
			fmt.Fprintf(&b, "        %s\n", d)
		}
	}
	if plan.Open() > 0 {
		b.WriteString("\n")
	}
	for _, n := range plan.Notes {
		fmt.Fprintf(&b, "  note: %s\n", n)
	}
	if len(plan.Notes) > 0 {
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "%s.\n", strings.Join(planCounts(plan), ", "))
	return b.String()
}

func planCounts(plan datadog.Plan) []string {
	var out []string
	for _, c := range []struct {
		action datadog.Action
		words  string
	}{
		{datadog.Create, "to create"}, {datadog.Update, "to change"}, {datadog.Remove, "to remove"}, {datadog.Keep, "as they should be"},
	} {
		if n := plan.Count(c.action); n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, c.words))
		}
	}
	if len(out) == 0 {
		out = []string{"Nothing of this program's is there"}
	}
	return out
}

// resultText is what became of one change, as a line.
func resultText(r datadog.Result) string {
	past := map[datadog.Action]string{datadog.Create: "created", datadog.Update: "changed", datadog.Remove: "removed"}
	if !r.Done {
		return fmt.Sprintf("  failed  to %s the %s %s%s: %s\n", r.Action, r.Kind.One(), r.Title, inBrackets(r.ID), r.Error)
	}
	return fmt.Sprintf("  %s %s %s%s\n", past[r.Action], r.Kind.One(), r.Title, inBrackets(r.ID))
}

func inBrackets(id string) string {
	if id == "" {
		return ""
	}
	return " (" + id + ")"
}
