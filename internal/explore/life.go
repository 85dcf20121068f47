package explore

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
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
	for _, s := range w.streams {
		w.note(nil, fmt.Sprintf("%s, %d a page, batches of %d, history since %s, %+v", s.site.Name, s.options.PageSize, s.options.BatchSize, s.since.Format(time.DateOnly), s.site.Quirks(string(s.site.Product))))
	}
	w.note(nil, fmt.Sprintf("budget %s, files of %d, %+v", w.budget, w.fileSize, w.moods))
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
		pick(r, w.streams...).happen()
	}
	if r.IntN(12) == 0 {
		w.trouble()
	}
	s := pick(r, w.streams...)
	w.first = w.start(s, check).id
	if r.IntN(5) == 0 {
		w.start(s, replay)
	}
	for _, other := range w.streams {
		if other.since.IsZero() || r.IntN(3) != 0 {
			continue
		}
		w.start(other, backfill)
	}
	if other := pick(r, w.streams...); other != s {
		w.start(other, check)
	}
	if err := w.drive(); err != nil {
		return err
	}
	for range r.IntN(3) {
		w.serve()
	}
	return w.law.check()
}

// mostMet is how many more runs a step may begin while one goes on: where one waits
// for the state that another holds, there could be a next one for ever.
const mostMet = 8

// mostTurns is how many operations there are in a life at most: ten times as many as
// in the longest of the first worlds. One that has more does not end.
const mostTurns = 1_000_000

// drive lets the runs go on until all are over.
func (w *world) drive() error {
	for {
		waiting := w.turns.next(w.allOver)
		if err := w.hold(); err != nil {
			return err
		}
		if len(waiting) == 0 {
			return nil
		}
		if w.counts["turns"] >= mostTurns {
			return fmt.Errorf("the runs do not come to an end within %d operations", mostTurns)
		}
		w.turn(waiting[w.rand.IntN(len(waiting))])
	}
}

// hold holds the law against what the last turn did: all of it where a process ended
// or the power failed, else what the operation can have changed; now and then also
// what would be left if the power failed now.
func (w *world) hold() error {
	t, all := w.done, w.crashed
	w.done, w.crashed = nil, false
	glance, commit := false, (*stream)(nil)
	if t != nil {
		switch names := strings.Fields(t.op); names[1] {
		case "Commit":
			glance, commit = true, t.who.s
		case "WriteAt", "Truncate", "Rename", "Remove":
			for _, name := range names[2:] {
				if isOurs(name) {
					w.shelf.look(name)
					glance = true
				}
			}
		}
	}
	var bad error
	w.running = slices.DeleteFunc(w.running, func(p *process) bool {
		if !w.ended(p) {
			return false
		}
		all = true
		if p.job == replay && p.err == nil && p.out.undisturbed() && !p.dead.Load() && bad == nil {
			bad = w.law.replayed(p.s)
		}
		return true
	})
	if glance && bad == nil {
		bad = w.law.glance(commit)
	}
	if glance && bad == nil && w.fears.IntN(40) == 0 {
		bad = w.law.imagine(w.fears.Uint64())
	}
	if all && bad == nil {
		bad = w.law.check()
	}
	return bad
}

// isOurs reports a path of the disk where lines may stand, or what is known of them.
func isOurs(name string) bool {
	switch path.Dir(name) {
	case places.Spool, places.Late, places.Delivered:
		return true
	}
	return strings.HasSuffix(name, ".replayed.json")
}

// What is counted of answers that were fetched before their turn.
const (
	foreseen = "answers fetched before their turn"
	early    = "answers fetched before their turn and asked for"
)

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
	w.count(foreseen, int(p.foreseen.Load()))
	w.count(early, int(p.early.Load()))
	return true
}

// turn gives a process its turn, and lets something else happen before it or
// in its place.
func (w *world) turn(t *turn) {
	r, m := w.rand, w.moods
	dice := func(of int) bool { return !w.calm && r.IntN(1000) < of }
	w.count("turns", 1)
	if dice(m.arrive) {
		pick(r, w.streams...).happen()
	}
	if dice(m.agent) {
		w.serve()
	}
	if dice(m.second) && len(w.running) < 3 && w.began < w.first+mostMet {
		s, what := pick(r, w.streams...), pick(r, check, check, backfill, replay)
		if what == backfill && s.since.IsZero() {
			what = check
		}
		w.start(s, what)
	}
	if dice(m.pause) {
		w.note(nil, "time passes")
		pass(time.Duration(1+r.IntN(700)) * time.Millisecond)
	}
	pass(w.cost(t.op))
	w.done = t
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
		t.who.s.wrong()
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

// interval is the time between two runs, once all is well.
const interval = time.Minute

// pass lets time go by in the bubble of testing/synctest that a world lives in:
// nobody waits for it.
func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // see above
