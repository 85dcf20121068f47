package spooltest

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
)

// Crash is a copy of the file system as a machine may find it that lost its
// power at this moment: of every change of a folder and every sector of a file
// that was not synced, the seed decides whether it had reached the disk. A
// file may have grown with its bytes missing (zeros), or hold later bytes
// without earlier ones. The same seed gives the same copy; m stays as it is.
// Faults and the limit of room are not copied.
func (m *MemFS) Crash(seed uint64) *MemFS {
	return m.copy(rand.New(rand.NewPCG(seed, 1)))
}

// Clone is a copy of the file system as the next process finds it when this
// one was killed: everything that was done is seen, and what was not synced
// can still be lost by a Crash.
func (m *MemFS) Clone() *MemFS { return m.copy(nil) }

// copy copies with random losses, or without when random is nil.
func (m *MemFS) copy(random *rand.Rand) *MemFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := New()
	out.now = m.now
	copies := map[*node]*node{}
	var clone func(n *node) *node
	clone = func(n *node) *node {
		if n == nil {
			return nil
		}
		if c := copies[n]; c != nil {
			return c
		}
		c := &node{mode: n.mode, data: slices.Clone(n.data), onDisk: slices.Clone(n.onDisk), dirty: maps.Clone(n.dirty), cut: n.cut, changed: n.changed}
		copies[n] = c
		if n.mode.IsDir() {
			c.entries, c.disk = map[string]*node{}, map[string]*node{}
			for _, name := range slices.Sorted(maps.Keys(n.entries)) {
				c.entries[name] = clone(n.entries[name])
			}
			for _, name := range slices.Sorted(maps.Keys(n.disk)) {
				c.disk[name] = clone(n.disk[name])
			}
		}
		return c
	}
	out.root = clone(m.root)
	for _, c := range m.pending {
		var copied change
		for _, e := range c {
			copied = append(copied, entry{clone(e.dir), e.name, clone(e.to)})
		}
		out.pending = append(out.pending, copied)
	}
	if random != nil {
		out.lose(random)
	}
	return out
}

// lose makes what is seen what the disk has, after some of what was pending
// has reached it.
func (m *MemFS) lose(random *rand.Rand) {
	for _, c := range m.pending {
		if random.IntN(2) == 0 {
			c.reach()
		}
	}
	m.pending = nil
	var settle func(n *node)
	settle = func(n *node) {
		if n.mode.IsDir() {
			n.entries = maps.Clone(n.disk)
			for _, name := range slices.Sorted(maps.Keys(n.entries)) {
				settle(n.entries[name])
			}
			return
		}
		if n.cut != nil && random.IntN(2) == 0 {
			n.shorten()
		}
		n.cut = nil
		chance := random.IntN(5) // of 4, so that all and nothing are common
		for _, s := range slices.Sorted(maps.Keys(n.dirty)) {
			if random.IntN(4) < chance {
				n.reach(s)
			}
		}
		if len(n.data) > len(n.onDisk) && random.IntN(4) == 0 {
			n.extend(len(n.onDisk) + random.IntN(len(n.data)-len(n.onDisk)+1))
		}
		n.data = slices.Clone(n.onDisk)
		n.dirty = map[int]bool{}
	}
	settle(m.root)
}

// What follows sets the stage and looks at it. It counts as no operation.

// MkdirAll makes the folder p and those above it, on disk, too.
func (m *MemFS) MkdirAll(p string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.root
	for _, name := range splitPath(p) {
		if n.entries[name] == nil {
			d := newDir()
			n.entries[name], n.disk[name] = d, d
		}
		n = n.entries[name]
	}
}

// WriteFile makes the file p with this content, on disk, too. The folder must
// exist.
func (m *MemFS) WriteFile(p string, data []byte) {
	n := &node{mode: 0o600, data: slices.Clone(data), onDisk: slices.Clone(data), dirty: map[int]bool{}}
	m.touch(n)
	m.plant(p, n)
}

// Symlink makes p a symbolic link.
func (m *MemFS) Symlink(p string) {
	m.plant(p, &node{mode: fs.ModeSymlink | 0o777})
}

func (m *MemFS) plant(p string, n *node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, name, ok := m.parent(p)
	if !ok {
		panic(fmt.Sprintf("spooltest: no folder for %s", p))
	}
	dir.entries[name], dir.disk[name] = n, n
}

// Chmod sets the mode of what is at p.
func (m *MemFS) Chmod(p string, mode fs.FileMode) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.find(p); n != nil {
		n.mode = n.mode&^fs.ModePerm | mode.Perm()
	}
}

// ReadFile is what is seen in the file p; ok is false when there is none.
func (m *MemFS) ReadFile(p string) (data []byte, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.find(p)
	if n == nil || !n.mode.IsRegular() {
		return nil, false
	}
	return slices.Clone(n.data), true
}

// Files is what is seen in all files, by path.
func (m *MemFS) Files() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string][]byte{}
	walk(m.root, "", func(p string, n *node) {
		if n.mode.IsRegular() {
			out[p] = slices.Clone(n.data)
		}
	})
	return out
}

// Names are the names in a folder, sorted; none where there is no such folder.
func (m *MemFS) Names(p string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.find(p)
	if n == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(n.entries))
}

// Modes are the modes of everything that is seen, by path.
func (m *MemFS) Modes() map[string]fs.FileMode {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]fs.FileMode{}
	walk(m.root, "", func(p string, n *node) { out[p] = n.mode })
	return out
}

// walk calls f for everything below n.
func walk(n *node, at string, f func(p string, n *node)) {
	for name, e := range n.entries {
		f(at+"/"+name, e)
		walk(e, at+"/"+name, f)
	}
}
