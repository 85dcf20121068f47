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

// tailer is an Agent that acknowledges what it is told to, in the registry of
// the run path.
type tailer struct {
	w   *world
	reg agent.Registry
	dir string
}

func (w *world) tailer() *tailer {
	return &tailer{w: w, reg: agent.Registry{Files: map[string]agent.RegistryEntry{}}, dir: w.run}
}

// files are the spool files of a product in one of the folders.
func (w *world) files(folder string, p audit.Product) []string {
	w.t.Helper()
	paths, err := filepath.Glob(filepath.Join(agent.Base(w.run), folder, p.LogSource(), "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	return paths
}

// ack acknowledges everything in the spool but some files, and writes the registry.
func (a *tailer) ack(but ...string) {
	a.w.t.Helper()
	for _, p := range append(slices.Clone(both), audit.Organization) {
		for _, path := range a.w.files("spool", p) {
			if slices.Contains(but, path) {
				continue
			}
			info, err := os.Stat(path)
			if err != nil {
				a.w.t.Fatal(err)
			}
			if a.reg.Files[path].Offset != info.Size() {
				a.reg.Files[path] = agent.RegistryEntry{Offset: info.Size(), LastUpdated: time.Now(), IngestionTimestamp: time.Now().UnixNano()}
			}
		}
	}
	a.write()
}

// write writes the registry as it is.
func (a *tailer) write() {
	a.w.t.Helper()
	if err := agent.WriteRegistry(filepath.Join(a.dir, agent.RegistryName), a.reg); err != nil {
		a.w.t.Fatal(err)
	}
}

// filesWith are the files of Jira's in which a text stands.
func (w *world) filesWith(folder, part string) []string {
	w.t.Helper()
	return slices.DeleteFunc(w.files(folder, audit.Jira), func(path string) bool {
		text, err := os.ReadFile(path)
		return err != nil || !strings.Contains(string(text), part)
	})
}

// dated gives the spool files the time of the bubble, in which they were written.
func (w *world) dated() {
	w.t.Helper()
	for _, p := range both {
		for _, path := range w.files("spool", p) {
			if info, err := os.Stat(path); err == nil && info.ModTime().After(time.Now()) {
				if err := os.Chtimes(path, time.Now(), time.Now()); err != nil {
					w.t.Fatal(err)
				}
			}
		}
	}
}

// runFor is a run each minute, each of which must end well, until span is over.
func (w *world) runFor(c *Config, span time.Duration) (rec Recorded) {
	w.t.Helper()
	for end := time.Now().Add(span); time.Now().Before(end); pass(time.Minute) {
		_, rec = w.runWell(c)
		w.dated()
	}
	return rec
}

// everywhere are the record ids in all folders of a product, sorted.
func (w *world) everywhere(p audit.Product) []string {
	w.t.Helper()
	ids := []string{}
	for _, folder := range []string{"spool", "late", "delivered"} {
		for _, path := range w.files(folder, p) {
			text, err := os.ReadFile(path)
			if err != nil {
				w.t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				s, ok := audit.ReadLine([]byte(line))
				if !ok {
					w.t.Fatalf("%s holds %q", path, line)
				}
				ids = append(ids, s.RecordID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

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

// wantEverywhere fails unless every record lies somewhere, once.
func (w *world) wantEverywhere() {
	w.t.Helper()
	for _, p := range both {
		ids := w.everywhere(p)
		if once := slices.Compact(slices.Clone(ids)); len(once) != len(ids) || len(ids) != len(w.server.Records(string(p))) {
			w.t.Errorf("%s: %d lines, %d record ids, %d records at Atlassian", p, len(ids), len(once), len(w.server.Records(string(p))))
		}
	}
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

func TestDeliveredFilesMakeRoom(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		a := w.tailer()
		w.runWell(c)
		w.dated()
		a.ack()
		pass(25 * time.Hour)
		w.runFor(c, 2*time.Minute)
		if len(w.files("delivered", audit.Jira)) != 1 {
			t.Fatal("nothing is delivered")
		}
		c.SpoolMaxSize = 1 << 10
		w.server.AddBurst("jira", 2, time.Now())
		_, rec := w.runWell(c)
		if len(w.files("delivered", audit.Jira)) != 0 || len(rec.Warnings) > 1 {
			t.Errorf("warnings %v", rec.Warnings)
		}
	})
}

func TestTheSpoolIsFullInTheMidstOfARun(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.server.Fill(3000, 20*time.Hour)
		w.options.PageSize = 50
		c := w.config(classicAuth)
		c.SpoolMaxSize = 300 << 10
		a := w.tailer()
		paused := 0
		for range 200 {
			_, rec := w.runWell(c)
			w.dated()
			if slices.ContainsFunc(rec.Warnings, func(s string) bool { return strings.HasPrefix(s, "collection is paused: the spool in ") }) {
				paused++
			}
			var size int64
			for _, p := range both {
				for _, path := range w.files("spool", p) {
					info, err := os.Stat(path)
					if err != nil {
						t.Fatal(err)
					}
					size += info.Size() - a.reg.Files[path].Offset
				}
			}
			if size > c.SpoolMaxSize+200<<10 {
				t.Fatalf("%d bytes are undelivered", size)
			}
			a.ack()
			pass(time.Minute)
		}
		if paused == 0 {
			t.Error("it was never paused")
		}
		w.wantEverywhere()
	})
}

func TestALowDiskPausesCollection(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		w.runWell(c)
		free := int64(100 << 20)
		w.options.FreeSpace = func(string) (int64, error) { return free, nil }
		w.server.AddBurst("jira", 2, time.Now())
		w.requests()
		_, rec := w.runWell(c)
		if got := kinds(w.requests()); len(got) > 0 {
			t.Errorf("it asked %v", got)
		}
		if len(rec.Warnings) != 1 || !strings.Contains(rec.Warnings[0], "has 104857600 bytes free, and spool_min_free is 256MiB") {
			t.Errorf("warnings %v", rec.Warnings)
		}
		free = 1 << 30
		w.runWell(c)
		w.wantSpooled(both...)
	})
}

func TestALowDiskKeepsNothingFromBecomingLateWhileThereIsRoomForThat(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth, "products: [jira]")
		w.tailer().write() // an Agent that has read nothing
		w.runWell(c)
		w.dated()
		free := int64(127 << 20)
		w.options.FreeSpace = func(string) (int64, error) { return free, nil }
		pass(20 * time.Hour)
		w.runFor(c, 6*time.Minute)
		if late, out := w.filesWith("spool", `"late":true`), w.files("late", audit.Jira); len(late)+len(out) > 0 {
			t.Errorf("there is no room for %v, %v", late, out)
		}
		free = 129 << 20
		w.runFor(c, 6*time.Minute)
		if late := w.filesWith("spool", `"late":true`); len(late) != 1 {
			t.Errorf("late are %v, of %v", late, w.files("spool", audit.Jira))
		}
		w.wantSpooled(audit.Jira)
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
