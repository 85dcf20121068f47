package shared

import (
	"context"
	"fmt"
	"time"
)

// consentTTL is the lease under which a consent is changed: longer than a renewal
// takes, and no longer than people wait.
const consentTTL = 60 * time.Second

// Consents keeps the consents of OAuth apps, whose refresh tokens are good once:
// one machine renews at a time, whatever site it does it for.
type Consents struct {
	b   Backend
	who Holder
	now func() time.Time
}

// NewConsents keeps them in a store for one run path of a machine. Each process
// should have a node of its own, so that two of one machine do not share a lease.
func NewConsents(b Backend, who Holder, now func() time.Time) *Consents {
	return &Consents{b: b, who: who, now: now}
}

func consentKey(app string) string { return "consents/" + app + "/value" }

// Load reads what is kept of an app; nil where nothing is.
func (c *Consents) Load(ctx context.Context, app string) ([]byte, error) {
	key := consentKey(app)
	values, err := c.b.Read(ctx, []string{key})
	if err != nil {
		return nil, fmt.Errorf("read the consent: %w", err)
	}
	v, ok := values[key]
	if !ok {
		return nil, nil
	}
	body, err := unseal(key, v)
	if err != nil {
		return nil, &Error{Kind: Damaged, What: "the shared consent " + key + " is damaged", Err: err, Next: "remove the key and consent again"}
	}
	return body, nil
}

// TryLock takes the app's lease, so that it alone may Save. Where another process
// has it, ok is false, and holder says whose.
func (c *Consents) TryLock(ctx context.Context, app string) (lock *Lock, holder Holder, ok bool, err error) {
	claim := Claim{Key: "consents/" + app + "/lease", Holder: c.who, TTL: consentTTL}
	l, err := hold(ctx, c.b, claim.Key, c.who, claim.TTL, nil, c.now)
	if err != nil {
		return nil, Holder{}, false, fmt.Errorf("lock the consent: %w", err)
	}
	if !l.Held() {
		return nil, l.Holder(), false, nil
	}
	return &Lock{c: c, app: app, claim: claim, lease: l}, l.Holder(), true, nil
}

// Lock is the right to change the consent of an app.
type Lock struct {
	c     *Consents
	app   string
	claim Claim
	lease *Lease
}

// Save keeps the value. The error is of kind Lost where the lock has ended.
func (l *Lock) Save(ctx context.Context, value []byte) error {
	key := consentKey(l.app)
	if limit := l.c.b.Limits().Value; len(value)+4 > limit {
		return &Error{Kind: Refused, What: fmt.Sprintf("the consents of an app take %d bytes, and the store takes %d", len(value)+4, limit)}
	}
	if err := l.c.b.Write(ctx, l.lease.grant, Write{Last: []Value{{key, seal(key, value)}}}); err != nil {
		return fmt.Errorf("write the consent: %w", err)
	}
	return nil
}

// Unlock lets others change it. Where that fails, the lock ends by itself.
func (l *Lock) Unlock(ctx context.Context) error { return l.c.b.Release(ctx, l.claim, l.lease.grant) }
