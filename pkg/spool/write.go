package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"atlassian_audit_records/pkg/audit"
)

// Write puts lines, whole ones, at place and makes them durable. At offset 0
// the file must be new; elsewhere it must end there. After an error, and even
// after one that is not the disk's, call Recover with the same batch before
// anything else is written.
func (d *Dir) Write(place audit.Place, lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	path, err := d.check(place, lines)
	if err != nil {
		return err
	}
	if place.Offset == 0 {
		return d.put(path, 0, lines, true)
	}
	info, err := d.fs.Lstat(path)
	switch {
	case err != nil:
		return failed("append to", path, err)
	case !info.Mode().IsRegular():
		return notRegular(path)
	case info.Size() != place.Offset:
		return refused(path, errForeign, "%s has %d bytes and should have %d: somebody else writes to it, or removed a part; the next run goes on in a new file", path, info.Size(), place.Offset)
	}
	return d.put(path, place.Offset, lines, false)
}

// Recover completes the batch that was committed last, as the table in the
// package comment says, and may be repeated. It reports whether something was
// missing that it wrote. The lines in rest, in their order, have no place on disk: the caller
// must commit them anew, at the beginning of a new file. They may share memory
// with b.Lines. What was staged is published, and where there is no batch that was,
// it was never committed, and is removed.
func (d *Dir) Recover(b audit.Batch) (written bool, rest []byte, err error) {
	if b.Staged > 0 {
		return true, nil, d.Publish(b.Place.File, b.Staged)
	}
	if err := d.unstage(); err != nil {
		return false, nil, err
	}
	if len(b.Lines) == 0 {
		return false, nil, nil
	}
	path, err := d.check(b.Place, b.Lines)
	if err != nil {
		return false, nil, err
	}
	offset := b.Place.Offset
	info, err := d.fs.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && offset == 0:
		return true, nil, d.put(path, 0, b.Lines, true)
	case errors.Is(err, fs.ErrNotExist):
		return false, b.Lines, nil
	case err != nil:
		return false, nil, failed("look at", path, err)
	case !info.Mode().IsRegular():
		return false, nil, notRegular(path)
	case info.Size() < offset:
		return false, b.Lines, nil
	}

	there := info.Size() - offset
	disk, err := d.read(path, offset, min(there, int64(len(b.Lines))))
	if err != nil {
		return false, nil, err
	}
	if there < int64(len(b.Lines)) && bytes.HasPrefix(b.Lines, disk) {
		return true, nil, d.put(path, offset, b.Lines, false)
	}
	whole, rest := compare(b.Lines, disk)
	if len(whole) == 0 {
		return false, rest, nil
	}
	// Where a sync of them failed, the system may have taken the bytes for clean and
	// dropped them: it goes on to show them, and another sync succeeds without
	// writing them. Nobody may have been left to tell. So they are written again.
	return false, rest, d.put(path, offset, b.Lines, false, whole...)
}

// run is a part of a batch, as byte positions in it.
type run struct{ from, to int }

// compare says which lines stand on disk at their place, as whole lines, and
// gathers the others. disk is what the place holds of lines.
func compare(lines, disk []byte) (whole []run, rest []byte) {
	ended := true // the line before ends, on disk
	for from := 0; from < len(lines); {
		to := from + bytes.IndexByte(lines[from:], '\n') + 1
		same := to <= len(disk) && bytes.Equal(lines[from:to], disk[from:to])
		if ended && same {
			whole = append(whole, run{from, to})
		} else {
			rest = append(rest, lines[from:to]...)
		}
		ended = to <= len(disk) && disk[to-1] == '\n'
		from = to
	}
	return whole, rest
}

// check is the path of place, if lines can be written there.
func (d *Dir) check(place audit.Place, lines []byte) (path string, err error) {
	path, err = d.pathOf(place.File)
	switch {
	case err != nil:
	case place.Offset < 0:
		err = fmt.Errorf("%d is not an offset in %s", place.Offset, path)
	case lines[len(lines)-1] != '\n':
		err = fmt.Errorf("the batch for %s does not end with a whole line", path)
	}
	return path, err
}

func notRegular(path string) error {
	return refused(path, errNotRegular, "%s is not a regular file: somebody else put it there; move it away, and collection goes on in a new file", path)
}

// put writes lines at the offset of a file, new or not, and makes them
// durable; with parts, only those of lines.
func (d *Dir) put(path string, offset int64, lines []byte, create bool, parts ...run) error {
	open := d.fs.Open
	if create {
		open = d.fs.Create
	}
	f, err := open(path)
	if err != nil {
		return failed("write to", path, err)
	}
	if parts == nil {
		parts = []run{{0, len(lines)}}
	}
	for _, p := range parts {
		if n, err := writeAt(f, lines[p.from:p.to], offset+int64(p.from)); err != nil {
			f.Close() // the write's error is the one that counts
			return failed(fmt.Sprintf("wrote %d of %d bytes to", n, p.to-p.from), path, err)
		}
	}
	return d.finish(f, path, offset)
}

// atOnce is how much is handed to the system at once. For more, Linux looks for large
// pieces of memory, which may take longer than the copying itself (observed, with
// ext4 on Linux 6.18; BenchmarkWrite tells).
const atOnce = 256 << 10

// writeAt is f.WriteAt, bit by bit.
func writeAt(f File, b []byte, offset int64) (n int, err error) {
	for n < len(b) && err == nil {
		part := b[n:min(n+atOnce, len(b))]
		var k int
		if k, err = f.WriteAt(part, offset+int64(n)); err == nil && k < len(part) {
			err = io.ErrShortWrite
		}
		n += k
	}
	return n, err
}

// finish syncs and closes f, and for a file at its beginning the folders.
func (d *Dir) finish(f File, path string, offset int64) error {
	if err := f.Sync(); err != nil {
		f.Close() // the sync's error is the one that counts
		return failed("sync", path, err)
	}
	if err := f.Close(); err != nil {
		return failed("close", path, err)
	}
	if offset > 0 {
		return nil
	}
	for _, dir := range []string{d.path, filepath.Dir(d.path)} {
		if err := d.fs.SyncDir(dir); err != nil {
			return failed("sync the folder", dir, err)
		}
	}
	return nil
}

// read is the n bytes that the file holds from offset on.
func (d *Dir) read(path string, offset, n int64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	f, err := d.fs.Open(path)
	if err != nil {
		return nil, failed("open", path, err)
	}
	defer f.Close() // nothing was written
	buf := make([]byte, n)
	k, err := f.ReadAt(buf, offset)
	if int64(k) == n {
		return buf, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return nil, failed("read", path, err)
}
