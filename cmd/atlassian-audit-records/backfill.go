package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/audit"
)

// backfillFlags are the flags of backfill.
type backfillFlags struct {
	checkFlags
	product, since, until string
	perMinute, points     int
	dryRun                bool
}

// backfillAnswer is the answer of backfill, for --json.
type backfillAnswer struct {
	Backfills []check.BackfillResult `json:"backfills"`
}

// estimateAnswer is the answer of backfill --dry-run, for --json.
type estimateAnswer struct {
	Estimates []check.BackfillEstimate `json:"estimates"`
}

func newBackfillCommand(io stdio) *cobra.Command {
	var f backfillFlags
	cmd := &cobra.Command{
		Use:   "backfill --since TIME [--until TIME] [--conf FILE|DIR]",
		Short: "Collect the audit records of the past, beside the check",
		Long: "Reads what is older than all that the check collects, newest first, into the same spool, each\n" +
			"record once, while the check goes on. It may be ended and begun again at any moment: it goes on\n" +
			"where it stopped, without --since with what was asked for last.\n\n" +
			"A time is a day like 2024-01-01 (UTC), a time like 2024-01-01T09:00:00Z, or like 90d or 36h, which\n" +
			"is so long ago. The instances and their products take turns.\n\n" +
			"It asks each site at most " + strconv.Itoa(check.BackfillPerMinute) + " times a minute (a Data Center product " + strconv.Itoa(check.BackfillDataCenter) +
			" times, an organisation " + strconv.Itoa(check.BackfillOrganization) + "),\n" +
			"and leaves half of a quota that Atlassian tells of to others. With auth.type oauth it spends at most\n" +
			strconv.Itoa(check.BackfillPoints) + " points an hour: a request counts one, and each record.\n\n" +
			"Datadog takes no log that is dated over 18 hours back: these records stand there under the time of\n" +
			"their arrival, marked atlassian.late, with their own date in atlassian.created. They are billed like\n" +
			"any other log: --dry-run estimates how many they are.\n\n" +
			"Exit status: 0 all of it is read, 1 something failed or it was ended before, 2 wrong use.",
		Example: "  " + program + " backfill --since 2024-01-01 --dry-run\n" +
			"  sudo " + program + " backfill --since 2024-01-01\n" +
			"  " + program + " backfill --conf conf.yaml --since 90d --until 30d --product jira --max-requests-per-minute 20 --json",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			beSmall(io.getenv)
			f.given = cmd.Flags().Changed("run-path")
			return f.run(cmd.Context(), io, time.Now())
		},
	}
	f.places(cmd)
	cmd.Flags().StringVar(&f.filter, "instance-filter", "", "only the instances whose site contains this")
	cmd.Flags().StringVar(&f.product, "product", "", "only this product")
	cmd.Flags().StringVar(&f.since, "since", "", "from when on; without it, what was asked for last is gone on with")
	cmd.Flags().StringVar(&f.until, "until", "", "until when (default now)")
	cmd.Flags().IntVar(&f.perMinute, "max-requests-per-minute", 0, "requests to a site, on average; 0 is the default of its kind, -1 no bound")
	cmd.Flags().IntVar(&f.points, "max-points-per-hour", 0, "points that requests and records cost, on average; 0 is the default, -1 no bound")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only ask for samples, and estimate records, requests, duration and quota")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object at the end")
	return cmd
}

// span is what --since and --until say.
func (f backfillFlags) span(now time.Time) (o check.BackfillOptions, err error) {
	wrong := func(format string, args ...any) (check.BackfillOptions, error) {
		return o, &usageError{reason: fmt.Sprintf(format, args...), next: program + " backfill --help"}
	}
	o = check.BackfillOptions{PerMinute: f.perMinute, PointsPerHour: f.points}
	for _, flag := range []struct {
		name, text string
		to         *time.Time
	}{{"--since", f.since, &o.Since}, {"--until", f.until, &o.Until}} {
		if flag.text == "" {
			continue
		}
		at, ok := momentOf(flag.text, now)
		if !ok {
			return wrong("%s must be a day like 2024-01-01, a time like 2024-01-01T09:00:00Z or how long ago, like 90d, not %q", flag.name, flag.text)
		}
		*flag.to = at
	}
	switch end := o.Until; {
	case o.Since.IsZero() && !o.Until.IsZero():
		return wrong("--until needs --since")
	case o.Since.IsZero():
	case !o.Since.Before(now):
		return wrong("--since (%s) must be in the past", o.Since.UTC().Format(time.RFC3339))
	case !end.IsZero() && !o.Since.Before(end):
		return wrong("--since (%s) must be before --until (%s)", o.Since.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339))
	}
	return o, nil
}

// momentOf reads a day, a time, or how long ago something is.
func momentOf(text string, now time.Time) (time.Time, bool) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil && at.Year() >= 1970 {
			return at.UTC(), true
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		return now.AddDate(0, 0, -n).UTC(), err == nil && n >= 0 && n < 20_000
	}
	ago, err := time.ParseDuration(text)
	return now.Add(-ago).UTC(), err == nil && ago >= 0 && now.Add(-ago).Year() >= 1970
}

func (f backfillFlags) run(ctx context.Context, io stdio, now time.Time) error {
	o, err := f.span(now)
	if err != nil {
		return err
	}
	instances, err := f.instances(io)
	if err != nil {
		return err
	}
	targets, err := f.targets(instances)
	if err != nil {
		return err
	}
	conf, err := filepath.Abs(f.conf)
	if err != nil {
		return fmt.Errorf("--conf: %w", err)
	}
	options := check.Options{Version: version, Conf: conf}
	if f.dryRun {
		return f.estimate(ctx, io, targets, o, options)
	}
	check.SetupLog(&check.Recorder{}, "")
	stop := make(chan struct{})
	atOnce, cancel := endedTwice(ctx, stop, io)
	defer cancel()
	shown := newProgress(io.err, time.Now)
	o.Stop, o.Progress = stop, shown.show
	answer := backfillAnswer{Backfills: check.Backfill(atOnce, targets, o, options)}
	shown.end()
	if f.asJSON {
		err = writeJSON(io.out, answer)
	} else {
		_, err = fmt.Fprint(io.out, answer.text(ctx.Err() != nil, o.Since.IsZero()))
	}
	if err == nil && !answer.done() {
		err = &statusError{statusFailed}
	}
	return err
}

// endedTwice is a context that ends with the second signal; the first, which ends
// ctx, closes stop.
func endedTwice(ctx context.Context, stop chan<- struct{}, io stdio) (context.Context, context.CancelFunc) {
	atOnce, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		select {
		case <-ctx.Done():
		case <-atOnce.Done():
			return
		}
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
		defer signal.Stop(signals)
		fmt.Fprintln(io.err, "\nIt ends after the page that is being read; once more ends it at once, and nothing is lost by that either.")
		close(stop)
		select {
		case <-signals:
			cancel()
		case <-atOnce.Done():
		}
	}()
	return atOnce, cancel
}

// targets are the products of the instances that were asked for.
func (f backfillFlags) targets(instances []check.Instance) (out []check.BackfillTarget, err error) {
	var products []string
	for _, in := range instances {
		for _, p := range in.Config.Products {
			products = append(products, string(p))
			if f.product == "" || p == audit.Product(f.product) {
				out = append(out, check.BackfillTarget{Config: in.Config, Product: p})
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no instance has the product %q: there are %s", f.product, strings.Join(products, ", "))
	}
	return out, nil
}

func (f backfillFlags) estimate(ctx context.Context, io stdio, targets []check.BackfillTarget, o check.BackfillOptions, options check.Options) error {
	out := estimateAnswer{Estimates: []check.BackfillEstimate{}}
	if o.Since.IsZero() {
		return &usageError{reason: "--dry-run needs --since", next: program + " backfill --help"}
	}
	failed := false
	for _, t := range targets {
		e := check.EstimateBackfill(ctx, t, o, options)
		failed = failed || e.Error != nil
		out.Estimates = append(out.Estimates, e)
	}
	var err error
	if f.asJSON {
		err = writeJSON(io.out, out)
	} else {
		_, err = fmt.Fprint(io.out, out.text())
	}
	if err == nil && failed {
		err = &statusError{statusFailed}
	}
	return err
}

func (a backfillAnswer) done() bool {
	for _, r := range a.Backfills {
		if !r.Done {
			return false
		}
	}
	return true
}

// text is the answer for people.
func (a backfillAnswer) text(ended, resumed bool) string {
	var b strings.Builder
	for _, r := range a.Backfills {
		fmt.Fprintf(&b, "%s of %s\n", r.Product, r.Instance)
		if r.Since != nil {
			fmt.Fprintf(&b, "  wanted   %s\n", between(r.Since, r.Until))
		}
		switch {
		case r.Since == nil && r.Done && resumed:
			b.WriteString("  nothing is left of what was asked for; say with --since what is wanted\n")
		case r.Done:
			fmt.Fprintf(&b, "  read     all of it: %s, %s\n", counted(r.Records, "new record"), counted(r.Requests, "request"))
		default:
			fmt.Fprintf(&b, "  read     %s, %s", counted(r.Records, "new record"), counted(r.Requests, "request"))
			if r.Since != nil {
				fmt.Fprintf(&b, "; %s are left", longTime(time.Duration(r.LeftSeconds*float64(time.Second))))
			}
			b.WriteString("\n")
		}
		for _, n := range r.Notices {
			fmt.Fprintf(&b, "  note     %s\n", n)
		}
		if r.Error != nil {
			fmt.Fprintf(&b, "  Error: %s\n", *r.Error)
		}
	}
	if !a.done() && ended {
		fmt.Fprintf(&b, "It was ended. To go on where it stopped: %s backfill\n", program)
	}
	return b.String()
}

// text is the estimate for people.
func (a estimateAnswer) text() string {
	var b strings.Builder
	for _, e := range a.Estimates {
		fmt.Fprintf(&b, "%s of %s\n", e.Product, e.Instance)
		if e.Error != nil {
			fmt.Fprintf(&b, "  Error: %s\n", *e.Error)
			continue
		}
		fmt.Fprintf(&b, "  wanted   %s, of which %s are not read\n", between(&e.Since, &e.Until), longTime(time.Duration(e.LeftSeconds*float64(time.Second))))
		about := "about "
		if e.Exact {
			about = ""
		}
		fmt.Fprintf(&b, "  records  %s%d, in %s of log lines (from %s)\n", about, e.Records, bytesText(e.Bytes), counted(e.Samples, "sample"))
		if e.Oldest != nil {
			fmt.Fprintf(&b, "  oldest   %s, of those that the samples showed\n", e.Oldest.Format(time.RFC3339))
		}
		fmt.Fprintf(&b, "  requests about %d", e.Requests)
		if e.PerMinute > 0 {
			fmt.Fprintf(&b, ", at most %d a minute", e.PerMinute)
		}
		b.WriteString("\n")
		if e.Points > 0 {
			fmt.Fprintf(&b, "  quota    about %d points, at most %d an hour\n", e.Points, e.PointsPerHour)
		}
		if e.Seconds > 0 {
			fmt.Fprintf(&b, "  takes    about %s, if the Agent delivers as fast\n", longTime(time.Duration(e.Seconds*float64(time.Second))))
		}
	}
	b.WriteString("Nothing was changed. Datadog will bill these records like any other log.\n")
	return b.String()
}

// longTime is a span of time in its two largest units.
func longTime(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd %dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", (d+time.Second/2)/time.Second)
}

// bytesText is a size for people.
func bytesText(n int64) string {
	for _, u := range []struct {
		name string
		unit int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.unit {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.unit), u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
