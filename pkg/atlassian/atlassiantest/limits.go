package atlassiantest

import (
	"net/http"
	"strconv"
	"time"
)

// Limits are the rate limits that the server enforces by its own clock. The
// zero value enforces none.
type Limits struct {
	// PerSecond bounds the requests to one product's audit API in a second of
	// the clock, whoever asks. Atlassian's is about 100.
	PerSecond int
	// PointsPerHour is the quota of one product in an hour of the clock, for
	// access tokens alone: API tokens are not counted. A request costs 1 point
	// and 1 more for each record. Atlassian's begins at 65,000.
	PointsPerHour int
	// PerMinute bounds the requests to the organisation's log in a minute of the
	// clock. Atlassian's is 50.
	PerMinute int
}

type limits struct {
	Limits
	second   map[string]int64
	requests map[string]int
	hour     map[string]time.Time
	points   map[string]int
	// minutes counts the requests to the organisation's log in a minute.
	minute  int64
	minutes int
}

// SetLimits replaces the rate limits; what was used so far is forgotten.
func (s *Server) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = limits{
		Limits: l,
		second: map[string]int64{}, requests: map[string]int{},
		hour: map[string]time.Time{}, points: map[string]int{},
	}
}

// limited refuses a request that is over a limit.
func (s *Server) limited(i RequestInfo) (reply, bool) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.limits
	if i.Product == Organization {
		return l.organization(now)
	}
	if l.PerSecond > 0 {
		if sec := now.Unix(); l.second[i.Product] != sec {
			l.second[i.Product], l.requests[i.Product] = sec, 0
		}
		l.requests[i.Product]++
		if l.requests[i.Product] > l.PerSecond {
			return rateLimited(now, time.Second, RetrySeconds, i.Product+"-burst-based").
				with("X-RateLimit-Limit", strconv.Itoa(l.PerSecond)), true
		}
	}
	if l.PointsPerHour > 0 && i.Auth == AuthBearer {
		hour := now.UTC().Truncate(time.Hour)
		if !l.hour[i.Product].Equal(hour) {
			l.hour[i.Product], l.points[i.Product] = hour, 0
		}
		if l.points[i.Product] >= l.PointsPerHour {
			return rateLimited(now, hour.Add(time.Hour).Sub(now), RetrySeconds, i.Product+"-quota-tenant-based").
				with("X-RateLimit-Limit", strconv.Itoa(l.PointsPerHour)), true
		}
	}
	return reply{}, false
}

// charge counts an answer against the quota and says in its headers what is
// left.
func (s *Server) charge(rep *reply, i RequestInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.limits
	if l.PointsPerHour <= 0 || i.Auth != AuthBearer {
		return
	}
	l.points[i.Product] += 1 + len(rep.list.seqs)
	left := max(0, l.PointsPerHour-l.points[i.Product])
	h := rep.header
	h.Set("X-RateLimit-Limit", strconv.Itoa(l.PointsPerHour))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(left))
	h.Set("X-RateLimit-Reset", resetText(l.hour[i.Product].Add(time.Hour)))
	if left*5 < l.PointsPerHour {
		h.Set("X-RateLimit-NearLimit", strconv.FormatBool(true))
	}
	h.Set("Beta-RateLimit-Policy", `"global-app-quota";q=`+strconv.Itoa(l.PointsPerHour)+";w=3600")
}

// organization counts a request to the organisation's log, whose answers say in
// X-Retry-After how long to wait.
func (l *limits) organization(now time.Time) (reply, bool) {
	if l.PerMinute == 0 {
		return reply{}, false
	}
	if m := now.Unix() / 60; l.minute != m {
		l.minute, l.minutes = m, 0
	}
	if l.minutes++; l.minutes <= l.PerMinute {
		return reply{}, false
	}
	rep := adminError(http.StatusTooManyRequests, "ADMIN-429-1", "Too Many Requests", "The rate limit is exceeded.")
	sayWait(rep.header, now, time.Duration(60-now.Unix()%60)*time.Second, RetryXHeader)
	return rep.with("X-RateLimit-Limit", strconv.Itoa(l.PerMinute)).with("X-RateLimit-Remaining", "0"), true
}
