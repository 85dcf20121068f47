package check

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/audit"
)

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

// TestDeliveredFilesMakeRoomInTheMidstOfARun: a run that catches up may write as much
// as the spool may hold, and what is delivered would lie there besides.
func TestDeliveredFilesMakeRoomInTheMidstOfARun(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.options.PageSize = 50
		c := w.config(classicAuth)
		a := w.tailer()
		w.runWell(c)
		w.dated()
		a.ack()
		pass(25 * time.Hour)
		w.runFor(c, 2*time.Minute)
		delivered := w.files("delivered", audit.Jira)
		if len(delivered) != 1 {
			t.Fatal("nothing is delivered")
		}
		c.SpoolMaxSize = 100 << 10 // there is room when the run begins
		w.server.Fill(1000, time.Hour, "jira")
		w.runWell(c)
		if left := w.files("delivered", audit.Jira); len(left) != 0 {
			t.Errorf("%d delivered files lie beside a spool that is full", len(left))
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
