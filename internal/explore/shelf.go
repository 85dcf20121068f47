package explore

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"atlassian_audit_records/internal/sourcetest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
)

// shelf is what stands in the files of the machine's disk. What did not change is not
// read again.
type shelf struct {
	w     *world
	files map[string]*shelved // by path
	// staged is what the agent does not see, by path.
	staged map[string][]byte
	// removed are the delivered files that were removed, by the name they had there.
	removed map[string]*shelved
	lines   map[string]*line // by text
	// copies are the names of the files that a replay made, and next what tells the
	// files that the rests of those were spooled again in.
	copies, next map[string]bool
}

// shelved is a file.
type shelved struct {
	path, name string
	// random tells it from others, and after the file that its rest was spooled again in.
	random, after string
	lines         []*line
	// bad is what is no line.
	bad [][]byte
	// waits: the Agent will read it, or it will be spooled again. aside: its lines do
	// not count beside those that they became. delivered: the Agent has had it.
	waits, aside, delivered bool
	// given are lines that were given up, and reported.
	given []*line
}

// line is a line of a stream.
type line struct {
	sourcetest.Line
	of *stream
	// cut: it was too long, so that the record is kept whole.
	cut bool
}

func newShelf(w *world) *shelf {
	return &shelf{
		w: w, files: map[string]*shelved{}, staged: map[string][]byte{}, removed: map[string]*shelved{}, lines: map[string]*line{},
		copies: map[string]bool{}, next: map[string]bool{},
	}
}

// all reads everything anew.
func (s *shelf) all() {
	clear(s.files)
	clear(s.staged)
	for name := range s.w.disk.Files() {
		s.look(name)
	}
}

// look reads one file anew.
func (s *shelf) look(p string) {
	delete(s.files, p)
	delete(s.staged, p)
	data, ok := s.w.disk.ReadFile(p)
	if !ok {
		return
	}
	switch dir := path.Dir(p); {
	case strings.HasSuffix(p, ".replayed.json"):
		s.learn(data)
	case dir == places.Spool && path.Ext(p) == ".jsonl":
		f := &shelved{path: p, name: path.Base(p), waits: true}
		s.fill(f, data)
		s.files[p] = f
	case dir == places.Spool:
		s.staged[p] = data
	case dir == places.Late:
		name, _, taken := strings.Cut(path.Base(p), ".taken-")
		if !taken {
			return
		}
		f := &shelved{path: p, name: name, waits: true, aside: true}
		s.fill(f, data)
		s.files[p] = f
	case dir == places.Delivered:
		s.files[p] = s.delivered(p, data)
	}
}

// gone takes note of a delivered file that was removed.
func (s *shelf) gone(p string, data []byte) { s.removed[path.Base(p)] = s.delivered(p, data) }

// delivered is a file that was brought away: of one that was taken out only what was
// delivered of it, of one that was given up all.
func (s *shelf) delivered(p string, data []byte) *shelved {
	name, n := path.Base(p), 0
	f := &shelved{path: p, name: name, delivered: true}
	if before, end, ok := strings.Cut(name, ".upto-"); ok {
		f.name, f.aside = before+".jsonl", true
		if _, err := fmt.Sscanf(end, "%d.jsonl", &n); err != nil || n > len(data) {
			f.bad = append(f.bad, []byte(name))
			return f
		}
		data = data[:n]
	}
	s.fill(f, data)
	if before, end, ok := strings.Cut(name, ".givenup-"); ok {
		f.name = before + ".jsonl"
		if _, err := fmt.Sscanf(end, "%d.jsonl", &n); err != nil || n > len(data) {
			f.bad = append(f.bad, []byte(name))
			return f
		}
		for text := range bytes.Lines(data[n:]) {
			if l := s.read(text); l != nil {
				f.given = append(f.given, l)
			}
		}
	}
	return f
}

// batch are the lines that the state of a stream will write, or that were staged and
// committed and will be given their name.
func (s *shelf) batch(of *stream) []byte {
	if of.batch.Staged == 0 {
		return of.batch.Lines
	}
	name := of.batch.Place.File
	for _, f := range s.files {
		if f.name == name {
			return nil // it has its name
		}
	}
	data := s.staged[path.Join(places.Spool, of.name+".staged")]
	return data[:min(int64(len(data)), of.batch.Staged)]
}

func (s *shelf) fill(f *shelved, data []byte) {
	for text := range bytes.Lines(data) {
		if l := s.read(text); l != nil {
			f.lines = append(f.lines, l)
		} else {
			f.bad = append(f.bad, bytes.Clone(text))
		}
	}
	hash := sha256.Sum256([]byte("late\x00" + f.name))
	f.random, f.after = randomOf(f.name), fmt.Sprintf("%x", hash[:8])
	if s.isCopy(f.name) {
		s.next[f.after] = true
	}
}

// isCopy tells a file that a replay made, or that the rest of such a one was spooled
// again in.
func (s *shelf) isCopy(name string) bool {
	return s.copies[name] || s.next[randomOf(name)]
}

func randomOf(name string) string {
	_, random, _ := strings.Cut(strings.TrimSuffix(name, ".jsonl"), "-")
	return random
}

// learn reads a ledger of replays.
func (s *shelf) learn(text []byte) {
	var ledger struct {
		Parts []struct{ Into string }
	}
	if json.Unmarshal(text, &ledger) != nil {
		return // it is being written
	}
	for _, part := range ledger.Parts {
		s.copies[part.Into] = true
	}
}

// read reads a line; nil is none.
func (s *shelf) read(text []byte) *line {
	if l, ok := s.lines[string(text)]; ok {
		return l
	}
	l := s.parse(bytes.Clone(text))
	s.lines[string(text)] = l
	return l
}

func (s *shelf) parse(text []byte) *line {
	stored, ok := audit.ReadLine(text)
	owner := spool.Owner{Home: stored.Home, Product: stored.Product}
	i := slices.IndexFunc(s.w.streams, func(s *stream) bool { return s.owner == owner })
	if !ok || i < 0 {
		return nil
	}
	read, err := s.w.streams[i].site.ReadLine(text)
	if err != nil {
		return nil
	}
	var ours struct {
		Atlassian struct {
			Truncated []string `json:"truncated"`
		} `json:"atlassian"`
	}
	cut := len(text) > audit.MaxLine/2 && json.Unmarshal(text, &ours) == nil && len(ours.Atlassian.Truncated) > 0
	return &line{read, s.w.streams[i], cut}
}

// each are all files that count, in the order of their paths: also what was removed
// after it was delivered, unless a power failure brought it back. What was delivered
// to its end although its rest had been spooled again, which a killed run did, is aside.
func (s *shelf) each() []*shelved {
	out := make([]*shelved, 0, len(s.files)+len(s.removed))
	for _, p := range slices.Sorted(maps.Keys(s.files)) {
		out = append(out, s.files[p])
	}
	for _, name := range slices.Sorted(maps.Keys(s.removed)) {
		if s.files[path.Join(places.Delivered, name)] == nil {
			out = append(out, s.removed[name])
		}
	}
	there := map[string]bool{}
	for _, f := range out {
		there[f.random] = true
	}
	for _, f := range out {
		f.aside = f.aside || f.delivered && there[f.after]
	}
	return out
}
