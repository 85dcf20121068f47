package explore

import (
	"io/fs"
	"path"
	"time"

	"atlassian_audit_records/pkg/spool"
)

// disk is the machine's disk as a process sees it: each operation waits for its
// turn, and none is done once the process was killed.
type disk struct {
	w *world
	p *process
}

var _ spool.FS = disk{}

func (d disk) turn(kind, name string) error { return d.w.turns.ask(d.p, "disk "+kind+" "+name) }

func (d disk) Create(name string) (spool.File, error) {
	return d.open("Create", name, func() (spool.File, error) { return d.w.disk.Create(name) })
}

func (d disk) Open(name string) (spool.File, error) {
	return d.open("Open", name, func() (spool.File, error) { return d.w.disk.Open(name) })
}

func (d disk) open(kind, name string, do func() (spool.File, error)) (spool.File, error) {
	if err := d.turn(kind, name); err != nil {
		return nil, err
	}
	f, err := do()
	if err != nil {
		return nil, err
	}
	return &file{f, d, name}, nil
}

func (d disk) Lstat(name string) (fs.FileInfo, error) {
	if err := d.turn("Lstat", name); err != nil {
		return nil, err
	}
	return d.w.disk.Lstat(name)
}

func (d disk) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := d.turn("ReadDir", name); err != nil {
		return nil, err
	}
	return d.w.disk.ReadDir(name)
}

func (d disk) Mkdir(name string) error {
	if err := d.turn("Mkdir", name); err != nil {
		return err
	}
	return d.w.disk.Mkdir(name)
}

func (d disk) Rename(from, to string) error {
	if err := d.turn("Rename", from+" "+to); err != nil {
		return err
	}
	return d.w.disk.Rename(from, to)
}

func (d disk) Chtimes(name string, at time.Time) error {
	if err := d.turn("Chtimes", name); err != nil {
		return err
	}
	return d.w.disk.Chtimes(name, at)
}

func (d disk) Remove(name string) error {
	if err := d.turn("Remove", name); err != nil {
		return err
	}
	data, _ := d.w.disk.ReadFile(name)
	err := d.w.disk.Remove(name)
	if err == nil && path.Dir(name) == places.Delivered {
		d.w.shelf.gone(name, data)
	}
	return err
}

func (d disk) SyncDir(name string) error {
	if err := d.turn("SyncDir", name); err != nil {
		return err
	}
	return d.w.disk.SyncDir(name)
}

// file is an open file of a process.
type file struct {
	spool.File
	d    disk
	name string
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if err := f.d.turn("ReadAt", f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if err := f.d.turn("WriteAt", f.name); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f *file) Sync() error {
	if err := f.d.turn("Sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *file) Truncate(size int64) error {
	if err := f.d.turn("Truncate", f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}
