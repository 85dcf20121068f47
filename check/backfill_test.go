package check

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/state"
)

// pastWorld is a world with an instance that looks back an hour, and records of a month.
func pastWorld(t *testing.T, auth string, test func(t *testing.T, w *world, c *Config)) {
	t.Helper()
	inWorld(t, func(t *testing.T, w *world) {
		w.server.Fill(900, 30*24*time.Hour)
		w.options.PageSize = 50
		test(t, w, w.config(auth, "initial_lookback: 1h"))
	})
}

func month(now time.Time) BackfillOptions { return BackfillOptions{Since: now.AddDate(0, -2, 0)} }

func targetsOf(c *Config) (out []BackfillTarget) {
	for _, p := range c.Products {
		out = append(out, BackfillTarget{c, p})
	}
	return out
}

// readWell fails where a backfill did not read everything.
func readWell(t *testing.T, results []BackfillResult) {
	t.Helper()
	for _, r := range results {
		if r.Error != nil || !r.Done || r.LeftSeconds != 0 {
			t.Fatalf("the backfill ended with %+v (error %v)", r, told(r))
		}
	}
}

func told(r BackfillResult) string {
	if r.Error == nil {
		return ""
	}
	return *r.Error
}

func TestABackfillReadsThePastBesideTheCheck(t *testing.T) {
	t.Parallel()
	pastWorld(t, classicAuth, func(t *testing.T, w *world, c *Config) {
		w.runWell(c)
		o := month(time.Now())
		steps, before := 0, time.Now()
		o.Progress = func(all []BackfillProgress) {
			if len(all) != 2 || all[0].Left > all[0].Total {
				t.Errorf("the progress is %+v", all)
			}
			if steps++; steps%4 > 0 {
				return
			}
			w.server.AddBurst(atlassiantest.Jira, 1, time.Now())
			w.requests()
			_, rec := w.runWell(c)
			if n := len(w.requests()); n > 6 {
				t.Errorf("a run beside a backfill made %d requests", n)
			}
			if gap, ok := metric(rec, MetricGap, audit.Jira); !ok || gap != 0 {
				t.Errorf("its gap is %v", gap)
			}
		}
		res := Backfill(t.Context(), targetsOf(c), o, w.options)
		readWell(t, res)
		if steps < 15 || res[0].Records < 300 || res[0].Requests < res[0].Records/50 || time.Since(before) > time.Hour {
			t.Errorf("%d steps in %s: %+v", steps, time.Since(before), res)
		}
		w.runWell(c)
		w.wantSpooled(c.Products...)

		w.requests()
		readWell(t, Backfill(t.Context(), targetsOf(c), month(time.Now()), w.options))
		if n := len(w.requests()); n > 6 {
			t.Errorf("what was read was asked for again, with %d requests", n)
		}
		w.wantSpooled(c.Products...)
	})
}

func TestABackfillWithoutACheckReadsEverything(t *testing.T) {
	t.Parallel()
	pastWorld(t, classicAuth, func(t *testing.T, w *world, c *Config) {
		readWell(t, Backfill(t.Context(), targetsOf(c), month(time.Now()), w.options))
		w.wantSpooled(c.Products...)
	})
}

func TestABackfillKeepsItsPace(t *testing.T) {
	t.Parallel()
	pastWorld(t, classicAuth, func(t *testing.T, w *world, c *Config) {
		w.runWell(c)
		w.requests()
		o := month(time.Now())
		o.PerMinute = 6
		readWell(t, Backfill(t.Context(), targetsOf(c), o, w.options))
		var at []time.Time
		for _, r := range w.requests() {
			if r.Audit() {
				at = append(at, r.Time)
			}
		}
		if len(at) < 15 {
			t.Fatalf("there were %d requests", len(at))
		}
		if took := at[len(at)-1].Sub(at[0]); took < time.Duration(len(at)-4)*10*time.Second {
			t.Errorf("%d requests took %s", len(at), took)
		}
		w.runWell(c)
		w.wantSpooled(c.Products...)
	})
}

// TestABackfillLeavesTheQuotaToOthers is about a site that counts points: half of them are
// left, and no request is refused.
func TestABackfillLeavesTheQuotaToOthers(t *testing.T) {
	t.Parallel()
	pastWorld(t, accountAuth, func(t *testing.T, w *world, c *Config) {
		w.runWell(c)
		w.server.SetLimits(atlassiantest.Limits{PointsPerHour: 400})
		w.requests()
		said := ""
		o := month(time.Now())
		o.Progress = func(all []BackfillProgress) {
			if strings.Contains(all[0].Why, "quota") {
				said = all[0].Why
			}
		}
		before := len(w.spooled(audit.Jira))
		res := Backfill(t.Context(), targetsOf(c), o, w.options)
		readWell(t, res)
		if n := w.server.Len(atlassiantest.Jira); before+res[0].Records != n {
			t.Errorf("%d records of %d", before+res[0].Records, n)
		}
		points := map[string]int{}
		for _, r := range w.requests() {
			if r.Audit() {
				points[r.Product+r.Time.Truncate(time.Hour).String()] += 1 + r.Records
			}
			if r.Status == http.StatusTooManyRequests {
				t.Errorf("a request was refused: %+v", r)
			}
		}
		for hour, n := range points {
			if n > 200+2*51 {
				t.Errorf("%s: %d points of 400", hour, n)
			}
		}
		if !strings.Contains(said, "of 400 are left of the quota, and that is for others: going on at ") {
			t.Errorf("it said %q", said)
		}
	})
}

func TestPointsArePaidForWhereTheyCount(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		for name, row := range map[string]struct {
			auth              string
			perMinute, points int
			want              time.Duration
			organization      bool
		}{
			"a consent pays for records":             {oauthAuth, 0, 0, time.Duration(1001) * time.Hour / BackfillPoints, false},
			"it may be told another budget":          {oauthAuth, 0, 65_000, time.Duration(1001) * time.Hour / 65_000, false},
			"or none":                                {oauthAuth, 0, -1, time.Second, false},
			"a token pays for requests alone":        {classicAuth, 0, 0, time.Second, false},
			"and may be told another pace":           {classicAuth, 10, 0, 6 * time.Second, false},
			"a token may have a budget all the same": {classicAuth, -1, 3600, 1001 * time.Second, false},
			"an organisation has a pace of its own":  {classicAuth, 0, 0, time.Minute / BackfillOrganization, true},
			"which cannot be more than is allowed":   {classicAuth, -1, 0, time.Minute / 48, true},
		} {
			c := w.config(row.auth)
			if row.organization {
				c.Organization = organizationID
			}
			p := newPace(c, row.perMinute, row.points)
			now := time.Now()
			p.paid(now, now, 1, 1000, atlassian.Quota{})
			if got := p.next.Sub(now); got != row.want {
				t.Errorf("%s: %s instead of %s", name, got, row.want)
			}
		}
	})
}

func TestABackfillWaitsForTheAgent(t *testing.T) {
	t.Parallel()
	pastWorld(t, classicAuth, func(t *testing.T, w *world, c *Config) {
		c.SpoolMaxSize = 400 << 10
		w.runWell(c)
		o := month(time.Now())
		waited, delivered := 0, int64(0)
		o.Progress = func(all []BackfillProgress) {
			if !strings.Contains(all[0].Why, "half of the spool (spool_max_size: 400KiB) is undelivered") {
				return
			}
			if u, _, err := foldersOf(c.RunPath, c.Name()).usage(); err != nil || u.Spooled-delivered > 300<<10 {
				t.Fatalf("the spool holds %+v (%v)", u, err)
			}
			if waited++; waited%3 == 0 {
				delivered = w.deliver()
			}
		}
		readWell(t, Backfill(t.Context(), targetsOf(c), o, w.options))
		if waited < 6 {
			t.Errorf("it waited %d times", waited)
		}
	})
}

// deliver writes the registry of an Agent that has delivered everything, and answers
// how many bytes these are.
func (w *world) deliver() (bytes int64) {
	w.t.Helper()
	paths, err := filepath.Glob(filepath.Join(agent.Base(w.run), "spool", "*", "*.jsonl"))
	if err != nil {
		w.t.Fatal(err)
	}
	reg := agent.Registry{Files: map[string]agent.RegistryEntry{}}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			w.t.Fatal(err)
		}
		reg.Files[path] = agent.RegistryEntry{Offset: info.Size(), LastUpdated: time.Now()}
		bytes += info.Size()
	}
	if err := agent.WriteRegistry(filepath.Join(w.run, agent.RegistryName), reg); err != nil {
		w.t.Fatal(err)
	}
	return bytes
}

func TestABackfillGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	pastWorld(t, classicAuth, func(t *testing.T, w *world, c *Config) {
		w.runWell(c)
		o := month(time.Now())
		for range 3 {
			stop, steps := make(chan struct{}), 0
			o.Stop = stop
			o.Progress = func([]BackfillProgress) {
				if steps++; steps == 3 {
					close(stop)
				}
			}
			for _, r := range Backfill(t.Context(), targetsOf(c), o, w.options) {
				if r.Done || r.Error != nil || r.LeftSeconds == 0 || r.Since == nil {
					t.Fatalf("a backfill that was stopped: %+v", r)
				}
			}
			o.Since = time.Time{} // what was asked for last
			s, err := StatusOf(Instance{Config: c}, time.Now())
			if err != nil || len(s.Products[0].History) != 1 || len(s.Products[0].Gaps) != 0 {
				t.Fatalf("the status is %+v (%v)", s.Products[0], err)
			}
		}
		readWell(t, Backfill(t.Context(), targetsOf(c), BackfillOptions{}, w.options))
		w.wantSpooled(c.Products...)
		res := Backfill(t.Context(), targetsOf(c), BackfillOptions{}, w.options)
		readWell(t, res)
		if res[0].Since != nil {
			t.Errorf("something is still wanted: %+v", res[0])
		}
	})
}

func TestABackfillAndItsTroubles(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		arm func(*atlassiantest.Server)
		// failed are the products that end with an error that holds that.
		failed map[audit.Product]string
		said   string
	}{
		"the network is away for an hour": {arm: func(s *atlassiantest.Server) {
			f := s.Fault(atlassiantest.Fault{Action: atlassiantest.Reset()})
			time.AfterFunc(time.Hour, f.Disarm)
		}, said: "; asked again in 5m0s"},
		"Atlassian wants to be left alone": {arm: func(s *atlassiantest.Server) {
			s.Fault(atlassiantest.Fault{After: 3, Times: 1, Action: atlassiantest.RateLimit(20*time.Minute, atlassiantest.RetrySeconds)})
		}, said: "Atlassian is not asked before "},
		"known records are not shown for a while": {arm: func(s *atlassiantest.Server) {
			f := s.Fault(atlassiantest.Fault{After: 4, Action: atlassiantest.EmptyList()})
			time.AfterFunc(10*time.Minute, f.Disarm)
		}, said: "so it is not believed"},
		"the same page comes twice for a while": {arm: func(s *atlassiantest.Server) {
			f := s.Fault(atlassiantest.Fault{After: 4, Action: atlassiantest.RepeatPage()})
			time.AfterFunc(10*time.Minute, f.Disarm)
		}},
		"one product is refused": {arm: func(s *atlassiantest.Server) {
			s.Fault(atlassiantest.Fault{Product: atlassiantest.Jira, After: 3, Action: atlassiantest.ServerError(403)})
		}, failed: map[audit.Product]string{audit.Jira: "403"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pastWorld(t, classicAuth, func(t *testing.T, w *world, c *Config) {
				w.runWell(c)
				row.arm(w.server)
				o, said := month(time.Now()), ""
				o.Progress = func(all []BackfillProgress) {
					for _, p := range all {
						said += p.Why + "\n"
					}
				}
				left := c.Products
				for _, r := range Backfill(t.Context(), targetsOf(c), o, w.options) {
					want, fails := row.failed[r.Product]
					if fails != (r.Error != nil) || !strings.Contains(told(r), want) || r.Done == fails {
						t.Errorf("%+v, error %q", r, told(r))
					}
					if fails {
						left = slices.DeleteFunc(slices.Clone(left), func(p audit.Product) bool { return p == r.Product })
					}
				}
				if !strings.Contains(said, row.said) {
					t.Errorf("%q was not said", row.said)
				}
				w.wantSpooled(left...)
			})
		})
	}
}

// TestTwoBackfillsOfOneStream: the second says so, and reads what the first does not.
func TestTwoBackfillsOfOneStream(t *testing.T) {
	t.Parallel()
	pastWorld(t, classicAuth, func(t *testing.T, w *world, c *Config) {
		w.runWell(c)
		lock, err := state.LockBackfill(foldersOf(c.RunPath, c.Name()).state(audit.Jira))
		if err != nil {
			t.Fatal(err)
		}
		res := Backfill(t.Context(), targetsOf(c), month(time.Now()), w.options)
		if res[0].Done || !strings.Contains(told(res[0]), "another backfill of it is in progress") || !res[1].Done {
			t.Errorf("the backfills ended with %+v", res)
		}
		if err := lock.Close(); err != nil {
			t.Fatal(err)
		}
		readWell(t, Backfill(t.Context(), targetsOf(c), month(time.Now()), w.options))
		w.wantSpooled(c.Products...)
	})
}

// TestABackfillThatIsDoneSurvivesItsState: the copy of the state that it makes at its end
// knows what was read.
func TestABackfillThatIsDoneSurvivesItsState(t *testing.T) {
	t.Parallel()
	pastWorld(t, classicAuth, func(t *testing.T, w *world, c *Config) {
		w.runWell(c)
		readWell(t, Backfill(t.Context(), targetsOf(c), month(time.Now()), w.options))
		for _, p := range c.Products {
			if err := os.Remove(foldersOf(c.RunPath, c.Name()).state(p).State); err != nil {
				t.Fatal(err)
			}
		}
		res := Backfill(t.Context(), targetsOf(c), month(time.Now()), w.options)
		readWell(t, res)
		if len(res[0].Notices) == 0 || !strings.Contains(res[0].Notices[0], "its copy of") {
			t.Errorf("a state that was lost was not told: %+v", res[0])
		}
		w.wantSpooled(c.Products...)
	})
}

func TestABackfillOfASiteThatMachinesShare(t *testing.T) {
	t.Parallel()
	pastWorld(t, classicAuth, func(t *testing.T, w *world, c *Config) {
		c.Shared = &Shared{}
		for _, r := range Backfill(t.Context(), targetsOf(c), month(time.Now()), w.options) {
			if r.Done || !strings.Contains(told(r), "where several machines share a site") {
				t.Errorf("%+v: %q", r, told(r))
			}
		}
		if n := len(w.requests()); n != 0 {
			t.Errorf("%d requests were made", n)
		}
	})
}

// TestARunWaitsForTheStepOfABackfill: another run is no reason to wait.
func TestARunWaitsForTheStepOfABackfill(t *testing.T) {
	t.Parallel()
	for name, backfilled := range map[string]bool{"a step of a backfill": true, "another run": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				c := w.config(classicAuth)
				w.runWell(c)
				files := foldersOf(c.RunPath, c.Name()).state(audit.Jira)
				held, err := state.Lock(files, 0)
				if err != nil {
					t.Fatal(err)
				}
				var backfill io.Closer = io.NopCloser(nil)
				if backfilled {
					if backfill, err = state.LockBackfill(files); err != nil {
						t.Fatal(err)
					}
				}
				time.AfterFunc(2*time.Second, func() { _ = held.Close() })
				_, rec := w.runWell(c)
				_, there := metric(rec, MetricLag, audit.Jira)
				if there != backfilled {
					t.Errorf("the run read jira: %t", there)
				}
				pass(3 * time.Second)
				if err := errors.Join(backfill.Close()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestAnEstimateOfABackfill(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		fill  func(*world)
		exact bool
		off   float64 // what part it may be wrong by
	}{
		"few records are counted": {fill: func(*world) {}, exact: true},
		"many are estimated":      {fill: func(w *world) { w.server.Fill(60_000, 20*24*time.Hour) }, off: 0.05},
		"pages are clamped silently": {fill: func(w *world) {
			for _, p := range []string{atlassiantest.Jira, atlassiantest.Confluence} {
				w.server.UpdateQuirks(p, func(q *atlassiantest.Quirks) { q.MaxPage, q.EchoRequestedLimit = 10, true })
			}
		}, off: 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pastWorld(t, classicAuth, func(t *testing.T, w *world, c *Config) {
				w.runWell(c)
				row.fill(w)
				before := w.spooled(audit.Jira)
				for _, target := range targetsOf(c) {
					e := EstimateBackfill(t.Context(), target, month(time.Now()), w.options)
					want := float64(w.server.Len(string(target.Product)) - len(w.spooled(target.Product)))
					if e.Error != nil || e.Exact != row.exact || float64(e.Records) < want*(1-row.off) || float64(e.Records) > want*(1+row.off) {
						t.Errorf("%v records are estimated as %+v", want, e)
					}
					if e.Samples > 2*mostSamples || e.Oldest == nil || e.Bytes < int64(e.Records)*500 || e.PerMinute != 60 || e.Seconds != float64(e.Requests) {
						t.Errorf("the estimate is %+v", e)
					}
				}
				if after := w.spooled(audit.Jira); len(after) != len(before) {
					t.Error("an estimate wrote records")
				}
				s, err := StatusOf(Instance{Config: c}, time.Now())
				if err != nil || len(s.Products[0].History) != 0 {
					t.Errorf("an estimate left %+v (%v)", s.Products[0], err)
				}
			})
		})
	}
}
