package spool

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"time"
)

// What a tracker remembers of a stream's files between two runs. All of it
// may be lost: then less is known, and in doubt a line is repeated.

const (
	notesVersion = 1
	maxNotes     = 16 << 20
	// maxMarks bounds the marks of a file, markStep is how close they stand.
	maxMarks = 512
	markStep = 5 * time.Minute
)

type notes struct {
	Version int `json:"version"`
	// Known is true once the Agent's registry had an entry for one of the files.
	Known bool             `json:"known,omitempty"`
	Files map[string]*note `json:"files,omitempty"`
}

// note is about one file, by the name that it has in the spool.
type note struct {
	// Acked is the highest offset that the registry ever told, AckedAt since when
	// (ms since the epoch). An entry may be forgotten; what it told stays true.
	Acked   int64 `json:"acked,omitempty"`
	AckedAt int64 `json:"acked_at,omitempty"`
	// Settled is the offset that has stood for a while, Watched the one that was
	// looked at last and stands since WatchedAt (ms), where the stream is shared.
	Settled   int64 `json:"settled,omitempty"`
	Watched   int64 `json:"watched,omitempty"`
	WatchedAt int64 `json:"watched_at,omitempty"`
	// Marks are lengths that the file had, each with the time of its last write
	// then (ms): so it is known when a line was spooled.
	Marks []mark `json:"marks,omitempty"`
	// Since is when the oldest of its lines was spooled for the first time (ms),
	// where the file was made of another.
	Since int64 `json:"since,omitempty"`
	// Copy is true of a file of lines that were put back by a replay.
	Copy bool `json:"copy,omitempty"`
	// Doubt is since when it seems that its end will never be acknowledged (ms).
	Doubt int64 `json:"doubt,omitempty"`
	// Scan is what was found in the undelivered part.
	Scan *scan `json:"scan,omitempty"`
}

type mark struct {
	Size int64 `json:"size"`
	At   int64 `json:"at"`
}

// scan is about the lines between two offsets: the oldest official date and the
// oldest date of a record among them (ms), each 0 where none has one.
type scan struct {
	From     int64 `json:"from"`
	To       int64 `json:"to"`
	Official int64 `json:"official,omitempty"`
	Created  int64 `json:"created,omitempty"`
}

// readNotes reads the notes at path; where there are none that can be
// understood, they are empty.
func readNotes(fsys FS, path string) (n notes, text []byte) {
	empty := notes{Version: notesVersion, Files: map[string]*note{}}
	f, err := fsys.Open(path)
	if err != nil {
		return empty, nil
	}
	defer f.Close() // nothing was written
	text, err = io.ReadAll(io.NewSectionReader(f, 0, maxNotes))
	if err != nil || json.Unmarshal(text, &n) != nil || n.Version != notesVersion {
		return empty, nil
	}
	if n.Files == nil {
		n.Files = map[string]*note{}
	}
	for name, x := range n.Files {
		if x == nil || !isName(name) {
			delete(n.Files, name)
		}
	}
	return n, text
}

// of is the note about a file, made where there is none.
func (n notes) of(name string) *note {
	x := n.Files[name]
	if x == nil {
		x = &note{}
		n.Files[name] = x
	}
	return x
}

// grown notes the file's length and last write.
func (n *note) grown(size int64, at time.Time) {
	last := len(n.Marks) - 1
	if last >= 0 && n.Marks[last].Size == size || size == 0 {
		return
	}
	m := mark{size, at.UnixMilli()}
	switch {
	case last >= 0 && n.Marks[last].Size > size: // it was cut: the past is another file's
		n.Marks = []mark{m}
	case last >= 1 && m.At-n.Marks[last-1].At < markStep.Milliseconds(), len(n.Marks) >= maxMarks:
		n.Marks[last] = m
	default:
		n.Marks = append(n.Marks, m)
	}
}

// spooledBetween are bounds of the time at which the byte at an offset was
// written (ms): after and by. They are 0 where nothing is known.
func (n *note) spooledBetween(offset int64) (after, by int64) {
	for _, m := range n.Marks {
		if m.Size > offset {
			return after, m.At
		}
		after = m.At
	}
	return after, 0
}

// acked takes note of what the registry tells, now.
func (n *note) acked(o Offset, size int64, now time.Time) {
	if n.Acked > size { // somebody cut the file: what was known is of no use
		n.Acked, n.AckedAt = 0, 0
	}
	if o.Bytes > n.Acked && o.Bytes <= size {
		at := o.Touched
		if at.IsZero() || at.After(now) {
			at = now
		}
		n.Acked, n.AckedAt = o.Bytes, at.UnixMilli()
	}
	n.AckedAt = min(n.AckedAt, now.UnixMilli()) // the clock was turned back
}

// writeNotes puts the notes in the place of those at path, if they changed. They
// are not synced: after a power failure they may be the old ones, or none.
func writeNotes(fsys FS, path string, n notes, before []byte) error {
	text, err := json.Marshal(n)
	if err != nil || string(text) == string(before) {
		return err
	}
	return replaceFile(fsys, path, text, false)
}

// replaceFile puts a file in the place of the one at path, whole or not at all,
// and synced where that matters.
func replaceFile(fsys FS, path string, text []byte, sync bool) error {
	temp := path + ".tmp"
	if err := fsys.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("remove", temp, err)
	}
	f, err := fsys.Create(temp)
	if err != nil {
		return failed("write to", temp, err)
	}
	k, err := f.WriteAt(text, 0)
	if err == nil && k < len(text) {
		err = io.ErrShortWrite
	}
	if err == nil && sync {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = fsys.Rename(temp, path)
	}
	if err != nil {
		_ = fsys.Remove(temp) // gives its room back
		return failed("write to", path, err)
	}
	return nil
}
