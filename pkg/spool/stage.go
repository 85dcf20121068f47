package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"atlassian_audit_records/pkg/audit"
)

// Lines that begin a new file need not be written twice: they are written where
// nobody reads, committed, and the file is then given its name. More batches may
// follow in it before that. It is worth a file only where there is much to write:
// of small files there would be too many.

// stagedSuffix ends the name of a file that nobody is to read yet. The Agent's
// *.jsonl does not match it.
const stagedSuffix = ".staged"

// stageBehind is how long the file written last must be for a large batch to begin
// another one: so there are few files, and not tiny ones.
const stageBehind = 16 << 20

// Stage puts a batch behind what was staged for place.File, or makes it the first
// of it, and makes it durable. done is false, and nothing was done, where the batch
// is for Write. What was staged for another file must have been published, and that
// must have been committed. After an error nothing may be written before Recover.
func (d *Dir) Stage(place audit.Place, lines []byte) (done bool, err error) {
	if len(lines) == 0 || place.File != d.staging && (place.Offset != 0 || !d.stages(len(lines))) {
		return false, nil
	}
	if _, err := d.check(place, lines); err != nil {
		return false, err
	}
	// Behind an error something is there that was never committed.
	d.staging = ""
	path := d.stagedPath()
	open := d.fs.Open
	if place.Offset == 0 {
		if err := d.unstage(); err != nil {
			return false, err
		}
		open = d.fs.Create
	}
	f, err := open(path)
	if err != nil {
		return false, failed("write to", path, err)
	}
	if info, err := f.Stat(); err != nil || info.Size() != place.Offset {
		f.Close() // nothing was written
		if err != nil {
			return false, failed("look at", path, err)
		}
		return false, refused(path, errForeign, "%s has %d bytes and should have %d: somebody else writes to it; the next run reads again what is missing", path, info.Size(), place.Offset)
	}
	if n, err := writeAt(f, lines, place.Offset); err != nil {
		f.Close() // the write's error is the one that counts
		return false, failed(fmt.Sprintf("wrote %d of %d bytes to", n, len(lines)), path, err)
	}
	if err := d.finish(f, path, place.Offset); err != nil {
		return false, err
	}
	d.staging = place.File
	return true, nil
}

// Publish gives what was staged for a file, the first length bytes, the file's name,
// durably: from then on the Agent reads it, and Write appends to it. It may be repeated.
func (d *Dir) Publish(file string, length int64) error {
	there, path, err := d.staged(file, length)
	if err != nil {
		return err
	}
	if there && file != d.staging {
		// What is behind it was never committed, and nobody has seen it. It may be
		// there where it does not seem so: after a sync that failed.
		if err := d.shorten(length); err != nil {
			return err
		}
	}
	if there {
		if err := d.fs.Rename(d.stagedPath(), path); err != nil {
			return failed("give its name to", path, err)
		}
	}
	d.staging = ""
	// Also where it has its name: who gave it may have been killed behind that.
	if err := d.fs.SyncDir(d.path); err != nil {
		return failed("sync the folder", d.path, err)
	}
	return nil
}

// Holds is nil where the lines of a batch that was staged are there, under either
// name; where they are not, the error is Lost. Of another batch it knows nothing.
func (d *Dir) Holds(b audit.Batch) error {
	if b.Staged == 0 {
		return nil
	}
	_, _, err := d.staged(b.Place.File, b.Staged)
	return err
}

// staged is nil where what was staged for a file is there; waits is false where it
// has its name, path, by now.
func (d *Dir) staged(file string, length int64) (waits bool, path string, err error) {
	if path, err = d.pathOf(file); err != nil {
		return false, "", err
	}
	from, waits, err := d.lengthOf(d.stagedPath())
	if err != nil {
		return false, "", err
	}
	to, published, err := d.lengthOf(path)
	switch {
	case err != nil:
		return false, "", err
	case published && to >= length:
		return false, path, nil
	case published:
		return false, "", refused(path, errLost, "%s has %d bytes and should have %d at least", path, to, length)
	case !waits || from < length:
		return false, "", refused(path, errLost, "%s has %d of the %d bytes that were written for %s", d.stagedPath(), from, length, path)
	}
	return true, path, nil
}

// lengthOf is the length of a file; there is false where there is none.
func (d *Dir) lengthOf(path string) (n int64, there bool, err error) {
	info, err := d.fs.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, false, nil
	case err != nil:
		return 0, false, failed("look at", path, err)
	case !info.Mode().IsRegular():
		return 0, false, notRegular(path)
	}
	return info.Size(), true, nil
}

// shorten cuts off what follows the first length bytes of the staged file.
func (d *Dir) shorten(length int64) error {
	path := d.stagedPath()
	f, err := d.fs.Open(path)
	if err != nil {
		return failed("open", path, err)
	}
	if err := f.Truncate(length); err != nil {
		f.Close() // the other error is the one that counts
		return failed("cut off what was not committed of", path, err)
	}
	return d.finish(f, path, length)
}

// unstage removes what was staged and never committed.
func (d *Dir) unstage() error {
	if d.o.Staged == "" {
		return nil
	}
	path := d.stagedPath()
	// Looked at first, since it is hardly ever there.
	if _, there, err := d.lengthOf(path); err != nil || !there {
		return err
	}
	if err := d.fs.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("remove", path, err)
	}
	return nil
}

func (d *Dir) stages(n int) bool { return d.o.Staged != "" && n >= d.o.StageFrom }

func (d *Dir) stagedPath() string { return filepath.Join(d.path, d.o.Staged+stagedSuffix) }
