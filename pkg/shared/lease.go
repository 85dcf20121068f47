package shared

import (
	"context"
	"time"
)

// Lease is a site's lease, held or not, as one run knows it.
type Lease struct {
	grant Grant
	now   func() time.Time
	// asked is when it was asked for, before the store could have answered.
	asked time.Time
}

// hold claims a lease. What is counted from is the moment before the question, so
// that no answer that was slow makes the lease seem longer than it is.
func hold(ctx context.Context, b Backend, key string, h Holder, ttl time.Duration, memory []byte, now func() time.Time) (*Lease, error) {
	asked := now()
	h.Since = asked
	g, err := b.Hold(ctx, Claim{Key: key, Holder: h, TTL: ttl, Memory: memory})
	if err != nil {
		return nil, err
	}
	g.Key = key
	return &Lease{grant: g, now: now, asked: asked}, nil
}

// Resume is a lease that an earlier process took, for as long as it must be
// believed without the store, which cannot be reached: until is the end that
// Until told then.
func Resume(h Holder, until time.Time, now func() time.Time) *Lease {
	asked := now()
	return &Lease{grant: Grant{Held: true, Holder: h, TTL: until.Sub(asked)}, now: now, asked: asked}
}

// Held reports whether the lease was this machine's when it was asked for.
func (l *Lease) Held() bool { return l.grant.Held }

// Holder is who holds it.
func (l *Lease) Holder() Holder { return l.grant.Holder }

// Memory is to be handed to the next Hold.
func (l *Lease) Memory() []byte { return l.grant.Memory }

// Until is when it ends, by the wall clock, unless it is kept.
func (l *Lease) Until() time.Time { return l.asked.Round(0).Add(l.grant.TTL) }

// Left is how long the lease lasts, 0 where it has ended. The wall clock and the
// machine's running time both count, whichever has gone further: the one goes on
// while the machine sleeps, the other whatever is done to the clock.
func (l *Lease) Left() time.Duration {
	if !l.grant.Held {
		return 0
	}
	now := l.now()
	gone := max(0, now.Sub(l.asked), now.Round(0).Sub(l.asked.Round(0)))
	return max(0, l.grant.TTL-gone)
}

// Fenced reports whether something can be written under the lease: not where it was
// only remembered.
func (l *Lease) Fenced() bool { return l.grant.Held && l.grant.Fence != "" }
