package check

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration, or, as a warning,
// one that a person should know of.
type Problem struct {
	// File is the base name of the file, empty where the text came from the Agent.
	File string `json:"file,omitempty"`
	// Line counts from 1; 0 where the text came from the Agent, which writes
	// the YAML anew, so that its lines are not those of anybody's file.
	Line int `json:"line,omitempty"`
	// Path is the option, such as "instances[0].auth.email"; empty for the whole file.
	Path string `json:"path,omitempty"`
	// Text says what is wrong and what to do, without a full stop.
	Text string `json:"text"`
}

// String is the problem as one line: "conf.yaml:7: instances[0].auth.email: is missing…".
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// ConfigError is everything that is wrong with a configuration.
type ConfigError struct {
	Problems []Problem
	// Warnings were found beside them.
	Warnings []Problem
}

// Error is all the problems on one line, separated by "; ".
func (e *ConfigError) Error() string {
	texts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		texts[i] = p.String()
	}
	return strings.Join(texts, "; ")
}

// problems gathers what is found while a configuration is read.
type problems struct {
	file     string
	lines    bool // the lines are those of a person's file
	list     []Problem
	warnings []Problem
	secrets  []string // values that must not be shown, whatever a message quotes
}

func (ps *problems) problem(line int, path, format string, args ...any) Problem {
	p := Problem{File: ps.file, Path: path, Text: fmt.Sprintf(format, args...)}
	if ps.lines {
		p.Line = line
	}
	return p
}

func (ps *problems) add(line int, path, format string, args ...any) {
	ps.list = append(ps.list, ps.problem(line, path, format, args...))
}

func (ps *problems) warn(line int, path, format string, args ...any) {
	ps.warnings = append(ps.warnings, ps.problem(line, path, format, args...))
}

func (ps *problems) hide(secret string) {
	if len(secret) >= 4 {
		ps.secrets = append(ps.secrets, secret)
	}
}

// err is nil when nothing is wrong. Whoever wrote a secret into the wrong
// place may find it quoted in a message: it is taken out here.
func (ps *problems) err() error {
	ps.warnings = ps.redacted(ps.warnings)
	if len(ps.list) == 0 {
		return nil
	}
	return &ConfigError{Problems: ps.redacted(ps.list), Warnings: ps.warnings}
}

func (ps *problems) redacted(list []Problem) []Problem {
	var out []Problem
	for _, p := range list {
		p.Path = redact(p.Path, ps.secrets)
		p.Text = redact(p.Text, ps.secrets)
		if !slices.Contains(out, p) { // init_config's proxy is read once for each instance
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b Problem) int { // in the order of the file; what has no line last
		if (a.Line == 0) != (b.Line == 0) {
			return b.Line - a.Line
		}
		return a.Line - b.Line
	})
	return out
}

// redact replaces every secret in s.
func redact(s string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, hidden)
		}
	}
	return s
}

// shown quotes a value in a message when it is a short plain word, which no
// credential of Atlassian's is, and else says only that there is one.
func shown(s string) string {
	const most = 40
	digits := 0
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', strings.ContainsRune(" _-./*", r):
		default:
			return "this value"
		}
	}
	if len(s) > most || digits > 8 {
		return "this value"
	}
	return `"` + s + `"`
}

// shownKey is shown for the name of an option.
func shownKey(s string) string {
	if q := shown(s); q != "this value" {
		return q
	}
	if name, _, found := strings.Cut(s, ":"); found && len(name) <= 24 && shown(name) != "this value" {
		return `"` + name + `:"`
	}
	return "(not shown)"
}

// nearest is the candidate that s was probably meant to be, or "".
func nearest(s string, candidates []string) string {
	best, least := "", len(s)/3+2
	for _, c := range candidates {
		if d := distance(strings.ToLower(s), c); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour to turn a into b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
