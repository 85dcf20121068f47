package spool

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"atlassian_audit_records/pkg/audit"
)

const (
	// pieces is how much is read and written at once.
	pieces = 256 << 10
	// maxPiece is the length beyond which something without an end is no line.
	maxPiece = 2 * audit.MaxLine
)

// Renew sees to lines that lie undelivered until their official date is too old. In
// steps, each of which may be the last before a crash:
//
//  1. The file leaves the glob: it is moved to Late, under a name that says when.
//  2. What the Agent had read of it may still be acknowledged, until close_timeout
//     is over and the registry was written again.
//  3. The offset is read again. The lines behind it are written to a file in Late,
//     the old ones among them as late; it is synced and moved into the spool, under a
//     name that follows from the old one, so that it is known whether this was done.
//  4. The old file is brought to Delivered, if anything of it was delivered, or
//     else removed. After a crash the file of step 3 tells how much that is: the
//     registry may have been lost since.
//
// So a line is always in the spool, in Late or, delivered, in Delivered. One
// that the Agent has read and that was not acknowledged in step 3 is sent twice, with the
// same record_id. A line that is late has no date that could grow too old: none is
// spooled again for its own sake.
//
// current is the file that the stream appends to; it is taken out only after
// retire, which makes the stream forget it for good. Renew calls retire too for
// a current file to which nothing will be appended any more. It ends between
// two files when over says so.
func (t *Tracker) Renew(current string, retire func() error, over func() bool) (out Outcome, err error) {
	for _, e := range t.out {
		waited := t.now.Sub(e.taken)
		ready := waited >= settling || waited < 0 // a clock that was turned back
		if !ready || !t.trust() && waited < impatience || over() {
			continue
		}
		late, renewErr := t.renew(e)
		if renewErr != nil {
			err = errors.Join(err, renewErr)
			continue
		}
		out.Renewed++
		out.Late += late
	}
	for _, e := range t.files {
		if over() {
			break
		}
		took, takeErr := t.takeOutIfOld(e, current, retire)
		err = errors.Join(err, takeErr)
		if took {
			out.TakenOut++
		}
	}
	if out.Renewed+out.TakenOut > 0 {
		err = errors.Join(err, t.look())
	}
	return out, err
}

func (t *Tracker) takeOutIfOld(e entry, current string, retire func() error) (took bool, err error) {
	n := t.notes.of(e.name)
	aged := passed(t.now, e.born(), DefaultMaxAge)
	if n.Acked == e.size || !t.trust() {
		if e.name == current && aged {
			err = retire()
		}
		return false, err
	}
	old, err := t.isOld(e, n)
	if err != nil {
		return false, err
	}
	if e.name == current && (old || aged) {
		if err := retire(); err != nil {
			return false, err
		}
	}
	if !old {
		return false, nil
	}
	if err := ensure(t.fs, t.f.Late); err != nil {
		return false, err
	}
	to := filepath.Join(t.f.Late, e.name+taken+t.now.UTC().Format(stampLayout))
	if err := t.move(e.path, to); err != nil {
		return false, err
	}
	return true, nil
}

// isOld reports undelivered lines whose official date nears the end of its use.
func (t *Tracker) isOld(e entry, n *note) (bool, error) {
	for {
		found, err := t.scan(e, n)
		if err != nil || found.Official == 0 || !passed(t.now, time.UnixMilli(found.Official), t.o.Nearing) {
			return false, err
		}
		if found.From == n.Acked {
			return true, nil
		}
		n.Scan = nil // that may have been a line that is delivered by now
	}
}

// renew does steps 3 and 4 for a file that was taken out.
func (t *Tracker) renew(e entry) (late int, err error) {
	n := t.notes.of(e.name)
	name := nameAfter(e)
	rest, there, err := t.find(name)
	if err != nil {
		return 0, err
	}
	var from int64
	if there { // by a run that came no further; the registry may have been lost since
		from, err = t.restStart(e, rest)
	} else {
		from, err = t.lineStart(e, n.Acked)
	}
	if err != nil {
		return 0, err
	}
	if !there && from < e.size {
		since := n.since(e)
		if late, err = t.spoolAgain(e, from, name); err != nil {
			return 0, err
		}
		next := t.notes.of(name)
		next.Since, next.Copy = since.UnixMilli(), n.Copy
	}
	if from == 0 {
		if err := t.fs.Remove(e.path); err != nil {
			return late, failed("remove", e.path, err)
		}
		if err := t.fs.SyncDir(t.f.Late); err != nil {
			return late, failed("sync the folder", t.f.Late, err)
		}
		return late, nil
	}
	to := e.name
	if from < e.size {
		to = fmt.Sprintf("%s%s%d%s", stem(e.name), upto, from, suffix)
	}
	return late, t.deliver(e, to)
}

// nameAfter is the name under which the rest of e is spooled again.
func nameAfter(e entry) string {
	return newName(e.taken, lateHash(e.name))
}

// find looks for a file in all of the folders, by whatever name it has there.
func (t *Tracker) find(name string) (e entry, there bool, err error) {
	err = t.each(func(x entry) {
		if x.name == name {
			e, there = x, true
		}
	})
	return e, there, err
}

// names are those of the files in all of the folders, as they have, or had, them in
// the spool.
func (t *Tracker) names() (map[string]bool, error) {
	out := map[string]bool{}
	err := t.each(func(e entry) { out[e.name] = true })
	return out, err
}

// each calls f with the files in all of the folders.
func (t *Tracker) each(f func(entry)) error {
	for _, list := range []func(FS) ([]entry, error){t.f.spooled, t.f.takenOut, t.f.delivered} {
		entries, err := list(t.fs)
		if err != nil {
			return err
		}
		for _, e := range entries {
			f(e)
		}
	}
	return nil
}

// restStart is where the lines begin in e that were spooled again in rest: the end
// of e where that cannot be told, so that nothing of it is thrown away.
func (t *Tracker) restStart(e, rest entry) (int64, error) {
	first, err := t.offsetOf(rest, func(audit.Stored) bool { return true })
	if err != nil || first.id == "" {
		return e.size, err
	}
	same, err := t.offsetOf(e, func(s audit.Stored) bool { return s.RecordID == first.id })
	return same.at, err
}

// place is where a line begins, and its record_id.
type place struct {
	at int64
	id string
}

// offsetOf is the first line that fits; the file's end where none does.
func (t *Tracker) offsetOf(e entry, fits func(audit.Stored) bool) (place, error) {
	at, found := int64(0), place{at: e.size}
	err := t.eachLine(e, 0, func(line []byte) error {
		if s, ok := audit.ReadLine(line); ok && fits(s) {
			found = place{at, s.RecordID}
			return errFound
		}
		at += int64(len(line))
		return nil
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return found, err
}

// errFound ends a search.
var errFound = errors.New("found")

// lineStart is the beginning of the line that the offset lies in: acknowledged
// offsets are ends of lines, unless somebody changed the file.
func (t *Tracker) lineStart(e entry, offset int64) (int64, error) {
	if offset <= 0 || offset >= e.size {
		return min(max(offset, 0), e.size), nil
	}
	f, err := t.fs.Open(e.path)
	if err != nil {
		return 0, failed("open", e.path, err)
	}
	defer f.Close() // nothing was written
	for before := int64(1); ; before = min(before*1024, offset) {
		buf := make([]byte, before)
		if k, err := f.ReadAt(buf, offset-before); int64(k) < before {
			return 0, failed("read", e.path, err)
		}
		if at := bytes.LastIndexByte(buf, '\n'); at >= 0 {
			return offset - before + int64(at) + 1, nil
		}
		if before == offset || before > maxPiece {
			return offset - before, nil
		}
	}
}

// spoolAgain writes the lines of e from an offset on to a new file in the spool.
func (t *Tracker) spoolAgain(e entry, from int64, name string) (late int, err error) {
	now := t.now.UnixMilli()
	w, err := t.begin(name)
	if err != nil {
		return 0, err
	}
	err = t.eachLine(e, from, func(line []byte) error {
		s, ok := audit.ReadLine(line)
		switch {
		case len(bytes.Trim(line, "\x00\n")) == 0:
			return nil // what a power failure left
		case line[len(line)-1] != '\n' && !ok:
			return nil // the beginning of a line, whose batch is written anew
		case ok && s.TooOld(now):
			late++
			w.buf, _ = audit.AppendLate(w.buf, line)
		default:
			w.buf = append(w.buf, line...)
		}
		if w.buf[len(w.buf)-1] != '\n' {
			w.buf = append(w.buf, '\n')
		}
		return w.flush(pieces)
	})
	return late, w.end(err)
}

// eachLine calls f with the lines of the file from an offset on, each with its
// '\n'; the last one may have none, and what is too long to be a line comes in
// pieces. The bytes are only valid during the call.
func (t *Tracker) eachLine(e entry, from int64, f func(line []byte) error) error {
	file, err := t.fs.Open(e.path)
	if err != nil {
		return failed("open", e.path, err)
	}
	defer file.Close() // nothing was written
	r := bufio.NewReaderSize(io.NewSectionReader(file, from, e.size-from), pieces)
	var long []byte
	for {
		part, err := r.ReadSlice('\n')
		line := part
		if errors.Is(err, bufio.ErrBufferFull) || len(long) > 0 {
			long = append(long, part...)
			line = long
		}
		if errors.Is(err, bufio.ErrBufferFull) && len(long) < maxPiece {
			continue
		}
		if len(line) > 0 {
			if err := f(line); err != nil {
				return err
			}
		}
		long = long[:0]
		switch {
		case err == nil, errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil
		default:
			return failed("read", e.path, err)
		}
	}
}

// draft is a file in the making, outside of the spool. It appears there whole or
// not at all.
type draft struct {
	t    *Tracker
	temp string
	to   string
	f    File
	at   int64
	buf  []byte
}

// begin starts the spool file of that name.
func (t *Tracker) begin(name string) (*draft, error) {
	if err := ensure(t.fs, t.f.Late); err != nil {
		return nil, err
	}
	d := &draft{t: t, temp: filepath.Join(t.f.Late, stem(name)+unfinished), to: filepath.Join(t.f.Spool, name)}
	// One that a crash left behind; the name is this file's alone.
	if err := t.fs.Remove(d.temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, failed("remove", d.temp, err)
	}
	f, err := t.fs.Create(d.temp)
	if err != nil {
		return nil, failed("write to", d.temp, err)
	}
	d.f = f
	return d, nil
}

// flush writes what has gathered, if it is so much.
func (d *draft) flush(least int) error {
	if len(d.buf) < least || len(d.buf) == 0 {
		return nil
	}
	n, err := d.f.WriteAt(d.buf, d.at)
	if err == nil && n < len(d.buf) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return failed("write to", d.temp, err)
	}
	d.at += int64(n)
	d.buf = d.buf[:0]
	return nil
}

// end brings the file into the spool, unless there was an error or nothing to
// write. In both cases nothing of it stays behind.
func (d *draft) end(err error) error {
	if err == nil {
		err = d.flush(0)
	}
	if err == nil && d.at > 0 {
		if syncErr := d.f.Sync(); syncErr != nil {
			err = failed("sync", d.temp, syncErr)
		}
	}
	if closeErr := d.f.Close(); err == nil && closeErr != nil {
		err = failed("close", d.temp, closeErr)
	}
	if err == nil && d.at > 0 {
		err = d.t.move(d.temp, d.to)
	} else {
		_ = d.t.fs.Remove(d.temp) // gives its room back; left behind, the next attempt removes it
	}
	return err
}
