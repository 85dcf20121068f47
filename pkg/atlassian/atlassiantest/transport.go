package atlassiantest

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Transport answers the requests of an http.Client without sockets. A host that
// Atlassian has (api.atlassian.com, auth.atlassian.com, *.atlassian.net) gets
// only what that host serves; any other host gets everything. It can be used
// inside a testing/synctest bubble if it is made there.
func (s *Server) Transport() http.RoundTripper { return &transport{s} }

type transport struct{ s *Server }

func (t *transport) handler(host string) http.Handler {
	name := strings.ToLower(host)
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	switch {
	case name == "api.atlassian.com":
		return t.s.GatewayHandler()
	case name == "auth.atlassian.com":
		return t.s.AuthHandler()
	case strings.HasSuffix(name, ".atlassian.net"):
		return t.s.SiteHandler()
	}
	return t.s.Handler()
}

// arrivedKey is the key of a func() in a request's context, which is to be called
// when the request is counted.
type arrivedKey struct{}

// RoundTrip implements http.RoundTripper. A request arrives whatever becomes of its
// context: which one is the n-th is no matter of chance.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer func() { _ = req.Body.Close() }()
	}
	ctx, cancel := context.WithCancel(req.Context())
	arrived := make(chan struct{})
	arrive := sync.OnceFunc(func() { close(arrived) })
	in := inbound(context.WithValue(ctx, arrivedKey{}, arrive), req)
	unzip := req.Header.Get("Accept-Encoding") == "" && req.Header.Get("Range") == "" && req.Method != http.MethodHead
	if unzip {
		in.Header.Set("Accept-Encoding", "gzip")
	}
	pr, pw := io.Pipe()
	w := &pipeWriter{header: http.Header{}, pipe: pw, ready: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { _ = pw.CloseWithError(context.Cause(req.Context())) })
	go func() {
		defer func() {
			aborted := recover()
			arrive()
			if aborted != nil && aborted != http.ErrAbortHandler { //nolint:errorlint // net/http compares the same way
				w.end(fmt.Errorf("atlassiantest: the handler panicked: %v", aborted))
			} else if gone := context.Cause(req.Context()); gone != nil {
				w.end(gone)
			} else if aborted != nil {
				w.end(io.ErrUnexpectedEOF)
			} else {
				w.WriteHeader(http.StatusOK)
				w.end(nil)
			}
			stop()
		}()
		t.handler(in.Host).ServeHTTP(w, in)
	}()

	select {
	case <-w.ready:
	case <-ctx.Done():
		cancel()
		<-arrived
		return nil, context.Cause(req.Context())
	}
	if w.failed != nil {
		cancel()
		return nil, w.failed
	}
	return w.response(req, &body{pr, cancel}, unzip)
}

// inbound is the request as the server's side sees it.
func inbound(ctx context.Context, req *http.Request) *http.Request {
	in := req.Clone(ctx)
	in.Host = req.Host
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	in.RequestURI = req.URL.RequestURI()
	in.URL = &url.URL{Scheme: req.URL.Scheme, Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: req.URL.RawQuery}
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	in.RemoteAddr = "192.0.2.1:50000"
	in.Response = nil
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.Header == nil {
		in.Header = http.Header{}
	}
	return in
}

// pipeWriter is a ResponseWriter whose client reads from a pipe.
type pipeWriter struct {
	header http.Header
	pipe   *io.PipeWriter
	ready  chan struct{} // closed once sent or failed is set
	once   sync.Once
	status int
	sent   http.Header
	failed error
	how    dropKind
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.ready)
	})
}

func (w *pipeWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(b)
}

// Flush implements http.Flusher: a pipe holds nothing back.
func (w *pipeWriter) Flush() {}

func (w *pipeWriter) drop(how dropKind) { w.how = how }

// end closes the answer: whole with nil, broken off with an error. Where no
// answer was begun the client gets an error in its place.
func (w *pipeWriter) end(err error) {
	w.once.Do(func() {
		switch w.how {
		case dropReset:
			w.failed = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
		case dropClose:
			w.failed = io.EOF
		default:
			w.failed = err
		}
		close(w.ready)
	})
	_ = w.pipe.CloseWithError(err)
}

func (w *pipeWriter) response(req *http.Request, b io.ReadCloser, unzip bool) (*http.Response, error) {
	res := &http.Response{
		Status:        fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.sent,
		Body:          b,
		ContentLength: contentLength(w.sent),
		Request:       req,
	}
	if unzip && strings.EqualFold(res.Header.Get("Content-Encoding"), "gzip") {
		res.Body = &unzipped{from: b}
		res.Header.Del("Content-Encoding")
		res.Header.Del("Content-Length")
		res.ContentLength, res.Uncompressed = -1, true
	}
	return res, nil
}

func contentLength(h http.Header) int64 {
	var n int64
	if _, err := fmt.Sscan(h.Get("Content-Length"), &n); err != nil {
		return -1
	}
	return n
}

// body is an answer's body; closing it lets the handler go.
type body struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b *body) Close() error {
	err := b.PipeReader.CloseWithError(errors.New("the client closed the answer"))
	b.cancel()
	return err
}

type unzipped struct {
	from io.ReadCloser
	z    *gzip.Reader
}

func (u *unzipped) Read(p []byte) (int, error) {
	if u.z == nil {
		z, err := gzip.NewReader(u.from)
		if err != nil {
			return 0, err
		}
		u.z = z
	}
	return u.z.Read(p)
}

func (u *unzipped) Close() error { return u.from.Close() }

// Listen serves Handler on addr ("host:port"; no host means 127.0.0.1, no port
// or 0 means any free one). It returns the origin and a function that closes
// the port and every connection and waits until all answers have ended.
func (s *Server) Listen(addr string) (baseURL string, shut func() error, err error) {
	host, port, err := net.SplitHostPort(addr)
	if addr == "" {
		err = nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("listen address %q: %w", addr, err)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return "", nil, fmt.Errorf("opening the simulator's port: %w: choose another port, or 0 for any that is free", err)
	}
	var running sync.WaitGroup
	h := s.Handler()
	srv := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Done()
			h.ServeHTTP(w, r)
		}),
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(l) // always ErrServerClosed or the listener's end
	}()
	baseURL = "http://" + l.Addr().String()
	s.mu.Lock()
	if s.listenURL == "" {
		s.listenURL = baseURL
	}
	s.mu.Unlock()
	return baseURL, func() error {
		err := srv.Close()
		<-served
		running.Wait()
		return err
	}, nil
}
