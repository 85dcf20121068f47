package atlassian

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"atlassian_audit_records/pkg/audit"
)

func TestWaitOf(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-11-23T12:00:30Z")
	for name, tc := range map[string]struct {
		status int
		header http.Header
		want   time.Duration
		ok     bool
	}{
		"seconds":                                 {429, http.Header{"Retry-After": {"30"}}, 30 * time.Second, true},
		"seconds with blanks":                     {429, http.Header{"Retry-After": {" 30 "}}, 30 * time.Second, true},
		"seconds with a fraction":                 {429, http.Header{"Retry-After": {"1.5"}}, 1500 * time.Millisecond, true},
		"no seconds":                              {429, http.Header{"Retry-After": {"0"}}, 0, true},
		"a moment":                                {503, http.Header{"Retry-After": {"Mon, 23 Nov 2026 12:05:00 GMT"}}, 270 * time.Second, true},
		"a moment that has passed":                {503, http.Header{"Retry-After": {"Mon, 23 Nov 2026 11:05:00 GMT"}}, 0, true},
		"more than six hours are six":             {429, http.Header{"Retry-After": {"86400"}}, maxWait, true},
		"more than fits into an integer is six":   {429, http.Header{"Retry-After": {"99999999999999999999999"}}, maxWait, true},
		"a year away is six hours":                {429, http.Header{"Retry-After": {"Tue, 23 Nov 2027 12:05:00 GMT"}}, maxWait, true},
		"X-Retry-After":                           {429, http.Header{"X-Retry-After": {"7"}}, 7 * time.Second, true},
		"Retry-After before the reset":            {429, http.Header{"Retry-After": {"3600"}, "X-Ratelimit-Reset": {"2026-11-23T12:01Z"}}, time.Hour, true},
		"an unreadable one gives way to the next": {429, http.Header{"Retry-After": {"soon"}, "X-Ratelimit-Reset": {"2026-11-23T12:01:00Z"}}, 30 * time.Second, true},
		"a reset without seconds":                 {429, http.Header{"X-Ratelimit-Reset": {"2026-11-23T12:02Z"}}, 90 * time.Second, true},
		"a reset in epoch seconds":                {429, http.Header{"X-Ratelimit-Reset": {"1795435290"}}, 60 * time.Second, true},
		"a reset in epoch milliseconds":           {429, http.Header{"X-Ratelimit-Reset": {"1795435290000"}}, 60 * time.Second, true},
		"a reset in seconds":                      {429, http.Header{"X-Ratelimit-Reset": {"45"}}, 45 * time.Second, true},
		"Beta-Retry-After where there is no more": {429, http.Header{"Beta-Retry-After": {"9"}}, 9 * time.Second, true},
		"Beta-Retry-After counts last":            {429, http.Header{"Beta-Retry-After": {"9"}, "X-Retry-After": {"8"}}, 8 * time.Second, true},
		"Beta-Retry-After on another status":      {503, http.Header{"Beta-Retry-After": {"9"}}, 0, false},
		"nothing":                                 {429, http.Header{}, 0, false},
		"a negative number":                       {429, http.Header{"Retry-After": {"-5"}}, 0, false},
		"a hexadecimal number":                    {429, http.Header{"Retry-After": {"0x10"}}, 0, false},
		"not a number":                            {429, http.Header{"Retry-After": {"NaN"}}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := waitOf(tc.header, tc.status, now)
			if got != tc.want || ok != tc.ok {
				t.Errorf("%s, %v; want %s, %v", got, ok, tc.want, tc.ok)
			}
		})
	}
}

// FuzzWaitOf: whatever a header says, the wait lies between nothing and six
// hours.
func FuzzWaitOf(f *testing.F) {
	for _, s := range []string{"30", "1.5", "-1", "1e9", "Mon, 23 Nov 2026 12:05:00 GMT", "2026-11-23T12:02Z", "99999999999999999999", "Inf", "0x1p4", "9999999999999"} {
		f.Add(s, "")
		f.Add("", s)
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, after, reset string) {
		h := http.Header{"Retry-After": {after}, "X-Ratelimit-Reset": {reset}, "Beta-Retry-After": {after + reset}}
		if d, ok := waitOf(h, 429, now); d < 0 || d > maxWait || !ok && d != 0 {
			t.Fatalf("wait %s, %v", d, ok)
		}
	})
}

// TestWaits are the answers that ask to be left alone, in the time of a bubble.
func TestWaits(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status  int
		headers []string
		// until is from the start; asked is how often was asked, over a span of took.
		until  time.Duration
		asked  int
		took   time.Duration
		reason string
		code   string
	}{
		"429 with seconds is not slept through": {429, []string{"Retry-After: 30", "RateLimit-Reason: jira-burst-based"},
			30 * time.Second, 1, 0, "jira-burst-based", CodeQuota},
		"429 with nothing said is a minute":            {429, nil, time.Minute, 1, 0, "", CodeQuota},
		"429 with a short wait is slept through":       {429, []string{"Retry-After: 2"}, 6 * time.Second, 3, 4 * time.Second, "", CodeQuota},
		"429 with no wait at all is not asked at once": {429, []string{"Retry-After: 0"}, 1200 * time.Millisecond, 3, 200 * time.Millisecond, "", CodeQuota},
		"503 with a wait":                              {503, []string{"Retry-After: 120"}, 2 * time.Minute, 1, 0, "", CodeUnavailable},
		"500 with a wait":                              {500, []string{"X-Retry-After: 120"}, 2 * time.Minute, 1, 0, "", CodeUnavailable},
		"more than six hours are cut":                  {429, []string{"Retry-After: 999999"}, 6 * time.Hour, 1, 0, "", CodeQuota},
		"a reason that is no word is not shown": {429, []string{"Retry-After: 9", "RateLimit-Reason: <b>you</b>"},
			9 * time.Second, 1, 0, "", CodeQuota},
		// The bubble begins at midnight of 2000-01-01; Atlassian's clock is 20 minutes ahead.
		"a moment is read by Atlassian's own clock": {429, []string{"Date: Sat, 01 Jan 2000 00:20:00 GMT", "Retry-After: Sat, 01 Jan 2000 00:21:00 GMT"},
			time.Minute, 1, 0, "", CodeQuota},
		"a reset is read by Atlassian's own clock": {429, []string{"Date: Sat, 01 Jan 2000 00:20:30 GMT", "X-RateLimit-Reset: 2000-01-01T00:22Z"},
			90 * time.Second, 1, 0, "", CodeQuota},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				c := newTestClient(t, func(*http.Request) (*http.Response, error) {
					return reply(tc.status, `{"message":"Rate limit exceeded"}`, tc.headers...), nil
				})
				s := c.Source(audit.Jira, "", "")
				_, err := s.Page(t.Context(), anyQuery)
				e := checkVerdict(t, err, verdict{code: tc.code, status: tc.status})
				if until, ok := e.WaitUntil(); !ok || until.Sub(start) != tc.until {
					t.Errorf("wait until %s after the start, %v; want %s", until.Sub(start), ok, tc.until)
				}
				if s.Requests() != tc.asked || s.Throttled() != tc.asked || time.Since(start) != tc.took {
					t.Errorf("asked %d times, throttled %d, in %s; want %d in %s", s.Requests(), s.Throttled(), time.Since(start), tc.asked, tc.took)
				}
				if e.Reason != tc.reason {
					t.Errorf("reason %q, want %q", e.Reason, tc.reason)
				}
			})
		})
	}
}
