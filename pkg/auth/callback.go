package auth

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Callback listens on this machine for the answer of a consent page.
type Callback struct {
	server    *http.Server
	listeners []net.Listener
	// answers has room for one.
	answers chan callbackAnswer
	check   func(landing string) (code string, err error)
	url     string
}

type callbackAnswer struct {
	code string
	err  error
}

// ListenCallback opens the port on the loopback addresses alone, and answers at
// CallbackURL(port). Port 0 is any free one.
func ListenCallback(ctx context.Context, port int) (*Callback, error) {
	var lc net.ListenConfig
	first, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("listen for the browser on port %d: %w", port, err)
	}
	c := &Callback{listeners: []net.Listener{first}, answers: make(chan callbackAnswer, 1)}
	if a, ok := first.Addr().(*net.TCPAddr); ok {
		port = a.Port
	}
	// Browsers may take localhost for either; a machine may lack the second.
	if second, err := lc.Listen(ctx, "tcp", net.JoinHostPort("::1", strconv.Itoa(port))); err == nil {
		c.listeners = append(c.listeners, second)
	}
	c.url = CallbackURL(port)
	return c, nil
}

// CallbackURL is the callback URL of a port, as the app's settings must have it.
func CallbackURL(port int) string { return "http://localhost:" + strconv.Itoa(port) + "/callback" }

// URL is the callback URL.
func (c *Callback) URL() string { return c.url }

// Wait serves the callback until an answer of this consent comes or ctx ends.
// Answers of other consents are told so, and do not count.
func (c *Callback) Wait(ctx context.Context, consent *Consent) (code string, err error) {
	c.check = consent.Answer
	c.server = &http.Server{
		Handler:           http.HandlerFunc(c.serve),
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    64 << 10,
	}
	running := make(chan struct{})
	for _, l := range c.listeners {
		go func() {
			_ = c.server.Serve(l) // always ErrServerClosed, or the listener's end
			running <- struct{}{}
		}()
	}
	defer func() {
		// The browser gets its page before the port is closed.
		soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if c.server.Shutdown(soon) != nil {
			_ = c.server.Close() // nothing of it matters any more
		}
		for range c.listeners {
			<-running
		}
	}()
	select {
	case a := <-c.answers:
		return a.code, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Close closes the port, where Wait was not called.
func (c *Callback) Close() {
	for _, l := range c.listeners {
		_ = l.Close() // nothing was sent
	}
}

func (c *Callback) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/callback" || r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	code, err := c.check(r.URL.RequestURI())
	var final *Error
	switch {
	case err == nil:
		page(w, http.StatusOK, "The consent arrived", "You may close this page. The terminal tells how it goes on.")
	case errors.As(err, &final):
		page(w, http.StatusOK, "There is no consent", final.Error())
	default:
		page(w, http.StatusBadRequest, "This was not expected", err.Error())
		return
	}
	select {
	case c.answers <- callbackAnswer{code, err}:
	default: // one came already
	}
}

func page(w http.ResponseWriter, status int, title, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the address holds the code
	h.Set("Content-Security-Policy", "default-src 'none'")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!DOCTYPE html><meta charset=utf-8><title>%s</title><h1>%[1]s</h1><p>%s</p>\n", html.EscapeString(title), html.EscapeString(text))
}
