package check

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/shared"
)

func TestOneMachineCollectsAndTheOthersStandBy(t *testing.T) {
	t.Parallel()
	inPair(t, func(t *testing.T, f *fleet, a, b *box) {
		a.works()
		since := time.Now().UTC().Format(time.RFC3339)
		a.requests()
		rec := b.works()
		if n := len(b.requests()); n > 0 {
			t.Errorf("the machine that stands by sent %d requests", n)
		}
		short, messages := b.statesOf(rec)
		want := "can_connect jira OK, is_current jira OK, can_connect confluence OK, is_current confluence OK"
		if text := messages["can_connect jira"]; short != want || !strings.Contains(text, "standby: web-1 has held the lease since "+since) || messages["is_current jira"] != text {
			t.Errorf("it said %s: %v", short, messages)
		}
		if _, ok := metric(rec, MetricLag, audit.Jira); ok || len(rec.Warnings) > 0 {
			t.Errorf("it sent a lag, or warned: %v", rec.Warnings)
		}
		a.shares()
		b.works()
		f.wantDelivered()
		if n := len(b.files("spool", audit.Jira)); n > 0 {
			t.Errorf("it has %d spool files", n)
		}
	})
}

func TestASuccessorRepeatsAtMostWhatWasUndelivered(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		undelivered, returns bool
	}{
		"everything was delivered, and the old machine never comes back": {},
		"some was not, and the old machine never comes back":             {undelivered: true},
		"some was not, and the old machine comes back and delivers it":   {undelivered: true, returns: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inPair(t, func(t *testing.T, f *fleet, a, b *box) {
				a.works()
				a.shares()
				f.more(20)
				pass(time.Minute)
				a.works()
				var left []string
				if tt.undelivered {
					left = a.undelivered()
					if len(left) == 0 {
						t.Fatal("nothing is undelivered")
					}
					for range 3 { // runs that could share it
						pass(time.Minute)
						a.works()
					}
				} else {
					a.shares()
				}
				b.works() // still standing by
				f.more(5)
				a.outlast()
				if rec := b.works(); len(rec.Warnings) > 0 {
					t.Errorf("the successor warned: %v", rec.Warnings)
				}
				b.shares()
				if tt.returns {
					a.deliver()
					for range 3 {
						pass(time.Minute)
						b.works()
						a.works()
					}
				}
				f.more(3)
				pass(time.Minute)
				b.works()
				b.deliver()
				f.wantDelivered(left...)
				if tt.returns {
					if short, messages := a.statesOf(a.works()); !strings.Contains(messages["can_connect jira"], "web-2") {
						t.Errorf("the old machine says %s: %v", short, messages)
					}
				}
			})
		})
	}
}

// TestTheLeaseGoesToAndFro: whoever takes over goes on from what the other one
// shared, and not from what it remembers itself.
func TestTheLeaseGoesToAndFro(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		boxes := []*box{f.box("web-1"), f.box("web-2"), f.box("web-3")}
		for round := range 12 {
			b := boxes[round%3]
			for range 3 {
				f.more(7)
				pass(time.Minute)
				b.works()
				b.shares()
			}
			pass(10 * time.Minute)
		}
		boxes[0].works()
		boxes[0].deliver()
		f.wantDelivered()
	})
}

// TestAMachineThatWasPausedWritesNothing: it stands still while it is asking
// Atlassian, and wakes up when another one has taken over.
func TestAMachineThatWasPausedWritesNothing(t *testing.T) {
	t.Parallel()
	inPair(t, func(t *testing.T, f *fleet, a, b *box) {
		a.works()
		a.shares()
		f.more(20)
		pass(time.Minute)
		paused := false
		transport := f.w.server.Transport()
		c := a.sharedConfig(classicAuth)
		before := len(a.everywhere(audit.Jira))
		var head []byte
		a.options.Transport = &pausing{transport, func() {
			if paused {
				return
			}
			paused = true
			pass(LeaseTime(c) + time.Second)
			b.works()
			b.shares()
			head = f.store.Value("sites/example.atlassian.net/jira/head")
		}}
		res, _ := a.runOnce(c)
		if !strings.Contains(res.Error, "lease ended") || !strings.Contains(res.Error, "(shared_state)") {
			t.Errorf("the machine that was paused said %q", res.Error)
		}
		if n := len(a.everywhere(audit.Jira)); n != before {
			t.Errorf("it wrote %d lines", n-before)
		}
		if got := f.store.Value("sites/example.atlassian.net/jira/head"); string(got) != string(head) {
			t.Error("it changed what is shared")
		}
		a.options.Transport = f.w.options.Transport
		pass(time.Minute)
		a.works()
		a.deliver()
		f.wantDelivered()
	})
}

// TestARunThatWasPausedCommitsNothing: it had its answer, and the time for the run is
// not over, but its lease is.
func TestARunThatWasPausedCommitsNothing(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		a := f.box("web-1")
		a.options.Lease = 10 * time.Second
		a.works()
		f.more(20)
		before := len(a.everywhere(audit.Jira))
		paused := false
		a.options.Transport = &pausing{f.w.server.Transport(), func() {
			if !paused {
				paused = true
				pass(11 * time.Second)
			}
		}}
		res, _ := a.runOnce(a.sharedConfig(classicAuth))
		if !strings.Contains(res.Error, "jira of example.atlassian.net: this machine's lease ended while the run was under way") {
			t.Errorf("it says %q", res.Error)
		}
		if n := len(a.everywhere(audit.Jira)); n != before {
			t.Errorf("it wrote %d lines", n-before)
		}
	})
}

// pausing is a transport behind whose answers the process stands still.
type pausing struct {
	next  http.RoundTripper
	pause func()
}

func (p *pausing) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := p.next.RoundTrip(r)
	p.pause()
	return resp, err
}

// TestTheStoreAway: collection goes on until the lease's end, stops, says so, and
// resumes by itself. What was delivered meanwhile is shared then.
func TestTheStoreAway(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		a := f.box("web-1")
		a.works()
		a.shares()
		a.client.Cut(true)
		f.more(5)
		pass(time.Minute)
		rec := a.works()
		if text := strings.Join(rec.Warnings, "\n"); !strings.Contains(text, "cannot be reached; collection goes on until") {
			t.Errorf("while the lease lasts it says %q", text)
		}
		a.deliver()
		if n := len(a.undelivered()); n != 0 {
			t.Fatal("it did not collect")
		}
		pass(3 * time.Minute)
		f.more(5)
		for range 60 {
			pass(time.Minute)
			res, rec := a.runOnce(a.sharedConfig(classicAuth))
			if !strings.Contains(res.Error, "nothing is collected since this machine's lease ended at") {
				t.Fatalf("it says %q", res.Error)
			}
			short, _ := a.statesOf(rec)
			if !strings.Contains(short, "can_connect jira UNKNOWN") {
				t.Fatalf("its service checks are %s", short)
			}
		}
		if n := len(a.undelivered()); n != 0 {
			t.Errorf("it collected %d records without a lease", n)
		}
		a.client.Cut(false)
		pass(time.Minute)
		a.works()
		a.deliver()
		f.wantDelivered()
	})
}

// TestADeathBetweenSharingAndNotingIt costs nothing.
func TestADeathBetweenSharingAndNotingIt(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		a := f.box("web-1")
		a.works()
		a.deliver()
		f.more(10)
		pass(time.Minute)
		// The write is done, and no answer comes.
		a.opens(deaf{a.client})
		rec := a.works()
		if text := strings.Join(rec.Warnings, "\n"); !strings.Contains(text, "could not share what was delivered") {
			t.Errorf("it says %q", text)
		}
		a.opens(a.client)
		for range 3 {
			a.shares()
		}
		f.wantDelivered()
	})
}

// deaf is a store whose answers to writes are lost.
type deaf struct{ shared.Backend }

func (d deaf) Write(ctx context.Context, g shared.Grant, w shared.Write) error {
	if err := d.Backend.Write(ctx, g, w); err != nil {
		return err
	}
	return &shared.Error{Kind: shared.Unavailable, What: "no answer came"}
}

// slow is a store whose writes are under way for longer than anybody waits.
type slow struct {
	shared.Backend
	under func(write func())
}

func (s slow) Write(_ context.Context, g shared.Grant, w shared.Write) error {
	// Where it is refused, nobody hears of it.
	s.under(func() { _ = s.Backend.Write(context.Background(), g, w) })
	return &shared.Error{Kind: shared.Unavailable, What: "no answer came"}
}

// TestAWriteThatArrivesLate neither sets back what is shared nor makes anybody
// read again, wherever in the life of a machine it was sent, and whenever it arrives.
func TestAWriteThatArrivesLate(t *testing.T) {
	t.Parallel()
	for name, runs := range map[string]int{"of the beginning": 0, "of the beginning of sharing": -1, "of what was delivered": 2} {
		for arrives := range 8 {
			when := fmt.Sprintf("%s, after %d runs more", name, arrives/2)
			midst := arrives%2 == 1
			if midst {
				when += " and before the next one writes"
			}
			t.Run(when, func(t *testing.T) {
				t.Parallel()
				inPair(t, func(t *testing.T, f *fleet, a, b *box) {
					for range runs {
						f.more(10)
						a.shares()
					}
					if runs < 0 {
						a.runWell(a.config(classicAuth))
					} else {
						a.deliver()
					}
					var under []func()
					a.opens(slow{f.store.Client(), func(write func()) { under = append(under, write) }})
					f.more(10)
					pass(time.Minute)
					a.runOnce(a.sharedConfig(classicAuth))
					if len(under) == 0 {
						t.Fatal("nothing was written")
					}
					arrive := func() {
						for _, write := range under {
							write()
						}
						under = nil
					}
					for i := range 4 {
						next := f.store.Client()
						a.opens(next)
						switch {
						case i == arrives/2 && midst:
							next.Before(func(operation string) {
								if operation == "write" {
									arrive()
								}
							})
						case i == arrives/2:
							arrive()
						}
						f.more(10)
						a.runOnce(a.sharedConfig(classicAuth))
						a.deliver()
						pass(time.Minute)
					}
					for range 2 {
						a.shares()
					}
					pass(time.Hour)
					b.works()
					b.deliver()
					f.wantDelivered()
				})
			})
		}
	}
}

// TestAnInstallationThatBeginsToShare keeps what it has: another machine goes on from
// there.
func TestAnInstallationThatBeginsToShare(t *testing.T) {
	t.Parallel()
	for name, deliver := range map[string]bool{"when all is delivered": true, "while some is not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inPair(t, func(t *testing.T, f *fleet, a, b *box) {
				a.runWell(a.config(classicAuth)) // alone
				a.dated()
				if deliver {
					a.deliver()
				}
				pass(time.Hour)
				f.more(10)
				a.works()
				left := a.undelivered()
				a.outlast()
				b.works()
				b.deliver()
				if !deliver {
					// What the old machine's Agent delivers later was undelivered then.
					f.wantDelivered()
					return
				}
				a.deliver()
				f.wantDelivered(left...)
			})
		})
	}
}

// TestAnInstallationThatBeginsToShareOldLines: what has lain undelivered for days is
// read again by whoever takes over, though this machine will never read it again.
func TestAnInstallationThatBeginsToShareOldLines(t *testing.T) {
	t.Parallel()
	inPair(t, func(t *testing.T, f *fleet, a, b *box) {
		alone := a.config(classicAuth)
		for range 10 { // five days
			a.runWell(alone)
			pass(12 * time.Hour)
			f.more(1)
		}
		a.runWell(alone)
		a.works()
		a.outlast()
		b.works()
		b.deliver()
		f.wantDelivered()
	})
}

// TestAnInstallationThatEndsSharing goes on alone from where it is.
func TestAnInstallationThatEndsSharing(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		a := f.box("web-1")
		a.works()
		f.more(10)
		pass(time.Minute)
		a.runWell(a.config(classicAuth))
		a.deliver()
		f.wantDelivered()
	})
}

// TestALostStateIsTakenFromWhatIsShared: nothing is lost, and nothing repeated but what
// was undelivered.
func TestALostStateIsTakenFromWhatIsShared(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		a := f.box("web-1")
		a.works()
		a.shares()
		f.more(10)
		pass(time.Minute)
		a.works()
		left := a.undelivered()
		a.deliver()
		if err := os.RemoveAll(foldersOf(a.run, "example.atlassian.net").stateDir()); err != nil {
			t.Fatal(err)
		}
		a.outlast()
		a.works()
		a.deliver()
		f.wantDelivered(left...)
	})
}

// TestNothingIsLostWhereTheFirstRunNeverDelivers: from where on records are wanted is
// shared before the first one is collected.
func TestNothingIsLostWhereTheFirstRunNeverDelivers(t *testing.T) {
	t.Parallel()
	inPair(t, func(t *testing.T, f *fleet, a, b *box) {
		a.works()
		pass(23 * time.Hour) // beyond the initial look-back of whoever comes
		b.works()
		b.deliver()
		f.wantDelivered()
	})
}

// TestAWaitIsShared: a successor leaves Atlassian alone as well.
func TestAWaitIsShared(t *testing.T) {
	t.Parallel()
	inPair(t, func(t *testing.T, f *fleet, a, b *box) {
		a.works()
		pass(time.Minute)
		f.w.server.Fault(atlassiantest.Fault{Times: 1, Product: "jira", Action: atlassiantest.RateLimit(time.Hour, atlassiantest.RetrySeconds)})
		a.works()
		a.outlast()
		b.requests()
		b.works()
		for _, r := range b.requests() {
			if r.Product == "jira" {
				t.Errorf("Atlassian was asked: %s", r.Kind)
			}
		}
	})
}

func TestDamageInTheStoreStopsCollecting(t *testing.T) {
	t.Parallel()
	inPair(t, func(t *testing.T, f *fleet, a, b *box) {
		a.works()
		a.shares()
		f.store.Put("sites/example.atlassian.net/jira/head", []byte("garbage"))
		a.outlast()
		res, _ := b.runOnce(b.sharedConfig(classicAuth))
		if !strings.Contains(res.Error, "jira of example.atlassian.net: the shared position sites/example.atlassian.net/jira/head is damaged") {
			t.Errorf("it says %q", res.Error)
		}
		if n := len(b.spooled(audit.Confluence)); n == 0 {
			t.Log("Confluence had nothing new") // all of it was delivered by the other machine
		}
	})
}
