package check

import (
	"fmt"
	"strings"
	"time"

	"atlassian_audit_records/pkg/collect"
)

// The thresholds of is_current; docs/service-checks.md has them in a table.
const (
	// gapStalled is how long what was never read may stay as long as it is.
	gapStalled = 24 * time.Hour
	// undeliveredSlow and undeliveredStuck are how long a line may lie in the
	// spool. The second leaves a person time before Datadog refuses its date, 18
	// hours after the event.
	undeliveredSlow  = time.Hour
	undeliveredStuck = 12 * time.Hour
)

// staleAfter is how long the newest records may stay unread before is_current
// is CRITICAL: an hour, or ten intervals where that is longer.
func staleAfter(interval time.Duration) time.Duration { return max(time.Hour, 10*interval) }

// findings are what is wrong with a stream's being current: the worst of them
// is the status, all of them the message.
type findings struct {
	status  Status
	reasons []string
}

func (f *findings) add(status Status, format string, args ...any) {
	f.status = max(f.status, status)
	f.reasons = append(f.reasons, fmt.Sprintf(format, args...))
}

// isCurrent is about the records being collected up to the present and
// delivered. It knows OK, WARNING and CRITICAL.
func (s *stream) isCurrent(sum collect.Summary, now time.Time, c *Config) (Status, string) {
	f := &findings{}
	if s.standby != "" && s.err == nil {
		// What was read is the holder's to tell; what lies here is this machine's.
		if s.undeliveredIn(f); len(f.reasons) == 0 {
			return StatusOK, s.standby
		}
		return f.status, strings.Join(f.reasons, "; ")
	}
	s.newestRead(f, sum, now, c)
	s.olderRead(f, sum, now, c)
	if s.clock != "" {
		f.add(StatusWarning, "%s", s.clock)
	}
	s.undeliveredIn(f)
	if len(f.reasons) > 0 && s.known && !sum.LiveDone {
		// Last, since it belongs to the first reason, but is worth a sentence's end.
		if sum.LiveAt != 0 {
			f.add(f.status, "the records were last read up to the present at %s", time.UnixMilli(sum.LiveAt).UTC().Format(time.RFC3339))
		} else {
			f.add(f.status, "the records have never been read up to the present")
		}
	}
	if sum.HiddenSince != 0 {
		f.add(StatusCritical, "%s", withheld(sum.HiddenSince)) // its code ends the message
	}
	return f.status, strings.Join(f.reasons, "; ")
}

// newestRead is about lag: what keeps the newest records from being read, and
// for how long. A stream that never was read is counted from its first attempt: from the
// floor, which was fixed then. Without one, because nothing could be asked yet, it
// is WARNING, and can_connect tells why.
func (s *stream) newestRead(f *findings, sum collect.Summary, now time.Time, c *Config) {
	status := StatusWarning
	switch at := time.UnixMilli(sum.LiveAt); {
	case !s.known:
		status = StatusCritical
	case sum.LiveDone:
	case sum.LiveAt == 0 && !s.before.FloorSet:
	default:
		if sum.LiveAt == 0 {
			at = time.UnixMilli(s.before.Floor).Add(c.InitialLookback)
		}
		if now.Sub(at) > staleAfter(c.Interval) {
			status = StatusCritical
		}
	}
	switch {
	case s.err != nil:
		f.add(status, "%s", sentenceOf(s.err))
	case s.idle != "":
		f.add(status, "%s", s.idle)
	case !sum.LiveDone && !sum.Suspicious:
		f.add(status, "the newest records have not all been read in the time of a run, and the next one goes on; if it stays so, raise min_collection_interval: a run takes half of it")
	}
	if sum.Suspicious {
		f.add(status, "an answer of Atlassian's lacked records that it had shown before, so it is not believed to be complete")
	}
}

// olderRead is about gaps below the newest records, and about late ones.
func (s *stream) olderRead(f *findings, sum collect.Summary, now time.Time, c *Config) {
	if sum.Gap > 0 {
		status, stalled := StatusWarning, ""
		if at := time.UnixMilli(sum.GapAt); sum.GapAt != 0 && now.Sub(at) > gapStalled {
			status, stalled = StatusCritical, ", but it has not become less since "+at.UTC().Format(time.RFC3339)
		}
		f.add(status, "%s of older records have not been read yet; they are, newest first, as time allows%s", sum.Gap.Round(time.Second), stalled)
	}
	if at, overdue := s.reconcileOverdue(now, c.ReconcileInterval); overdue && s.idle == "" {
		f.add(StatusWarning, "records that appear late have not been looked for since %s, although it is due every %s: runs have no time for it, or its answers are not believed",
			at.UTC().Format(time.RFC3339), spanned(c.ReconcileInterval))
	}
}

// withheld is the sentence about records that Atlassian shows and does not show.
func withheld(since int64) string {
	return withCode(fmt.Sprintf("since %s Atlassian shows records when it is asked without dates, and does not show them when it is asked with dates: the silence is false; "+
		"those shown are collected, look into the audit log in a browser for others, and report it to Atlassian's support", time.UnixMilli(since).UTC().Format(time.RFC3339)), CodeWithheld)
}

// undeliveredIn is about what the Agent has not taken from the spool.
func (s *stream) undeliveredIn(f *findings) {
	u := s.undelivered
	if u == nil || u.Bytes == 0 {
		return
	}
	age := time.Duration(u.AgeSeconds * float64(time.Second))
	if age <= undeliveredSlow {
		return
	}
	status := StatusWarning
	if age > undeliveredStuck {
		status = StatusCritical
	}
	f.add(status, "%s", withCode(fmt.Sprintf("%d bytes are in the spool and not delivered, the oldest for %s: %s that it follows the files of the spool",
		u.Bytes, age.Round(time.Minute), s.look), CodeUndelivered))
}

// reconcileOverdue reports whether the last reconcile was completed so long ago
// that at least two are missing, and when that was.
func (s *stream) reconcileOverdue(now time.Time, every time.Duration) (at time.Time, overdue bool) {
	if s.collector == nil {
		return time.Time{}, false
	}
	p := s.collector.Position()
	at = time.UnixMilli(p.ReconcileAt)
	return at, p.UpperSet && now.Sub(at) > 3*every
}
