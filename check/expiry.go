package check

import (
	"fmt"
	"strings"
	"time"

	"atlassian_audit_records/pkg/auth"
)

// expirySoon is how long before its end a credential is told to expire: long
// enough for a holiday and an approval.
const expirySoon = 30 * day

// Expires is when the credential ends, in UTC: what auth.expires says or what a
// token says of itself, the earlier of the two. ok is false where neither does.
func (c *Config) Expires() (at time.Time, ok bool) {
	at = c.Auth.Expires
	for _, s := range c.Auth.secrets() {
		if own, says := auth.TokenExpiry(auth.Secret(s)); says && (at.IsZero() || own.Before(at)) {
			at = own
		}
	}
	return at, !at.IsZero()
}

// ExpiryNotice judges the credential's end: StatusOK and nothing to say where it
// is unknown or far away, else StatusWarning, or StatusCritical where it is past.
func (c *Config) ExpiryNotice(now time.Time) (Status, string) {
	at, _ := c.Expires()
	return expiryNotice(at, now)
}

// expiryNotice judges a credential's end, zero where that is unknown.
func expiryNotice(at, now time.Time) (Status, string) {
	left := at.Sub(now)
	switch {
	case at.IsZero() || left > expirySoon:
		return StatusOK, ""
	case left > 0:
		return StatusWarning, withCode(fmt.Sprintf("the credential expires on %s, in %s: create a new one in time, put it into the configuration, and bring auth.expires up to date",
			onDay(at), daysOf(left)), CodeExpiring)
	}
	return StatusCritical, withCode(fmt.Sprintf("the credential expired on %s, %s ago: create a new one, put it into the configuration, and bring auth.expires up to date",
		onDay(at), daysOf(-left)), CodeExpiring)
}

// ExpiryShown tells a person when the credential ends; empty where that is unknown.
func (c *Config) ExpiryShown(now time.Time) string {
	at, _ := c.Expires()
	return expiryShown(at, now)
}

func expiryShown(at, now time.Time) string {
	switch left := at.Sub(now); {
	case at.IsZero():
		return ""
	case left > 0:
		return fmt.Sprintf("expires on %s, in %s", onDay(at), daysOf(left))
	default:
		return fmt.Sprintf("expired on %s, %s ago", onDay(at), daysOf(-left))
	}
}

// onDay writes a day, with its time where that is not midnight.
func onDay(at time.Time) string {
	at = at.UTC()
	if at.Equal(at.Truncate(day)) {
		return at.Format(time.DateOnly)
	}
	return at.Format(time.RFC3339)
}

// daysOf is a span in whole days, or less than one.
func daysOf(d time.Duration) string {
	switch n := int(d / day); n {
	case 0:
		return "less than a day"
	case 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", n)
	}
}

// expiry tells of the credential's end, where it is known.
func (r *run) expiry(now time.Time) {
	at, ok := r.config.Expires()
	if !ok {
		return
	}
	r.sender.Metric(MetricExpiresIn, "", at.Sub(now).Seconds())
	if _, notice := r.config.ExpiryNotice(now); notice != "" {
		r.report.Warning(r.config.Name() + ": " + notice)
	}
}

// withExpiry adds what is to be said of the credential's end to the outcome of
// reaching Atlassian with it.
func withExpiry(status Status, message string, expiry Status, notice string) (Status, string) {
	if notice == "" {
		return status, message
	}
	if expiry == StatusCritical || status == StatusOK {
		status = expiry
	}
	return status, strings.TrimPrefix(message+"; "+notice, "; ")
}

// expires reads the option of that name: a day, or a moment.
func (s *section) expires() time.Time {
	f, ok := s.fields["expires"]
	if !ok || f.null() {
		return time.Time{}
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		// The day alone is its beginning: rather a day early than too late.
		if at, err := time.Parse(layout, f.value.Value); err == nil {
			return at.UTC()
		}
	}
	s.addf("expires", "must be the day on which the credential expires, like 2027-03-01, or a moment, like 2027-03-01T12:00:00Z")
	return time.Time{}
}
