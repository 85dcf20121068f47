package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if len(os.Args) > 1 && os.Args[1] == collectWord {
		os.Exit(collect(ctx, os.Getenv, os.Stdout))
	}
	err := compare(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// options are what a person may choose.
type options struct {
	scripts, shim, python string
	scenarios, collectors string
	interval              time.Duration
	seed                  uint64
	anyVersion            bool
	keep                  string
	jobs                  int
}

func compare(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	var o options
	f := flag.NewFlagSet("comparison", flag.ContinueOnError)
	f.SetOutput(progress)
	f.StringVar(&o.scripts, "scripts", "bin/comparison", "the folder with the scripts of others")
	f.StringVar(&o.shim, "shim", "tools/comparison/shim.py", "what stands in for their surroundings")
	f.StringVar(&o.python, "python", "python3", "the Python that runs them")
	f.StringVar(&o.scenarios, "scenarios", "", "only these, separated by commas; all by default")
	f.StringVar(&o.collectors, "collectors", "", "only those whose name holds one of these, separated by commas")
	f.DurationVar(&o.interval, "interval", time.Minute, "how often this check runs")
	f.Uint64Var(&o.seed, "seed", 1, "decides everything random")
	f.BoolVar(&o.anyVersion, "any-version", false, "take scripts of other versions than those of docs/comparison.md")
	f.StringVar(&o.keep, "keep", "", "a folder in which everything is kept")
	f.IntVar(&o.jobs, "jobs", runtime.NumCPU(), "how many scenarios are played at a time")
	if err := f.Parse(args); err != nil {
		return err
	}
	scenarios, err := o.chosen()
	if err != nil {
		return err
	}
	collectors, err := o.ready(ctx, progress)
	if err != nil {
		return err
	}
	folder := o.keep
	if folder == "" {
		if folder, err = os.MkdirTemp("", "comparison-"); err != nil {
			return fmt.Errorf("make a temporary folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	}
	results, err := o.play(ctx, scenarios, collectors, folder, progress)
	if err != nil {
		return err
	}
	fmt.Fprintln(progress)
	tables(out, scenarios, results)
	return nil
}

// play plays every scenario for every collector, several at a time.
func (o options) play(ctx context.Context, scenarios []atlassiantest.Scenario, collectors []collector, folder string, progress io.Writer) ([]result, error) {
	var (
		mu      sync.Mutex
		running sync.WaitGroup
		failed  error
		free    = make(chan struct{}, max(1, o.jobs))
		results = make([]result, len(collectors))
	)
	for i, k := range collectors {
		results[i] = result{k, map[string]outcome{}}
		for _, c := range scenarios {
			free <- struct{}{}
			running.Go(func() {
				defer func() { <-free }()
				started := time.Now()
				at := filepath.Join(folder, strings.ReplaceAll(k.name, " ", "-"), c.Name)
				err := os.MkdirAll(at, 0o700)
				var got outcome
				if err == nil {
					got, err = through(ctx, c, k, o.seed, at)
				}
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed = errors.Join(failed, err)
					return
				}
				results[i].outcomes[c.Name] = got
				fmt.Fprintf(progress, "%s, %s: %d held, %d lost, %d repeated, %d runs, %d requests struck (%s)\n",
					k.name, c.Name, got.held, got.lost(), got.repeated, got.runs, got.struck, time.Since(started).Round(time.Second))
			})
		}
	}
	running.Wait()
	return results, failed
}

func (o options) chosen() ([]atlassiantest.Scenario, error) {
	if o.scenarios == "" {
		return atlassiantest.Scenarios(), nil
	}
	var out []atlassiantest.Scenario
	for name := range strings.SplitSeq(o.scenarios, ",") {
		c, err := atlassiantest.ScenarioNamed(name)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// ready are this check and those of the others whose scripts are there.
func (o options) ready(ctx context.Context, progress io.Writer) ([]collector, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's file: %w", err)
	}
	shim, err := filepath.Abs(o.shim)
	if err != nil {
		return nil, fmt.Errorf("find the shim: %w", err)
	}
	var out []collector
	if us := ours(o.interval, self); o.wants(us.name) {
		out = append(out, us)
	}
	python := ""
	for _, f := range others {
		if !o.wants(f.name) {
			continue
		}
		switch err := f.verify(o.scripts, o.anyVersion); {
		case errors.Is(err, errMissing):
			fmt.Fprintf(progress, "%s is left out: %s\n", f.name, err)
		case err != nil:
			return nil, err
		default:
			if python == "" {
				if python, err = interpreter(ctx, o.python); err != nil {
					return nil, err
				}
			}
			out = append(out, f.collector(python, shim, o.scripts))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("there is no collector left to compare: -collectors %s", o.collectors)
	}
	return out, nil
}

// wants reports whether a collector is among those that are asked for.
func (o options) wants(name string) bool {
	return o.collectors == "" || slices.ContainsFunc(strings.Split(o.collectors, ","), func(part string) bool {
		return strings.Contains(strings.ToLower(name), strings.ToLower(part))
	})
}

// interpreter is the file of a Python, which may be behind a script that chooses
// one: that must not count as a collector's work.
func interpreter(ctx context.Context, name string) (string, error) {
	out, err := exec.CommandContext(ctx, name, "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		return "", fmt.Errorf("ask %s where it is: %w", name, err)
	}
	return strings.TrimSpace(string(out)), nil
}
