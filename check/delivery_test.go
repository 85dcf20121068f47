package check

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/audit"
)

func TestWhatTheAgentDeliveredLeavesTheSpool(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		a := w.tailer()
		w.runWell(c)
		w.dated()
		before := w.files("spool", audit.Jira)
		a.ack()
		pass(25 * time.Hour)
		rec := w.runFor(c, 3*time.Minute)
		if got := w.files("spool", audit.Jira); len(got) > 0 {
			t.Errorf("in the spool is still %v", got)
		}
		gone := w.files("delivered", audit.Jira)
		if len(before) != 1 || len(gone) != 1 || filepath.Base(gone[0]) != filepath.Base(before[0]) {
			t.Errorf("delivered are %v, want %v", gone, before)
		}
		if n, ok := metric(rec, MetricUndeliveredBytes, audit.Jira); !ok || n != 0 {
			t.Errorf("undelivered.bytes is %v (%v)", n, ok)
		}
		w.server.AddBurst("jira", 3, time.Now())
		w.runWell(c)
		w.wantEverywhere()
		pass(24 * time.Hour)
		w.runWell(c)
		if got := w.files("delivered", audit.Jira); len(got) > 0 {
			t.Errorf("after a day there is still %v", got)
		}
		if len(w.files("spool", audit.Jira))+len(w.files("late", audit.Jira)) != 1 {
			t.Error("what is not delivered was removed")
		}
	})
}

func TestAFileOfWhichTheBatchIsNotRetiredIsNotMovedAway(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth, "products: [jira]")
		w.server.AddBurst("jira", 1, time.Now())
		w.runWell(c)
		w.dated()
		a := w.tailer()
		a.ack()
		// A run that is refused at once ends without retiring anything.
		bad := w.config("{type: api_token, email: x@example.com, api_token: no}", "products: [jira]")
		for range 30 {
			pass(time.Hour)
			w.runOnce(bad)
		}
		w.runFor(c, 3*time.Minute)
		ids := w.everywhere(audit.Jira)
		if once := slices.Compact(slices.Clone(ids)); len(once) != len(ids) || len(ids) != len(w.server.Records("jira")) {
			t.Errorf("%d lines, %d ids, %d records", len(ids), len(once), len(w.server.Records("jira")))
		}
	})
}

func TestWhatLiesUndeliveredIsSpooledAgainAsLate(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		a := w.tailer()
		a.write() // it reads other logs, and none of ours
		w.runWell(c)
		w.dated()
		pass(11 * time.Hour)
		w.runFor(c, time.Minute)
		if got := w.files("late", audit.Jira); len(got) > 0 {
			t.Fatalf("too early: %v", got)
		}
		pass(7 * time.Hour)
		late := 0.0
		told := false
		for range 6 {
			_, rec := w.runWell(c)
			w.dated()
			n, _ := metric(rec, MetricLate, audit.Jira)
			late += n
			told = told || slices.ContainsFunc(rec.Logs, func(l LogLine) bool { return strings.Contains(l.Message, "spooled again") })
			pass(time.Minute)
		}
		records := len(w.server.Records("jira"))
		if late == 0 || !told {
			t.Errorf("late were %v of %d, and that was told: %v", late, records, told)
		}
		w.wantSpooled(both...)
		for _, path := range w.files("spool", audit.Jira) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				if s, _ := audit.ReadLine([]byte(line)); s.TooOld(time.Now().Add(-time.Hour).UnixMilli()) {
					t.Errorf("Datadog would refuse %s", line)
				}
			}
		}
		a.ack()
		w.server.AddBurst("jira", 2, time.Now())
		w.runFor(c, 15*time.Minute)
		a.ack()
		w.runFor(c, 15*time.Minute)
		w.wantEverywhere()
	})
}

func TestUndeliveredIsTold(t *testing.T) {
	t.Parallel()
	warned := func(rec Recorded) string {
		for _, text := range rec.Warnings {
			if strings.HasSuffix(text, "("+CodeUndelivered+")") && strings.HasPrefix(text, "jira of ") {
				return text
			}
		}
		return ""
	}
	for name, row := range map[string]struct {
		agent    bool // an Agent asks
		registry bool
		want     string
	}{
		"where the Agent acknowledges nothing":    {true, true, "bytes lie in the spool undelivered, the oldest since"},
		"where its registry is not found":         {true, false, "it is not known whether the Agent has delivered them"},
		"by hand, where there is no Agent at all": {false, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				if row.agent {
					w.options.Agent = AgentInfo{Version: "7.77.0", RunPath: w.run}
				}
				if row.registry {
					w.tailer().write()
				}
				c := w.config(classicAuth)
				w.runWell(c)
				w.dated()
				pass(59 * time.Minute)
				if _, rec := w.runWell(c); warned(rec) != "" {
					t.Errorf("too early: %s", warned(rec))
				}
				pass(2 * time.Minute)
				_, rec := w.runWell(c)
				if got := warned(rec); (got == "") != (row.want == "") || !strings.Contains(got, row.want) {
					t.Errorf("it warned %q", got)
				}
				age, ok := metric(rec, MetricUndeliveredAge, audit.Jira)
				if ok != row.registry || ok && age != (61*time.Minute).Seconds() {
					t.Errorf("undelivered.age is %v (%v)", age, ok)
				}
				for _, then := range []struct {
					after time.Duration
					known string // is_current where it is known what is undelivered
				}{{0, "WARNING"}, {11*time.Hour - 2*time.Minute, "WARNING"}, {2 * time.Minute, "CRITICAL"}} {
					if pass(then.after); then.after > 0 {
						_, rec = w.runWell(c)
					}
					want := "is_current jira OK"
					if row.registry {
						want = "is_current jira " + then.known
					}
					if short, messages := states(rec); !slices.Contains(short, want) {
						t.Errorf("after %s more: %v, want %s: %s", then.after, short, want, messages["is_current jira"])
					}
				}
			})
		})
	}
}

func TestAFileThatIsGivenUpIsTold(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth, "products: [jira]")
		a := w.tailer()
		w.runWell(c)
		w.dated()
		path := w.files("spool", audit.Jira)[0]
		a.ack()
		pass(20 * time.Hour)
		w.runFor(c, 5*time.Minute)
		w.server.AddBurst("jira", 1, time.Now())
		w.runWell(c)
		w.dated()
		a.ack(path) // the last line is excluded
		events := 0
		for range 60 {
			pass(time.Hour)
			w.server.AddBurst("jira", 1, time.Now())
			_, rec := w.runWell(c)
			w.dated()
			// So it is in the file in which it is spooled again as late.
			a.ack(append(w.filesWith("spool", `"late":true`), path)...)
			for _, e := range rec.Events {
				if strings.Contains(e.Text, ".givenup-") {
					events++
				}
			}
		}
		w.runWell(c)
		_, rec := w.runWell(c)
		if events != 1 || !slices.ContainsFunc(rec.Warnings, func(s string) bool { return strings.Contains(s, ".givenup-") }) {
			t.Errorf("%d events, the warnings %v, in the folder %v", events, rec.Warnings, w.files("delivered", audit.Jira))
		}
	})
}

func TestFilesThatNobodySeesToAreSeenTo(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		a := w.tailer()
		jira := w.config(classicAuth, "products: [jira]")
		w.runWell(w.config(classicAuth, "products: [confluence]"))
		w.dated()
		a.ack()
		state := filepath.Join(agent.StateDir(agent.Base(w.run)), "example.atlassian.net", "confluence.db")
		w.runWell(jira)
		if len(w.files("spool", audit.Confluence)) != 1 {
			t.Fatal("what another instance may collect was touched")
		}
		if err := os.Chtimes(state, time.Now(), time.Now()); err != nil {
			t.Fatal(err)
		}
		pass(26 * time.Hour)
		w.runWell(jira)
		if in, out := w.files("spool", audit.Confluence), w.files("delivered", audit.Confluence); len(in) != 0 || len(out) != 1 {
			t.Errorf("in the spool %v, delivered %v", in, out)
		}
	})
}

func TestLinesThatNobodySeesToAreNotGivenUpInSilence(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		a := w.tailer()
		jira := w.config(classicAuth, "products: [jira]")
		w.runWell(w.config(classicAuth, "products: [confluence]"))
		w.dated()
		state := filepath.Join(agent.StateDir(agent.Base(w.run)), "example.atlassian.net", "confluence.db")
		if err := os.Chtimes(state, time.Now(), time.Now()); err != nil {
			t.Fatal(err)
		}
		// Another instance's file in the same folder, which the Agent reads on and on.
		other := filepath.Join(filepath.Dir(w.files("spool", audit.Confluence)[0]), "20000101T000000.000Z-0000000000000001.jsonl")
		line := `{"atlassian":{"site":"other.atlassian.net","cloud_id":"1","product":"confluence","record_id":"1:confluence:1"}}` + "\n"
		if err := os.WriteFile(other, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		var events, warnings []string
		for range 70 {
			pass(time.Hour)
			if err := os.Chtimes(other, time.Now(), time.Now()); err != nil { // that instance is at work
				t.Fatal(err)
			}
			a.reg.Files[other] = agent.RegistryEntry{Offset: int64(len(line)), LastUpdated: time.Now(), IngestionTimestamp: time.Now().UnixNano()}
			a.write()
			_, rec := w.runWell(jira)
			w.dated()
			for _, e := range rec.Events {
				if !slices.Contains(e.Tags, "site:example.atlassian.net") || !slices.Contains(e.Tags, "product:confluence") {
					t.Errorf("the event has the tags %q", e.Tags)
				}
				events = append(events, e.Text)
			}
			warnings = append(warnings, slices.DeleteFunc(rec.Warnings, func(s string) bool { return !strings.Contains(s, ".givenup-") })...)
		}
		gone := slices.DeleteFunc(w.files("delivered", audit.Confluence), func(p string) bool { return !strings.Contains(p, ".givenup-") })
		if len(events) != 1 || !slices.Equal(events, warnings) || !strings.Contains(events[0], "confluence of example.atlassian.net, which no instance collects any more") {
			t.Errorf("events %q, warnings %q, given up %q", events, warnings, gone)
		}
	})
}

// TestWhoSendsIsNamed: where `run` sends, nobody is told to look at an Agent.
func TestWhoSendsIsNamed(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth, "products: [jira]")
		c.SpoolMaxSize = 1 // full after the first run
		own := filepath.Join(agent.Base(w.run), "run")
		for _, row := range []struct{ logs, want, status string }{
			{w.run, "see in `datadog-agent status` that the Agent delivers its logs, or raise", "see in `datadog-agent status` that the Agent runs it"},
			{own, "see in what `atlassian-audit-records run` logs why they are not sent, or raise", "see in what `atlassian-audit-records run` logs why"},
		} {
			w.options.Agent = AgentInfo{Version: "7.77.0", RunPath: w.run, LogsRunPath: row.logs}
			w.runWell(c)
			_, rec := w.runWell(c)
			if len(rec.Warnings) == 0 || !strings.Contains(rec.Warnings[0], row.want) {
				t.Errorf("warnings %q", rec.Warnings)
			}
			// A pause is something to act on, and status says so.
			for span, want := range map[time.Duration]string{0: row.want, 48 * time.Hour: row.status} {
				s, err := StatusOf(Instance{Config: c}, time.Now().Add(span))
				if err != nil {
					t.Fatal(err)
				}
				if !s.MustAct() || !strings.Contains(strings.Join(s.Products[0].Act, " "), want) {
					t.Errorf("%s later there is to do %q", span, s.Products[0].Act)
				}
			}
		}
	})
}

func TestTheRegistryIsFound(t *testing.T) {
	t.Parallel()
	own := filepath.Join("/own", agent.RegistryName)
	for name, row := range map[string]struct {
		agent AgentInfo
		last  *LastRun
		want  string
	}{
		"by the Agent's path for logs":               {AgentInfo{RunPath: "/run", LogsRunPath: "/logs"}, &LastRun{Registry: own}, filepath.Join("/logs", agent.RegistryName)},
		"by its run path":                            {AgentInfo{RunPath: "/run"}, &LastRun{Registry: own}, filepath.Join("/run", agent.RegistryName)},
		"by what the last run knew, where none asks": {AgentInfo{}, &LastRun{Registry: own}, own},
		"else in our own run path":                   {AgentInfo{}, nil, filepath.Join("/conf", agent.RegistryName)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := registryPath(row.agent, "/conf", row.last); got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
		})
	}
}

func TestStatusTellsWhatIsUndelivered(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		logs := filepath.Join(t.TempDir(), "logs")
		if err := os.Mkdir(logs, 0o700); err != nil {
			t.Fatal(err)
		}
		w.options.Agent = AgentInfo{Version: "7.77.0", RunPath: w.run, LogsRunPath: logs}
		c := w.config(classicAuth, "products: [jira]")
		a := w.tailer()
		a.dir = logs
		w.runWell(c)
		w.dated()
		status := func() *Undelivered {
			s, err := StatusOf(Instance{Config: c}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return s.Products[0].Undelivered
		}
		if got := status(); got != nil {
			t.Errorf("without a registry it is known: %+v", got)
		}
		a.ack()
		if diff := cmp.Diff(&Undelivered{}, status()); diff != "" {
			t.Error(diff)
		}
		at := time.Now()
		w.server.AddBurst("jira", 1, at)
		pass(time.Minute)
		w.runWell(c)
		w.dated()
		pass(time.Hour)
		got := status()
		if got == nil || got.Bytes == 0 || got.AgeSeconds != 3600 || got.DeliveredTo == nil || got.DeliveredTo.Before(at.Add(-time.Second)) {
			text, _ := json.Marshal(got)
			t.Errorf("undelivered is %s", text)
		}
	})
}
