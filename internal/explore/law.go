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
)

// law is what must hold, and what is known for that.
type law struct {
	w *world
	// torn: the power failed while lines were written, so that some may be cut or
	// overwritten; whole ones stand elsewhere. forgot: the state was lost, so that
	// lines may stand twice.
	torn, forgot bool
	// ever are the record_ids that ever stood somewhere, and where last.
	ever map[string]string
	// given are lines that were given up, and reported.
	given map[string]bool
	lines map[string]sourcetest.Line // by text
}

func newLaw(w *world) law {
	return law{w: w, ever: map[string]string{}, given: map[string]bool{}, lines: map[string]sourcetest.Line{}}
}

// forget takes note that the state is lost, and with it what only it held.
func (l *law) forget() {
	there, err := l.stock()
	if err != nil {
		return // the next check tells
	}
	for id := range l.ever {
		if !there.files[id] {
			delete(l.ever, id)
		}
	}
	l.forgot, l.torn = true, true
	l.w.position, l.w.batch = audit.Position{}, nil
	l.w.note(nil, "the state is gone")
	l.w.count("states lost", 1)
}

// stock is what stands where.
type stock struct {
	// lines are those that count, each once where it counts once.
	lines []sourcetest.Line
	// files are the record_ids of what stands in a file, waiting of those that the
	// Agent will read or that will be spooled again.
	files, waiting map[string]bool
	// counted are the record_ids of lines, and where they stand.
	counted map[string]string
}

func (s *stock) add(n placed) {
	s.lines = append(s.lines, n.Line)
	s.counted[n.ID] = n.file
}

// placed is a line, and the file that it stands in.
type placed struct {
	sourcetest.Line
	file string
}

// stock reads everything.
func (l *law) stock() (*stock, error) {
	w := l.w
	s := &stock{files: map[string]bool{}, waiting: map[string]bool{}, counted: map[string]string{}}
	all := w.disk.Files()
	there := map[string]bool{}
	var again []placed
	take := func(name string, data []byte, counts, waits bool) error {
		for text := range bytes.Lines(data) {
			line, err := l.read(text)
			if err != nil {
				if l.torn || bytes.Contains(w.batch, text) {
					continue // the batch is written whole by the next run
				}
				return fmt.Errorf("%s holds %w", name, err)
			}
			if counts {
				s.add(placed{line, name})
			} else {
				again = append(again, placed{line, name})
			}
			s.files[line.ID] = true
			s.waiting[line.ID] = s.waiting[line.ID] || waits
		}
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		data, base := all[name], path.Base(name)
		switch path.Dir(name) {
		case places.Spool:
			if path.Ext(name) != ".jsonl" {
				continue
			}
			if err := take(name, data, true, true); err != nil {
				return nil, err
			}
		case places.Late:
			if !strings.Contains(base, ".taken-") {
				continue
			}
			if err := take(name, data, false, true); err != nil {
				return nil, err
			}
		case places.Delivered:
			there[base] = true
			if err := l.takeDelivered(name, data, take); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.removed)) {
		if !there[name] {
			if err := l.takeDelivered(name, w.removed[name], take); err != nil {
				return nil, err
			}
		}
	}
	for _, line := range again {
		if s.counted[line.ID] == "" {
			s.add(line)
		}
	}
	for text := range bytes.Lines(w.batch) {
		line, err := l.read(text)
		if err != nil {
			return nil, fmt.Errorf("the batch holds %w", err)
		}
		if s.counted[line.ID] == "" {
			s.add(placed{line, "the batch"})
		}
		s.waiting[line.ID] = true
	}
	return s, nil
}

// takeDelivered takes a file in Delivered: of one that was taken out only what was
// delivered of it, of one that was given up all.
func (l *law) takeDelivered(name string, data []byte, take func(string, []byte, bool, bool) error) error {
	var n int
	base := path.Base(name)
	if _, end, ok := strings.Cut(base, ".upto-"); ok {
		if _, err := fmt.Sscanf(end, "%d.jsonl", &n); err != nil || n > len(data) {
			return fmt.Errorf("%s holds %d bytes (%w)", name, len(data), err)
		}
		return take(name, data[:n], false, false)
	}
	if _, end, ok := strings.Cut(base, ".givenup-"); ok {
		if _, err := fmt.Sscanf(end, "%d.jsonl", &n); err != nil || n > len(data) {
			return fmt.Errorf("%s holds %d bytes (%w)", name, len(data), err)
		}
		for text := range bytes.Lines(data[n:]) {
			if line, err := l.read(text); err == nil {
				l.given[line.ID] = true
			}
		}
	}
	return take(name, data, true, false)
}

func (l *law) read(text []byte) (sourcetest.Line, error) {
	if line, ok := l.lines[string(text)]; ok {
		return line, nil
	}
	line, err := l.w.site.ReadLine(bytes.Clone(text))
	if err == nil {
		l.lines[string(text)] = line
	}
	return line, err
}

// check holds the first three parts of the law against what stands where.
func (l *law) check() error {
	w := l.w
	s, err := l.stock()
	if err != nil {
		return err
	}
	book := w.site.Compare(s.lines, time.Now().Add(1000*time.Hour))
	l.pardon(book)
	if err := book.Err(); err != nil {
		return err
	}
	if err := l.covered(book); err != nil {
		return err
	}
	maps.Copy(l.ever, s.counted)
	for _, id := range slices.Sorted(maps.Keys(l.ever)) {
		a := w.agent
		arrived := len(a.Received[id]) > 0
		switch {
		case s.counted[id] == "" && !arrived:
			return fmt.Errorf("%s stood in %s, and is nowhere", id, l.ever[id])
		case !arrived && !s.waiting[id] && !a.Ahead[id] && !a.Lost[id] && !l.given[id]:
			return fmt.Errorf("%s was brought to %s, and the Agent has not delivered it", id, l.ever[id])
		}
	}
	return nil
}

// pardon takes out of the book what may be repeated.
func (l *law) pardon(book *sourcetest.Ledger) {
	if l.forgot {
		book.SameID, book.Repeated = 0, 0
	}
	if l.w.renamed && !l.w.site.IDs {
		// Where a millisecond was cut by a kill and people in it were renamed, nobody
		// can tell the old from the new: then both are taken.
		book.Repeated = 0
	}
}

// covered holds the first part of the law.
func (l *law) covered(book *sourcetest.Ledger) error {
	w := l.w
	if w.disordered {
		return nil
	}
	due := map[string]int{}
	for seq, r := range w.records {
		if !r.due || !w.position.Covered.Contains(r.millis) {
			continue
		}
		held := w.site.At(string(w.site.Product), seq)
		if held.Purged {
			continue
		}
		name := w.site.NameOf(held)
		if due[name]++; due[name] > len(book.IDs[name]) {
			return fmt.Errorf("%.120s of %s is covered, and %d of %d are there", name, held.Created.Format("02 15:04:05.000"), len(book.IDs[name]), due[name])
		}
	}
	return nil
}

// collected is nil when everything that the site shows was collected.
func (l *law) collected() error {
	if err := l.check(); err != nil {
		return err
	}
	s, err := l.stock()
	if err != nil {
		return err
	}
	book := l.w.site.Compare(s.lines, time.UnixMilli(l.w.position.Floor))
	l.pardon(book)
	return book.Err()
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

// bounded is nil when no more files are left than the one that is written to.
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
	if len(left) > 1 {
		slices.Sort(left)
		return errors.New("left behind are " + strings.Join(left, ", "))
	}
	return nil
}
