package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
)

// Status is the outcome of a service check, as the Agent numbers them.
type Status int

// The outcomes of a service check.
const (
	StatusOK       Status = 0
	StatusWarning  Status = 1
	StatusCritical Status = 2
	StatusUnknown  Status = 3
)

// MetricType is how the Agent aggregates a metric.
type MetricType string

// The types that an adapter knows.
const (
	Gauge          MetricType = "gauge"
	Rate           MetricType = "rate"
	Count          MetricType = "count"
	MonotonicCount MetricType = "monotonic_count"
	Histogram      MetricType = "histogram"
)

// ServiceCheck is one line of that type. An empty Hostname is the Agent's.
type ServiceCheck struct {
	Name     string   `json:"name"`
	Status   Status   `json:"status"`
	Tags     []string `json:"tags"`
	Hostname string   `json:"hostname"`
	Message  string   `json:"message"`
}

// Metric is one line of that type. An empty Hostname is the Agent's.
type Metric struct {
	MetricType MetricType `json:"metric_type"`
	Name       string     `json:"name"`
	Value      float64    `json:"value"`
	Tags       []string   `json:"tags"`
	Hostname   string     `json:"hostname"`
}

// Event is one line of that type. AlertType is info, success, warning or error.
type Event struct {
	Title          string   `json:"title"`
	Text           string   `json:"text"`
	AlertType      string   `json:"alert_type"`
	Tags           []string `json:"tags"`
	AggregationKey string   `json:"aggregation_key"`
}

// ErrResultWritten says that the answer is complete already.
var ErrResultWritten = errors.New("the result has been written: nothing may follow it")

// Writer writes an answer: JSON lines, each with one Write, the last of them
// the result. It may be used by several goroutines. After the first error of
// the stream it writes nothing more; Err has it.
type Writer struct {
	mu      sync.Mutex
	w       io.Writer
	err     error
	done    bool
	secrets []string
}

// NewWriter writes to w, which is standard output.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Hide makes the writer replace these values wherever a text holds them. It
// is the last of several safeguards: no text should.
func (w *Writer) Hide(secrets ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range secrets {
		if len(s) >= 4 { // a shorter one would garble every message, and is no secret
			w.secrets = append(w.secrets, s)
		}
	}
}

// Err is the first error of the stream: its reader is gone, and the run should end.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// ServiceCheck writes one.
func (w *Writer) ServiceCheck(s ServiceCheck) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.Tags = w.texts(s.Tags)
	s.Message = redact(s.Message, w.secrets)
	w.line(struct {
		Type string `json:"type"`
		ServiceCheck
	}{"service_check", s})
}

// Metric writes one. A value that is not finite, which JSON cannot say, is
// told of in a log line instead.
func (w *Writer) Metric(m Metric) {
	if math.IsNaN(m.Value) || math.IsInf(m.Value, 0) {
		w.Log("error", fmt.Sprintf("the metric %s was left out: its value is not a finite number", m.Name))
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	m.Tags = w.texts(m.Tags)
	w.line(struct {
		Type string `json:"type"`
		Metric
	}{"metric", m})
}

// Event writes one.
func (w *Writer) Event(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.Title, e.Text, e.Tags = redact(e.Title, w.secrets), redact(e.Text, w.secrets), w.texts(e.Tags)
	w.line(struct {
		Type string `json:"type"`
		Event
	}{"event", e})
}

// Log writes a line for the Agent's log; level is one of trace, debug, info,
// warning, error and critical.
func (w *Writer) Log(level, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line(struct {
		Type    string `json:"type"`
		Level   string `json:"level"`
		Message string `json:"message"`
	}{"log", level, redact(message, w.secrets)})
}

// Warning writes a line that `agent status` shows beside the check.
func (w *Writer) Warning(message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line(struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}{"warning", redact(message, w.secrets)})
}

// Result writes the last line. An empty sentence is an error of null: the run
// did its work, or had to wait.
func (w *Writer) Result(sentence string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return ErrResultWritten
	}
	var text *string
	if sentence != "" {
		sentence = redact(sentence, w.secrets)
		text = &sentence
	}
	w.line(struct {
		Type  string  `json:"type"`
		Error *string `json:"error"`
	}{"result", text})
	w.done = true
	return w.err
}

// texts is a list for JSON: never null, and with nothing secret in it.
func (w *Writer) texts(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = redact(s, w.secrets)
	}
	return out
}

// line writes v; the caller holds the lock. What comes after the result is
// dropped: a reader has stopped reading there.
func (w *Writer) line(v any) {
	if w.done || w.err != nil {
		return
	}
	text, err := marshalLine(v)
	if err != nil {
		w.err = fmt.Errorf("encode a line of the answer: %w", err)
		return
	}
	n, err := w.w.Write(text)
	if err == nil && n < len(text) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = fmt.Errorf("write the answer to standard output: %w", err)
	}
}

// marshalLine is v as one line of JSON, its line break included.
func marshalLine(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
