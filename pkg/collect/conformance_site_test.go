package collect_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"atlassian_audit_records/internal/sourcetest"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/collect"
	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/spool/spooltest"
	"atlassian_audit_records/pkg/state"
)

// The promise, proven with the real client, state and spool against a simulated
// Atlassian. Everything runs in a synctest bubble: all clocks are its clock, so
// that an outage of three days passes at once.

// interval is the time between two runs.
const interval = time.Minute

// spans of time that a machine reads again, as by default, but for the first
// look-back, which reaches back far enough for late records.
var usual = collect.Options{
	InitialLookback:   5 * 24 * time.Hour,
	Lookback:          15 * time.Minute,
	ReconcileWindow:   48 * time.Hour,
	ReconcileInterval: 6 * time.Hour,
	PageSize:          20,
	Service:           "test",
	Tags:              []string{"env:test"},
}

// site is one product of a simulated site, as the rows speak of it.
type site struct {
	*sourcetest.Site
	product audit.Product
	quiet   bool
}

func newSite(k kind, seed uint64) *site {
	s, err := sourcetest.NewSite(k.Kind, seed, filesRoot)
	if err != nil {
		panic(err)
	}
	return &site{s, k.Product, k.Quiet}
}

// add stores n different records, each dated apart after the one before it, the
// last one ago.
func (s *site) add(n int, apart, ago time.Duration) { s.AddApart(n, apart, ago) }

// burst stores n different records of one millisecond.
func (s *site) burst(n int, ago time.Duration) {
	s.AddBurst(string(s.product), n, time.Now().Add(-ago))
}

func (s *site) twins(n int, ago time.Duration) {
	s.AddTwins(string(s.product), n, time.Now().Add(-ago))
}

func (s *site) quirks(change func(*atlassiantest.Quirks)) { s.Change(change) }

func (s *site) rename(to string) { s.RenameAll(to) }

// machine is a machine on which the check runs: its disk, its state, and how it
// is configured.
type machine struct {
	site *site
	o    collect.Options
	// asker is how the source is asked.
	asker sourcetest.Asker
	// budget is how long a run may go on.
	budget time.Duration
	disk   *spooltest.MemFS
	files  state.Files
	// stageFrom is from how many bytes on a batch is staged; 0 for the
	// usual.
	stageFrom int
	// between is called between any two operations of a run on state and spool,
	// with the name of the one before.
	between func(operation string)
	// fault is asked before each call of the state; what it answers is the call's
	// error.
	fault func(call string) error
	mu    sync.Mutex // held while it is asked
	// stop is the operation of the disk at which something happens.
	stop int
	// torn: the power went while lines were written, so that some may be cut or
	// overwritten with zeros; whole ones stand elsewhere.
	torn bool
}

const spoolDir = "/run/spool/records"

func newMachine(s *site, dir string) *machine {
	m := &machine{site: s, o: usual, budget: 30 * time.Second, disk: spooltest.New()}
	// Of one product each page has a commit of its own, of the other several share it.
	m.o.BatchSize = 1
	if s.product == audit.Confluence {
		m.o.BatchSize = 20_000
	}
	m.disk.MkdirAll(path.Dir(spoolDir))
	m.live(dir)
	return m
}

// live makes dir the place of the machine's state.
func (m *machine) live(dir string) {
	m.files = state.Files{
		State:  filepath.Join(dir, "state.db"),
		Copy:   filepath.Join(dir, "state.copy"),
		Marker: filepath.Join(dir, "marker.json"),
	}
}

// outcome is what a run said of itself.
type outcome struct {
	collect.Summary
	requests int
	position audit.Position
	// waited is true when the run did nothing because Atlassian wants to be
	// left alone; more when its budget left something unread.
	waited, more bool
	// reached remembers what is known of the way to the site.
	reached func()
	notice  string
}

// complete tells that nothing was left to do.
func (o outcome) complete() bool {
	return o.LiveDone && !o.waited && o.Gap == 0 && o.Recheck == 0
}

// run is one run of the check, as a process does it.
func (m *machine) run() (outcome, error) {
	return m.process(func(ctx context.Context, c *collect.Collector, out *outcome) (err error) {
		soft := time.Now().Add(m.budget)
		err = c.Live(ctx, soft)
		out.reached()
		if err == nil {
			err = c.Guard(ctx)
		}
		// At least one step, lest the live edge starve everything else.
		for first := true; err == nil && (first || out.more && time.Now().Before(soft)); first = false {
			out.more, err = c.Rest(ctx, soft)
		}
		return err
	})
}

// process opens all that a process needs, and lets it do its work, unless Atlassian
// wants to be left alone.
func (m *machine) process(work func(context.Context, *collect.Collector, *outcome) error) (out outcome, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), m.budget+time.Minute)
	defer cancel()
	dir, err := spool.Open(m.disk, spoolDir, spool.Options{
		Now: time.Now, Oversize: "/run/oversize", MaxSize: 256 << 10, Staged: "stream", StageFrom: m.stageFrom,
	})
	if err != nil {
		return out, err
	}
	store, notice, err := state.Open(m.files, state.Options{Now: time.Now, Holds: dir.Holds})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	out.notice = notice
	position, err := store.Position()
	if err != nil {
		return out, err
	}
	at, err := m.site.Open(ctx, m.site.Site, position, m.asker)
	if err != nil {
		return out, err
	}
	o := m.o
	o.Stream, o.Now, o.ServerNow = at.Stream, time.Now, at.Now
	o.Mark = func(resume int64) error {
		if err := (spiedState{store, m}).fails("Mark"); err != nil {
			return err
		}
		return state.Mark(m.files, resume, time.Now())
	}
	c, err := collect.Open(o, spiedState{store, m}, spiedSpool{dir, m}, at.Source)
	if err != nil {
		return out, err
	}
	defer func() {
		out.Summary, out.requests, out.position = c.Summary(), at.Source.Requests(), c.Position()
	}()
	if until := c.Position().WaitUntil; time.Now().UnixMilli() < until {
		out.waited = true
		return out, nil
	}
	out.reached = func() { c.SetSite(at.Stream.CloudID, at.Source.Route()) }
	err = work(ctx, c, &out)
	out.reached()
	var wait interface{ WaitUntil() (time.Time, bool) }
	if errors.As(err, &wait) {
		if until, ok := wait.WaitUntil(); ok {
			return out, errors.Join(err, c.Wait(until, "quota"))
		}
	}
	if err == nil {
		err = c.Close()
	}
	return out, err
}

// settle lets runs follow each other until one has nothing left to do, and
// answers that one. Errors of the runs before it are theirs.
func (m *machine) settle() (outcome, error) {
	var out outcome
	var err error
	for range 500 {
		time.Sleep(interval)
		if out, err = m.run(); err == nil && out.complete() {
			return out, nil
		}
	}
	return out, fmt.Errorf("nothing is complete after 500 runs: %+v, the last error: %w", out, err)
}

// reconcile lets the time pass after which a reconcile is due, and settles.
func (m *machine) reconcile() error {
	time.Sleep(m.o.ReconcileInterval + interval)
	_, err := m.settle()
	return err
}

// moment is what is left of a machine that is killed between two operations.
type moment struct {
	after string
	// files are the state's, by their paths.
	files map[string][]byte
	disk  *spooltest.MemFS
}

// watch remembers the machine between any two operations.
func (m *machine) watch(moments *[]moment) {
	m.between = func(after string) {
		at := moment{after, map[string][]byte{}, m.disk.Clone()}
		for _, file := range []string{m.files.State, m.files.State + ".lines0", m.files.State + ".lines1", m.files.Marker} {
			b, err := os.ReadFile(file)
			if err == nil {
				at.files[file] = b
			} else if !errors.Is(err, fs.ErrNotExist) {
				panic(err)
			}
		}
		*moments = append(*moments, at)
	}
}

// restart is the machine as it comes back after it was killed at that moment,
// with what is left of its disk.
func (m *machine) restart(at moment, disk *spooltest.MemFS, dir string) (*machine, error) {
	back := &machine{site: m.site, o: m.o, budget: m.budget, disk: disk, stageFrom: m.stageFrom}
	back.live(dir)
	for file, b := range at.files {
		file = strings.Replace(file, filepath.Dir(m.files.State), filepath.Dir(back.files.State), 1)
		if err := os.WriteFile(file, b, 0o600); err != nil {
			return nil, err
		}
	}
	return back, nil
}

func (m *machine) did(operation string) {
	if m.between != nil {
		m.between(operation)
	}
}

// spiedState tells the machine of every operation.
type spiedState struct {
	*state.Store
	m *machine
}

// fails is what the machine lets the call fail with.
func (s spiedState) fails(call string) error {
	s.m.mu.Lock() // a batch is committed while the next page is looked up
	defer s.m.mu.Unlock()
	if s.m.fault == nil {
		return nil
	}
	return s.m.fault(call)
}

func (s spiedState) Position() (audit.Position, error) {
	if err := s.fails("Position"); err != nil {
		return audit.Position{}, err
	}
	return s.Store.Position()
}

func (s spiedState) Batch() (audit.Batch, bool, error) {
	if err := s.fails("Batch"); err != nil {
		return audit.Batch{}, false, err
	}
	return s.Store.Batch()
}

func (s spiedState) NextSeen(ms int64) (int64, bool, error) {
	if err := s.fails("NextSeen"); err != nil {
		return 0, false, err
	}
	return s.Store.NextSeen(ms)
}

func (s spiedState) Commit(c audit.Change) error {
	if err := s.fails("Commit"); err != nil {
		return err
	}
	err := s.Store.Commit(c)
	s.m.did("Commit")
	return err
}

func (s spiedState) SeenAt(millis []int64) ([]audit.Seen, error) {
	if err := s.fails("SeenAt"); err != nil {
		return nil, err
	}
	for i := 1; i < len(millis); i++ {
		if millis[i] <= millis[i-1] {
			return nil, fmt.Errorf("SeenAt was asked for %d after %d", millis[i], millis[i-1])
		}
	}
	return s.Store.SeenAt(millis)
}

type spiedSpool struct {
	*spool.Dir
	m *machine
}

func (s spiedSpool) Write(p audit.Place, lines []byte) error {
	err := s.Dir.Write(p, lines)
	s.m.did("Write")
	return err
}

func (s spiedSpool) Stage(p audit.Place, lines []byte) (bool, error) {
	done, err := s.Dir.Stage(p, lines)
	if done || err != nil {
		s.m.did("Stage")
	}
	return done, err
}

func (s spiedSpool) Publish(file string, length int64) error {
	err := s.Dir.Publish(file, length)
	s.m.did("Publish")
	return err
}

func (s spiedSpool) Recover(b audit.Batch) (bool, []byte, error) {
	written, rest, err := s.Dir.Recover(b)
	s.m.did("Recover")
	return written, rest, err
}

func (s spiedSpool) Keep(id string, raw []byte) error {
	err := s.Dir.Keep(id, raw)
	s.m.did("Keep")
	return err
}

// lines are all lines of the spool, and an error for one that is none.
func (m *machine) lines() ([]sourcetest.Line, error) {
	var out []sourcetest.Line
	files := m.disk.Files()
	names := make([]string, 0, len(files))
	for name := range files {
		if path.Dir(name) == spoolDir && path.Ext(name) == ".jsonl" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for text := range bytes.Lines(files[name]) {
			line, err := m.site.ReadLine(text)
			switch {
			case err == nil:
				out = append(out, line)
			case !m.torn:
				return nil, fmt.Errorf("%s holds %w", name, err)
			}
		}
	}
	return out, nil
}

// audit compares the spool with what the site holds.
func (m *machine) audit() (*sourcetest.Ledger, error) {
	all, err := m.lines()
	if err != nil {
		return nil, err
	}
	floor := time.Now().Add(-m.o.InitialLookback - 365*24*time.Hour)
	var below audit.Set // what was read below the floor
	if store, _, err := state.Open(m.files, state.Options{Now: time.Now}); err == nil {
		if p, err := store.Position(); err == nil && p.FloorSet {
			floor, below = time.UnixMilli(p.Floor), p.Covered
		}
		if err := store.Close(); err != nil {
			return nil, err
		}
	}
	return m.site.CompareWhere(all, func(at time.Time) bool { return !at.Before(floor) || below.Contains(at.UnixMilli()) }), nil
}

// exactly is nil when every record is in the spool exactly once, unchanged.
func (m *machine) exactly() error {
	l, err := m.audit()
	if err != nil {
		return err
	}
	return l.Err()
}

// bubble runs f in a bubble of its own for each kind of source.
func bubble(t *testing.T, f func(t *testing.T, m *machine)) {
	t.Helper()
	for _, k := range kinds {
		if !k.takes(t.Name()) {
			continue
		}
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { f(t, newMachine(newSite(k, 1), dir)) })
		})
	}
}

// asking is bubble for the sources that ask over a network.
func asking(t *testing.T, f func(t *testing.T, m *machine)) {
	t.Helper()
	bubble(t, func(t *testing.T, m *machine) {
		if !m.site.quiet {
			f(t, m)
		}
	})
}

// must ends the test when something is wrong.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pass lets time go by in the bubble of testing/synctest that every test of this
// package runs in: nobody waits for it.
func pass(d time.Duration) { time.Sleep(d) }
