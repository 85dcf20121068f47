package spooltest

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"strings"
	"syscall"
	"time"
)

// file is an open file of a MemFS.
type file struct {
	fs     *MemFS
	path   string
	node   *node
	closed bool
}

func (f *file) begin(kind string) error {
	if f.closed {
		return failure(strings.ToLower(kind), f.path, fs.ErrClosed)
	}
	return f.fs.begin(kind, f.path)
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.begin("ReadAt"); err != nil {
		return 0, failure("read", f.path, err)
	}
	if off < 0 || off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	err := f.begin("WriteAt")
	if err != nil {
		var partial *PartialError
		if !errors.As(err, &partial) {
			return 0, failure("write", f.path, err)
		}
		p, err = p[:min(partial.Bytes, len(p))], partial.Err
	}
	if room := f.fs.room(f.node); room >= 0 && off+int64(len(p)) > room {
		p, err = p[:max(0, room-off)], syscall.ENOSPC
	}
	f.node.write(p, off)
	f.fs.touch(f.node)
	if err != nil {
		err = failure("write", f.path, err)
	}
	return len(p), err
}

// room is the length to which the file n may grow; negative for no limit.
func (m *MemFS) room(n *node) int64 {
	if m.capacity < 0 {
		return -1
	}
	return max(0, m.capacity-m.used()) + int64(len(n.data))
}

func (m *MemFS) used() int64 {
	var total int64
	walk(m.root, "", func(_ string, n *node) { total += int64(len(n.data)) })
	return total
}

func (n *node) write(p []byte, off int64) {
	if len(p) == 0 {
		return
	}
	end := int(off) + len(p)
	from := min(int(off), len(n.data)) // a hole is new, too
	if end > len(n.data) {
		n.data = append(n.data, make([]byte, end-len(n.data))...)
	}
	copy(n.data[off:], p)
	for s := from / Sector; s*Sector < end; s++ {
		n.dirty[s] = true
	}
}

func (f *file) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.begin("Truncate"); err != nil {
		return failure("truncate", f.path, err)
	}
	n := f.node
	if size < 0 || size > int64(len(n.data)) {
		return failure("truncate", f.path, syscall.EINVAL) // a real one would make it longer
	}
	to := int(size)
	if n.cut != nil {
		to = min(to, *n.cut)
	}
	n.cut = &to
	n.data = n.data[:size]
	maps.DeleteFunc(n.dirty, func(s int, _ bool) bool { return s*Sector >= len(n.data) })
	f.fs.touch(n)
	return nil
}

// shorten lets the disk know that the file was cut.
func (n *node) shorten() {
	if n.cut != nil {
		n.onDisk = n.onDisk[:min(*n.cut, len(n.onDisk))]
		n.cut = nil
	}
}

func (f *file) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.begin("Sync"); err != nil {
		clear(f.node.dirty)
		f.node.cut = nil
		return failure("sync", f.path, err)
	}
	f.node.shorten()
	for s := range f.node.dirty {
		f.node.reach(s)
	}
	clear(f.node.dirty)
	f.node.extend(len(f.node.data))
	return nil
}

// reach puts a sector on disk, and with it the length that it needs.
func (n *node) reach(sector int) {
	from, to := sector*Sector, min((sector+1)*Sector, len(n.data))
	if from >= to {
		return
	}
	n.extend(to)
	copy(n.onDisk[from:to], n.data[from:to])
}

func (n *node) extend(length int) {
	if length > len(n.onDisk) {
		n.onDisk = append(n.onDisk, make([]byte, length-len(n.onDisk))...)
	}
}

func (f *file) Stat() (fs.FileInfo, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.begin("Stat"); err != nil {
		return nil, failure("stat", f.path, err)
	}
	return f.node.info(path.Base(slash(f.path))), nil
}

func (f *file) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.begin("Close"); err != nil {
		return failure("close", f.path, err)
	}
	f.closed = true
	return nil
}

type info struct {
	name    string
	size    int64
	mode    fs.FileMode
	changed time.Time
}

func (n *node) info(name string) info {
	return info{name: name, size: int64(len(n.data)), mode: n.mode, changed: n.changed}
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.changed }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
