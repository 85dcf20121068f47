package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"atlassian_audit_records/check"
	"atlassian_audit_records/pkg/agent"
)

const (
	// memoryLimit is what the garbage collector keeps the heap below where it
	// can: a page of records is a few MiB, and a run shares the machine.
	memoryLimit = 44 << 20
	// gcPercent lets it rest as long as the heap is far below that.
	gcPercent = 200
	// readLimit is how long the request may take to come.
	readLimit = 30 * time.Second
	// overtime is what a run gets beyond its own limit, for a disk that is slow
	// to sync, before the process ends without it.
	overtime = 5 * time.Second
)

// beSmall sets the limits of the process's memory, unless its environment does.
func beSmall(getenv func(string) string) {
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

func newCollectCommand(io stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "collect",
		Short: "Run the check once for an adapter of the Agent",
		Long: "Reads one request, a JSON object, from the environment variable " + check.RequestVariable + ",\n" +
			"or else from standard input up to its end, runs one instance once, and writes JSON lines\n" +
			"to standard output, the last of them the result.\n\n" +
			"The process ends when the one that started it does, and by itself when its time is over.\n" +
			"To run the check by hand, use `" + program + " check`.\n\n" +
			"Exit status: 0 the result's error is null, 1 it is not, 2 the request cannot be read.",
		Example: "  " + program + " collect <request.json",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = agent.CloseInherited() // what stays open does not harm the run
			beSmall(io.getenv)
			ctx, stop := agent.WithParent(cmd.Context())
			defer stop()
			if status := collectWithin(ctx, io, readLimit, overtime); status != statusDone {
				return &statusError{status}
			}
			return nil
		},
	}
}

// collectWithin runs collect and gives up on it when it does not come back in
// time: what hangs then, such as a disk, ends with the process.
func collectWithin(ctx context.Context, io stdio, readLimit, overtime time.Duration) int {
	w := check.NewWriter(io.out)
	over := time.NewTimer(readLimit)
	defer over.Stop()
	done := make(chan int, 1)
	go func() {
		done <- collect(ctx, io, w, func(limit time.Duration) { over.Reset(limit + overtime) })
	}()
	ended := ctx.Done()
	for {
		select {
		case status := <-done:
			return status
		case <-ended:
			ended = nil
			over.Reset(overtime)
		case <-over.C:
			reason := "the run did not end in its time, so it was given up: nothing is lost; the next run goes on; if it stays so, look at the disk of the run path"
			if cause := context.Cause(ctx); errors.Is(cause, agent.ErrParentGone) {
				reason = cause.Error()
			}
			_ = w.Result(reason) // fails where the result, or the reader, is there already
			return statusFailed
		}
	}
}

func collect(ctx context.Context, io stdio, w *check.Writer, armed func(time.Duration)) int {
	status, sentence := statusDone, ""
	req, err := check.ReadRequest(io.in, io.getenv)
	switch {
	case err != nil:
		status, sentence = statusUsage, err.Error()
	default:
		check.SetupLog(w, req.Agent.LogLevel)
		askSettings(&req.Agent, io, w)
		if err := agent.BecomeOwner(check.RequestRunPath(req)); err != nil {
			status, sentence = statusFailed, err.Error()
			break
		}
		o := check.Options{Version: version, OpenShared: openShared}
		if res := check.Collect(ctx, req, o, check.Env{Getenv: io.getenv}, w, armed); res.Error != "" {
			status, sentence = statusFailed, res.Error
		}
	}
	if err := w.Result(sentence); err != nil && status == statusDone {
		fmt.Fprintf(io.err, "Error: %s\n", err)
		status = statusFailed
	}
	return status
}

// askSettings reads the Agent's settings for an adapter that was told none of
// them: before root's rights are given up, which reading them may take. Where
// there is no such file, as in some containers, the environment says it all.
func askSettings(a *check.AgentInfo, io stdio, w *check.Writer) {
	if a.DatadogConf == "" {
		return
	}
	settings, err := agent.ReadSettings(a.DatadogConf, io.getenv)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.Warning("the Agent's settings were left out: " + err.Error())
	}
	a.Complete(settings, err == nil)
}
