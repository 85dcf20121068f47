package atlassian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/audit"
)

// node is the folder of a node's audit log files.
type node struct {
	t   *testing.T
	dir string
	*LogFiles
}

var logStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newNode(t *testing.T) *node {
	t.Helper()
	dir := t.TempDir()
	return &node{t, dir, NewLogFiles(LogFilesOptions{Dir: dir, Site: "jira.example.com", Product: audit.Jira, Now: time.Now})}
}

// event is a line that happened some seconds after the start.
func event(name string, second int) string {
	return fmt.Sprintf(`{"auditType":{"actionI18nKey":"%s"},"author":{"id":"1"},"timestamp":{"epochSecond":%d,"nano":5000000}}`, name, logStart.Unix()+int64(second)) + "\n"
}

// write appends to a file, which is made where it is not there.
func (n *node) write(file string, text ...string) {
	n.t.Helper()
	f, err := os.OpenFile(filepath.Join(n.dir, file), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err == nil {
		_, err = f.WriteString(strings.Join(text, ""))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		n.t.Fatal(err)
	}
}

// names are the actions of a page's records, or the text of what has none.
func names(p audit.Page) []string {
	out := []string{}
	for _, r := range p.Records {
		name := string(member(fieldOf(r.Raw, "auditType").raw, "actionI18nKey"))
		if name == "" {
			name = fmt.Sprintf("%.20s", r.Raw)
		}
		if !r.Dated {
			name += " undated"
		}
		out = append(out, name)
	}
	return out
}

func (n *node) want(q audit.Query, want ...string) {
	n.t.Helper()
	page, err := n.Page(n.t.Context(), q)
	if err != nil {
		n.t.Fatal(err)
	}
	if diff := cmp.Diff(append([]string{}, want...), names(page)); diff != "" {
		n.t.Errorf("records (-want +got):\n%s", diff)
	}
}

// all asks for everything, with an upper bound, which looks at every line.
func all() audit.Query { return audit.Query{To: maxMillis, Bounded: true} }

func TestFilesAreReadNewestFirst(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.write("20260101.00000.audit.log", event("a", 0), event("c", 20), event("b", 10)) // two threads wrote
	n.write("20260101.00001.audit.log", event("d", 30), event("late", 5))
	n.write("20260102.00000.audit.log", event("e", 40))
	n.write("audit.log.bak", event("a copy", 50))
	n.write("other.txt", event("something else", 50))
	at := func(second int) int64 { return logStart.UnixMilli() + int64(second)*1000 + 5 }
	for name, row := range map[string]struct {
		q    audit.Query
		want string
	}{
		"the live question":            {audit.Query{From: at(0)}, "e d c b late a"},
		"a lower bound that is a date": {audit.Query{From: at(20)}, "e d c"},
		"both bounds":                  {audit.Query{From: at(5), To: at(30), Bounded: true}, "d c b late"},
		"one millisecond":              {audit.Query{From: at(10), To: at(10), Bounded: true}, "b"},
		"a limit":                      {audit.Query{To: maxMillis, Bounded: true, Limit: 2}, "e d"},
		"an offset":                    {audit.Query{To: maxMillis, Bounded: true, Limit: 2, Offset: 3}, "b late"},
		"an offset past the end":       {audit.Query{To: maxMillis, Bounded: true, Offset: 30}, ""},
		"a time without records":       {audit.Query{From: at(41)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			page, err := n.Page(t.Context(), row.q)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(names(page), " "); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
	if n.Requests() != 0 || n.Throttled() != 0 || n.Route() != RouteFiles {
		t.Error("files are not asked over a network")
	}
}

func TestFilesChangeBetweenTwoQuestions(t *testing.T) {
	t.Parallel()
	const first, second, third = "20260101.00000.audit.log", "20260101.00001.audit.log", "20260102.00000.audit.log"
	for name, tell := range map[string]func(n *node){
		"the last line is half written, and then whole": func(n *node) {
			half := event("b", 10)
			n.write(first, event("a", 0), half[:20])
			n.want(all(), "a")
			n.want(all(), "a")
			n.write(first, half[20:60])
			n.want(all(), "a")
			n.write(first, half[60:])
			n.want(all(), "b", "a")
		},
		"the last line of a file that is not the newest has no end": func(n *node) {
			n.write(first, event("a", 0), strings.TrimSuffix(event("b", 10), "\n"))
			n.want(all(), "a")
			n.write(second, event("c", 20))
			n.want(all(), "c", "b", "a")
		},
		"the program was killed in the midst of a line and went on behind it": func(n *node) {
			n.write(first, event("a", 0), event("b", 10)[:30], event("c", 20), event("d", 30))
			n.want(all(), "d", `{"auditType":{"actio undated`, "a")
		},
		"a new file is begun": func(n *node) {
			n.write(first, event("a", 0))
			n.want(all(), "a")
			n.write(third, event("b", 86400))
			n.want(all(), "b", "a")
		},
		"the oldest file is removed": func(n *node) {
			n.write(first, event("a", 0))
			n.write(second, event("b", 10))
			n.want(all(), "b", "a")
			n.remove(first)
			n.want(all(), "b")
		},
		"files are renumbered": func(n *node) {
			n.write(first, event("a", 0))
			n.write(second, event("b", 10))
			n.want(all(), "b", "a")
			n.rename(second, "20260101.00002.audit.log")
			n.rename(first, second)
			n.write(third, event("c", 20))
			n.want(all(), "c", "b", "a")
		},
		"the newest file is copied away and emptied": func(n *node) {
			n.write(first, event("a", 0), event("b", 10))
			n.want(all(), "b", "a")
			n.write(first+".1", event("a", 0), event("b", 10))
			if err := os.Truncate(filepath.Join(n.dir, first), 0); err != nil {
				n.t.Fatal(err)
			}
			n.want(all())
			n.write(first, event("c", 20))
			n.want(all(), "c")
		},
		"a file is replaced by a longer one": func(n *node) {
			n.write(first, event("a", 0))
			n.want(all(), "a")
			n.remove(first)
			n.write(first, event("b", 10), event("c", 20))
			n.want(all(), "c", "b")
		},
		"a file stands there under two names": func(n *node) {
			n.write(first, event("a", 0))
			if err := os.Link(filepath.Join(n.dir, first), filepath.Join(n.dir, second)); err != nil {
				n.t.Skip("this file system knows no hard links: ", err)
			}
			n.want(all(), "a")
		},
		"lines hold nothing, or zeros after a power failure": func(n *node) {
			n.write(first, "\n", event("a", 0), "\x00\x00\x00\n", " \r\n", event("b", 10))
			n.want(all(), "b", "a")
		},
		"lines end as on Windows": func(n *node) {
			n.write(first, strings.ReplaceAll(event("a", 0)+event("b", 10), "\n", "\r\n"))
			n.want(all(), "b", "a")
		},
		"lines are no records": func(n *node) {
			n.write(first, event("a", 0), "not JSON\n", "17\n", `{"timestamp":"soon"}`+"\n", event("b", 10))
			n.want(all(), "b", `{"timestamp":"soon"} undated`, "17 undated", "not JSON undated", "a")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tell(newNode(t))
		})
	}
}

func (n *node) remove(file string) {
	n.t.Helper()
	if err := os.Remove(filepath.Join(n.dir, file)); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) rename(from, to string) {
	n.t.Helper()
	if err := os.Rename(filepath.Join(n.dir, from), filepath.Join(n.dir, to)); err != nil {
		n.t.Fatal(err)
	}
}

// TestLongFilesAreReadInPieces has lines across every border of a piece, one of
// them longer than several pieces, while the file grows.
func TestLongFilesAreReadInPieces(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	const file = "20260101.00000.audit.log"
	padded := func(i, length int) string {
		return strings.Replace(event(fmt.Sprint("e", i), i), "{", `{"pad":"`+strings.Repeat("x", length)+`",`, 1)
	}
	var want []string
	for i := range 40 {
		length := 30_000 + 1777*i
		if i == 20 {
			length = 3 * logChunk
		}
		n.write(file, padded(i, length))
		want = append([]string{fmt.Sprint("e", i)}, want...)
		if i%7 == 0 {
			n.want(all(), want...)
			n.want(audit.Query{From: logStart.UnixMilli()}, want...)
		}
	}
	n.want(all(), want...)
	n.want(audit.Query{From: logStart.UnixMilli() + 30_000}, want[:10]...)
	n.want(audit.Query{To: maxMillis, Bounded: true, Offset: 18, Limit: 4}, want[18:22]...)
}

// TestPiecesMayOverlapInTime has a piece with the newest and the oldest line, and
// one with those between.
func TestPiecesMayOverlapInTime(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	const file = "20260101.00000.audit.log"
	filler := strings.Replace(event("filler", 0), "{", `{"pad":"`+strings.Repeat("x", logChunk)+`",`, 1)
	n.write(file, event("e", 100), event("a", 10), filler, event("d", 90), event("c", 80))
	n.want(audit.Query{To: maxMillis, Bounded: true, Limit: 2}, "e", "d")
	n.want(audit.Query{To: maxMillis, Bounded: true, Limit: 2, Offset: 1}, "d", "c")
}

// TestALongFileIsEmptiedAndFilledAgain: what was known of its pieces is not true
// any more.
func TestALongFileIsEmptiedAndFilledAgain(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	const file = "20260101.00000.audit.log"
	pad := func(line string) string {
		return strings.Replace(line, "{", `{"pad":"`+strings.Repeat("x", logChunk)+`",`, 1)
	}
	n.write(file, pad(event("a", 0)), event("b", 10))
	n.want(all(), "b", "a")
	if err := os.Truncate(filepath.Join(n.dir, file), 0); err != nil {
		t.Fatal(err)
	}
	n.want(all())
	n.write(file, pad(event("c", 1000)), event("d", 1010))
	n.want(audit.Query{From: logStart.UnixMilli() + 500_000, To: maxMillis, Bounded: true}, "d", "c")
}

func TestOldFilesAreNotOpenedForTheLiveEdge(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.write("20260101.00000.audit.log", event("a", 0))
	n.write("20260102.00000.audit.log", event("b", 86400))
	old := filepath.Join(n.dir, "20260101.00000.audit.log")
	if err := os.Chtimes(old, logStart, logStart.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	n.want(audit.Query{From: logStart.UnixMilli() + 80_000_000}, "b")
	if f := n.files[old]; f == nil || f.chunks[0] != nil {
		t.Error("a file that nothing was written to since was read")
	}
	n.want(all(), "b", "a")
}

func TestTheNewestFileIsReadWhateverItsDate(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.write("20260102.00000.audit.log", event("a", 86400))
	n.write("20260103.00000.audit.log", event("b", 2*86400), event("c", 2*86400+50_000))
	// It is still open, and the file system has not noted what was written to it since.
	if err := os.Chtimes(filepath.Join(n.dir, "20260103.00000.audit.log"), logStart, logStart.Add(48*time.Hour)); err != nil {
		t.Fatal(err)
	}
	n.want(audit.Query{From: logStart.Add(48*time.Hour).UnixMilli() + 49_000_000}, "c")
}

func TestFilesThatCannotBeReadAreTold(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		prepare func(n *node)
		want    string
	}{
		"there is no folder": {func(n *node) { n.remove(".") },
			"the folder of the audit log files is not there: "},
		"there are no files": {func(n *node) { n.write("atlassian-jira.log", "text\n") },
			"there are no audit log files in "},
		"a file may not be read": {func(n *node) {
			n.write("20260101.00000.audit.log", event("a", 0))
			if err := os.Chmod(filepath.Join(n.dir, "20260101.00000.audit.log"), 0); err != nil {
				n.t.Fatal(err)
			}
		}, "may not be read by this user"},
		"a line never ends": {func(n *node) {
			n.write("20260101.00000.audit.log", event("a", 0), strings.Repeat("x", longestLine+logChunk), "\n")
		}, "is longer than 16 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "a file may not be read" && (runtime.GOOS == "windows" || os.Geteuid() == 0) {
				// The modes of files do not bind this user: the sentence alone.
				e := newNode(t).failure(t.Context(), &os.PathError{Op: "open", Path: "x", Err: os.ErrPermission})
				if !strings.Contains(e.Error(), row.want) || !e.Person || e.Code != CodeAuditLog {
					t.Errorf("%v", e)
				}
				return
			}
			n := newNode(t)
			row.prepare(n)
			_, err := n.Page(t.Context(), all())
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.What, row.want) || e.Next == "" || e.Code != CodeAuditLog {
				t.Errorf("%+v", err)
			}
		})
	}
	n := newNode(t)
	n.write("20260101.00000.audit.log", event("a", 0))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var e *Error
	if _, err := n.Page(ctx, all()); !errors.As(err, &e) || e.Code != CodeInterrupted {
		t.Errorf("a run that is over: %v", err)
	}
}

func FuzzDecodeLine(f *testing.F) {
	f.Add([]byte(strings.TrimSpace(event("a", 0))))
	f.Add([]byte(`{"timestamp":{"epochSecond":1,"nano":1e9},"changedValues":[{"key":1},null,[]],"extraAttributes":{}}`))
	f.Add([]byte("{\"timestamp\":{\"epochSecond\":}\x00"))
	f.Fuzz(func(t *testing.T, line []byte) {
		r := decodeLine(line)
		ms, dated := lineDate(line)
		if dated != r.Dated || dated && ms != r.Millis {
			t.Errorf("the index says %d, %t, the record %d, %t", ms, dated, r.Millis, r.Dated)
		}
		if r.Keys.Fingerprint == "" && r.ID == "" {
			t.Error("the record cannot be told from others")
		}
		again := decodeLine(append([]byte(nil), line...))
		if again.Keys != r.Keys {
			t.Error("the same line has two identities")
		}
	})
}
