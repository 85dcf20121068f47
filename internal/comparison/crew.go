package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// patience is how long one run may take.
	patience = 2 * time.Minute
	// Variables that processes are told their task by.
	nowVariable   = "COMPARISON_NOW"   // the time, in milliseconds since the epoch
	usageVariable = "COMPARISON_USAGE" // a file for what they used
)

// usage is what a collector's processes used.
type usage struct {
	cpu time.Duration
	// peak is the most memory of any one process, in bytes; 0 where the system
	// does not tell.
	peak int64
}

// crew are the processes of a collector.
type crew struct {
	hands  []*hand
	folder string
	arrive func() ([][]byte, error)
}

// hand is one process of a collector, or one after the other of its kind.
type hand struct {
	products []string
	argv     []string
	env      []string
	// stays is true for a process that lives on between runs: it is told the time
	// of each on its standard input, and answers each with a line, of the CPU
	// seconds used apart from its own.
	stays bool
	// forks is true for one that stays and makes a process for each run, whose
	// number it answers first.
	forks bool
	crew  *crew

	mu    sync.Mutex
	cmd   *exec.Cmd
	child int // 0 where there is none
	in    io.WriteCloser
	out   *bufio.Reader
	cpu   time.Duration
}

// newCrew has one hand for each list of products.
func newCrew(folder string, hands ...*hand) *crew {
	c := &crew{hands: hands, folder: folder}
	for _, h := range hands {
		h.crew = c
	}
	return c
}

func (c *crew) usageFile() string { return filepath.Join(c.folder, "usage") }

// run lets every hand do one run at that time.
func (c *crew) run(now time.Time) error {
	for _, h := range c.hands {
		if err := h.run(now); err != nil {
			return err
		}
	}
	return nil
}

// kill ends the process that reads the product, at once.
func (c *crew) kill(product string) {
	for _, h := range c.hands {
		if slices.Contains(h.products, product) {
			h.kill()
		}
	}
}

// dismiss ends what lives between runs.
func (c *crew) dismiss() {
	for _, h := range c.hands {
		h.end()
	}
}

func (c *crew) used() usage {
	var u usage
	for _, h := range c.hands {
		u.cpu += h.cpu
	}
	text, _ := os.ReadFile(c.usageFile()) // missing where the system does not tell
	for line := range strings.Lines(string(text)) {
		n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		if err == nil {
			u.peak = max(u.peak, n)
		}
	}
	return u
}

func (c *crew) delivered() ([][]byte, error) { return c.arrive() }

func (h *hand) run(now time.Time) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stop := context.AfterFunc(ctx, h.kill)
	defer stop()
	var err error
	if h.stays {
		err = h.tell(now)
	} else {
		err = h.once(now)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("the run took longer than %s", patience)
	}
	return err
}

// once is a run that is a process.
func (h *hand) once(now time.Time) error {
	if err := h.start(now); err != nil {
		return err
	}
	return h.wait()
}

// tell is a run of a process that stays; one that was killed is started again
// with its next run.
func (h *hand) tell(now time.Time) error {
	if h.cmd == nil {
		if err := h.start(now); err != nil {
			return err
		}
	}
	if err := h.begin(now); err != nil {
		return errors.Join(err, h.wait())
	}
	text, err := h.out.ReadString('\n')
	if err != nil {
		return h.wait() // nil where it was killed
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		return fmt.Errorf("what a run used is not understood: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.child = 0
	h.cpu += time.Duration(seconds * float64(time.Second))
	return nil
}

// begin begins a run of a process that stays. Whoever kills the run waits until
// its number is known.
func (h *hand) begin(now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, err := fmt.Fprintln(h.in, now.UnixMilli()); err != nil {
		return fmt.Errorf("begin a run: %w", err)
	}
	if !h.forks {
		return nil
	}
	text, err := h.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("begin a run: %w", err)
	}
	if h.child, err = strconv.Atoi(strings.TrimSpace(text)); err != nil {
		return fmt.Errorf("the number of a run's process is not understood: %w", err)
	}
	return nil
}

func (h *hand) start(now time.Time) error {
	cmd := exec.Command(h.argv[0], h.argv[1:]...) //nolint:gosec,noctx // the reader names what is compared; kill ends it
	cmd.Env = append(slices.Clone(h.env), nowVariable+"="+strconv.FormatInt(now.UnixMilli(), 10), usageVariable+"="+h.crew.usageFile())
	cmd.Dir = h.crew.folder
	errs, err := os.OpenFile(filepath.Join(h.crew.folder, "stderr"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open a file for messages: %w", err)
	}
	defer func() { _ = errs.Close() }() // the process has its own
	cmd.Stderr = errs
	if h.stays {
		in, err := cmd.StdinPipe()
		if err != nil {
			return fmt.Errorf("make a pipe: %w", err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return fmt.Errorf("make a pipe: %w", err)
		}
		h.in, h.out = in, bufio.NewReader(out)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", h.argv[0], err)
	}
	h.cmd = cmd
	return nil
}

// wait is for the end of the process. One that fails by itself is no error:
// its next run may do better. One that could not begin is.
func (h *hand) wait() error {
	err := h.cmd.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.forks { // its runs were told one by one
		h.cpu += h.cmd.ProcessState.UserTime() + h.cmd.ProcessState.SystemTime()
	}
	status := h.cmd.ProcessState.ExitCode()
	h.cmd = nil
	if status == unfit {
		text, _ := os.ReadFile(filepath.Join(h.crew.folder, "stderr"))
		return fmt.Errorf("it cannot run here: %s", bytes.TrimSpace(text))
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// unfit is the exit status of a process that lacks what it needs to run at all.
const unfit = 78

func (h *hand) kill() {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.child != 0:
		if p, err := os.FindProcess(h.child); err == nil {
			_ = p.Kill() // it may have ended by itself
		}
	case h.cmd != nil:
		_ = h.cmd.Process.Kill() // likewise
	}
}

// end lets a process that stays come to its end.
func (h *hand) end() {
	h.mu.Lock()
	running := h.stays && h.cmd != nil
	h.mu.Unlock()
	if running {
		_ = h.in.Close()
		_ = h.wait() // its last words are in the file
	}
}

// linesOf are the whole lines of the files that match.
func linesOf(patterns ...string) func() ([][]byte, error) {
	return func() ([][]byte, error) {
		var out [][]byte
		for _, pattern := range patterns {
			files, err := filepath.Glob(pattern)
			if err != nil {
				return nil, fmt.Errorf("look for %s: %w", pattern, err)
			}
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					return nil, fmt.Errorf("read what was delivered: %w", err)
				}
				for line := range bytes.Lines(text) {
					if bytes.HasSuffix(line, []byte("\n")) {
						out = append(out, line)
					}
				}
			}
		}
		return out, nil
	}
}
