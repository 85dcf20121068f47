package spooltest

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"time"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
)

// Agent is the Agent as far as a spool meets it. It scans the folder, reads whole
// lines, sends them, is told when they arrived, and notes that. Everything happens
// when it is told to. It is for one goroutine.
type Agent struct {
	// FS and Folder are what it tails; FS is replaced where a crash replaced it.
	FS     *MemFS
	Folder string
	Now    func() time.Time
	// Down: the process is not there. Dark: nothing arrives. NoLogs: it reads none.
	// Unreadable: its registry cannot be read just now.
	Down, Dark, NoLogs, Unreadable bool
	// Excludes are record ids that a processing rule drops.
	Excludes map[string]bool
	// Stuck is the number of payloads that may be under way before reading stops.
	Stuck int
	// Received are the lines that arrived, by record id, and Garbage what was read
	// and is no line.
	Received map[string][]audit.Stored
	Garbage  []string
	// Ahead are lines behind which the offset went although they are still under
	// way: payloads arrive in any order. Lost are those of them that a restart cost,
	// which is the Agent's own loss.
	Ahead, Lost map[string]bool

	// Memory are the offsets by path that it has not written to its registry yet, or
	// has.
	Memory map[string]spool.Offset

	disk    map[string]spool.Offset
	tailers map[string]int64 // path: read up to
	flight  []payload
}

// payload is what was read of a file at once.
type payload struct {
	path string
	end  int64
	read time.Time
	sent []audit.Stored
}

// NewAgent makes an Agent that has read nothing yet.
func NewAgent(fsys *MemFS, folder string, now func() time.Time) *Agent {
	return &Agent{
		FS: fsys, Folder: folder, Now: now, Stuck: 3,
		Excludes: map[string]bool{}, Received: map[string][]audit.Stored{}, Ahead: map[string]bool{}, Lost: map[string]bool{},
		Memory: map[string]spool.Offset{}, disk: map[string]spool.Offset{}, tailers: map[string]int64{},
	}
}

// Offsets are those of its registry file; nil where that cannot be read.
func (a *Agent) Offsets() spool.Offsets {
	if a.Unreadable {
		return nil
	}
	disk := maps.Clone(a.disk)
	return func(path string) (spool.Offset, bool) { o, ok := disk[path]; return o, ok }
}

// InFlight is the number of payloads that are under way.
func (a *Agent) InFlight() int { return len(a.flight) }

// Work is what it does in a moment: all that it can.
func (a *Agent) Work() {
	if a.Down || a.NoLogs {
		return
	}
	for more := true; more; {
		a.Scan()
		more = a.Read(1000)
		for len(a.flight) > 0 && !a.Dark {
			a.Arrive(0, true)
			more = true
		}
	}
	a.Flush()
}

// Scan begins a tailer for each file in the glob, where the registry says, and ends
// those whose files are gone.
func (a *Agent) Scan() {
	there := map[string]bool{}
	for _, name := range a.FS.Names(a.Folder) {
		p := path.Join(a.Folder, name)
		if path.Ext(name) != ".jsonl" {
			continue
		}
		there[p] = true
		if _, ok := a.tailers[p]; !ok {
			a.tailers[p] = a.Memory[p].Bytes
		}
	}
	for p := range a.tailers {
		if !there[p] {
			delete(a.tailers, p)
		}
	}
}

// Read reads up to so many lines of each file; it reports whether there was one.
func (a *Agent) Read(lines int) bool {
	found := false
	for _, p := range slices.Sorted(maps.Keys(a.tailers)) {
		if len(a.flight) >= a.Stuck {
			break
		}
		data, _ := a.FS.ReadFile(p)
		at := a.tailers[p]
		if at >= int64(len(data)) {
			continue // nothing new, or a power failure took what was read
		}
		load := payload{path: p, read: a.Now()}
		for n := 0; n < lines; n++ {
			end := bytes.IndexByte(data[at:], '\n')
			if end < 0 {
				break
			}
			line := data[at : at+int64(end)]
			at += int64(end) + 1
			s, ok := audit.ReadLine(line)
			if !ok {
				// It is a log line like any other to the Agent.
				a.Garbage = append(a.Garbage, string(line))
				load.end = at
				continue
			}
			if a.Excludes[s.RecordID] {
				continue // and the offset stays where it was
			}
			load.sent = append(load.sent, s)
			load.end = at
		}
		a.tailers[p] = at
		if load.end > 0 {
			a.flight = append(a.flight, load)
			found = true
		}
	}
	return found
}

// Arrive lets the i-th payload under way reach the intake, and, where told, the
// Agent know it.
func (a *Agent) Arrive(i int, acknowledged bool) {
	load := a.flight[i]
	for _, s := range load.sent {
		a.Received[s.RecordID] = append(a.Received[s.RecordID], s)
	}
	if !acknowledged {
		return
	}
	a.flight = slices.Delete(a.flight, i, i+1)
	if old := a.Memory[load.path]; !old.Read.After(load.read) && load.end > old.Bytes {
		a.Memory[load.path] = spool.Offset{Bytes: load.end, Read: load.read, Touched: a.Now()}
	}
	for _, other := range a.flight {
		for _, s := range other.sent {
			a.Ahead[s.RecordID] = a.Ahead[s.RecordID] || other.path == load.path && other.end <= load.end
		}
	}
}

// Flush writes the registry.
func (a *Agent) Flush() { a.disk = maps.Clone(a.Memory) }

// Restart loses what was under way and what was not flushed.
func (a *Agent) Restart() {
	for _, load := range a.flight {
		for _, s := range load.sent {
			if a.Ahead[s.RecordID] && len(a.Received[s.RecordID]) == 0 && a.disk[load.path].Bytes >= load.end {
				a.Lost[s.RecordID] = true
			}
		}
	}
	a.Memory, a.tailers, a.flight = maps.Clone(a.disk), map[string]int64{}, nil
}

// LoseRegistry restarts without one: everything in the glob is read again.
func (a *Agent) LoseRegistry() {
	a.Restart()
	a.disk, a.Memory = map[string]spool.Offset{}, map[string]spool.Offset{}
}
