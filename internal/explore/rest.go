package explore

import (
	"errors"
	"fmt"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
)

// rest lets everything be well again, and holds the last part of the law.
func (w *world) rest() error {
	w.calm = true
	for _, s := range w.streams {
		s.site.ClearFaults()
		s.site.Change(func(q *atlassiantest.Quirks) { q.Latency = 0 })
	}
	w.offset, w.capacity, w.refusal, w.budget, w.spoolSize = 0, -1, nil, 30*time.Second, 1<<40
	w.disk.SetCapacity(-1)
	w.agent.Down, w.agent.Dark, w.agent.Unreadable = false, false, false
	w.note(nil, "all is well again")
	if err := w.settle(); err != nil {
		return err
	}
	if err := w.dig(); err != nil {
		return err
	}
	pass(w.streams[0].options.ReconcileInterval + interval)
	if err := w.settle(); err != nil {
		return err
	}
	if err := w.law.collected(); err != nil {
		return err
	}
	if err := w.minutes(25); err != nil {
		return err
	}
	if err := w.law.delivered(); err != nil {
		return err
	}
	for _, s := range w.streams {
		if err := w.alone(s, replay); err != nil {
			return err
		}
	}
	// What is bounded: after some days only what is still written to is left. A file
	// whose end a power failure cut is given up where the Agent reads later lines.
	for day := range 5 {
		pass(25 * time.Hour)
		if day < 2 {
			for _, s := range w.streams {
				s.add(1, 0)
			}
		}
		if err := w.minutes(13); err != nil {
			return err
		}
	}
	return w.law.bounded()
}

// minute is a run of each product, and what the Agent does meanwhile. failed is what
// a run ended with; err is a breach of the law.
func (w *world) minute() (done bool, failed, err error) {
	pass(interval)
	var all []*process
	for _, s := range w.streams {
		all = append(all, w.start(s, check))
	}
	if err := w.drive(); err != nil {
		return false, nil, err
	}
	w.agent.Work()
	done = true
	for _, p := range all {
		done = done && p.err == nil && p.out.complete()
		if p.err != nil {
			failed = fmt.Errorf("a run of %s failed: %w", p.s.site.Name, p.err)
		}
	}
	return done, failed, nil
}

// minutes are so many of them, in which nothing fails.
func (w *world) minutes(n int) error {
	for range n {
		if _, failed, err := w.minute(); errors.Join(failed, err) != nil {
			return errors.Join(failed, err)
		}
	}
	return nil
}

// alone is a process that nothing disturbs, and that must not fail.
func (w *world) alone(s *stream, what job) error {
	pass(interval)
	p := w.start(s, what)
	if err := w.drive(); err != nil {
		return err
	}
	w.agent.Work()
	if p.err != nil || !p.out.undisturbed() {
		return fmt.Errorf("a %s of %s ended with %+v: %w", what, s.site.Name, p.out, p.err)
	}
	return nil
}

// patience is how many runs it may take until nothing is left to do: where known
// records were purged, each span that showed them waits for an hour.
const patience = 2000

// settle lets runs follow each other until those of each product have nothing left to
// do.
func (w *world) settle() error {
	var last error
	for range patience {
		done, failed, err := w.minute()
		if err != nil {
			return err
		}
		if done {
			return w.law.check()
		}
		last = failed
	}
	return fmt.Errorf("nothing is complete after %d runs, the last error: %w", patience, last)
}

// dig lets backfills read all that somebody wants.
func (w *world) dig() error {
	for _, s := range w.streams {
		for n := 0; !s.since.IsZero(); n++ {
			pass(interval)
			p := w.start(s, backfill)
			if err := w.drive(); err != nil {
				return err
			}
			w.agent.Work()
			if p.err == nil && p.out.undisturbed() && !p.out.more {
				break
			}
			if n == patience {
				return fmt.Errorf("the history of %s is not read after %d steps: %+v, the last error: %w", s.site.Name, n, s.position.History(), p.err)
			}
		}
		past := audit.Interval{From: s.since.UnixMilli(), To: s.position.Floor}
		if gaps := s.position.Covered.Gaps(past); !s.since.IsZero() && len(gaps) > 0 {
			return fmt.Errorf("the backfill of %s is over, and %v are not read", s.site.Name, gaps)
		}
	}
	return w.law.check()
}
