package main

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	if status, ok := asRole(context.Background(), os.Args, os.Getenv); ok {
		os.Exit(status)
	}
	os.Exit(m.Run())
}

// small is a fleet whose runs are processes of the test binary.
func small(t *testing.T, limit int) simulation {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return simulation{sites: 6, first: firstRecords, runners: 4, limit: limit, self: self, folder: t.TempDir(), progress: io.Discard}
}

func TestASmallFleetNeedsWhatIsPlanned(t *testing.T) {
	t.Parallel()
	s := small(t, 24)
	m, err := s.simulate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m.records < 2*firstRecords*s.sites {
		t.Errorf("there were only %d records", m.records)
	}
	for _, r := range compare(s, m) {
		// The test binary is larger than the program, with the race detector by far.
		if !r.ok && !strings.HasPrefix(r.what, "CPU") && !strings.HasPrefix(r.what, "memory") {
			t.Errorf("%s: %s, and the model says %s", r.what, r.measured, r.model)
		}
	}
}

func TestFilesBeyondTheLimitAreToldByTheirRuns(t *testing.T) {
	t.Parallel()
	s := small(t, 7) // the six of the first source, and one
	_, err := s.simulate(t.Context())
	if err == nil || !strings.Contains(err.Error(), "a day later") || !strings.Contains(err.Error(), "bytes lie in the spool undelivered") {
		t.Errorf("a day later, the runs said %v", err)
	}
}

func TestWhatIsNotAsPlannedIsTold(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*measured)
		want   string
	}{
		"all is as planned":      {func(*measured) {}, ""},
		"a record is lost":       {func(m *measured) { m.lost = 1 }, "records lost: 1"},
		"a record is repeated":   {func(m *measured) { m.repeated = 2 }, "records repeated: 2"},
		"a line is nobody's":     {func(m *measured) { m.foreign = 3 }, "lines of no record: 3"},
		"more files are there":   {func(m *measured) { m.matching++ }, "not followed: 1"},
		"a request is too many":  {func(m *measured) { m.asked[1].Requests = 41 }, "requests of idle runs: 41"},
		"runs are far too slow":  {func(m *measured) { m.rounds[1].cpu = time.Minute }, "CPU of an idle run"},
		"runs take much memory":  {func(m *measured) { m.rounds[2].peak = 1 << 30 }, "memory of a run: 1.0 GiB"},
		"the state is too large": {func(m *measured) { m.state = 1 << 30 }, "state on the disk: 1.0 GiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := measured{matching: 40, followed: 40, asked: make([]account, len(stages)), rounds: make([]round, len(stages))}
			for i := range m.rounds {
				m.rounds[i] = round{runs: 10, cpu: 10 * runCPU, peak: 20 << 20}
			}
			tt.change(&m)
			err := judge(compare(simulation{sites: 10}, m))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	type part struct {
		atOnce                        float64
		real                          time.Duration
		byRunners, byFiles, atRoll    int
		files, filesAtMost, aDay, app int
	}
	for name, tt := range map[string]struct {
		change func(*Plan)
		want   part
	}{
		"a thousand sites": {func(*Plan) {},
			part{25, 375 * time.Second, 160, 200, 100, 2000, 4000, 2896, 10}},
		"five minutes are five times as many": {func(p *Plan) { p.Interval = 5 * time.Minute },
			part{5, 375 * time.Second, 800, 200, 100, 2000, 4000, 592, 13}},
		"a raised limit": {func(p *Plan) { p.OpenFiles = 4100 },
			part{25, 375 * time.Second, 160, 2000, 1000, 2000, 4000, 2896, 10}},
		"one product, no records": {func(p *Plan) { p.Products, p.Records = 1, 0 },
			part{25, 375 * time.Second, 160, 400, 200, 1000, 2000, 2888, 532}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := usual
			tt.change(&p)
			n := p.needs()
			got := part{n.RunsAtOnce, n.RealInterval, n.SitesByRunners, n.SitesByFiles, n.SitesAtRoll, n.Files, n.FilesAtMost, n.RequestsPerDay, n.SitesPerApp}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(part{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheDocumentationHasTheModelsNumbers(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	part := usual
	part.Sites, part.Interval = 200, 5*time.Minute
	for _, p := range []Plan{usual, part} {
		if table := p.table(); !strings.Contains(string(page), table) {
			t.Errorf("docs/fleet.md has not the table of `go run ./internal/fleet -sites %d -interval %s`:\n%s", p.Sites, p.Interval, table)
		}
	}
}
