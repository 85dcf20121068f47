package check

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// field is one option as it was written.
type field struct {
	key   *yaml.Node
	value *yaml.Node // aliases followed
}

func (f field) null() bool {
	return f.value.Kind == yaml.ScalarNode && f.value.ShortTag() == "!!null"
}

// section is one mapping of options, its unknown and repeated keys reported.
type section struct {
	ps      *problems
	path    string
	line    int
	handles bool // ENC[…] is expected: no Agent has read this text
	fields  map[string]field
}

// yamlLine finds the line in a message of the YAML decoder's.
var yamlLine = onDemand(`^yaml: (?:line (\d+): )?(.*)$`)

// document parses text into the root node of its one document; nil for an
// empty text, and for one that is wrong (which is reported).
func document(ps *problems, text []byte, path string) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		line, reason := yamlReason(err)
		ps.add(line, path, "is not valid YAML: %s", reason)
		return nil
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		ps.add(second.Line, path, "holds a second YAML document (---), which the Agent does not read: put it into a file of its own")
	} else if !errors.Is(err, io.EOF) {
		line, reason := yamlReason(err)
		ps.add(line, path, "is not valid YAML: %s", reason)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	return follow(doc.Content[0])
}

// yamlReason puts the decoder's message so that it quotes nothing of the text,
// which may be a secret that was not quoted.
func yamlReason(err error) (line int, reason string) {
	reason = err.Error()
	if m := yamlLine().FindStringSubmatch(reason); m != nil {
		line, _ = strconv.Atoi(m[1])
		reason = m[2]
	}
	switch {
	case strings.Contains(reason, "unknown anchor"):
		reason = "a value that starts with * must be put in quotes"
	case strings.Contains(reason, "cannot start any token"):
		reason = "a value that starts with a character such as %, @ or a tab must be put in quotes, and lines are indented with spaces"
	case strings.Contains(reason, "did not find expected"), strings.Contains(reason, "could not find expected"),
		strings.Contains(reason, "mapping values are not allowed"):
		reason += " (check the indentation, the space after each colon, and quotes)"
	default:
		if i := strings.IndexAny(reason, "`'\""); i >= 0 {
			reason = strings.TrimSpace(reason[:i]) + "…"
		}
	}
	return line, reason
}

// follow is the node that an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	for i := 0; n != nil && n.Kind == yaml.AliasNode && i < 16; i++ {
		n = n.Alias
	}
	return n
}

// newSection reads node as a mapping whose keys are those of kind. A missing
// or null node is an empty mapping.
func newSection(ps *problems, node *yaml.Node, path string, kind sectionKind, handles bool) *section {
	s := &section{ps: ps, path: path, handles: handles, fields: map[string]field{}}
	if node == nil {
		return s
	}
	s.line = node.Line
	if (field{value: node}).null() {
		return s
	}
	if node.Kind != yaml.MappingNode {
		ps.add(node.Line, path, "must be a mapping of options, not %s", described(node))
		return s
	}
	s.collect(node, kind, 0)
	return s
}

// collect takes the mapping's keys, and those of a merge (<<) that it lacks.
func (s *section) collect(node *yaml.Node, kind sectionKind, depth int) {
	var merged []*yaml.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := follow(node.Content[i]), follow(node.Content[i+1])
		if key.Kind != yaml.ScalarNode {
			s.ps.add(key.Line, s.path, "has a key that is %s: every key is the name of an option", described(key))
			continue
		}
		if key.ShortTag() == "!!merge" {
			merged = append(merged, value)
			continue
		}
		name := key.Value
		if first, ok := s.fields[name]; ok {
			if depth == 0 {
				if s.ps.lines {
					s.ps.add(key.Line, s.at(name), "is given twice (first on line %d): remove one", first.key.Line)
				} else {
					s.ps.add(key.Line, s.at(name), "is given twice: remove one")
				}
			}
			continue
		}
		if reason := unknownKey(kind, name); reason != "" {
			s.ps.add(key.Line, s.path, "%s", reason)
			continue
		}
		s.fields[name] = field{key: key, value: value}
	}
	const deepest = 8
	for _, m := range merged {
		list := []*yaml.Node{m}
		if m.Kind == yaml.SequenceNode {
			list = m.Content
		}
		for _, n := range list {
			if n = follow(n); n != nil && n.Kind == yaml.MappingNode && depth < deepest {
				s.collect(n, kind, depth+1)
			}
		}
	}
}

func (s *section) at(key string) string {
	if s.path == "" {
		return key
	}
	return s.path + "." + key
}

// addf reports a problem with the option key, or, where it is not given, with
// the section that lacks it.
func (s *section) addf(key, format string, args ...any) {
	line := s.line
	if f, ok := s.fields[key]; ok {
		line = f.key.Line
	}
	s.ps.add(line, s.at(key), format, args...)
}

func (s *section) warnf(key, format string, args ...any) {
	line := s.line
	if f, ok := s.fields[key]; ok {
		line = f.key.Line
	}
	s.ps.warn(line, s.at(key), format, args...)
}

// given reports whether the option has a value; a null is none.
func (s *section) given(key string) bool {
	f, ok := s.fields[key]
	return ok && !f.null()
}

// str reads a text. ok is false when there is none that can be used, whether
// or not that was reported.
func (s *section) str(key string) (v string, ok bool) {
	f, found := s.fields[key]
	if !found || f.null() {
		return "", false
	}
	return s.text(key, f.value)
}

func (s *section) text(key string, n *yaml.Node) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		s.addf(key, "must be text, not %s", described(n))
		return "", false
	}
	if n.ShortTag() != "!!str" {
		s.addf(key, "must be text, not %s: put the value in quotes", described(n))
		return "", false
	}
	if isHandle(n.Value) {
		switch {
		case s.handles:
		case s.ps.lines:
			s.addf(key, "is the handle ENC[…], which only the Agent resolves: to run without one, put the secret into a copy of the file that only you may read")
		default:
			s.addf(key, "still holds the handle ENC[…]: the Agent puts the secret in its place before it starts the check; "+
				"see what `datadog-agent secret` says, that secret_backend_command (or secret_backend_type) is set in datadog.yaml, "+
				"and that secret_backend_skip_checks is not")
		}
		return "", false
	}
	if hasPlaceholder(n.Value) {
		s.addf(key, "is still the placeholder of the example: put the real value in its place")
		return "", false
	}
	return n.Value, true
}

// isHandle reports whether the option is a handle that the Agent will resolve.
func (s *section) isHandle(key string) bool {
	f, ok := s.fields[key]
	return ok && f.value.Kind == yaml.ScalarNode && isHandle(f.value.Value)
}

// boolean reads a truth value; the words are those that the Agent's YAML takes.
func (s *section) boolean(key string, byDefault bool) bool {
	f, ok := s.fields[key]
	if !ok || f.null() {
		return byDefault
	}
	if f.value.Kind == yaml.ScalarNode && f.value.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 {
		switch strings.ToLower(f.value.Value) {
		case "true", "yes", "on":
			return true
		case "false", "no", "off":
			return false
		}
	}
	s.addf(key, "must be true or false, without quotes")
	return byDefault
}

// list reads a list of texts; numbers and truth values are taken as they are
// written, as the Agent does.
func (s *section) list(key string) (values []string, lines []int) {
	f, ok := s.fields[key]
	if !ok || f.null() {
		return nil, nil
	}
	if f.value.Kind != yaml.SequenceNode {
		s.addf(key, "must be a list, like [a, b], not %s", described(f.value))
		return nil, nil
	}
	for i, n := range f.value.Content {
		n = follow(n)
		if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
			s.ps.add(n.Line, s.at(key)+"["+strconv.Itoa(i)+"]", "must be text, not %s", described(n))
			continue
		}
		values = append(values, n.Value)
		lines = append(lines, n.Line)
	}
	return values, lines
}

// number reads a number, whole or not; ok is false where there is none.
func (s *section) number(key string) (v float64, whole, ok bool) {
	f, found := s.fields[key]
	if !found || f.value.Kind != yaml.ScalarNode {
		return 0, false, false
	}
	tag := f.value.ShortTag()
	if tag != "!!int" && tag != "!!float" {
		return 0, false, false
	}
	if f.value.Decode(&v) != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, false, false
	}
	return v, tag == "!!int", true
}

// described names what a node is, for a person.
func described(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "a truth value"
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	}
	return "text"
}
