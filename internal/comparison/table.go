package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// theDay is the scenario in which all of the others happen.
const theDay = "day"

// result is one collector's outcomes by the scenario's name.
type result struct {
	collector collector
	outcomes  map[string]outcome
}

// tables writes what happened as the tables of docs/comparison.md.
func tables(w io.Writer, scenarios []atlassiantest.Scenario, results []result) {
	row := func(cells ...string) { fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")) }
	alone := slices.DeleteFunc(slices.Clone(scenarios), func(c atlassiantest.Scenario) bool { return c.Name == theDay })
	if len(alone) < len(scenarios) {
		row("the day", "products", "every", "held", "delivered", "lost", "repeated", "requests", "CPU seconds", "peak MiB")
		row("---", "---", "---", "---:", "---:", "---:", "---:", "---:", "---:", "---:")
		for _, r := range results {
			o := r.outcomes[theDay]
			peak := "?"
			if o.usage.peak > 0 {
				peak = fmt.Sprintf("%.0f", float64(o.usage.peak)/(1<<20))
			}
			row(r.collector.name, strings.Join(r.collector.products, ", "), fmt.Sprintf("%.0f min", r.collector.interval.Minutes()), fmt.Sprint(o.held), fmt.Sprint(o.delivered),
				fmt.Sprint(o.lost()), fmt.Sprint(o.repeated), fmt.Sprint(o.requests), fmt.Sprintf("%.0f", o.usage.cpu.Seconds()), peak)
		}
		fmt.Fprintln(w)
	}
	if len(alone) == 0 {
		return
	}
	head, line := []string{"lost / repeated, each alone"}, []string{"---"}
	for _, r := range results {
		head, line = append(head, r.collector.name), append(line, "---:")
	}
	row(head...)
	row(line...)
	for _, c := range alone {
		cells := []string{"`" + c.Name + "`"}
		for _, r := range results {
			o := r.outcomes[c.Name]
			cell := fmt.Sprintf("%d / %d", o.lost(), o.repeated)
			if o.foreign > 0 {
				cell += fmt.Sprintf(", and %d that are no records", o.foreign)
			}
			cells = append(cells, cell)
		}
		row(cells...)
	}
	fmt.Fprintln(w)
	for _, c := range alone {
		fmt.Fprintf(w, "* `%s`: %s.\n", c.Name, strings.TrimSuffix(c.About, "."))
	}
}
