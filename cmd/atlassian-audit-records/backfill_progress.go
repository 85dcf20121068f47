package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"atlassian_audit_records/check"
)

const (
	// barLength is the length of the bar in characters, narrowest the width below
	// which a terminal is not taken at its word.
	barLength = 20
	narrowest = 40
	// lineEvery is how often a line is written where there is no terminal.
	lineEvery = time.Minute
)

// progress shows how a backfill gets on: on a terminal a bar for each product, drawn
// over itself, elsewhere a line for each product once a minute.
type progress struct {
	out io.Writer
	now func() time.Time
	// width is the terminal's, asked for at each drawing; nil where there is none.
	width func() int
	began time.Time
	last  time.Time
	// drawn is how many lines stand where the next drawing goes.
	drawn int
}

func newProgress(out io.Writer, now func() time.Time) *progress {
	p := &progress{out: out, now: now, began: now()}
	p.last = p.began
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.width = func() int {
			w, _, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 80
			}
			return w
		}
	}
	return p
}

// show is told how things stand.
func (p *progress) show(all []check.BackfillProgress) {
	now := p.now()
	if p.width == nil {
		if now.Sub(p.last) < lineEvery {
			return
		}
		p.last = now
		for _, one := range all {
			fmt.Fprintf(p.out, "%s %s\n", now.UTC().Format(time.RFC3339), describe(one, now.Sub(p.began)))
		}
		return
	}
	var b strings.Builder
	if p.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", p.drawn)
	}
	width := max(narrowest, p.width()) - 1
	for _, one := range all {
		fmt.Fprintf(&b, "\r\x1b[2K%s\n", cut(bar(one)+" "+describe(one, now.Sub(p.began)), width))
	}
	p.drawn = len(all)
	fmt.Fprint(p.out, b.String())
}

// end leaves the last drawing where it stands.
func (p *progress) end() { p.drawn = 0 }

// share is the part of the span that is read, from 0 to 1.
func share(p check.BackfillProgress) float64 {
	switch {
	case p.Done:
		return 1
	case p.Total <= 0:
		return 0
	}
	return min(1, max(0, 1-float64(p.Left)/float64(p.Total)))
}

func bar(p check.BackfillProgress) string {
	n := int(share(p) * barLength)
	return "[" + strings.Repeat("#", n) + strings.Repeat("-", barLength-n) + "]"
}

// describe is one product's progress in a line.
func describe(p check.BackfillProgress, elapsed time.Duration) string {
	parts := []string{fmt.Sprintf("%3.0f %% %s of %s: %s", 100*share(p), p.Product, p.Instance, counted(p.Records, "record"))}
	if !p.At.IsZero() {
		parts = append(parts, "back to "+p.At.Format(time.DateOnly))
	}
	if seconds := elapsed.Seconds(); seconds >= 1 && !p.Done {
		parts = append(parts, fmt.Sprintf("%.0f/s", float64(p.Records)/seconds))
	}
	read := p.Began - p.Left
	switch {
	case p.Done:
		parts = append(parts, "all is read")
	case p.Failed:
		parts = append(parts, "failed")
	case p.Why != "":
		parts = append(parts, "waiting: "+p.Why)
	case read > 0 && elapsed >= time.Second:
		left := float64(elapsed) * float64(p.Left) / float64(read)
		parts = append(parts, longTime(time.Duration(min(left, float64(10*365*24*time.Hour))))+" left")
	}
	return strings.Join(parts, ", ")
}

// cut is the text in so many characters.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}
