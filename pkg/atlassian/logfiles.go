package atlassian

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// RouteFiles is the route of LogFiles.
const RouteFiles = "files"

// LogFiles is the audit log of a Data Center product as a node writes it to its
// own disk: files under log/audit, one JSON object a line, in the order of
// writing (documented). It answers questions as the API would, so that all that
// holds for a source of records holds for it; it asks nobody, and keeps nothing
// between two runs.
//
// A new file is begun at midnight and at 100 MB, named by its day and a number
// that counts up, and the oldest is removed when there are 100 (documented): files
// that are there are never renamed or rewritten by the product. Where somebody
// else does it, nothing is read twice, since records are known by what they say;
// what was cut off before it was read is lost.
//
// The last line of the newest file may still be in the making and waits for its
// end. A line that is no JSON object is a record without a date, as it stands.
//
// It is not safe for concurrent use.
type LogFiles struct {
	*searches
	dir, site string
	product   audit.Product
	files     map[string]*logFile
}

// LogFilesOptions are what LogFiles reads.
type LogFilesOptions struct {
	// Dir is the folder, Site what sentences call the site.
	Dir, Site string
	Product   audit.Product
	// Asked are the questions that a run that read the API remembered: the files
	// have their events too.
	Asked []audit.Asked
	// Now is the clock.
	Now func() time.Time
}

// NewLogFiles reads nothing yet.
func NewLogFiles(o LogFilesOptions) *LogFiles {
	return &LogFiles{dir: o.Dir, site: o.Site, product: o.Product, files: map[string]*logFile{}, searches: newSearches("", o.Asked, o.Now, 0)}
}

// Route is RouteFiles.
func (l *LogFiles) Route() string { return RouteFiles }

// Requests is 0: nothing is asked of the site.
func (l *LogFiles) Requests() int { return 0 }

// Throttled is 0.
func (l *LogFiles) Throttled() int { return 0 }

const (
	// logChunk is the length of the pieces in which files are looked through.
	logChunk = 256 << 10
	// longestLine is what a line may hold at most.
	longestLine = maxBodyOfOne
	// logDisorder is how far the dates of neighbouring lines may differ where the
	// live edge is looked for from the end, ms: lines are written by several
	// threads. A line dated further back is found by the reconcile, which looks at
	// all that was written since.
	logDisorder = 10 * 60 * 1000
	// logTouched is how much older than its last line a file's date may be, ms.
	logTouched = 60 * 60 * 1000
)

// logFile is what is known of a file within one run.
type logFile struct {
	path string
	info fs.FileInfo
	size int64
	// last is true for the newest file, whose last line may not be whole.
	last bool
	// chunks are summaries of its pieces, nil for those not looked at yet. A line
	// belongs to the piece that it begins in.
	chunks []*chunk
}

// chunk says when the lines of a piece are from.
type chunk struct {
	min, max int64
	lines    int
	// growing is true where more may still be written into it.
	growing bool
}

// logLine is a line, and the time that it counts under: its own, or that of a
// neighbour where it has none.
type logLine struct {
	ms   int64
	file int
	at   int64
	text []byte
}

// Page answers a question from the files as they are now, newest first.
func (l *LogFiles) Page(ctx context.Context, q audit.Query) (audit.Page, error) {
	if q.Limit <= 0 || q.Limit > maxLimit {
		q.Limit = maxLimit
	}
	const tries = 3
	for try := 1; ; try++ {
		page, err := l.read(ctx, q)
		if err == nil {
			return page, nil
		}
		// Removed or renamed between listing and opening: the listing is old.
		if !errors.Is(err, fs.ErrNotExist) || try == tries {
			return audit.Page{}, l.failure(ctx, err)
		}
	}
}

func (l *LogFiles) failure(ctx context.Context, err error) *Error {
	e := &Error{Code: CodeAuditLog, Site: l.site, Product: l.product, Err: err, Person: true}
	var known *Error
	switch {
	case errors.As(err, &known):
		return known
	case ctx.Err() != nil:
		e.Code, e.Person = CodeInterrupted, false
		e.What, e.Next = "the time for this run was over before the files were read", "the next run continues where this one stopped"
	case errors.Is(err, fs.ErrPermission):
		e.What = "the audit log files in " + l.dir + " may not be read by this user: " + err.Error()
		e.Next = "let the user of the Agent read the folder and the files in it, for example by adding it to the group of the product's user"
	case errors.Is(err, fs.ErrNotExist):
		e.What = "the folder of the audit log files is not there: " + l.dir
		e.Next = "check `audit_log_path`: it is log/audit in the local home of the node that this Agent runs on"
	default:
		e.Person = false
		e.What = "the audit log files could not be read: " + err.Error()
		e.Next = tryAgain
	}
	return e
}

func (l *LogFiles) read(ctx context.Context, q audit.Query) (audit.Page, error) {
	files, err := l.list()
	if err != nil {
		return audit.Page{}, err
	}
	lines, err := l.find(ctx, files, q)
	if err != nil {
		return audit.Page{}, err
	}
	lines = lines[min(q.Offset, len(lines)):]
	lines = lines[:min(q.Limit, len(lines))]
	page := audit.Page{Records: make([]audit.Record, 0, len(lines)), Limit: q.Limit}
	size := 0
	for _, line := range lines {
		if size += len(line.text); size > maxBody && q.Limit > 1 && len(page.Records) > 0 {
			return audit.Page{}, &Error{Code: CodeTooLarge, Site: l.site, Product: l.product,
				What: fmt.Sprintf("the records are larger than %d MiB together", maxBody>>20), Next: "fewer are read at a time"}
		}
		r := decodeLine(line.text)
		r.Own = l.own(&r)
		page.Records = append(page.Records, r)
	}
	return page, nil
}

// list is the files, oldest first, with what is known of them already.
func (l *LogFiles) list() ([]*logFile, error) {
	entries, err := os.ReadDir(l.dir) // sorted by name, and so by age
	if err != nil {
		return nil, err
	}
	var files []*logFile
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".audit.log") {
			continue
		}
		path := filepath.Join(l.dir, e.Name())
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() || slices.ContainsFunc(files, func(f *logFile) bool { return os.SameFile(f.info, info) }) {
			continue
		}
		f := l.files[path]
		if f == nil || !os.SameFile(f.info, info) || info.Size() < f.size {
			f = &logFile{path: path}
			l.files[path] = f
		}
		f.hold(info.Size(), f.last)
		f.info = info
		for int64(len(f.chunks))*logChunk < f.size {
			f.chunks = append(f.chunks, nil)
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, &Error{Code: CodeAuditLog, Person: true, Site: l.site, Product: l.product,
			What: "there are no audit log files in " + l.dir,
			Next: "check `audit_log_path`: it is log/audit in the local home of the node that this Agent runs on, and its files are called like 20260101.00000.audit.log; " +
				"where the product has just been started, it writes the first with its first event"}
	}
	for i, f := range files {
		f.hold(f.size, i == len(files)-1)
	}
	return files, nil
}

// hold notes the file's size and whether it is the newest, and forgets the pieces
// that this makes different.
func (f *logFile) hold(size int64, last bool) {
	if size != f.size || last != f.last {
		for n, c := range f.chunks {
			if c != nil && c.growing {
				f.chunks[n] = nil
			}
		}
	}
	f.size, f.last = size, last
}

// find is the lines that the question is about, newest first, at least as many
// as it wants where there are so many.
func (l *LogFiles) find(ctx context.Context, files []*logFile, q audit.Query) ([]logLine, error) {
	type piece struct {
		file, n int
		*chunk
	}
	var pieces []piece
	to := q.To
	if !q.Bounded {
		to = maxMillis
	}
	for i := len(files) - 1; i >= 0; i-- {
		f := files[i]
		// The newest is always looked at: some file systems tell its date only when it
		// is closed (NTFS, and such as are shared over a network).
		if !f.last && f.info.ModTime().UnixMilli() < q.From-logTouched {
			continue
		}
		before := false
		for n := len(f.chunks) - 1; n >= 0 && !before; n-- {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			c := f.chunks[n]
			if c == nil {
				lines, growing, err := f.lines(i, n)
				if err != nil {
					return nil, err
				}
				c = summed(lines)
				c.growing = growing
				f.chunks[n] = c
			}
			switch {
			case c.lines == 0:
			case c.max >= q.From && c.min <= to:
				pieces = append(pieces, piece{i, n, c})
			default:
				before = !q.Bounded && c.max < q.From-logDisorder
			}
		}
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Compare(b.max, a.max) })
	var out []logLine
	wanted := q.Offset + q.Limit
	for k, p := range pieces {
		lines, _, err := files[p.file].lines(p.file, p.n)
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			if q.From <= line.ms && line.ms <= to {
				out = append(out, line)
			}
		}
		if len(out) >= wanted || k == len(pieces)-1 {
			slices.SortFunc(out, func(a, b logLine) int {
				return cmp.Or(cmp.Compare(b.ms, a.ms), cmp.Compare(b.file, a.file), cmp.Compare(b.at, a.at))
			})
			if k == len(pieces)-1 || out[wanted-1].ms > pieces[k+1].max {
				return out, nil
			}
		}
	}
	return out, nil
}

func summed(lines []logLine) *chunk {
	c := &chunk{lines: len(lines)}
	for i, line := range lines {
		if i == 0 {
			c.min, c.max = line.ms, line.ms
		}
		c.min, c.max = min(c.min, line.ms), max(c.max, line.ms)
	}
	return c
}

// lines are those that begin in the n-th piece of the file, in their order.
// growing is true where more may still be written into it.
func (f *logFile) lines(file, n int) (out []logLine, growing bool, err error) {
	r, err := os.Open(f.path)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = r.Close() }() // it was only read
	from := int64(n) * logChunk
	end := min(from+logChunk, f.size)
	skip := int64(0)
	if from > 0 {
		skip = 1 // the byte before tells whether a line begins here
	}
	text := make([]byte, end-from+skip)
	growing = end == f.size
	if got, err := r.ReadAt(text, from-skip); err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	} else if got < len(text) {
		text = text[:got] // cut off since it was listed
	}
	at := from - skip
	if skip > 0 {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return nil, growing, nil // all of it is the midst of one line
		}
		text, at = text[i+1:], at+int64(i)+1
	}
	for len(text) > 0 {
		i := bytes.IndexByte(text, '\n')
		line := text
		if i >= 0 {
			line, text = text[:i:i], text[i+1:]
		} else {
			var whole bool
			if line, whole, err = f.rest(r, line, at); err != nil {
				return nil, false, err
			}
			text, growing = nil, growing || !whole
			if !whole && f.last {
				break // still being written
			}
		}
		if len(bytes.Trim(line, "\x00 \t\r")) > 0 {
			ms, ok := lineDate(line)
			if !ok {
				ms = undatedLine
			}
			out = append(out, logLine{ms: ms, file: file, at: at, text: line})
		}
		at += int64(len(line)) + 1
	}
	f.place(out)
	return out, growing, nil
}

// rest reads a line that reaches beyond its piece to its end; whole is false
// where it has none.
func (f *logFile) rest(r *os.File, line []byte, at int64) (all []byte, whole bool, err error) {
	all = slices.Clone(line)
	buf := make([]byte, 64<<10)
	for {
		n, err := r.ReadAt(buf[:max(0, min(int64(len(buf)), f.size-at-int64(len(all))))], at+int64(len(all)))
		if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
			return append(all, buf[:i]...), true, nil
		}
		all = append(all, buf[:n]...)
		switch {
		case len(all) > longestLine:
			return nil, false, fmt.Errorf("%s: the line at byte %d is longer than %d MiB", f.path, at, longestLine>>20)
		case n == 0 || errors.Is(err, io.EOF):
			return all, false, nil
		case err != nil:
			return nil, false, err
		}
	}
}

// undatedLine marks a line without a readable date until it is placed.
const undatedLine = audit.UndatedMillis

// place gives the lines without a date the time of the line before, or of the
// one after, or of the file.
func (f *logFile) place(lines []logLine) {
	ms := f.info.ModTime().UnixMilli()
	if i := slices.IndexFunc(lines, func(l logLine) bool { return l.ms != undatedLine }); i >= 0 {
		ms = lines[i].ms
	}
	for i := range lines {
		if lines[i].ms == undatedLine {
			lines[i].ms = ms
		}
		ms = lines[i].ms
	}
}

// lineDate is the date of a line that is a valid JSON object with a date.
func lineDate(line []byte) (ms int64, ok bool) {
	s := scanner{b: line}
	if s.peek() != '{' {
		return 0, false
	}
	var date []byte
	s.open('{')
	for n := 0; s.more(n, '}'); n++ {
		name := s.name()
		if value := s.value(); string(name) == "timestamp" {
			date = value
		}
	}
	if s.bad || !s.end() {
		return 0, false
	}
	return entityDate(date)
}

// decodeLine is the record on a line. What is no JSON object is a record
// without a date.
func decodeLine(line []byte) audit.Record {
	d := &decoder{scanner: scanner{b: line}, layout: entityLayout()}
	if d.peek() == '{' {
		if r := d.record(); d.end() {
			return r
		}
	}
	return audit.Record{Raw: line, Keys: audit.NewKeys([][]byte{line}, nil)}
}
