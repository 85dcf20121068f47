package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/pkg/audit"
)

const (
	// grace is how long after the last acknowledgement a file stays: payloads may be
	// acknowledged out of order, so that an offset can be ahead of what arrived.
	grace = 10 * time.Minute
	// kept is how long a delivered file is kept for a replay.
	kept = 24 * time.Hour
	// patience is how long after a file's last write, and after the last of it that was
	// acknowledged, the Agent must have read a line of another file, and had it
	// acknowledged, for the end of this one to be in doubt; and ahead how long
	// after that it must do so again for it to be given up: when an outage
	// is over, one file is acknowledged before the other.
	patience = 24 * time.Hour
	ahead    = time.Hour
	// DefaultNearing is the age of a record's official date at which what the Agent
	// has not delivered is taken out and spooled again: Datadog refuses at 18 hours,
	// and the way out and back takes a few minutes.
	DefaultNearing = audit.LateAfter + 30*time.Minute
	// settling is how long a file stays out before the offset is read again: the Agent's
	// logs_config.close_timeout (60 s), its registry's next flush, and a margin.
	settling = 2 * time.Minute
	// impatience is how long a file that was taken out waits for the registry to
	// be readable again.
	impatience = 6 * time.Hour
	// rescanned is how much is read again just to know better how old it is.
	rescanned = 8 << 20
)

// An Offset is what the Agent knows of a file.
type Offset struct {
	// Bytes is how far it was read and acknowledged.
	Bytes int64
	// Touched is when that was last noted, Read when the line acknowledged last
	// was read. Zero where it is not known.
	Touched, Read time.Time
}

// Offsets answers what the Agent knows of the file at path, by the path that it
// has in the spool. A nil Offsets knows nothing, which is not the same as that
// nothing was read.
type Offsets func(path string) (o Offset, ok bool)

func (o Offsets) of(path string) (Offset, bool) {
	if o == nil {
		return Offset{}, false
	}
	return o(path)
}

// TrackerOptions are the settings of a Tracker. The first two are needed.
type TrackerOptions struct {
	Now   func() time.Time
	Owner Owner
	// Offsets is nil where nothing can be known now of what the Agent has read.
	Offsets Offsets
	// NoAgent tells that Offsets is nil because no Agent reads logs on this machine.
	NoAgent bool
	// Notes is the path of the file in which a little is remembered; empty is none.
	Notes string
	// Nearing is the age at which what is undelivered is spooled again; default
	// DefaultNearing.
	Nearing time.Duration
	// SettleAfter is how long an offset must have stood to count as settled, where the
	// stream is shared; 0 where it is not.
	SettleAfter time.Duration
}

// Tracker follows the files of one stream from the spool until they are delivered
// and removed. Whoever uses it to change anything holds the stream's lock; Standing
// alone needs none. It is for one goroutine.
type Tracker struct {
	fs    FS
	f     Folders
	o     TrackerOptions
	now   time.Time
	notes notes
	saved []byte
	files []entry // the stream's, in the spool
	out   []entry // the stream's, taken out
	gone  []entry // the stream's, given up
	// nobodys are in the spool, and no line of them can be read.
	nobodys []entry
	// read is when the Agent read the newest line that was acknowledged, of any
	// stream of the source, and what of which file.
	read     time.Time
	readName string
}

// Track looks at the folders and changes nothing.
func Track(fsys FS, f Folders, o TrackerOptions) (*Tracker, error) {
	if o.Nearing <= 0 {
		o.Nearing = DefaultNearing
	}
	t := &Tracker{fs: fsys, f: f, o: o, notes: notes{Version: notesVersion, Files: map[string]*note{}}}
	if o.Notes != "" {
		t.notes, t.saved = readNotes(fsys, o.Notes)
	}
	if err := t.look(); err != nil {
		return nil, err
	}
	return t, nil
}

// Look looks at the folders again, where files have come since.
func (t *Tracker) Look() error { return t.look() }

// look lists the stream's files and takes note of what the Agent knows of them.
func (t *Tracker) look() error {
	t.now = t.o.Now()
	all, err := t.f.spooled(t.fs)
	if err != nil {
		return err
	}
	if t.files, t.nobodys, err = t.own(all); err != nil {
		return err
	}
	out, err := t.f.takenOut(t.fs)
	if err != nil {
		return err
	}
	if t.out, _, err = t.own(out); err != nil {
		return err
	}
	gone, err := t.f.delivered(t.fs)
	if err != nil {
		return err
	}
	for _, e := range slices.Concat(all, gone) {
		if at, ok := t.o.Offsets.of(t.home(e)); ok && at.Read.After(t.read) && !at.Read.After(t.now) {
			t.read, t.readName = at.Read, e.name
		}
	}
	for _, e := range slices.Concat(t.files, t.out) {
		n := t.notes.of(e.name)
		at, ok := t.o.Offsets.of(t.home(e))
		t.notes.Known = t.notes.Known || ok
		n.acked(at, e.size, t.now)
		if t.o.SettleAfter > 0 {
			n.settle(t.o.SettleAfter, t.now)
		}
		n.grown(e.size, e.changed)
	}
	lost := slices.DeleteFunc(slices.Clone(gone), func(e entry) bool { return e.givenUp == 0 })
	if t.gone, _, err = t.own(lost); err != nil {
		return err
	}
	there := map[string]bool{}
	for _, e := range slices.Concat(all, out, gone) {
		there[e.name] = true
	}
	for name := range t.notes.Files {
		if !there[name] {
			delete(t.notes.Files, name)
		}
	}
	return nil
}

// own are those of the files that are the stream's, and nobodys those of which
// nothing tells whose they are.
func (t *Tracker) own(all []entry) (mine, nobodys []entry, err error) {
	for _, e := range all {
		owner, ok, err := ownerOf(t.fs, e.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // moved away while we looked
		}
		if err != nil {
			return nil, nil, err
		}
		switch {
		case !ok:
			nobodys = append(nobodys, e)
		case owner == t.o.Owner:
			mine = append(mine, e)
		}
	}
	return mine, nobodys, nil
}

// home is the path that the file has, or had, in the spool.
func (t *Tracker) home(e entry) string { return filepath.Join(t.f.Spool, e.name) }

// trust tells whether what is known of offsets is good enough to repeat lines by.
func (t *Tracker) trust() bool {
	return t.o.Offsets != nil || t.o.NoAgent && !t.notes.Known
}

// Save keeps what is to be remembered.
func (t *Tracker) Save() error {
	if t.o.Notes == "" {
		return nil
	}
	return writeNotes(t.fs, t.o.Notes, t.notes, t.saved)
}

// Standing is how far a stream's lines are on their way.
type Standing struct {
	// Known is false where nothing could be learned now of what the Agent has
	// read: then the rest is what was known before, or everything.
	Known bool
	// Bytes are undelivered, in Files files, and TakenOut of these bytes wait to be spooled
	// again.
	Bytes, TakenOut int64
	Files           int
	// Since is when the oldest undelivered line was spooled; zero where there is none.
	Since time.Time
	// Oldest is the date of the oldest undelivered record: everything collected
	// that is dated before it is delivered. Zero where there is none.
	Oldest time.Time
	// GivenUp are the files whose end was never acknowledged, as long as they are
	// kept.
	GivenUp []GivenUp
}

// Standing looks into what is undelivered, as far as it was not looked into before.
func (t *Tracker) Standing() (s Standing, err error) {
	s.Known = t.o.Offsets != nil
	for _, e := range slices.Concat(t.files, t.out) {
		n := t.notes.of(e.name)
		if n.Acked >= e.size {
			continue
		}
		s.Bytes += e.size - n.Acked
		s.Files++
		if !e.taken.IsZero() {
			s.TakenOut += e.size - n.Acked
		}
		if since := n.since(e); s.Since.IsZero() || since.Before(s.Since) {
			s.Since = since
		}
		found, err := t.scan(e, n)
		if err != nil {
			return s, err
		}
		if at := time.UnixMilli(found.Created); found.Created != 0 && (s.Oldest.IsZero() || at.Before(s.Oldest)) {
			s.Oldest = at.UTC()
		}
	}
	for _, e := range t.gone {
		s.GivenUp = append(s.GivenUp, GivenUp{filepath.Base(e.path), e.givenUp})
	}
	return s, nil
}

// since is when the first undelivered line of the file was spooled.
func (n *note) since(e entry) time.Time {
	if n.Acked == 0 && n.Since != 0 {
		return time.UnixMilli(n.Since).UTC()
	}
	if _, by := n.spooledBetween(n.Acked); by != 0 {
		return time.UnixMilli(by).UTC()
	}
	return e.changed.UTC()
}

// scan reads what is undelivered of the file, as far as the notes do not have it.
func (t *Tracker) scan(e entry, n *note) (scan, error) {
	s := n.Scan
	// What was found in lines that are delivered now counts no more; where much is
	// undelivered, reading it again at each step of the Agent's would cost too much.
	stale := s != nil && s.From < n.Acked && e.size-n.Acked <= rescanned
	if s == nil || stale || s.From > n.Acked || s.To < n.Acked || s.To > e.size {
		s = &scan{From: n.Acked, To: n.Acked}
	}
	if s.To == e.size {
		return *s, nil
	}
	next := *s
	err := t.eachLine(e, s.To, func(line []byte) error {
		if l, ok := audit.ReadDates(line); ok {
			next.see(l)
		}
		return nil
	})
	if err != nil {
		return scan{}, err
	}
	next.To = e.size
	n.Scan = &next
	return next, nil
}

func (s *scan) see(l audit.Stored) {
	if l.HasOfficial && (s.Official == 0 || l.Official < s.Official) {
		s.Official = l.Official
	}
	if l.Dated && (s.Created == 0 || l.Created < s.Created) {
		s.Created = l.Created
	}
}

// Outcome is what a step of a Tracker did.
type Outcome struct {
	// Delivered files left the spool, Removed ones were kept long enough.
	Delivered, Removed int
	// GivenUp are files whose end the Agent will never acknowledge.
	GivenUp []GivenUp
	// TakenOut files have left the spool to be spooled again, Renewed were. Late is the
	// number of lines that are late now and were not.
	TakenOut, Renewed, Late int
}

// GivenUp is a file that left the spool although its end was not acknowledged.
type GivenUp struct {
	// Name is the file's, in the folder Delivered.
	Name string
	// Bytes were never acknowledged.
	Bytes int64
}

// Settle brings what is delivered out of the spool, and removes what was kept long
// enough. current is the file that the stream appends to, or "". What cannot
// be moved now, as on Windows a file that somebody has open, is left to the next
// call and is in the error, which concerns no other file.
func (t *Tracker) Settle(current string) (out Outcome, err error) {
	var left []entry
	for _, e := range t.files {
		n := t.notes.of(e.name)
		done := t.isDelivered(e, n)
		hopeless := !done && t.isHopeless(e, n)
		if e.name == current || !done && !hopeless {
			left = append(left, e)
			continue
		}
		to := e.name
		if hopeless {
			to = fmt.Sprintf("%s%s%d%s", stem(e.name), givenUp, n.Acked, suffix)
		}
		if moveErr := t.deliver(e, to); moveErr != nil {
			left = append(left, e)
			err = errors.Join(err, moveErr)
			continue
		}
		if hopeless {
			out.GivenUp = append(out.GivenUp, GivenUp{to, e.size - n.Acked})
		} else {
			out.Delivered++
		}
	}
	t.files = left
	for _, e := range t.nobodys {
		// What a power failure left of a file: its lines stand elsewhere, by the batch
		// of whoever began it. Others may see to it at the same time.
		if e.name == current || !passed(t.now, e.changed, patience) || !passed(t.now, e.born(), patience) {
			continue
		}
		// Whoever began it may have completed it since it was looked at.
		if info, lookErr := t.fs.Lstat(e.path); lookErr == nil && (info.Size() != e.size || !info.ModTime().Equal(e.changed)) {
			continue
		}
		if moveErr := t.deliver(e, e.name); moveErr != nil && !errors.Is(moveErr, fs.ErrNotExist) {
			err = errors.Join(err, moveErr)
		}
	}
	n, removeErr := t.removeOld()
	out.Removed = n
	return out, errors.Join(err, removeErr)
}

// isDelivered reports a file that was acknowledged to its end, long enough ago.
func (t *Tracker) isDelivered(e entry, n *note) bool {
	return e.size > 0 && n.Acked == e.size && passed(t.now, time.UnixMilli(n.AckedAt), grace)
}

// isHopeless reports a file whose end will never be acknowledged, although the
// Agent is at work: lines of other files were, that it read long after this
// file's last, and more than once. So it is where processing rules exclude the
// last lines. Without such a sign a file waits for ever.
func (t *Tracker) isHopeless(e entry, n *note) bool {
	last := e.changed
	if acked := time.UnixMilli(n.AckedAt); n.AckedAt != 0 && acked.After(last) {
		last = acked
	}
	switch {
	case e.size == 0 || n.Acked == e.size || t.readName == e.name || t.read.Sub(last) < patience:
		n.Doubt = 0
		return false
	case n.Doubt == 0:
		n.Doubt = t.now.UnixMilli()
		return false
	}
	return t.read.Sub(time.UnixMilli(n.Doubt)) >= ahead
}

// passed reports whether d has passed since at. A moment ahead of the clock,
// which was changed then, counts for nothing until the clock gets there.
func passed(now, at time.Time, d time.Duration) bool { return now.Sub(at) >= d }

// deliver brings a file to Delivered, under that name there.
func (t *Tracker) deliver(e entry, name string) error {
	if err := ensure(t.fs, t.f.Delivered); err != nil {
		return err
	}
	// From now on it is kept for a day.
	if err := t.fs.Chtimes(e.path, t.now); err != nil {
		return failed("date", e.path, err)
	}
	return t.move(e.path, filepath.Join(t.f.Delivered, name))
}

// move gives a file another folder, durably.
func (t *Tracker) move(from, to string) error {
	if err := t.fs.Rename(from, to); err != nil {
		return failed("move away", from, err)
	}
	// The new name first: where a crash keeps one of the two changes, the file has
	// two names rather than none.
	for _, dir := range []string{filepath.Dir(to), filepath.Dir(from)} {
		if err := t.fs.SyncDir(dir); err != nil {
			return failed("sync the folder", dir, err)
		}
	}
	return nil
}

// removeOld removes the source's delivered files that were kept long enough.
func (t *Tracker) removeOld() (removed int, err error) {
	entries, err := t.f.delivered(t.fs)
	if err != nil {
		return 0, err
	}
	// What a crash left in the making, and nobody took up again.
	drafts, err := list(t.fs, t.f.Late, func(name string, _ *entry) bool { return strings.HasSuffix(name, unfinished) })
	if err != nil {
		return 0, err
	}
	for _, e := range append(entries, drafts...) {
		if !passed(t.now, e.changed, kept) {
			continue
		}
		if rmErr := t.fs.Remove(e.path); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, failed("remove", e.path, rmErr))
			continue
		}
		removed++
	}
	return removed, err
}

// String is for messages.
func (g GivenUp) String() string { return fmt.Sprintf("%s (%d bytes)", g.Name, g.Bytes) }
