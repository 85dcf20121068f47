// Package tail reads the spool: files of whole lines with names that never come
// back, which only grow until they are moved away.
//
// It promises to hand each whole line to the pipeline once, in the order of a
// file, from the offset that the ledger remembers, the oldest file first; and to
// stop with a file within a second of its leaving the folder. It knows neither
// rotation nor truncation nor encodings: the spool has none. It writes nothing.
package tail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/DataDog/datadog-agent/pkg/logs/message"
	"github.com/DataDog/datadog-agent/pkg/logs/sources"
	"github.com/DataDog/datadog-agent/pkg/util/log"

	"atlassian_audit_records/cmd/atlassian-audit-records-run/internal/ledger"
	"atlassian_audit_records/cmd/atlassian-audit-records-run/internal/pipeline"
	"atlassian_audit_records/pkg/agent"
)

const (
	// maxLine is the most that is read as one line: the spool's are at most
	// 900,000 bytes, so that a longer one is not the spool's.
	maxLine = 4 << 20
	// glance is how often, while the pipeline takes nothing, it is looked whether
	// the file is still there.
	glance = time.Second
	// buffer is what is read from a file at once.
	buffer = 64 << 10
)

// A Source is one entry of the logs section.
type Source struct {
	// Glob names its files; Exclude are globs of those that it leaves out.
	Glob    string
	Exclude []string
	// Log is the entry as the pipeline knows it.
	Log *sources.LogSource
}

// Options are what a tailer is made of.
type Options struct {
	Sources []Source
	Ledger  *ledger.Ledger
	// In takes the messages, and Judge foretells what becomes of them.
	In    chan<- *message.Message
	Judge func(context.Context, *message.Message) pipeline.Verdict
	// Begin is where to begin with a file of which the ledger knows nothing.
	Begin func(path string) int64
	// Period is the time between two looks at the folders.
	Period time.Duration
	Now    func() time.Time
}

// A Tailer follows the files of all sources.
type Tailer struct {
	options Options
	files   map[string]*file
}

// file is a file that is followed.
type file struct {
	path   string
	source *sources.LogSource
	tags   []string
	offset int64 // of the next line
	shrunk bool  // it was said that it became shorter
}

// New is a tailer that was not started.
func New(o Options) *Tailer { return &Tailer{options: o, files: map[string]*file{}} }

// Run reads until ctx ends. After each look at the folders it saves the ledger.
func (t *Tailer) Run(ctx context.Context) {
	tick := time.NewTicker(t.options.Period)
	defer tick.Stop()
	for ctx.Err() == nil {
		t.look(ctx)
		if err := t.options.Ledger.Save(); err != nil {
			log.Errorf("what was sent cannot be noted, so that it would be sent again after a restart: %v; make space on the disk of the run path, or mend its rights", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look reads what is new in every file.
func (t *Tailer) look(ctx context.Context) {
	there := map[string]bool{}
	for _, s := range t.options.Sources {
		paths, err := s.paths()
		if err != nil {
			log.Errorf("look for spool files: %v", err)
			return // what is not seen is not gone
		}
		for _, p := range paths {
			if !there[p] {
				there[p] = true
				t.follow(p, s.Log)
			}
		}
	}
	for path := range t.files {
		if !there[path] {
			t.forget(path)
		}
	}
	t.options.Ledger.Expire(there)
	for _, path := range t.inOrder() {
		f := t.files[path]
		err := t.read(ctx, f)
		switch {
		case err == nil:
		case errors.Is(err, fs.ErrNotExist):
			t.forget(path)
		case ctx.Err() != nil:
			return
		default:
			log.Errorf("read the spool: %v", err)
		}
	}
}

// inOrder are the files by name, which begins with the time.
func (t *Tailer) inOrder() []string {
	var paths []string
	for p := range t.files {
		paths = append(paths, p)
	}
	slices.SortFunc(paths, func(a, b string) int {
		return strings.Compare(filepath.Base(a)+a, filepath.Base(b)+b)
	})
	return paths
}

// paths are the source's files.
func (s Source) paths() ([]string, error) {
	found, err := filepath.Glob(s.Glob)
	if err != nil {
		return nil, fmt.Errorf("the path %s: %w", s.Glob, err)
	}
	return slices.DeleteFunc(found, func(path string) bool {
		for _, x := range s.Exclude {
			if ok, err := filepath.Match(x, path); ok && err == nil {
				return true
			}
		}
		return false
	}), nil
}

func (t *Tailer) follow(path string, source *sources.LogSource) {
	if t.files[path] != nil {
		return
	}
	t.files[path] = &file{
		path: path, source: source,
		offset: t.options.Ledger.Begin(path, func() int64 { return t.options.Begin(path) }),
		// The Agent gives the logs of files these tags.
		tags: []string{"filename:" + filepath.Base(path), "dirname:" + filepath.Dir(path)},
	}
}

func (t *Tailer) forget(path string) {
	delete(t.files, path)
	t.options.Ledger.Gone(path)
}

// errLeft says that a file left its folder while it was read.
var errLeft = fmt.Errorf("it left its folder: %w", fs.ErrNotExist)

// read hands on the whole lines that were added to a file.
func (t *Tailer) read(ctx context.Context, f *file) error {
	handle, err := agent.OpenShared(f.path)
	if err != nil {
		return err
	}
	defer handle.Close()
	info, err := handle.Stat()
	if err != nil {
		return fmt.Errorf("look at a spool file: %w", err)
	}
	if info.Size() <= f.offset {
		if info.Size() < f.offset && !f.shrunk {
			f.shrunk = true
			log.Errorf("%s became shorter than what was sent of it (%d of %d bytes): what is written to it next is sent from there on", f.path, info.Size(), f.offset)
		}
		return nil
	}
	if _, err := handle.Seek(f.offset, io.SeekStart); err != nil {
		return fmt.Errorf("read %s: %w", f.path, err)
	}
	lines := bufio.NewReaderSize(io.LimitReader(handle, info.Size()-f.offset), buffer)
	for n := 0; ; n++ {
		if n%100 == 0 {
			if _, err := os.Lstat(f.path); errors.Is(err, fs.ErrNotExist) {
				return errLeft
			}
		}
		line, length, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			return nil // the rest is no whole line yet
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", f.path, err)
		}
		if err := t.hand(ctx, f, line, f.offset+length); err != nil {
			return err
		}
		f.offset += length
	}
}

// readLine reads up to the next newline: the line without it, and the number of
// bytes with it. The text of a line that is too long is nil. A line without its
// end is io.EOF.
func readLine(r *bufio.Reader) (line []byte, length int64, err error) {
	for {
		part, err := r.ReadSlice('\n')
		length += int64(len(part))
		if length <= maxLine {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		if length > maxLine {
			return nil, length, nil
		}
		return line[:len(line)-1], length, nil
	}
}

// hand gives a line to the pipeline, unless that would not send it. to is the
// offset behind the line.
func (t *Tailer) hand(ctx context.Context, f *file, line []byte, to int64) error {
	if len(bytes.TrimSpace(line)) == 0 && line != nil {
		t.pass(f, to)
		return nil
	}
	origin := message.NewOrigin(f.source)
	origin.Identifier, origin.FilePath, origin.Offset = "file:"+f.path, f.path, strconv.FormatInt(to, 10)
	origin.SetTags(f.tags)
	m := message.NewMessage(line, origin, message.StatusInfo, t.options.Now().UnixNano())
	m.RawDataLen = int(to - f.offset)
	verdict := pipeline.TooLarge
	if line != nil {
		verdict = t.options.Judge(ctx, m)
	}
	switch verdict {
	case pipeline.Excluded:
		t.pass(f, to)
		return nil
	case pipeline.TooLarge:
		log.Errorf("the line of %d bytes that ends at byte %d of %s is too large to be sent and is left out (logs_config.batch_max_content_size): "+
			"it stays in the file, which is kept 24 hours after its delivery", m.RawDataLen, to, f.path)
		t.pass(f, to)
		return nil
	case pipeline.Sent:
	}
	select {
	case t.options.In <- m:
		t.options.Ledger.Sent(f.path, to)
		return nil
	default:
	}
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		select {
		case t.options.In <- m:
			t.options.Ledger.Sent(f.path, to)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if _, err := os.Lstat(f.path); errors.Is(err, fs.ErrNotExist) {
				return errLeft
			}
		}
	}
}

// pass goes over a line that is not sent.
func (t *Tailer) pass(f *file, to int64) {
	t.options.Ledger.Sent(f.path, to)
	t.options.Ledger.Acknowledge(f.path, f.offset, to, 0)
}
