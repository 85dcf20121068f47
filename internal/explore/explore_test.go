package explore

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// usualSteps is how many steps a world lives where nobody says.
const usualSteps = 40

var (
	seed   = flag.Uint64("explore.seed", 1, "the seed of the first world")
	worlds = flag.Uint64("explore.worlds", 4, "how many worlds there are")
	lasts  = flag.Duration("explore.for", 0, "for how long there are more of them, whatever -explore.worlds says")
	steps  = flag.Int("explore.steps", usualSteps, "how many steps a world lives")
	story  = flag.String("explore.story", "", "a file for all that happens in a world, one line each; for a single world")
)

// TestExplore lets worlds live, one after the other on each core. `make explore`
// says how many.
func TestExplore(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(*lasts)
	var next, lived, turns, ahead atomic.Uint64
	most := make([]uint64, runtime.GOMAXPROCS(0)) // of each core
	var found atomic.Bool
	for core := range most {
		t.Run(fmt.Sprint("core ", core), func(t *testing.T) {
			t.Parallel()
			for !found.Load() {
				n := next.Add(1) - 1
				if *lasts > 0 && time.Now().After(end) || *lasts == 0 && n >= *worlds {
					return
				}
				life, err := inBubble(t, *seed+n, *steps)
				lived.Add(1)
				long := uint64(life.Counts["turns"])
				turns.Add(long)
				ahead.Add(uint64(life.Counts[early]))
				most[core] = max(most[core], long)
				if err != nil {
					found.Store(true)
					t.Errorf("%s\n%v", command(*seed+n, *steps), err)
				}
			}
		})
	}
	t.Cleanup(func() {
		t.Logf("%d worlds from seed %d on, %d operations, at most %d in one, %d answers fetched before their turn", lived.Load(), *seed, turns.Load(), slices.Max(most), ahead.Load())
	})
}

// command is what shows a finding again.
func command(seed uint64, steps int) string {
	if steps == usualSteps {
		return fmt.Sprintf("make explore SEED=%d", seed)
	}
	return fmt.Sprintf("make explore SEED=%d STEPS=%d", seed, steps)
}

// inBubble lets a world live in a time of its own.
func inBubble(t *testing.T, seed uint64, steps int) (life Life, err error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "world") //nolint:usetesting // there are thousands of them in one test
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}()
	var out io.Writer
	if *story != "" {
		f, err := os.Create(*story)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close() // for a person to read, no more
		out = f
	}
	synctest.Test(t, func(*testing.T) { life, err = Live(seed, steps, dir, out) })
	return life, err
}

// TestALifeIsTheSameEachTime is what a seed is good for.
func TestALifeIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		first, err := inBubble(t, 100+seed, 15)
		if err != nil {
			t.Fatalf("%s\n%v", command(100+seed, 15), err)
		}
		again, err := inBubble(t, 100+seed, 15)
		if err != nil || first.Digest != again.Digest {
			t.Errorf("seed %d: %x with %v, and then %x with %v (%v)", 100+seed, first.Digest, first.Counts, again.Digest, again.Counts, err)
		}
	}
}

// TestAnswersAreFetchedBeforeTheirTurn holds that the worlds have that, too: answers
// that are asked for then, and answers that are not.
func TestAnswersAreFetchedBeforeTheirTurn(t *testing.T) {
	t.Parallel()
	used, vain := 0, 0
	for seed := uint64(1); seed <= 24 && (used == 0 || vain == 0); seed++ {
		life, err := inBubble(t, seed, 15)
		if err != nil {
			t.Fatalf("%s\n%v", command(seed, 15), err)
		}
		used += life.Counts[early]
		vain += life.Counts[foreseen] - life.Counts[early]
	}
	if used == 0 || vain == 0 {
		t.Errorf("%d answers that were fetched before their turn were asked for, and %d were not: some of both are wanted", used, vain)
	}
}

// TestSeedsThatFoundABug lets the worlds live again in which the law was broken
// once. What happens in them changes with the program; each bug has a test of its
// own beside, which does not.
func TestSeedsThatFoundABug(t *testing.T) {
	t.Parallel()
	for name, seed := range map[string]uint64{
		"a sync failed, nothing could tell the next run, and the power failed":     9,
		"the power failed in the first line of a file, which was nobody's then":    26,
		"a silence behind a moment of more than a page, in the order of insertion": 189,
		"an empty list in a moment of more than a page, which was false":           211,
		"what pages of one record left behind, in the order of insertion":          58,
		"what a replay had put back was forgotten while it could be found":         86,
		"a killed run, a lost registry: what was delivered was not kept":           138,
		// These were the explorer's own: no time passed while answers came, so that
		// runs that waited for the state followed each other at one instant.
		"files were read by the record while records came for ever": 38,
		"a moment grew while it was read by offset":                 44,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := inBubble(t, seed, usualSteps); err != nil {
				t.Errorf("%s\n%v", command(seed, usualSteps), err)
			}
		})
	}
}
