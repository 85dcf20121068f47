package atlassian

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Quota is what the last good answer said of the quota that others share with us.
// Jira and Confluence count points in an hour, the log of an organisation requests
// in a minute; an answer may say nothing.
type Quota struct {
	// Near is Atlassian's own word for little being left: less than a fifth
	// (X-RateLimit-NearLimit, documented).
	Near bool
	// Limit and Remaining are of the span that is counted now; Limit is 0 where the
	// answer did not say both.
	Limit, Remaining int64
	// Reset is when the counting begins anew, by the local clock; zero where the
	// answer did not say. It is at most 6 hours ahead.
	Reset time.Time
}

// Quota is what the last answer said of the quota that is left.
func (c *Client) Quota() Quota {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.quota
}

// noteQuota takes the quota from an answer; date is its Date, or zero.
func (c *Client) noteQuota(h http.Header, date time.Time) {
	now := c.now()
	q := Quota{Near: strings.EqualFold(strings.TrimSpace(h.Get("X-RateLimit-NearLimit")), "true")}
	limit, limitErr := strconv.ParseInt(strings.TrimSpace(h.Get("X-RateLimit-Limit")), 10, 64)
	left, leftErr := strconv.ParseInt(strings.TrimSpace(h.Get("X-RateLimit-Remaining")), 10, 64)
	if limitErr == nil && leftErr == nil && limit > 0 && left >= 0 {
		q.Limit, q.Remaining = limit, left
	}
	clock := date
	if clock.IsZero() {
		clock = now
	}
	if wait, ok := parseReset(h.Get("X-RateLimit-Reset"), clock); ok {
		q.Reset = now.Add(wait)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quota = q
}
