package explore

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/internal/sourcetest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
)

// law is what must hold, and what is known for that.
type law struct {
	w *world
	// torn: the power failed while lines were written, or a state was lost, so that
	// some may be cut or overwritten; whole ones stand elsewhere.
	torn bool
	// ever are the record_ids that ever stood somewhere, and where last.
	ever map[string]stood
	// given are lines that were given up, and reported.
	given map[string]bool
	// parts are what was seen of lines while the batch held the whole ones.
	parts map[string]bool
	// held: nothing has changed since check held.
	held bool
}

// stood is where a line stood last.
type stood struct {
	where string
	of    *stream
}

func newLaw(w *world) law {
	return law{w: w, ever: map[string]stood{}, given: map[string]bool{}, parts: map[string]bool{}}
}

// forget takes note that a state is lost, and with it what only it held.
func (l *law) forget(s *stream) {
	there := map[string]bool{}
	for _, f := range l.w.shelf.each() {
		for _, n := range f.lines {
			there[n.ID] = true
		}
	}
	for id, at := range l.ever {
		if at.of == s && !there[id] {
			delete(l.ever, id)
		}
	}
	s.forgot, l.torn, l.held = true, true, false
	s.position, s.batch = audit.Position{}, audit.Batch{}
	l.w.note(nil, "the state is gone")
	l.w.count("states lost", 1)
}

// stock is what stands where.
type stock struct {
	// lines are those that count, each once where it counts once, and where.
	lines []*line
	// counted says where a line that counts stands, by its record_id; waiting are those
	// that the Agent will read or that will be spooled again, again those that a replay
	// put back, and where they stand; in a file that was taken out, it is nowhere.
	counted map[string]stood
	waiting map[string]bool
	again   map[string][]string
}

// take gathers what stands where. That a line counts twice is an error.
func (l *law) take() (*stock, error) {
	n := len(l.ever) + 64
	s := &stock{counted: make(map[string]stood, n), waiting: make(map[string]bool, n), again: map[string][]string{}}
	add := func(n *line, where string) error {
		if at := s.counted[n.ID].where; at != "" && !n.of.forgot {
			return fmt.Errorf("%s stands in %s and in %s", n.ID, at, where)
		}
		s.lines = append(s.lines, n)
		s.counted[n.ID] = stood{where, n.of}
		return nil
	}
	all := l.w.shelf.each()
	for _, f := range all {
		copied := l.w.shelf.isCopy(f.name)
		for _, text := range f.bad {
			if !l.torn && !l.inBatch(text) {
				return nil, fmt.Errorf("%s holds what is no line: %.200q", f.path, text)
			}
		}
		for _, n := range f.given {
			l.given[n.ID] = true
		}
		for _, n := range f.lines {
			switch {
			case n.of != f.lines[0].of:
				return nil, fmt.Errorf("%s holds lines of %v and of %v", f.path, n.of.owner, f.lines[0].of.owner)
			case copied:
				if s.again[n.ID] == nil {
					s.again[n.ID] = []string{}
				}
				if !f.aside {
					s.again[n.ID] = append(s.again[n.ID], f.path)
				}
				continue
			case !f.aside:
				if err := add(n, f.path); err != nil {
					return nil, err
				}
			}
			if f.waits {
				s.waiting[n.ID] = true
			}
		}
	}
	for _, f := range all {
		if !f.aside || l.w.shelf.isCopy(f.name) {
			continue
		}
		for _, n := range f.lines {
			if s.counted[n.ID].where == "" {
				if err := add(n, f.path); err != nil {
					return nil, err
				}
			}
		}
	}
	for _, of := range l.w.streams {
		for text := range bytes.Lines(l.w.shelf.batch(of)) {
			n := l.w.shelf.read(text)
			if n == nil || n.of != of {
				return nil, fmt.Errorf("the batch of %v holds %.200q", of.owner, text)
			}
			if s.counted[n.ID].where == "" {
				if err := add(n, "the batch"); err != nil {
					return nil, err
				}
			}
			s.waiting[n.ID] = true
		}
	}
	return s, nil
}

// inBatch reports a part of a batch, which is written whole by the next run: perhaps
// elsewhere, where the file was brought away meanwhile as nobody's.
func (l *law) inBatch(text []byte) bool {
	l.parts[string(text)] = l.parts[string(text)] ||
		slices.ContainsFunc(l.w.streams, func(s *stream) bool { return bytes.Contains(s.batch.Lines, text) })
	return l.parts[string(text)]
}

// glance holds what can be held after each operation: no line counts twice, what once
// stood there is there until it is delivered, and, after a commit of a stream, what
// it covers is there.
func (l *law) glance(committed *stream) error {
	l.held = false
	s, err := l.take()
	if err != nil {
		return err
	}
	if err := l.stays(s); err != nil || committed == nil {
		return err
	}
	names := map[string]int{}
	for _, n := range s.lines {
		if n.of != committed {
			continue
		}
		whole, err := l.whole(n)
		if err != nil {
			return err
		}
		names[committed.site.NameOfLine(whole)]++
	}
	return l.covered(committed, func(name string) int { return names[name] })
}

// imagine holds what glance does against what a power failure would leave now.
func (l *law) imagine(seed uint64) error {
	dark, shelf := *l.w, *l.w.shelf
	dark.disk, dark.shelf = l.w.disk.Crash(seed), &shelf
	shelf.w, shelf.files, shelf.staged = &dark, map[string]*shelved{}, map[string][]byte{}
	dark.law = law{w: &dark, torn: true, ever: maps.Clone(l.ever), given: maps.Clone(l.given), parts: map[string]bool{}}
	shelf.all()
	for _, s := range dark.streams {
		if err := dark.law.glance(s); err != nil {
			return fmt.Errorf("if the power failed now: %w", err)
		}
	}
	l.w.count("power failures imagined", 1)
	return nil
}

// check holds the first three parts of the law against what stands where, and
// whether each line is what was served.
func (l *law) check() error {
	if l.held {
		return nil
	}
	s, err := l.take()
	if err != nil {
		return err
	}
	if err := l.stays(s); err != nil {
		return err
	}
	for _, of := range l.w.streams {
		book, err := l.compare(s, of, time.Now().Add(1000*time.Hour))
		if err != nil {
			return err
		}
		if err := l.covered(of, func(name string) int { return len(book.IDs[name]) }); err != nil {
			return err
		}
	}
	l.held = true
	return nil
}

// stays holds the third part of the law.
func (l *law) stays(s *stock) error {
	maps.Copy(l.ever, s.counted)
	var broken []string
	a := l.w.agent
	for id, was := range l.ever {
		arrived := len(a.Received[id]) > 0
		switch {
		case s.counted[id].where == "" && !arrived:
			broken = append(broken, fmt.Sprintf("%s stood in %s, and is nowhere", id, was.where))
		case !arrived && !s.waiting[id] && !a.Ahead[id] && !a.Lost[id] && !l.given[id]:
			broken = append(broken, fmt.Sprintf("%s was brought to %s, and the Agent has not delivered it", id, was.where))
		}
	}
	for id := range s.again {
		if len(a.Received[id]) == 0 && !a.Ahead[id] && !a.Lost[id] && !l.given[id] {
			broken = append(broken, id+" was put back by a replay, and the Agent had not delivered it")
		}
	}
	if len(broken) == 0 {
		return nil
	}
	return errors.New(slices.Min(broken))
}

// compare compares the lines of a stream with what its site shows from floor on.
func (l *law) compare(s *stock, of *stream, floor time.Time) (*sourcetest.Ledger, error) {
	var lines []sourcetest.Line
	for _, n := range s.lines {
		if n.of != of {
			continue
		}
		whole, err := l.whole(n)
		if err != nil {
			return nil, err
		}
		lines = append(lines, whole)
	}
	book := of.site.Compare(lines, floor)
	if of.forgot {
		book.SameID, book.Repeated = 0, 0
	}
	if of.renamed && !of.site.IDs {
		// Where a millisecond was cut by a kill and people in it were renamed, nobody
		// can tell the old from the new: then both are taken.
		book.Repeated = 0
	}
	return book, book.Err()
}

// whole is the line with all of its record, which is kept beside a line that was cut.
func (l *law) whole(n *line) (sourcetest.Line, error) {
	if !n.cut {
		return n.Line, nil
	}
	kept, ok := l.w.disk.ReadFile(path.Join(oversizeDir, spool.KeptName(n.ID)))
	if !ok {
		return n.Line, fmt.Errorf("%s was too long for a line, and is not kept whole", n.ID)
	}
	return sourcetest.Line{ID: n.ID, Created: n.Created, Form: n.of.site.Form(kept), Text: kept}, nil
}

// covered holds the first part of the law.
func (l *law) covered(of *stream, there func(name string) int) error {
	if of.disordered {
		return nil
	}
	due := map[string]int{}
	for seq, r := range of.records {
		if !r.due || !of.position.Covered.Contains(r.millis) {
			continue
		}
		held := of.site.At(string(of.site.Product), seq)
		if held.Purged {
			continue
		}
		name := of.site.NameOf(held)
		if due[name]++; due[name] > there(name) {
			return fmt.Errorf("%.120s of %s is covered, and %d of %d are there", name, held.Created.Format("02 15:04:05.000"), there(name), due[name])
		}
	}
	return nil
}

// collected is nil when everything that the sites show was collected.
func (l *law) collected() error {
	if err := l.check(); err != nil {
		return err
	}
	s, err := l.take()
	if err != nil {
		return err
	}
	for _, of := range l.w.streams {
		floor := of.position.Floor
		if of.disordered && of.pages() < 10 {
			// What stands behind a page of few records is found by the reconcile alone.
			floor = max(floor, of.position.ReconcileUpper-of.options.ReconcileWindow.Milliseconds())
		}
		if _, err := l.compare(s, of, time.UnixMilli(floor)); err != nil {
			return err
		}
	}
	return nil
}

// replayed is nil when all of a stream that was brought away as delivered was put
// back into the spool by the replay that is over, once where nobody asked for it again.
func (l *law) replayed(of *stream) error {
	s, err := l.take()
	if err != nil {
		return err
	}
	for _, n := range s.lines {
		if where := s.again[n.ID]; n.of == of && len(where) > 1 && of.again == 0 && !l.forgetful() {
			return fmt.Errorf("%s was put back by replays more than once: it stands in %s", n.ID, strings.Join(where, ", "))
		}
	}
	for _, f := range l.w.shelf.files {
		if !f.delivered || l.w.shelf.isCopy(f.name) {
			continue
		}
		for _, n := range f.lines {
			if n.of == of && s.again[n.ID] == nil {
				return fmt.Errorf("%s was delivered with %s, and not put back by a replay of everything", n.ID, f.path)
			}
		}
	}
	return nil
}

// forgetful reports that notes may be lost: they are a help, and never synced.
func (l *law) forgetful() bool {
	c := l.w.counts
	return l.torn || c["kills"]+c["refusals"]+c["the disk is nearly full"]+c["commits that failed"] > 0
}

// delivered is nil when everything arrived that was collected.
func (l *law) delivered() error {
	if err := l.check(); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(l.ever)) {
		if a := l.w.agent; len(a.Received[id]) == 0 && !a.Lost[id] && !l.given[id] {
			return fmt.Errorf("%s never arrived", id)
		}
	}
	return nil
}

// bounded is nil when no more files are left than those that are written to.
func (l *law) bounded() error {
	if err := l.check(); err != nil {
		return err
	}
	var left []string
	for name, data := range l.w.disk.Files() {
		switch path.Dir(name) {
		case places.Spool, places.Late, places.Delivered:
			left = append(left, fmt.Sprintf("%s (%d bytes, %.60q...)", name, len(data), data))
		}
	}
	if len(left) > len(l.w.streams) {
		slices.Sort(left)
		return errors.New("left behind are " + strings.Join(left, ", "))
	}
	return nil
}
