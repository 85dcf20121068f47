package atlassian

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"

	"atlassian_audit_records/pkg/audit"
)

const (
	// tries is how often one question is asked before it counts as failed.
	tries = 3
	// The pause before the second try is at most firstPause, drawn evenly from
	// nothing up ("full jitter"), doubling up to maxPause.
	firstPause = time.Second
	maxPause   = 8 * time.Second
)

// question is one request, and what its answer must be.
type question struct {
	client  *http.Client
	product audit.Product
	// subject is what is asked for, in a sentence, where it is no product's
	// records.
	subject string
	url     *url.URL
	// maxBody bounds the body of a good answer in bytes; sizeHint is its likely
	// size, or 0.
	maxBody  int64
	sizeHint int
	// sent is called for each request sent to url, waited for each answer that
	// asks to wait; both may be nil.
	sent, waited func()
	// before is the first answer where it was fetched before its turn, else nil.
	before func() fetched
	// arrived is told the body of a good answer before it is judged; may be nil.
	arrived func(body []byte)
	// decode reads the body of an answer that looks good. Its error must not
	// quote the body.
	decode func(body []byte) error
	// untilEnd is true where the caller's context leaves less than a whole
	// timeout, so that running out of time is the end of the run's budget.
	untilEnd bool
}

// endsTogether reports whether child has no deadline of its own.
func endsTogether(parent, child context.Context) bool {
	p, ok := parent.Deadline()
	c, _ := child.Deadline()
	return ok && c.Equal(p)
}

// answer is what is left of a good answer beside what decode took.
type answer struct {
	// date is the Date header, zero where there was none.
	date time.Time
	size int
	// user is the user name by which Data Center knows who asked; empty where the
	// answer does not say it.
	user string
}

// do asks a question, and asks again a few times where that may help, never
// beyond the context.
func (c *Client) do(ctx context.Context, q question) (answer, *Error) {
	p := &pauses{ctx: ctx, now: c.now, rand: c.rand}
	a, err := backoff.Retry(ctx, func() (answer, error) {
		a, failure := c.attempt(ctx, q)
		q.before = nil
		if p.last = failure; failure != nil {
			return a, failure
		}
		return a, nil
	}, backoff.WithBackOff(p), backoff.WithMaxTries(tries), backoff.WithMaxElapsedTime(0))
	if err != nil {
		// Where the context ended during a pause, the last failure says more.
		return answer{}, p.last
	}
	return a, nil
}

// pauses decides whether to ask again, and when.
type pauses struct {
	ctx  context.Context
	now  func() time.Time
	rand func() float64
	n    int
	last *Error
}

func (p *pauses) Reset() { p.n = 0 }

// NextBackOff is the pause before the next try, or backoff.Stop.
func (p *pauses) NextBackOff() time.Duration {
	if p.last == nil || !p.last.retry {
		return backoff.Stop
	}
	pause := p.last.pause
	if pause == 0 {
		pause = time.Duration(p.rand() * float64(min(firstPause<<p.n, maxPause)))
		p.n++
	}
	if end, ok := p.ctx.Deadline(); ok && end.Sub(p.now()) <= pause {
		return backoff.Stop
	}
	return pause
}

// attempt sends one request and judges what comes back.
func (c *Client) attempt(ctx context.Context, q question) (answer, *Error) {
	var f fetched
	if q.before != nil {
		f = q.before()
	} else {
		f = c.fetch(ctx, q)
	}
	if f.failure != nil {
		return answer{}, f.failure
	}
	q.untilEnd = f.untilEnd
	if f.err != nil && !errors.Is(f.err, errTooLarge) && ctx.Err() != nil {
		return answer{}, c.interrupted(ctx, q)
	}
	if q.arrived != nil && f.err == nil && f.resp.StatusCode == http.StatusOK {
		q.arrived(f.body)
	}
	failure := c.judge(ctx, q, f.resp, f.date, f.body, f.err)
	if failure == nil {
		c.noteQuota(f.resp.Header, f.date)
	}
	if failure != nil && !failure.Until.IsZero() && q.waited != nil {
		q.waited()
	}
	return answer{date: f.date, size: len(f.body), user: userName(f.resp.Header)}, failure
}

// fetched is an answer that is here and was not looked at yet.
type fetched struct {
	resp *http.Response // its body is read and closed
	date time.Time
	body []byte
	// err is what went wrong while the body was read, failure what went wrong
	// before there was an answer.
	err     error
	failure *Error
	// untilEnd is for the question; see there.
	untilEnd bool
}

// fetch sends one request and takes the answer.
func (c *Client) fetch(ctx context.Context, q question) (f fetched) {
	if err := c.limiter.Wait(ctx); err != nil {
		return fetched{failure: c.interrupted(ctx, q)}
	}
	attemptCtx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	q.untilEnd = endsTogether(ctx, attemptCtx)
	attemptCtx = context.WithValue(attemptCtx, countKey{}, q)
	req, err := http.NewRequestWithContext(attemptCtx, http.MethodGet, q.url.String(), nil)
	if err != nil {
		return fetched{failure: c.failure(q, Error{Code: CodeBadRequest, Person: true,
			What: "the address could not be asked", Next: "check `site` and `gateway`", Err: err})}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	acceptGzip(req)
	resp, err := q.client.Do(req)
	if err != nil {
		return fetched{failure: c.judgeSilence(ctx, q, err)}
	}
	defer resp.Body.Close()
	f = fetched{resp: resp, untilEnd: q.untilEnd}
	if resp.StatusCode != http.StatusProxyAuthRequired {
		f.date = c.observe(resp.Header)
	}
	limit := q.maxBody
	if resp.StatusCode != http.StatusOK {
		limit = maxErrorBody
	}
	f.body, f.err = c.unzip.read(resp, limit, q.sizeHint)
	return f
}

// userName is the X-AUSERNAME header, which Data Center sends with every answer
// (observed), percent-encoded where need be.
func userName(h http.Header) string {
	name := h.Get("X-AUSERNAME")
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	if name == "anonymous" {
		return ""
	}
	return name
}

// counting counts the requests that really go to the address asked for: a
// credential may send one twice, and others of its own.
type counting struct{ base http.RoundTripper }

type countKey struct{}

func (c counting) RoundTrip(req *http.Request) (*http.Response, error) {
	q, ok := req.Context().Value(countKey{}).(question)
	if ok && q.sent != nil && req.URL.Host == q.url.Host && req.URL.Path == q.url.Path {
		q.sent()
	}
	return c.base.RoundTrip(req)
}
