package spool

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// Folders are the places of one source's files. A file is in one of them at a
// time, and keeps its name on the way from the first to the last.
type Folders struct {
	// Spool is what the Agent tails.
	Spool string
	// Late is for files that were taken out of the spool, until what the Agent
	// has not read of them is spooled again.
	Late string
	// Delivered is for what the Agent has delivered.
	Delivered string
}

// Owner is the stream that a file's lines belong to. A file has one: the
// stream that began it writes no other, and no other writes it.
type Owner struct {
	// Home is the stream's; see audit.Stream.
	Home    string
	Product audit.Product
}

const (
	// stampLayout writes times in names, in UTC.
	stampLayout = "20060102T150405.000Z"
	// taken precedes, in the name of a file in Late, when it was taken there.
	taken = ".taken-"
	// upto precedes, in the name of a file in Delivered, how many of its bytes
	// were delivered, where that is not all of them.
	upto = ".upto-"
	// givenUp precedes the same number of a file that was given up.
	givenUp = ".givenup-"
	// unfinished ends the name of a file in the making, in Late.
	unfinished = ".tmp"
)

// entry is a file in one of the folders.
type entry struct {
	// name is the one that it has, or had, in the spool.
	name string
	// path is where it is.
	path string
	size int64
	// changed is its last write or, in Delivered, when it was brought there.
	changed time.Time
	// taken is when it was taken out of the spool to be spooled again.
	taken time.Time
	// upto is the number of its bytes that were delivered, of a file in Delivered, or
	// given up, and givenUp of these the latter.
	upto, givenUp int64
}

// born is the time in the file's name; its last change where there is none.
func (e entry) born() time.Time {
	if at, ok := bornAt(e.name); ok {
		return at
	}
	return e.changed
}

func bornAt(name string) (time.Time, bool) {
	stamp, _, _ := strings.Cut(name, "-")
	at, err := time.Parse(stampLayout, stamp)
	return at, err == nil
}

// stem is a name without the ending that the Agent's glob looks for.
func stem(name string) string { return strings.TrimSuffix(name, suffix) }

// list is what is in a folder, in the order of names, as far as parse knows the
// name. A folder that is not there is empty.
func list(fsys FS, folder string, parse func(name string, e *entry) bool) ([]entry, error) {
	// What is found there may be moved or removed.
	err := checkFolder(fsys, folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := fsys.ReadDir(folder)
	if err != nil {
		return nil, failed("list the folder", folder, err)
	}
	var out []entry
	for _, d := range entries {
		e := entry{name: d.Name(), path: filepath.Join(folder, d.Name())}
		if !d.Type().IsRegular() || !parse(d.Name(), &e) {
			continue
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // moved away while we looked
		}
		if err != nil {
			return nil, failed("look at", e.path, err)
		}
		e.size, e.changed = info.Size(), info.ModTime()
		if e.upto == 0 {
			e.upto = e.size
		}
		out = append(out, e)
	}
	return out, nil
}

// staged are the files that nobody is to read yet.
func (f Folders) staged(fsys FS) ([]entry, error) {
	return list(fsys, f.Spool, func(name string, _ *entry) bool { return strings.HasSuffix(name, stagedSuffix) })
}

// spooled are the files that the Agent tails.
func (f Folders) spooled(fsys FS) ([]entry, error) {
	return list(fsys, f.Spool, func(name string, _ *entry) bool { return isName(name) })
}

// takenOut are the files that wait to be spooled again.
func (f Folders) takenOut(fsys FS) ([]entry, error) {
	return list(fsys, f.Late, func(name string, e *entry) bool {
		before, stamp, found := strings.Cut(name, taken)
		at, err := time.Parse(stampLayout, stamp)
		e.name, e.taken = before, at
		return found && err == nil && !at.IsZero() && isName(before)
	})
}

// delivered are the files that the Agent has delivered.
func (f Folders) delivered(fsys FS) ([]entry, error) {
	entries, err := list(fsys, f.Delivered, func(name string, e *entry) bool {
		if before, n, found := strings.Cut(stem(name), upto); found {
			e.name = before + suffix
			var err error
			if e.upto, err = strconv.ParseInt(n, 10, 64); err != nil || e.upto <= 0 {
				return false
			}
		}
		return isName(name)
	})
	for i, e := range entries {
		if before, n, found := strings.Cut(stem(e.name), givenUp); found {
			acked, _ := strconv.ParseInt(n, 10, 64) // another name is somebody else's
			entries[i].name, entries[i].givenUp = before+suffix, e.size-acked
		}
	}
	return entries, err
}

// ensure makes the folder at path and the one above it, or checks them, and makes
// sure that both are durable: one that is there may have been made by a process
// that was killed before it could see to that.
func ensure(fsys FS, path string) error {
	above := filepath.Dir(path)
	for _, dir := range []string{above, path} {
		if err := ensureFolder(fsys, dir); err != nil {
			return err
		}
		if err := fsys.SyncDir(filepath.Dir(dir)); err != nil {
			return failed("sync the folder of", dir, err)
		}
	}
	return nil
}

// ownerOf reads whose a file is from its first line that is one: a power failure
// may have cut or emptied those before it. ok is false where there is none.
func ownerOf(fsys FS, path string) (o Owner, ok bool, err error) {
	f, err := fsys.Open(path)
	if err != nil {
		return Owner{}, false, failed("open", path, err)
	}
	defer f.Close() // nothing was written
	r := bufio.NewReaderSize(io.NewSectionReader(f, 0, math.MaxInt64), 8<<10)
	var long []byte // a line that is longer than the reader holds
	for tooLong := false; ; {
		part, err := r.ReadSlice('\n')
		switch {
		case err == nil:
			if s, ok := audit.ReadLine(append(long, part...)); ok && !tooLong {
				return Owner{s.Home, s.Product}, true, nil
			}
			long, tooLong = long[:0], false
		case errors.Is(err, io.EOF):
			return Owner{}, false, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return Owner{}, false, failed("read", path, err)
		case len(long) > maxPiece:
			tooLong = true
		default:
			long = append(long, part...)
		}
	}
}

// Usage is what the files of one source take.
type Usage struct {
	// Spooled are the bytes in the spool, of what is staged, and of what waits to be
	// spooled again, Delivered those that may be removed when space is needed.
	Spooled, Delivered int64
}

// Usage asks for sizes alone, which costs little.
func (f Folders) Usage(fsys FS) (u Usage, err error) {
	for _, part := range []struct {
		list func(FS) ([]entry, error)
		to   *int64
	}{{f.spooled, &u.Spooled}, {f.staged, &u.Spooled}, {f.takenOut, &u.Spooled}, {f.delivered, &u.Delivered}} {
		entries, err := part.list(fsys)
		if err != nil {
			return Usage{}, err
		}
		for _, e := range entries {
			*part.to += e.size
		}
	}
	return u, nil
}

// Held is the number of bytes that the Agent still has to deliver, and of those in
// files that cannot leave the spool yet: all of a source's but what is delivered
// of each stream's newest file, which may stay there for a day.
func (f Folders) Held(fsys FS, offsets Offsets) (int64, error) {
	entries, err := f.spooled(fsys)
	if err != nil {
		return 0, err
	}
	var held int64
	newest := map[Owner]bool{}
	for _, e := range slices.Backward(entries) {
		held += e.size
		owner, ok, err := ownerOf(fsys, e.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		if !ok || newest[owner] {
			continue
		}
		newest[owner] = true
		if o, ok := offsets.of(e.path); ok && o.Bytes <= e.size {
			held -= o.Bytes
		}
	}
	for _, hidden := range []func(FS) ([]entry, error){f.takenOut, f.staged} {
		entries, err := hidden(fsys)
		if err != nil {
			return 0, err
		}
		for _, e := range entries {
			held += e.size
		}
	}
	return held, nil
}

// Left are the streams that nothing was written for since a moment, and that have
// files in the spool, staged or taken out of it.
func (f Folders) Left(fsys FS, since time.Time) ([]Owner, error) {
	entries, err := f.spooled(fsys)
	if err != nil {
		return nil, err
	}
	for _, hidden := range []func(FS) ([]entry, error){f.takenOut, f.staged} {
		more, err := hidden(fsys)
		if err != nil {
			return nil, err
		}
		entries = append(entries, more...)
	}
	old := func(e entry) bool { return e.changed.Before(since) && e.born().Before(since) }
	if !slices.ContainsFunc(entries, old) {
		return nil, nil // as nearly always
	}
	left := map[Owner]bool{}
	for _, e := range entries {
		owner, ok, err := ownerOf(fsys, e.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if ok {
			was, seen := left[owner]
			left[owner] = old(e) && (was || !seen)
		}
	}
	var owners []Owner
	for owner, all := range left {
		if all {
			owners = append(owners, owner)
		}
	}
	slices.SortFunc(owners, func(a, b Owner) int {
		return cmp.Or(strings.Compare(a.Home, b.Home), strings.Compare(string(a.Product), string(b.Product)))
	})
	return owners, nil
}

// MakeRoom removes delivered files of these sources, the oldest first, until
// so many bytes are free or none is left.
func MakeRoom(fsys FS, sources []Folders, bytes int64) (freed int64, err error) {
	var all []entry
	for _, f := range sources {
		entries, err := f.delivered(fsys)
		if err != nil {
			return 0, err
		}
		all = append(all, entries...)
	}
	slices.SortStableFunc(all, func(a, b entry) int { return a.changed.Compare(b.changed) })
	for _, e := range all {
		if freed >= bytes {
			break
		}
		if err := fsys.Remove(e.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return freed, failed("remove", e.path, err)
		}
		freed += e.size
	}
	return freed, nil
}
