package spool

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// The defaults of Options.
const (
	DefaultMaxSize   = 64 << 20
	DefaultMaxAge    = 24 * time.Hour
	DefaultStageFrom = 256 << 10
)

// Options are the settings of a Dir. The zero value of each means its default.
type Options struct {
	// Now is the clock that names files and ages them; default time.Now.
	Now func() time.Time
	// Random gives the random part of names; default crypto/rand.
	Random func() uint64
	// MaxSize is the length in bytes that a file does not grow beyond, unless
	// a single batch is longer; default 64 MiB.
	MaxSize int64
	// MaxAge is the age at which a file is followed by a new one; default 24 h.
	MaxAge time.Duration
	// Oversize is the folder for records too large for a line; Keep needs it.
	Oversize string
	// Staged is the name of the stream, under which large batches are staged; where
	// it is empty, none is. StageFrom is from how many bytes on a batch is large;
	// default 256 KiB.
	Staged    string
	StageFrom int
}

// Dir is the folder of one source. It is not safe for concurrent use.
type Dir struct {
	fs   FS
	path string
	o    Options
	// staging is the file that lines are staged for, empty for none.
	staging string
}

// Open opens the folder at path and makes it, with mode 0700, when it is
// missing; the folder above must exist. A symbolic link is refused, and so is
// a folder to which anybody but its owner has a right.
func Open(fsys FS, path string, o Options) (*Dir, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = func() uint64 {
			var b [8]byte
			rand.Read(b[:]) // never fails
			return binary.BigEndian.Uint64(b[:])
		}
	}
	if o.MaxSize <= 0 {
		o.MaxSize = DefaultMaxSize
	}
	if o.MaxAge <= 0 {
		o.MaxAge = DefaultMaxAge
	}
	if o.StageFrom <= 0 {
		o.StageFrom = DefaultStageFrom
	}
	if err := ensureFolder(fsys, path); err != nil {
		return nil, err
	}
	return &Dir{fs: fsys, path: path, o: o}, nil
}

// ensureFolder makes the folder at path or checks the one that is there.
func ensureFolder(fsys FS, path string) error {
	err := fsys.Mkdir(path)
	if err == nil {
		if err := fsys.SyncDir(filepath.Dir(path)); err != nil {
			return failed("sync the folder of", path, err)
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return failed("make the folder", path, err)
	}
	return checkFolder(fsys, path)
}

// checkFolder makes sure that a folder is a real one, and its owner's alone.
func checkFolder(fsys FS, path string) error {
	info, err := fsys.Lstat(path)
	switch {
	case err != nil:
		return failed("look at the folder", path, err)
	case info.Mode()&fs.ModeSymlink != 0:
		return refused(path, errForeign, "%s is a symbolic link, and audit records are not written through one: remove it, or set run_path to where the records shall go", path)
	case !info.IsDir():
		return refused(path, errForeign, "%s is not a folder: move it away", path)
	case othersMay(info):
		return refused(path, errForeign, "%s may be used by others than its owner (mode %04o): chmod 0700 %s", path, info.Mode().Perm(), path)
	}
	return nil
}

// Next says where a batch of n bytes is to go. file, end and since are the file
// written last ("" for none), its length, and when it was begun (milliseconds
// since the epoch); the answer holds the same of the file to write to. That is
// a new one when there is none, when it is gone or its length on disk is not
// end (whoever changed it, nothing may be written at a wrong place), when it
// would grow beyond MaxSize, when it is MaxAge old, and when the batch is large
// enough to be staged and the file to be followed by another. Next changes nothing.
func (d *Dir) Next(file string, end, since int64, n int) (place audit.Place, began int64) {
	now := d.o.Now()
	if d.continues(file, end, since, n, now) {
		return audit.Place{File: file, Offset: end}, since
	}
	return audit.Place{File: newName(now, d.o.Random())}, now.UnixMilli()
}

func (d *Dir) continues(file string, end, since int64, n int, now time.Time) bool {
	if !isName(file) || end <= 0 || end+int64(n) > d.o.MaxSize {
		return false
	}
	// A file begun under a clock that ran far ahead would never grow old.
	age := now.Sub(time.UnixMilli(since))
	if age >= d.o.MaxAge || -age >= d.o.MaxAge {
		return false
	}
	if file == d.staging {
		return true
	}
	if d.stages(n) && end >= min(stageBehind, d.o.MaxSize/4) {
		return false
	}
	info, err := d.fs.Lstat(filepath.Join(d.path, file))
	return err == nil && info.Mode().IsRegular() && info.Size() == end
}

// Size is the number of spool files in the folder and of the bytes in them. What is
// staged does not count.
func (d *Dir) Size() (bytes int64, files int, err error) {
	entries, err := d.fs.ReadDir(d.path)
	if err != nil {
		return 0, 0, failed("list the folder", d.path, err)
	}
	for _, e := range entries {
		if !isName(e.Name()) || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // moved away while we looked
		}
		if err != nil {
			return 0, 0, failed("look at", filepath.Join(d.path, e.Name()), err)
		}
		bytes += info.Size()
		files++
	}
	return bytes, files, nil
}

// pathOf is the path of a spool file, if name can be one.
func (d *Dir) pathOf(name string) (string, error) {
	if !isName(name) {
		return "", fmt.Errorf("%q is not the name of a spool file", name)
	}
	return filepath.Join(d.path, name), nil
}
