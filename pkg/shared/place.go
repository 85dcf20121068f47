package shared

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// Place is a site, or an organisation, in a store. It is for one goroutine.
type Place struct {
	b    Backend
	site string
	now  func() time.Time
}

// Site is the place of a site, named as its folder is, in a store. now is the wall
// clock.
func Site(b Backend, site string, now func() time.Time) *Place {
	return &Place{b: b, site: "sites/" + site, now: now}
}

// scope is where the keys of a product stand.
func (p *Place) scope(product audit.Product) string { return p.site + "/" + string(product) }

// Hold takes the site's lease, or keeps it. Where another machine holds it, the
// lease says so.
func (p *Place) Hold(ctx context.Context, h Holder, ttl time.Duration, memory []byte) (*Lease, error) {
	return hold(ctx, p.b, p.site+"/lease", h, ttl, memory, p.now)
}

// Head is what stands there of a product; nil where nothing does yet.
func (p *Place) Head(ctx context.Context, product audit.Product) (*Head, error) {
	key := headKey(p.scope(product))
	values, err := p.b.Read(ctx, []string{key})
	if err != nil {
		return nil, fmt.Errorf("read the shared position: %w", err)
	}
	v, ok := values[key]
	if !ok {
		return nil, nil
	}
	return decodeHead(key, v)
}

// readPieces is how many pieces are read at once.
const readPieces = 8

// Seen calls each with what was seen as the head names it, in the order of its
// pieces, a piece at a time.
func (p *Place) Seen(ctx context.Context, product audit.Product, h *Head, each func([]audit.Seen) error) error {
	scope := p.scope(product)
	for pieces := range slices.Chunk(h.Pieces, readPieces) {
		var keys []string
		for _, piece := range pieces {
			keys = append(keys, pieceKey(scope, piece.Number))
		}
		values, err := p.b.Read(ctx, keys)
		if err != nil {
			return fmt.Errorf("read what was seen: %w", err)
		}
		for _, key := range keys {
			seen, err := readPiece(key, values)
			if err != nil {
				return err
			}
			if err := each(seen); err != nil {
				return err
			}
		}
	}
	return nil
}

func readPiece(key string, values map[string][]byte) ([]audit.Seen, error) {
	v, ok := values[key]
	err := error(nil)
	var seen []audit.Seen
	if ok {
		seen, err = decodePiece(key, v)
	}
	if !ok || err != nil {
		e := &Error{Kind: Damaged, What: "what was seen, " + key + ", is damaged", Err: err,
			Next: "find out who writes there besides this program; to begin anew from a machine's own state, or with initial_lookback, remove the site's keys"}
		if !ok {
			e.What = "what was seen, " + key + ", is missing"
		}
		return nil, e
	}
	return seen, nil
}

// Delta is how a stream went on from one head to the next.
type Delta struct {
	// ID is the new head's, made by NewID. Who notes it before knows afterwards, even
	// where no answer came, whether the head is there.
	ID string
	// Position is the new position; its spool file is left out.
	Position audit.Position
	// Seen are the records emitted since, in the order of their commits, and Forget
	// the millisecond below which nothing is asked for any more; 0 for none.
	Seen   []audit.Seen
	Forget int64
}

// Publish puts the next head in the place of old, which is nil for the first one
// and else what Head or Publish answered last, under the lease. The error is of
// kind Lost where the lease is not held any more, and Changed where old does not
// stand there: then nothing has changed.
func (p *Place) Publish(ctx context.Context, product audit.Product, l *Lease, old *Head, d Delta) (*Head, error) {
	next := &Head{Version: headVersion, ID: d.ID, Host: l.grant.Holder.Host}
	if old != nil {
		next.Seq, next.Next = old.Seq, old.Next
		next.Pieces = slices.Clone(old.Pieces)
	}
	next.Seq++
	next.Position = d.Position
	next.Position.File, next.Position.End, next.Position.FileSince = "", 0, 0
	next.Written = p.now().UnixMilli()
	w := writer{p: p, scope: p.scope(product), head: next, forget: d.Forget}
	w.dropForgotten()
	var dated, undated []audit.Seen
	for _, e := range d.Seen {
		switch {
		case e.Millis == audit.UndatedMillis:
			undated = append(undated, e)
		case e.Millis >= d.Forget:
			dated = append(dated, e)
		}
	}
	for _, seen := range [][]audit.Seen{undated, dated} {
		if err := w.add(ctx, seen); err != nil {
			return nil, err
		}
	}
	key := headKey(w.scope)
	value, err := encodeHead(key, next)
	if err != nil {
		return nil, err
	}
	if limit := p.b.Limits().Value; len(value) > limit {
		return nil, &Error{Kind: Refused, What: fmt.Sprintf("the shared position of %s would take %d bytes, and the store takes %d", w.scope, len(value), limit),
			Next: "shorten reconcile_window"}
	}
	w.write.Last, w.write.Same = []Value{{key, value}}, []string{key}
	if err := p.b.Write(ctx, l.grant, w.write); err != nil {
		return nil, fmt.Errorf("write the shared position: %w", err)
	}
	return next, nil
}

// writer gathers what a Publish writes.
type writer struct {
	p      *Place
	scope  string
	head   *Head
	forget int64
	write  Write
}

func (w *writer) drop(i int) {
	w.write.Drop = append(w.write.Drop, pieceKey(w.scope, w.head.Pieces[i].Number))
	w.head.Pieces = slices.Delete(w.head.Pieces, i, i+1)
}

func (w *writer) dropForgotten() {
	for i := len(w.head.Pieces) - 1; i >= 0; i-- {
		if w.head.Pieces[i].forgotten(w.forget) {
			w.drop(i)
		}
	}
}

// add makes pieces of the entries. A few of them are put together with the newest
// pieces, as long as these are not much larger: so there are few pieces, and each
// record is written a few times and not at every commit.
func (w *writer) add(ctx context.Context, seen []audit.Seen) error {
	if len(seen) == 0 {
		return nil
	}
	undated := seen[0].Millis == audit.UndatedMillis
	limit := w.p.b.Limits().Piece
	for size := len(seen) * (maxEntry - 6); ; {
		i := len(w.head.Pieces) - 1
		for i >= 0 && w.head.Pieces[i].Undated != undated {
			i--
		}
		if i < 0 || w.head.Pieces[i].Size > 2*size || w.head.Pieces[i].Size+size > limit {
			break
		}
		key := pieceKey(w.scope, w.head.Pieces[i].Number)
		values, err := w.p.b.Read(ctx, []string{key})
		if err != nil {
			return fmt.Errorf("read what was seen: %w", err)
		}
		before, err := readPiece(key, values)
		if err != nil {
			return err
		}
		before = slices.DeleteFunc(before, func(e audit.Seen) bool { return e.Millis < w.forget && e.Millis != audit.UndatedMillis })
		size += w.head.Pieces[i].Size
		seen = append(before, seen...)
		w.drop(i)
	}
	seen = slices.Clone(seen)
	byTime(seen)
	for len(seen) > 0 {
		number := w.head.Next
		w.head.Next++
		key := pieceKey(w.scope, number)
		value, n := encodePiece(key, seen, limit)
		w.write.First = append(w.write.First, Value{key, value})
		w.head.Pieces = append(w.head.Pieces, Piece{Number: number, Size: len(value), Newest: seen[n-1].Millis, Undated: undated})
		seen = seen[n:]
	}
	return nil
}

// NewID is 16 random hexadecimal digits, for a head or a node.
func NewID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	return hex.EncodeToString(b[:])
}

// ValidKey reports whether a key is one that every store takes.
func ValidKey(key string) bool {
	if key == "" || len(key) > 400 {
		return false
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part == "." || part == ".." || strings.Trim(part, keyLetters) != "" {
			return false
		}
	}
	return true
}

const keyLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
