package check

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/state"
)

var both = []audit.Product{audit.Jira, audit.Confluence}

func TestTheFirstRunCollectsEverythingAndTheNextNothing(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		res, rec := w.runWell(c)
		w.wantSpooled(both...)
		for _, s := range res.Streams {
			if s.Records != 30 || s.Instance != "example.atlassian.net" || s.Duplicates != 0 || s.Requests == 0 {
				t.Errorf("the first run says %+v", s)
			}
		}
		wantStates(t, rec, "can_connect jira OK", "is_current jira OK", "can_connect confluence OK", "is_current confluence OK")
		for _, name := range []string{MetricRecords, MetricRequests, MetricThrottled, MetricErrors, MetricGap, MetricLag, MetricLate, MetricDuplicates, MetricUndated, MetricTruncated} {
			for _, p := range both {
				if _, ok := metric(rec, name, p); !ok {
					t.Errorf("there is no metric %s of %s", name, p)
				}
			}
		}
		for _, name := range []string{MetricRunDuration, MetricSpoolSize} {
			if _, ok := metric(rec, name, ""); !ok {
				t.Errorf("there is no metric %s", name)
			}
		}
		if len(rec.Warnings) > 0 || len(rec.Events) > 0 {
			t.Errorf("a run in order warns: %v %v", rec.Warnings, rec.Events)
		}

		pass(time.Minute)
		w.requests()
		res, rec = w.runWell(c)
		for _, s := range res.Streams {
			if s.Records != 0 || s.Requests > 2 {
				t.Errorf("an idle run says %+v", s)
			}
			if n, _ := metric(rec, MetricRequests, s.Product); int(n) != s.Requests {
				t.Errorf("the metric says %v requests of %s, the result %d", n, s.Product, s.Requests)
			}
		}
		if got := kinds(w.requests()); len(got) > 4 || slices.Contains(got, "tenant_info") {
			t.Errorf("an idle run asked %v", got)
		}
		w.wantSpooled(both...)
	})
}

func TestNewRecordsAreCollectedAndOldOnesNotRepeated(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		w.runWell(c)
		for range 5 {
			pass(time.Minute)
			w.server.AddLate("jira", 3, 5*time.Minute)
			w.server.AddBurst("confluence", 4, time.Now().Add(-time.Second))
			w.runWell(c)
		}
		w.wantSpooled(both...)
	})
}

func TestARefusedCredentialIsTold(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		w.server.Revoke(atlassiantest.Classic)
		res, rec := w.runOnce(c)
		messages := wantStates(t, rec, "can_connect jira CRITICAL", "is_current jira WARNING", "can_connect confluence CRITICAL", "is_current confluence WARNING")
		sentence := "Atlassian does not accept the credential (status 401) (example.atlassian.net, jira): check `email` and `api_token`"
		if !strings.HasPrefix(messages["can_connect jira"], sentence) || !strings.HasPrefix(res.Error, sentence) ||
			strings.Count(res.Error, "(status 401)") != 2 || strings.Contains(res.Error, "\n") {
			t.Errorf("the error is %q, the message %q", res.Error, messages["can_connect jira"])
		}
		if n, _ := metric(rec, MetricErrors, audit.Jira); n != 1 {
			t.Errorf("errors: %v", n)
		}

		w.server.Restore(atlassiantest.Classic)
		w.runWell(c)
		w.server.Revoke(atlassiantest.Classic)
		pass(30 * time.Minute)
		_, rec = w.runOnce(c)
		short, _ := states(rec)
		if !slices.Contains(short, "is_current jira WARNING") {
			t.Errorf("after half an hour: %v", short)
		}
		pass(40 * time.Minute)
		_, rec = w.runOnce(c)
		if short, messages = states(rec); !slices.Contains(short, "is_current jira CRITICAL") || !strings.Contains(messages["is_current jira"], "last read up to the present at 2000-01-01T00:01:00Z") {
			t.Errorf("after more than an hour: %v %v", short, messages)
		}
		if lag, _ := metric(rec, MetricLag, audit.Jira); lag < 4200 || lag > 4300 {
			t.Errorf("lag: %v", lag)
		}
	})
}

func TestOneProductThatIsRefusedLeavesTheOtherAlone(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.server.Deny("jira", atlassiantest.NotAdmin)
		res, rec := w.runOnce(w.config(classicAuth))
		wantStates(t, rec, "can_connect jira CRITICAL", "is_current jira WARNING", "can_connect confluence OK", "is_current confluence OK")
		if res.Streams[0].Error == nil || *res.Streams[0].Error != res.Error || res.Streams[1].Error != nil {
			t.Errorf("the result is %+v", res)
		}
		w.wantSpooled(audit.Confluence)
	})
}

func TestABusyStateIsLeftAlone(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		w.runWell(c)
		files := foldersOf(w.run, c.Host()).state(audit.Jira)
		held, _, err := state.Open(files, state.Options{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		w.server.AddBurst("jira", 1, time.Now())
		w.requests()
		res, rec := w.runWell(c)
		wantStates(t, rec, "can_connect confluence OK", "is_current confluence OK")
		if len(rec.Logs) != 1 || rec.Logs[0].Level != "info" || rec.Logs[0].Message != "jira of example.atlassian.net: another run is in progress, this one leaves it alone" {
			t.Errorf("the log is %v", rec.Logs)
		}
		if res.Streams[0] != (StreamResult{Instance: "example.atlassian.net", Product: audit.Jira}) {
			t.Errorf("the result is %+v", res.Streams[0])
		}
		if slices.Contains(kinds(w.requests()), "jira at site") {
			t.Error("jira was asked for")
		}
		// A run that holds it for hours hangs, and nobody else would tell.
		before := time.Now().Add(-2 * time.Hour)
		if err := os.Chtimes(files.State, before, before); err != nil {
			t.Fatal(err)
		}
		_, rec = w.runWell(c)
		short, _ := states(rec)
		if !slices.Contains(short, "is_current jira CRITICAL") || len(rec.Warnings) != 1 || !strings.Contains(rec.Warnings[0], "has written nothing for 2h0m0s") {
			t.Errorf("a run that hangs is told as %v, %v", short, rec.Warnings)
		}
		if err := held.Close(); err != nil {
			t.Fatal(err)
		}
		w.runWell(c)
		w.wantSpooled(both...)
	})
}

func TestTheGatewayIsFoundOutOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(scopedAuth)
		w.runWell(c)
		w.wantSpooled(both...)
		first := kinds(w.requests())
		if !slices.Contains(first, "jira at site") || !slices.Contains(first, "jira at gateway") {
			t.Errorf("the first run asked %v", first)
		}
		pass(time.Minute)
		w.runWell(c)
		w.wantAsked("jira at gateway", "confluence at gateway")
	})
}

func TestTheGatewayIsRememberedOfAnEmptyProduct(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.server.Purge("jira", time.Now().Add(time.Hour))
		c := w.config(scopedAuth, "products: [jira]")
		w.runWell(c)
		w.requests()
		pass(time.Minute)
		w.runWell(c)
		w.wantAsked("jira at gateway")
	})
}

func TestAnAccessTokenOutlivesTheRun(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(accountAuth)
		for range 3 {
			w.runWell(c)
			pass(time.Minute)
		}
		w.wantSpooled(both...)
		if n := w.server.Count(atlassiantest.KindToken); n != 1 {
			t.Errorf("%d tokens were asked for in three runs", n)
		}
		pass(time.Hour)
		w.runWell(c)
		if n := w.server.Count(atlassiantest.KindToken); n != 2 {
			t.Errorf("%d tokens were asked for in an hour and four runs", n)
		}
	})
}

func TestAFullSpoolPausesCollection(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		w.runWell(c)
		c.SpoolMaxSize = 1 << 10
		w.server.AddBurst("jira", 2, time.Now())
		w.requests()
		_, rec := w.runWell(c)
		w.wantAsked() // nothing
		messages := wantStates(t, rec, "can_connect jira UNKNOWN", "is_current jira WARNING", "can_connect confluence UNKNOWN", "is_current confluence WARNING")
		for _, part := range []string{"collection is paused: the spool in " + agent.Base(w.run), "spool_max_size is 1KiB", "raise spool_max_size", "nothing is lost"} {
			if !strings.Contains(messages["is_current jira"], part) || len(rec.Warnings) != 1 || !strings.Contains(rec.Warnings[0], part) {
				t.Errorf("%q is missing in the message %q or the warning %v", part, messages["is_current jira"], rec.Warnings)
			}
		}
		c.SpoolMaxSize = 1 << 30
		w.runWell(c)
		w.wantSpooled(both...)
	})
}

func TestAProductThatHangsLeavesTimeToTheOther(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.server.Fault(atlassiantest.Fault{Product: "jira", Action: atlassiantest.Hang()})
		c := w.config(classicAuth)
		_, limit := Budget(c)
		began := time.Now()
		res, rec := w.runOnce(c)
		if took := time.Since(began); took > limit {
			t.Errorf("the run took %s, and its limit is %s", took, limit)
		}
		w.wantSpooled(audit.Confluence)
		wantStates(t, rec, "can_connect jira CRITICAL", "is_current jira WARNING", "can_connect confluence OK", "is_current confluence OK")
		if !strings.Contains(res.Error, "(example.atlassian.net, jira)") || strings.Contains(res.Error, "confluence") {
			t.Errorf("the error is %q", res.Error)
		}
	})
}

func TestABacklogIsReadOverSeveralRuns(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth, "products: [jira]")
		w.options.PageSize = 5
		w.server.UpdateQuirks("jira", func(q *atlassiantest.Quirks) { q.Latency = 6 * time.Second })
		res, rec := w.runWell(c)
		short, messages := states(rec)
		if !slices.Contains(short, "is_current jira WARNING") || !strings.Contains(messages["is_current jira"], "have not") {
			t.Errorf("service checks %v %v", short, messages)
		}
		if n := res.Streams[0].Records; n == 0 || n >= 30 {
			t.Errorf("%d records were collected in the first run", n)
		}
		for range 5 {
			pass(time.Minute)
			_, rec = w.runWell(c)
		}
		if short, _ = states(rec); !slices.Equal(short, []string{"can_connect jira OK", "is_current jira OK"}) {
			t.Errorf("service checks at the end: %v", short)
		}
		w.wantSpooled(audit.Jira)
	})
}

func TestOlderRecordsAreReadEvenWhereTheLiveEdgeTakesAllTheTime(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		c.Interval = 15 * time.Second
		w.options.PageSize = 10
		for _, p := range both {
			w.server.UpdateQuirks(string(p), func(q *atlassiantest.Quirks) { q.Latency = 2 * time.Second })
		}
		for range 20 {
			w.runWell(c)
			pass(c.Interval + time.Second)
		}
		for _, p := range both {
			// A gap's last record takes several answers in one run, which may not fit.
			if n := len(w.spooled(p)); n < 29 {
				t.Errorf("%s: %d records are in the spool", p, n)
			}
		}
	})
}

func TestANetworkThatIsDownIsTold(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		w.runWell(c)
		w.options.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		})
		res, rec := w.runOnce(c)
		wantStates(t, rec, "can_connect jira CRITICAL", "is_current jira WARNING", "can_connect confluence CRITICAL", "is_current confluence WARNING")
		if !strings.Contains(res.Error, "example.atlassian.net cannot be reached") {
			t.Errorf("the error is %q", res.Error)
		}
	})
}

func TestAMistakeOfTheProgramIsASentence(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		transport := w.options.Transport
		w.options.Transport = roundTrip(func(*http.Request) (*http.Response, error) { panic("a page of " + atlassiantest.DefaultClassicToken) })
		res, _ := w.runOnce(c)
		want := "the run failed by a mistake in this program (a page of ********): nothing is lost; please report it with the version, 1.2.3 (program_error)"
		if res.Error != want || len(res.Streams) != 2 || *res.Streams[1].Error != want {
			t.Errorf("the result is %+v", res)
		}
		w.options.Transport = transport
		w.runWell(c) // nothing is locked any more
		w.wantSpooled(both...)
	})
}

func TestALostStateIsToldAndNothingIsLost(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth, "products: [jira]")
		w.runWell(c)
		files := foldersOf(w.run, c.Host()).state(audit.Jira)
		if err := os.Remove(files.State); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		w.server.AddBurst("jira", 1, time.Now())
		_, rec := w.runWell(c)
		if len(rec.Warnings) != 1 || len(rec.Events) != 1 || !strings.HasPrefix(rec.Warnings[0], "jira of example.atlassian.net: the state ") || rec.Events[0].AlertType != "warning" {
			t.Errorf("warnings %v, events %v", rec.Warnings, rec.Events)
		}
		w.wantSpooled(audit.Jira) // the copy was as new as the state
	})
}

func TestTheMarkerTellsALostStateFromAFirstRun(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth, "products: [jira]", "initial_lookback: 1m")
		w.server.AddBurst("jira", 1, time.Now())
		w.runWell(c)
		if err := os.RemoveAll(agent.StateDir(agent.Base(w.run))); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		w.server.AddBurst("jira", 1, time.Now().Add(-30*time.Minute))
		_, rec := w.runWell(c)
		if len(rec.Warnings) != 1 {
			t.Errorf("warnings %v", rec.Warnings)
		}
		ids := w.spooled(audit.Jira)
		if once := slices.Compact(slices.Clone(ids)); len(once) != 2 {
			t.Errorf("the spool holds %v", ids)
		}
	})
}

func TestACancelledRunComesBack(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancelCause(t.Context())
		w.server.OnRequest(func(i atlassiantest.RequestInfo) {
			if i.Audit() {
				cancel(errors.New("enough"))
			}
		})
		res := Run(ctx, w.config(classicAuth), w.options, &Recorder{})
		if res.Error == "" {
			t.Error("it says that all is well")
		}
		w.runWell(w.config(classicAuth))
		w.wantSpooled(both...)
	})
}
