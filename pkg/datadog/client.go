package datadog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/DataDog/datadog-api-client-go/v2/api/datadog"
)

const (
	// tries is how often a request is made that asks for patience.
	tries = 5
	// longestWait bounds one pause between two tries.
	longestWait = 90 * time.Second
	// largestAnswer bounds what is read of one answer, in bytes.
	largestAnswer = 64 << 20
	// answerWithin bounds one request.
	answerWithin = time.Minute
)

// Options say which organisation it is, and with which keys.
type Options struct {
	// Site is a Datadog site like datadoghq.eu; empty is datadoghq.com.
	Site string
	// URL is the API's address in place of the site's; http only on loopback.
	URL string
	// APIKey and AppKey are the organisation's and a person's or service
	// account's.
	APIKey, AppKey string
	// Wait pauses between tries; nil is a real pause.
	Wait func(context.Context, time.Duration) error
}

// A Client speaks to the API of one organisation, by the transport of Datadog's
// own client: its servers, authentication and headers. Bodies are JSON as it
// stands in the assets, not that client's models: those take minutes to compile,
// and leave out what they do not know.
type Client struct {
	api  *datadog.APIClient
	base string
	keys map[string]datadog.APIKey
	wait func(context.Context, time.Duration) error
}

// An OptionError says which setting keeps a Client from being made.
type OptionError struct{ reason string }

func (e *OptionError) Error() string { return e.reason }

// pattern is compiled when it is needed: every run of the check is a process of
// its own, and needs none of this.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

var siteName = pattern(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)

// NewClient returns a client, or an *OptionError. It makes no request.
func NewClient(o Options) (*Client, error) {
	for name, key := range map[string]string{"DD_API_KEY": o.APIKey, "DD_APP_KEY": o.AppKey} {
		if strings.TrimSpace(key) != key || strings.ContainsAny(key, "\r\n") {
			return nil, &OptionError{name + " begins or ends with white space"}
		}
	}
	switch {
	case o.APIKey == "":
		return nil, &OptionError{"DD_API_KEY is not set: give an API key of the organisation in the environment"}
	case o.AppKey == "":
		return nil, &OptionError{"DD_APP_KEY is not set: give an application key in the environment, of a person or service account that may change what is installed"}
	}
	cfg := datadog.NewConfiguration()
	// Its own retries would also repeat a creation that was answered with 500,
	// which may have succeeded.
	cfg.RetryConfiguration.EnableRetry = false
	cfg.HTTPClient = &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 15 * time.Second, IdleConnTimeout: 30 * time.Second},
		Timeout:   answerWithin,
		// The keys are headers of Datadog's own, which a redirect would take
		// along to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	base, err := address(cfg, o)
	if err != nil {
		return nil, err
	}
	c := &Client{
		api: datadog.NewAPIClient(cfg), base: base, wait: o.Wait,
		keys: map[string]datadog.APIKey{"apiKeyAuth": {Key: o.APIKey}, "appKeyAuth": {Key: o.AppKey}},
	}
	if c.wait == nil {
		c.wait = pause
	}
	return c, nil
}

// anySite is the index of the server, in Datadog's client, whose site may be
// one that the client does not list yet.
const anySite = 2

func address(cfg *datadog.Configuration, o Options) (string, error) {
	if o.URL == "" {
		site := o.Site
		if site == "" {
			site = "datadoghq.com"
		}
		if !siteName().MatchString(site) {
			return "", &OptionError{fmt.Sprintf("DD_SITE is %q: it is a name like datadoghq.com or datadoghq.eu, without https:// and app.", site)}
		}
		base, err := cfg.ServerURL(anySite, map[string]string{"site": site})
		if err != nil {
			return "", &OptionError{fmt.Sprintf("DD_SITE is %q: %v", site, err)}
		}
		return base, nil
	}
	u, err := url.Parse(o.URL)
	switch {
	case err != nil, u.Host == "", u.User != nil, u.RawQuery != "", u.Scheme != "https" && u.Scheme != "http":
		return "", &OptionError{"the API's address is not like https://api.datadoghq.com"}
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", &OptionError{fmt.Sprintf("the API's address is http://%s: the keys would be sent in the clear; http is for loopback alone", u.Host)}
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Address is the URL of the API.
func (c *Client) Address() string { return c.base }

// An APIError is an answer that is not the one hoped for.
type APIError struct {
	Method, Path string
	// Status is the HTTP status, and 0 where there was no answer.
	Status int
	// Reason is what Datadog says of it, or what kept the answer away.
	Reason string
	// Unknown is true where the request may have been carried out.
	Unknown bool

	cause error
}

func (e *APIError) Error() string {
	text := fmt.Sprintf("Datadog answered %s %s with %d: %s", e.Method, e.Path, e.Status, e.Reason)
	if e.Status == 0 {
		text = fmt.Sprintf("no answer to %s %s: %s", e.Method, e.Path, e.Reason)
	}
	if e.Unknown {
		text += "; whether it was created is not known, and the next run finds out"
	}
	return text
}

func (e *APIError) Unwrap() error { return e.cause }

// call makes one request, again where that is safe: 429 always, as nothing was
// done; a 5xx or no answer only where doing it twice is doing it once.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, body any) (any, error) {
	var payload any
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write the body of %s %s: %w", method, path, err)
		}
		payload = text
	}
	for try := 1; ; try++ {
		answer, after, err := c.once(ctx, method, path, query, payload)
		var failed *APIError
		if err == nil || !errors.As(err, &failed) || ctx.Err() != nil {
			return answer, err
		}
		limited := failed.Status == http.StatusTooManyRequests
		unsure := failed.Status == 0 || failed.Status >= http.StatusInternalServerError
		if method == http.MethodPost {
			failed.Unknown = unsure
		}
		if try == tries || !limited && (!unsure || method == http.MethodPost) {
			return nil, err
		}
		if after < 0 { // not told
			after = time.Duration(rand.Int64N(int64(time.Second)<<try) + int64(time.Second)/2) //nolint:gosec // jitter
		}
		if err := c.wait(ctx, min(after, longestWait)); err != nil {
			return nil, failed
		}
	}
}

// once makes one request. after is how long the answer asks to wait, negative
// where it does not say.
func (c *Client) once(ctx context.Context, method, path string, query url.Values, payload any) (answer any, after time.Duration, err error) {
	headers := map[string]string{"Accept": "application/json"}
	if payload != nil {
		headers["Content-Type"] = "application/json"
	}
	datadog.SetAuthKeys(context.WithValue(ctx, datadog.ContextAPIKeys, c.keys), &headers,
		[2]string{"apiKeyAuth", "DD-API-KEY"}, [2]string{"appKeyAuth", "DD-APPLICATION-KEY"})
	req, err := c.api.PrepareRequest(ctx, c.base+path, method, payload, headers, query, nil, nil)
	if err != nil {
		return nil, -1, fmt.Errorf("prepare %s %s: %w", method, path, err)
	}
	failed := &APIError{Method: method, Path: path}
	resp, err := c.api.CallAPI(req)
	if err != nil {
		failed.Reason, failed.cause = err.Error(), err
		if u := (*url.Error)(nil); errors.As(err, &u) {
			failed.Reason = u.Err.Error()
		}
		return nil, -1, failed
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, largestAnswer+1))
	switch {
	case err != nil:
		failed.Reason, failed.cause = err.Error(), err
		return nil, -1, failed
	case len(text) > largestAnswer:
		return nil, -1, fmt.Errorf("the answer to %s %s is larger than %d MiB", method, path, largestAnswer>>20)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		failed.Status, failed.Reason = resp.StatusCode, reason(text, resp)
		return nil, reset(resp.Header), failed
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, 0, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // a monitor's id is larger than a float tells apart
	if err := d.Decode(&answer); err != nil {
		failed.Status, failed.Reason = resp.StatusCode, "what is no JSON; is this address Datadog's API?"
		return nil, -1, failed
	}
	return answer, 0, nil
}

// reset is when a limited request may be made again, by Datadog's header in
// seconds.
func reset(h http.Header) time.Duration {
	for _, name := range []string{"X-Ratelimit-Reset", "Retry-After"} {
		if s, err := strconv.Atoi(h.Get(name)); err == nil && s >= 0 && s < 1<<20 {
			return time.Duration(s) * time.Second
		}
	}
	return -1
}

// longestReason bounds what is told of an answer, in bytes.
const longestReason = 500

// reason is what an answer says of itself: `{"errors": ["…"]}`, in a newer form
// with objects, of logs `{"error": {"message", "details"}}`.
func reason(text []byte, resp *http.Response) string {
	var body struct {
		Errors []any `json:"errors"`
		Error  any   `json:"error"`
	}
	var said []string
	if json.Unmarshal(text, &body) == nil {
		for _, e := range append(body.Errors, body.Error) {
			switch e := e.(type) {
			case string:
				said = append(said, e)
			case map[string]any:
				for _, key := range []string{"title", "message", "detail"} {
					if s, ok := e[key].(string); ok && s != "" {
						said = append(said, s)
					}
				}
			}
		}
	}
	out := strings.Join(said, "; ")
	if to := resp.Header.Get("Location"); out == "" && to != "" {
		out = "a redirect, which is not followed"
	}
	if out == "" {
		out = http.StatusText(resp.StatusCode)
	}
	if len(out) > longestReason {
		out = strings.ToValidUTF8(out[:longestReason], "") + "…"
	}
	return out
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
