package shared

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// The clients of stores are larger than all the rest of the program that
// collects, which starts anew for each run. So they live in a program of their own,
// Program, which is started where a store is configured. It reads questions from its
// standard input, one JSON object a line, and answers each on its standard output. It
// ends when its input does: no process outlives the one that asks.

// Program is the program that knows the stores, installed beside the others.
const Program = "atlassian-audit-records-shared"

// question is one line of input. The first is to open.
type question struct {
	Do string `json:"do"`
	// Millis is how long the answer may take.
	Millis int64 `json:"ms"`

	Config *Config  `json:"config,omitempty"`
	Claim  *Claim   `json:"claim,omitempty"`
	Grant  *Grant   `json:"grant,omitempty"`
	Keys   []string `json:"keys,omitempty"`
	Write  *Write   `json:"write,omitempty"`
}

// reply is one line of output.
type reply struct {
	Error  *Error            `json:"error,omitempty"`
	Grant  *Grant            `json:"grant,omitempty"`
	Values map[string][]byte `json:"values,omitempty"`
	Limits *Limits           `json:"limits,omitempty"`
}

// maxLine is the length of the longest line: a large write of many pieces.
const maxLine = 256 << 20

// Serve is what Program does: it answers questions about the store that open opens,
// until the input ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer, open func(ctx context.Context, c Config) (Backend, error)) error {
	var b Backend
	defer func() {
		if b != nil {
			_ = b.Close() // the process ends
		}
	}()
	lines := bufio.NewReaderSize(in, 64<<10)
	for {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a question: %w", err)
		}
		var q question
		var a reply
		if err := json.Unmarshal(line, &q); err != nil {
			a.Error = &Error{Kind: Refused, What: "a question could not be read: " + err.Error(), Next: "use programs of one version"}
		} else {
			b = answer(ctx, b, q, &a, open)
		}
		body, err := json.Marshal(a)
		if err != nil {
			return fmt.Errorf("encode an answer: %w", err)
		}
		if _, err := out.Write(append(body, '\n')); err != nil {
			return fmt.Errorf("write an answer: %w", err)
		}
	}
}

// answer answers a question, and is the backend from then on.
func answer(ctx context.Context, b Backend, q question, a *reply, open func(ctx context.Context, c Config) (Backend, error)) Backend {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(q.Millis)*time.Millisecond)
	defer cancel()
	var err error
	switch {
	case q.Do == "open" && q.Config != nil && b == nil:
		if b, err = open(ctx, *q.Config); err == nil {
			limits := b.Limits()
			a.Limits = &limits
		} else {
			b = nil
		}
	case b == nil:
		err = &Error{Kind: Refused, What: "a question came before a store was opened", Next: "use programs of one version"}
	case q.Do == "hold" && q.Claim != nil:
		var g Grant
		g, err = b.Hold(ctx, *q.Claim)
		a.Grant = &g
	case q.Do == "release" && q.Claim != nil && q.Grant != nil:
		err = b.Release(ctx, *q.Claim, *q.Grant)
	case q.Do == "read":
		a.Values, err = b.Read(ctx, q.Keys)
	case q.Do == "write" && q.Grant != nil && q.Write != nil:
		err = b.Write(ctx, *q.Grant, *q.Write)
	default:
		err = &Error{Kind: Refused, What: fmt.Sprintf("the question %q is not known", q.Do), Next: "use programs of one version"}
	}
	if err != nil {
		*a = reply{Error: flat(err)}
	}
	return b
}

// flat is an error as it can be sent: its causes become words.
func flat(err error) *Error {
	var e *Error
	if !errors.As(err, &e) {
		return &Error{Kind: Unavailable, What: err.Error()}
	}
	out := *e
	if out.Err != nil {
		out.What, out.Err = fmt.Sprintf("%s: %v", out.What, out.Err), nil
	}
	return &out
}

// readLine reads a line of any length up to maxLine, without its end.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > maxLine:
			return nil, errors.New("a line is too long")
		}
	}
}

// process is Program at work, as a Backend. It is for one goroutine at a time, which
// it makes sure of.
type process struct {
	name   string
	mu     sync.Mutex
	cmd    *exec.Cmd
	in     io.WriteCloser
	lines  chan []byte
	said   *tail
	limits Limits
	// broken is why nothing can be asked any more.
	broken error
}

// answerTime is how long an answer may take where the caller says nothing.
const answerTime = 10 * time.Second

// Start starts the program at path for a store. ctx bounds the time in which it must
// have opened the store; it ends at Close.
func Start(ctx context.Context, path string, c Config) (Backend, error) {
	p := &process{name: c.Name(), lines: make(chan []byte), said: &tail{}}
	p.cmd = exec.Command(path) //nolint:noctx // it outlives ctx; its input ends it
	p.cmd.Stderr = p.said
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, p.failed("start", err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, p.failed("start", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, &Error{Kind: Refused, What: "the program that knows the shared state could not be started", Err: err,
			Next: "see that " + path + " is there and that the Agent's user may run it"}
	}
	p.in = in
	go func() {
		defer close(p.lines)
		r := bufio.NewReaderSize(out, 64<<10)
		for {
			line, err := readLine(r)
			if err != nil {
				return
			}
			p.lines <- line
		}
	}()
	a, err := p.ask(ctx, question{Do: "open", Config: &c})
	if err == nil && a.Limits == nil {
		err = p.failed("open", errors.New("its answer cannot be read: use programs of one version"))
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.limits = *a.Limits
	return p, nil
}

func (p *process) failed(doing string, err error) *Error {
	if words := p.said.text(); words != "" {
		err = fmt.Errorf("%w (%s)", err, words)
	}
	return &Error{Kind: Unavailable, What: fmt.Sprintf("the program that knows %s failed to %s", p.name, doing), Err: err}
}

// ask sends a question and waits for its answer.
func (p *process) ask(ctx context.Context, q question) (a reply, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return a, p.broken
	}
	left := answerTime
	if end, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(end))
	}
	if ctx.Err() != nil || left <= 0 {
		return a, &Error{Kind: Unavailable, What: "there was no time to ask " + p.name, Err: ctx.Err()}
	}
	q.Millis = max(1, left.Milliseconds())
	// The program itself ends what takes too long; a second later it must have said so.
	ctx, cancel := context.WithTimeout(ctx, left+time.Second)
	defer cancel()
	body, err := json.Marshal(q)
	if err != nil {
		return a, fmt.Errorf("encode a question: %w", err)
	}
	wrote := make(chan error, 1)
	go func() {
		_, err := p.in.Write(append(body, '\n'))
		wrote <- err
	}()
	select {
	case line, ok := <-p.lines:
		if !ok {
			// What it said last is all there once it was waited for.
			err = errors.Join(<-wrote, p.end())
			p.broken = p.failed(q.Do, errors.Join(errors.New("it ended"), err))
			return a, p.broken
		}
		err := json.Unmarshal(line, &a)
		if err == nil && a.Error != nil && (a.Error.Kind == "" || a.Error.What == "") {
			err = errors.New("an error that does not say what is wrong")
		}
		if err != nil {
			p.broken = p.failed(q.Do, fmt.Errorf("its answer cannot be read: %w", err))
			return a, p.broken
		}
	case <-ctx.Done():
		// What it answers later would be taken for the answer to another question.
		p.broken = p.failed(q.Do, errors.New("it did not answer in time"))
		_ = p.in.Close() // ends the write, too
		return a, p.broken
	}
	if a.Error != nil {
		return a, a.Error
	}
	return a, nil
}

// Hold implements Backend.
func (p *process) Hold(ctx context.Context, c Claim) (Grant, error) {
	a, err := p.ask(ctx, question{Do: "hold", Claim: &c})
	if err != nil {
		return Grant{}, err
	}
	if a.Grant == nil {
		return Grant{}, p.failed("hold", errors.New("its answer lacks the lease"))
	}
	return *a.Grant, nil
}

// Release implements Backend.
func (p *process) Release(ctx context.Context, c Claim, g Grant) error {
	_, err := p.ask(ctx, question{Do: "release", Claim: &c, Grant: &g})
	return err
}

// Read implements Backend.
func (p *process) Read(ctx context.Context, keys []string) (map[string][]byte, error) {
	a, err := p.ask(ctx, question{Do: "read", Keys: keys})
	if a.Values == nil {
		a.Values = map[string][]byte{}
	}
	return a.Values, err
}

// Write implements Backend.
func (p *process) Write(ctx context.Context, g Grant, w Write) error {
	_, err := p.ask(ctx, question{Do: "write", Grant: &g, Write: &w})
	return err
}

// Limits implements Backend.
func (p *process) Limits() Limits { return p.limits }

// closeTime is how long the program may take to end.
const closeTime = 2 * time.Second

// Close ends the program.
func (p *process) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken == nil {
		p.broken = p.failed("answer", errors.New("it was ended"))
	}
	return p.end()
}

// end ends the program, if it was not yet, and waits for that.
func (p *process) end() error {
	if p.cmd == nil {
		return nil
	}
	cmd := p.cmd
	p.cmd = nil
	_ = p.in.Close() // tells it to end; closed already where it broke
	late := time.AfterFunc(closeTime, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	for range p.lines {
		continue // an answer that nobody waits for any more
	}
	if err := cmd.Wait(); err != nil && late.Stop() {
		return fmt.Errorf("end the program that knows %s: %w", p.name, err)
	}
	return nil
}

// tail keeps the end of what a program says of itself.
type tail struct {
	mu    sync.Mutex
	bytes []byte
}

const tailLength = 2 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes = append(t.bytes, b...)
	if n := len(t.bytes) - tailLength; n > 0 {
		t.bytes = append(t.bytes[:0], t.bytes[n:]...)
	}
	return len(b), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(strings.Fields(string(t.bytes)), " ")
}
