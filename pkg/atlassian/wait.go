package atlassian

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxWait caps what an answer may ask for: an error of its clock or its
	// arithmetic must not stop collecting for days.
	maxWait = 6 * time.Hour
	// defaultWait is the wait where an answer asks for one without a length.
	defaultWait = time.Minute
	// shortWait is what the client sleeps itself instead of giving up.
	shortWait = 2 * time.Second
)

// waitOf is how long an answer asks to be left alone, from its own Date on; ok
// is false when it says nothing readable. now is the clock by which the answer
// was written.
//
// Retry-After counts before X-RateLimit-Reset, even where the reset is nearer:
// Atlassian documents that asking earlier grows the penalty. The headers named
// Beta- are documented as informational, and count only where a 429 says
// nothing else.
func waitOf(h http.Header, status int, now time.Time) (wait time.Duration, ok bool) {
	for _, name := range []string{"Retry-After", "X-Retry-After"} {
		if wait, ok = parseRetryAfter(h.Get(name), now); ok {
			return wait, true
		}
	}
	if wait, ok = parseReset(h.Get("X-RateLimit-Reset"), now); ok {
		return wait, true
	}
	if status == http.StatusTooManyRequests {
		return parseRetryAfter(h.Get("Beta-Retry-After"), now)
	}
	return 0, false
}

// parseRetryAfter reads seconds, or a moment as HTTP writes it.
func parseRetryAfter(v string, now time.Time) (time.Duration, bool) {
	v = strings.TrimSpace(v)
	if v == "" {
		return 0, false
	}
	if d, ok := parseSeconds(v); ok {
		return d, true
	}
	if at, err := http.ParseTime(v); err == nil {
		return clampWait(at.Sub(now)), true
	}
	return 0, false
}

// parseSeconds reads a number of seconds, with or without a fraction.
func parseSeconds(v string) (time.Duration, bool) {
	if len(v) > 32 || v[0] < '0' || v[0] > '9' || strings.ContainsAny(v, "xXpPeE_") {
		return 0, false
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return 0, false
	}
	return time.Duration(min(f, maxWait.Seconds()) * float64(time.Second)), true
}

// parseReset reads the moment of a reset: ISO 8601, with or without seconds
// (both observed), or a number: of seconds, or of seconds or milliseconds
// since the epoch.
func parseReset(v string, now time.Time) (time.Duration, bool) {
	v = strings.TrimSpace(v)
	if v == "" {
		return 0, false
	}
	if ms, ok := parseISO([]byte(v)); ok {
		return clampWait(time.UnixMilli(ms).Sub(now)), true
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return parseRetryAfter(v, now)
	}
	switch {
	case n < 0:
		return 0, false
	case n >= 1e12:
		return clampWait(time.UnixMilli(min(n, maxMillis)).Sub(now)), true
	case n >= 1e9:
		return clampWait(time.Unix(n, 0).Sub(now)), true
	}
	return parseSeconds(v)
}

func clampWait(d time.Duration) time.Duration { return min(max(d, 0), maxWait) }

var reasonForm = onDemand(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// reasonOf is Atlassian's word for a wait, such as "jira-burst-based"; empty
// where there is none that is fit to be shown.
func reasonOf(h http.Header) string {
	if r := strings.TrimSpace(h.Get("RateLimit-Reason")); reasonForm().MatchString(r) {
		return r
	}
	return ""
}
