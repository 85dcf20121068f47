package spool

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
)

// KeptName is the name of the file in which Keep keeps the record: a hash of
// its id, because an id may hold characters that a file name may not.
func KeptName(recordID string) string {
	sum := sha256.Sum256([]byte(recordID))
	return hex.EncodeToString(sum[:16]) + ".json"
}

// Keep keeps a whole record that was too large for a line, in the folder
// Options.Oversize, and makes it durable. A record that is already kept stays
// as it is.
func (d *Dir) Keep(recordID string, raw []byte) error {
	dir := d.o.Oversize
	if dir == "" {
		return errors.New("keep a record whole: no folder for oversize records was given")
	}
	if err := ensureFolder(d.fs, dir); err != nil {
		return err
	}
	path := filepath.Join(dir, KeptName(recordID))
	info, err := d.fs.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := d.replace(path, raw); err != nil {
			return err
		}
	case err != nil:
		return failed("look at", path, err)
	case !info.Mode().IsRegular():
		return notRegular(path)
	}
	// Also for a record kept before: a crash may have come before its sync.
	for _, p := range []string{dir, filepath.Dir(dir)} {
		if err := d.fs.SyncDir(p); err != nil {
			return failed("sync the folder", p, err)
		}
	}
	return nil
}

// replace makes the file at path appear with all of its bytes or not at all.
func (d *Dir) replace(path string, raw []byte) error {
	temp := path + ".tmp"
	// One that a crash left behind; the name is ours alone.
	if err := d.fs.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("remove", temp, err)
	}
	f, err := d.fs.Create(temp)
	if err != nil {
		return failed("write to", temp, err)
	}
	n, err := f.WriteAt(raw, 0)
	if err == nil && n < len(raw) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = d.fs.Rename(temp, path)
	}
	if err != nil {
		_ = d.fs.Remove(temp) // gives its room back; left behind, the next Keep removes it
		return failed("keep a whole record at", path, err)
	}
	return nil
}
