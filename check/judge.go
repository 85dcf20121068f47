package check

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/DataDog/datadog-agent/pkg/util/log"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/collect"
)

// tell reports what became of a product. One that another run is busy with is
// that run's to report, unless that run hangs: then nobody else would.
func (r *run) tell(s *stream) {
	if s.busy {
		r.tellStuck(s)
		return
	}
	sum := s.summary()
	now := r.options.Now()
	status, message := s.canConnect()
	expiry, notice := r.config.ExpiryNotice(now)
	status, message = withExpiry(status, message, expiry, notice)
	r.sender.ServiceCheck(CanConnect, s.product, status, message)
	canConnect := Judgement{status, message}
	status, message = s.isCurrent(sum, now, r.config)
	r.sender.ServiceCheck(IsCurrent, s.product, status, message)
	r.remember(s, canConnect, Judgement{status, message})
	if sum.HiddenSince != 0 {
		r.report.Warning(fmt.Sprintf("%s of %s: %s", s.product, r.config.Name(), withheld(sum.HiddenSince)))
	}
	if s.standby != "" {
		r.report.Log("debug", r.about(s.product, s.standby))
	}
	for _, notice := range sum.Notices {
		r.report.Warning(fmt.Sprintf("%s of %s: %s", s.product, r.config.Name(), notice))
	}
	r.metrics(s, sum)
	log.Debugf("%s of %s: %d records, %d duplicates, live edge read: %t, gap %s",
		s.product, r.config.Name(), sum.Records, sum.Duplicates, sum.LiveDone, sum.Gap)
}

// tellStuck reports a run that holds the state without writing it: every run
// that reads the live edge to its end does, every few minutes.
func (r *run) tellStuck(s *stream) {
	info, err := os.Stat(s.files.State)
	if err != nil {
		return // the other run is just beginning the state
	}
	silent := r.options.Now().Sub(info.ModTime())
	if silent <= staleAfter(r.config.Interval) {
		return
	}
	text := withCode(fmt.Sprintf("%s of %s: another run holds the state and has written nothing for %s; find the process atlassian-audit-records that hangs, and end it: nothing is lost by it",
		s.product, r.config.Name(), silent.Round(time.Minute)), CodeStuckRun)
	r.sender.ServiceCheck(IsCurrent, s.product, StatusCritical, text)
	r.report.Warning(text)
}

func (s *stream) summary() collect.Summary {
	if s.collector == nil {
		return collect.Summary{LiveAt: s.before.Present(), HiddenSince: s.before.HiddenSince, GapAt: s.before.GapAt}
	}
	return s.collector.Summary()
}

func (r *run) metrics(s *stream, sum collect.Summary) {
	send := func(name string, value int) { r.sender.Metric(name, s.product, float64(value)) }
	send(MetricRecords, sum.Records)
	send(MetricDuplicates, sum.Duplicates)
	if r.config.Deployment == DataCenter {
		send(MetricOwnSearches, sum.Own)
	}
	send(MetricLate, sum.Late+s.delivery.Late)
	send(MetricUndated, sum.Undated)
	send(MetricTruncated, sum.Truncated)
	if s.err != nil {
		r.sender.Metric(MetricErrors, s.product, 1, "reason:"+CodeOf(s.err))
	} else {
		send(MetricErrors, 0)
	}
	if s.source != nil {
		send(MetricRequests, s.source.Requests())
		send(MetricThrottled, s.source.Throttled())
	}
	if s.collector != nil && s.standby == "" {
		r.sender.Metric(MetricGap, s.product, sum.Gap.Seconds())
	}
	if u := s.undelivered; u != nil {
		r.sender.Metric(MetricUndeliveredBytes, s.product, float64(u.Bytes))
		r.sender.Metric(MetricUndeliveredAge, s.product, u.AgeSeconds)
	}
	if sum.LiveAt != 0 && s.standby == "" { // before the first time there is nothing to count from
		lag := r.options.Now().Sub(time.UnixMilli(sum.LiveAt))
		r.sender.Metric(MetricLag, s.product, max(0, lag.Seconds()))
	}
}

// result is what the command check and the last line say of the product.
func (s *stream) result(host string) StreamResult {
	sum := s.summary()
	out := StreamResult{Instance: host, Product: s.product, Records: sum.Records, Duplicates: sum.Duplicates}
	if s.source != nil {
		out.Requests = s.source.Requests()
	}
	if s.err != nil {
		text := sentenceOf(s.err)
		out.Error = &text
	}
	return out
}

// canConnect is about reaching Atlassian with the credential. An answer that
// asks to wait is an answer.
func (s *stream) canConnect() (Status, string) {
	answer := (*atlassian.Error)(nil)
	switch {
	case errors.As(s.err, &answer):
		return StatusCritical, sentenceOf(s.err)
	case s.source != nil && s.source.good > 0:
		return StatusOK, ""
	case s.err != nil:
		return StatusUnknown, "Atlassian was not asked: " + sentenceOf(s.err)
	case s.standby != "":
		return StatusOK, s.standby
	case s.idle != "" && s.paused:
		return StatusUnknown, "Atlassian was not asked: " + s.idle
	case s.idle != "":
		return StatusOK, s.idle
	}
	return StatusUnknown, "there was no time to ask Atlassian"
}

// oneLine is an error's text without line breaks, which errors.Join makes.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// diskFull reports whether there is no room left for what was written.
func diskFull(err error) bool {
	if saysDiskFull(err) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return true
	}
	// What Windows calls ERROR_HANDLE_DISK_FULL and ERROR_DISK_FULL.
	return runtime.GOOS == "windows" && (errors.Is(err, syscall.Errno(39)) || errors.Is(err, syscall.Errno(112)))
}

// saysDiskFull reports an error that says so itself, and what to do.
func saysDiskFull(err error) bool {
	var full interface{ DiskFull() bool }
	return errors.As(err, &full) && full.DiskFull()
}
