package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// firstRecords are what each product of a simulated site begins with.
const firstRecords = 3

// table is the plan for a person, in Markdown.
func (p Plan) table() string {
	n := p.needs()
	var b strings.Builder
	fmt.Fprintf(&b, "%d sites with %d products each, %d records a day and product, %d bytes a log line, a run each %s for each site:\n\n",
		p.Sites, p.Products, p.Records, p.LineBytes, p.Interval)
	b.WriteString("| what | needed | how it comes about |\n| --- | --- | --- |\n")
	add := func(what, needed, how string) { fmt.Fprintf(&b, "| %s | %s | %s |\n", what, needed, how) }
	add("runs under way at a time", fmt.Sprintf("%.0f", n.RunsAtOnce), fmt.Sprintf("sites × duration of a run (%s here, nearly all of it waiting for Atlassian) ÷ interval", p.Run))
	add("`check_runners`", fmt.Sprint(n.RunnersWanted), fmt.Sprintf("half as many again; %d carry %d sites at this interval, or all of them each %s", p.Runners, n.SitesByRunners, n.RealInterval.Round(time.Second)))
	add("requests a day, of a product", fmt.Sprint(n.RequestsPerDay), fmt.Sprintf("%d a run at most, and a reconcile each %s", idleRequests, hours(reconcileInterval)))
	add("requests a second, of all", fmt.Sprintf("%.0f", n.RequestsPerSecond), "spread over as many sites: Atlassian's burst limit is a site's")
	add("points an hour, of a site", fmt.Sprint(n.PointsPerHour), fmt.Sprintf("`oauth` alone: 1 a request and 1 a record (not documented for audit records); of %d for each app, so an app carries %d such sites", pointsPerHour, n.SitesPerApp))
	add("files followed", fmt.Sprintf("%d, at most %d", n.Files, n.FilesAtMost), "one a product, and a second one for a quarter of an hour a day; at most where all began together")
	add("`logs_config.open_files_limit`", fmt.Sprint(n.OpenFilesWanted), fmt.Sprintf("%d for other logs; with %d it is %d sites, %d where all files roll together", otherFiles, p.OpenFiles, n.SitesByFiles, n.SitesAtRoll))
	add("CPU", fmt.Sprintf("%.2f cores", n.CPUCores), fmt.Sprintf("%s a run, and %s for each file in the folders of its products", runCPU, fileCPU))
	add("memory of the runs", size(n.Memory), fmt.Sprintf("%s each, %d at a time; %s with %d", size(runMemory), p.Runners, size(int64(n.RunnersWanted)*runMemory), n.RunnersWanted))
	add("disk: spool and delivered", size(n.SpoolDisk), "a day until a file rolls, and a day after")
	add("`spool_max_size`", size(n.SpoolMaxSize), "half as much again, so that a day without Datadog pauses nothing; default 1 GiB, of all sites of a run path together")
	add("disk: state", size(n.StateDisk), fmt.Sprintf("%s a product, %d bytes a record of the last %s", size(streamDisk), rememberedBytes, hours(reconcileWindow+reconcileInterval)))
	add("leases in etcd", fmt.Sprint(n.Leases), "one a site, where machines share them")
	add("keep-alives a second", fmt.Sprintf("%.0f", n.KeepAlives), fmt.Sprintf("one a run, on the machine that collects; %.0f questions with all others", n.StoreQuestions))
	add("data in etcd", size(n.StoreBytes), fmt.Sprintf("%d bytes a remembered record, 10 where it has an id", sharedBytes))
	return b.String()
}

func hours(d time.Duration) string { return fmt.Sprintf("%.0f h", d.Hours()) }

// A row compares one measure with the model.
type row struct {
	what, model, measured string
	ok                    bool
}

// slower is how much slower than the machine of docs/fleet.md another one may be,
// and by how much the rest may go beyond the model.
const (
	slower = 4
	beyond = 1.1
)

// compare holds what was measured against the model. What the machine's speed decides
// is only bounded; what the program decides is not to be exceeded.
func compare(s simulation, m measured) []row {
	p := usual
	p.Sites, p.Products = s.sites, len(products)
	n := p.needs()
	var rows []row
	add := func(ok bool, what, model, measured string) { rows = append(rows, row{what, model, measured, ok}) }
	exact := func(what string, want, got int) { add(want == got, what, fmt.Sprint(want), fmt.Sprint(got)) }

	exact("records lost", 0, m.lost)
	exact("records repeated", 0, m.repeated)
	exact("lines of no record", 0, m.foreign)
	exact("files followed at most", n.FilesAtMost, m.followed)
	exact("files that matched and were not followed", 0, m.matching-m.followed)
	idle := idleRequests * p.Products * m.rounds[1].runs
	add(m.asked[1].Requests <= idle, "requests of idle runs", fmt.Sprintf("at most %d", idle), fmt.Sprint(m.asked[1].Requests))
	cpu := func(what string, i, files int) {
		want, got := runCost(p.Products, files), m.rounds[i].cpu/time.Duration(max(1, m.rounds[i].runs))
		add(got <= slower*want, what, milliseconds(want), milliseconds(got))
	}
	cpu("CPU of an idle run", 1, p.Sites)
	cpu("CPU of a run that finds twice the files", 3, 2*p.Sites)
	var peak int64
	for _, r := range m.rounds {
		peak = max(peak, r.peak)
	}
	add(float64(peak) <= beyond*runMemory, "memory of a run", "at most "+size(runMemory), size(peak))
	state := int64(p.Sites*p.Products) * streamDisk
	add(float64(m.state) <= beyond*float64(state), "state on the disk", "at most "+size(state), size(m.state))
	return rows
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

func tableOf(rows []row) string {
	var b strings.Builder
	b.WriteString("\n| what | model | measured | |\n| --- | --- | --- | --- |\n")
	for _, r := range rows {
		sign := ""
		if !r.ok {
			sign = "**no**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.what, r.model, r.measured, sign)
	}
	return b.String()
}

// judge is an error where a measure is not what the model says.
func judge(rows []row) error {
	var bad []string
	for _, r := range rows {
		if !r.ok {
			bad = append(bad, fmt.Sprintf("%s: %s, and the model says %s", r.what, r.measured, r.model))
		}
	}
	if len(bad) > 0 {
		return errors.New(strings.Join(bad, "; "))
	}
	return nil
}
