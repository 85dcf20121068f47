package assettest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Query is a search for logs.
type Query struct{ match func(*Log) bool }

// Match reports whether the search finds the log.
func (q Query) Match(l *Log) bool { return q.match(l) }

// ParseQuery reads the log search syntax: facets and tags ("@usr.id:x",
// "site:x", "source:(a OR b)"), wildcards, quoted texts, "-" and NOT, AND (also
// unsaid), OR, parentheses, ranges ("@n:>5", "@n:[1 TO 5]"), free text.
func ParseQuery(text string) (Query, error) {
	tokens, err := tokenize(text)
	if err != nil {
		return Query{}, fmt.Errorf("the query %q: %w", text, err)
	}
	p := &parser{tokens: tokens}
	if len(tokens) == 0 {
		return Query{func(*Log) bool { return true }}, nil
	}
	m, err := p.or("")
	if err == nil && p.at < len(tokens) {
		err = fmt.Errorf("something is left at %q", tokens[p.at].text)
	}
	if err != nil {
		return Query{}, fmt.Errorf("the query %q: %w", text, err)
	}
	return Query{m}, nil
}

// token is a word, a parenthesis, or the key of a facet with its colon.
type token struct {
	text   string
	kind   byte // 'w' word, 'q' quoted, 'k' key, '(', ')', '-'
	spaced bool
}

func tokenize(text string) ([]token, error) {
	var out []token
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\n':
			i++
		case c == '(' || c == ')':
			out = append(out, token{string(c), c, false})
			i++
		case c == '-' && i+1 < len(text) && text[i+1] != ' ' && (len(out) == 0 || out[len(out)-1].kind != 'k'):
			out = append(out, token{"-", '-', false})
			i++
		case c == '"':
			end := strings.IndexByte(text[i+1:], '"')
			if end < 0 {
				return nil, errors.New("a quote is not closed")
			}
			out = append(out, token{text[i+1 : i+1+end], 'q', false})
			i += end + 2
		case c == '[':
			end := strings.IndexByte(text[i:], ']')
			if end < 0 {
				return nil, errors.New("a range is not closed")
			}
			out = append(out, token{text[i : i+end+1], 'w', false})
			i += end + 1
		default:
			start := i
			var word strings.Builder
			for i < len(text) && !strings.ContainsRune(" \t\n()\"", rune(text[i])) {
				if text[i] == '\\' && i+1 < len(text) {
					i++
				} else if text[i] == ':' {
					break
				}
				word.WriteByte(text[i])
				i++
			}
			if i < len(text) && text[i] == ':' {
				if i == start {
					return nil, errors.New("a colon stands behind nothing")
				}
				i++
				out = append(out, token{word.String(), 'k', false})
				continue
			}
			out = append(out, token{word.String(), 'w', false})
		}
	}
	return out, nil
}

type parser struct {
	tokens []token
	at     int
}

func (p *parser) peek() token {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return token{}
}

// or reads alternatives; key is the facet whose values they are, "" for whole terms.
func (p *parser) or(key string) (func(*Log) bool, error) {
	m, err := p.and(key)
	for err == nil && p.peek().kind == 'w' && p.peek().text == "OR" {
		p.at++
		left := m
		var right func(*Log) bool
		if right, err = p.and(key); err == nil {
			m = func(l *Log) bool { return left(l) || right(l) }
		}
	}
	return m, err
}

func (p *parser) and(key string) (func(*Log) bool, error) {
	m, err := p.not(key)
	for err == nil {
		t := p.peek()
		if t.kind == 0 || t.kind == ')' || t.kind == 'w' && t.text == "OR" {
			break
		}
		if t.kind == 'w' && t.text == "AND" {
			p.at++
		}
		left := m
		var right func(*Log) bool
		if right, err = p.not(key); err == nil {
			m = func(l *Log) bool { return left(l) && right(l) }
		}
	}
	return m, err
}

func (p *parser) not(key string) (func(*Log) bool, error) {
	if t := p.peek(); t.kind == '-' || t.kind == 'w' && t.text == "NOT" {
		p.at++
		m, err := p.not(key)
		return func(l *Log) bool { return !m(l) }, err
	}
	t := p.peek()
	p.at++
	switch t.kind {
	case '(':
		m, err := p.or(key)
		if err == nil && p.peek().kind != ')' {
			err = errors.New("a parenthesis is not closed")
		}
		p.at++
		return m, err
	case 'k':
		if key != "" {
			return nil, fmt.Errorf("the facet %s stands within the values of %s", t.text, key)
		}
		if p.peek().kind == '(' {
			return p.not(t.text)
		}
		v := p.peek()
		p.at++
		if v.kind != 'w' && v.kind != 'q' {
			return nil, fmt.Errorf("the facet %s has no value", t.text)
		}
		return term(t.text, v)
	case 'w', 'q':
		return term(key, t)
	}
	return nil, errors.New("it ends too early")
}

// term matches one value; without a key it is looked for in the message.
func term(key string, v token) (func(*Log) bool, error) {
	if key == "" {
		if v.kind == 'w' && strings.Contains(v.text, "$") {
			return nil, fmt.Errorf("the template variable %s has no value", v.text)
		}
		want := strings.ToLower(v.text)
		return func(l *Log) bool {
			return want == "*" || strings.Contains(strings.ToLower(l.Message), strings.Trim(want, "*"))
		}, nil
	}
	anyOf := func(is func(string) bool) func(*Log) bool {
		return func(l *Log) bool {
			for _, have := range l.Facet(key) {
				if is(have) {
					return true
				}
			}
			return false
		}
	}
	if v.kind == 'q' {
		return anyOf(func(have string) bool { return have == v.text }), nil
	}
	if r, ok, err := numberRange(v.text); ok || err != nil {
		return anyOf(func(have string) bool {
			n, err := strconv.ParseFloat(have, 64)
			return err == nil && r(n)
		}), err
	}
	parts := strings.Split(v.text, "*")
	return anyOf(func(have string) bool { return wildcard(parts, have) }), nil
}

// numberRange reads >5, >=5, <5, <=5 and [1 TO 5].
func numberRange(text string) (is func(float64) bool, ok bool, err error) {
	if strings.HasPrefix(text, "[") {
		low, high, found := strings.Cut(strings.Trim(text, "[]"), " TO ")
		a, err1 := strconv.ParseFloat(low, 64)
		b, err2 := strconv.ParseFloat(high, 64)
		if !found || err1 != nil || err2 != nil {
			return nil, true, fmt.Errorf("%s is no range", text)
		}
		return func(n float64) bool { return n >= a && n <= b }, true, nil
	}
	for _, op := range []string{">=", "<=", ">", "<"} {
		rest, found := strings.CutPrefix(text, op)
		if !found {
			continue
		}
		b, err := strconv.ParseFloat(rest, 64)
		if err != nil {
			return nil, true, fmt.Errorf("%s is no bound", text)
		}
		return func(n float64) bool { return compare(n, op, b) }, true, nil
	}
	return nil, false, nil
}

func compare(a float64, op string, b float64) bool {
	switch op {
	case ">=":
		return a >= b
	case "<=":
		return a <= b
	case ">":
		return a > b
	case "<":
		return a < b
	case "==", "=":
		return a == b
	}
	return a != b
}

// wildcard matches a text with the parts between the asterisks of a pattern.
func wildcard(parts []string, have string) bool {
	if len(parts) == 1 {
		return have == parts[0]
	}
	if !strings.HasPrefix(have, parts[0]) {
		return false
	}
	have = have[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(have, p)
		if i < 0 {
			return false
		}
		have = have[i+len(p):]
	}
	return strings.HasSuffix(have, parts[len(parts)-1])
}
