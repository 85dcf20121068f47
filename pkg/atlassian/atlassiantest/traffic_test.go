package atlassiantest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func TestTrafficFollowsTheServersClock(t *testing.T) {
	run := func(t *testing.T, step time.Duration) (out []string, late, tied int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s := atlassiantest.New(atlassiantest.Options{})
			tr := atlassiantest.NewTraffic(s, atlassiantest.TrafficOptions{
				Seed: 9, Products: []string{atlassiantest.Jira}, Rate: 10, Bursts: 0.1, Late: 0.1, LateBy: time.Minute})
			start := time.Now()
			for time.Since(start) < time.Minute {
				<-time.After(step)
				tr.Advance()
			}
			var last time.Time
			for _, r := range s.Records(atlassiantest.Jira) {
				out = append(out, r.Created.Format(time.RFC3339Nano)+string(r.Raw))
				if r.Created.Before(last) {
					late++
				} else {
					last = r.Created
				}
				if r.Created.Equal(last) {
					tied++
				}
				if r.Created.After(time.Now()) || r.Created.Before(start.Add(-time.Minute)) {
					t.Errorf("a record is dated %s", r.Created)
				}
			}
			if n := tr.Added(); n != len(out) || n < 450 || n > 750 {
				t.Errorf("%d records came in a minute of 10 a second", n)
			}
		})
		return out, late, tied
	}
	a, late, tied := run(t, time.Second)
	b, _, _ := run(t, 15*time.Second)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("two steps made two streams:\n%s", diff)
	}
	if late < 10 || tied < 50 {
		t.Errorf("%d records came late and %d in a burst", late, tied)
	}
}

func TestTrafficStepsWithoutAClock(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	tr := atlassiantest.NewTraffic(s, atlassiantest.TrafficOptions{Bursts: 0.5, BurstSize: 7})
	tr.Step(100)
	if tr.Advance() != 0 || tr.Added() != 100 || s.Len(atlassiantest.Jira)+s.Len(atlassiantest.Confluence) != 100 {
		t.Errorf("100 steps added %d records", tr.Added())
	}
	if s.Len(atlassiantest.Jira) < 20 || s.Len(atlassiantest.Confluence) < 20 {
		t.Errorf("one product got %d, the other %d", s.Len(atlassiantest.Jira), s.Len(atlassiantest.Confluence))
	}
}

func TestTrafficRunsUntilItIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := atlassiantest.New(atlassiantest.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		tr := atlassiantest.NewTraffic(s, atlassiantest.TrafficOptions{Rate: 100})
		tr.Run(ctx)
		if n := tr.Added(); n < 800 || n > 1200 {
			t.Errorf("%d records came in 10 seconds of 100", n)
		}
	})
}

func TestFillSpreadsRecordsOverASpan(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Fill(1000, 10*time.Hour)
	now := base.Add(time.Hour)
	for _, p := range []string{atlassiantest.Jira, atlassiantest.Confluence} {
		recs := s.Records(p)
		first, last := recs[0].Created, recs[len(recs)-1].Created
		if len(recs) != 500 || now.Sub(first) > 10*time.Hour || now.Sub(first) < 9*time.Hour+50*time.Minute || last.After(now) || now.Sub(last) > 10*time.Minute {
			t.Errorf("%s has %d records from %s to %s", p, len(recs), first, last)
		}
	}
}
