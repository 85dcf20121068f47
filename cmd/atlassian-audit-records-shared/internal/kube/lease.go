package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"atlassian_audit_records/pkg/shared"
)

// A Lease does not end by itself: whoever wants it judges that its holder is gone. The
// clocks of machines are not compared for that:
//
//   - Whoever saw the Lease before takes it where nobody has touched it for longer than
//     it lasts. That time must have passed by its own clock and by the server's (the
//     header Date of its answers): one clock that is set does no harm.
//   - Whoever sees it for the first time compares renewTime, which is the server's time,
//     with the server's time.
//
// The holder counts from before it asked, and stops at its end by itself. Where all of
// that fails, two machines collect for a while and repeat each other's records; the
// fence still lets one alone write.
const (
	// rate is the part by which clocks may run at different speeds.
	rate = 20
	// skew is by how much the servers of one cluster may disagree on the time.
	skew = 15 * time.Second
)

// Hold implements shared.Backend. Its memory is an observation.
func (s *Store) Hold(ctx context.Context, c shared.Claim) (shared.Grant, error) {
	place, _, err := s.split(c.Key)
	if err != nil {
		return shared.Grant{}, err
	}
	h := &hold{s: s, place: place, claim: c, duration: int32((c.TTL + time.Second - 1) / time.Second)}
	for range attempts {
		h.asked = s.now()
		g, changed, err := h.try(ctx)
		if err != nil || !changed {
			return g, err
		}
	}
	return shared.Grant{}, s.busy("take the lease")
}

// hold is one claim under way.
type hold struct {
	s        *Store
	place    string
	claim    shared.Claim
	duration int32 // seconds
	asked    time.Time
}

// try takes or keeps the lease. changed tells that somebody else changed it or the
// index meanwhile.
func (h *hold) try(ctx context.Context) (g shared.Grant, changed bool, err error) {
	l, err := h.s.lease(ctx, h.place)
	if err != nil || l == nil {
		return h.takeNew(ctx, err)
	}
	who, free, err := h.s.holder(l)
	if err != nil {
		return g, false, err
	}
	switch {
	case free:
		return h.take(ctx, l)
	case who.Same(h.claim.Holder):
		if h.passed(l) {
			return h.take(ctx, l)
		}
		return h.keep(ctx, l)
	}
	seen, over := h.observe(l)
	if over {
		return h.take(ctx, l)
	}
	return shared.Grant{Holder: who, Key: h.claim.Key, Memory: seen.memory()}, false, nil
}

// takeNew takes a lease that does not exist.
func (h *hold) takeNew(ctx context.Context, err error) (shared.Grant, bool, error) {
	if err != nil {
		return shared.Grant{}, false, err
	}
	return h.take(ctx, &coordinationv1.Lease{ObjectMeta: h.s.meta(h.s.placeName(h.place), h.place, "lease")})
}

// take makes the lease this claim's, under a new term.
func (h *hold) take(ctx context.Context, l *coordinationv1.Lease) (shared.Grant, bool, error) {
	ix, err := h.s.index(ctx, h.place)
	if err != nil {
		return shared.Grant{}, false, err
	}
	term := value(l.Spec.LeaseTransitions)
	if ix != nil {
		// A Lease that was removed begins at 0 again; the index remembers.
		term = max(term, ix.Term)
	}
	term++
	id := identity(h.claim.Holder)
	since := metav1.NewMicroTime(h.claim.Holder.Since)
	l.Spec.HolderIdentity, l.Spec.AcquireTime, l.Spec.LeaseTransitions = &id, &since, &term
	if changed, err := h.renew(ctx, l); changed || err != nil {
		return shared.Grant{}, changed, err
	}
	return h.fence(ctx, l, ix)
}

// keep goes on with a lease that is this claim's already.
func (h *hold) keep(ctx context.Context, l *coordinationv1.Lease) (shared.Grant, bool, error) {
	if changed, err := h.renew(ctx, l); changed || err != nil {
		return shared.Grant{}, changed, err
	}
	ix, err := h.s.index(ctx, h.place)
	if err != nil {
		return shared.Grant{}, false, err
	}
	return h.fence(ctx, l, ix)
}

// renew writes the lease as it is kept from now on.
func (h *hold) renew(ctx context.Context, l *coordinationv1.Lease) (changed bool, err error) {
	now := h.s.api.clock.now()
	if now.IsZero() {
		now = h.asked
	}
	at := metav1.NewMicroTime(now)
	l.Spec.RenewTime, l.Spec.LeaseDurationSeconds = &at, &h.duration
	made := l.ResourceVersion == ""
	if made {
		err = h.s.api.create(ctx, leases, l)
	} else {
		err = h.s.api.update(ctx, leases, l.Name, l)
	}
	switch {
	case made && apierrors.IsAlreadyExists(err), !made && (apierrors.IsConflict(err) || apierrors.IsNotFound(err)):
		return true, nil
	case err != nil:
		return false, h.s.failed("take the lease", err)
	}
	return false, nil
}

// fence makes the index refuse whoever held the lease before. ix is nil where there
// is none.
func (h *hold) fence(ctx context.Context, l *coordinationv1.Lease, ix *index) (shared.Grant, bool, error) {
	term := value(l.Spec.LeaseTransitions)
	fence := fenceOf(term, string(l.UID))
	switch {
	case ix != nil && ix.fence() == fence:
		return h.grant(l, fence), false, nil
	case ix == nil:
		ix = h.s.newIndex(h.place)
	case ix.Term >= term:
		// It was released, or taken under another Lease that was removed since.
		return h.take(ctx, l)
	default:
		ix = ix.clone()
	}
	ix.Term, ix.Lease = term, string(l.UID)
	changed, err := h.s.put(ctx, ix)
	if changed || err != nil {
		return shared.Grant{}, changed, err
	}
	return h.grant(l, fence), false, nil
}

func (h *hold) grant(l *coordinationv1.Lease, fence string) shared.Grant {
	s, ttl := h.s, time.Duration(h.duration)*time.Second
	s.mu.Lock()
	s.held[h.claim.Key] = term{fence, h.asked, ttl}
	s.mu.Unlock()
	who := h.claim.Holder
	who.Since = l.Spec.AcquireTime.UTC()
	return shared.Grant{Held: true, Holder: who, TTL: ttl, Key: h.claim.Key, Fence: fence, Memory: h.look(l).memory()}
}

// ended reports whether this process knows that a lease that it took has ended, though
// nobody else may have taken it yet.
func (s *Store) ended(g shared.Grant) bool {
	s.mu.Lock()
	t, ok := s.held[g.Key]
	s.mu.Unlock()
	if !ok || t.fence != g.Fence {
		return false
	}
	now := s.now()
	return max(now.Sub(t.asked), now.Round(0).Sub(t.asked.Round(0))) >= t.ttl
}

// Release implements shared.Backend. The index comes first: where the process dies
// between the two, the lease ends by time.
func (s *Store) Release(ctx context.Context, c shared.Claim, g shared.Grant) error {
	place, _, err := s.split(c.Key)
	if err != nil || !g.Held {
		return err
	}
	for range attempts {
		changed, err := s.release(ctx, place, g.Fence)
		if err != nil || !changed {
			return err
		}
	}
	return s.busy("release the lease")
}

func (s *Store) release(ctx context.Context, place, fence string) (changed bool, err error) {
	ix, err := s.index(ctx, place)
	if err != nil {
		return false, err
	}
	if ix != nil && ix.fence() == fence {
		ix.Lease = ""
		if changed, err := s.put(ctx, ix); changed || err != nil {
			return changed, err
		}
	}
	l, err := s.lease(ctx, place)
	if err != nil || l == nil || fenceOf(value(l.Spec.LeaseTransitions), string(l.UID)) != fence || value(l.Spec.HolderIdentity) == "" {
		return false, err
	}
	nobody := ""
	l.Spec.HolderIdentity = &nobody
	err = s.api.update(ctx, leases, l.Name, l)
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return false, s.failed("release the lease", err)
	}
	return err != nil, nil
}

// lease reads the Lease of a place; nil where there is none.
func (s *Store) lease(ctx context.Context, place string) (*coordinationv1.Lease, error) {
	l := &coordinationv1.Lease{}
	err := s.api.get(ctx, leases, s.placeName(place), l)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, s.failed("read the lease", err)
	}
	if l.Annotations[notePlace] != place {
		return nil, &shared.Error{Kind: shared.Damaged, What: fmt.Sprintf("the Lease %s in %s is not that of %s", l.Name, s.title, place), Next: "find out whose it is; choose another name in state, or remove it"}
	}
	if n := value(l.Spec.LeaseTransitions); !countable(n) {
		return nil, &shared.Error{Kind: shared.Damaged, What: fmt.Sprintf("the Lease %s in %s is said to have been taken %d times", l.Name, s.title, n), Next: "find out who writes there, and remove it"}
	}
	return l, nil
}

// holder is who holds a lease; free where nobody does.
func (s *Store) holder(l *coordinationv1.Lease) (who shared.Holder, free bool, err error) {
	id := value(l.Spec.HolderIdentity)
	if id == "" {
		return who, true, nil
	}
	i := strings.LastIndexByte(id, '_')
	if i < 0 || l.Spec.AcquireTime == nil || l.Spec.RenewTime == nil || value(l.Spec.LeaseDurationSeconds) <= 0 {
		return who, false, &shared.Error{Kind: shared.Damaged, What: fmt.Sprintf("the Lease %s in %s is held by something that is none of this program's", l.Name, s.title),
			Next: "find out who writes there, and remove it"}
	}
	return shared.Holder{Host: id[:i], Node: id[i+1:], Since: l.Spec.AcquireTime.UTC()}, false, nil
}

// identity is a holder as client-go's own leader election writes one.
func identity(h shared.Holder) string { return h.Host + "_" + h.Node }

// observation is a state of a Lease and when it was seen first, by two clocks. The
// holder's is that of its own renewal.
type observation struct {
	UID     string `json:"uid"`
	Version string `json:"version"`
	// Seen is by this machine's clock, in milliseconds, Date by the server's, in
	// seconds; the latter 0 where the server did not say.
	Seen int64 `json:"seen"`
	Date int64 `json:"date,omitempty"`
}

func (o observation) memory() []byte {
	b, _ := json.Marshal(o) // strings and numbers
	return b
}

// look is an observation of the present.
func (h *hold) look(l *coordinationv1.Lease) observation {
	o := observation{UID: string(l.UID), Version: l.ResourceVersion, Seen: h.asked.UnixMilli()}
	if date := h.s.api.clock.now(); !date.IsZero() {
		o.Date = date.Unix()
	}
	return o
}

// remembered is the observation that the claim brings along, if it is one of the lease
// as it stands now, and how long ago that was by both clocks; by one where the server's
// is not known. known tells that there was a memory of any state.
func (h *hold) remembered(l *coordinationv1.Lease) (seen observation, own, servers time.Duration, same, known bool) {
	if len(h.claim.Memory) == 0 || json.Unmarshal(h.claim.Memory, &seen) != nil {
		return seen, 0, 0, false, false
	}
	now := h.look(l)
	own = time.Duration(now.Seen-seen.Seen) * time.Millisecond
	servers = own
	if now.Date != 0 && seen.Date != 0 {
		servers = time.Duration(now.Date-seen.Date) * time.Second
	}
	return seen, own, servers, seen.UID == now.UID && seen.Version == now.Version, true
}

// observe tells whether another's lease is over, and what is to be remembered of it.
func (h *hold) observe(l *coordinationv1.Lease) (seen observation, over bool) {
	lasts := time.Duration(value(l.Spec.LeaseDurationSeconds)) * time.Second
	margin := lasts / rate
	seen, own, servers, same, known := h.remembered(l)
	if same && own >= 0 && servers >= 0 {
		return seen, min(own, servers) >= lasts+margin
	}
	// It was kept since; or a clock was put back, so that nothing can be said.
	over = !known && h.age(l) >= lasts+max(margin, skew)
	return h.look(l), over
}

// passed reports whether this machine's own lease is over, though nobody took it.
func (h *hold) passed(l *coordinationv1.Lease) bool {
	lasts := time.Duration(value(l.Spec.LeaseDurationSeconds)) * time.Second
	if _, own, servers, same, _ := h.remembered(l); same {
		return max(own, servers) >= lasts
	}
	return h.age(l) >= lasts
}

// age is how long ago the lease was kept, by the server's clock alone; 0 where that is
// not known.
func (h *hold) age(l *coordinationv1.Lease) time.Duration {
	date := h.s.api.clock.now()
	if date.IsZero() {
		return 0
	}
	return date.Sub(l.Spec.RenewTime.Time)
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
