package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"atlassian_audit_records/pkg/audit"
)

const (
	replaysVersion = 1
	// replaysKept is how long it is remembered at least what was put back. As long as
	// it, or what was made of it, can be found, it is remembered in any case.
	replaysKept = 3 * kept
)

// A Part is a part of a delivered file that may be put back into the spool.
type Part struct {
	// Name is the file's in the spool. Its bytes from From on, up to To, were
	// spooled between the times Began and Ended, as far as is known.
	Name         string
	From, To     int64
	Began, Ended time.Time
	// Lines are its lines, Late those of them that would be sent as late although they
	// were not at first.
	Lines, Late int
	// Oldest and Newest are the dates of its records, zero where none has one.
	Oldest, Newest time.Time
	// Replayed is when the part was put back last, zero for never.
	Replayed time.Time

	path string
}

// Replay is what a span of time holds of a stream's delivered lines.
type Replay struct {
	// Parts are to be put back; Before were put back already, and are left out.
	Parts, Before []Part
}

// Bytes is the length of what is to be put back.
func (r Replay) Bytes() (n int64) {
	for _, p := range r.Parts {
		n += p.To - p.From
	}
	return n
}

// replays is what is remembered of what was put back, in a file of its own.
type replays struct {
	Version int      `json:"version"`
	Parts   []replay `json:"parts"`
}

// replay is one part. It is noted before the file Into is made, and noted as Done
// after: so a crash between leaves no doubt.
type replay struct {
	File string `json:"file"`
	From int64  `json:"from"`
	To   int64  `json:"to"`
	Into string `json:"into"`
	At   int64  `json:"at"`
	Done bool   `json:"done,omitempty"`
}

// FindReplay looks for the delivered lines that were spooled between two times:
// those in Delivered, and those of files that are still in the spool. When a
// line was spooled is known to a few minutes; in doubt it belongs to the span. What was
// put back already is left out, unless again is set; what is there as a copy is
// never put back itself. ledger is the file in which that is remembered.
func (t *Tracker) FindReplay(since, until time.Time, ledger string, again bool) (Replay, error) {
	done, err := t.readReplays(ledger)
	if err != nil {
		return Replay{}, err
	}
	gone, err := t.f.delivered(t.fs)
	if err != nil {
		return Replay{}, err
	}
	if gone, _, err = t.own(gone); err != nil {
		return Replay{}, err
	}
	var out Replay
	for _, e := range slices.Concat(gone, t.files) {
		n := t.notes.of(e.name)
		if n.Copy || slices.ContainsFunc(done.Parts, func(r replay) bool { return r.Into == e.name }) {
			continue
		}
		end := e.upto
		if filepath.Dir(e.path) == t.f.Spool {
			end = n.Acked
		}
		from, to, began, ended := n.span(e, since.UnixMilli(), until.UnixMilli(), end)
		for _, p := range done.split(Part{Name: e.name, From: from, To: to, Began: began, Ended: ended, path: e.path}) {
			if err := t.count(&p); err != nil {
				return Replay{}, err
			}
			switch {
			case p.Lines == 0:
			case p.Replayed.IsZero() || again:
				out.Parts = append(out.Parts, p)
			default:
				out.Before = append(out.Before, p)
			}
		}
	}
	return out, nil
}

// span is what of the first end bytes of a file may have been spooled between two
// times, and when that was.
func (n *note) span(e entry, since, until, end int64) (from, to int64, began, ended time.Time) {
	at, after := int64(0), e.born().UnixMilli()
	marks := append(slices.Clone(n.Marks), mark{e.size, e.changed.UnixMilli()})
	first := true
	for _, m := range marks {
		if size := min(m.Size, end); m.At >= since && after <= until && size > at {
			if first {
				from, began, first = at, time.UnixMilli(after).UTC(), false
			}
			to, ended = size, time.UnixMilli(m.At).UTC()
		}
		at, after = max(at, m.Size), max(after, m.At)
	}
	return from, to, began, ended
}

// split divides a part by what of it was put back.
func (r replays) split(p Part) []Part {
	edges := []int64{p.From, p.To}
	for _, x := range r.Parts {
		if x.File == p.Name && x.Done {
			edges = append(edges, min(max(x.From, p.From), p.To), min(max(x.To, p.From), p.To))
		}
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)
	var out []Part
	for i := range len(edges) - 1 {
		one := p
		one.From, one.To = edges[i], edges[i+1]
		for _, x := range r.Parts {
			if at := time.UnixMilli(x.At).UTC(); x.File == p.Name && x.Done && x.From <= one.From && one.To <= x.To && at.After(one.Replayed) {
				one.Replayed = at
			}
		}
		if last := len(out) - 1; last >= 0 && out[last].Replayed.Equal(one.Replayed) {
			out[last].To = one.To
			continue
		}
		out = append(out, one)
	}
	return out
}

// count reads the part.
func (t *Tracker) count(p *Part) error {
	now := t.now.UnixMilli()
	return t.eachLine(entry{path: p.path, size: p.To}, p.From, func(line []byte) error {
		s, ok := audit.ReadLine(line)
		if !ok {
			return nil
		}
		p.Lines++
		if s.TooOld(now) {
			p.Late++
		}
		if at := time.UnixMilli(s.Created).UTC(); s.Dated {
			if p.Oldest.IsZero() || at.Before(p.Oldest) {
				p.Oldest = at
			}
			if at.After(p.Newest) {
				p.Newest = at
			}
		}
		return nil
	})
}

// Replay puts the parts back into the spool, each as a new file, lines over 17
// hours old as late. After an error those that were put back are remembered, and
// a new FindReplay finds the others. Whoever calls it holds the stream's lock.
func (t *Tracker) Replay(r Replay, ledger string, random func() uint64) error {
	done, err := t.readReplays(ledger)
	if err != nil {
		return err
	}
	for _, p := range r.Parts {
		name := newName(t.now, random())
		done.Parts = append(done.Parts, replay{File: p.Name, From: p.From, To: p.To, Into: name, At: t.now.UnixMilli()})
		if err := t.writeReplays(ledger, done); err != nil {
			return err
		}
		if _, err := t.spoolAgain(entry{name: p.Name, path: p.path, size: p.To}, p.From, name); err != nil {
			return err
		}
		t.notes.of(name).Copy = true
		done.Parts[len(done.Parts)-1].Done = true
		if err := t.writeReplays(ledger, done); err != nil {
			return err
		}
	}
	return nil
}

// readReplays reads the ledger: what was begun and is there was done, and what is
// not there was not.
func (t *Tracker) readReplays(path string) (replays, error) {
	out := replays{Version: replaysVersion}
	f, err := t.fs.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, failed("open", path, err)
	}
	defer f.Close() // nothing was written
	text, err := io.ReadAll(io.NewSectionReader(f, 0, maxNotes))
	if err != nil {
		return out, failed("read", path, err)
	}
	if err := json.Unmarshal(text, &out); err != nil || out.Version != replaysVersion {
		return out, fmt.Errorf("%s, which says what was put back into the spool, cannot be read: remove it, and what was put back may be once more", path)
	}
	if len(out.Parts) == 0 {
		return out, nil
	}
	there, err := t.names()
	if err != nil {
		return out, err
	}
	var known []replay
	for _, x := range out.Parts {
		if passed(t.now, time.UnixMilli(x.At), replaysKept) && !there[x.File] && !there[x.Into] {
			continue
		}
		if x.Done = x.Done || there[x.Into]; x.Done {
			known = append(known, x)
		}
	}
	out.Parts = known
	return out, nil
}

// writeReplays puts the ledger in the place of the one before, durably.
func (t *Tracker) writeReplays(path string, r replays) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := replaceFile(t.fs, path, append(text, '\n'), true); err != nil {
		return err
	}
	if err := t.fs.SyncDir(filepath.Dir(path)); err != nil {
		return failed("sync the folder", filepath.Dir(path), err)
	}
	return nil
}
