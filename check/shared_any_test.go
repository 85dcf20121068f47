package check

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/shared"
)

// fates is what becomes of a fleet, as its seed has it.
type fates struct {
	*fleet
	rand  *rand.Rand
	boxes []*box
	gone  map[*box]bool
	// spooled is how many lines of each file were looked at.
	spooled map[string]int
	// settled are records that were delivered and shared: by whom they were delivered, and
	// how many runs of its ended well since, with the lease and a minute after.
	settled map[string]*fate
	// stale are records in the spool of a machine that lost its lease or its state
	// after it collected them: whoever took over knows nothing of them.
	stale map[*box]map[string]bool
	// under are writes under way whose answers nobody waits for any more.
	under []func()
	log   []string
}

type fate struct {
	by   *box
	at   time.Time
	runs int
}

// safe tells that everybody who takes over must know the record.
func (f *fate) safe() bool { return f.runs >= 2 }

// TestWhateverBecomesOfAFleet: machines run, deliver, lose their state, the store and
// the answers of the store, stand still and vanish, in any order. In the end every record
// was delivered; and none is ever spooled again that was delivered and shared.
func TestWhateverBecomesOfAFleet(t *testing.T) {
	t.Parallel()
	for seed := range uint64(16) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			inFleet(t, func(t *testing.T, fl *fleet) {
				f := &fates{fleet: fl, rand: rand.New(rand.NewPCG(seed, 1)), gone: map[*box]bool{}, spooled: map[string]int{}, settled: map[string]*fate{}, stale: map[*box]map[string]bool{}}
				for i := range 4 {
					b := f.box(fmt.Sprintf("web-%d", i))
					f.boxes, f.stale[b] = append(f.boxes, b), map[string]bool{}
				}
				for range 120 {
					f.step()
				}
				f.end()
				if t.Failed() {
					t.Logf("what happened:\n%s", strings.Join(f.log, "\n"))
				}
			})
		})
	}
}

func (f *fates) note(format string, args ...any) {
	f.log = append(f.log, time.Now().Format("01-02 15:04:05 ")+fmt.Sprintf(format, args...))
}

func (f *fates) step() {
	b := f.boxes[f.rand.IntN(len(f.boxes))]
	if f.gone[b] {
		return
	}
	if n := len(f.under); n > 0 && f.rand.IntN(4) == 0 {
		i := f.rand.IntN(n)
		f.note("a write arrives")
		f.under[i]()
		f.under = slices.Delete(f.under, i, i+1)
	}
	switch n := f.rand.IntN(100); {
	case n < 45:
		f.run(b)
	case n < 60:
		f.note("%s delivers", b.name)
		f.deliverOf(b)
	case n < 75:
		f.more(f.rand.IntN(6))
		pass(time.Duration(f.rand.IntN(120)) * time.Second)
	case n < 80:
		f.note("records appear late")
		f.w.server.AddLate("jira", 1+f.rand.IntN(3), 5*time.Minute)
	case n < 85:
		f.note("time passes")
		pass(5 * time.Minute)
	case n < 89:
		cut := f.rand.IntN(2) == 0
		f.note("%s: the store is away: %t", b.name, cut)
		b.client.Cut(cut)
	case n < 91:
		f.note("%s: answers to writes are lost for one run", b.name)
		f.runWith(b, deaf{b.client})
	case n < 93:
		f.note("%s: writes are under way for longer than one run", b.name)
		f.runWith(b, slow{f.store.Client(), func(write func()) { f.under = append(f.under, write) }})
	case n < 95:
		f.note("%s stands still in the midst of a run", b.name)
		paused := false
		b.options.Transport = &pausing{f.w.server.Transport(), func() {
			if !paused {
				paused = true
				pass(time.Duration(f.rand.IntN(240)) * time.Second)
			}
		}}
		f.run(b)
		b.options.Transport = f.w.options.Transport
	case n < 98:
		f.note("%s loses its state", b.name)
		if err := os.RemoveAll(foldersOf(b.run, "example.atlassian.net").stateDir()); err != nil {
			f.t.Fatal(err)
		}
	case len(f.gone) < len(f.boxes)-1:
		f.note("%s vanishes", b.name)
		f.gone[b] = true
	}
}

// runWith is a run with that way to the store.
func (f *fates) runWith(b *box, way shared.Backend) {
	whole := b.options.OpenShared
	b.opens(way)
	f.run(b)
	b.options.OpenShared = whole
}

// run is a run, whatever comes of it, and what it spooled.
func (f *fates) run(b *box) {
	res, rec := b.runOnce(b.sharedConfig(classicAuth))
	b.dated()
	short, messages := b.statesOf(rec)
	holds := res.Error == "" && len(rec.Warnings) == 0 && !strings.HasPrefix(messages["can_connect jira"], "standby")
	f.note("%s runs: %s %q %q %s", b.name, res.Error, rec.Warnings, messages["can_connect jira"], short)
	standby := strings.HasPrefix(messages["can_connect jira"], "standby")
	if standby || slices.ContainsFunc(rec.Logs, func(l LogLine) bool { return strings.Contains(l.Message, "takes over where") }) {
		f.parts(b)
	}
	for _, p := range both {
		for _, path := range b.files("spool", p) {
			text, err := os.ReadFile(path)
			if err != nil {
				f.t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
			for _, line := range lines[min(len(lines), f.spooled[path]):] {
				s, ok := audit.ReadLine([]byte(line))
				if !ok {
					f.t.Fatalf("%s holds %q", path, line)
				}
				if was := f.settled[s.RecordID]; was != nil && was.safe() {
					f.t.Errorf("%s spooled %s again, which %s delivered at %s", b.name, s.RecordID, was.by.name, was.at.Format("15:04:05"))
				}
			}
			f.spooled[path] = len(lines)
		}
	}
	for _, was := range f.settled {
		if holds && was.by == b && time.Since(was.at) >= time.Minute {
			was.runs++
		}
	}
}

// parts notes that a machine's work is no longer what is shared goes on from. What it
// spooled in the run at hand comes after that.
func (f *fates) parts(b *box) {
	for _, p := range both {
		for _, path := range b.files("spool", p) {
			text, err := os.ReadFile(path)
			if err != nil {
				f.t.Fatal(err)
			}
			n := 0
			for line := range strings.Lines(string(text)) {
				if s, ok := audit.ReadLine([]byte(line)); ok && n < f.spooled[path] {
					f.stale[b][s.RecordID] = true
				}
				n++
			}
		}
	}
	maps.DeleteFunc(f.settled, func(_ string, was *fate) bool { return was.by == b && !was.safe() })
}

// deliverOf is a machine's Agent at work.
func (f *fates) deliverOf(b *box) {
	for _, id := range b.undelivered() {
		if f.settled[id] == nil && !f.stale[b][id] {
			f.settled[id] = &fate{by: b, at: time.Now()}
		}
	}
	b.deliver()
}

// end lets a machine that is left collect what there is.
func (f *fates) end() {
	f.note("the end")
	for _, b := range f.boxes {
		if f.gone[b] {
			continue
		}
		b.client.Cut(false)
		pass(10 * time.Minute)
		for range 3 {
			f.run(b)
			f.deliverOf(b)
			pass(time.Minute)
		}
	}
	for _, p := range both {
		if n := len(f.w.server.Records(string(p))); n == 0 {
			f.t.Errorf("there are no records of %s", p)
		}
	}
	n := len(f.w.server.Records("jira")) + len(f.w.server.Records("confluence"))
	if len(f.delivered) != n {
		f.t.Errorf("%d records were delivered, and %d are at Atlassian", len(f.delivered), n)
	}
}
