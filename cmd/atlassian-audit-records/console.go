package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"atlassian_audit_records/pkg/auth"
)

// console asks a person, or the lines that stand in for one.
type console struct {
	in  *bufio.Reader
	out io.Writer
	// terminal is nil where the input is none.
	terminal *os.File
	// asked counts the questions.
	asked int
}

func newConsole(io stdio) *console {
	c := &console{in: bufio.NewReader(io.in), out: io.out}
	if f, ok := io.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		c.terminal = f
	}
	return c
}

// errNoAnswer says that the input ended where an answer was expected.
var errNoAnswer = errors.New("the input ended before this question was answered: answer it, or give the answer as a flag")

// line asks for one line, without the blanks around it.
func (c *console) line(ctx context.Context, question string) (string, error) {
	c.asked++
	fmt.Fprint(c.out, question)
	return await(ctx, func() (string, error) {
		text, err := c.in.ReadString('\n')
		text = strings.TrimSpace(text)
		if c.terminal == nil {
			fmt.Fprintln(c.out) // nobody's Enter ended the line
		}
		if err != nil && text == "" {
			if errors.Is(err, io.EOF) {
				return "", errNoAnswer
			}
			return "", fmt.Errorf("read the answer: %w", err)
		}
		return text, nil
	}, func() {})
}

// orLine is what is known already, or else the answer.
func (c *console) orLine(ctx context.Context, known, question string) (string, error) {
	if known != "" {
		return known, nil
	}
	return c.line(ctx, question)
}

// secret asks for a secret, which a terminal does not show.
func (c *console) secret(ctx context.Context, question string) (auth.Secret, error) {
	if c.terminal == nil {
		text, err := c.line(ctx, question)
		return auth.Secret(text), err
	}
	c.asked++
	fmt.Fprint(c.out, question)
	fd := int(c.terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("ask without showing the answer: %w", err)
	}
	text, err := await(ctx, func() (string, error) {
		text, err := term.ReadPassword(fd)
		fmt.Fprintln(c.out)
		return strings.TrimSpace(string(text)), err
	}, func() { _ = term.Restore(fd, before) }) // the process ends next
	return auth.Secret(text), err
}

// await is what read returns, unless ctx ends first; undo is called then. The
// reading goes on, and ends with the process.
func await(ctx context.Context, read func() (string, error), undo func()) (string, error) {
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := read()
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		return a.text, a.err
	case <-ctx.Done():
		undo()
		return "", ctx.Err()
	}
}
