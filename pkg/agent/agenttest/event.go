package agenttest

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Datadog refuses logs whose official date is further away than this.
const (
	maxAge   = 18 * time.Hour
	maxAhead = 2 * time.Hour
)

// An Event is a log as Datadog shows it.
type Event struct {
	// Date is the official date, in UTC, with milliseconds.
	Date time.Time
	// Source, Service and Host are the reserved attributes; Tags are sorted.
	Source, Service, Host string
	Tags                  []string
	// Attributes is the text of the log's own JSON; nil where the line is none.
	Attributes json.RawMessage
	// Refused says why Datadog would not keep it; empty where it would.
	Refused string
}

// Event is what Datadog makes of a log (docs.datadoghq.com: Preprocessing): JSON
// in the message becomes attributes, and those with reserved names count before
// what the Agent says, tags beside it.
func (l Log) Event() Event {
	e := Event{Date: time.UnixMilli(l.Timestamp).UTC(), Source: l.Source, Service: l.Service, Host: l.Hostname, Tags: tags(l.Tags)}
	var own struct {
		Timestamp *int64
		Source    string `json:"ddsource"`
		Service   string
		Tags      string `json:"ddtags"`
		Host      string `json:"host"`
	}
	if json.Unmarshal([]byte(l.Message), &own) == nil {
		e.Attributes = json.RawMessage(l.Message)
		if own.Timestamp != nil {
			e.Date = time.UnixMilli(*own.Timestamp).UTC()
		}
		e.Source, e.Service, e.Host = first(own.Source, e.Source), first(own.Service, e.Service), first(own.Host, e.Host)
		e.Tags = tags(l.Tags + "," + own.Tags)
	}
	switch age := l.Received.Sub(e.Date); {
	case age > maxAge:
		e.Refused = "its official date is more than 18 hours back"
	case age < -maxAhead:
		e.Refused = "its official date is more than 2 hours ahead"
	}
	return e
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func tags(s string) []string {
	list := slices.DeleteFunc(strings.Split(s, ","), func(t string) bool { return t == "" })
	slices.Sort(list)
	return slices.Compact(list)
}
