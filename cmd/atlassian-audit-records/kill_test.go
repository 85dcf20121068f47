package main

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/agent/agenttest"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// TestProcessesKilledAtRandomMoments kills real processes, one after the other,
// anywhere between their start and their end, while records arrive. In the end
// the bytes of each record are in the spool once.
func TestProcessesKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.server.Fill(6000, 8*time.Hour)
	for _, p := range demoProducts {
		s.server.UpdateQuirks(p, func(q *atlassiantest.Quirks) { q.MaxPage = 200 })
	}
	random := rand.New(rand.NewPCG(20, 26))
	// A run is killed at any moment of the time that the last whole one took.
	killed, whole := 0, 300*time.Millisecond
	for round := 0; killed < 12 && round < 100; round++ {
		for _, p := range demoProducts {
			s.server.AddBurst(p, 1+round%5, time.Now())
			s.server.AddTwins(p, 2, time.Now().Add(-time.Minute))
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0], "collect")
		cmd.Env = append(os.Environ(), asProgram+"=1")
		cmd.Stdin = strings.NewReader(s.request())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		moment := time.AfterFunc(time.Duration(random.Int64N(int64(whole))), func() {
			_ = cmd.Process.Kill() // it may have ended meanwhile
		})
		if cmd.Wait() != nil {
			killed++
		} else {
			whole = time.Since(began)
		}
		moment.Stop()
	}
	if killed < 12 {
		t.Errorf("only %d processes were killed", killed)
	}
	for range 3 {
		if got := start(t, s.request(), "collect"); got.Status != 0 {
			t.Fatalf("a run that nobody kills: %+v", got)
		}
	}
	d := &demo{site: s.server, base: filepath.Join(s.run, "atlassian_audit_records")}
	spooled, err := d.spooled()
	if err != nil {
		t.Fatal(err)
	}
	var logs []agenttest.Log // as if all had been sent
	for p, lines := range spooled {
		for _, line := range lines {
			logs = append(logs, agenttest.Log{Message: string(line[:len(line)-1]), Source: p + "-audit-records", Received: time.Now()})
		}
	}
	c, err := d.compare(spooled, logs)
	if err != nil {
		t.Fatal(err)
	}
	if !c.good() {
		t.Errorf("after %d kills: %+v", killed, c)
	}
}
