package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func newSimulateCommand(io stdio) *cobra.Command {
	o := atlassiantest.SimulateOptions{}
	cmd := &cobra.Command{
		Use:   "simulate [--listen ADDR] [--records N]",
		Short: "Simulate an Atlassian site, its gateway and its authorisation server",
		Long: "Serves a simulated Jira and Confluence, and an organisation's log, with audit records made up from a seed, the\n" +
			"gateway and the authorisation server, on one loopback port, until it is interrupted.\n" +
			"It prints the credentials, which are good for nothing else, and a configuration to try.\n\n" +
			"Faults and quirks for --fault, which may be given several times:\n\n  " +
			strings.Join(atlassiantest.FaultNames(), "\n  ") + "\n\n" +
			"Scenarios, which happen by the script from the start on, always alike with the same seed:\n\n  " +
			strings.Join(atlassiantest.ScenarioNames(), "\n  "),
		Example: "  " + program + " simulate --records 5000 --rate 2\n" +
			"  " + program + " simulate --fault rate-limit=0.1 --fault clamp=100 --verbose\n" +
			"  " + program + " simulate --scenario late-by-minutes --verbose\n" +
			"  " + program + " simulate --deployment data_center --audit-log /tmp/audit-log",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return atlassiantest.Serve(cmd.Context(), o, io.out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Listen, "listen", "127.0.0.1:8080", "host:port to listen on; port 0 is any free one")
	f.IntVar(&o.Records, "records", 2000, "records at the start, all products together")
	f.DurationVar(&o.Span, "span", 12*time.Hour, "how far back these reach")
	f.Float64Var(&o.Rate, "rate", 0, "records that arrive per second while it runs, all products together; 0 for none")
	f.DurationVar(&o.Latency, "latency", 0, "the time that every answer takes")
	f.StringArrayVar(&o.Faults, "fault", nil, "a fault or quirk by name; see above")
	f.StringVar(&o.Scenario, "scenario", "", "what happens, by name, in place of --records and --rate; see above")
	f.StringSliceVar(&o.Products, "products", []string{atlassiantest.Jira, atlassiantest.Confluence}, "what has records: jira, confluence, organization (the organisation's log)")
	f.StringVar(&o.Deployment, "deployment", "cloud", "cloud, or data_center: each product with a context path of its own")
	f.BoolVar(&o.Old, "old-api", false, "with data_center: only the resources from before /rest/auditing/1.0/events")
	f.StringVar(&o.AuditLog, "audit-log", "", "with data_center: a folder below which audit log files are written as well")
	f.Uint64Var(&o.Seed, "seed", 1, "decides everything random")
	f.BoolVar(&o.Verbose, "verbose", false, "print a line for each request")
	return cmd
}
