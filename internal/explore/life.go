package explore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// Life is what became of a world.
type Life struct {
	// Digest is the same for two lives in which the same happened.
	Digest uint64
	// Counts say how often what happened.
	Counts map[string]int
}

// Live lets the world of a seed live for so many steps, and then come to a rest.
// It must be called in a bubble of testing/synctest. dir is a folder of its own.
// The error is a breach of the law.
//
// story, where it is not nil, takes a line for each thing that happens.
func Live(seed uint64, steps int, dir string, story io.Writer) (Life, error) {
	w, err := newWorld(seed, dir)
	if err != nil {
		return Life{}, err
	}
	w.story = story
	w.note(nil, fmt.Sprintf("%s, %d a page, batches of %d, budget %s, files of %d, %+v", w.site.Name, w.options.PageSize, w.options.BatchSize, w.budget, w.fileSize, w.moods))
	err = w.broken(w.live(steps))
	return Life{w.digest, w.counts}, errors.Join(err, w.end())
}

// end ends what goes on: after a finding, runs are in the midst of something.
func (w *world) end() error {
	for _, p := range w.running {
		w.kill(p)
	}
	return w.drive()
}

func (w *world) live(steps int) error {
	for w.steps = 1; w.steps <= steps; w.steps++ {
		if err := w.step(); err != nil {
			return fmt.Errorf("step %d: %w", w.steps, err)
		}
	}
	if err := w.rest(); err != nil {
		return fmt.Errorf("once everything was well again: %w", err)
	}
	return nil
}

// step is something that happens, and the law after it.
func (w *world) step() error {
	r := w.rand
	pass(pick(r, 0, 37*time.Millisecond, time.Minute, time.Minute, time.Minute, 3*time.Minute, 20*time.Minute, 7*time.Hour, 26*time.Hour))
	for range r.IntN(3) {
		w.happen()
	}
	if r.IntN(12) == 0 {
		w.trouble()
	}
	w.first = w.start().id
	if err := w.drive(); err != nil {
		return err
	}
	for range r.IntN(3) {
		w.serve()
	}
	return w.law.check()
}

// happen is something at the site.
func (w *world) happen() {
	r := w.rand
	n := 1 + r.IntN(12)
	what := pick(r, "add", "add", "add", "burst", "twins", "late", "later", "same", "rename", "ahead", "purge")
	w.note(nil, fmt.Sprint("records: ", what, " ", n))
	switch what {
	case "add":
		apart := time.Duration(1+r.IntN(2000)) * time.Millisecond
		for i := range n {
			w.add(1, apart*time.Duration(n-1-i))
		}
	case "burst":
		w.add(n+r.IntN(20), 0)
	case "twins":
		w.last = time.Now()
		w.stored(w.site.AddTwins(string(w.site.Product), 1+n%6, w.last))
	case "late":
		w.addAt(1+n%3, time.Now().Add(-time.Duration(r.Int64N(int64(14*time.Minute)))))
	case "later":
		w.addAt(1+n%3, time.Now().Add(-time.Duration(r.Int64N(int64(40*time.Hour)))))
	case "same":
		w.addAt(1+n%3, w.last)
	case "rename":
		if w.site.IDs || r.IntN(4) == 0 {
			w.site.RenameAll(fmt.Sprint("Name ", len(w.records)))
			w.renamed = true
		}
	case "purge":
		if r.IntN(6) == 0 {
			w.site.Purge(string(w.site.Product), time.Now().Add(-time.Duration(r.Int64N(int64(60*time.Hour)))))
			w.count("purges", 1)
		}
	case "ahead":
		if r.IntN(3) == 0 {
			w.addAt(1, time.Now().Add(time.Duration(r.Int64N(int64(2*time.Hour)))))
		}
	}
}

// serve is something that the Agent does, or that happens to it.
func (w *world) serve() {
	r, a := w.rand, w.agent
	what := pick(r, "work", "work", "read", "read", "arrive", "arrive", "arrive", "unheard", "flush", "flush", "restart", "lose", "dark", "down", "unreadable")
	if a.Down && what != "down" {
		return
	}
	w.note(nil, "the Agent: "+what)
	switch what {
	case "work":
		a.Work()
	case "read":
		a.Scan()
		a.Read(1 + r.IntN(3))
	case "arrive", "unheard":
		if n := a.InFlight(); n > 0 && !a.Dark {
			a.Arrive(r.IntN(n), what == "arrive")
		}
		if what == "unheard" {
			a.Restart()
		}
	case "flush":
		a.Flush()
	case "restart":
		a.Restart()
	case "lose":
		if r.IntN(4) == 0 {
			a.LoseRegistry()
		}
	case "dark":
		a.Dark = !a.Dark
	case "down":
		if a.Down = !a.Down; a.Down {
			a.Restart()
		}
	case "unreadable":
		a.Unreadable = !a.Unreadable
	}
}

// trouble is something rare that happens to the machine.
func (w *world) trouble() {
	r := w.rand
	what := pick(r, "the clock jumps", "the clock jumps", "the disk is nearly full", "the disk is nearly full", "the disk has room", "the state is lost", "the copy is lost", "the clock is right")
	w.note(nil, what)
	w.count(what, 1)
	switch what {
	case "the clock jumps":
		w.offset = time.Duration(r.Int64N(int64(pick(r, 2*time.Minute, 5*time.Hour, 30*time.Hour))))
		if r.IntN(2) == 0 {
			w.offset = -w.offset
		}
	case "the clock is right":
		w.offset = 0
	case "the disk is nearly full":
		w.capacity = w.used() + r.Int64N(3*minFree)
		w.disk.SetCapacity(w.capacity)
	case "the disk has room":
		w.capacity = -1
		w.disk.SetCapacity(w.capacity)
	case "the state is lost":
		if r.IntN(3) == 0 && len(w.running) == 0 {
			w.lose(w.files.State)
		}
	case "the copy is lost":
		if len(w.running) == 0 {
			_ = os.Remove(w.files.Copy) // there may be none
		}
	}
}

// lose removes the state, so that what it alone knew may come again.
func (w *world) lose(path string) {
	if os.Remove(path) != nil {
		return // there is none yet
	}
	w.law.forget()
}

// mostMet is how many more runs a step may begin while one goes on: where one waits
// for the state that another holds, there could be a next one for ever.
const mostMet = 8

// mostTurns is how many operations there are in a life at most. Of the first 300
// worlds none has a third as many; one that has more does not end.
const mostTurns = 200_000

// drive lets the runs go on until all are over.
func (w *world) drive() error {
	for {
		waiting := w.turns.next(w.allOver)
		w.running = slices.DeleteFunc(w.running, func(p *process) bool { return w.ended(p) })
		if len(waiting) == 0 {
			return nil
		}
		if w.counts["turns"] >= mostTurns {
			return fmt.Errorf("the runs do not come to an end within %d operations", mostTurns)
		}
		w.turn(waiting[w.rand.IntN(len(waiting))])
	}
}

func (w *world) allOver() bool {
	return !slices.ContainsFunc(w.running, func(p *process) bool { return !p.over.Load() })
}

// ended tells the end of a process, once.
func (w *world) ended(p *process) bool {
	if !p.over.Load() {
		return false
	}
	text := "ends well"
	switch {
	case p.err != nil:
		text = "ends: " + strings.ReplaceAll(p.err.Error(), "\n", "; ")
	case p.out.busy:
		text = "ends: busy"
		w.count("busy", 1)
	case p.out.paused:
		text = "ends: paused"
		w.count("paused", 1)
	case p.out.waited:
		text = "ends: waiting"
	}
	w.note(p, text)
	w.count("runs", 1)
	return true
}

// turn gives a process its turn, and lets something else happen before it or
// in its place.
func (w *world) turn(t *turn) {
	r, m := w.rand, w.moods
	dice := func(of int) bool { return !w.calm && r.IntN(1000) < of }
	w.count("turns", 1)
	if dice(m.arrive) {
		w.happen()
	}
	if dice(m.agent) {
		w.serve()
	}
	if dice(m.second) && len(w.running) < 3 && w.began < w.first+mostMet {
		w.start()
	}
	if dice(m.pause) {
		w.note(nil, "time passes")
		pass(time.Duration(1+r.IntN(700)) * time.Millisecond)
	}
	pass(w.cost(t.op))
	isDisk, isAsk := strings.HasPrefix(t.op, "disk "), strings.HasPrefix(t.op, "ask ")
	switch {
	case t.who.dead.Load():
		return
	case dice(m.kill):
		w.kill(t.who)
		return
	case dice(m.power):
		w.blackout()
		return
	case isDisk && dice(m.refuse):
		w.refusal = w.refusalOf(t.op)
		w.note(t.who, fmt.Sprint(t.op, " fails: ", w.refusal))
		w.count("refusals", 1)
		w.turns.give(t, nil)
		return
	case t.op == "state Commit" && dice(m.commit):
		bad := pick(r, errNoCommit, errUnsure)
		w.note(t.who, fmt.Sprint(t.op, " fails: ", bad))
		w.count("commits that failed", 1)
		w.turns.give(t, bad)
		return
	case isAsk && dice(m.answer):
		w.wrong()
	}
	w.note(t.who, t.op)
	w.turns.give(t, nil)
}

// cost is how long an operation takes. Without it a run's time would never be over:
// what comes while a moment is read would be of that moment, too, and the run
// that waits for the state would begin at the instant in which the other one ends.
// No two operations take equally long, so that what ends while one lasts does not
// end at the same instant.
func (w *world) cost(op string) time.Duration {
	longest := 200 * time.Microsecond
	switch kind, _, _ := strings.Cut(op, " "); {
	case kind == "ask":
		longest = w.slow
	case kind == "read", strings.HasPrefix(op, "disk Sync"), op == "state Commit":
		longest = 4 * time.Millisecond
	}
	return 1 + time.Duration(w.lags.Int64N(int64(longest)))
}

// wrong lets the next answers go wrong, in a way that an answer cannot hide.
func (w *world) wrong() {
	type way struct {
		name string
		a    atlassiantest.Action
	}
	f := pick(w.rand,
		way{"status 500", atlassiantest.ServerError(500)},
		way{"a connection reset", atlassiantest.Reset()},
		way{"an answer broken off", atlassiantest.Truncate(0.7)},
		way{"an answer that ends early", atlassiantest.TruncateQuietly(0.5)},
		way{"broken JSON", atlassiantest.MalformedJSON()},
		way{"no list", atlassiantest.MissingList()},
		way{"a short rate limit", atlassiantest.RateLimit(time.Second, atlassiantest.RetrySeconds)},
		way{"a rate limit", atlassiantest.RateLimit(5*time.Minute, atlassiantest.RetrySeconds)},
		way{"no answer", atlassiantest.Hang()},
		way{"status 403", atlassiantest.Answer(403, `{}`)},
		way{"a login page", atlassiantest.LoginPage()},
	)
	times := pick(w.rand, 1, 1, 2, 4)
	if w.rand.IntN(10) == 0 && w.began > w.lied+2 {
		// One list that is empty and should not be is asked for again.
		f, times, w.lied = way{"a false empty list", atlassiantest.EmptyList()}, 1, w.began
	}
	w.note(nil, fmt.Sprintf("%d answers go wrong: %s", times, f.name))
	w.count("answers that go wrong", times)
	w.site.Fault(atlassiantest.Fault{Times: times, Action: f.a})
}

// interval is the time between two runs, once all is well.
const interval = time.Minute

// pass lets time go by in the bubble of testing/synctest that a world lives in:
// nobody waits for it.
func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // see above

// rest lets everything be well again, and holds the last part of the law.
func (w *world) rest() error {
	w.calm = true
	w.site.ClearFaults()
	w.site.Change(func(q *atlassiantest.Quirks) { q.Latency = 0 })
	w.offset, w.capacity, w.refusal, w.budget, w.spoolSize = 0, -1, nil, 30*time.Second, 1<<40
	w.disk.SetCapacity(-1)
	w.agent.Down, w.agent.Dark, w.agent.Unreadable = false, false, false
	w.note(nil, "all is well again")
	if err := w.settle(); err != nil {
		return err
	}
	pass(w.options.ReconcileInterval + interval)
	if err := w.settle(); err != nil {
		return err
	}
	if err := w.law.collected(); err != nil {
		return err
	}
	for range 25 {
		if _, err := w.minute(); err != nil {
			return err
		}
	}
	if err := w.law.delivered(); err != nil {
		return err
	}
	// What is bounded: after some days only what is still written to is left. A file
	// whose end a power failure cut is given up where the Agent reads later lines.
	for day := range 5 {
		pass(25 * time.Hour)
		if day < 2 {
			w.add(1, 0)
		}
		for range 13 {
			if _, err := w.minute(); err != nil {
				return err
			}
		}
	}
	return w.law.bounded()
}

// minute is a run, and what the Agent does meanwhile.
func (w *world) minute() (outcome, error) {
	pass(interval)
	p := w.start()
	if err := w.drive(); err != nil {
		return outcome{}, err
	}
	w.agent.Work()
	if p.err != nil {
		return p.out, fmt.Errorf("a run failed: %w", p.err)
	}
	return p.out, nil
}

// patience is how many runs it may take until nothing is left to do: where known
// records were purged, each span that showed them waits for an hour.
const patience = 2000

// settle lets runs follow each other until one has nothing left to do.
func (w *world) settle() error {
	var out outcome
	var err error
	for range patience {
		out, err = w.minute()
		var f *finding
		switch {
		case errors.As(err, &f):
			return err
		case err == nil && out.complete():
			return w.law.check()
		}
	}
	return fmt.Errorf("nothing is complete after %d runs: %+v, the last error: %w", patience, out, err)
}
