package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if status, ok := asRole(ctx, os.Args, os.Getenv); ok {
		os.Exit(status)
	}
	err := plan(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// asRole is this program as one of the processes of a simulation; ok is false where
// it was not started as one.
func asRole(ctx context.Context, args []string, getenv func(string) string) (status int, ok bool) {
	if getenv(roleVariable) == "" || len(args) < 2 {
		return 0, false
	}
	switch args[1] {
	case collectWord:
		return collectAhead(ctx, getenv), true
	case sitesWord:
		if err := siteProcess(args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "Error:", err)
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

func siteProcess(args []string) error {
	if len(args) != 2 {
		return errors.New("the sites need to be told how many they are, and their records")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("the number of sites: %w", err)
	}
	first, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("the number of records: %w", err)
	}
	return serveSites(n, first, os.Stdin, os.Stdout)
}

// plan prints the plan of a fleet, or simulates one and compares.
func plan(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	p := usual
	f := flag.NewFlagSet("fleet", flag.ContinueOnError)
	f.SetOutput(progress)
	f.IntVar(&p.Sites, "sites", p.Sites, "how many sites there are")
	f.IntVar(&p.Products, "products", p.Products, "how many products a site has")
	f.IntVar(&p.Records, "records", p.Records, "how many records a product makes a day")
	f.IntVar(&p.LineBytes, "line", p.LineBytes, "how many bytes a log line has")
	f.DurationVar(&p.Interval, "interval", p.Interval, "min_collection_interval")
	f.DurationVar(&p.Run, "run", p.Run, "how long an idle run takes")
	f.IntVar(&p.Runners, "runners", p.Runners, "check_runners of the Agent")
	f.IntVar(&p.OpenFiles, "open-files", p.OpenFiles, "logs_config.open_files_limit of the Agent")
	simulated := f.Bool("simulate", false, "simulate the fleet on this machine, and compare what it needs with the plan")
	program := f.String("program", "bin/atlassian-audit-records", "what collects")
	if err := f.Parse(args); err != nil {
		return err
	}
	if err := p.valid(); err != nil {
		return err
	}
	if !*simulated {
		_, err := fmt.Fprint(out, p.table())
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	folder, err := os.MkdirTemp("", "fleet-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	small := p
	small.Products = len(products)
	s := simulation{sites: p.Sites, first: firstRecords, runners: p.Runners, limit: small.needs().FilesAtMost, program: *program, self: self, folder: folder, progress: progress}
	m, err := s.simulate(ctx)
	if err != nil {
		return err
	}
	rows := compare(s, m)
	if _, err := fmt.Fprint(out, tableOf(rows)); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return judge(rows)
}
