package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"atlassian_audit_records/check"
)

// These bound the lists of gaps and of files for people; --json has all.
const (
	maxGapsShown    = 5
	maxGivenUpShown = 3
)

// statusAnswer is the answer of status, for --json.
type statusAnswer struct {
	At        time.Time              `json:"at"`
	RunPath   string                 `json:"run_path"`
	Instances []check.InstanceStatus `json:"instances"`
	// Warnings and Act concern all instances: what may become bad, and what a
	// person must do now.
	Warnings []string `json:"warnings"`
	Act      []string `json:"act"`
	// MustAct is true where a person must do something.
	MustAct bool `json:"must_act"`
}

func newStatusCommand(io stdio) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "status [--conf FILE|DIR]",
		Short: "Tell how things stand, without asking Atlassian",
		Long: "Tells for each instance and product what has been read, what is missing, what the\n" +
			"Agent has not delivered, what is waited for, the last error, and what a person must do;\n" +
			"for all of them, whether the Agent can follow so many files.\n" +
			"It needs no network, changes nothing, and works while the check runs.\n\n" +
			"As root it takes the identity of the run path's owner.\n\n" +
			"Exit status: 0 nothing is to be done, 1 a person must act, or nothing could be read, 2 wrong use.",
		Example: "  " + program + " status --conf /etc/datadog-agent/conf.d/atlassian_audit_records.d\n" +
			"  " + program + " status --conf conf.yaml --run-path /tmp/run --json",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.given = cmd.Flags().Changed("run-path")
			return f.status(io, time.Now())
		},
	}
	f.places(cmd)
	cmd.Flags().StringVar(&f.filter, "instance-filter", "", "show only the instances whose site contains this")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object")
	return cmd
}

func (f checkFlags) status(io stdio, now time.Time) error {
	f.handles = true
	conf, err := f.configured(io)
	if err != nil {
		return err
	}
	out := statusAnswer{At: now.UTC(), RunPath: conf.chosen[0].Config.RunPath, Instances: []check.InstanceStatus{}, Warnings: []string{}, Act: []string{}}
	for _, in := range conf.chosen {
		if in.Config.Name() == "" {
			fmt.Fprintf(io.err, "%s: %s\n", in.Where, siteHandle)
			continue
		}
		s, err := check.StatusOf(in, now)
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%w: run this as the Agent's user, like sudo -u dd-agent %s status", err, program)
		}
		if err != nil {
			return err
		}
		out.Instances = append(out.Instances, s)
		out.MustAct = out.MustAct || s.MustAct()
	}
	if len(out.Instances) == 0 {
		return &statusError{statusFailed}
	}
	out.crowd(check.CrowdIn(conf.all, conf.settings.OpenFiles))
	if f.asJSON {
		err = writeJSON(io.out, out)
	} else {
		_, err = fmt.Fprint(io.out, out.text())
	}
	switch {
	case err != nil:
		return fmt.Errorf("write the answer: %w", err)
	case out.MustAct:
		return &statusError{statusFailed}
	}
	return nil
}

// crowd tells whether the Agent can follow the files of all instances.
func (a *statusAnswer) crowd(c check.Crowd) {
	switch {
	case c.Over:
		a.Act, a.MustAct = append(a.Act, c.Notice()), true
	case c.Text != "":
		a.Warnings = append(a.Warnings, c.Notice())
	}
}

// text is the answer for people.
func (a statusAnswer) text() string {
	var b strings.Builder
	for _, in := range a.Instances {
		fmt.Fprintf(&b, "%s (%s)\n", in.Instance, in.Where)
		fmt.Fprintf(&b, "  credential: %s\n", credentialText(in.Credential))
		if in.Shared != nil {
			fmt.Fprintf(&b, "  shared: %s\n", sharedText(*in.Shared, a.At))
		}
		for _, p := range in.Products {
			fmt.Fprintf(&b, "  %s\n", p.Product)
			for _, row := range productRows(p, a.At) {
				fmt.Fprintf(&b, "    %-15s%s\n", row[0]+":", row[1])
			}
		}
		b.WriteString("\n")
	}
	for _, w := range a.Warnings {
		fmt.Fprintf(&b, "warning: %s\n\n", w)
	}
	for _, act := range a.Act {
		fmt.Fprintf(&b, "to do: %s\n\n", act)
	}
	if a.MustAct {
		b.WriteString("A person must act: see \"to do\" above.\n")
	} else {
		b.WriteString("Nothing is to be done.\n")
	}
	return b.String()
}

func credentialText(c check.CredentialStatus) string {
	if c.Type == "" {
		return "none is needed: audit log files are read"
	}
	text := string(c.Type)
	if c.Kind != "" {
		text += " (" + c.Kind + ")"
	}
	switch {
	case c.Status == check.StatusCritical:
		text += "; to do: " + c.Message
	case c.Shown != "":
		text += ", " + c.Shown
	default:
		text += ", its end is not known (auth.expires says it)"
	}
	return text
}

// sharedText says which machine collects.
func sharedText(s check.SharedStatus, now time.Time) string {
	switch {
	case s.Asked.IsZero():
		return "through " + s.Store + ", which no run has asked yet"
	case !s.Held:
		return fmt.Sprintf("through %s; %s has held the lease since %s, as it was %s ago", s.Store, s.Holder, stamp(s.Since), spanText(now.Sub(s.Asked)))
	case now.Before(s.Until):
		return fmt.Sprintf("through %s; this machine has held the lease since %s, and does until %s at least", s.Store, stamp(s.Since), stamp(s.Until))
	}
	return fmt.Sprintf("through %s; this machine's lease ended at %s", s.Store, stamp(s.Until))
}

// productRows are what is shown of a product: a name and a text each.
func productRows(p check.ProductStatus, now time.Time) [][2]string {
	var rows [][2]string
	add := func(name, format string, args ...any) {
		rows = append(rows, [2]string{name, fmt.Sprintf(format, args...)})
	}
	if p.Note != "" {
		add("note", "%s", p.Note)
	}
	if p.Covered != nil {
		add("covered", "%s to %s", stamp(p.Covered.From), stamp(p.Covered.To))
		add("open gaps", "%s", gapsText(p.Gaps))
	}
	if len(p.History) > 0 {
		add("history", "left to be read by `%s backfill`: %s", program, gapsText(p.History))
	}
	if p.Newest != nil {
		add("newest record", "%s (%s ago)", stamp(*p.Newest), spanText(now.Sub(*p.Newest)))
	} else if p.Source != "none" {
		add("newest record", "none has been read")
	}
	if p.LagSeconds != nil {
		add("lag", "%s", spanText(time.Duration(*p.LagSeconds*float64(time.Second))))
	}
	if u := p.Undelivered; u == nil {
		add("undelivered", "not known")
	} else {
		add("undelivered", "%s", undeliveredText(*u))
	}
	if w := p.Wait; w != nil {
		add("waits", "until %s, for %s: %s", stamp(w.Until), spanText(w.Until.Sub(now)), w.Reason)
	} else {
		add("waits", "for nothing")
	}
	if l := p.LastRun; l != nil {
		add("last run", "%s (%s ago), %s: %s and %s in %s", stamp(l.Ended), spanText(now.Sub(l.Ended)), l.Outcome,
			counted(l.Records, "new record"), counted(l.Requests, "request"), l.Ended.Sub(l.Began).Round(time.Millisecond))
	}
	if e := p.Failure; e != nil {
		over := "since " + stamp(e.Since)
		if e.Over {
			over = "over"
		}
		add("last error", "%s (%s ago), %s: %s", stamp(e.At), spanText(now.Sub(e.At)), over, e.Error)
		if e.Next != "" && !e.Over {
			add("next step", "%s", e.Next)
		}
	}
	if p.CanConnect != nil && p.IsCurrent != nil {
		add("can_connect", "%s", judgementText(*p.CanConnect))
		add("is_current", "%s", judgementText(*p.IsCurrent))
	}
	for _, act := range p.Act {
		add("to do", "%s", act)
	}
	return rows
}

func gapsText(gaps []check.Span) string {
	if len(gaps) == 0 {
		return "none"
	}
	var total time.Duration
	var shown []string
	for i, g := range gaps {
		total += g.To.Sub(g.From) + time.Millisecond
		if i < maxGapsShown {
			shown = append(shown, stamp(g.From)+" to "+stamp(g.To))
		}
	}
	text := fmt.Sprintf("%d, %s in all, newest first: %s", len(gaps), spanText(total), strings.Join(shown, ", "))
	if more := len(gaps) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func undeliveredText(u check.Undelivered) string {
	text := "nothing"
	if u.Bytes > 0 {
		text = fmt.Sprintf("%d bytes, the oldest for %s", u.Bytes, spanText(time.Duration(u.AgeSeconds*float64(time.Second))))
	}
	if u.TakenOut > 0 {
		text += fmt.Sprintf("; %d of them are about to be spooled again as late", u.TakenOut)
	}
	if n := len(u.GivenUp); n > 0 {
		text += fmt.Sprintf("; %s given up, whose end was never acknowledged: %s", counted(n, "file"), strings.Join(u.GivenUp[:min(n, maxGivenUpShown)], ", "))
		if n > maxGivenUpShown {
			text += fmt.Sprintf(" and %d more", n-maxGivenUpShown)
		}
	}
	return text
}

func judgementText(j check.Judgement) string {
	name := map[check.Status]string{check.StatusOK: "OK", check.StatusWarning: "WARNING", check.StatusCritical: "CRITICAL", check.StatusUnknown: "UNKNOWN"}[j.Status]
	if j.Message != "" {
		name += ": " + j.Message
	}
	return name
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// spanText is a span for people: two units at most.
func spanText(d time.Duration) string {
	const day = 24 * time.Hour
	d = max(0, d)
	switch {
	case d >= day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
