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

// process is one run of the check.
type process struct {
	id     int
	w      *world
	cancel context.CancelFunc
	dead   atomic.Bool // it was killed
	over   atomic.Bool // nothing of it goes on any more
	names  *rand.Rand
	jitter *rand.Rand
	// known is the number of records that there were when it began.
	known int
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
	return o.LiveDone && !o.busy && !o.waited && !o.paused && o.Gap == 0 && o.Recheck == 0
}

// maxWait is the longest that a wait is believed, as by the check.
const maxWait = 6 * time.Hour

// start begins a run.
func (w *world) start() *process {
	w.began++
	p := &process{
		id: w.began, w: w, known: len(w.records), copies: w.rand.IntN(8) == 0,
		names:  chance(w.seed, uint64(w.began)),
		jitter: chance(w.seed, 1<<32+uint64(w.began)),
	}
	ctx, cancel := context.WithTimeout(context.Background(), w.budget+time.Minute)
	p.cancel = cancel
	w.running = append(w.running, p)
	go func() {
		defer w.turns.wake()
		defer cancel()
		p.err = p.run(ctx)
		p.over.Store(true)
	}()
	return p
}

// run is what the check does in a run, in its order.
func (p *process) run(ctx context.Context) (err error) {
	w := p.w
	if err := w.turns.ask(p, "state Open"); err != nil {
		return err
	}
	// What two processes wait for never ends at the same instant, for then nothing
	// would say which of them goes on first.
	pass(time.Duration(p.id) * time.Microsecond)
	held, _, err := state.Open(w.files, state.Options{Now: w.now})
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
	w.position = before

	tracker, err := spool.Track(disk{w, p}, places, spool.TrackerOptions{
		Now: w.now, Owner: spool.Owner{Home: w.home, Product: w.site.Product}, Offsets: w.agent.Offsets(), Notes: notesPath,
	})
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
	at, err := w.site.Open(ctx, w.site, before, sourcetest.Asker{
		Transport: func(t http.RoundTripper) http.RoundTripper { return network{t, p} },
		Now:       w.now, Rand: p.jitter.Float64,
	})
	if err != nil {
		return err
	}
	dir, err := spool.Open(disk{w, p}, places.Spool, spool.Options{Now: w.now, Random: p.names.Uint64, Oversize: oversizeDir, MaxSize: w.fileSize})
	if err != nil {
		return err
	}
	o := w.options
	o.Stream, o.Now, o.ServerNow = at.Stream, w.now, at.Now
	o.Mark = func(resume int64) error {
		if err := w.turns.ask(p, "state Mark"); err != nil {
			return err
		}
		return state.Mark(w.files, resume, w.now())
	}
	var source collect.Source = at.Source
	if w.site.Quiet {
		source = reading{at.Source, p}
	}
	c, err := collect.Open(o, store, dir, source)
	if err != nil {
		return err
	}
	defer func() { p.out.Summary = c.Summary() }()
	if tracker != nil {
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
			err = errors.Join(state.Mark(w.files, c.Resume(), w.now()), held.Copy(w.files))
		}
	}
	return err
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
	return p.w.free() < minFree || u.Spooled > p.w.spoolSize, nil
}

// network carries the requests of a process, each at its turn.
type network struct {
	http.RoundTripper
	p *process
}

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := n.p.w.turns.ask(n.p, "ask "+r.URL.Path+"?"+r.URL.RawQuery); err != nil {
		if r.Body != nil {
			err = errors.Join(err, r.Body.Close())
		}
		return nil, err
	}
	return n.RoundTripper.RoundTrip(r)
}

// reading is a source that asks nobody: it reads its files at its turn.
type reading struct {
	collect.Source
	p *process
}

func (r reading) Page(ctx context.Context, q audit.Query) (audit.Page, error) {
	if err := r.p.w.turns.ask(r.p, fmt.Sprintf("read %+v", q)); err != nil {
		return audit.Page{}, err
	}
	return r.Source.Page(ctx, q)
}

// Asked passes on what the source wants to be remembered.
func (r reading) Asked() []audit.Asked {
	if s, ok := r.Source.(interface{ Asked() []audit.Asked }); ok {
		return s.Asked()
	}
	return nil
}

// Failures of a commit: of one that was not made, and of one that was made
// although it said otherwise.
var (
	errNoCommit = errors.New("the commit failed")
	errUnsure   = errors.New("the commit failed in its last step")
)

// stateOf is the state as a process sees it.
type stateOf struct {
	*state.Store
	p      *process
	failed error
}

func (s *stateOf) turn(op string) error {
	if err := s.p.w.turns.ask(s.p, "state "+op); err != nil {
		return err
	}
	return s.failed
}

func (s *stateOf) Position() (audit.Position, error) {
	if err := s.turn("Position"); err != nil {
		return audit.Position{}, err
	}
	return s.Store.Position()
}

func (s *stateOf) Batch() (audit.Batch, bool, error) {
	if err := s.turn("Batch"); err != nil {
		return audit.Batch{}, false, err
	}
	return s.Store.Batch()
}

func (s *stateOf) SeenAt(millis []int64) ([]audit.Seen, error) {
	if err := s.turn("SeenAt"); err != nil {
		return nil, err
	}
	return s.Store.SeenAt(millis)
}

func (s *stateOf) NextSeen(ms int64) (int64, bool, error) {
	if err := s.turn("NextSeen"); err != nil {
		return 0, false, err
	}
	return s.Store.NextSeen(ms)
}

func (s *stateOf) Commit(c audit.Change) error {
	err := s.turn("Commit")
	if err == nil || errors.Is(err, errUnsure) {
		if bad := s.Store.Commit(c); bad != nil {
			return bad
		}
		s.p.w.committed(s.p, c)
	}
	if err != nil && s.failed == nil {
		s.failed = err
	}
	return err
}
