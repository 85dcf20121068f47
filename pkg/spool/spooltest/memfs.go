// Package spooltest holds a file system in memory that breaks in all the ways
// that a disk may: any operation can fail, a write can stop half way, room can
// run out, and a crash loses what was not synced, in part and out of order.
//
// It promises what spool.FS says and nothing more. It differs from a real file
// system in that it knows no hard links, no open file that was removed, and no
// user: modes are kept and shown, not enforced.
package spooltest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"atlassian_audit_records/pkg/spool"
)

// Sector is the number of bytes that reach the disk together or not at all.
const Sector = 512

// Op is one operation, before it is done.
type Op struct {
	// N counts the operations from 1.
	N int
	// Kind is the name of the method: "Create", "WriteAt", "SyncDir"...
	Kind string
	// Path is what it is about, with slashes.
	Path string
}

// PartialError is an error that lets a WriteAt write its first Bytes bytes before
// it returns Err. With a nil Err the write is short and says nothing else.
type PartialError struct {
	Bytes int
	Err   error
}

// Error implements error.
func (p *PartialError) Error() string { return fmt.Sprintf("%d bytes written: %v", p.Bytes, p.Err) }

// Unwrap gives Err.
func (p *PartialError) Unwrap() error { return p.Err }

// MemFS is a file system in memory. Its root exists. It is safe for concurrent
// use.
type MemFS struct {
	mu       sync.Mutex
	root     *node
	pending  []change // of folders, in order, not synced yet
	fault    func(Op) error
	capacity int64 // bytes; negative for no limit
	counts   map[string]int
	ops      int
	now      func() time.Time
}

// node is a file, folder or symbolic link. What is in a file or folder is kept
// twice: as it is seen, and as the disk has it.
type node struct {
	mode    fs.FileMode
	entries map[string]*node
	disk    map[string]*node
	data    []byte
	onDisk  []byte
	dirty   map[int]bool // sectors written and not synced
	cut     *int         // the least length that it was cut to and that is not synced
	changed time.Time
}

// change is one change of folders that the disk takes whole or not at all.
type change []entry

type entry struct {
	dir  *node
	name string
	to   *node // nil: removed
}

var _ spool.FS = (*MemFS)(nil)

// New is an empty file system.
func New() *MemFS {
	return &MemFS{root: newDir(), capacity: -1, counts: map[string]int{}}
}

func newDir() *node {
	return &node{mode: fs.ModeDir | 0o700, entries: map[string]*node{}, disk: map[string]*node{}}
}

// Inject lets f be asked before every operation; an error that it returns is
// the operation's, which then does nothing (but see PartialError). A Sync that
// fails drops the bytes it should have written: they are still seen, no later
// Sync writes them, and a crash loses them, as on Linux. Nil ends it.
func (m *MemFS) Inject(f func(Op) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = f
}

// SetCapacity limits the bytes in all files; a write beyond it writes what
// there is room for and fails with ENOSPC. Negative is no limit.
func (m *MemFS) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = bytes
}

// SetClock gives the times at which files are changed; without one they are zero.
func (m *MemFS) SetClock(now func() time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = now
}

// touch notes that n is changed now.
func (m *MemFS) touch(n *node) {
	if m.now != nil {
		n.changed = m.now()
	}
}

// Ops is the number of operations so far.
func (m *MemFS) Ops() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ops
}

// Count is the number of operations of a kind so far, failed ones included.
func (m *MemFS) Count(kind string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts[kind]
}

// begin counts an operation and asks for its fault. m.mu is held.
func (m *MemFS) begin(kind, p string) error {
	m.ops++
	m.counts[kind]++
	if m.fault == nil {
		return nil
	}
	return m.fault(Op{N: m.ops, Kind: kind, Path: slash(p)})
}

func slash(p string) string { return path.Join("/", filepath.ToSlash(filepath.Clean(p))) }

func splitPath(p string) []string {
	return strings.FieldsFunc(slash(p), func(r rune) bool { return r == '/' })
}

// find is what has the name p; nil when there is nothing.
func (m *MemFS) find(p string) *node {
	n := m.root
	for _, name := range splitPath(p) {
		if n = n.entries[name]; n == nil {
			return nil
		}
	}
	return n
}

func (m *MemFS) parent(p string) (dir *node, name string, ok bool) {
	d, name := path.Split(slash(p))
	dir = m.find(d)
	return dir, name, dir != nil && dir.mode.IsDir() && name != ""
}

func (m *MemFS) link(c change) {
	for _, e := range c {
		if e.to == nil {
			delete(e.dir.entries, e.name)
		} else {
			e.dir.entries[e.name] = e.to
		}
	}
	m.pending = append(m.pending, c)
}

func failure(op, p string, err error) error { return &fs.PathError{Op: op, Path: p, Err: err} }

// add makes a new entry for n.
func (m *MemFS) add(op, p string, n *node) error {
	dir, name, ok := m.parent(p)
	if !ok {
		return failure(op, p, fs.ErrNotExist)
	}
	if dir.entries[name] != nil {
		return failure(op, p, fs.ErrExist)
	}
	m.link(change{{dir, name, n}})
	return nil
}

// Create implements spool.FS.
func (m *MemFS) Create(p string) (spool.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("Create", p); err != nil {
		return nil, failure("create", p, err)
	}
	n := &node{mode: 0o600, dirty: map[int]bool{}}
	if err := m.add("create", p, n); err != nil {
		return nil, err
	}
	m.touch(n)
	return &file{fs: m, path: p, node: n}, nil
}

// Open implements spool.FS.
func (m *MemFS) Open(p string) (spool.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("Open", p); err != nil {
		return nil, failure("open", p, err)
	}
	n := m.find(p)
	switch {
	case n == nil:
		return nil, failure("open", p, fs.ErrNotExist)
	case !n.mode.IsRegular():
		return nil, failure("open", p, errors.New("not a regular file"))
	}
	return &file{fs: m, path: p, node: n}, nil
}

// Lstat implements spool.FS.
func (m *MemFS) Lstat(p string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("Lstat", p); err != nil {
		return nil, failure("lstat", p, err)
	}
	n := m.find(p)
	if n == nil {
		return nil, failure("lstat", p, fs.ErrNotExist)
	}
	return n.info(path.Base(slash(p))), nil
}

// ReadDir implements spool.FS.
func (m *MemFS) ReadDir(p string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("ReadDir", p); err != nil {
		return nil, failure("readdir", p, err)
	}
	n := m.find(p)
	if n == nil || !n.mode.IsDir() {
		return nil, failure("readdir", p, fs.ErrNotExist)
	}
	var list []fs.DirEntry
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		list = append(list, fs.FileInfoToDirEntry(n.entries[name].info(name)))
	}
	return list, nil
}

// Mkdir implements spool.FS.
func (m *MemFS) Mkdir(p string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("Mkdir", p); err != nil {
		return failure("mkdir", p, err)
	}
	return m.add("mkdir", p, newDir())
}

// Rename implements spool.FS.
func (m *MemFS) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("Rename", from); err != nil {
		return failure("rename", from, err)
	}
	fromDir, fromName, ok := m.parent(from)
	if !ok || fromDir.entries[fromName] == nil {
		return failure("rename", from, fs.ErrNotExist)
	}
	toDir, toName, ok := m.parent(to)
	if !ok {
		return failure("rename", to, fs.ErrNotExist)
	}
	m.link(change{{fromDir, fromName, nil}, {toDir, toName, fromDir.entries[fromName]}})
	return nil
}

// Chtimes implements spool.FS.
func (m *MemFS) Chtimes(p string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("Chtimes", p); err != nil {
		return failure("chtimes", p, err)
	}
	n := m.find(p)
	if n == nil {
		return failure("chtimes", p, fs.ErrNotExist)
	}
	n.changed = at
	return nil
}

// Remove implements spool.FS.
func (m *MemFS) Remove(p string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("Remove", p); err != nil {
		return failure("remove", p, err)
	}
	dir, name, ok := m.parent(p)
	if !ok || dir.entries[name] == nil {
		return failure("remove", p, fs.ErrNotExist)
	}
	m.link(change{{dir, name, nil}})
	return nil
}

// SyncDir implements spool.FS.
func (m *MemFS) SyncDir(p string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("SyncDir", p); err != nil {
		return failure("sync", p, err)
	}
	n := m.find(p)
	if n == nil || !n.mode.IsDir() {
		return failure("sync", p, fs.ErrNotExist)
	}
	m.pending = slices.DeleteFunc(m.pending, func(c change) bool {
		if !slices.ContainsFunc(c, func(e entry) bool { return e.dir == n }) {
			return false
		}
		c.reach()
		return true
	})
	return nil
}

// reach puts the change on disk.
func (c change) reach() {
	for _, e := range c {
		if e.to == nil {
			delete(e.dir.disk, e.name)
		} else {
			e.dir.disk[e.name] = e.to
		}
	}
}
