package check

import (
	"fmt"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/audit"
)

// logSource is an entry of the logs section, as far as the spool is concerned.
// The Agent reads that section, not the check: nothing in it is an error here.
type logSource struct {
	ps    *problems
	at    string
	line  int
	value map[string]*yaml.Node
}

func (l logSource) scalar(keys ...string) string {
	m := l.value
	for i, key := range keys {
		n := m[key]
		if n == nil {
			return ""
		}
		if i == len(keys)-1 {
			return n.Value
		}
		m = plainMapping(n)
	}
	return ""
}

func (l logSource) warning(format string, args ...any) Problem {
	return l.ps.problem(l.line, l.at, format, args...)
}

// plainMapping is a mapping as it stands, whatever its keys.
func plainMapping(n *yaml.Node) map[string]*yaml.Node {
	out := map[string]*yaml.Node{}
	if n == nil || n.Kind != yaml.MappingNode {
		return out
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		out[follow(n.Content[i]).Value] = follow(n.Content[i+1])
	}
	return out
}

// logSources reads the entries of the logs section.
func (s *section) logSources() []logSource {
	f, ok := s.fields["logs"]
	if !ok || f.value.Kind != yaml.SequenceNode {
		return nil
	}
	var out []logSource
	for i, n := range f.value.Content {
		n = follow(n)
		out = append(out, logSource{ps: s.ps, at: "logs[" + strconv.Itoa(i) + "]", line: n.Line, value: plainMapping(n)})
	}
	return out
}

// spoolGlob is what the Agent is to follow for a product.
func spoolGlob(runPath string, p audit.Product) string {
	return filepath.Join(agent.SpoolDir(agent.Base(runPath), p.LogSource()), "*.jsonl")
}

// samePath compares two paths as written on any platform.
func samePath(a, b string) bool {
	plain := func(s string) string { return path.Clean(strings.ReplaceAll(s, `\`, "/")) }
	return plain(a) == plain(b)
}

// checkLogs compares the logs section with what the spool needs. What it finds
// are warnings: the check works without, but its logs do not arrive.
func checkLogs(instances []Instance, sources []logSource, file string) []Problem {
	var out []Problem
	done := map[string]bool{}
	for _, in := range instances {
		if in.Config.RunPath == "" {
			continue
		}
		for _, p := range in.Config.Products {
			glob := spoolGlob(in.Config.RunPath, p)
			if done[glob] {
				continue
			}
			done[glob] = true
			var matching []logSource
			for _, l := range sources {
				if l.scalar("type") == "file" && samePath(l.scalar("path"), glob) {
					matching = append(matching, l)
				}
			}
			if len(matching) == 0 {
				out = append(out, Problem{File: file, Path: "logs",
					Text: fmt.Sprintf("has no entry of type file for %s: %s records would be spooled, but not sent to Datadog", glob, p)})
				continue
			}
			out = append(out, matching[0].check(p)...)
			for _, l := range matching[1:] {
				out = append(out, l.warning("names the same path as %s: the Agent follows a file once, so remove one", matching[0].at))
			}
		}
	}
	return out
}

// check compares one entry with what the spool of p needs.
func (l logSource) check(p audit.Product) []Problem {
	var out []Problem
	if got := l.scalar("source"); got != p.LogSource() {
		out = append(out, l.warning("should have `source: %s`, by which Datadog's dashboards, pipelines and rules find the records", p.LogSource()))
	}
	if l.scalar("start_position") != "beginning" {
		out = append(out, l.warning("should have `start_position: beginning`: else records spooled while the Agent is stopped are lost"))
	}
	switch strings.ToLower(l.scalar("auto_multi_line_detection")) {
	case "false", "no", "off":
	default:
		out = append(out, l.warning("should have `auto_multi_line_detection: false`: every line is one record"))
	}
	if l.scalar("fingerprint_config", "fingerprint_strategy") != "disabled" {
		out = append(out, l.warning("should have `fingerprint_config: {fingerprint_strategy: disabled}`: files that begin alike could be taken for one"))
	}
	return out
}
