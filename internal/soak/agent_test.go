package soak

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tailer is the Agent as far as the check meets it: it reads whole lines of the
// spool, is told a while later that they arrived, and then writes its registry.
type tailer struct {
	run  string
	read map[string]int64 // by path: read up to
	seen map[string]int64 // by path: acknowledged up to
	when map[string]time.Time
	// flight are the lines read last, and not acknowledged.
	flight []line
	got    tally
}

type line struct {
	path string
	end  int64
	of   string // the product
	n    int    // its number there
}

// tally counts what arrived, by the numbers that the records of a product have.
type tally struct {
	products              map[string][]uint64
	lines, again, strange int
}

func (t *tally) take(product string, n int) {
	set := t.products[product]
	for len(set) <= n/64 {
		set = append(set, 0)
	}
	if set[n/64]&(1<<(n%64)) != 0 {
		t.again++
	}
	set[n/64] |= 1 << (n % 64)
	t.products[product] = set
	t.lines++
}

// missing are the records of a product, numbered from 1 to n, that never arrived.
func (t *tally) missing(product string, n int) (lost int) {
	set := t.products[product]
	for i := 1; i <= n; i++ {
		if i/64 >= len(set) || set[i/64]&(1<<(i%64)) == 0 {
			lost++
		}
	}
	return lost
}

func newTailer(run string) *tailer {
	return &tailer{run: run, read: map[string]int64{}, seen: map[string]int64{}, when: map[string]time.Time{}, got: tally{products: map[string][]uint64{}}}
}

// work acknowledges what was read before, and reads what is new.
func (a *tailer) work(now time.Time, keys map[string][]byte) error {
	for _, l := range a.flight {
		a.got.take(l.of, l.n)
		a.seen[l.path], a.when[l.path] = l.end, now
	}
	a.flight = a.flight[:0]
	paths, err := filepath.Glob(filepath.Join(a.run, "atlassian_audit_records", "spool", "*", "*.jsonl"))
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, p := range paths {
		there[p] = true
		if err := a.follow(p, keys); err != nil {
			return err
		}
	}
	for p := range a.read {
		if !there[p] {
			delete(a.read, p)
			delete(a.seen, p)
			delete(a.when, p)
		}
	}
	return a.flush()
}

// follow reads the whole lines that a file has more than before.
func (a *tailer) follow(path string, keys map[string][]byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // nothing was written
	at, known := a.read[path]
	if !known {
		at = a.seen[path]
	}
	r := bufio.NewReaderSize(io.NewSectionReader(f, at, 1<<40), 1<<20)
	for {
		text, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		at += int64(len(text))
		a.flight = append(a.flight, a.lineOf(path, at, text, keys))
	}
	a.read[path] = at
	return nil
}

func (a *tailer) lineOf(path string, end int64, text []byte, keys map[string][]byte) line {
	for product, key := range keys {
		_, rest, ok := bytes.Cut(text, key)
		if !ok {
			continue
		}
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		if n, err := strconv.Atoi(string(rest[:digits])); err == nil {
			return line{path, end, product, n}
		}
	}
	a.got.strange++
	return line{path, end, "", 0}
}

// restart forgets what was under way: it is read again.
func (a *tailer) restart() {
	a.flight = a.flight[:0]
	clear(a.read)
}

// flush writes the registry, as the Agent does.
func (a *tailer) flush() error {
	type entry struct {
		LastUpdated        time.Time
		Offset             string
		TailingMode        string
		IngestionTimestamp int64
	}
	registry := map[string]entry{}
	for path, offset := range a.seen {
		registry["file:"+path] = entry{a.when[path].UTC(), strconv.FormatInt(offset, 10), "beginning", a.when[path].UnixNano()}
	}
	text, err := json.Marshal(map[string]any{"Version": 2, "Registry": registry})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(a.run, "registry.json"), text, 0o600)
}

// footprint is what lies below a folder, in bytes and files. Times of files are those
// of the machine, and the day is another one: what was written lately is dated now.
func footprint(dir string, now time.Time) (size int64, files int, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		size, files = size+info.Size(), files+1
		if info.ModTime().Sub(now) > 30*24*time.Hour {
			return os.Chtimes(path, now, now)
		}
		return nil
	})
	return size, files, err
}
