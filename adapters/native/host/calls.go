//go:build cgo && linux

package main

/*
#include <stdbool.h>
*/
import "C"

import (
	"fmt"
	"sync"
	"unsafe"
)

// Call is one callback that the library called, as the Agent would see it.
type Call struct {
	Kind    string   `json:"kind"` // metric, service_check, event, unexpected
	CheckID string   `json:"check_id"`
	Name    string   `json:"name"`
	Number  float64  `json:"number"` // a metric's value, a service check's status
	Type    int      `json:"type"`   // a metric's type
	Tags    []string `json:"tags"`
	Host    string   `json:"host"`
	Text    string   `json:"text"` // a service check's message, an event's text
	// Event has the rest of an event: its priority, alert type, aggregation key,
	// source type and event type; the time is checked at once.
	Event []string `json:"event,omitempty"`
}

// recorder keeps what was called, under the check's id, from any thread.
type recorder struct {
	mu    sync.Mutex
	calls map[string][]Call
	count int
	keep  bool
}

// recorded is the one table of callbacks, as the Agent has one for its process:
// C knows no other way back.
var recorded = &recorder{calls: map[string][]Call{}}

func (r *recorder) add(c Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	if r.keep {
		r.calls[c.CheckID] = append(r.calls[c.CheckID], c)
	}
}

// take is what was called for a check since the last time.
func (r *recorder) take(id string) []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.calls[id]
	delete(r.calls, id)
	return out
}

// list is an array that ends with a NULL; the Agent does not always look for one
// that is NULL itself.
func list(tags **C.char) []string {
	if tags == nil {
		return []string{"(no list)"}
	}
	out := []string{}
	for at := tags; *at != nil; at = (**C.char)(unsafe.Add(unsafe.Pointer(at), unsafe.Sizeof(at))) {
		out = append(out, C.GoString(*at))
	}
	return out
}

//export hostMetric
func hostMetric(id *C.char, kind C.int, name *C.char, value C.double, tags **C.char, host *C.char, flush C.bool) {
	text := ""
	if flush {
		text = "flush_first_value"
	}
	recorded.add(Call{Kind: "metric", CheckID: C.GoString(id), Name: C.GoString(name), Number: float64(value), Type: int(kind),
		Tags: list(tags), Host: C.GoString(host), Text: text})
}

//export hostServiceCheck
func hostServiceCheck(id, name *C.char, status C.int, tags **C.char, host, message *C.char) {
	recorded.add(Call{Kind: "service_check", CheckID: C.GoString(id), Name: C.GoString(name), Number: float64(status),
		Tags: list(tags), Host: C.GoString(host), Text: C.GoString(message)})
}

//export hostEvent
func hostEvent(id, title, text *C.char, ts C.long, priority, host *C.char, tags **C.char, alert, key, source, kind *C.char) {
	rest := []string{C.GoString(priority), C.GoString(alert), C.GoString(key), C.GoString(source), C.GoString(kind)}
	recorded.add(Call{Kind: "event", CheckID: C.GoString(id), Name: C.GoString(title), Number: float64(ts), Tags: list(tags),
		Host: C.GoString(host), Text: C.GoString(text), Event: rest})
}

//export hostUnexpected
func hostUnexpected(what *C.char) {
	recorded.add(Call{Kind: "unexpected", Name: fmt.Sprintf("%q", C.GoString(what))})
}
