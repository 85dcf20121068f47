package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"atlassian_audit_records/pkg/agent"
)

// recordKey finds the key by which a simulated record is told from all others, of
// whatever site.
var recordKey = regexp.MustCompile(`[jc][0-9a-f]{4}-[0-9]{6}`)

// tailer follows the files of the spool as the Agent does, and counts what it
// reads as delivered at once. It is for one goroutine.
type tailer struct {
	runPath string
	folders []string // in the order of the `logs:` section
	limit   int      // logs_config.open_files_limit
	now     func() time.Time
	entries map[string]registered
	got     map[string]int // by key
	keyless int
	// matching is the most files that matched at a time, followed the most that were
	// followed.
	matching, followed int
}

// registered is what the registry says of a file.
type registered struct {
	LastUpdated        time.Time
	Offset             string
	TailingMode        string
	IngestionTimestamp int64
	read               int64
}

func newTailer(runPath string, limit int, now func() time.Time) *tailer {
	t := &tailer{runPath: runPath, limit: limit, now: now, entries: map[string]registered{}, got: map[string]int{}}
	for _, p := range products {
		t.folders = append(t.folders, agent.SpoolDir(agent.Base(runPath), p+"-audit-records"))
	}
	return t
}

// scan is one look at the folders: it chooses the files to follow, source by source
// and of each the newest names first, until the limit is reached; reads what is
// new in them; and writes the registry.
func (t *tailer) scan() error {
	matching := 0
	var chosen []string
	for _, dir := range t.folders {
		names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
		if err != nil {
			return fmt.Errorf("list %s: %w", dir, err)
		}
		matching += len(names)
		slices.SortFunc(names, func(a, b string) int { return strings.Compare(b, a) })
		chosen = append(chosen, names[:min(len(names), t.limit-len(chosen))]...)
	}
	t.matching, t.followed = max(t.matching, matching), max(t.followed, len(chosen))
	for _, path := range chosen {
		if err := t.read(path); err != nil {
			return err
		}
	}
	return t.flush()
}

// read takes the whole lines behind what was read of the file.
func (t *tailer) read(path string) error {
	e := t.entries[path]
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // moved away meanwhile
	}
	if err != nil {
		return fmt.Errorf("follow a file: %w", err)
	}
	defer f.Close() // nothing was written
	fresh, err := io.ReadAll(io.NewSectionReader(f, e.read, 1<<40))
	if err != nil {
		return fmt.Errorf("follow %s: %w", path, err)
	}
	fresh = fresh[:bytes.LastIndexByte(fresh, '\n')+1]
	if len(fresh) == 0 {
		return nil
	}
	for line := range bytes.Lines(fresh) {
		if key := recordKey.Find(line); key != nil {
			t.got[string(key)]++
		} else {
			t.keyless++
		}
	}
	now := t.now()
	e.read += int64(len(fresh))
	e.Offset, e.LastUpdated, e.IngestionTimestamp, e.TailingMode = strconv.FormatInt(e.read, 10), now, now.UnixNano(), "beginning"
	t.entries[path] = e
	return nil
}

// flush writes the registry, whole or not at all.
func (t *tailer) flush() error {
	all := map[string]registered{}
	for path, e := range t.entries {
		all["file:"+path] = e
	}
	text, err := json.Marshal(map[string]any{"Version": 2, "Registry": all})
	if err != nil {
		return fmt.Errorf("encode the registry: %w", err)
	}
	path := filepath.Join(t.runPath, agent.RegistryName)
	if err := os.WriteFile(path+".tmp", text, 0o600); err != nil {
		return fmt.Errorf("write the registry: %w", err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("write the registry: %w", err)
	}
	return nil
}

// compare says how many of the keys did not arrive, how many lines were repeated,
// and how many are of no record.
func (t *tailer) compare(keys []string) (lost, repeated, foreign int) {
	held := map[string]bool{}
	for _, key := range keys {
		held[key] = true
		if t.got[key] == 0 {
			lost++
		}
	}
	foreign = t.keyless
	for key, n := range t.got {
		if !held[key] {
			foreign += n
			continue
		}
		repeated += n - 1
	}
	return lost, repeated, foreign
}
