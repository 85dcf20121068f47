package check

import (
	"fmt"
	"time"

	"atlassian_audit_records/pkg/atlassian"
)

// The pace of a backfill where nobody says another: far below what Atlassian allows,
// so that the check and everybody else have the better part.
const (
	// BackfillPerMinute is for a site, BackfillDataCenter for a Data Center product,
	// which keeps no more than 500 of our own searches in mind, and
	// BackfillOrganization half of what the log of an organisation allows.
	BackfillPerMinute    = 60
	BackfillDataCenter   = 30
	BackfillOrganization = 24
	// organizationMost is what the client keeps to there; to ask for more would only
	// make a step wait while it holds the state.
	organizationMost = 48
	// BackfillPoints is half of the smallest hourly quota of points, which counts for
	// apps with consents (auth.type: oauth) alone (documented).
	BackfillPoints = 32_500
)

const (
	// nearPause is how long nothing is asked where little of the quota is left and it
	// is not said for how long; quotaShare is the share that is left to others.
	nearPause  = time.Minute
	quotaShare = 2
	// maxQuotaPause bounds what is believed of a reset: quotas are counted by the hour.
	maxQuotaPause = time.Hour
)

// pace is when a site may be asked again by a backfill. What was asked is paid for
// afterwards, so that a step is not held up in its midst.
type pace struct {
	perMinute, points int
	next              time.Time
	// why says that, and for how long, others come first; empty where it is only
	// the pace.
	why string
}

// newPace is the pace of an instance; 0 is the default, below 0 is none.
func newPace(c *Config, perMinute, points int) *pace {
	switch {
	case c.Organization != "" && (perMinute < 0 || perMinute > organizationMost):
		perMinute = organizationMost
	case perMinute != 0 || c.AuditLogPath != "":
	case c.Organization != "":
		perMinute = BackfillOrganization
	case c.Deployment == DataCenter:
		perMinute = BackfillDataCenter
	default:
		perMinute = BackfillPerMinute
	}
	if points == 0 && c.Auth.Type == OAuth {
		points = BackfillPoints
	}
	return &pace{perMinute: perMinute, points: points}
}

// length is how long a step may read on: no longer than its page where there is a pace.
func (p *pace) length() time.Duration {
	if p.perMinute > 0 || p.points > 0 {
		return 0
	}
	return stepLength
}

// paid notes what a step asked that began at began, and what its answers said.
func (p *pace) paid(began, now time.Time, requests, records int, q atlassian.Quota) {
	wait := time.Duration(0)
	if p.perMinute > 0 {
		wait = time.Duration(requests) * time.Minute / time.Duration(p.perMinute)
	}
	if p.points > 0 {
		// A request costs a point, and so does each record that is answered.
		wait = max(wait, time.Duration(requests+records)*time.Hour/time.Duration(p.points))
	}
	if at := began.Add(wait); at.After(p.next) {
		p.next = at
	}
	p.why = ""
	if requests == 0 || !q.Near && (q.Limit == 0 || q.Remaining*quotaShare >= q.Limit) {
		return
	}
	until := now.Add(nearPause)
	if q.Reset.After(now) {
		until = q.Reset
	}
	if latest := now.Add(maxQuotaPause); until.After(latest) {
		until = latest
	}
	if until.After(p.next) {
		p.next = until
	}
	left := "little of the quota is left"
	if q.Limit > 0 {
		left = fmt.Sprintf("%d of %d are left of the quota", q.Remaining, q.Limit)
	}
	p.why = fmt.Sprintf("%s, and that is for others: going on at %s", left, p.next.UTC().Format(time.RFC3339))
}
