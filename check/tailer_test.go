package check

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/audit"
)

// tailer is an Agent that acknowledges what it is told to, in the registry of
// the run path.
type tailer struct {
	w   *world
	reg agent.Registry
	dir string
}

func (w *world) tailer() *tailer {
	return &tailer{w: w, reg: agent.Registry{Files: map[string]agent.RegistryEntry{}}, dir: w.run}
}

// files are the spool files of a product in one of the folders.
func (w *world) files(folder string, p audit.Product) []string {
	w.t.Helper()
	paths, err := filepath.Glob(filepath.Join(agent.Base(w.run), folder, p.LogSource(), "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	return paths
}

// ack acknowledges everything in the spool but some files, and writes the registry.
func (a *tailer) ack(but ...string) {
	a.w.t.Helper()
	for _, p := range append(slices.Clone(both), audit.Organization) {
		for _, path := range a.w.files("spool", p) {
			if slices.Contains(but, path) {
				continue
			}
			info, err := os.Stat(path)
			if err != nil {
				a.w.t.Fatal(err)
			}
			if a.reg.Files[path].Offset != info.Size() {
				a.reg.Files[path] = agent.RegistryEntry{Offset: info.Size(), LastUpdated: time.Now(), IngestionTimestamp: time.Now().UnixNano()}
			}
		}
	}
	a.write()
}

// write writes the registry as it is.
func (a *tailer) write() {
	a.w.t.Helper()
	if err := agent.WriteRegistry(filepath.Join(a.dir, agent.RegistryName), a.reg); err != nil {
		a.w.t.Fatal(err)
	}
}

// filesWith are the files of Jira's in which a text stands.
func (w *world) filesWith(folder, part string) []string {
	w.t.Helper()
	return slices.DeleteFunc(w.files(folder, audit.Jira), func(path string) bool {
		text, err := os.ReadFile(path)
		return err != nil || !strings.Contains(string(text), part)
	})
}

// dated gives the spool files the time of the bubble, in which they were written.
func (w *world) dated() {
	w.t.Helper()
	for _, p := range both {
		for _, path := range w.files("spool", p) {
			if info, err := os.Stat(path); err == nil && info.ModTime().After(time.Now()) {
				if err := os.Chtimes(path, time.Now(), time.Now()); err != nil {
					w.t.Fatal(err)
				}
			}
		}
	}
}

// runFor is a run each minute, each of which must end well, until span is over.
func (w *world) runFor(c *Config, span time.Duration) (rec Recorded) {
	w.t.Helper()
	for end := time.Now().Add(span); time.Now().Before(end); pass(time.Minute) {
		_, rec = w.runWell(c)
		w.dated()
	}
	return rec
}

// everywhere are the record ids in all folders of a product, sorted.
func (w *world) everywhere(p audit.Product) []string {
	w.t.Helper()
	ids := []string{}
	for _, folder := range []string{"spool", "late", "delivered"} {
		for _, path := range w.files(folder, p) {
			text, err := os.ReadFile(path)
			if err != nil {
				w.t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				s, ok := audit.ReadLine([]byte(line))
				if !ok {
					w.t.Fatalf("%s holds %q", path, line)
				}
				ids = append(ids, s.RecordID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// wantEverywhere fails unless every record lies somewhere, once.
func (w *world) wantEverywhere() {
	w.t.Helper()
	for _, p := range both {
		ids := w.everywhere(p)
		if once := slices.Compact(slices.Clone(ids)); len(once) != len(ids) || len(ids) != len(w.server.Records(string(p))) {
			w.t.Errorf("%s: %d lines, %d record ids, %d records at Atlassian", p, len(ids), len(once), len(w.server.Records(string(p))))
		}
	}
}
