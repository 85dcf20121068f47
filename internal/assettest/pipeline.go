package assettest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Pipeline is a log pipeline in the format of integrations-core's
// assets/logs/<source>.yaml.
type Pipeline struct {
	ID        string  `yaml:"id"`
	MetricID  string  `yaml:"metric_id"`
	BackEnd   bool    `yaml:"backend_only"`
	Facets    []Facet `yaml:"facets"`
	Processor `yaml:"pipeline"`
}

// Facet is an attribute that a pipeline makes searchable.
type Facet struct {
	Groups    []string `yaml:"groups"`
	Name      string   `yaml:"name"`
	Path      string   `yaml:"path"`
	Source    string   `yaml:"source"`
	Type      string   `yaml:"type"`
	FacetType string   `yaml:"facetType"`
}

// Processor is one step of a pipeline; a pipeline is one, too.
type Processor struct {
	Type       string       `yaml:"type"`
	Name       string       `yaml:"name"`
	Enabled    bool         `yaml:"enabled"`
	Filter     filter       `yaml:"filter"`
	Processors []*Processor `yaml:"processors"`
	Sources    []string     `yaml:"sources"`
	Target     string       `yaml:"target"`
	Categories []category   `yaml:"categories"`
	Template   string       `yaml:"template"`
	Missing    bool         `yaml:"replaceMissing"`
	IPBehavior string       `yaml:"ip_processing_behavior"`

	match []Query
}

type filter struct {
	Query string `yaml:"query"`
}

type category struct {
	Filter filter `yaml:"filter"`
	Name   string `yaml:"name"`
}

// ParsePipeline reads a pipeline; an unknown key or processor is an error.
func ParsePipeline(text []byte) (*Pipeline, error) {
	var p Pipeline
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("the pipeline: %w", err)
	}
	if err := p.prepare(); err != nil {
		return nil, fmt.Errorf("the pipeline %s: %w", p.ID, err)
	}
	return &p, nil
}

// prepare parses the queries of a processor and of those within it.
func (p *Processor) prepare() error {
	var queries []string
	switch p.Type {
	case "pipeline":
		queries = []string{p.Filter.Query}
	case "category-processor":
		for _, c := range p.Categories {
			queries = append(queries, c.Filter.Query)
		}
	case "date-remapper", "service-remapper", "status-remapper", "message-remapper", "geo-ip-parser":
		if len(p.Sources) == 0 {
			return fmt.Errorf("the processor %q has no sources", p.Name)
		}
	case "string-builder-processor":
	default:
		return fmt.Errorf("the processor %q has the type %q, which nobody here knows", p.Name, p.Type)
	}
	for _, text := range queries {
		q, err := ParseQuery(text)
		if err != nil {
			return fmt.Errorf("the processor %q: %w", p.Name, err)
		}
		p.match = append(p.match, q)
	}
	for _, inner := range p.Processors {
		if err := inner.prepare(); err != nil {
			return err
		}
	}
	return nil
}

// Run is the log as it leaves the pipeline.
func (p *Pipeline) Run(l Log, places Places) Log {
	out := l.clone()
	p.run(&out, places)
	return out
}

func (p *Processor) run(l *Log, places Places) {
	if !p.Enabled {
		return
	}
	switch p.Type {
	case "pipeline":
		if p.match[0].Match(l) {
			for _, inner := range p.Processors {
				inner.run(l, places)
			}
		}
	case "category-processor":
		if i := slices.IndexFunc(p.match, func(q Query) bool { return q.Match(l) }); i >= 0 {
			l.Set(p.Target, p.Categories[i].Name)
		}
	case "string-builder-processor":
		if text, ok := build(p.Template, l, p.Missing); ok {
			l.Set(p.Target, text)
		}
	case "geo-ip-parser":
		for _, s := range p.Sources {
			if ip := l.First(s); ip != "" {
				l.Set(p.Target, places.locate(ip))
				break
			}
		}
	default:
		p.remap(l)
	}
}

// remap makes an attribute one of the reserved ones.
func (p *Processor) remap(l *Log) {
	text := ""
	for _, s := range p.Sources {
		if text = l.First(s); text != "" {
			break
		}
	}
	if text == "" {
		return
	}
	switch p.Type {
	case "service-remapper":
		l.Service = text
	case "message-remapper":
		l.Message = text
	case "status-remapper":
		l.Status = statusOf(text)
	case "date-remapper":
		if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
			l.Time = time.UnixMilli(ms).UTC()
		} else if at, err := time.Parse(time.RFC3339, text); err == nil {
			l.Time = at.UTC()
		}
	}
}

// statusOf reads a status by its beginning, as Datadog does.
func statusOf(text string) string {
	text = strings.ToLower(text)
	for _, s := range []struct{ begin, status string }{
		{"emerg", "emergency"}, {"f", "emergency"}, {"a", "alert"}, {"c", "critical"}, {"e", "error"}, {"w", "warning"},
		{"n", "notice"}, {"i", "info"}, {"d", "debug"}, {"trace", "debug"}, {"verbose", "debug"}, {"o", "ok"}, {"s", "ok"},
	} {
		if strings.HasPrefix(text, s.begin) {
			return s.status
		}
	}
	return "info"
}

// build fills the %{attribute} of a template; it is not ok where one is missing
// and missing ones are not to be replaced.
func build(template string, l *Log, missing bool) (string, bool) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(template, "%{")
		out.WriteString(before)
		if !found {
			return out.String(), true
		}
		name, after, _ := strings.Cut(rest, "}")
		values := l.Values(name)
		if len(values) == 0 && !missing {
			return "", false
		}
		out.WriteString(strings.Join(values, ","))
		template = after
	}
}

// PipelineTest is one of integrations-core's assets/logs/<source>_tests.yaml.
type PipelineTest struct {
	Sample string `yaml:"sample"`
	// Service is what the log's configuration says.
	Service string         `yaml:"service"`
	Result  PipelineResult `yaml:"result"`
}

// PipelineResult is what a pipeline makes of a sample.
type PipelineResult struct {
	Custom    map[string]any `yaml:"custom"`
	Message   string         `yaml:"message"`
	Service   string         `yaml:"service"`
	Status    string         `yaml:"status"`
	Tags      []string       `yaml:"tags"`
	Timestamp int64          `yaml:"timestamp"`
}

// ParsePipelineTests reads a file of tests.
func ParsePipelineTests(text []byte) (id string, tests []PipelineTest, err error) {
	var file struct {
		ID    string         `yaml:"id"`
		Tests []PipelineTest `yaml:"tests"`
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		return "", nil, fmt.Errorf("the pipeline's tests: %w", err)
	}
	return file.ID, file.Tests, nil
}

// JSON is a result's attributes as JSON, in which they can be compared.
func (r PipelineResult) JSON() (string, error) { return marshal(r.Custom) }

// JSON is the log's attributes as JSON.
func (l *Log) JSON() (string, error) { return marshal(l.Attributes) }

func marshal(v any) (string, error) {
	text, err := json.MarshalIndent(v, "", " ")
	return string(text), err
}
