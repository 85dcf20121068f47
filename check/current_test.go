package check

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/collect"
)

// TestIsCurrentByItsThresholds is the table of docs/service-checks.md: each
// row on both sides of its threshold.
func TestIsCurrentByItsThresholds(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) int64 { return now.Add(-d).UnixMilli() }
	minute := &Config{Interval: time.Minute, InitialLookback: day, ReconcileInterval: 6 * time.Hour}
	halfHour := &Config{Interval: 30 * time.Minute, InitialLookback: day, ReconcileInterval: 6 * time.Hour}
	live := collect.Summary{LiveDone: true, LiveAt: ago(0)}
	with := func(s collect.Summary, change func(*collect.Summary)) collect.Summary {
		change(&s)
		return s
	}
	behind := func(d time.Duration) collect.Summary { return collect.Summary{LiveAt: ago(d)} }
	undelivered := func(age time.Duration) *stream {
		return &stream{known: true, undelivered: &Undelivered{Bytes: 100, AgeSeconds: age.Seconds()}}
	}
	known := func() *stream { return &stream{known: true} }
	floor := func(d time.Duration) *stream {
		return &stream{known: true, before: audit.Position{FloorSet: true, Floor: ago(d + day)}, err: errors.New("refused")}
	}
	for _, row := range []struct {
		name string
		s    *stream
		sum  collect.Summary
		c    *Config
		want Status
		says string
	}{
		{"all is well", known(), live, minute, StatusOK, ""},

		{"lag: the run was too short", known(), behind(time.Minute), minute, StatusWarning, "the newest records have not all been read"},
		{"lag: for an hour", known(), behind(time.Hour), minute, StatusWarning, "last read up to the present at 2026-03-01T11:00:00Z"},
		{"lag: for more than an hour", known(), behind(time.Hour + time.Second), minute, StatusCritical, "last read up to the present at 2026-03-01T10:59:59Z"},
		{"lag: for ten long intervals", known(), behind(5 * time.Hour), halfHour, StatusWarning, "the newest records"},
		{"lag: for more than ten long intervals", known(), behind(5*time.Hour + time.Second), halfHour, StatusCritical, "the newest records"},
		{"never read: for an hour", floor(time.Hour), collect.Summary{}, minute, StatusWarning, "never been read up to the present"},
		{"never read: for more than an hour", floor(time.Hour + time.Second), collect.Summary{}, minute, StatusCritical, "never been read up to the present"},
		{"never read: and nothing ever asked", &stream{known: true, err: errors.New("refused")}, collect.Summary{}, minute, StatusWarning, "never been read"},
		{"failed: the newest were read before", &stream{known: true, err: errors.New("disk")}, live, minute, StatusWarning, "disk"},
		{"the state cannot be used", &stream{err: errors.New("damaged")}, collect.Summary{}, minute, StatusCritical, "damaged"},

		{"waits: for less than an hour", &stream{known: true, idle: "asked to wait"}, behind(time.Hour), minute, StatusWarning, "asked to wait"},
		{"waits: and lags for more than an hour", &stream{known: true, idle: "asked to wait"}, behind(2 * time.Hour), minute, StatusCritical, "asked to wait"},
		{"paused: for less than an hour", &stream{known: true, paused: true, idle: "the spool is full"}, behind(time.Hour), minute, StatusWarning, "the spool is full"},
		{"paused: and lags for more than an hour", &stream{known: true, paused: true, idle: "the spool is full"}, behind(2 * time.Hour), minute, StatusCritical, "the spool is full"},

		{"gap: there is one", known(), with(live, func(s *collect.Summary) { s.Gap, s.GapAt = time.Hour, ago(0) }), minute, StatusWarning, "1h0m0s of older records"},
		{"gap: not shorter for a day", known(), with(live, func(s *collect.Summary) { s.Gap, s.GapAt = time.Hour, ago(day) }), minute, StatusWarning, "1h0m0s of older records"},
		{"gap: not shorter for more than a day", known(), with(live, func(s *collect.Summary) { s.Gap, s.GapAt = time.Hour, ago(day+time.Second) }), minute, StatusCritical, "not become less since 2026-02-28T11:59:59Z"},

		{"silence: answers lack what was known", known(), with(behind(time.Minute), func(s *collect.Summary) { s.Suspicious = true }), minute, StatusWarning, "lacked records that it had shown before"},
		{"silence: answers lack what was known, for more than an hour", known(), with(behind(2*time.Hour), func(s *collect.Summary) { s.Suspicious = true }), minute, StatusCritical, "lacked records that it had shown before"},
		{"silence: records are withheld", known(), with(live, func(s *collect.Summary) { s.HiddenSince = ago(time.Minute) }), minute, StatusCritical, "since 2026-03-01T11:59:00Z Atlassian shows records"},
		{"silence: records are withheld, and a run waits", &stream{known: true, idle: "asked to wait"}, with(behind(0), func(s *collect.Summary) { s.HiddenSince = ago(time.Minute) }), minute, StatusCritical, "the silence is false"},

		{"undelivered: for an hour", undelivered(time.Hour), live, minute, StatusOK, ""},
		{"undelivered: for more than an hour", undelivered(time.Hour + time.Second), live, minute, StatusWarning, "100 bytes are in the spool and not delivered, the oldest for 1h0m0s"},
		{"undelivered: for 12 hours", undelivered(12 * time.Hour), live, minute, StatusWarning, "100 bytes"},
		{"undelivered: for more than 12 hours", undelivered(12*time.Hour + time.Second), live, minute, StatusCritical, "100 bytes"},
		{"undelivered: nothing", &stream{known: true, undelivered: &Undelivered{AgeSeconds: 1e6}}, live, minute, StatusOK, ""},

		{"the worst of several counts, and all are told", undelivered(13 * time.Hour), with(live, func(s *collect.Summary) { s.Gap, s.GapAt = time.Hour, ago(0) }), minute, StatusCritical, "of older records have not been read yet; they are, newest first, as time allows; 100 bytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			status, message := row.s.isCurrent(row.sum, now, row.c)
			if status != row.want || !strings.Contains(message, row.says) || (message == "") != (row.says == "") {
				t.Errorf("status %d, want %d: %q", status, row.want, message)
			}
		})
	}
}

// TestTheThresholdsAreThoseOfTheTable holds the page to the code.
func TestTheThresholdsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/service-checks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## `atlassian_audit_records.is_current`")
	table, _, _ = strings.Cut(table, "\n## ")
	for _, want := range []string{
		"| lag: ", "| gap: ", "| waits: ", "| paused: ", "| silence: ", "| undelivered: ", "| never read: ", "| failed: ", "| late records: ",
		"more than " + spanned(undeliveredSlow) + " ", "more than " + spanned(undeliveredStuck) + " ", "not shorter for more than " + spanned(gapStalled) + " ",
		"more than " + spanned(staleAfter(time.Second)) + " (or ten intervals",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("docs/service-checks.md lacks %q in its table", want)
		}
	}
}

func TestAFalseSilenceIsCriticalUntilItEnds(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth)
		w.runWell(c)
		w.server.SetQuirks("jira", atlassiantest.Quirks{DatedBefore: 1})
		w.server.AddBurst("jira", 3, time.Now())
		pass(time.Minute)
		res, rec := w.runWell(c)
		short, messages := states(rec)
		if short[1] != "is_current jira CRITICAL" || short[3] != "is_current confluence OK" || short[0] != "can_connect jira OK" {
			t.Errorf("%v: %s", short, messages["is_current jira"])
		}
		if res.Streams[0].Records != 3 {
			t.Errorf("%d records were collected", res.Streams[0].Records)
		}
		_, p := w.status(c)
		if len(p.Act) != 1 || !strings.Contains(p.Act[0], "(withheld)") {
			t.Errorf("to do: %q", p.Act)
		}
		pass(3 * time.Minute)
		_, rec = w.runWell(c)
		if lag, _ := metric(rec, MetricLag, audit.Jira); lag < 180 {
			t.Errorf("lag is %v although nothing can be believed since three minutes", lag)
		}
		w.server.SetQuirks("jira", atlassiantest.Quirks{})
		w.server.AddBurst("jira", 2, time.Now())
		pass(time.Minute)
		w.runWell(c)
		pass(11 * time.Minute)
		_, rec = w.runWell(c)
		if short, messages = states(rec); short[1] != "is_current jira OK" {
			t.Errorf("%v: %s", short, messages["is_current jira"])
		}
		w.wantSpooled(both...)
	})
}

func TestAnEmptySiteIsAskedWithoutDatesNowAndThenOnly(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.server.Purge("jira", time.Now())
		c := w.config(classicAuth)
		probes := 0
		for range 26 {
			_, rec := w.runWell(c)
			if short, messages := states(rec); short[1] != "is_current jira OK" {
				t.Fatalf("%v: %s", short, messages["is_current jira"])
			}
			for _, r := range w.requests() {
				if r.Audit() && r.Product == "jira" && !strings.Contains(r.RawQuery, "from=") {
					probes++
				}
			}
			pass(time.Hour)
		}
		if probes != 3 { // at once, after 4 hours and after 8 more; the next is 16 hours away
			t.Errorf("%d probes", probes)
		}
	})
}
