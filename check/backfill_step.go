package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/collect"
)

// stuckSteps is after how many steps that read nothing of what the check collects it
// is left to the check.
const stuckSteps = 3

// senseless is how many answers in a row may make no sense, about an hour of them.
const senseless = 18

// step opens the state as a run does, reads a page or a little more, and closes it.
func (b *backfill) step(ctx context.Context, j *job) {
	rec := &Recorder{}
	report := redacting{rec, j.secrets}
	began := b.options.Now()
	s := &stream{product: j.product, files: j.folders.state(j.product)}
	r := &run{config: j.config, options: b.options, report: report, sender: NewSender(report, j.config), folders: j.folders, began: began,
		ours: true, secrets: j.secrets, site: j.tenant.site, streams: []*stream{s}, backfill: true}
	r.openStates()
	if s.store != nil {
		r.settleDelivery()
		r.pause()
		r.leaveRoom(s)
		r.openCollectors(ctx)
		if s.ready() {
			r.step(ctx, s, began.Add(j.tenant.pace.length()), 1, func(ctx context.Context, soft time.Time) error { return b.read(ctx, j, s, soft) })
		}
		if s.tracker != nil {
			if err := s.tracker.Save(); err != nil {
				r.mishap(s.product, "note what is delivered", err)
			}
		}
	}
	// Were the state lost, what its copy does not know would be read once more.
	r.copyNow = j.began && !j.live && s.collector != nil && len(s.collector.Position().History()) == 0
	r.finish(s)
	now := b.options.Now()
	requests, records := 0, 0
	if s.source != nil {
		requests, records = s.source.Requests(), s.source.records
	}
	j.tenant.pace.paid(began, now, requests, records, j.tenant.site.client.Quota())
	j.progress.Requests += requests
	for _, e := range rec.Recorded().Events {
		j.notice(e.Text)
	}
	if s.collector != nil {
		sum := s.collector.Summary()
		j.progress.Records += sum.Records
		for _, n := range sum.Notices {
			j.notice(n)
		}
		if j.began {
			j.measure(s.collector.Position())
		}
	}
	j.after(s, now)
}

func (j *job) notice(text string) {
	if !slices.Contains(j.notices, text) && len(j.notices) < 20 {
		j.notices = append(j.notices, text)
	}
}

// leaveRoom pauses a backfill while the check still has room: half of the spool, and
// as much of the disk again as is to be free, are for what happens now.
func (r *run) leaveRoom(s *stream) {
	if !s.ready() {
		return
	}
	if r.room.left -= r.config.SpoolMaxSize / 2; r.room.left <= 0 {
		// What is delivered of files that stay does not count.
		places, err := r.folders.places()
		held := int64(0)
		if err == nil {
			held, err = r.held(places)
		}
		if err != nil {
			s.err = r.local(s, err)
			return
		}
		r.room.left = r.config.SpoolMaxSize/2 - held
	}
	if r.room.left <= 0 {
		s.idle, s.paused = fmt.Sprintf("half of the spool (spool_max_size: %s) is undelivered, and the rest is for the check: %s",
			sized(r.config.SpoolMaxSize), lookAt(r.registry.path, r.config.RunPath, " that the Agent delivers its logs", " why they are not sent")), true
		return
	}
	if free, err := r.options.FreeSpace(r.folders.base); err == nil && free < 2*r.config.SpoolMinFree {
		s.idle, s.paused = fmt.Sprintf("the disk of %s has %d bytes free, and twice spool_min_free (%s) is left to the check: free some space",
			r.folders.base, free, sized(r.config.SpoolMinFree)), true
	}
}

// read is what a step does with its collector.
func (b *backfill) read(ctx context.Context, j *job, s *stream, soft time.Time) error {
	c := s.collector
	if !j.began {
		if err := b.want(j, c); err != nil {
			return err
		}
	}
	if !j.live {
		_, err := c.History(ctx, soft)
		return err
	}
	p := c.Position()
	if p.LiveAt == 0 {
		// The check never read anything: this is its first run.
		return c.Live(ctx, soft)
	}
	gaps := j.gaps(p)
	if len(gaps) == 0 || j.idle >= stuckSteps {
		j.live, j.given = false, len(gaps) > 0
		_, err := c.History(ctx, soft)
		return err
	}
	_, err := c.Rest(ctx, soft)
	if j.idle++; j.gaps(c.Position()).Length() < gaps.Length() {
		j.idle = 0
	}
	return err
}

// want writes down what is wanted.
func (b *backfill) want(j *job, c *collect.Collector) error {
	if !b.o.Since.IsZero() {
		j.want = audit.Interval{From: b.o.Since.UnixMilli(), To: b.options.Now().UnixMilli()}
		if !b.o.Until.IsZero() {
			j.want.To = min(j.want.To, b.o.Until.UnixMilli())
		}
		if err := c.Want(j.want.From, j.want.To); err != nil {
			return err
		}
	} else if wanted := c.Position().Wanted; len(wanted) > 0 {
		j.want = audit.Interval{From: wanted[0].From, To: wanted[len(wanted)-1].To}
	}
	p := c.Position()
	j.live = j.want.To > p.Floor && !b.o.Since.IsZero()
	j.began = true
	j.measure(p)
	j.progress.Began = j.progress.Left
	return nil
}

// gaps are what is wanted of what the check collects, and not read.
func (j *job) gaps(p audit.Position) audit.Set {
	all := audit.Interval{From: max(p.Floor, p.Forgotten), To: p.Upper + 1}
	if !p.UpperSet {
		return nil
	}
	return p.Covered.Gaps(all.Intersect(j.want))
}

// measure notes how far the reading is.
func (j *job) measure(p audit.Position) {
	left := p.History()
	if j.live {
		for _, iv := range j.gaps(p) {
			left = left.Add(iv)
		}
	}
	j.progress.Total = time.Duration(j.want.Length()) * time.Millisecond
	j.progress.Left = time.Duration(left.Length()) * time.Millisecond
	j.progress.At = time.Time{}
	if iv, ok := left.Last(); ok {
		j.progress.At = moment(iv.To)
	}
}

// after decides how it goes on after a step.
func (j *job) after(s *stream, now time.Time) {
	j.progress.Why = ""
	j.next = now.Add(stepGap)
	pause := func(d time.Duration, why string) {
		j.next, j.progress.Why = now.Add(d), why
	}
	answer := (*atlassian.Error)(nil)
	switch {
	case s.busy:
		pause(busyPause, "a run of the check is in progress")
	case s.err != nil && diskFull(s.err):
		pause(fullPause, redact(sentenceOf(s.err), j.secrets))
	case s.err != nil && errors.As(s.err, &answer) && answer.Temporary(),
		// An answer that makes no sense, such as a page that comes twice.
		s.err != nil && answer == nil && s.source != nil && s.source.good > 0 && j.failures < senseless:
		j.again(redact(sentenceOf(s.err), j.secrets), now)
	case s.err != nil:
		j.fail(s.err)
	case s.paused:
		pause(fullPause, s.idle)
	case s.idle != "":
		pause(waitLeft(s, now), s.idle)
	case s.cut:
		j.again("Atlassian did not answer in time", now)
	case s.summary().Suspicious:
		pause(doubtPause, "an answer lacked records that are known, so it is not believed, and asked for again")
	case j.began && !j.live && s.collector != nil && len(s.collector.Position().History()) == 0:
		j.progress.Done, j.progress.At = true, time.Time{}
		if j.given {
			j.notice("something of what the check collects itself is not read yet: that is left to the check")
		}
	}
	if s.err == nil && !s.cut && !s.busy {
		j.failures = 0
	}
}

// again tries once more after a pause.
func (j *job) again(why string, now time.Time) {
	wait := min(retryFirst<<min(j.failures, 10), retryLast)
	j.failures++
	j.next = now.Add(wait)
	j.progress.Why = why + "; asked again in " + wait.String()
}

// waitLeft is how long Atlassian is still to be left alone.
func waitLeft(s *stream, now time.Time) time.Duration {
	p := s.before
	if s.collector != nil {
		p = s.collector.Position()
	}
	return min(max(time.UnixMilli(p.WaitUntil).Sub(now), time.Second), maxWait)
}
