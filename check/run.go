package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/auth"
	"atlassian_audit_records/pkg/state"
)

const (
	// maxWait is the longest that a wait is believed: a clock that was wrong
	// must not stop collecting for good.
	maxWait = 6 * time.Hour
	// copyAge is the age at which the copy of a state is made anew.
	copyAge = 6 * time.Hour
	// maxBatch bounds the bytes that share a commit; so does the size of the spool,
	// which is looked at between two of them.
	maxBatch = 5 << 19
)

// run is one run of one instance.
type run struct {
	config  *Config
	options Options
	report  Report
	sender  *Sender
	folders folders
	began   time.Time
	// ours is true once the folders are known to be nobody else's.
	ours    bool
	secrets []string
	site    *site
	cloudID string
	streams []*stream
	// registry is what is known of what the Agent has delivered, room what may
	// still be written.
	registry registry
	room     room
	// pagesLeft is how many pages may be read before the spool is measured again.
	pagesLeft atomic.Int64
	// shared is what the run has to do with other machines.
	shared sharing
	// backfill is true where this is a step of a backfill.
	backfill bool
	// copyNow keeps a copy of the state however old the last one is.
	copyNow bool
}

// collect does the run's work for all products, until soft.
func (r *run) collect(ctx context.Context, soft time.Time) {
	for _, p := range r.config.Products {
		r.streams = append(r.streams, &stream{product: p, files: r.folders.state(p)})
	}
	if err := r.folders.secure(); err != nil {
		r.fail(err)
	} else {
		r.ours = true
		r.openStates()
		r.hold(ctx)
		r.settleDelivery()
		r.pause()
		r.openCollectors(ctx)
		r.renewDelivery(soft)
		r.shareDelivered(ctx)
		r.lookAtDelivery()
		r.live(ctx, soft)
		r.guard(ctx, soft)
		r.rest(ctx, soft)
		r.resolve(ctx, soft)
		r.shareWaits(ctx)
	}
	clock := r.clockOff()
	for _, s := range r.streams {
		r.finish(s)
		s.clock = clock
		r.tell(s)
	}
	r.warnOfFailures()
	if clock != "" {
		r.report.Warning(clock)
	}
	if r.site != nil {
		for _, w := range r.site.warnings() {
			r.report.Warning(w)
		}
	}
}

// clockTolerance is how far this machine's clock may be from Atlassian's before
// somebody is told.
const clockTolerance = 5 * time.Minute

// clockOff is a sentence where this machine's clock is off by Atlassian's.
func (r *run) clockOff() string {
	if r.site == nil {
		return ""
	}
	skew, known := r.site.client.Skew()
	if !known || skew.Abs() <= clockTolerance {
		return ""
	}
	return withCode(clockSentence(skew), atlassian.CodeClock)
}

// clockSentence says how far Atlassian's clock is ahead of this machine's.
func clockSentence(skew time.Duration) string {
	where := "behind"
	if skew < 0 {
		where = "ahead of"
	}
	return fmt.Sprintf("this machine's clock is %s %s Atlassian's: let it take its time from an NTP server; until then, lag and lateness are measured wrongly",
		skew.Abs().Round(time.Second), where)
}

// warnOfFailures says in `agent status` what failed, and until when Atlassian is
// left alone, each thing once: the Agent shows a warning as a line of its own,
// and the result's error amid what the adapter adds.
func (r *run) warnOfFailures() {
	var said []string
	for _, s := range r.streams {
		text := ""
		switch {
		case s.err != nil:
			text = sentenceOf(s.err)
		case s.idle != "" && !s.paused && s.standby == "": // a pause is told where it begins
			text = s.idle
		}
		if text != "" && !slices.Contains(said, text) {
			said = append(said, text)
			r.report.Warning(text)
		}
	}
}

// fail gives every product that could still be collected the error.
func (r *run) fail(err error) {
	for _, s := range r.streams {
		if !s.busy && s.err == nil {
			s.err = err
		}
	}
}

// local names the product in an error of this machine's.
func (r *run) local(s *stream, err error) error {
	if diskFull(err) && !saysDiskFull(err) {
		return fmt.Errorf("%s of %s: the disk is full: %w; free some space on the file system of %s (nothing is lost: Atlassian keeps the records)",
			s.product, r.config.Name(), err, r.folders.base)
	}
	return fmt.Errorf("%s of %s: %w", s.product, r.config.Name(), err)
}

// live reads the live edges, each with a fair share of the time.
func (r *run) live(ctx context.Context, soft time.Time) {
	ready := r.ready()
	for i, s := range ready {
		if !s.ready() { // what one product met may concern the others
			continue
		}
		parts := len(ready) - i
		r.step(ctx, s, r.share(ctx, soft, parts), parts, s.collector.Live)
	}
}

// guard looks into the silence of a product where it is not usual.
func (r *run) guard(ctx context.Context, soft time.Time) {
	for _, s := range r.ready() {
		if s.cut || !r.options.Now().Before(soft) {
			continue
		}
		r.step(ctx, s, soft, 1, func(ctx context.Context, _ time.Time) error { return s.collector.Guard(ctx) })
	}
}

// rest spends what is left of the time on gaps and second readings, in turn.
// The first round comes even when nothing is left: where answers are so slow
// that the live edges take it all, older records would never be read. It begins
// with another product each time.
func (r *run) rest(ctx context.Context, soft time.Time) {
	more := r.ready()
	if n := len(more); n > 1 {
		first := int(r.options.Now().Unix()/max(1, int64(r.config.Interval/time.Second))) % n
		more = append(more[first:], more[:first]...)
	}
	for round := 0; len(more) > 0 && ctx.Err() == nil && (round == 0 || r.options.Now().Before(soft)); round++ {
		var again []*stream
		for i, s := range more {
			if !s.ready() || s.cut {
				continue
			}
			left := false
			r.step(ctx, s, r.share(ctx, soft, len(more)-i), 1, func(ctx context.Context, soft time.Time) (err error) {
				left, err = s.collector.Rest(ctx, soft)
				return err
			})
			if left && s.ready() {
				again = append(again, s)
			}
		}
		more = again
	}
}

func (r *run) ready() []*stream {
	var out []*stream
	for _, s := range r.streams {
		if s.ready() {
			out = append(out, s)
		}
	}
	return out
}

// share is until when one of so many parts of the time goes: of what is left of
// the budget, or, where others took more than theirs, of half of what is left of
// the limit.
func (r *run) share(ctx context.Context, soft time.Time, parts int) time.Time {
	now := r.options.Now()
	left := soft.Sub(now)
	if end, ok := ctx.Deadline(); ok {
		budget, _ := Budget(r.config)
		left = max(left, min(budget, time.Until(end))/2)
	}
	return now.Add(left / time.Duration(parts))
}

// step lets a product do something until soft, and at the latest when one of so
// many parts of what is left of the limit is over, so that a product that does
// not answer leaves time to the others.
func (r *run) step(ctx context.Context, s *stream, soft time.Time, parts int, do func(ctx context.Context, soft time.Time) error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(parts))
		defer cancel()
	}
	err := do(ctx, soft)
	if s.source.good > 0 {
		s.collector.SetSite(r.cloudID, s.source.Route())
	} else if err == nil {
		err = s.source.failed
	}
	if err != nil {
		r.settle(s, err)
	}
}

// settle decides what an error means for the product, and for the others.
func (r *run) settle(s *stream, err error) {
	until, reason, wait := waitOf(err)
	var answer *atlassian.Error
	isAnswer := errors.As(err, &answer)
	switch {
	case errors.Is(err, errNoRoom):
		r.filled()
	case errors.Is(err, errLeaseEnded):
		r.leaseEnded()
	case wait && isAnswer && (answer.Product == "" || answer.Code == auth.CodeTokenWait):
		for _, other := range r.streams { // it is about the whole site
			if other.ready() {
				r.wait(other, until, reason)
			}
		}
	case wait:
		r.wait(s, until, reason)
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		s.cut = true
		if s.source.good == 0 {
			s.err = r.sentence(s, err)
		}
	default:
		s.err = r.sentence(s, err)
	}
}

// sentence is an answer's error as it is, since it names site and product, and
// any other one with their names.
func (r *run) sentence(s *stream, err error) error {
	if answer := (*atlassian.Error)(nil); errors.As(err, &answer) {
		if s.before.LiveAt != 0 {
			return answer.AcceptedUntil(time.UnixMilli(s.before.LiveAt))
		}
		return answer
	}
	return r.local(s, err)
}

// wait makes the product, in this process and the next ones, leave Atlassian alone.
func (r *run) wait(s *stream, until time.Time, reason string) {
	if latest := r.options.Now().Add(maxWait); until.After(latest) {
		until = latest
	}
	s.idle = waiting(until, reason)
	if err := s.collector.Wait(until, reason); err != nil {
		s.err = r.local(s, err)
	}
}

// waitOf reports until when, and why, an error says to wait.
func waitOf(err error) (until time.Time, reason string, ok bool) {
	var w interface{ WaitUntil() (time.Time, bool) }
	if !errors.As(err, &w) {
		return time.Time{}, "", false
	}
	if until, ok = w.WaitUntil(); !ok {
		return time.Time{}, "", false
	}
	reason = err.Error()
	if answer := (*atlassian.Error)(nil); errors.As(err, &answer) {
		reason = answer.What
	}
	return until, withCode(reason, CodeOf(err)), true
}

// finish keeps a copy of the state now and then, and lets go of it.
func (r *run) finish(s *stream) {
	if s.store == nil {
		return
	}
	if s.err == nil && s.source != nil && s.source.good > 0 {
		err := s.collector.Close()
		if err == nil {
			err = r.copy(s)
		}
		if err != nil {
			s.err = r.local(s, err)
		}
	} else if s.collector != nil {
		if err := s.collector.Release(); err != nil && s.err == nil {
			s.err = r.local(s, err)
		}
	}
	failed := s.err != nil
	if errors.Is(s.err, state.ErrDamaged) {
		s.err = fmt.Errorf("%w; the next run puts its copy in its place: nothing is lost, some records may be delivered again with the same record_id", s.err)
	}
	if err := s.store.Close(); err != nil && !failed {
		s.err = r.local(s, fmt.Errorf("close the state: %w", err))
	}
}

func (r *run) copy(s *stream) error {
	now := r.options.Now()
	due, err := state.CopyDue(s.files, copyAge, now)
	if err != nil || !due && !r.copyNow {
		return err
	}
	if err := state.Mark(s.files, s.collector.Resume(), now); err != nil {
		return err
	}
	return s.store.Copy(s.files)
}

// close lets go of everything, whatever state the run is in.
func (r *run) close() {
	for _, s := range r.streams {
		if s.store != nil {
			_ = s.store.Close() // finish asked how that went; after a panic it does not matter
		}
	}
	if r.site != nil {
		r.site.client.Close()
	}
	if r.shared.backend != nil {
		_ = r.shared.backend.Close() // leases live on, and nothing else was kept
	}
}
