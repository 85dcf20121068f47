package explore

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing/synctest"
	"time"

	"atlassian_audit_records/pkg/spool"
	"atlassian_audit_records/pkg/spool/spooltest"
)

// Where things are on the machine's disk.
const (
	base        = "/run/atlassian_audit_records"
	source      = "records"
	oversizeDir = base + "/oversize"
	// minFree is what must be free on the disk for a run to collect.
	minFree = 20_000
)

var places = spool.Folders{
	Spool:     base + "/spool/" + source,
	Late:      base + "/late/" + source,
	Delivered: base + "/delivered/" + source,
}

// world is a machine, an Agent, and one or two products that are collected there into
// the same folder, and what is known of them.
type world struct {
	seed    uint64
	rand    *rand.Rand
	turns   *turns
	streams []*stream

	// offset is how far the machine's clock is ahead.
	offset   time.Duration
	disk     *spooltest.MemFS
	capacity int64
	agent    *spooltest.Agent
	// serving is held while the Agent does something, and while a run reads its
	// registry: no turn stands between the two where that run waited for the state,
	// only their instants do, of which Go's memory model knows nothing.
	serving   *sync.Mutex
	budget    time.Duration
	fileSize  int64
	spoolSize int64
	// slow is how long an answer takes at most, lags what decides how long each does.
	// fears decides when a power failure is imagined.
	slow  time.Duration
	lags  *rand.Rand
	fears *rand.Rand
	moods moods
	calm  bool

	// began is how many runs there were, first the one that the step began with.
	began   int
	first   int
	running []*process
	// refusal is what the next operation on the disk fails with.
	refusal error

	// done is the turn that was given last, crashed that the power failed since.
	done    *turn
	crashed bool
	shelf   *shelf
	law     law

	dir string
	// stageFrom is from how many bytes on lines are staged: in every third world all
	// are, where a file begins with them, and in every third one hardly any.
	stageFrom int
	steps     int
	trace     []string
	story     io.Writer // takes all of it; nil for not
	digest    uint64
	counts    map[string]int
}

// moods are how often things happen in a world: of a thousand turns.
type moods struct {
	kill, power, refuse, commit, answer, arrive, agent, second, pause int
}

// kept is how many lines of its story a world remembers for a finding.
const kept = 60

// newWorld makes the world of a seed, with its states in dir.
func newWorld(seed uint64, dir string) (*world, error) {
	r := chance(seed, 0x5eed)
	w := &world{
		seed: seed, stageFrom: []int{0, 1, 3000}[seed%3], rand: r, turns: newTurns(), serving: new(sync.Mutex), disk: spooltest.New(), capacity: -1, dir: dir,
		lags: chance(seed, 0x1a9), fears: chance(seed, 0xfea5), counts: map[string]int{},
	}
	w.shelf = newShelf(w)
	w.law = newLaw(w)
	for _, folder := range []string{"spool", "state"} {
		w.disk.MkdirAll(base + "/" + folder)
	}
	w.equip()
	w.agent = spooltest.NewAgent(w.disk, places.Spool, w.now)
	w.agent.Stuck = 1 + r.IntN(4)
	w.slow = pick(w.lags, 5*time.Millisecond, 40*time.Millisecond, 200*time.Millisecond)
	w.budget = pick(r, time.Second, 3500*time.Millisecond, 30*time.Second)
	w.fileSize = pick(r, int64(4_000), 30_000, 250_000)
	w.spoolSize = pick(r, int64(60_000), 10_000_000, 10_000_000)
	w.moods = moods{
		kill: pick(r, 0, 0, 2, 8), power: pick(r, 0, 0, 2, 6), refuse: pick(r, 0, 0, 3, 15), commit: pick(r, 0, 0, 3, 10),
		answer: pick(r, 0, 30, 100), arrive: pick(r, 0, 5, 30), agent: pick(r, 5, 30, 100), second: pick(r, 0, 2, 10), pause: pick(r, 0, 10),
	}
	for n := range uint64(pick(r, 1, 1, 2)) {
		for len(w.streams) == int(n) { // two products are two
			s, err := newStream(w, seed+n*1_000_003, filepath.Join(dir, fmt.Sprint("product", n)))
			if err != nil {
				return nil, err
			}
			if n == 0 || s.owner != w.streams[0].owner {
				w.streams = append(w.streams, s)
			}
		}
	}
	return w, nil
}

// chance is what a seed decides by.
func chance(seed, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, stream)) //nolint:gosec // it must come again
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// now is the machine's clock.
func (w *world) now() time.Time { return time.Now().Add(w.offset) }

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
	w.law.torn, w.law.held = true, false
	w.crashed = true
	w.shelf.all()
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
	what = strings.ReplaceAll(what, w.dir, "")
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
