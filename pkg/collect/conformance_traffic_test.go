package collect_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// plan is a random life of a machine: everything is drawn before it begins.
type plan struct {
	kind     int
	seed     uint64
	pageSize int
	clamp    int
	shuffle  bool
	skew     time.Duration
	latency  time.Duration
	batch    int
	large    int
	budget   time.Duration
	history  int
	steps    []step
}

// step is what happens between two runs, and to the run that follows.
type step struct {
	wait    time.Duration
	event   string
	n       int
	ago     time.Duration
	fault   string
	request int
	kill    int
	power   bool
}

// honest are the faults that an answer cannot hide.
var honest = []string{"", "", "", "status 500", "a connection reset", "an answer broken off", "broken JSON", "a short rate limit", "no list", "no answer"}

func drawPlan(t *rapid.T) plan {
	p := plan{
		kind:     rapid.IntRange(0, len(kinds)-1).Draw(t, "kind"),
		seed:     rapid.Uint64Range(0, 1000).Draw(t, "seed"),
		pageSize: rapid.SampledFrom([]int{1, 2, 5, 20, 1000}).Draw(t, "page size"),
		clamp:    rapid.SampledFrom([]int{0, 3, 10}).Draw(t, "clamp"),
		shuffle:  rapid.Bool().Draw(t, "shuffled ties"),
		skew:     rapid.SampledFrom([]time.Duration{0, 20 * time.Minute, -20 * time.Minute}).Draw(t, "skew"),
		budget:   rapid.SampledFrom([]time.Duration{time.Second, 3500 * time.Millisecond, 30 * time.Second}).Draw(t, "budget"),
		latency:  rapid.SampledFrom([]time.Duration{0, 300 * time.Millisecond}).Draw(t, "latency"),
		large:    rapid.SampledFrom([]int{0, 1, 4000}).Draw(t, "large"),
		batch:    rapid.SampledFrom([]int{1, 8000, 0}).Draw(t, "batch"),
		history:  rapid.IntRange(0, 60).Draw(t, "history"),
	}
	// Ties of more than a page that change their places all the time, and have no
	// id, cannot be counted: that they are not lost is told by a story.
	p.shuffle = p.shuffle && p.pageSize == 1000 && p.clamp == 0
	p.steps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		s := step{
			wait:    rapid.SampledFrom([]time.Duration{0, 37 * time.Millisecond, time.Minute, time.Minute, 20 * time.Minute, 7 * time.Hour}).Draw(t, "wait"),
			event:   rapid.SampledFrom([]string{"add", "add", "burst", "twins", "late", "rename", "nothing", "same"}).Draw(t, "event"),
			n:       rapid.IntRange(1, 25).Draw(t, "n"),
			ago:     time.Duration(rapid.Int64Range(0, int64(14*time.Minute)).Draw(t, "ago")),
			fault:   rapid.SampledFrom(honest).Draw(t, "fault"),
			request: rapid.IntRange(1, 6).Draw(t, "request"),
			kill:    rapid.SampledFrom([]int{0, 0, 1, 2, 3, 4, 5, 8, 13}).Draw(t, "kill"),
			power:   rapid.Bool().Draw(t, "power"),
		}
		return s
	}), 1, 12).Draw(t, "steps")
	return p
}

// TestAnyLife is the promise as a property.
func TestAnyLife(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		var err error
		synctest.Test(t, func(*testing.T) { err = p.live() })
		if err != nil {
			rt.Fatal(err)
		}
	})
}

func (p plan) live() error {
	root, err := os.MkdirTemp("", "life")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(root) }() // nothing depends on it
	places := 0
	place := func() string {
		places++
		dir := fmt.Sprintf("%s/%d", root, places)
		_ = os.Mkdir(dir, 0o700) // its use would fail
		return dir
	}
	k := kinds[p.kind]
	m := newMachine(newSite(k, p.seed), place())
	m.budget, m.o.PageSize, m.o.BatchSize, m.stageFrom = p.budget, p.pageSize, p.batch, p.large
	m.site.quirks(func(q *quirks) {
		*q = quirks{MaxPage: p.clamp, EchoRequestedLimit: true, ShuffleTies: p.shuffle, ClockSkew: p.skew, Latency: p.latency}
	})
	m.site.Fill(p.history, 10*time.Hour, string(k.Product))
	r := rand.New(rand.NewPCG(p.seed, 7))
	last := time.Now()
	for i, s := range p.steps {
		time.Sleep(s.wait)
		switch s.event {
		case "add":
			last = time.Now()
			m.site.add(s.n, time.Duration(1+r.IntN(2000))*time.Millisecond, 0)
		case "burst":
			last = time.Now()
			m.site.burst(s.n, 0)
		case "twins":
			last = time.Now()
			m.site.twins(1+s.n%6, 0)
		case "late":
			m.site.AddLate(string(k.Product), 1+s.n%3, s.ago)
		case "same":
			m.site.AddBurst(string(k.Product), 1+s.n%2, last)
		case "rename":
			m.site.rename(fmt.Sprint("Name ", i))
		}
		var armed *atlassiantest.Armed
		if s.fault != "" {
			armed = m.site.Fault(atlassiantest.Fault{After: s.request - 1, Times: 3, Action: faults[s.fault].action})
		}
		var moments []moment
		if s.kill > 0 {
			m.watch(&moments)
		}
		if _, err := m.run(); err != nil && s.fault == "" {
			return fmt.Errorf("step %d: %w", i, err)
		}
		m.between = nil
		if armed != nil {
			armed.Disarm()
		}
		if s.kill > 0 && s.kill <= len(moments) {
			at := moments[s.kill-1]
			disk := at.disk.Clone()
			if s.power {
				disk = at.disk.Crash(uint64(i))
			}
			if m, err = m.restart(at, disk, place()); err != nil {
				return err
			}
		}
	}
	if _, err := m.settle(); err != nil {
		return err
	}
	if err := m.reconcile(); err != nil {
		return err
	}
	l, err := m.audit()
	if err != nil {
		return err
	}
	if !k.IDs && slices.ContainsFunc(p.steps, func(s step) bool { return s.event == "rename" }) {
		// Where a millisecond was cut by a kill and people in it were renamed,
		// nobody can tell the old from the new: then both are taken.
		l.Repeated = 0
	}
	return l.Err()
}
