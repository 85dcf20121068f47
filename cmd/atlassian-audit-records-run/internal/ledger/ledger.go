// Package ledger remembers how far each spool file was sent and acknowledged,
// in a registry file of the Agent's format that is ours alone.
//
// It promises that an offset in the file never lies beyond a byte that was not
// acknowledged, in whatever order acknowledgements come, and that what Save has
// written survives a crash. It opens no spool file, and does not know what an
// acknowledgement is worth.
package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"atlassian_audit_records/pkg/agent"
)

// ttl is how long the entry of a file that is gone is kept, as the Agent does
// (logs_config.auditor_ttl): who moved the file may still ask how far it was sent.
const ttl = 23 * time.Hour

// tailingMode is what the Agent writes for `start_position: beginning`.
const tailingMode = "beginning"

// A Ledger is the memory of all files. It may be used by several goroutines.
type Ledger struct {
	path string
	now  func() time.Time

	saving sync.Mutex // held while the file is written, so that no older text follows a newer one

	mu    sync.Mutex
	files map[string]*file
	dirty bool
	moved chan struct{} // closed, and made anew, at each acknowledgement
}

// file is what is known of one file; offsets are in bytes.
type file struct {
	acked    int64  // everything below was acknowledged
	read     int64  // everything below was handed to the pipeline
	ahead    []span // acknowledged above acked: apart from each other, ascending
	updated  time.Time
	ingested int64 // when the last acknowledged line was read, in ns since the epoch
}

type span struct{ from, to int64 }

// Open reads the registry at path; where there is none, the ledger is empty. One
// that cannot be understood is set aside under the name that is returned, and
// the ledger begins empty: what is in the spool is then sent once more. Nil
// for now is the machine's clock.
func Open(path string, now func() time.Time) (l *Ledger, aside string, err error) {
	if now == nil {
		now = time.Now
	}
	l = &Ledger{path: path, now: now, files: map[string]*file{}, moved: make(chan struct{})}
	r, err := agent.ReadRegistry(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.dirty = true // one that says nothing is better than none
		return l, "", nil
	case errors.Is(err, agent.ErrRegistryUnknown):
		aside = path + ".unreadable"
		if err := os.Rename(path, aside); err != nil {
			return nil, "", fmt.Errorf("set the registry aside that cannot be read: %w", err)
		}
		l.dirty = true
		return l, aside, nil
	case err != nil:
		return nil, "", err
	}
	for path, e := range r.Files {
		l.files[path] = &file{acked: e.Offset, read: e.Offset, updated: e.LastUpdated, ingested: e.IngestionTimestamp}
	}
	return l, "", nil
}

// Begin is where reading the file at path begins. A file without an entry is
// given one at the offset that otherwise returns.
func (l *Ledger) Begin(path string, otherwise func() int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, ok := l.files[path]
	if !ok {
		at := otherwise()
		f = &file{acked: at, updated: l.now()}
		l.files[path] = f
		l.dirty = true
	}
	f.read = f.acked
	return f.acked
}

// Sent says that the file was handed to the pipeline up to an offset.
func (l *Ledger) Sent(path string, to int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f, ok := l.files[path]; ok {
		f.read = max(f.read, to)
	}
}

// Acknowledge says that the bytes of [from, to) need not be sent again.
// ingested is when they were read, in nanoseconds since the epoch; 0 where they
// were never sent.
func (l *Ledger) Acknowledge(path string, from, to, ingested int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, ok := l.files[path]
	if !ok || to <= from {
		return
	}
	f.ahead = merge(append(f.ahead, span{from, to}))
	for len(f.ahead) > 0 && f.ahead[0].from <= f.acked {
		f.acked = max(f.acked, f.ahead[0].to)
		f.ahead = f.ahead[1:]
	}
	f.updated, f.ingested = l.now(), max(f.ingested, ingested)
	l.dirty = true
	close(l.moved)
	l.moved = make(chan struct{})
}

// merge joins spans that overlap or touch.
func merge(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return int(a.from - b.from) })
	out := spans[:1]
	for _, s := range spans[1:] {
		if last := &out[len(out)-1]; s.from <= last.to {
			last.to = max(last.to, s.to)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// Pending is the number of bytes that were handed to the pipeline and not
// acknowledged, and a channel that is closed when that may have changed.
func (l *Ledger) Pending() (bytes int64, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.files {
		bytes += max(0, f.read-f.acked)
		for _, s := range f.ahead {
			bytes -= min(s.to, f.read) - min(s.from, f.read)
		}
	}
	return bytes, l.moved
}

// Gone says that the file is not there any more: what the pipeline still
// acknowledges of it counts, and nothing more of it is waited for.
func (l *Ledger) Gone(path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f, ok := l.files[path]; ok {
		f.read = f.acked
	}
}

// Expire forgets the files that are not among those kept and were not touched
// for 23 hours.
func (l *Ledger) Expire(kept map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.now().Add(-ttl)
	for path, f := range l.files {
		if !kept[path] && f.updated.Before(before) {
			delete(l.files, path)
			l.dirty = true
		}
	}
}

// Save makes durable what has changed. What could not be written is tried again
// by the next Save.
func (l *Ledger) Save() error {
	l.saving.Lock()
	defer l.saving.Unlock()
	l.mu.Lock()
	if !l.dirty {
		l.mu.Unlock()
		return nil
	}
	r := agent.Registry{Files: make(map[string]agent.RegistryEntry, len(l.files))}
	for path, f := range l.files {
		r.Files[path] = agent.RegistryEntry{Offset: f.acked, LastUpdated: f.updated, TailingMode: tailingMode, IngestionTimestamp: f.ingested}
	}
	l.dirty = false
	l.mu.Unlock()
	if err := agent.WriteRegistry(l.path, r); err != nil {
		l.mu.Lock()
		l.dirty = true
		l.mu.Unlock()
		return err
	}
	return nil
}
