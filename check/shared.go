package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/auth"
	"atlassian_audit_records/pkg/shared"
	"atlassian_audit_records/pkg/state"
)

// Where several machines share a site, docs/shared-state.md says what they promise.
// In a run it goes like this: the lease is taken or kept (hold); a machine that took
// it over begins with what is shared (takeOver), one that finds nothing there shares
// what it has (join); what the Agent has delivered becomes the shared position
// (publish). Between two of these steps the process may die.

const (
	// leaseIntervals and minLease are how long a lease lasts: a machine that misses
	// one run keeps it.
	leaseIntervals = 3
	minLease       = 180 * time.Second
	// sharedTime is how long one exchange with the store may take.
	sharedTime = 5 * time.Second
	// settleAfter is how long an acknowledgement must stand before it is shared: the
	// Agent notes the newest payload that was acknowledged, and an older one may
	// still be under way.
	settleAfter = 30 * time.Second
	// maxShared is how many records one step shares, which bounds its memory.
	maxShared = 100_000
)

// LeaseTime is how long a site's lease lasts.
func LeaseTime(c *Config) time.Duration { return max(leaseIntervals*c.Interval, minLease) }

// settleTime is settleAfter where an instance is shared.
func settleTime(c *Config) time.Duration {
	if c.Shared == nil {
		return 0
	}
	return settleAfter
}

// OpenShared opens the store that machines share; see shared.Start.
type OpenShared func(ctx context.Context, c shared.Config) (shared.Backend, error)

// sharing is what a run has to do with the other machines.
type sharing struct {
	backend shared.Backend
	place   *shared.Place
	lease   *shared.Lease
	note    leaseNote
}

// openShared opens the store of an instance.
func openShared(ctx context.Context, c *Config, o Options) (shared.Backend, error) {
	if o.OpenShared == nil {
		return nil, &shared.Error{Kind: shared.Refused, What: "this program cannot reach " + c.Shared.store().Name()}
	}
	return o.OpenShared(ctx, c.Shared.store())
}

// withVault opens the store of an instance for who is no run: consents are there. The
// answer's vault says why where it could not be opened.
func withVault(ctx context.Context, c *Config, o Options) (Options, shared.Backend, error) {
	ctx, cancel := context.WithTimeout(ctx, sharedTime)
	defer cancel()
	b, err := openShared(ctx, c, o)
	if err != nil {
		o.vault = away{err}
		return o, nil, err
	}
	host, hostErr := os.Hostname()
	if hostErr != nil {
		host = "unknown"
	}
	o.vault = newVault(b, host, o.Now)
	return o, b, nil
}

// hold takes the site's lease or keeps it. Whoever does not have it stands by.
func (r *run) hold(ctx context.Context) {
	if r.config.Shared == nil {
		r.unshare()
		return
	}
	open := r.opened()
	if len(open) == 0 {
		return // another run is in progress, or nothing could be opened
	}
	asking, cancel := context.WithTimeout(ctx, sharedTime)
	defer cancel()
	err := r.claim(asking)
	for _, s := range open {
		switch {
		case err != nil:
			s.err = r.local(s, err)
		case !r.shared.lease.Held():
			s.standby = standbyText(r.shared.lease.Holder())
			s.idle = s.standby
		default:
			if err := r.takeOver(ctx, s); err != nil {
				s.err = r.local(s, err)
			}
		}
	}
}

// opened are the streams whose state is this run's.
func (r *run) opened() []*stream {
	var out []*stream
	for _, s := range r.streams {
		if s.store != nil && s.known && s.err == nil {
			out = append(out, s)
		}
	}
	return out
}

func standbyText(h shared.Holder) string {
	return fmt.Sprintf("standby: %s has held the lease since %s and collects", h.Host, h.Since.UTC().Format(time.RFC3339))
}

// claim asks the store for the lease. Where it cannot be reached, the lease that was
// taken before is good until its end, and no longer.
func (r *run) claim(ctx context.Context) error {
	path := r.folders.lease()
	r.shared.note = readLease(path)
	who := shared.Holder{Node: r.shared.note.Node, Host: r.hostname()}
	lease := r.options.Lease
	if lease == 0 {
		lease = LeaseTime(r.config)
	}
	var err error
	r.options.vault = away{&shared.Error{Kind: shared.Unavailable, What: r.config.Shared.store().Name() + " could not be opened"}}
	if r.shared.backend, err = openShared(ctx, r.config, r.options); err == nil {
		r.options.vault = newVault(r.shared.backend, who.Host, r.options.Now)
		r.shared.place = shared.Site(r.shared.backend, r.folders.host, r.options.Now)
		r.shared.lease, err = r.shared.place.Hold(ctx, who, lease, r.shared.note.Memory)
	}
	now := r.options.Now()
	if err != nil {
		if shared.KindOf(err) == shared.Unavailable && r.shared.note.valid(now) {
			until := time.UnixMilli(r.shared.note.Until)
			r.shared.lease = shared.Resume(r.shared.note.Holder, until, r.options.Now)
			r.report.Warning(withCode(fmt.Sprintf("%s: %s; collection goes on until %s, when this machine's lease ends", r.config.Name(), oneLine(err), until.UTC().Format(time.RFC3339)), CodeShared))
			return nil
		}
		if r.shared.note.Held {
			return fmt.Errorf("nothing is collected since this machine's lease ended at %s, and it resumes by itself: %w", time.UnixMilli(r.shared.note.Until).UTC().Format(time.RFC3339), err)
		}
		return fmt.Errorf("nothing is collected, because it is not known which machine does: %w", err)
	}
	l := r.shared.lease
	r.shared.note.Host = who.Host
	r.shared.note.Memory, r.shared.note.Held, r.shared.note.Holder = l.Memory(), l.Held(), l.Holder()
	r.shared.note.Asked, r.shared.note.Until = now.UnixMilli(), l.Until().UnixMilli()
	if err := writeLease(path, r.shared.note); err != nil {
		return fmt.Errorf("remember the lease: %w", err)
	}
	return nil
}

// vault keeps the consents of apps in the store that machines share.
type vault struct{ *shared.Consents }

// TryLock implements auth.Vault.
func (v vault) TryLock(ctx context.Context, app string) (lock auth.VaultLock, holder string, ok bool, err error) {
	l, who, ok, err := v.Consents.TryLock(ctx, app)
	return l, who.Host, ok, err
}

// away is the vault of a store that could not be opened.
type away struct{ err error }

func (a away) Load(context.Context, string) ([]byte, error) { return nil, a.err }

func (a away) TryLock(context.Context, string) (auth.VaultLock, string, bool, error) {
	return nil, "", false, a.err
}

// newVault is for one process: another one of the same run path has to wait for it.
func newVault(b shared.Backend, host string, now func() time.Time) auth.Vault {
	return vault{shared.NewConsents(b, shared.Holder{Node: shared.NewID(), Host: host}, now)}
}

// hostname is how this machine calls itself to the others.
func (r *run) hostname() string {
	if h := r.options.Agent.Hostname; h != "" {
		return h
	}
	if r.shared.note.Host != "" { // as the Agent told
		return r.shared.note.Host
	}
	h, err := os.Hostname()
	if err != nil {
		return "unknown" // the node tells machines apart
	}
	return h
}

// takeOver compares the state with what is shared. Whoever did not write that begins
// with it, which may take as long as the run.
func (r *run) takeOver(ctx context.Context, s *stream) error {
	tag, shares, err := s.store.Tag()
	if err != nil {
		return err
	}
	if !r.shared.lease.Fenced() {
		if !shares || s.restored {
			return errors.New("nothing is collected, because the store cannot be reached and this machine's state does not go on from what is shared")
		}
		return nil // nobody else could have written there
	}
	head, err := r.shared.place.Head(ctx, s.product)
	if err != nil {
		return err
	}
	s.head = head
	switch {
	case head == nil:
		return nil // join
	case shares && head.ID == tag.Next:
		// The last run died before it could note that it was written.
		return s.store.Published()
	case shares && head.ID == tag.ID:
		return nil
	}
	// The marker first: from now on this is no first run.
	if err := state.Mark(s.files, max(head.Position.Floor, head.Position.Forgotten), r.options.Now()); err != nil {
		return err
	}
	err = s.store.Adopt(head.ID, head.Position, func(add func([]audit.Seen) error) error {
		return r.shared.place.Seen(ctx, s.product, head, add)
	})
	if err != nil {
		return err
	}
	if s.before, err = s.store.Position(); err != nil {
		return err
	}
	s.idle = r.waits(s.before)
	if s.before.CloudID != "" {
		r.cloudID = s.before.CloudID
	}
	r.report.Log("info", r.about(s.product, fmt.Sprintf("this machine takes over where %s had delivered everything at %s", head.Host, time.UnixMilli(head.Written).UTC().Format(time.RFC3339))))
	return nil
}

// join shares what this machine has, where nothing is shared yet. Until it is
// delivered, the others know from where on they would have to read.
func (r *run) join(ctx context.Context, s *stream) error {
	if s.head != nil || !r.shares() {
		return nil
	}
	p := s.collector.Position()
	if !p.FloorSet {
		return nil // the first attempt does, by mark
	}
	if s.tracker == nil {
		return errors.New("begin to share: it is not known what of the spool is delivered")
	}
	standing, err := s.tracker.Standing()
	if err != nil {
		return err
	}
	from := s.collector.Resume()
	if !standing.Oldest.IsZero() {
		from = min(from, standing.Oldest.UnixMilli())
	}
	return r.begin(ctx, s, max(from, p.Floor), s.tracker.Unsettled())
}

// begin makes the first head: from where on everything would have to be read. The
// journal comes first: a head without one would be taken for another machine's.
func (r *run) begin(ctx context.Context, s *stream, floor int64, ends []audit.Place) error {
	tag, shares, err := s.store.Tag()
	if err != nil {
		return err
	}
	id := tag.ID
	if !shares || tag.Next != tag.ID {
		id = shared.NewID()
		err = s.store.Share(id, ends)
	} // else it was not answered, and may still come
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sharedTime)
	defer cancel()
	head, err := r.shared.place.Publish(ctx, s.product, r.shared.lease, nil, shared.Delta{ID: id, Position: audit.Position{Floor: floor, FloorSet: true}})
	s.head = head
	if err != nil {
		return err
	}
	return s.store.Published()
}

// mark is called before a stream's first commit: from resume on everything is
// wanted, on whichever machine.
func (r *run) mark(ctx context.Context, s *stream, resume int64) error {
	if r.shares() && s.head == nil {
		if err := r.begin(ctx, s, resume, nil); err != nil {
			return err
		}
	}
	return state.Mark(s.files, resume, r.options.Now())
}

// shares reports whether this run may write what is shared.
func (r *run) shares() bool { return r.shared.lease != nil && r.shared.lease.Fenced() }

// shareDelivered makes what the Agent has delivered the shared position. What fails
// here is told and tried again: this machine goes on with its own state.
func (r *run) shareDelivered(ctx context.Context) {
	if !r.shares() {
		return
	}
	for _, s := range r.streams {
		if s.collector == nil || s.err != nil || s.standby != "" {
			continue
		}
		err := r.join(ctx, s)
		if err != nil {
			s.err = r.local(s, err)
			continue
		}
		for more := s.tracker != nil; more && err == nil; {
			more, err = r.publish(ctx, s)
		}
		if err != nil {
			r.notShared(s, err)
		}
	}
}

// notShared tells why something could not be shared.
func (r *run) notShared(s *stream, err error) {
	s.head = nil // what stands there is not known any more
	if shared.KindOf(err) == shared.Lost {
		r.leaseEnded()
		return
	}
	r.mishap(s.product, "share what was delivered with the other machines", err)
}

// delivered gathers the entries at the journal's beginning that are delivered. more
// tells that there may be others, which would have been too many at once. Where a
// position was noted and not answered, it is that one again: of two that follow the
// same one, the store takes the first that comes, and it is the same.
func (s *stream) delivered() (d shared.Delta, upto uint64, more bool, err error) {
	tag, _, err := s.store.Tag()
	if err != nil {
		return d, 0, false, err
	}
	d.ID = tag.Next
	base := uint64(0)
	var bad error
	err = s.store.Journal(func(e audit.Entry) bool {
		if more = d.ID != "" && e.Number > tag.Upto; more {
			return false
		}
		ok, err := d.ID != "", error(nil)
		if !ok {
			ok, err = s.tracker.Settled(e.Ends)
		}
		if err != nil || !ok {
			bad = err
			return false
		}
		if more = upto != 0 && len(d.Seen)+len(e.Emitted) > maxShared; more {
			return false
		}
		if e.Base {
			base = e.Number
		}
		upto, d.Position, d.Forget = e.Number, e.Position, max(d.Forget, e.Forget)
		d.Seen = append(d.Seen, e.Emitted...)
		return true
	})
	if err = errors.Join(err, bad); err != nil || base == 0 {
		return d, upto, more, err
	}
	var before []audit.Seen
	err = s.store.SeenBefore(base, func(some []audit.Seen) { before = append(before, some...) })
	d.Seen = append(before, d.Seen...)
	return d, upto, more, err
}

// publish shares what is delivered, and what Atlassian wants to be waited for. It is
// noted before it is done, so that the next process can tell whether it was.
func (r *run) publish(ctx context.Context, s *stream) (more bool, err error) {
	if s.head == nil {
		return false, nil
	}
	d, upto, more, err := s.delivered()
	if err != nil {
		return false, err
	}
	if upto == 0 {
		d.Position = s.head.Position
	}
	now := s.collector.Position()
	d.Position.WaitUntil, d.Position.WaitReason = now.WaitUntil, now.WaitReason
	d.Position.CloudID, d.Position.Route = now.CloudID, now.Route
	if d.ID == "" && upto == 0 && d.Position.WaitUntil == s.head.Position.WaitUntil && d.Position.CloudID == s.head.Position.CloudID && d.Position.Route == s.head.Position.Route {
		return false, nil
	}
	if d.ID == "" {
		d.ID = shared.NewID()
		if err := s.store.Publishing(d.ID, upto); err != nil {
			return false, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, sharedTime)
	defer cancel()
	head, err := r.shared.place.Publish(ctx, s.product, r.shared.lease, s.head, d)
	if err != nil {
		return false, err
	}
	s.head = head
	return more, s.store.Published()
}

// shareWaits shares, at the end of a run, what Atlassian asked to be waited for.
func (r *run) shareWaits(ctx context.Context) {
	if !r.shares() || ctx.Err() != nil {
		return
	}
	for _, s := range r.streams {
		if s.collector == nil || s.head == nil || s.store == nil || s.err != nil && !errors.Is(s.err, errLeaseEnded) || s.collector.Position().WaitUntil == s.head.Position.WaitUntil {
			continue
		}
		if _, err := r.publish(ctx, s); err != nil {
			r.notShared(s, err)
		}
	}
}

// unshare ends sharing where the configuration does not want it any more.
func (r *run) unshare() {
	for _, s := range r.opened() {
		if err := s.store.Unshare(); err != nil {
			s.err = r.local(s, err)
		}
	}
}

// errLeaseEnded ends reading where the lease has ended while the run was under way,
// as it does where the process was paused: another machine may be at it.
var errLeaseEnded = errors.New("this machine's lease ended while the run was under way, so that another one may collect now; nothing is lost, and the next run asks who does")

// leaseEnded stops all products.
func (r *run) leaseEnded() {
	for _, s := range r.streams {
		if s.ready() {
			s.err = r.local(s, &coded{CodeShared, errLeaseEnded})
		}
	}
}

// mayCollect is asked before each question, and before each commit of records.
func (r *run) mayCollect() error {
	if r.shared.lease != nil && r.shared.lease.Left() == 0 {
		return &coded{CodeShared, errLeaseEnded}
	}
	return nil
}

// leased is a state that takes no records once the lease has ended.
type leased struct {
	*state.Store
	may func() error
}

// Commit implements collect.State.
func (l leased) Commit(c audit.Change) error {
	if len(c.Emitted) > 0 {
		if err := l.may(); err != nil {
			return err
		}
	}
	return l.Store.Commit(c)
}
