// Package agenttest is Datadog's side of the Agent's log pipeline, for tests and
// the demo: an intake of logs over HTTP, and what Datadog makes of what it takes.
//
// It promises to take a payload wholly or not at all, to remember all that it
// took in order, and to fail in the ways that it is told. It knows no API key
// from another, stores everything in memory, and shares no code with what sends.
package agenttest

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Path is where the Agent posts logs to (intake API version 2).
const Path = "/api/v2/logs"

// The intake's own limits, as Datadog documents them.
const (
	maxLogs    = 1000
	maxPayload = 5 << 20 // bytes, uncompressed
	maxLog     = 1 << 20
)

// A Log is one log as the Agent sends it: a line, and what it says of the line.
type Log struct {
	Message   string `json:"message"`
	Status    string `json:"status"`
	Timestamp int64  `json:"timestamp"` // ms since the epoch: when it was sent
	Hostname  string `json:"hostname"`
	Service   string `json:"service"`
	Source    string `json:"ddsource"`
	Tags      string `json:"ddtags"`
	// Key is the API key that it came with, and Received when.
	Key      string    `json:"-"`
	Received time.Time `json:"-"`
}

// A Payload is what one request brings.
type Payload struct {
	Logs []Log
	// Encoding is the content encoding, and Bytes the size on the wire.
	Encoding string
	Bytes    int
	Key      string
	// Number counts the requests with at least one log, from 1.
	Number int
}

// A Reply is what an intake does with a payload.
type Reply struct {
	// Status is the answer; 0 is 202.
	Status int
	// Lost takes the payload, and then closes the connection without an answer.
	Lost bool
	// Cut closes the connection without taking anything.
	Cut bool
	// Hang answers only when the client has gone.
	Hang bool
}

// Options are what an intake is made of.
type Options struct {
	// Decoders decompress content encodings besides gzip and deflate, by name.
	Decoders map[string]func([]byte) ([]byte, error)
	// Answer says what to do with a payload; nil takes all. It is called for one
	// payload at a time. The Agent's connectivity probe, a payload without logs, is
	// asked for with Probe, where nil takes it.
	Answer func(Payload) Reply
	Probe  func(key string) Reply
	// Now is the clock; nil is the machine's.
	Now func() time.Time
}

// An Intake is an http.Handler.
type Intake struct {
	options Options

	answering sync.Mutex
	mu        sync.Mutex
	number    int
	logs      []Log
	codes     map[int]int
	encodings map[string]int
	changed   chan struct{}
}

// NewIntake is an intake that has taken nothing.
func NewIntake(o Options) *Intake {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Intake{options: o, codes: map[int]int{}, encodings: map[string]int{}, changed: make(chan struct{})}
}

// Listen serves the intake on an address of this machine, such as 127.0.0.1:0.
func (i *Intake) Listen(addr string) (url string, shut func() error, err error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("listen for logs: %w", err)
	}
	server := &http.Server{Handler: i, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	return "http://" + l.Addr().String(), func() error {
		err := server.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}

// Logs are all that were taken, in order.
func (i *Intake) Logs() []Log {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]Log(nil), i.logs...)
}

// Len is the number of logs taken, and a channel that is closed when it grows or
// an answer is given.
func (i *Intake) Len() (n int, changed <-chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.logs), i.changed
}

// Codes counts the answers by status; connections closed without one are 0.
func (i *Intake) Codes() map[int]int { return i.copied(i.codes) }

func (i *Intake) copied(of map[int]int) map[int]int {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := make(map[int]int, len(of))
	for k, v := range of {
		out[k] = v
	}
	return out
}

// Encodings counts the payloads with logs by their content encoding.
func (i *Intake) Encodings() map[string]int {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := make(map[string]int, len(i.encodings))
	for k, v := range i.encodings {
		out[k] = v
	}
	return out
}

// ServeHTTP implements http.Handler.
func (i *Intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != Path || r.Method != http.MethodPost {
		i.answer(w, http.StatusNotFound, "no such path")
		return
	}
	p, status, err := i.read(r)
	if err != nil {
		i.answer(w, status, err.Error())
		return
	}
	i.answering.Lock()
	reply := i.judge(&p)
	took := !reply.Cut && !reply.Hang && (reply.Lost || reply.Status == 0 || reply.Status == http.StatusAccepted)
	if took {
		i.take(p)
	}
	i.answering.Unlock()
	switch {
	case reply.Hang:
		<-r.Context().Done()
		i.count(0)
		panic(http.ErrAbortHandler)
	case reply.Cut, reply.Lost:
		i.count(0)
		panic(http.ErrAbortHandler) // net/http's way to close the connection
	case took:
		i.answer(w, http.StatusAccepted, "{}")
	default:
		i.answer(w, reply.Status, `{"errors":["told to"]}`)
	}
}

func (i *Intake) judge(p *Payload) Reply {
	if len(p.Logs) == 0 {
		if i.options.Probe == nil {
			return Reply{}
		}
		return i.options.Probe(p.Key)
	}
	i.mu.Lock()
	i.number++
	p.Number = i.number
	i.mu.Unlock()
	if i.options.Answer == nil {
		return Reply{}
	}
	return i.options.Answer(*p)
}

// read takes a request apart, as far as Datadog would.
func (i *Intake) read(r *http.Request) (p Payload, status int, err error) {
	p = Payload{Encoding: r.Header.Get("Content-Encoding"), Key: r.Header.Get("DD-API-KEY")}
	if p.Key == "" {
		return p, http.StatusUnauthorized, errors.New("no API key")
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	if err != nil {
		return p, http.StatusBadRequest, fmt.Errorf("the body cannot be read: %w", err)
	}
	p.Bytes = len(raw)
	text, err := i.decode(p.Encoding, raw)
	switch {
	case err != nil:
		return p, http.StatusBadRequest, fmt.Errorf("the body cannot be decoded: %w", err)
	case len(text) > maxPayload || len(raw) > maxPayload:
		return p, http.StatusRequestEntityTooLarge, errors.New("the payload is larger than 5 MB")
	}
	text = bytes.TrimSpace(text)
	if string(text) == "{}" {
		return p, 0, nil
	}
	if err := json.Unmarshal(text, &p.Logs); err != nil {
		return p, http.StatusBadRequest, fmt.Errorf("the body is no list of logs: %w", err)
	}
	if len(p.Logs) > maxLogs {
		return p, http.StatusRequestEntityTooLarge, errors.New("the payload has more than 1000 logs")
	}
	for n := range p.Logs {
		if len(p.Logs[n].Message) > maxLog {
			return p, http.StatusRequestEntityTooLarge, errors.New("a log is larger than 1 MB")
		}
		p.Logs[n].Key = p.Key
	}
	return p, 0, nil
}

func (i *Intake) decode(encoding string, raw []byte) ([]byte, error) {
	var r io.Reader
	var err error
	switch encoding {
	case "", "identity":
		return raw, nil
	case "gzip":
		r, err = gzip.NewReader(bytes.NewReader(raw))
	case "deflate":
		r, err = zlib.NewReader(bytes.NewReader(raw))
	default:
		decode, ok := i.options.Decoders[encoding]
		if !ok {
			return nil, fmt.Errorf("the content encoding %q is not known", encoding)
		}
		return decode(raw)
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxPayload+1))
}

func (i *Intake) take(p Payload) {
	if len(p.Logs) == 0 {
		return
	}
	now := i.options.Now()
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, l := range p.Logs {
		l.Received = now
		i.logs = append(i.logs, l)
	}
	i.encodings[p.Encoding]++
}

func (i *Intake) answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // a client that left has its answer counted all the same
	i.count(status)
}

func (i *Intake) count(status int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.codes[status]++
	close(i.changed)
	i.changed = make(chan struct{})
}
