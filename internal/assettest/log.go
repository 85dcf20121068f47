package assettest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Log is one log as Datadog holds it.
type Log struct {
	// Attributes are the JSON of the line, and what pipelines added.
	Attributes map[string]any
	// Tags are "key:value".
	Tags []string
	// Time is the official date.
	Time time.Time
	// Source, Service, Status and Message are the reserved attributes.
	Source, Service, Status, Message string
}

// ParseLine reads a line of the spool as Datadog's intake does. The official
// date is the line's timestamp; of a late line, which has none, it is the
// record's own date, as if it had arrived in time.
func ParseLine(line []byte) (Log, error) {
	var l Log
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&l.Attributes); err != nil {
		return Log{}, fmt.Errorf("the line is not JSON: %w", err)
	}
	l.Source, _ = l.Attributes["ddsource"].(string)
	l.Service, _ = l.Attributes["service"].(string)
	l.Status = "info"
	if tags, ok := l.Attributes["ddtags"].(string); ok {
		l.Tags = strings.Split(tags, ",")
	}
	if n, ok := l.Attributes["timestamp"].(json.Number); ok {
		ms, err := n.Int64()
		if err != nil {
			return Log{}, fmt.Errorf("the timestamp %s is not in milliseconds", n)
		}
		l.Time = time.UnixMilli(ms).UTC()
	} else if created := l.First("atlassian.created"); created != "" {
		at, err := time.Parse(time.RFC3339, created)
		if err != nil {
			return Log{}, fmt.Errorf("atlassian.created: %w", err)
		}
		l.Time = at.UTC()
	}
	return l, nil
}

// Values are the texts of an attribute, of which there are several where the
// path leads through a list.
func (l *Log) Values(path string) []string {
	return texts(nil, l.Attributes, strings.Split(path, "."))
}

// First is the attribute's first text, "" where there is none.
func (l *Log) First(path string) string {
	if v := l.Values(path); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Facet are the values of what a query calls a facet: "@attribute", a tag's key
// or a reserved attribute.
func (l *Log) Facet(name string) []string {
	if path, ok := strings.CutPrefix(name, "@"); ok {
		return l.Values(path)
	}
	switch name {
	case "source":
		return []string{l.Source}
	case "service":
		return []string{l.Service}
	case "status":
		return []string{l.Status}
	}
	var out []string
	for _, t := range l.Tags {
		if key, value, ok := strings.Cut(t, ":"); ok && key == name {
			out = append(out, value)
		}
	}
	return out
}

// Set gives an attribute a value, making the objects on the way.
func (l *Log) Set(path string, value any) {
	names := strings.Split(path, ".")
	at := l.Attributes
	for _, n := range names[:len(names)-1] {
		inner, ok := at[n].(map[string]any)
		if !ok {
			inner = map[string]any{}
			at[n] = inner
		}
		at = inner
	}
	at[names[len(names)-1]] = value
}

// clone is a copy that pipelines may change.
func (l *Log) clone() Log {
	out := *l
	out.Attributes = cloneObject(l.Attributes)
	out.Tags = slices.Clone(l.Tags)
	return out
}

func cloneObject(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		if inner, ok := v.(map[string]any); ok {
			v = cloneObject(inner)
		}
		out[k] = v
	}
	return out
}

func texts(out []string, v any, path []string) []string {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			out = texts(out, e, path)
		}
	case map[string]any:
		if len(path) > 0 {
			out = texts(out, v[path[0]], path[1:])
		} else if len(v) > 0 {
			out = append(out, "{…}") // it is there, and has no text
		}
	case nil:
	default:
		if len(path) == 0 {
			out = append(out, textOf(v))
		}
	}
	return out
}

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return fmt.Sprint(v)
}
