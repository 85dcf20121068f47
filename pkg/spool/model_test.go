package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/spool/spooltest"
)

// caller is the check as the spool knows it: it remembers, in a state that a
// crash does not touch, the batch committed last and the place behind it.
type caller struct {
	fs      *spooltest.MemFS
	dir     *spool.Dir
	o       spool.Options
	names   uint64
	batch   audit.Batch
	file    string
	end     int64
	since   int64
	staged  bool     // the file is not published yet
	commits []string // every line that was ever committed
	never   []string // and those that were not
	lines   int
}

// newCaller is one that stages batches from so many bytes on, or none for 0.
func newCaller(fs *spooltest.MemFS, stageFrom int) *caller {
	c := &caller{fs: fs}
	c.o = spool.Options{
		Now:     func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) },
		Random:  func() uint64 { c.names++; return c.names },
		MaxSize: 4000, StageFrom: stageFrom,
	}
	if stageFrom > 0 {
		c.o.Staged = "site"
	}
	return c
}

// start is the beginning of a process: it makes good what the one before left.
func (c *caller) start(fs *spooltest.MemFS) error {
	c.fs = fs
	d, err := spool.Open(fs, folder, c.o)
	if err != nil {
		return err
	}
	c.dir = d
	return c.recover()
}

func (c *caller) recover() error {
	if err := c.dir.Holds(c.batch); err != nil {
		return err
	}
	c.staged = false
	_, rest, err := c.dir.Recover(c.batch)
	if err != nil || len(rest) == 0 {
		return err
	}
	place, since := c.dir.Next("", 0, 0, len(rest))
	c.put(place, since, bytes.Clone(rest))
	return c.dir.Write(c.batch.Place, c.batch.Lines)
}

// commit commits a batch of lines of these lengths, behind it or before it writes it.
func (c *caller) commit(lengths []int) error {
	var lines []byte
	var texts []string
	for _, n := range lengths {
		c.lines++
		line := fmt.Sprintf("line %d %s\n", c.lines, strings.Repeat("x", n))
		texts = append(texts, line)
		lines = append(lines, line...)
	}
	place, since := c.dir.Next(c.file, c.end, c.since, len(lines))
	if c.staged && place.File != c.file {
		if err := c.close(); err != nil {
			return err
		}
	}
	done, err := c.dir.Stage(place, lines)
	if err != nil {
		c.never = append(c.never, texts...)
		return err
	}
	c.commits = append(c.commits, texts...)
	c.put(place, since, lines)
	if c.staged = done; done {
		c.batch = audit.Batch{Place: place, Staged: c.end}
		return nil
	}
	return c.dir.Write(place, lines)
}

// close ends a run: what is staged is published, and then nothing is to be done.
func (c *caller) close() error {
	if c.staged {
		if err := c.dir.Publish(c.file, c.end); err != nil {
			return err
		}
	}
	c.staged, c.batch = false, audit.Batch{}
	return nil
}

func (c *caller) put(place audit.Place, since int64, lines []byte) {
	c.batch = audit.Batch{Place: place, Lines: lines}
	c.file, c.end, c.since = place.File, c.batch.End(), since
}

// wrong says what is wrong with the lines on disk, if anything: every line
// that was committed must stand there once, and no other one where the Agent reads.
func (c *caller) wrong(fs *spooltest.MemFS) error {
	found := map[string]int{}
	files := fs.Files()
	for name, data := range files {
		if strings.HasSuffix(name, ".staged") {
			if _, published := files[folder+"/"+c.batch.Place.File]; published || c.batch.Staged == 0 {
				continue // nobody will publish it
			}
			data = data[:min(c.batch.Staged, int64(len(data)))]
		}
		for line := range strings.Lines(string(data)) {
			found[line]++
		}
	}
	for _, line := range c.commits {
		if found[line] != 1 {
			return fmt.Errorf("%.10q… stands there %d times", line, found[line])
		}
	}
	for _, line := range c.never {
		if found[line] != 0 {
			return fmt.Errorf("%.10q… stands there and was never committed", line)
		}
	}
	return nil
}

// theLines are the lengths of lines of the batches of a run: within a sector,
// over several, and of two files.
var theLines = [][]int{{10, 700, 20}, {5}, {600, 600}, {1500}, {40, 1200, 3, 900}, {1}}

func (c *caller) run(fs *spooltest.MemFS) error {
	if err := c.start(fs); err != nil {
		return err
	}
	for _, lengths := range theLines {
		if err := c.commit(lengths); err != nil {
			return err
		}
	}
	return c.close()
}

// faults are the ways in which an operation fails.
var faults = []struct {
	name string
	err  error
}{
	{"an input/output error", syscall.EIO},
	{"a full disk", syscall.ENOSPC},
	{"a write that stops within a line", &spooltest.PartialError{Bytes: 300, Err: syscall.ENOSPC}},
	{"a short write without an error", &spooltest.PartialError{Bytes: 7}},
}

// copy is a caller with the same memory; it can go on by itself.
func (c *caller) copy() *caller {
	d := *c
	d.commits, d.never = slices.Clip(d.commits), slices.Clip(d.never)
	d.o.Random = func() uint64 { d.names++; return d.names }
	return &d
}

// check lets a new process make good what the last one left on fs and go on,
// and says what is wrong then.
func (c *caller) check(fs *spooltest.MemFS, seed uint64) error {
	if err := c.start(fs); err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	if err := c.wrong(fs); err != nil {
		return fmt.Errorf("after recovery %w", err)
	}
	if err := c.commit([]int{30, 900}); err != nil {
		return fmt.Errorf("the next batch: %w", err)
	}
	if err := c.wrong(fs); err != nil {
		return fmt.Errorf("after the next batch %w", err)
	}
	if err := c.wrong(fs.Crash(seed)); err != nil {
		return fmt.Errorf("after a crash behind the next batch %w", err)
	}
	if err := c.close(); err != nil {
		return fmt.Errorf("the end: %w", err)
	}
	if err := c.wrong(fs.Crash(seed)); err != nil {
		return fmt.Errorf("after a crash behind the end %w", err)
	}
	return nil
}

// TestEveryOperationMayFail lets the n-th operation of a run fail, for all n,
// and then the process go on, be killed, or the machine crash. Every line that
// was committed must come to disk once.
func TestEveryOperationMayFail(t *testing.T) {
	t.Parallel()
	for name, from := range stageFroms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyOperationMayFail(t, from)
		})
	}
}

// stageFroms are from how many bytes on lines are staged.
var stageFroms = map[string]int{"nothing is staged": 0, "everything is staged": 1, "large batches are staged": 800}

func everyOperationMayFail(t *testing.T, stageFrom int) {
	t.Helper()
	whole := newFS()
	if err := newCaller(whole, stageFrom).run(whole); err != nil {
		t.Fatal(err)
	}
	total := whole.Ops()
	if n := len(whole.Files()); n < 2 {
		t.Fatalf("the run wrote %d files, want several", n)
	}
	for _, f := range faults {
		for n := 1; n <= total; n++ {
			fs := newFS()
			var kind string
			fs.Inject(func(op spooltest.Op) error {
				if op.N != n {
					return nil
				}
				kind = op.Kind
				return f.err
			})
			c := newCaller(fs, stageFrom)
			err := c.run(fs)
			fs.Inject(nil)
			at := fmt.Sprintf("%s at operation %d of %d, a %s", f.name, n, total, kind)
			// Where looking fails, a new file does as well.
			if err == nil && kind != "Lstat" {
				t.Errorf("%s: not told", at)
			}
			var spoolErr *spool.Error
			if err != nil && !errors.As(err, &spoolErr) {
				t.Errorf("%s: %v is a %T, want a *spool.Error", at, err, err)
			}
			for seed := range uint64(12) {
				if err := c.copy().check(fs.Crash(seed), seed); err != nil {
					t.Errorf("%s, and crash %d: %v", at, seed, err)
				}
			}
			if err := c.copy().check(fs.Clone(), 1); err != nil {
				t.Errorf("%s, and the process was killed: %v", at, err)
			}
			if c.dir == nil {
				continue // it could not even open the folder
			}
			if err := c.recover(); err != nil {
				t.Errorf("%s, and the process went on: %v", at, err)
			}
			if err := c.wrong(fs); err != nil {
				t.Errorf("%s, and the process went on: %v", at, err)
			}
			if err := c.wrong(fs.Crash(uint64(n))); err != nil {
				t.Errorf("%s, and the process went on until a crash: %v", at, err)
			}
		}
	}
}

// TestWhateverHappens strings together commits, faults, kills and crashes,
// also during recovery, in any order.
func TestWhateverHappens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fs := newFS()
		c := newCaller(fs, rapid.SampledFrom([]int{0, 1, 800}).Draw(t, "staged from"))
		err := c.start(fs)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			fs.Inject(nil)
			if rapid.Bool().Draw(t, "fault") {
				n := fs.Ops() + rapid.IntRange(1, 14).Draw(t, "operation")
				fault := rapid.SampledFrom(faults).Draw(t, "kind")
				fs.Inject(func(op spooltest.Op) error {
					if op.N == n {
						return fault.err
					}
					return nil
				})
			}
			switch rapid.SampledFrom([]string{"go on", "go on", "go on", "kill", "crash"}).Draw(t, "step") {
			case "kill":
				err = c.start(fs.Clone())
				fs = c.fs
			case "crash":
				err = c.start(fs.Crash(rapid.Uint64().Draw(t, "seed")))
				fs = c.fs
			default:
				if err != nil {
					if err = c.start(fs); err != nil {
						continue
					}
				}
				err = c.commit(rapid.SliceOfN(rapid.IntRange(0, 1500), 1, 6).Draw(t, "lengths"))
			}
		}
		fs.Inject(nil)
		if err := c.check(fs.Crash(rapid.Uint64().Draw(t, "seed")), 1); err != nil {
			t.Fatal(err)
		}
	})
}
