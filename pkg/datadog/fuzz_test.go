package datadog

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// FuzzAnswer: whatever Datadog's API answers is JSON, or an *APIError of bounded
// length that does not hold our keys; and nobody waits for longer than a day.
func FuzzAnswer(f *testing.F) {
	f.Add(uint16(200), "", []byte(`{"monitors":[{"id":18446744073709551615}]}`))
	f.Add(uint16(200), "", []byte("<html>"))
	f.Add(uint16(403), "", []byte(`{"errors":["Forbidden",{"title":"t","detail":"d"},null,7]}`))
	f.Add(uint16(400), "", []byte(`{"error":{"message":[],"details":{}}}`))
	f.Add(uint16(429), "99999999999", []byte("\xff\xfe"))
	f.Add(uint16(301), "60", []byte(""))
	const secret = "k3y-0f-th3-t3st"
	var status int
	var wait string
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Reset", wait)
		w.WriteHeader(status)
		_, _ = w.Write(body) // a client that went away is no error
	}))
	f.Cleanup(server.Close)
	c, err := NewClient(Options{URL: server.URL, APIKey: secret, AppKey: secret,
		Wait: func(_ context.Context, d time.Duration) error {
			if d < 0 || d > longestWait {
				return errors.New("a wait out of bounds")
			}
			return nil
		}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s uint16, w string, b []byte) {
		status, wait, body = 200+int(s)%400, w, b
		answer, err := c.call(t.Context(), http.MethodGet, "/api/v1/validate", nil, nil)
		var e *APIError
		switch {
		case err == nil:
			if _, err := json.Marshal(answer); err != nil || status >= 300 {
				t.Errorf("status %d with %q is taken for %v (%v)", status, b, answer, err)
			}
		case !errors.As(err, &e):
			t.Errorf("%T is no *APIError: %v", err, err)
		case strings.Contains(err.Error(), secret) || len(err.Error()) > 2*longestReason:
			t.Errorf("this is no error to show: %v", err)
		}
	})
}

// FuzzReadAsset: a file of any bytes is an error, or what can be sent as JSON
// with our mark.
func FuzzReadAsset(f *testing.F) {
	f.Add([]byte("pipeline:\n  name: x\n  enabled: true\n  processors: [{type: date-remapper, enabled: false}]\n"))
	f.Add([]byte(`{"definition":{"name":"m","tags":["a"],"message":"x"}}`))
	f.Add([]byte(`{"title":"d","description":null,"tags":{},"widgets":[{"definition":{}}]}`))
	f.Add([]byte("pipeline: &a {name: x, processors: [*a]}\n"))
	f.Add([]byte("pipeline: {1: 2, ~: 3}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for k := range kindOf {
			body, err := read(k, text, func() ([]byte, error) { return []byte("why"), nil })
			if err != nil {
				continue
			}
			if body == nil {
				t.Fatalf("%s: %q is nothing at all", k, text)
			}
			a := Asset{Kind: k, Name: "a", body: body}
			if _, err := json.Marshal(a.Body()); err != nil {
				t.Fatalf("%s: %q cannot be sent: %v", k, text, err)
			}
		}
	})
}
