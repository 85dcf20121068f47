package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"atlassian_audit_records/pkg/agent"
)

// scanPeriod is the Agent's logs_config.file_scan_period, of 7.82 and later.
const scanPeriod = time.Second

// simulation is a fleet on this machine.
type simulation struct {
	// sites are Cloud sites with two products, and first the records that each
	// product has to begin with.
	sites, first int
	runners      int
	limit        int
	// program collects; where it is empty, self does. self is a program that
	// answers to sitesWord and collectWord.
	program, self string
	folder        string
	progress      io.Writer
}

// A stage is what happens before a round, and which instances then run.
type stage struct {
	name  string
	ahead time.Duration
	// every n-th site gets so many records a product, and every runs-th instance runs.
	records, every, runs int
}

// stages are the rounds of a simulation. After a day each stream begins a new file,
// at the same time; a quarter of an hour later the old ones are delivered for long
// enough to leave.
var stages = []stage{
	{name: "the first runs", every: 1, runs: 1},
	{name: "idle runs", records: 1, every: 20, runs: 4},
	{name: "a day later, all files roll", ahead: 24*time.Hour + 5*time.Minute, records: 1, every: 1, runs: 1},
	{name: "and the old ones leave", ahead: 24*time.Hour + 20*time.Minute, every: 1, runs: 10},
}

// measured is what came out.
type measured struct {
	rounds []round
	asked  []account
	// matching and followed are the most files at a time.
	matching, followed int
	records            int
	lost, repeated     int
	foreign            int
	state, spool       int64
	spooled, delivered int // files at the end
	elapsed            time.Duration
}

// simulate runs a fleet and measures it.
func (s simulation) simulate(ctx context.Context) (m measured, err error) {
	began := time.Now()
	sites, err := startSites(s.self, s.sites, s.first)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, sites.end()) }()
	runPath := filepath.Join(s.folder, "run")
	if err := os.Mkdir(runPath, 0o700); err != nil {
		return m, fmt.Errorf("make the run path: %w", err)
	}
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	t := newTailer(runPath, s.limit, now)
	if err := t.flush(); err != nil {
		return m, err
	}
	r := &runners{n: s.runners, program: s.program, self: s.self, runPath: runPath, places: sites.places}
	for _, stage := range stages {
		ahead.Store(int64(stage.ahead))
		if _, err := sites.tell(order{Ahead: stage.ahead, Add: stage.records, Every: stage.every}); err != nil {
			return m, err
		}
		u, err := s.round(ctx, r, t, stage)
		if err != nil {
			return m, fmt.Errorf("%s: %w", stage.name, err)
		}
		asked, err := sites.tell(order{Ahead: stage.ahead})
		if err != nil {
			return m, err
		}
		m.rounds, m.asked = append(m.rounds, u), append(m.asked, asked)
		fmt.Fprintf(s.progress, "%-28s %5d runs in %5.1f s, %5.1f ms of CPU each, %d requests\n", stage.name, u.runs, u.elapsed.Seconds(),
			u.cpu.Seconds()*1000/float64(max(u.runs, 1)), asked.Requests)
	}
	all, err := sites.tell(order{Keys: true})
	if err != nil {
		return m, err
	}
	last, err := sites.tell(order{}) // the keys come with the answer after the order
	if err != nil {
		return m, err
	}
	m.records = last.Records
	m.lost, m.repeated, m.foreign = t.compare(all.Keys)
	m.matching, m.followed = t.matching, t.followed
	if err := m.disk(runPath); err != nil {
		return m, err
	}
	m.elapsed = time.Since(began)
	return m, nil
}

// round lets the runs happen while the Agent follows the spool, until it has read
// all of it.
func (s simulation) round(ctx context.Context, r *runners, t *tailer, stage stage) (u round, err error) {
	over, scanned := make(chan struct{}), make(chan error, 1)
	go func() {
		tick := time.NewTicker(scanPeriod)
		defer tick.Stop()
		for {
			select {
			case <-over:
				scanned <- t.scan()
				return
			case <-tick.C:
			}
			if err := t.scan(); err != nil {
				<-over
				scanned <- err
				return
			}
		}
	}()
	u, err = r.all(ctx, stage.runs, stage.ahead)
	close(over)
	return u, errors.Join(err, <-scanned)
}

// disk adds up what lies below the run path.
func (m *measured) disk(runPath string) error {
	base := agent.Base(runPath)
	err := filepath.WalkDir(base, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		part, _, _ := strings.Cut(strings.TrimPrefix(path, base+string(filepath.Separator)), string(filepath.Separator))
		switch part {
		case "spool":
			m.spooled++
			m.spool += info.Size()
		case "delivered":
			m.delivered++
			m.spool += info.Size()
		default:
			m.state += info.Size()
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look at the disk: %w", err)
	}
	return nil
}
