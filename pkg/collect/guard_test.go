package collect_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/collect"
)

// isProbe reports a question without dates.
func isProbe(i atlassiantest.RequestInfo) bool {
	return i.Audit() && !strings.Contains(i.RawQuery, "from=") && !strings.Contains(i.RawQuery, "startDate=")
}

// probes is how many questions without dates the site has had since the last call.
func (s *site) probes() int {
	n := 0
	for _, r := range s.Requests() {
		if isProbe(r) {
			n++
		}
	}
	s.ForgetRequests()
	return n
}

// TestWithheldRecordsAreToldAndDelivered tells in each row how a site comes to
// withhold records from questions with dates, and when that is noticed.
func TestWithheldRecordsAreToldAndDelivered(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		before func(m *machine)
		known  bool
		hide   func(q *quirks)
		within int // runs
	}{
		"it never showed any, and a zone-less bound gets an empty list": {func(*machine) {}, false, func(q *quirks) { q.DatedBefore = 1 }, 1},
		"it showed some, and now nothing":                               {history, true, func(q *quirks) { q.DatedBefore = 1 }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asking(t, func(t *testing.T, m *machine) {
				if m.site.Name == "organization" && row.known {
					return // its new records are asked for by a cursor, not by dates: only the rhythm tells
				}
				row.before(m)
				if len(m.site.Records(string(m.site.product))) > 0 {
					_, err := m.settle()
					must(t, err)
				}
				m.site.quirks(row.hide)
				m.site.add(7, 3*time.Second, 2*time.Minute)
				noticed := 0
				for n := 1; n <= 5 && noticed == 0; n++ {
					pass(interval)
					out, err := m.run()
					must(t, err)
					if out.HiddenSince != 0 {
						noticed = n
					}
				}
				if noticed == 0 || noticed > row.within {
					t.Errorf("noticed in run %d, want %d", noticed, row.within)
				}
				if err := m.exactly(); err != nil {
					t.Error("what the probe showed was not delivered:", err)
				}
				// It stays so, whether more come or not.
				for n := range 4 {
					pass(40 * time.Minute)
					if n == 1 {
						m.site.add(2, time.Second, 0)
					}
					out, err := m.run()
					must(t, err)
					if out.HiddenSince == 0 {
						t.Error("it is forgotten although nothing changed")
					}
				}
				m.site.quirks(func(q *quirks) { q.DatedBefore = 0 })
				m.site.add(3, time.Second, 0)
				pass(11 * time.Minute)
				out, err := m.settle()
				must(t, err)
				if out.HiddenSince != 0 {
					t.Error("it is told still, although all are shown again")
				}
				must(t, m.exactly())
				must(t, m.reconcile())
				must(t, m.exactly())
			})
		})
	}
}

// TestAnHonestSilenceIsNoAlarm is about sites from which nothing comes for good
// reasons: it is looked into seldom, and nothing is said.
func TestAnHonestSilenceIsNoAlarm(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		tell func(m *machine)
		most int // probes within the four days that follow
	}{
		"there is nothing":            {func(*machine) {}, 7},
		"all is older than is wanted": {func(m *machine) { m.site.add(20, time.Minute, 40*24*time.Hour) }, 7},
		"there was one record":        {func(m *machine) { m.site.add(1, 0, time.Hour) }, 0},
		"records were purged": {func(m *machine) {
			m.site.add(50, time.Minute, 4*time.Hour)
			_, _ = m.settle()
			m.site.Purge(string(m.site.product), time.Now())
		}, 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asking(t, func(t *testing.T, m *machine) {
				row.tell(m)
				m.site.probes()
				n := 0
				for range 4 * 24 {
					pass(time.Hour)
					out, err := m.run()
					must(t, err)
					if out.HiddenSince != 0 {
						t.Fatal("an alarm")
					}
					n += m.site.probes()
				}
				if n > row.most {
					t.Errorf("%d questions without dates, want at most %d", n, row.most)
				}
			})
		})
	}
}

// TestAProbeThatFailsIsAnErrorOfAsking: nothing is concluded from it.
func TestAProbeThatFailsIsAnErrorOfAsking(t *testing.T) {
	t.Parallel()
	asking(t, func(t *testing.T, m *machine) {
		m.site.Fault(atlassiantest.Fault{Match: isProbe, Times: 1, Action: atlassiantest.RateLimit(10*time.Minute, atlassiantest.RetrySeconds)})
		out, err := m.run()
		if err == nil || out.position.ProbeAt != 0 || out.HiddenSince != 0 {
			t.Errorf("%v, %+v", err, out.position)
		}
		if out, err = m.run(); err != nil || !out.waited {
			t.Errorf("the next run did not wait: %v", err)
		}
		pass(11 * time.Minute)
		if out, err = m.run(); err != nil || out.position.ProbeAt == 0 {
			t.Errorf("%v, %+v", err, out.position)
		}
	})
}

// TestARecordThatComesMeanwhileIsNotWithheld: it arrives after the newest were
// asked for with dates, and before they are asked for without.
func TestARecordThatComesMeanwhileIsNotWithheld(t *testing.T) {
	t.Parallel()
	asking(t, func(t *testing.T, m *machine) {
		came := false
		m.site.OnRequest(func(i atlassiantest.RequestInfo) {
			if isProbe(i) && !came {
				came = true
				m.site.add(2, time.Second, 0)
			}
		})
		out, err := m.run()
		must(t, err)
		if !came || out.HiddenSince != 0 {
			t.Errorf("a probe: %t, an alarm: %t", came, out.HiddenSince != 0)
		}
		_, err = m.settle()
		must(t, err)
		must(t, m.exactly())
	})
}

// TestWhatIsShownWithoutDatesWasNotPurged: the oldest record of the look-back is
// no longer shown with dates, and the ones after it are. It is not forgotten after
// an hour, as it would be had it been purged.
func TestWhatIsShownWithoutDatesWasNotPurged(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC).UnixMilli()
	minute := time.Minute.Milliseconds()
	for _, purged := range []bool{false, true} {
		l := &life{now: start}
		for _, ago := range []int64{12, 6, 1} {
			l.add(start - ago*minute)
		}
		if _, err := l.run(); err != nil {
			t.Fatal(err)
		}
		if l.hidden = l.times[0]; purged {
			l.times = l.times[1:]
		}
		believed := false
		for n := range int64(20) {
			l.now = start + (n+1)*10*minute
			sum, err := l.run()
			if err != nil {
				t.Fatal(err)
			}
			if withheld := sum.HiddenSince != 0; withheld == purged {
				t.Errorf("purged: %t, after %d minutes withheld: %t", purged, (n+1)*10, withheld)
			}
			believed = believed || sum.LiveDone
		}
		if believed != purged {
			t.Errorf("purged: %t, counted as purged: %t", purged, believed)
		}
	}
}

// calendar says whether a site speaks in an hour, given by its number since a
// Monday.
type calendar struct {
	name   string
	speaks func(hour int64) bool
	// regular is true where each week is like the one before, so that the rhythm
	// explains every silence.
	regular bool
}

var calendars = []calendar{
	{"office hours", officeHours, true},
	{"all day, but not on weekends", func(h int64) bool { return h/24%7 < 5 }, true},
	{"a nightly batch", func(h int64) bool { return h%24 == 2 }, true},
	{"each hour", func(int64) bool { return true }, true},
	{"one record a week", func(h int64) bool { return h%168 == 35 }, true},
	{"office hours, but for a fortnight", func(h int64) bool { return officeHours(h) && (h < 3*168 || h >= 5*168) }, false},
	{"one record in three weeks", func(h int64) bool { return h%504 == 77 }, false},
}

func officeHours(h int64) bool { return h/24%7 < 5 && h%24 >= 8 && h%24 < 17 }

// TestAQuietSiteRaisesNoAlarmAndAFalseSilenceOne lives through weeks of a
// calendar, a run each hour. As long as the source is honest there is never an
// alarm, and where the calendar is regular hardly a probe; when it begins to
// withhold what is new, that is told within a bounded time, and every record is
// delivered once in the end.
func TestAQuietSiteRaisesNoAlarmAndAFalseSilenceOne(t *testing.T) {
	t.Parallel()
	const hour = int64(time.Hour / time.Millisecond)
	start := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC).UnixMilli()
	rapid.Check(t, func(t *rapid.T) {
		cal := rapid.SampledFrom(calendars).Draw(t, "calendar")
		// The alarm comes some time after the fourth week at the earliest.
		until := rapid.Int64Range(4*168, 6*168).Draw(t, "hours")
		absent := rapid.IntRange(0, 3).Draw(t, "hours in which it rests for once, in ten")
		seed := rapid.Uint64().Draw(t, "seed")
		speaks := func(h int64) bool {
			return cal.speaks(h) && (seed+uint64(h))*0x9E3779B97F4A7C15>>60%10 >= uint64(absent)
		}
		if absent > 0 {
			cal.regular = false
		}

		l := &life{}
		step := func(h int64) collect.Summary {
			l.now = start + h*hour + hour - 1
			if speaks(h) {
				l.add(start + h*hour + hour/3)
			}
			sum, err := l.run()
			if err != nil {
				t.Fatalf("hour %d: %v", h, err)
			}
			return sum
		}
		late := 0 // probes after two weeks
		for h := range until {
			before := l.probes
			if sum := step(h); sum.HiddenSince != 0 {
				t.Fatalf("an alarm in hour %d, although nothing was withheld", h)
			}
			if l.probes-before > 1 {
				t.Fatalf("%d probes in one run", l.probes-before)
			}
			if h >= 2*168 {
				late += l.probes - before
			}
		}
		if most := int(until/24) + 12; l.probes > most {
			t.Fatalf("%d probes in %d days", l.probes, until/24)
		}
		if cal.regular && late > 0 {
			t.Fatalf("%d probes, although each week was like the one before", late)
		}

		l.hideFrom = start + until*hour
		last := l.last()
		told, missed := int64(-1), int64(0)
		for h := until; h < until+6*168 && told < 0; h++ {
			if speaks(h) {
				missed++
			}
			if step(h).HiddenSince != 0 {
				told = h
			}
			now := start + (h+1)*hour
			// A week after the last record at the latest, or the seventh of a regular
			// site's hours; an earlier probe may delay it by a day, and by the hour in
			// which it falls.
			overdue := now-last > (8*24+2)*hour || cal.regular && missed > 7+24
			if told < 0 && missed > 0 && overdue && now-l.firstHidden() > 26*hour {
				t.Fatalf("%d hours, %d of them with records, passed unnoticed", h-until, missed)
			}
		}
		switch {
		case missed == 0:
			return // there was nothing to withhold
		case told < 0:
			t.Fatal("never noticed")
		}
		l.hideFrom = 0
		for h := told + 1; h < told+3; h++ {
			if sum := step(h); h > told+1 && sum.HiddenSince != 0 {
				t.Fatal("told still, although nothing is withheld any more")
			}
		}
		if err := l.once(); err != nil {
			t.Fatal(err)
		}
	})
}

// life is a stream in memory: a source with records of known times, and a state
// and a spool that are nothing but lists.
type life struct {
	now int64
	// times of the records, ascending: a record's number is its id.
	times []int64
	// hideFrom: questions with dates show nothing dated from then on; 0 for all.
	// hidden: nor what was dated at that very moment.
	hideFrom, hidden int64
	probes           int

	position audit.Position
	batch    *audit.Batch
	seen     []audit.Seen
	emitted  int
}

func (l *life) add(ms int64) { l.times = append(l.times, ms) }
func (l *life) last() (last int64) {
	for _, ms := range l.times {
		last = ms
	}
	return last
}

func (l *life) firstHidden() int64 {
	for _, ms := range l.times {
		if ms >= l.hideFrom {
			return ms
		}
	}
	return l.now
}

func (l *life) clock() time.Time { return time.UnixMilli(l.now) }

// run is a run of the check.
func (l *life) run() (collect.Summary, error) {
	o := usual
	o.InitialLookback, o.Lookback, o.PageSize = 24*time.Hour, 15*time.Minute, 1000
	o.Stream, o.Now, o.ServerNow = audit.Stream{Site: "example.atlassian.net", Product: audit.Jira}, l.clock, l.clock
	c, err := collect.Open(o, l, l, l)
	if err != nil {
		return collect.Summary{}, err
	}
	soft := l.clock().Add(30 * time.Second)
	err = errors.Join(c.Live(context.Background(), soft), c.Guard(context.Background()))
	for more := err == nil; more; {
		if more, err = c.Rest(context.Background(), soft); err != nil {
			break
		}
	}
	return c.Summary(), errors.Join(err, c.Close())
}

// once tells whether every record was emitted once.
func (l *life) once() error {
	if l.emitted != len(l.times) || len(l.seen) > len(l.times) {
		return fmt.Errorf("%d records, %d lines", len(l.times), l.emitted)
	}
	return nil
}

func (l *life) Page(_ context.Context, q audit.Query) (audit.Page, error) {
	dated := q.Bounded || q.From >= 0
	if !dated {
		l.probes++
	}
	var out audit.Page
	out.Date = l.clock()
	skip := q.Offset
	for i := len(l.times) - 1; i >= 0 && len(out.Records) < q.Limit; i-- {
		ms := l.times[i]
		if ms < q.From {
			break
		}
		if q.Bounded && ms > q.To || dated && (l.hideFrom != 0 && ms >= l.hideFrom || ms == l.hidden) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		id := fmt.Sprint(i + 1)
		out.Records = append(out.Records, audit.Record{Raw: fmt.Appendf(nil, `{"id":%s}`, id), Millis: ms, Dated: true, ID: id})
	}
	return out, nil
}

func (l *life) Position() (audit.Position, error) { return l.position, nil }

func (l *life) Batch() (audit.Batch, bool, error) {
	if l.batch == nil {
		return audit.Batch{}, false, nil
	}
	return *l.batch, l.batch.Place.File != "", nil
}

func (l *life) SeenAt(millis []int64) (out []audit.Seen, err error) {
	for _, s := range l.seen {
		if _, ok := slices.BinarySearch(millis, s.Millis); ok {
			out = append(out, s)
		}
	}
	return out, nil
}

func (l *life) NextSeen(ms int64) (next int64, ok bool, err error) {
	for _, s := range l.seen {
		if s.Millis >= ms && (!ok || s.Millis < next) {
			next, ok = s.Millis, true
		}
	}
	return next, ok, nil
}

func (l *life) Commit(c audit.Change) error {
	l.position = c.Position
	l.seen = append(l.seen, c.Emitted...)
	l.seen = slices.DeleteFunc(l.seen, func(s audit.Seen) bool { return c.Forgets().Contains(s.Millis) })
	if c.Batch != nil {
		l.batch = c.Batch
	}
	l.emitted += len(c.Emitted)
	return nil
}

func (l *life) Next(file string, end, since int64, _ int) (audit.Place, int64) {
	return audit.Place{File: "spool", Offset: end}, since
}

func (l *life) Write(audit.Place, []byte) error { return nil }

func (l *life) Stage(audit.Place, []byte) (bool, error) { return false, nil }

func (l *life) Publish(string, int64) error { return nil }

func (l *life) Recover(audit.Batch) (bool, []byte, error) { return true, nil, nil }

func (l *life) Keep(string, []byte) error { return nil }
