package atlassian

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"atlassian_audit_records/pkg/audit"
)

func TestRetriesPauseWithFullJitter(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rand float64
		want []time.Duration
	}{
		"the longest pauses double":      {1, []time.Duration{0, time.Second, 3 * time.Second}},
		"half of the way":                {0.5, []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond}},
		"the shortest pause is no pause": {0, []time.Duration{0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var asked []time.Duration
				c := newTestClient(t, func(*http.Request) (*http.Response, error) {
					asked = append(asked, time.Since(start))
					return reply(500, ""), nil
				}, func(o *Options) { o.Rand = func() float64 { return tc.rand } })
				_, err := c.Source(audit.Jira, "", "").Page(t.Context(), anyQuery)
				checkVerdict(t, err, verdict{code: CodeUnavailable, status: 500})
				if len(asked) != 3 || asked[0] != tc.want[0] || asked[1] != tc.want[1] || asked[2] != tc.want[2] {
					t.Errorf("asked at %v, want %v", asked, tc.want)
				}
			})
		})
	}
}

func TestRetrySucceeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := newTestClient(t, func(*http.Request) (*http.Response, error) {
			if n++; n == 1 {
				return nil, errors.New("connection reset")
			} else if n == 2 {
				return reply(429, "", "Retry-After: 1"), nil
			}
			return reply(200, `{"records":[{"id":1}]}`), nil
		})
		s := c.Source(audit.Jira, "", "")
		p, err := s.Page(t.Context(), anyQuery)
		if err != nil || len(p.Records) != 1 || s.Requests() != 3 || s.Throttled() != 1 {
			t.Fatalf("%d records, %d requests, %d throttled, %v", len(p.Records), s.Requests(), s.Throttled(), err)
		}
	})
}

// hang answers only when its request is given up.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestNoRequestOutlastsItsTime(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		budget time.Duration // 0: none
		answer roundTripper
		took   time.Duration
		code   string
		asked  int
	}{
		"each attempt ends at the timeout": {0, hang, 93 * time.Second, CodeTimeout, 3},
		"a body that never ends is timed out too": {0, func(r *http.Request) (*http.Response, error) {
			resp := reply(200, "")
			resp.Body = hangingBody{r.Context()}
			return resp, nil
		}, 93 * time.Second, CodeTimeout, 3},
		"the run's budget ends an attempt":              {10 * time.Second, hang, 10 * time.Second, CodeInterrupted, 1},
		"a second attempt is cut by what is left of it": {40 * time.Second, hang, 40 * time.Second, CodeInterrupted, 2},
		"no pause is begun that would outlast the budget": {1500 * time.Millisecond, func(*http.Request) (*http.Response, error) {
			return reply(500, ""), nil
		}, time.Second, CodeUnavailable, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tc.budget > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tc.budget)
					defer cancel()
				}
				start := time.Now()
				c := newTestClient(t, tc.answer)
				s := c.Source(audit.Jira, "", "")
				_, err := s.Page(ctx, anyQuery)
				var e *Error
				if !errors.As(err, &e) || e.Code != tc.code {
					t.Fatalf("error %v, want %s", err, tc.code)
				}
				if time.Since(start) != tc.took || s.Requests() != tc.asked {
					t.Errorf("%d requests in %s, want %d in %s", s.Requests(), time.Since(start), tc.asked, tc.took)
				}
				if own := errors.Is(err, context.DeadlineExceeded); own != (tc.code == CodeInterrupted) {
					t.Errorf("looks like the end of the context: %v", own)
				}
			})
		})
	}
}

type hangingBody struct{ ctx context.Context }

func (b hangingBody) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}
func (hangingBody) Close() error { return nil }

func TestCancelledContextSendsNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := newTestClient(t, func(*http.Request) (*http.Response, error) {
		t.Error("a request was sent")
		return nil, errors.New("no")
	})
	_, err := c.Source(audit.Jira, "", "").Page(ctx, anyQuery)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestPaceIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newTestClient(t, func(*http.Request) (*http.Response, error) {
			return reply(200, `{"records":[]}`), nil
		}, func(o *Options) { o.RequestsPerSecond = 0 })
		start := time.Now()
		s := c.Source(audit.Jira, "", "")
		for range 50 {
			if _, err := s.Page(t.Context(), anyQuery); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(start).Round(time.Millisecond); got != 3*time.Second {
			t.Errorf("50 requests took %s, want 20 at once and then 10 a second: 3s", got)
		}
	})
}

func TestSkew(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		date string
		want time.Duration
	}{
		"the same second is no skew": {"Date: Sat, 01 Jan 2000 00:00:00 GMT", 0},
		"20 minutes ahead":           {"Date: Sat, 01 Jan 2000 00:20:00 GMT", 20 * time.Minute},
		"20 minutes behind":          {"Date: Fri, 31 Dec 1999 23:40:00 GMT", -20*time.Minute + time.Second},
		"an answer out of a cache":   {"Age: 600", 0},
		"an unreadable date":         {"Date: today", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				headers := []string{tc.date}
				if tc.date == "Age: 600" {
					headers = append(headers, "Date: Fri, 31 Dec 1999 23:50:00 GMT")
				}
				c := newTestClient(t, func(*http.Request) (*http.Response, error) {
					return reply(200, `{"records":[]}`, headers...), nil
				})
				if _, known := c.Skew(); known {
					t.Error("a skew is known before any answer")
				}
				p, err := c.Source(audit.Jira, "", "").Page(t.Context(), anyQuery)
				if err != nil {
					t.Fatal(err)
				}
				skew, known := c.Skew()
				if skew != tc.want || known == p.Date.IsZero() || !c.Now().Equal(time.Now().Add(tc.want)) {
					t.Errorf("skew %s, %v, date %s; want %s", skew, known, p.Date, tc.want)
				}
			})
		})
	}
}
