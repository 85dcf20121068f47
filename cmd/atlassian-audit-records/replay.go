package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/audit"
)

// replayFlags are the flags of replay.
type replayFlags struct {
	checkFlags
	product, since, until string
	again, dryRun, yes    bool
}

// replayAnswer is the answer of replay, for --json.
type replayAnswer struct {
	Since   time.Time            `json:"since"`
	Until   time.Time            `json:"until"`
	Replays []check.ReplayResult `json:"replays"`
}

func newReplayCommand(io stdio) *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay --since TIME [--until TIME] [--conf FILE|DIR]",
		Short: "Send delivered records of the last 24 hours once more",
		Long: "Puts log lines that the Agent has delivered back into the spool, for when Datadog never\n" +
			"got them: the Agent counts as delivered what an intake refuses, as with a wrong API key.\n" +
			"Mend the cause first. Datadog keeps what it has already beside what comes again, with the\n" +
			"same atlassian.record_id.\n\n" +
			"Chosen is what was written to the spool between the two times, as far as it is known; in\n" +
			"doubt it is chosen. A time is like 2026-11-23T09:00:00Z, or like 6h, which is 6 hours ago.\n" +
			"Files are kept for 24 hours after their delivery, and for less where space is needed.\n" +
			"Lines that are over 17 hours old are sent as late. What was sent again is not sent a third\n" +
			"time, unless --again says so.\n\n" +
			"It shows what it would send, and asks; --yes answers.\n\n" +
			"Exit status: 0 done, or there is nothing to send, 1 failed or answered with no, 2 wrong use.",
		Example: "  " + program + " replay --since 2026-11-23T09:00:00Z --until 2026-11-23T13:30:00Z\n" +
			"  " + program + " replay --since 6h --product jira --dry-run\n" +
			"  " + program + " replay --since 6h --yes --json",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.given = cmd.Flags().Changed("run-path")
			return f.run(cmd.Context(), io, time.Now())
		},
	}
	f.places(cmd)
	cmd.Flags().StringVar(&f.filter, "site", "", "only the instances whose site contains this")
	cmd.Flags().StringVar(&f.product, "product", "", "only this product")
	cmd.Flags().StringVar(&f.since, "since", "", "from when on, as a time or how long ago (required)")
	cmd.Flags().StringVar(&f.until, "until", "", "until when, likewise (default now)")
	cmd.Flags().BoolVar(&f.again, "again", false, "include what was sent again before")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only show what would be sent")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object")
	return cmd
}

// span is what the flags say.
func (f replayFlags) span(now time.Time) (check.ReplaySpan, error) {
	out := check.ReplaySpan{Until: now, Again: f.again}
	wrong := func(format string, args ...any) (check.ReplaySpan, error) {
		return out, &usageError{reason: fmt.Sprintf(format, args...), next: program + " replay --help"}
	}
	for _, flag := range []struct {
		name, text string
		to         *time.Time
	}{{"--since", f.since, &out.Since}, {"--until", f.until, &out.Until}} {
		if flag.text == "" {
			if flag.name == "--since" {
				return wrong("--since is missing: from when on are records to be sent once more?")
			}
			continue
		}
		ago, err := time.ParseDuration(flag.text)
		if err == nil && ago >= 0 {
			*flag.to = now.Add(-ago)
			continue
		}
		if *flag.to, err = time.Parse(time.RFC3339, flag.text); err != nil {
			return wrong("%s must be a time like 2026-11-23T09:00:00Z or how long ago, like 6h, not %q", flag.name, flag.text)
		}
	}
	if !out.Since.Before(out.Until) {
		return wrong("--since (%s) must be before --until (%s)", out.Since.UTC().Format(time.RFC3339), out.Until.UTC().Format(time.RFC3339))
	}
	out.Since, out.Until = out.Since.UTC(), out.Until.UTC()
	return out, nil
}

func (f replayFlags) run(ctx context.Context, io stdio, now time.Time) error {
	span, err := f.span(now)
	if err != nil {
		return err
	}
	ask := newConsole(io)
	if !f.yes && !f.dryRun && ask.terminal == nil {
		return &usageError{reason: "there is no terminal to ask on: look with --dry-run first, then say --yes", next: program + " replay --help"}
	}
	f.handles = true
	instances, err := f.instances(io)
	if err != nil {
		return err
	}
	out := replayAnswer{Since: span.Since, Until: span.Until}
	if err := f.do(io, &out, instances, span, f.yes && !f.dryRun); err != nil {
		return err
	}
	if records := out.records(); !f.yes && !f.dryRun && records > 0 {
		ask.out = io.err // beside what --json prints
		answer, err := ask.line(ctx, fmt.Sprintf("Send %s once more? [y/N] ", counted(records, "record")))
		if err != nil {
			return err
		}
		if a := strings.ToLower(answer); a != "y" && a != "yes" {
			return errors.New("nothing was sent")
		}
		if err := f.do(io, &out, instances, span, true); err != nil {
			return err
		}
	}
	if f.asJSON {
		return writeJSON(io.out, out)
	}
	return nil
}

// do looks at every product, and puts its lines back where really is set. What was
// put back before something failed is told all the same.
func (f replayFlags) do(io stdio, out *replayAnswer, instances []check.Instance, span check.ReplaySpan, really bool) (err error) {
	out.Replays, err = f.each(instances, span, really)
	switch {
	case err == nil && !f.asJSON, err != nil && really && !f.asJSON && len(out.Replays) > 0:
		fmt.Fprint(io.out, out.text(really))
	case err != nil && really && len(out.Replays) > 0:
		err = errors.Join(err, writeJSON(io.out, *out))
	}
	return err
}

// each looks at every product, and puts its lines back where do is set.
func (f replayFlags) each(instances []check.Instance, span check.ReplaySpan, do bool) ([]check.ReplayResult, error) {
	out := []check.ReplayResult{}
	var products []string
	for _, in := range instances {
		for _, p := range in.Config.Products {
			products = append(products, string(p))
			if f.product != "" && p != audit.Product(f.product) {
				continue
			}
			one, err := check.Replay(in.Config, p, span, check.Options{Version: version}, do)
			if err != nil {
				return out, err
			}
			out = append(out, one)
		}
	}
	if len(out) == 0 {
		return out, fmt.Errorf("no instance has the product %q: there are %s", f.product, strings.Join(products, ", "))
	}
	return out, nil
}

func (a replayAnswer) records() (n int) {
	for _, r := range a.Replays {
		n += r.Records
	}
	return n
}

// text is the answer for people.
func (a replayAnswer) text(done bool) string {
	var b strings.Builder
	word := "would be sent once more"
	if done {
		word = "are in the spool again"
	}
	fmt.Fprintf(&b, "Delivered between %s and %s:\n", a.Since.Format(time.RFC3339), a.Until.Format(time.RFC3339))
	for _, r := range a.Replays {
		fmt.Fprintf(&b, "\n  %s of %s\n", r.Product, r.Instance)
		if r.Records == 0 {
			b.WriteString("    nothing to send\n")
		} else {
			fmt.Fprintf(&b, "    %s, %s, %d bytes %s\n", counted(r.Records, "record"), counted(r.Files, "file"), r.Bytes, word)
			fmt.Fprintf(&b, "    spooled  %s\n", between(r.SpooledFrom, r.SpooledTo))
			fmt.Fprintf(&b, "    dated    %s\n", between(r.Oldest, r.Newest))
			if r.Late > 0 {
				fmt.Fprintf(&b, "    late     %d of them, which were not at first\n", r.Late)
			}
		}
		if r.ReplayedBefore > 0 {
			fmt.Fprintf(&b, "    left out %s, sent again before, last at %s; --again sends them once more\n",
				counted(r.ReplayedBefore, "record"), r.ReplayedAt.Format(time.RFC3339))
		}
	}
	b.WriteString("\n")
	return b.String()
}

// between is a span of time for people.
func between(from, to *time.Time) string {
	if from == nil || to == nil {
		return "not known"
	}
	return from.UTC().Format(time.RFC3339) + " to " + to.UTC().Format(time.RFC3339)
}
