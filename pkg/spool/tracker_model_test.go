package spool_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"atlassian_audit_records/pkg/spool/spooltest"
)

var errPower = errors.New("the power failed")

// TestDeliveryAtEveryCrash lets each operation of a run that moves, takes out
// and spools again be the last one, with and without what was not synced.
func TestDeliveryAtEveryCrash(t *testing.T) {
	t.Parallel()
	// stage is a depot whose next run does all there is to do: a file to be
	// delivered, one to be removed, one to be taken out and one to be spooled again.
	stage := func(t *testing.T) *depot {
		d := newDepot(t)
		d.write(20 * time.Hour)
		d.agent.Work()
		d.runs(1)
		d.now = d.now.Add(25 * time.Hour)
		d.write(17*time.Hour, 17*time.Hour, time.Hour) // a new file, since the last is old
		d.agent.Stuck = 1
		d.agent.Scan()
		d.agent.Read(1)
		d.agent.Arrive(0, true)
		d.agent.Flush()
		d.agent.Down = true
		d.runs(1) // delivers the first file
		d.now = d.now.Add(31 * time.Minute)
		d.runs(1) // takes out the second
		d.file = ""
		d.write(16*time.Hour+40*time.Minute, 0)
		d.now = d.now.Add(31 * time.Minute)
		d.write(20 * time.Hour)
		d.now = d.now.Add(20 * time.Minute)
		return d
	}
	whole := stage(t)
	before := whole.fs.Ops()
	out, err := whole.run()
	if err != nil || out.Renewed != 1 || out.TakenOut != 1 {
		t.Fatalf("the stage is not set: %+v, %v", out, err)
	}
	ops := whole.fs.Ops() - before
	for n := 1; n <= ops; n++ {
		for _, power := range []bool{false, true} {
			for seed := range uint64(4) {
				if !power && seed > 0 {
					continue
				}
				t.Run(fmt.Sprintf("operation %d, power failure %v, seed %d", n, power, seed), func(t *testing.T) {
					t.Parallel()
					d := stage(t)
					last := d.fs.Ops() + n
					d.fs.Inject(func(op spooltest.Op) error {
						if op.N >= last {
							return errPower
						}
						return nil
					})
					if _, err := d.run(); err == nil {
						t.Fatal("the run went on")
					}
					d.restart(power, seed)
					d.wantSomewhere()
					d.agent.Down = false
					d.agent.Restart()
					d.runs(10)
					d.wantReceived(true)
					d.wantOnlyCopies()
				})
			}
		}
	}
}

// restart is the next process, after a kill or a power failure.
func (d *depot) restart(power bool, seed uint64) {
	d.fs.Inject(nil)
	if power {
		d.fs = d.fs.Crash(seed)
	} else {
		d.fs = d.fs.Clone()
	}
	d.agent.FS = d.fs
}

// wantSomewhere fails unless every line that was not received lies in the spool or
// waits to be spooled again; one that the Agent counted before it arrived may
// have been brought to Delivered.
func (d *depot) wantSomewhere() {
	d.t.Helper()
	d.note()
	there, gone := d.lines(places.Spool, places.Late), d.lines(places.Delivered)
	for _, id := range d.ids {
		counted := d.agent.Ahead[id] && len(gone[id]) > 0
		if len(d.agent.Received[id]) == 0 && len(there[id]) == 0 && !counted && !d.agent.Lost[id] && !d.given[id] {
			d.t.Fatalf("%s is nowhere", id)
		}
	}
}

// wantOnlyCopies fails where a repetition cannot be told from a twin.
func (d *depot) wantOnlyCopies() {
	d.t.Helper()
	for id, all := range d.agent.Received {
		for _, s := range all[1:] {
			if s.Created != all[0].Created || s.Product != all[0].Product || s.Home != all[0].Home {
				d.t.Fatalf("%s came as %+v and as %+v", id, all[0], s)
			}
		}
	}
}

// TestDeliveryOfAnyLife lets a stream, the check and the Agent live through
// whatever may happen in any order.
func TestDeliveryOfAnyLife(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := newDepot(t)
		d.agent.Stuck = rapid.IntRange(1, 4).Draw(t, "payloads under way")
		// fair is true while nothing happens by which a line may be sent twice.
		fair := true
		age := rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour, 8 * time.Hour, 16*time.Hour + 50*time.Minute, 17*time.Hour + 1, 100 * time.Hour})
		span := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 3 * time.Minute, 11 * time.Minute, time.Hour, 6 * time.Hour, 26 * time.Hour})
		steps := map[string]func(*rapid.T){
			"write":  func(t *rapid.T) { d.write(rapid.SliceOfN(age, 1, 5).Draw(t, "ages")...) },
			"write ": func(t *rapid.T) { d.write(rapid.SliceOfN(age, 1, 5).Draw(t, "ages")...) },
			"run": func(*rapid.T) {
				if _, err := d.run(); err != nil {
					t.Fatal(err)
				}
			},
			"minutes": func(t *rapid.T) { d.runs(rapid.IntRange(1, 15).Draw(t, "minutes")) },
			"time":    func(t *rapid.T) { d.now = d.now.Add(span.Draw(t, "span")) },
			"the Agent works": func(*rapid.T) {
				if !d.agent.Down {
					d.agent.Work()
				}
			},
			"the Agent reads": func(t *rapid.T) {
				if d.agent.Down {
					return
				}
				d.agent.Scan()
				d.agent.Read(rapid.IntRange(1, 3).Draw(t, "lines"))
			},
			"a payload arrives, in whatever order": func(t *rapid.T) {
				if n := d.agent.InFlight(); n > 0 && !d.agent.Dark {
					i := rapid.IntRange(0, n-1).Draw(t, "payload")
					fair = fair && i == 0
					d.agent.Arrive(i, true)
				}
			},
			"an acknowledgement is lost": func(*rapid.T) {
				if d.agent.InFlight() > 0 && !d.agent.Dark {
					d.agent.Arrive(0, false)
					d.agent.Restart()
					fair = false
				}
			},
			"the registry is written": func(*rapid.T) { d.agent.Flush() },
			"the Agent restarts": func(*rapid.T) {
				fair = false
				d.agent.Restart()
			},
			"the Agent loses its registry": func(*rapid.T) {
				fair = false
				d.agent.LoseRegistry()
			},
			"the network comes and goes": func(*rapid.T) { d.agent.Dark = !d.agent.Dark },
			"the registry can be read or not": func(*rapid.T) {
				d.agent.Unreadable = !d.agent.Unreadable
			},
			"a crash": func(t *rapid.T) {
				fair = false
				last := d.fs.Ops() + rapid.IntRange(1, 60).Draw(t, "operations")
				d.fs.Inject(func(op spooltest.Op) error {
					if op.N >= last {
						return errPower
					}
					return nil
				})
				_, _ = d.run() // fails, or came to its end before
				d.restart(rapid.Bool().Draw(t, "power"), rapid.Uint64().Draw(t, "seed"))
			},
			"": func(*rapid.T) {
				d.wantSomewhere()
				fair = fair && d.did.TakenOut == 0
			},
		}
		t.Repeat(steps)

		d.agent.Dark, d.agent.Down, d.agent.Unreadable = false, false, false
		d.runs(20)
		d.wantReceived(!fair)
		d.wantOnlyCopies()
		if s := d.standing(); s.Bytes != 0 || s.TakenOut != 0 {
			t.Fatalf("still undelivered: %+v", s)
		}
		// What is bounded: after two days only what could still be written to is left.
		d.pass(25 * time.Hour)
		d.runs(13)
		d.pass(25 * time.Hour)
		d.runs(3)
		if files := append(append(d.in(places.Spool), d.in(places.Late)...), d.in(places.Delivered)...); len(files) > 1 {
			t.Fatalf("left are %v, %q is written to", files, d.file)
		}
	})
}
