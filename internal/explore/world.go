package explore

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
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

// Where things are on the machine's disk.
const (
	base        = "/run/atlassian_audit_records"
	source      = "records"
	oversizeDir = base + "/oversize"
	notesPath   = base + "/state/delivery.json"
	// minFree is what must be free on the disk for a run to collect.
	minFree = 20_000
)

var places = spool.Folders{
	Spool:     base + "/spool/" + source,
	Late:      base + "/late/" + source,
	Delivered: base + "/delivered/" + source,
}

// record is one that the site holds, and when it is due.
type record struct {
	millis int64
	// due: it was there when a run began that covered its moment.
	due bool
}

// world is a site, a machine and an Agent, and what is known of them.
type world struct {
	seed  uint64
	rand  *rand.Rand
	turns *turns

	site    *sourcetest.Site
	records []record
	last    time.Time // of the record added last
	renamed bool
	// disordered: the site answers in the order of insertion, so that what was read
	// in good faith may have been read in vain; a reconcile makes up for it.
	disordered bool
	// lied is the run in which an answer was last empty that should not have been.
	lied int

	// offset is how far the machine's clock is ahead.
	offset    time.Duration
	files     state.Files
	disk      *spooltest.MemFS
	capacity  int64
	agent     *spooltest.Agent
	home      string
	options   collect.Options
	budget    time.Duration
	fileSize  int64
	spoolSize int64
	// slow is how long an answer takes at most, lags what decides how long each does.
	slow  time.Duration
	lags  *rand.Rand
	moods moods
	calm  bool

	// began is how many runs there were, first the one that the step began with.
	began   int
	first   int
	running []*process
	// refusal is what the next operation on the disk fails with.
	refusal error

	// position and batch are what the state holds durably.
	position audit.Position
	batch    []byte
	// removed are the delivered files that were removed, by name.
	removed map[string][]byte
	law     law

	steps  int
	trace  []string
	story  io.Writer // takes all of it; nil for not
	digest uint64
	counts map[string]int
}

// moods are how often things happen in a world: of a thousand turns.
type moods struct {
	kill, power, refuse, commit, answer, arrive, agent, second, pause int
}

// kept is how many lines of its story a world remembers for a finding.
const kept = 60

// newWorld makes the world of a seed, with its state in dir.
func newWorld(seed uint64, dir string) (*world, error) {
	r := chance(seed, 0x5eed)
	kinds := sourcetest.Kinds()
	kind := kinds[r.IntN(len(kinds))]
	site, err := sourcetest.NewSite(kind, seed, dir)
	if err != nil {
		return nil, err
	}
	w := &world{
		seed: seed, rand: r, turns: newTurns(), site: site, disk: spooltest.New(), capacity: -1,
		files: state.Files{
			State: filepath.Join(dir, "state.db"), Copy: filepath.Join(dir, "state.copy"), Marker: filepath.Join(dir, "marker.json"),
		},
		removed: map[string][]byte{}, counts: map[string]int{}, last: time.Now(),
	}
	w.law = newLaw(w)
	for _, folder := range []string{"spool", "state"} {
		w.disk.MkdirAll(base + "/" + folder)
	}
	w.equip()
	w.agent = spooltest.NewAgent(w.disk, places.Spool, w.now)
	w.agent.Stuck = 1 + r.IntN(4)
	w.home = "example.atlassian.net"
	if kind.Product == audit.Organization {
		w.home = site.Options().OrganizationID
	} else if !strings.HasPrefix(kind.Name, string(kind.Product)) || kind.Name != string(kind.Product) {
		w.home = "products.example.com" + site.Options().DataCenter.Paths[string(kind.Product)]
	}
	w.options = collect.Options{
		InitialLookback: 5 * 24 * time.Hour, Lookback: 15 * time.Minute, ReconcileWindow: 48 * time.Hour, ReconcileInterval: 6 * time.Hour,
		PageSize:  pick(r, 1, 2, 5, 20, 20, 1000),
		BatchSize: pick(r, 1, 8000, 0),
		Service:   "test", Tags: []string{"env:test"},
	}
	w.budget = pick(r, time.Second, 3500*time.Millisecond, 30*time.Second)
	w.lags = chance(seed, 0x1a9)
	w.slow = pick(w.lags, 5*time.Millisecond, 40*time.Millisecond, 200*time.Millisecond)
	w.fileSize = pick(r, int64(4_000), 30_000, 250_000)
	w.spoolSize = pick(r, int64(60_000), 10_000_000, 10_000_000)
	w.moods = moods{
		kill: pick(r, 0, 0, 2, 8), power: pick(r, 0, 0, 2, 6), refuse: pick(r, 0, 0, 3, 15), commit: pick(r, 0, 0, 3, 10),
		answer: pick(r, 0, 30, 100), arrive: pick(r, 0, 5, 30), agent: pick(r, 5, 30, 100), second: pick(r, 0, 2, 10), pause: pick(r, 0, 10),
	}
	w.habits()
	w.history()
	return w, nil
}

// chance is what a seed decides by.
func chance(seed, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, stream)) //nolint:gosec // it must come again
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// now is the machine's clock.
func (w *world) now() time.Time { return time.Now().Add(w.offset) }

// habits are how the site answers. They are honest ones.
func (w *world) habits() {
	r := w.rand
	w.site.Change(func(q *atlassiantest.Quirks) {
		q.MaxPage = pick(r, 0, 0, 3, 10)
		q.EchoRequestedLimit = r.IntN(2) == 0
		// Ties of more than a page that change their places all the time, and have no
		// id, cannot be counted.
		q.ShuffleTies = w.options.PageSize == 1000 && q.MaxPage == 0 && r.IntN(2) == 0
		q.ClockSkew = pick(r, 0, 0, 20*time.Minute, -20*time.Minute)
		q.Latency = pick(r, 0, 0, 301*time.Millisecond)
		q.SecondPrecisionBounds = r.IntN(6) == 0
		q.ExclusiveBounds = r.IntN(8) == 0
		q.InsertionOrder = r.IntN(12) == 0
		w.disordered = q.InsertionOrder
		if w.site.Product == audit.Organization {
			q.SecondPrecisionBounds, q.ExclusiveBounds, q.InsertionOrder, w.disordered = false, false, false, false
			q.NextAtEnd = r.IntN(2) == 0
			q.CursorLife = pick(r, 0, 0, 10*time.Minute)
			q.CursorStatus = pick(r, 0, 404, 410)
		}
	})
}

// history is what there was before the first run.
func (w *world) history() {
	r := w.rand
	for range r.IntN(60) {
		w.add(1, time.Duration(r.Int64N(int64(30*time.Hour))))
	}
	if r.IntN(3) == 0 {
		w.add(1+r.IntN(40), time.Duration(r.Int64N(int64(20*time.Hour))))
	}
}

// add stores n records of one moment some time ago.
func (w *world) add(n int, ago time.Duration) {
	w.last = time.Now().Add(-ago)
	w.addAt(n, w.last)
}

func (w *world) addAt(n int, at time.Time) {
	w.stored(w.site.AddBurst(string(w.site.Product), n, at))
}

// stored takes note of new records.
func (w *world) stored(seqs []int) {
	for _, seq := range seqs {
		r := w.site.At(string(w.site.Product), seq)
		at := r.Created
		if !r.Processed.IsZero() {
			at = r.Processed
		}
		w.records = append(w.records, record{millis: at.UnixMilli()})
	}
	w.count("records", len(seqs))
}

// committed takes note of what a process made durable.
func (w *world) committed(p *process, c audit.Change) {
	for i := range w.records[:p.known] {
		r := &w.records[i]
		r.due = r.due || c.Position.Covered.Contains(r.millis) && !w.position.Covered.Contains(r.millis)
	}
	w.position = c.Position
	if c.Batch != nil {
		w.batch = append([]byte(nil), c.Batch.Lines...)
	}
	w.count("commits", 1)
}

// equip gives the disk what a crash does not keep.
func (w *world) equip() {
	w.disk.SetClock(w.now)
	w.disk.SetCapacity(w.capacity)
	w.disk.Inject(func(spooltest.Op) error {
		err := w.refusal
		w.refusal = nil
		return err
	})
	if w.agent != nil {
		w.agent.FS = w.disk
	}
}

// used is the number of bytes on the disk, and free what is left.
func (w *world) used() (n int64) {
	for _, data := range w.disk.Files() {
		n += int64(len(data))
	}
	return n
}

func (w *world) free() int64 {
	if w.capacity < 0 {
		return 1 << 40
	}
	return w.capacity - w.used()
}

// kill ends a process: nothing that it does from now on has an effect.
func (w *world) kill(p *process) {
	w.note(p, "is killed")
	p.dead.Store(true)
	p.cancel()
	w.turns.drop(p)
	synctest.Wait() // until it is through with its own end
	w.count("kills", 1)
}

// blackout is a power failure.
func (w *world) blackout() {
	for _, p := range w.running {
		w.kill(p)
	}
	w.disk = w.disk.Crash(w.rand.Uint64())
	w.refusal = nil
	w.equip()
	w.agent.Restart()
	w.law.torn = true
	w.note(nil, "the power fails")
	w.count("power failures", 1)
}

// note adds a line to the story.
func (w *world) note(p *process, what string) {
	who := "world"
	if p != nil {
		if p.dead.Load() {
			return // nobody hears it
		}
		who = fmt.Sprint("run ", p.id)
	}
	what = strings.ReplaceAll(what, filepath.Dir(w.files.State), "")
	line := fmt.Sprintf("%s %-7s %s", time.Now().UTC().Format("02 15:04:05.000000"), who, what)
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%x %s", w.digest, line) // a hash does not fail
	w.digest = h.Sum64()
	if w.story != nil {
		_, _ = fmt.Fprintln(w.story, line) // for a person to read, no more
	}
	if w.trace = append(w.trace, line); len(w.trace) > 2*kept {
		w.trace = append(w.trace[:0], w.trace[len(w.trace)-kept:]...)
	}
}

func (w *world) count(what string, n int) { w.counts[what] += n }

// refusals are what a disk answers that does not do as it is told.
func (w *world) refusalOf(op string) error {
	bad := pick[error](w.rand, syscall.EIO, syscall.ENOSPC)
	if strings.HasPrefix(op, "disk WriteAt") && w.rand.IntN(2) == 0 {
		return &spooltest.PartialError{Bytes: w.rand.IntN(3000), Err: bad}
	}
	return bad
}

// finding is a breach of the law.
type finding struct {
	seed  uint64
	steps int
	what  error
	trace []string
}

func (f *finding) Error() string {
	return fmt.Sprintf("%v\nthe last that happened:\n  %s", f.what, strings.Join(f.trace, "\n  "))
}

func (f *finding) Unwrap() error { return f.what }

func (w *world) broken(err error) error {
	if err == nil {
		return nil
	}
	var already *finding
	if errors.As(err, &already) {
		return err
	}
	return &finding{w.seed, w.steps, err, w.trace[max(0, len(w.trace)-kept):]}
}
