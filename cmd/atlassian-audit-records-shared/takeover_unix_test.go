//go:build unix

package main

import (
	"syscall"
	"testing"
	"time"
)

// established is two machines, of which the first has collected, delivered and shared
// what was there, and has records undelivered.
func established(t *testing.T, f *fleet, a, b *machine) {
	t.Helper()
	a.works()
	if r := b.start().end(); !r.standby() || r.Error != "" || r.Requests != 0 || !r.says(a.name) {
		t.Fatalf("the second machine does not stand by: %+v", r)
	}
	a.deliver()
	a.works()
}

// caught is a run of a's that is sent the signal while it is asking Atlassian.
func caught(f *fleet, a *machine, sig syscall.Signal) *process {
	asked, sent := make(chan struct{}), make(chan struct{})
	f.atRequest(func() { close(asked); <-sent })
	p := a.start()
	<-asked
	p.signal(sig)
	close(sent)
	return p
}

// TestTheHolderIsKilled in the midst of a run, and never comes back.
func TestTheHolderIsKilled(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	holderIsKilled(t, f, f.machine("web-1", f.etcd.URL("p")), f.machine("web-2", f.etcd.URL("p")))
}

func holderIsKilled(t *testing.T, f *fleet, a, b *machine) {
	t.Helper()
	established(t, f, a, b)
	f.more(10)
	a.works() // undelivered for ever
	f.more(10)
	_ = caught(f, a, syscall.SIGKILL).cmd.Wait() // it was killed
	b.until("it takes over", collects)
	b.deliver()
	f.more(5)
	b.works()
	b.deliver()
	f.wantOnce()
}

// TestTheHolderIsPaused past its lease, while it is asking Atlassian, and goes on when
// another one has taken over.
func TestTheHolderIsPaused(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	holderIsPaused(t, f, f.machine("web-1", f.etcd.URL("p")), f.machine("web-2", f.etcd.URL("p")))
}

func holderIsPaused(t *testing.T, f *fleet, a, b *machine) {
	t.Helper()
	established(t, f, a, b)
	f.more(10)
	p := caught(f, a, syscall.SIGSTOP)
	b.until("it takes over", collects)
	b.deliver()
	b.works()
	p.signal(syscall.SIGCONT)
	if r := p.end(); !r.says("lease ended while the run was under way") || r.Records != 0 {
		t.Errorf("the run that was paused: %+v", r)
	}
	a.rest(func(id string) { t.Errorf("it wrote %s", id) })
	f.more(5)
	if r := a.start().end(); r.standby() != true {
		t.Errorf("its next run: %+v", r)
	}
	b.works()
	b.deliver()
	f.wantOnce()
}

// TestTheHolderIsCutOff from etcd: it goes on to its lease's end, stops, says so, and
// stands by when it is back.
func TestTheHolderIsCutOff(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	way := newProxies(t, f.etcd.Endpoints())
	a, b := f.machine("web-1", way.url("p")), f.machine("web-2", f.etcd.URL("p"))
	established(t, f, a, b)
	way.cut(true)
	f.more(3)
	r := a.until("it stops at its lease's end", func(r told) bool {
		if r.Error == "" && !r.says("collection goes on until") {
			t.Fatalf("it does not say that it is cut off: %+v", r)
		}
		return r.Error != ""
	})
	if !r.says("nothing is collected since this machine's lease ended at") || r.Requests != 0 {
		t.Errorf("it stopped with %+v", r)
	}
	// What it collected meanwhile, if there was time, it may deliver: a repetition that
	// nobody can avoid. Here it does not.
	b.until("it takes over", collects)
	b.deliver()
	b.works()
	way.cut(false)
	if r := a.until("it is back", func(r told) bool { return r.Error == "" }); !r.standby() || !r.says("web-2") {
		t.Errorf("when it is back: %+v", r)
	}
	f.wantOnce()
}

// TestANodeOfEtcdIsKilled, the one that leads: nobody notices.
func TestANodeOfEtcdIsKilled(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a, b := f.machine("web-1", f.etcd.URL("p")), f.machine("web-2", f.etcd.URL("p"))
	established(t, f, a, b)
	f.etcd.Stop(f.etcd.Leader())
	f.more(5)
	a.until("it collects", func(r told) bool { return collects(r) && r.Records == 5 })
	a.deliver()
	a.until("it shares", collects)
	b.until("it stands by, or takes over", func(r told) bool { return r.Error == "" })
	b.until("it takes over", collects)
	b.deliver()
	f.wantOnce()
}

// TestEtcdIsAway for longer than a lease: collecting stops on all machines and resumes
// by itself.
func TestEtcdIsAway(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a, b := f.machine("web-1", f.etcd.URL("p")), f.machine("web-2", f.etcd.URL("p"))
	established(t, f, a, b)
	for i := range 3 {
		f.etcd.Stop(i)
	}
	f.more(5)
	a.until("it stops at its lease's end", func(r told) bool { return r.says("nothing is collected since this machine's lease ended at") })
	before := len(f.site.Requests())
	for range 2 {
		if r := a.start().end(); r.Error == "" || r.Requests != 0 {
			t.Errorf("the machine that collected: %+v", r)
		}
		if r := b.start().end(); !r.says("it is not known which machine does") || r.Requests != 0 {
			t.Errorf("the machine that stood by: %+v", r)
		}
	}
	if n := len(f.site.Requests()) - before; n != 0 {
		t.Errorf("Atlassian was asked %d times", n)
	}
	a.deliver()
	f.etcd.Start()
	began := time.Now()
	a.until("it resumes", func(r told) bool { return collects(r) })
	t.Logf("it resumed %s after etcd was back", time.Since(began).Round(time.Millisecond))
	a.deliver()
	a.works()
	f.wantOnce()
}
