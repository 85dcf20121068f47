package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func options(t testing.TB) ClientCredentialsOptions {
	t.Helper()
	return ClientCredentialsOptions{
		ClientID: "the-id", ClientSecret: plain, Now: time.Now,
		Origins: []*url.URL{parse(t, "https://api.atlassian.com")},
	}
}

func newClient(t testing.TB, change ...func(*ClientCredentialsOptions)) *ClientCredentials {
	t.Helper()
	o := options(t)
	for _, c := range change {
		c(&o)
	}
	c, err := NewClientCredentials(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func clientError(t testing.TB, change func(*ClientCredentialsOptions)) error {
	t.Helper()
	o := options(t)
	change(&o)
	_, err := NewClientCredentials(o)
	return err
}

// atlassian is a gateway and an authorisation server without sockets.
type atlassian struct {
	mu sync.Mutex
	// answer is the token endpoint's answer; nil issues token-1, token-2, …
	answer roundTripper
	issued int
	// good is the token that the gateway accepts; empty means the last one issued.
	good  string
	asked []string
}

func (a *atlassian) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.URL.String() == "https://auth.atlassian.com/oauth/token" {
		if r.Header.Get("Authorization") != "" {
			return nil, errors.New("the secret was sent in a header")
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		v, err := url.ParseQuery(string(body))
		if err != nil || v.Encode() != "client_id=the-id&client_secret="+plain+"&grant_type=client_credentials" {
			return nil, fmt.Errorf("an unexpected request for a token (%d parameters, %w)", len(v), err)
		}
		a.issued++
		if a.answer != nil {
			return a.answer(r)
		}
		return reply(200, fmt.Sprintf(`{"access_token":"token-%d","token_type":"Bearer","expires_in":3600,"scope":"x"}`, a.issued)), nil
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	a.asked = append(a.asked, token)
	good := a.good
	if good == "" {
		good = fmt.Sprintf("token-%d", a.issued)
	}
	if token != good {
		return reply(401, `{}`), nil
	}
	return reply(200, `{}`), nil
}

func get(t *testing.T, rt http.RoundTripper) (int, error) {
	t.Helper()
	return getWith(t, t.Context(), rt)
}

//nolint:revive // t first, as in every helper
func getWith(t *testing.T, ctx context.Context, rt http.RoundTripper) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.atlassian.com/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func TestTokenIsUsedUntilAMinuteBeforeItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &atlassian{}
		rt := newClient(t).RoundTripper(a)
		ask := func(want int, issued int) {
			t.Helper()
			if status, err := get(t, rt); err != nil || status != want || a.issued != issued {
				t.Errorf("after %s: status %d, %d tokens issued, %v; want %d", time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), status, a.issued, err, issued)
			}
		}
		ask(200, 1)
		wait(59*time.Minute - time.Second)
		ask(200, 1)
		wait(time.Second)
		ask(200, 2)
	})
}

// wait lets a bubble's time pass.
func wait(d time.Duration) { <-time.After(d) }

func TestTokenWithoutAnEndIsKeptForHalfAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &atlassian{good: "t", answer: func(*http.Request) (*http.Response, error) {
			return reply(200, `{"access_token":"t"}`), nil
		}}
		rt := newClient(t).RoundTripper(a)
		for _, want := range []int{1, 1, 2} {
			if status, err := get(t, rt); err != nil || status != 200 || a.issued != want {
				t.Errorf("status %d, %d tokens, %v; want %d", status, a.issued, err, want)
			}
			wait(20 * time.Minute)
		}
	})
}

func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	a := &atlassian{}
	rt := newClient(t).RoundTripper(a)
	mustGet := func(want int) {
		t.Helper()
		if status, err := get(t, rt); err != nil || status != want {
			t.Fatalf("status %d, %v; want %d", status, err, want)
		}
	}
	mustGet(200)
	a.good = "token-2"
	mustGet(200) // token-1 was kept and refused, token-2 is fetched
	a.good = "none"
	mustGet(401) // token-2 was kept and refused, and so is token-3
	if a.issued != 3 || strings.Join(a.asked, " ") != "token-1 token-1 token-2 token-2 token-3" {
		t.Errorf("%d tokens, asked with %v", a.issued, a.asked)
	}
	fresh := newClient(t).RoundTripper(a)
	if status, err := get(t, fresh); err != nil || status != 401 || a.issued != 4 {
		t.Errorf("a token just fetched was replaced: status %d, %d tokens, %v", status, a.issued, err)
	}
}

func TestOneTokenForManyRequests(t *testing.T) {
	t.Parallel()
	a := &atlassian{}
	rt := newClient(t).RoundTripper(a)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if status, err := get(t, rt); err != nil || status != 200 {
				t.Errorf("status %d, %v", status, err)
			}
		})
	}
	wg.Wait()
	if a.issued != 1 {
		t.Errorf("%d tokens for 20 requests at once", a.issued)
	}
}

// TestTokenEndpoint is the table of every judgement on its answer.
func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string, headers ...string) roundTripper {
		return func(*http.Request) (*http.Response, error) { return reply(status, body, headers...), nil }
	}
	for name, tc := range map[string]struct {
		answer roundTripper
		code   string
		person bool
		wait   time.Duration
		says   string
	}{
		"401": {answer(401, `{"error":"invalid_client","error_description":"`+plain+`"}`), CodeClient, true, 0,
			"auth.atlassian.com refuses the client id or secret (status 401, invalid_client): check `client_id` and `client_secret`"},
		"403":                         {answer(403, `{"error":"access_denied"}`), CodeClient, true, 0, "(status 403, access_denied)"},
		"400":                         {answer(400, `{"error":"unauthorized_client"}`), CodeClient, true, 0, "(status 400, unauthorized_client)"},
		"an error code of its own":    {answer(400, `{"error":"`+plain+`"}`), CodeClient, true, 0, "(status 400)"},
		"an error with 200":           {answer(200, `{"error":"invalid_client"}`), CodeClient, true, 0, "(status 200, invalid_client)"},
		"401 with a web page":         {answer(401, "<html>"+plain), CodeClient, true, 0, "(status 401)"},
		"404":                         {answer(404, "{}"), CodeTokenInvalid, true, 0, "check `auth_server`"},
		"429 with seconds":            {answer(429, "", "Retry-After: 90"), CodeTokenWait, false, 90 * time.Second, "no token is asked for before 2000-01-01T00:01:30Z"},
		"429 without":                 {answer(429, ""), CodeTokenWait, false, time.Minute, "wants to be left alone"},
		"429 for a year":              {answer(429, "", "Retry-After: 99999999"), CodeTokenWait, false, 6 * time.Hour, ""},
		"429 with a moment":           {answer(429, "", "Date: Sat, 01 Jan 2000 00:20:00 GMT", "Retry-After: Sat, 01 Jan 2000 00:22:00 GMT"), CodeTokenWait, false, 2 * time.Minute, ""},
		"503 with a wait":             {answer(503, "", "Retry-After: 5"), CodeTokenWait, false, 5 * time.Second, ""},
		"503 without":                 {answer(503, ""), CodeTokenServer, false, 0, "is unavailable (status 503)"},
		"500":                         {answer(500, plain), CodeTokenServer, false, 0, "is unavailable (status 500)"},
		"a redirect":                  {answer(307, "", "Location: https://evil.example/oauth/token"), CodeTokenRedirect, true, 0, "is not followed with a secret"},
		"a web page":                  {answer(200, "<html>"+plain, "Content-Type: text/html"), CodeTokenInvalid, false, 0, "something that is no token"},
		"no token":                    {answer(200, `{"expires_in":3600}`), CodeTokenInvalid, false, 0, "something that is no token"},
		"a token of an unknown kind":  {answer(200, `{"access_token":"`+plain+`","token_type":"mac"}`), CodeTokenInvalid, true, 0, "unknown type"},
		"a body that breaks off":      {answer(200, `{"access_token":"`+plain), CodeTokenInvalid, false, 0, "something that is no token"},
		"an expiry that is no number": {answer(200, `{"access_token":"`+plain+`","expires_in":"soon"}`), CodeTokenInvalid, false, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := &atlassian{answer: tc.answer}
				start := time.Now()
				_, err := get(t, newClient(t).RoundTripper(a))
				var e *Error
				if !errors.As(err, &e) {
					t.Fatalf("error %v", err)
				}
				until, wait := e.WaitUntil()
				if e.Code() != tc.code || e.NeedsPerson() != tc.person || wait != (tc.wait > 0) || wait && until.Sub(start) != tc.wait {
					t.Errorf("code %s, person %v, wait until %s: %v", e.Code(), e.NeedsPerson(), until, e)
				}
				if !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), plain) || e.What() == "" || e.Next() == "" {
					t.Errorf("%q lacks %q", err, tc.says)
				}
				if len(a.asked) != 0 || a.issued != 1 {
					t.Errorf("%d requests for a token, %d to the gateway", a.issued, len(a.asked))
				}
			})
		})
	}
}

func TestTokenEndpointCannotBeReached(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection refused")
	a := &atlassian{answer: func(*http.Request) (*http.Response, error) { return nil, cause }}
	_, err := get(t, newClient(t).RoundTripper(a))
	// Left to the caller's judgement, which knows networks.
	if !errors.Is(err, cause) || err.Error() != "fetch a token from auth.atlassian.com: connection refused" {
		t.Errorf("error %v", err)
	}
	var told interface{ Unreached() string }
	if !errors.As(err, &told) || told.Unreached() != "auth.atlassian.com" {
		t.Errorf("it does not tell which host: %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	a.answer = func(r *http.Request) (*http.Response, error) {
		cancel()
		return nil, r.Context().Err()
	}
	if _, err := getWith(t, ctx, newClient(t).RoundTripper(a)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
