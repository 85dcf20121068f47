package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"atlassian_audit_records/assets"
	"atlassian_audit_records/pkg/datadog"
)

// assetsFlags are the flags of the commands below assets.
type assetsFlags struct {
	only        []string
	url         string
	yes, asJSON bool
}

// assetsAnswer is the answer of the commands below assets, for --json.
type assetsAnswer struct {
	API     string           `json:"api"`
	Changes []datadog.Change `json:"changes"`
	Notes   []string         `json:"notes"`
	// Results are missing where nothing was to be done.
	Results []datadog.Result `json:"results,omitempty"`
}

func newAssetsCommand(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "assets install|diff|remove",
		Short: "Install pipelines, dashboards, monitors and detection rules in Datadog",
		Long: "Puts the log pipelines, dashboards, monitors and detection rules that come with this program\n" +
			"into a Datadog organisation, shows how they differ from what is there, or takes them out.\n\n" +
			"The environment says which organisation: DD_API_KEY, DD_APP_KEY, and DD_SITE (default\n" +
			"datadoghq.com). Touched is only what bears the mark of this program: docs/assets.md.",
		Example: "  DD_SITE=datadoghq.eu DD_API_KEY=… DD_APP_KEY=… " + program + " assets diff",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return &usageError{reason: fmt.Sprintf("assets has no command %q", args[0]), next: program + " assets --help"}
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, c := range []struct {
		use, short, long, example string
		run                       func(assetsFlags, context.Context, stdio, *datadog.Client, []datadog.Kind) error
	}{
		{
			"diff", "Show what install would do", "Compares the assets with the organisation, and changes nothing.\n\n" +
				"Exit status: 0 all is as the assets say, 1 something differs, or it failed, 2 wrong use.",
			"assets diff --only dashboards", assetsFlags.diff,
		},
		{
			"install", "Create what is missing and bring up to date what differs", "Shows what it would do, asks (--yes answers), and does it. What people set in Datadog is kept:\n" +
				"whether a rule or pipeline is enabled, whom a rule notifies, who may edit a dashboard. Other\n" +
				"changes to what it installed are overwritten, after they were shown.\n\n" +
				"Exit status: 0 done, or nothing to do, 1 failed, in part or wholly, or answered with no, 2 wrong use.",
			"assets install --only pipelines,dashboards", assetsFlags.install,
		},
		{
			"remove", "Remove what install made", "Shows what it would remove, asks (--yes answers), and does it. It removes what bears its mark,\n" +
				"also of other versions, and nothing else.\n\n" +
				"Exit status: 0 done, or nothing to do, 1 failed, in part or wholly, or answered with no, 2 wrong use.",
			"assets remove", assetsFlags.remove,
		},
	} {
		var f assetsFlags
		sub := &cobra.Command{
			Use: c.use, Short: c.short, Long: c.long, Example: "  " + program + " " + c.example, Args: noArguments,
			RunE: func(cmd *cobra.Command, _ []string) error {
				client, kinds, err := f.open(io, c.use)
				if err != nil {
					return err
				}
				return c.run(f, cmd.Context(), io, client, kinds)
			},
		}
		sub.Flags().StringSliceVar(&f.only, "only", nil, "only these kinds: "+kindNames())
		sub.Flags().StringVar(&f.url, "api-url", "", "the API's address in place of DD_SITE's; http:// on loopback alone")
		sub.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object")
		if c.use != "diff" {
			sub.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
		}
		cmd.AddCommand(sub)
	}
	return cmd
}

func kindNames() string {
	var names []string
	for _, k := range datadog.Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// open is the client, and the kinds that are meant.
func (f assetsFlags) open(io stdio, use string) (*datadog.Client, []datadog.Kind, error) {
	help := program + " assets " + use + " --help"
	kinds := datadog.Kinds()
	for _, name := range f.only {
		if !slices.Contains(kinds, datadog.Kind(name)) {
			return nil, nil, &usageError{reason: fmt.Sprintf("--only has no kind %q: there are %s", name, kindNames()), next: help}
		}
	}
	if len(f.only) > 0 {
		kinds = slices.DeleteFunc(kinds, func(k datadog.Kind) bool { return !slices.Contains(f.only, string(k)) })
	}
	if use != "diff" && !f.yes && newConsole(io).terminal == nil {
		return nil, nil, &usageError{reason: "there is no terminal to ask on: look first (install: `assets diff`), then say --yes", next: help}
	}
	client, err := datadog.NewClient(datadog.Options{
		Site: io.getenv("DD_SITE"), URL: f.url, APIKey: io.getenv("DD_API_KEY"), AppKey: io.getenv("DD_APP_KEY"),
	})
	if err != nil {
		return nil, nil, &usageError{reason: err.Error(), next: help}
	}
	return client, kinds, nil
}

func (f assetsFlags) compare(ctx context.Context, client *datadog.Client, kinds []datadog.Kind) (datadog.Plan, error) {
	wanted, err := datadog.Load(assets.Files, kinds)
	if err != nil {
		return datadog.Plan{}, err
	}
	return readable(client.PlanInstall(ctx, wanted))
}

// readable adds to an error that nothing was changed, and what can be left out.
func readable(plan datadog.Plan, err error) (datadog.Plan, error) {
	if unread := (*datadog.ReadError)(nil); errors.As(err, &unread) {
		return plan, fmt.Errorf("%w. Nothing was changed. --only leaves out a kind", err)
	}
	return plan, err
}

func (f assetsFlags) diff(ctx context.Context, io stdio, client *datadog.Client, kinds []datadog.Kind) error {
	plan, err := f.compare(ctx, client, kinds)
	if err != nil {
		return err
	}
	if err := f.show(io, client, plan); err != nil {
		return err
	}
	if plan.Open() > 0 {
		return &statusError{statusFailed}
	}
	return nil
}

func (f assetsFlags) install(ctx context.Context, io stdio, client *datadog.Client, kinds []datadog.Kind) error {
	plan, err := f.compare(ctx, client, kinds)
	if err != nil {
		return err
	}
	return f.apply(ctx, io, client, plan)
}

func (f assetsFlags) remove(ctx context.Context, io stdio, client *datadog.Client, kinds []datadog.Kind) error {
	plan, err := readable(client.PlanRemove(ctx, kinds))
	if err != nil {
		return err
	}
	return f.apply(ctx, io, client, plan)
}

// show prints a plan.
func (f assetsFlags) show(io stdio, client *datadog.Client, plan datadog.Plan) error {
	if f.asJSON {
		return writeJSON(io.out, answerOf(client, plan, nil))
	}
	fmt.Fprint(io.out, planText(client, plan))
	return nil
}

func answerOf(client *datadog.Client, plan datadog.Plan, results []datadog.Result) assetsAnswer {
	out := assetsAnswer{API: client.Address(), Changes: plan.Changes, Notes: plan.Notes, Results: results}
	if out.Changes == nil {
		out.Changes = []datadog.Change{}
	}
	if out.Notes == nil {
		out.Notes = []string{}
	}
	return out
}

// apply shows a plan, asks, and carries it out.
func (f assetsFlags) apply(ctx context.Context, io stdio, client *datadog.Client, plan datadog.Plan) error {
	if !f.asJSON || !f.yes {
		shown := io
		if f.asJSON {
			shown.out = io.err // beside what --json prints
		}
		fmt.Fprint(shown.out, planText(client, plan))
	}
	if plan.Open() == 0 {
		if f.asJSON {
			return writeJSON(io.out, answerOf(client, plan, nil))
		}
		return nil
	}
	if !f.yes {
		ask := newConsole(io)
		ask.out = io.err
		answer, err := ask.line(ctx, "Do this? [y/N] ")
		if err != nil {
			return err
		}
		if a := strings.ToLower(answer); a != "y" && a != "yes" {
			return errors.New("nothing was changed")
		}
	}
	failed := 0
	results := client.Apply(ctx, plan, func(r datadog.Result) {
		if !r.Done {
			failed++
		}
		if !f.asJSON {
			fmt.Fprint(io.out, resultText(r))
		}
	})
	if f.asJSON {
		if err := writeJSON(io.out, answerOf(client, plan, results)); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d were not done; mend the cause and run this again: what is done is found as done", failed, len(results))
	}
	return nil
}
