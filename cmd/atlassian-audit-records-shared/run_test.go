package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/shared"
)

const (
	// runAs makes a process of this test a run of the check: the name of its machine.
	runAs = "SHARED_TEST_RUN_AS"
	// lease is how long the leases of these tests last: long enough for a run on a slow
	// machine, short enough to wait for.
	lease = 6 * time.Second
	// limit is when a test gives up waiting.
	limit = 2 * time.Minute
)

// told is what a run leaves behind on its standard output.
type told struct {
	Error    string
	Records  int
	Requests int
	States   []check.ServiceCheck
	Warnings []string
}

func (r told) says(text string) bool {
	for _, s := range r.States {
		if strings.Contains(s.Message, text) {
			return true
		}
	}
	return strings.Contains(r.Error, text) || strings.Contains(strings.Join(r.Warnings, "\n"), text)
}

func (r told) standby() bool { return r.says("standby: ") }

// runOnce is one run, in a process of its own, as the program that collects does it;
// but its lease is a short one.
func runOnce() int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	file, err := check.ParseFile(os.Args[1], check.Env{RunPath: os.Args[2]})
	if err != nil {
		return fail(err)
	}
	rec := &check.Recorder{}
	o := check.Options{
		Version: "test", Lease: lease, Agent: check.AgentInfo{Hostname: os.Getenv(runAs), RunPath: os.Args[2]},
		OpenShared: func(ctx context.Context, c shared.Config) (shared.Backend, error) {
			return shared.Start(ctx, os.Args[3], c)
		},
	}
	res := check.Run(context.Background(), file.Instances[0].Config, o, rec)
	out := told{Error: res.Error, States: rec.Recorded().ServiceChecks, Warnings: rec.Recorded().Warnings}
	for _, s := range res.Streams {
		out.Records += s.Records
		out.Requests += s.Requests
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return fail(err)
	}
	return 0
}
