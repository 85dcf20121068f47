package shared

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Backend is a store that machines share: a few small values by key, and leases.
// It is all that a new kind of store has to implement; sharedtest.Conform says
// whether it does. Keys are relative, made of letters, digits and ".-_", in
// segments divided by "/"; a value is at most Limits.Value bytes. The first two segments
// are a place: it has one lease, and what is written under that stands in it.
//
// Each error is an *Error, so that it can be told what it means.
type Backend interface {
	// Hold takes the lease that the claim names, or keeps it alive. Where somebody
	// else holds it, that is no error: the answer says who.
	Hold(ctx context.Context, c Claim) (Grant, error)
	// Release ends a lease at once, so that nobody has to wait for its end. One that
	// is not held any more is no error.
	Release(ctx context.Context, c Claim, g Grant) error
	// Read answers the values of the keys; one that is not there is missing in the
	// answer. It must not answer anything older than what a Write that has
	// returned has written.
	Read(ctx context.Context, keys []string) (map[string][]byte, error)
	// Write writes under a lease that is held: where it is not at that moment,
	// nothing is changed that a reader can see, and the error is of kind Lost. Where
	// one of w.Same is not, likewise, and the error is of kind Changed.
	Write(ctx context.Context, g Grant, w Write) error
	// Limits are what the store can take.
	Limits() Limits
	// Close gives everything back but leases, which live on.
	Close() error
}

// Claim is who wants which lease.
type Claim struct {
	// Key names the lease. It stands among the other keys.
	Key    string `json:"key"`
	Holder Holder `json:"holder"`
	// TTL is how long the lease is to last from now on, in whole seconds.
	TTL time.Duration `json:"ttl"`
	// Memory is Grant.Memory of the last time, held or not, which the caller keeps between
	// two processes; nil where there is none. Without it a lease may have to be waited
	// for, even one's own.
	Memory []byte `json:"memory,omitempty"`
}

// Holder is a machine, or rather one run path of one.
type Holder struct {
	// Node is random and made once; Host is for people.
	Node string `json:"node"`
	Host string `json:"host"`
	// Since is when it took the lease, by its own clock. In a claim it is the
	// present.
	Since time.Time `json:"since"`
}

// Same reports whether both are the same. A run path that was copied to another
// machine brings its node along, but hardly the host's name.
func (h Holder) Same(o Holder) bool { return h.Node == o.Node && h.Host == o.Host }

// Grant is the answer to a claim.
type Grant struct {
	// Held is true where the claimant holds the lease now; Holder is who does.
	Held   bool   `json:"held"`
	Holder Holder `json:"holder"`
	// TTL is how long the lease lasts, counted from before Hold was called.
	TTL time.Duration `json:"ttl"`
	// Key is the claim's. Fence is what Write compares: it differs each time the
	// lease is taken, and stays the same while it is kept.
	Key   string `json:"key"`
	Fence string `json:"fence"`
	// Memory is to be kept for the next Claim.
	Memory []byte `json:"memory,omitempty"`
}

// Write is a change: values to put, and keys to drop.
//
// First comes before Last: nobody may see Last without First, nor Drop done
// without Last. A store that can write it all at once does so; one that cannot may
// leave values of First behind where it fails, to which no head refers.
type Write struct {
	// Same are keys that must stand there as this Backend read or wrote them last; one
	// that it never read must not be there. So a write whose answer was
	// not waited for cannot come after a later one of the same holder.
	Same  []string `json:"same,omitempty"`
	First []Value  `json:"first,omitempty"`
	Last  []Value  `json:"last,omitempty"`
	// Drop are keys that nothing refers to once Last is there. One that does
	// not exist is no error.
	Drop []string `json:"drop,omitempty"`
}

// Value is a value and its key.
type Value struct {
	Key   string `json:"key"`
	Bytes []byte `json:"bytes"`
}

// Limits are what a store can take.
type Limits struct {
	// Value is the length of the longest value, in bytes, and Piece of those that
	// there may be many of.
	Value int `json:"value"`
	Piece int `json:"piece"`
}

// Kind is what an error means to whoever has to decide what to do.
type Kind string

// The kinds of errors.
const (
	// Unavailable: the store could not be reached or did not answer. It may have
	// done what was asked of it, or not.
	Unavailable Kind = "unavailable"
	// Refused: it answered, and a person must do something: credentials, rights,
	// certificates, space.
	Refused Kind = "refused"
	// Lost: the lease is not held any more.
	Lost Kind = "lost"
	// Changed: what was to stand there still does not. Whoever reads again finds what
	// does.
	Changed Kind = "changed"
	// Damaged: what stands in the store is none of ours, or changed.
	Damaged Kind = "damaged"
	// Newer: a newer version wrote it.
	Newer Kind = "newer"
)

// Error is why a store did not do what was asked of it. It holds no secret.
type Error struct {
	Kind Kind `json:"kind"`
	// What happened, and what to do Next; the latter may be empty.
	What string `json:"what"`
	Next string `json:"next,omitempty"`
	Err  error  `json:"-"`
}

func (e *Error) Error() string {
	text := e.What
	if e.Err != nil {
		text = fmt.Sprintf("%s: %v", text, e.Err)
	}
	if e.Next != "" {
		text += "; " + e.Next
	}
	return text
}

// Passes reports whether it needs nobody: the next attempt may be better.
func (e *Error) Passes() bool {
	return e.Kind == Unavailable || e.Kind == Lost || e.Kind == Changed
}

func (e *Error) Unwrap() error { return e.Err }

// ChangedSince is the error of kind Changed.
func ChangedSince(key, store string) *Error {
	return &Error{Kind: Changed, What: fmt.Sprintf("%s in %s changed since it was read: a write that had not been answered came late", key, store),
		Next: "the next run reads it again"}
}

// KindOf is the kind of an error of this package, empty for another.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}
