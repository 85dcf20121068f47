package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// begin is when every scenario begins. Collectors poll a little after full
// minutes, so that records of the second of a poll lie on both sides of it.
var (
	begin = time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
	phase = 7437 * time.Millisecond
)

const (
	// afterwards is for how long the collectors go on when nothing happens any
	// more, and afterwardsGap how often they then run.
	afterwards    = 7 * time.Hour
	afterwardsGap = 20 * time.Minute
)

var keys = regexp.MustCompile(atlassiantest.ScenarioKey)

// site is a simulated Atlassian on which a scenario is played.
type site struct {
	*atlassiantest.Server
	play *atlassiantest.Play
	url  string
	shut func() error

	mu  sync.Mutex
	now time.Time
}

// newSite makes a site on a loopback port; its clock stands until it is set.
func newSite(c atlassiantest.Scenario, seed uint64) (*site, error) {
	s := &site{now: begin.Add(-time.Hour)}
	s.Server = atlassiantest.New(atlassiantest.Options{Seed: seed, Now: s.clock})
	s.SetQuirks(atlassiantest.Confluence, atlassiantest.Quirks{TextDates: true})
	s.play = c.Play(s.Server, seed, begin)
	var err error
	s.url, s.shut, err = s.Listen("127.0.0.1:0")
	return s, err
}

func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// set moves the clock, and lets happen what is due.
func (s *site) set(now time.Time) {
	s.mu.Lock()
	s.now = now
	s.mu.Unlock()
	s.play.Advance()
}

// outcome is how a collector came through a scenario.
type outcome struct {
	// held is the number of records that the site had, delivered those of them
	// that arrived at least once, repeated what arrived too often.
	held, delivered, repeated int
	// foreign is what arrived and is no record of the site.
	foreign int
	// runs and requests (for audit records alone) are those of the whole time.
	runs, requests int
	// struck is the number of requests that a fault struck.
	struck int
	usage  usage
}

func (o outcome) lost() int { return o.held - o.delivered }

// through plays a scenario for a collector, whose files go below folder.
func through(ctx context.Context, c atlassiantest.Scenario, k collector, seed uint64, folder string) (o outcome, err error) {
	s, err := newSite(c, seed)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, s.shut()) }()
	crew, err := k.hire(s, folder)
	if err != nil {
		return o, err
	}
	defer crew.dismiss()
	s.play.OnKill(crew.kill)
	var struck atomic.Int64
	s.OnAnswer(func(i atlassiantest.RequestInfo) {
		if len(i.Faults) > 0 {
			struck.Add(1)
		}
	})

	run := func(after time.Duration) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.set(begin.Add(after + phase))
		if c.AsleepAt(after) {
			return nil
		}
		o.runs++
		if err := crew.run(s.clock()); err != nil {
			return fmt.Errorf("%s, %s, %s after the begin: %w", k.name, c.Name, after, err)
		}
		return nil
	}
	for after := time.Duration(0); after <= c.Length; after += k.interval {
		if err := run(after); err != nil {
			return o, err
		}
	}
	for after := c.Length + afterwardsGap; after <= c.Length+afterwards; after += afterwardsGap {
		if err := run(after); err != nil {
			return o, err
		}
	}
	crew.dismiss()
	o.usage, o.struck = crew.used(), int(struck.Load())
	arrived, err := crew.delivered()
	if err != nil {
		return o, err
	}
	for _, product := range k.products {
		o.requests += s.Count(atlassiantest.KindAudit, product) + s.Count(atlassiantest.KindAuditSince, product)
	}
	o.count(s, k.products, arrived)
	return o, nil
}

// count compares what arrived, line by line, with what the site held. Twins
// have one key: of these, too, as many must arrive as there were.
func (o *outcome) count(s *site, products []string, arrived [][]byte) {
	held, got := map[string]int{}, map[string]int{}
	for _, product := range products {
		for _, r := range s.Records(product) {
			held[string(keys.Find(r.Raw))]++
			o.held++
		}
	}
	for _, line := range arrived {
		key := string(keys.Find(line))
		if held[key] == 0 || key == "" {
			o.foreign++
			continue
		}
		got[key]++
	}
	for key, n := range got {
		o.delivered += min(n, held[key])
		o.repeated += max(0, n-held[key])
	}
}
