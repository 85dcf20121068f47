package atlassian_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
)

// descent reads a log from its newest record down, as a walk does.
type descent struct {
	source *atlassian.Source
	ctx    context.Context //nolint:containedctx // a test's
	// foresee is what is said to be asked after a page; nil reads page by page.
	foresee func(oldest int64) (audit.Query, bool)
	// foreseen counts how often that was asked for.
	foreseen int
}

func (d *descent) ask(q audit.Query) (audit.Page, error) {
	if d.foresee == nil {
		return d.source.Page(d.ctx, q)
	}
	return d.source.Prefetch(d.ctx, q, func(oldest int64) (audit.Query, bool) {
		d.foreseen++
		return d.foresee(oldest)
	})
}

// below asks for what ends at a time.
func below(ms int64) audit.Query { return audit.Query{To: ms, Bounded: true, Limit: 10} }

func ahead(oldest int64) (audit.Query, bool) { return below(oldest), true }

// down is what each question brought, or what went wrong, to the log's end.
func (d *descent) down() (told []string) {
	q := audit.Query{Limit: 10}
	for {
		page, err := d.ask(q)
		var e *atlassian.Error
		if errors.As(err, &e) {
			wait := time.Duration(0)
			if !e.Until.IsZero() {
				wait = time.Until(e.Until)
			}
			return append(told, fmt.Sprint(e.Code, e.Status, e.Person, e.Reason, wait))
		}
		told = append(told, fmt.Sprint(page.Limit, page.Records))
		if len(page.Records) < 10 {
			return told
		}
		q = below(page.Records[9].Millis)
	}
}

// filled is a server with as many records, of distinct moments, and a source of it.
func filled(t *testing.T, p audit.Product, records int) (*atlassiantest.Server, *atlassian.Source) {
	t.Helper()
	server := atlassiantest.New(atlassiantest.Options{Seed: 1})
	at := time.Now().Add(-time.Hour)
	for range records {
		at = at.Add(time.Second)
		server.AddBurst(string(p), 1, at)
	}
	server.SetQuirks(string(p), atlassiantest.Quirks{Latency: time.Second, MaxPage: 1000})
	c := client(t, server.Transport(), basic(t, atlassiantest.DefaultClassicToken))
	return server, c.Source(p, "", atlassian.RouteSite)
}

func TestWhatIsFetchedBeforeItsTurnIsJudgedAtItsTurn(t *testing.T) {
	t.Parallel()
	for name, action := range map[string]*atlassiantest.Action{
		"nothing goes wrong":          nil,
		"an error of the server":      new(atlassiantest.ServerError(500)),
		"an answer that breaks off":   new(atlassiantest.Truncate(0.5)),
		"an answer that seems whole":  new(atlassiantest.TruncateQuietly(0.5)),
		"no JSON":                     new(atlassiantest.MalformedJSON()),
		"a login page":                new(atlassiantest.LoginPage()),
		"a redirect to a login page":  new(atlassiantest.LoginRedirect()),
		"a connection that is reset":  new(atlassiantest.Reset()),
		"no answer":                   new(atlassiantest.Hang()),
		"a wait that is short":        new(atlassiantest.RateLimit(time.Second, atlassiantest.RetrySeconds)),
		"a wait that is long":         new(atlassiantest.RateLimit(time.Hour, atlassiantest.RetrySeconds)),
		"a wait until a moment":       new(atlassiantest.RateLimit(time.Hour, atlassiantest.RetryDate)),
		"unavailable":                 new(atlassiantest.Unavailable(time.Hour, atlassiantest.RetrySeconds)),
		"refused":                     new(atlassiantest.Answer(http.StatusForbidden, "")),
		"not found":                   new(atlassiantest.Answer(http.StatusNotFound, "")),
		"an answer of too many bytes": new(atlassiantest.Huge(9 << 20)),
		"an empty list":               new(atlassiantest.EmptyList()),
		"a record without a date":     new(atlassiantest.DropField(9, "created")),
	} {
		for _, p := range both {
			for _, nth := range []int{1, 2, 3} {
				t.Run(fmt.Sprintf("%s/%s/answer %d", p, name, nth), func(t *testing.T) {
					t.Parallel()
					read := func(foresee func(int64) (audit.Query, bool)) (told []string, requests, throttled int) {
						synctest.Test(t, func(t *testing.T) {
							server, source := filled(t, p, 35)
							if action != nil {
								server.Fault(atlassiantest.Fault{Nth: nth, Action: *action})
							}
							told = (&descent{source: source, ctx: t.Context(), foresee: foresee}).down()
							source.Settle()
							requests, throttled = source.Requests(), source.Throttled()
						})
						return told, requests, throttled
					}
					want, wantRequests, wantThrottled := read(nil)
					got, requests, throttled := read(ahead)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("read page by page (-) and fetched before (+):\n%s", diff)
					}
					if requests < wantRequests || requests > wantRequests+1 || throttled != wantThrottled {
						t.Errorf("%d requests, %d waits; page by page %d and %d", requests, throttled, wantRequests, wantThrottled)
					}
				})
			}
		}
	}
}

func TestTheNextPageTravelsWhileOneIsDecoded(t *testing.T) {
	t.Parallel()
	for _, p := range both {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, source := filled(t, p, 35)
				d := &descent{source: source, ctx: t.Context(), foresee: ahead}
				q := audit.Query{Limit: 10}
				for n := 1; n <= 4; n++ {
					began := time.Now()
					page, err := d.ask(q)
					if err != nil {
						t.Fatal(err)
					}
					if took := time.Since(began); n > 1 && took != 0 {
						t.Errorf("answer %d took %s, although it was fetched before", n, took)
					}
					if n == 4 {
						break
					}
					time.Sleep(time.Second)
					synctest.Wait()
					if got := len(server.Requests()); got != n+1 {
						t.Errorf("%d requests while page %d is looked at, want %d", got, n, n+1)
					}
					q = below(page.Records[9].Millis)
				}
				source.Settle()
				if got := source.Requests(); got != 4 {
					t.Errorf("%d requests, want 4", got)
				}
			})
		})
	}
}

func TestWhatIsNotForeseenIsNotFetched(t *testing.T) {
	t.Parallel()
	nobody := func(int64) (audit.Query, bool) { return audit.Query{}, false }
	wrong := func(oldest int64) (audit.Query, bool) { return below(oldest - 1), true }
	with := func(value string) func([]byte) []byte {
		return func(raw []byte) []byte { return append(raw[:len(raw)-1:len(raw)-1], `,"more":`+value+"}"...) }
	}
	for name, tc := range map[string]struct {
		foresee func(int64) (audit.Query, bool)
		nth     int // the answer that edit changes, 0 for none
		edit    atlassiantest.Action
		// foreseen is how often it was asked what comes next.
		foreseen, requests int
	}{
		"nobody knows what is asked next":              {foresee: nobody, foreseen: 3, requests: 4},
		"what was foreseen is not what is asked, once": {foresee: wrong, foreseen: 1, requests: 5},
		"the last page is not followed":                {foresee: ahead, foreseen: 3, requests: 4},
		"the last date of a page cannot be read": {foresee: ahead, foreseen: 1, requests: 3, // from 1970 on there is nothing
			nth: 2, edit: atlassiantest.SetField(9, "created", `"yesterday"`)},
		"a page is a good deal smaller than the one before": {foresee: ahead, foreseen: 1, requests: 2,
			nth: 2, edit: atlassiantest.EmptyList()},
		"a date inside the last record looks like its own": {foresee: ahead, foreseen: 1, requests: 5,
			nth: 1, edit: atlassiantest.Edit(9, with(`{"created":"2020-01-01T00:00:00.000+0000"}`))},
		"an answer that is asked for again, once": {foresee: ahead, foreseen: 1, requests: 6,
			nth: 1, edit: atlassiantest.TruncateQuietly(0.5)},
		"a text of the last record looks like its date": {foresee: ahead, foreseen: 3, requests: 4,
			nth: 1, edit: atlassiantest.Edit(9, with(`"\"created\":\"2020-01-01T00:00:00.000+0000\""`))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, source := filled(t, audit.Jira, 35)
				if tc.nth > 0 {
					server.Fault(atlassiantest.Fault{Nth: tc.nth, Action: tc.edit})
				}
				d := &descent{source: source, ctx: t.Context(), foresee: tc.foresee}
				d.down()
				source.Settle()
				if d.foreseen != tc.foreseen || source.Requests() != tc.requests {
					t.Errorf("foreseen %d times in %d requests, want %d and %d", d.foreseen, source.Requests(), tc.foreseen, tc.requests)
				}
			})
		})
	}
}

func TestWhatIsFetchedAndNeverAskedForEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(cancel func(), s *atlassian.Source){
		"it is given up":        func(_ func(), s *atlassian.Source) { s.Settle() },
		"its context ends":      func(cancel func(), _ *atlassian.Source) { cancel() },
		"both, one after other": func(cancel func(), s *atlassian.Source) { cancel(); s.Settle(); s.Settle() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// That nothing is left when the bubble ends is what synctest checks.
			synctest.Test(t, func(t *testing.T) {
				server, source := filled(t, audit.Jira, 35)
				server.Fault(atlassiantest.Fault{Nth: 2, Action: atlassiantest.Hang()})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				d := &descent{source: source, ctx: ctx, foresee: ahead}
				first, err := d.ask(audit.Query{Limit: 10})
				if err != nil {
					t.Fatal(err)
				}
				second := below(first.Records[9].Millis)
				synctest.Wait()
				began := time.Now()
				end(cancel, source)
				synctest.Wait()
				if took := time.Since(began); took != 0 || len(server.Requests()) != 2 {
					t.Errorf("it ended after %s and %d requests", took, len(server.Requests()))
				}
				d.ctx = t.Context()
				began = time.Now()
				if page, err := d.ask(second); err != nil || len(page.Records) != 10 {
					t.Errorf("asked afterwards: %d records, %v", len(page.Records), err)
				}
				if took := time.Since(began); took != time.Second {
					t.Errorf("asked afterwards it took %s", took)
				}
				source.Settle()
				// That something was given up is no reason to foresee nothing any more.
				if page, err := d.ask(audit.Query{Limit: 10}); err != nil || len(page.Records) != 10 || d.foreseen != 3 {
					t.Errorf("asked once more: %d records, %v, foreseen %d times", len(page.Records), err, d.foreseen)
				}
				source.Settle()
			})
		})
	}
}

func TestAWaitThatNobodyAskedForBindsWhatIsAskedNext(t *testing.T) {
	t.Parallel()
	limited := atlassiantest.RateLimit(10*time.Minute, atlassiantest.RetrySeconds)
	other := below(time.Now().UnixMilli())
	for name, tc := range map[string]struct {
		action atlassiantest.Action
		// later is how long it takes until something else is asked; settled is true
		// where the answer is given up before.
		later   time.Duration
		settled bool
		ask     func(*descent) (audit.Page, error)
		// wait is what is said to whoever asks, requests how many there are then.
		wait     time.Duration
		requests int
	}{
		"a question that was not foreseen": {limited, time.Minute, false,
			func(d *descent) (audit.Page, error) { return d.ask(other) }, 10 * time.Minute, 2},
		"a question in between": {limited, time.Minute, false,
			func(d *descent) (audit.Page, error) { return d.source.Page(d.ctx, other) }, 10 * time.Minute, 2},
		"a question in between, while the answer is on its way": {limited, 0, false,
			func(d *descent) (audit.Page, error) { return d.source.Page(d.ctx, other) }, 10 * time.Minute, 2},
		"a question after it was given up": {limited, time.Minute, true,
			func(d *descent) (audit.Page, error) { return d.source.Page(d.ctx, other) }, 10 * time.Minute, 2},
		"a question after the wait": {limited, 11 * time.Minute, true,
			func(d *descent) (audit.Page, error) { return d.source.Page(d.ctx, other) }, 0, 3},
		"an answer that is no wait": {atlassiantest.ServerError(500), time.Minute, true,
			func(d *descent) (audit.Page, error) { return d.source.Page(d.ctx, other) }, 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, source := filled(t, audit.Jira, 35)
				server.Fault(atlassiantest.Fault{Nth: 2, Action: tc.action})
				d := &descent{source: source, ctx: t.Context(), foresee: ahead}
				if _, err := d.ask(audit.Query{Limit: 10}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(tc.later)
				if tc.settled {
					source.Settle()
				}
				_, err := tc.ask(d)
				wait, e := time.Duration(0), (*atlassian.Error)(nil)
				if errors.As(err, &e) {
					wait = time.Until(e.Until)
				} else if err != nil {
					t.Fatal(err)
				}
				throttled := 0
				if tc.wait > 0 {
					throttled = 1
				}
				synctest.Wait() // until the server has noted the last request
				if wait != tc.wait || source.Throttled() != throttled || len(server.Requests()) != tc.requests || source.Requests() != tc.requests {
					t.Errorf("a wait of %s, told %d times, after %d requests, %d counted; want %s and %d",
						wait, source.Throttled(), len(server.Requests()), source.Requests(), tc.wait, tc.requests)
				}
				source.Settle()
			})
		})
	}
}

// TestOneQuestionIsOnItsWayAtATime: which answer is the n-th is no matter of chance,
// and a site sees no more of us at once than it did.
func TestOneQuestionIsOnItsWayAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, source := filled(t, audit.Jira, 35)
		d := &descent{source: source, ctx: t.Context(), foresee: ahead}
		first, err := d.ask(audit.Query{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if page, err := source.Page(d.ctx, audit.Query{Limit: 10}); err != nil || len(page.Records) != 10 {
			t.Errorf("asked in between: %d records, %v", len(page.Records), err)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("two answers of a second each took %s", took)
		}
		if page, err := d.ask(below(first.Records[9].Millis)); err != nil || len(page.Records) != 10 {
			t.Errorf("asked at last: %d records, %v", len(page.Records), err)
		}
		source.Settle()
		synctest.Wait()
		if n := len(server.Requests()); n != 4 { // the last page was foreseen as well
			t.Errorf("%d requests, want 4", n)
		}
	})
}

// TestWhatIsForeseenHasLeftWhenAPageIsThere: whether it left before it was given up
// would be chance otherwise.
func TestWhatIsForeseenHasLeftWhenAPageIsThere(t *testing.T) {
	t.Parallel()
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			server, source := filled(t, audit.Jira, 35)
			d := &descent{source: source, ctx: t.Context(), foresee: ahead}
			if _, err := d.ask(audit.Query{Limit: 10}); err != nil {
				t.Fatal(err)
			}
			counted := source.Requests()
			source.Settle()
			synctest.Wait() // until the server has noted it
			if n := len(server.Requests()); n != 2 || counted != 2 || source.Requests() != 2 {
				t.Errorf("%d requests arrived, %d were counted before it was given up and %d after, want 2", n, counted, source.Requests())
			}
		})
	}
}

// TestAnAnswerThatDoesNotComeHoldsNobodyUp who asks something else.
func TestAnAnswerThatDoesNotComeHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, source := filled(t, audit.Jira, 35)
		server.Fault(atlassiantest.Fault{Nth: 2, Action: atlassiantest.Hang()})
		d := &descent{source: source, ctx: t.Context(), foresee: ahead}
		first, err := d.ask(audit.Query{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if page, err := d.ask(below(first.Records[4].Millis)); err != nil || len(page.Records) != 10 {
			t.Errorf("%d records, %v", len(page.Records), err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("an answer of a second took %s", took)
		}
	})
}

// lingering is a network that is slow to let go of a request.
type lingering struct{ http.RoundTripper }

func (l lingering) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(r)
	if err != nil {
		time.Sleep(3 * time.Second) // of the bubble's clock
	}
	return resp, err
}

// TestWhatIsGivenUpHasEnded when that is said: nothing uses the connection, or renews
// a token, behind the back of whoever goes on.
func TestWhatIsGivenUpHasEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, _ := filled(t, audit.Jira, 35)
		server.Fault(atlassiantest.Fault{Nth: 2, Action: atlassiantest.Hang()})
		source := client(t, lingering{server.Transport()}, basic(t, atlassiantest.DefaultClassicToken)).Source(audit.Jira, "", atlassian.RouteSite)
		d := &descent{source: source, ctx: t.Context(), foresee: ahead}
		if _, err := d.ask(audit.Query{Limit: 10}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		source.Settle()
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("it ended within 3 s, and was said to have ended after %s", took)
		}
	})
}

// ending is a credential that can be used once.
type ending struct {
	atlassian.Credential
	base http.RoundTripper
	used bool
}

func (e *ending) RoundTripper(base http.RoundTripper) http.RoundTripper {
	e.base = e.Credential.RoundTripper(base)
	return e
}

func (e *ending) RoundTrip(r *http.Request) (*http.Response, error) {
	if e.used {
		return nil, errors.New("there is no token any more")
	}
	e.used = true
	return e.base.RoundTrip(r)
}

// TestWhatIsForeseenAndNeverSentHoldsNobodyUp: the page that is here is whole, and the
// error comes at its turn.
func TestWhatIsForeseenAndNeverSentHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, _ := filled(t, audit.Jira, 35)
		source := client(t, server.Transport(), &ending{Credential: basic(t, atlassiantest.DefaultClassicToken)}).Source(audit.Jira, "", atlassian.RouteSite)
		got := (&descent{source: source, ctx: t.Context(), foresee: ahead}).down()
		source.Settle()
		if len(got) != 2 || source.Requests() != 1 {
			t.Errorf("%d answers in %d requests: %.200q", len(got), source.Requests(), got)
		}
	})
}

// TestAPageDoesNotWaitForThePaceOfTheNext: where a question has to wait its turn,
// it is asked when it is needed.
func TestAPageDoesNotWaitForThePaceOfTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := atlassiantest.New(atlassiantest.Options{Seed: 1})
		server.Fill(35, time.Hour, string(audit.Jira))
		c, err := atlassian.New(atlassian.Options{
			Site: parse(t, siteURL), Transport: server.Transport(), Credential: basic(t, atlassiantest.DefaultClassicToken),
			Now: time.Now, RequestsPerSecond: 0.1,
		})
		if err != nil {
			t.Fatal(err)
		}
		d := &descent{source: c.Source(audit.Jira, "", atlassian.RouteSite), ctx: t.Context(), foresee: ahead}
		began := time.Now()
		page, err := d.ask(audit.Query{Limit: 10})
		if took := time.Since(began); err != nil || took != 0 {
			t.Fatalf("the first page took %s, %v", took, err)
		}
		if _, err := d.ask(below(page.Records[9].Millis)); err != nil || time.Since(began) != 10*time.Second {
			t.Errorf("the second came after %s, %v", time.Since(began), err)
		}
		if d.source.Settle(); d.foreseen != 2 || d.source.Requests() != 2 {
			t.Errorf("foreseen %d times in %d requests, want 2 and 2", d.foreseen, d.source.Requests())
		}
	})
}
