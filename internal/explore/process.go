package explore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"atlassian_audit_records/internal/sourcetest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/collect"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/state"
)

// job is what a process is for.
type job string

const (
	check    job = "check"    // a run of the check
	backfill job = "backfill" // a step of a backfill
	replay   job = "replay"   // a replay of everything that was delivered
)

// process is a run of the check, or of a command beside it.
type process struct {
	id     int
	w      *world
	s      *stream
	job    job
	cancel context.CancelFunc
	dead   atomic.Bool // it was killed
	over   atomic.Bool // nothing of it goes on any more
	names  *rand.Rand
	jitter *rand.Rand
	// known is the number of records that there were when it began.
	known int
	// foreseen are the questions that were asked before their turn, and early those of
	// them that were asked then.
	foreseen, early atomic.Int64
	// copies: it keeps a copy of the state in the end.
	copies bool
	out    outcome
	err    error
}

// outcome is what a run says of itself.
type outcome struct {
	collect.Summary
	// busy: another run held the state. waited: Atlassian wants to be left alone.
	// paused: there was no room. more: something was left unread.
	busy, waited, paused, more bool
	// undelivered are the bytes that the Agent has not taken.
	undelivered int64
}

// complete tells that nothing was left to read.
func (o outcome) complete() bool {
	return o.LiveDone && o.undisturbed() && o.Gap == 0 && o.Recheck == 0
}

// undisturbed tells that nothing kept it from what it had to do.
func (o outcome) undisturbed() bool { return !o.busy && !o.waited && !o.paused }

// maxWait is the longest that a wait is believed, as by the check.
const maxWait = 6 * time.Hour

// start begins a process.
func (w *world) start(s *stream, what job) *process {
	w.began++
	p := &process{
		id: w.began, w: w, s: s, job: what, known: len(s.records), copies: w.rand.IntN(8) == 0,
		names:  chance(w.seed, uint64(w.began)),
		jitter: chance(w.seed, 1<<32+uint64(w.began)),
	}
	ctx, cancel := context.WithTimeout(context.Background(), w.budget+time.Minute)
	p.cancel = cancel
	w.running = append(w.running, p)
	w.note(p, fmt.Sprint("a ", what, " of ", s.site.Name))
	go func() {
		defer w.turns.wake()
		defer cancel()
		if what == replay {
			p.err = p.replay()
		} else {
			p.err = p.run(ctx)
		}
		p.over.Store(true)
	}()
	return p
}

// run is what the check does in a run, in its order, and a backfill in a step.
func (p *process) run(ctx context.Context) (err error) {
	w, s := p.w, p.s
	if err := w.turns.ask(p, "state Open"); err != nil {
		return err
	}
	// What two processes wait for never ends at the same instant, for then nothing
	// would say which of them goes on first.
	pass(time.Duration(p.id) * time.Microsecond)
	held, _, err := state.Open(s.files, state.Options{Now: w.now, Holds: func(b audit.Batch) error {
		dir, err := p.spool()
		if err != nil {
			return err
		}
		return dir.Holds(b)
	}})
	if errors.Is(err, state.ErrBusy) {
		p.out.busy = true
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	store := &stateOf{Store: held, p: p}
	before, err := store.Position()
	if err != nil {
		return err
	}
	s.position = before

	tracker, err := p.track()
	if err == nil {
		_, err = tracker.Settle(before.File)
	}
	if err != nil {
		p.mishap(err)
	}
	p.out.paused, err = p.pause()
	if err != nil {
		return err
	}
	at, err := s.site.Open(ctx, s.site, before, sourcetest.Asker{
		Transport: func(t http.RoundTripper) http.RoundTripper { return network{t, p} },
		Now:       w.now, Rand: p.jitter.Float64,
	})
	if err != nil {
		return err
	}
	dir, err := p.spool()
	if err != nil {
		return err
	}
	o := s.options
	o.Stream, o.Now, o.ServerNow = at.Stream, w.now, at.Now
	o.Mark = func(resume int64) error {
		if err := w.turns.ask(p, "state Mark"); err != nil {
			return err
		}
		return state.Mark(s.files, resume, w.now())
	}
	var source collect.Source = at.Source
	if s.site.Quiet {
		source = reading{at.Source, p}
	} else if s, ok := source.(collect.Prefetcher); ok {
		source = &foreseeing{Prefetcher: s, p: p}
	}
	c, err := collect.Open(o, store, dir, source)
	if err != nil {
		return err
	}
	defer func() { p.out.Summary = c.Summary() }()
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Release())
		}
	}()
	switch {
	case tracker == nil:
	case p.job == backfill: // it leaves what lies undelivered to the check
		if err := tracker.Save(); err != nil {
			p.mishap(err)
		}
	default:
		if err := p.deliver(tracker, c); err != nil {
			return err
		}
	}
	now, until := w.now(), time.UnixMilli(before.WaitUntil)
	p.out.waited = now.Before(until) && until.Sub(now) <= maxWait
	if p.out.waited || p.out.paused {
		return nil
	}
	err = p.collect(ctx, c, func() { c.SetSite(at.Stream.CloudID, at.Source.Route()) })
	var wait interface{ WaitUntil() (time.Time, bool) }
	if errors.As(err, &wait) {
		if until, ok := wait.WaitUntil(); ok {
			if latest := w.now().Add(maxWait); until.After(latest) {
				until = latest
			}
			return errors.Join(err, c.Wait(until, "quota"))
		}
	}
	if err == nil {
		err = c.Close()
	}
	if err == nil && p.copies {
		if err = w.turns.ask(p, "state Copy"); err == nil {
			err = errors.Join(state.Mark(s.files, c.Resume(), w.now()), held.Copy(s.files))
		}
	}
	return err
}

// spool is the folder of the lines.
func (p *process) spool() (*spool.Dir, error) {
	w := p.w
	return spool.Open(disk{w, p}, places.Spool, spool.Options{
		Now: w.now, Random: p.names.Uint64, Oversize: oversizeDir, MaxSize: w.fileSize, Staged: p.s.name, StageFrom: w.stageFrom,
	})
}

// deliver sees to what lies undelivered for too long, and to what is remembered.
func (p *process) deliver(t *spool.Tracker, c *collect.Collector) error {
	var broken error
	_, err := t.Renew(c.Position().File, func() error {
		broken = c.NewFile()
		return broken
	}, func() bool { return false })
	if broken != nil {
		return broken
	}
	if err != nil {
		p.mishap(err)
	}
	standing, err := t.Standing()
	if err == nil {
		p.out.undelivered = standing.Bytes
		err = t.Save()
	}
	if err != nil {
		p.mishap(err)
	}
	return nil
}

// mishap is what goes wrong with the delivery: the next run tries again.
func (p *process) mishap(err error) { p.w.note(p, fmt.Sprintf("mishap: %v", err)) }

// collect asks until nothing is left or the time is over.
func (p *process) collect(ctx context.Context, c *collect.Collector, learned func()) error {
	soft := p.w.now().Add(p.w.budget)
	if p.job == backfill {
		defer learned()
		return p.backfill(ctx, c, soft)
	}
	err := c.Live(ctx, soft)
	learned()
	if err == nil {
		err = c.Guard(ctx)
	}
	for first := true; err == nil && (first || p.out.more && p.w.now().Before(soft)); first = false {
		p.out.more, err = c.Rest(ctx, soft)
	}
	return err
}

// backfill reads a page or more of the history that somebody wants. Where the check
// never read anything, it is its first run.
func (p *process) backfill(ctx context.Context, c *collect.Collector, soft time.Time) (err error) {
	if c.Position().LiveAt == 0 {
		return c.Live(ctx, soft)
	}
	if err := c.Want(p.s.since.UnixMilli(), p.w.now().UnixMilli()); err != nil {
		return err
	}
	p.out.more, err = c.History(ctx, soft)
	return err
}

// track looks at what the stream has in the spool.
func (p *process) track() (*spool.Tracker, error) {
	p.w.serving.Lock()
	offsets := p.w.agent.Offsets()
	p.w.serving.Unlock()
	return spool.Track(disk{p.w, p}, places, spool.TrackerOptions{
		Now: p.w.now, Owner: p.s.owner, Offsets: offsets, Notes: p.s.notes,
	})
}

// replay puts all that was delivered back into the spool, as the command does.
func (p *process) replay() error {
	if err := p.w.turns.ask(p, "state Lock"); err != nil {
		return err
	}
	pass(time.Duration(p.id) * time.Microsecond)
	lock, err := state.Lock(p.s.files, 40*time.Second)
	if errors.Is(err, state.ErrBusy) {
		p.out.busy = true
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close() // nothing was written to it
	t, err := p.track()
	if err != nil {
		return err
	}
	if p.copies {
		p.s.again++
	}
	found, err := t.FindReplay(time.UnixMilli(0), p.w.now().Add(1000*time.Hour), p.s.ledger, p.copies)
	if err != nil {
		return err
	}
	p.w.note(p, fmt.Sprintf("finds %d parts of files, and %d that were put back", len(found.Parts), len(found.Before)))
	if p.out.paused = p.w.free()-found.Bytes() < minFree; p.out.paused {
		return nil
	}
	if err := t.Replay(found, p.s.ledger, p.names.Uint64); err != nil {
		return err
	}
	p.w.count("files put back", len(found.Parts))
	return t.Save()
}

// pause tells whether the spool or the disk is too full, after making room.
func (p *process) pause() (bool, error) {
	d := disk{p.w, p}
	u, err := places.Usage(d)
	if err != nil {
		return false, err
	}
	if free := p.w.free(); free < minFree && u.Delivered > 0 {
		if _, err := spool.MakeRoom(d, []spool.Folders{places}, minFree-free); err != nil {
			return false, err
		}
	}
	room, free := p.w.spoolSize, int64(minFree)
	if p.job == backfill {
		room, free = room/2, 2*free // the rest is for what happens now
	}
	return p.w.free() < free || u.Spooled > room, nil
}
