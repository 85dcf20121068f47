package collect_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/collect"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/state"
)

var errState = errors.New("the state fails")

// TestEveryCallOfTheStateFails lets the n-th call of the state fail, for every n
// that a first run and the one after it make, and all after it. The run must say
// so, whatever the call was for, and commit nothing after a commit that failed;
// the next ones lose and repeat nothing.
func TestEveryCallOfTheStateFails(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			calls := map[string]int{}
			for n := 1; ; n += k.stride() {
				reached := ""
				dir := t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					m := newMachine(newSite(k, 1), dir)
					m.o.PageSize = 10
					m.site.add(12, 7*time.Minute, 20*time.Minute)
					m.site.burst(13, 15*time.Minute)
					count := 0
					m.fault = func(call string) error {
						if count++; count < n {
							return nil
						}
						if reached == "Commit" && call == "Commit" {
							t.Errorf("call %d, a commit, failed, and another was tried", n)
						}
						if reached == "" {
							reached = call
						}
						return errState
					}
					for range 2 {
						before := reached
						_, err := m.run()
						if before == "" && reached != "" && !errors.Is(err, errState) {
							t.Errorf("call %d, %s, failed, and the run said %v", n, reached, err)
						}
						if reached != "" {
							break
						}
						pass(interval)
						m.site.add(5, time.Second, 0)
					}
					m.fault = nil
					if _, err := m.settle(); err != nil {
						t.Fatal(err)
					}
					must(t, m.exactly())
				})
				if reached == "" {
					break
				}
				calls[reached]++
			}
			for _, call := range []string{"Position", "Batch", "SeenAt", "Commit", "Mark"} {
				if calls[call] == 0 && !k.isLight() {
					t.Errorf("%s was never called: %v", call, calls)
				}
			}
		})
	}
}

// TestAfterAFailedCommitNothingIsDone: what is on the disk is not known then.
func TestAfterAFailedCommitNothingIsDone(t *testing.T) {
	t.Parallel()
	quietly(t, func(t *testing.T, m *machine) {
		m.site.add(3, time.Second, time.Minute)
		asked := 0
		m.opened(t, func(c *collect.Collector, source collect.Source) {
			failing := false
			m.fault = func(call string) error {
				if failing && call == "Commit" {
					return errState
				}
				return nil
			}
			must(t, c.Live(t.Context(), time.Now().Add(time.Minute)))
			failing = true
			if err := c.Wait(time.Now().Add(time.Hour), "quota"); !errors.Is(err, errState) {
				t.Errorf("Wait: %v", err)
			}
			failing = false
			asked = requests(source)
			soft := time.Now().Add(time.Minute)
			for name, do := range map[string]func() error{
				"Live":  func() error { return c.Live(t.Context(), soft) },
				"Guard": func() error { return c.Guard(t.Context()) },
				"Rest":  func() error { _, err := c.Rest(t.Context(), soft); return err },
				"Wait":  func() error { return c.Wait(soft, "quota") },
			} {
				if err := do(); !errors.Is(err, errState) {
					t.Errorf("%s after it: %v", name, err)
				}
			}
			if n := requests(source); n != asked {
				t.Errorf("%d questions were asked after it", n-asked)
			}
		})
		m.fault = nil
		_, err := m.settle()
		must(t, err)
		must(t, m.exactly())
	})
}

// TestAFileThatIsLetGo: the next line begins a new one, also where the state
// failed meanwhile.
func TestAFileThatIsLetGo(t *testing.T) {
	t.Parallel()
	quietly(t, func(t *testing.T, m *machine) {
		m.site.add(3, time.Second, time.Minute)
		_, err := m.settle()
		must(t, err)
		first := m.file(t)
		for _, what := range []string{"NewFile", "Close"} {
			m.site.add(1, time.Second, 0)
			pass(interval)
			m.opened(t, func(c *collect.Collector, _ collect.Source) {
				must(t, c.Live(t.Context(), time.Now().Add(time.Minute)))
				m.fault = func(call string) error {
					if call == "Commit" {
						return errState
					}
					return nil
				}
				var err error
				if what == "NewFile" {
					err = c.NewFile()
				} else {
					err = c.Close()
				}
				if !errors.Is(err, errState) {
					t.Errorf("%s: %v", what, err)
				}
				if err := c.Live(t.Context(), time.Now().Add(time.Minute)); !errors.Is(err, errState) {
					t.Errorf("Live after %s: %v", what, err)
				}
				m.fault = nil
			})
		}
		if got := m.file(t); got != first {
			t.Errorf("the file is %q, and was %q", got, first)
		}
		m.opened(t, func(c *collect.Collector, _ collect.Source) {
			must(t, c.NewFile())
			if p := c.Position(); p.File != "" || p.End != 0 || p.FileSince != 0 {
				t.Errorf("the position still says %+v", p)
			}
		})
		if got := m.file(t); got != "" {
			t.Errorf("the state still says %q", got)
		}
		m.site.add(1, time.Second, 0)
		_, err = m.settle()
		must(t, err)
		if got := m.file(t); got == "" || got == first {
			t.Errorf("the next line went to %q", got)
		}
		must(t, m.exactly())
	})
}

// TestOptionsThatMakeNoSense are refused before anything is read.
func TestOptionsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	good := usual
	good.Stream = audit.Stream{Site: "example.atlassian.net", Product: audit.Jira}
	good.Now, good.ServerNow = time.Now, time.Now
	for name, row := range map[string]struct {
		change func(*collect.Options)
		want   string // empty: it is taken, and the state is asked
	}{
		"as they are usual":                      {func(*collect.Options) {}, ""},
		"without a page size":                    {func(o *collect.Options) { o.PageSize = 0 }, ""},
		"a page of one":                          {func(o *collect.Options) { o.PageSize = 1 }, ""},
		"a page of less than nothing":            {func(o *collect.Options) { o.PageSize = -1 }, "must be positive"},
		"without a batch size":                   {func(o *collect.Options) { o.BatchSize = 0 }, ""},
		"a batch of one byte":                    {func(o *collect.Options) { o.BatchSize = 1 }, ""},
		"a batch of less than nothing":           {func(o *collect.Options) { o.BatchSize = -1 }, "must be positive"},
		"no look back at first":                  {func(o *collect.Options) { o.InitialLookback = 0 }, "must be positive"},
		"no look back later":                     {func(o *collect.Options) { o.Lookback = 0 }, ""},
		"a look into the future":                 {func(o *collect.Options) { o.Lookback = -1 }, "must be positive"},
		"no reconcile window":                    {func(o *collect.Options) { o.ReconcileWindow = 0 }, ""},
		"a reconcile window in the future":       {func(o *collect.Options) { o.ReconcileWindow = -1 }, "must be positive"},
		"no time from one reconcile to the next": {func(o *collect.Options) { o.ReconcileInterval = 0 }, "must be positive"},
		"no clock":                               {func(o *collect.Options) { o.Now = nil }, "a clock is missing"},
		"no clock of Atlassian's":                {func(o *collect.Options) { o.ServerNow = nil }, "a clock is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := good
			row.change(&o)
			m := &machine{fault: func(string) error { return errState }}
			c, err := collect.Open(o, spiedState{&state.Store{}, m}, spiedSpool{&spool.Dir{}, m}, nil)
			if c != nil || err == nil || row.want == "" != errors.Is(err, errState) || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want %q", err, row.want)
			}
		})
	}
}

// quietly runs f in a bubble, for the first kind of source alone: what it is
// about is not the source's.
func quietly(t *testing.T, f func(t *testing.T, m *machine)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { f(t, newMachine(newSite(kinds[0], 1), dir)) })
}

// requests is how many questions a source was asked.
func requests(s collect.Source) int {
	return s.(interface{ Requests() int }).Requests()
}

// opened opens the collector as a run does, lets do use it, and closes the state
// alone.
func (m *machine) opened(t *testing.T, do func(*collect.Collector, collect.Source)) {
	t.Helper()
	store, _, err := state.Open(m.files, state.Options{Now: time.Now})
	must(t, err)
	defer func() { must(t, store.Close()) }()
	p, err := store.Position()
	must(t, err)
	at, err := m.site.Open(t.Context(), m.site.Site, p, m.asker)
	must(t, err)
	dir, err := spool.Open(m.disk, spoolDir, spool.Options{Now: time.Now, Oversize: "/run/oversize"})
	must(t, err)
	o := m.o
	o.Stream, o.Now, o.ServerNow = at.Stream, time.Now, at.Now
	c, err := collect.Open(o, spiedState{store, m}, spiedSpool{dir, m}, at.Source)
	must(t, err)
	do(c, at.Source)
}

// file is the spool file that the state says is appended to.
func (m *machine) file(t *testing.T) string {
	t.Helper()
	p, err := state.Peek(m.files, time.Second)
	must(t, err)
	return p.File
}
