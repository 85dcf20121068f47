package tail

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/DataDog/datadog-agent/comp/logs/agent/config"
	"github.com/DataDog/datadog-agent/pkg/logs/message"
	"github.com/DataDog/datadog-agent/pkg/logs/sources"

	"atlassian_audit_records/cmd/atlassian-audit-records-run/internal/ledger"
	"atlassian_audit_records/cmd/atlassian-audit-records-run/internal/pipeline"
)

// world is a spool folder, and a tailer over it.
type world struct {
	t      *testing.T
	dir    string
	book   *ledger.Ledger
	in     chan *message.Message
	tailer *Tailer
}

func newWorld(t *testing.T, room int) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), in: make(chan *message.Message, room)}
	var err error
	if w.book, _, err = ledger.Open(filepath.Join(t.TempDir(), "registry.json"), nil); err != nil {
		t.Fatal(err)
	}
	w.anew()
	return w
}

// anew is a new tailer over the same ledger, as after a restart.
func (w *world) anew() {
	w.tailer = New(Options{
		Sources: []Source{{
			Glob: filepath.Join(w.dir, "*.jsonl"), Exclude: []string{filepath.Join(w.dir, "x*")},
			Log: sources.NewLogSource("s", &config.LogsConfig{Source: "s"}),
		}},
		Ledger: w.book, In: w.in, Period: time.Second, Now: time.Now,
		Begin: func(path string) int64 {
			if strings.HasSuffix(path, "begun.jsonl") {
				return 2
			}
			return 0
		},
		Judge: func(_ context.Context, m *message.Message) pipeline.Verdict {
			switch string(m.GetContent()) {
			case "excluded":
				return pipeline.Excluded
			case "large":
				return pipeline.TooLarge
			}
			return pipeline.Sent
		},
	})
}

func (w *world) append(name, text string) {
	w.t.Helper()
	f, err := os.OpenFile(filepath.Join(w.dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		w.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// look lets the tailer look once, and returns what it sent.
func (w *world) look() []string {
	w.t.Helper()
	w.tailer.look(w.t.Context())
	return w.sent()
}

func (w *world) sent() []string {
	var out []string
	for {
		select {
		case m := <-w.in:
			out = append(out, filepath.Base(m.Origin.FilePath)+"@"+m.Origin.Offset+" "+string(m.GetContent()))
		default:
			return out
		}
	}
}

func (w *world) expect(what string, want, got []string) {
	w.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("%s (-want +got)\n%s", what, diff)
	}
}

func TestLinesAreSentWholeAndOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100)
	w.append("b.jsonl", "one\n\ntw")
	w.append("a.jsonl", "zero\nexcluded\nlarge\nlast\n")
	w.append("x.jsonl", "left out\n")
	w.append("begun.jsonl", "a\nb\n")
	w.append("c.txt", "no spool file\n")
	w.expect("the oldest file first, whole lines only", []string{"a.jsonl@5 zero", "a.jsonl@25 last", "b.jsonl@4 one", "begun.jsonl@4 b"}, w.look())
	w.expect("nothing is new", nil, w.look())
	w.append("b.jsonl", "o\nthree\n")
	w.expect("what was added", []string{"b.jsonl@9 two", "b.jsonl@15 three"}, w.look())
}

func TestARestartBeginsWhereWasAcknowledged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100)
	w.append("a.jsonl", "one\ntwo\nthree\nexcluded\n")
	w.tailer.look(t.Context())
	m := <-w.in
	Acknowledge(w.book, []*message.MessageMetadata{&m.MessageMetadata})
	w.sent()
	w.anew()
	w.expect("from the first line that was not acknowledged", []string{"a.jsonl@8 two", "a.jsonl@14 three"}, w.look())
	if bytes, _ := w.book.Pending(); bytes != int64(len("two\nthree\n")) {
		t.Errorf("%d bytes are pending", bytes)
	}
}

func TestAFileThatLeavesItsFolderIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1) // the pipeline takes one line, and then nothing
	w.append("a.jsonl", "one\ntwo\nthree\n")
	ended := make(chan struct{})
	go func() {
		w.tailer.look(t.Context())
		close(ended)
	}()
	first := <-w.in // so that the second fills the channel, and the third waits
	if string(first.GetContent()) != "one" {
		t.Errorf("the first is %s", first.GetContent())
	}
	if err := os.Rename(filepath.Join(w.dir, "a.jsonl"), filepath.Join(t.TempDir(), "a.jsonl.taken")); err != nil {
		t.Fatal(err)
	}
	<-ended
	if n := len(w.sent()); n > 1 {
		t.Errorf("%d lines were sent after the file had left", n)
	}
	if bytes, _ := w.book.Pending(); bytes != 0 {
		t.Errorf("%d bytes of it are waited for", bytes)
	}
}

func TestAFileThatComesBackGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100)
	w.append("a.jsonl", "one\ntwo\n")
	w.tailer.look(t.Context())
	m := <-w.in
	Acknowledge(w.book, []*message.MessageMetadata{&m.MessageMetadata})
	w.sent()
	away := filepath.Join(t.TempDir(), "away")
	if err := os.Rename(filepath.Join(w.dir, "a.jsonl"), away); err != nil {
		t.Fatal(err)
	}
	w.expect("while it is away", nil, w.look())
	if err := os.Rename(away, filepath.Join(w.dir, "a.jsonl")); err != nil {
		t.Fatal(err)
	}
	w.expect("when it is back", []string{"a.jsonl@8 two"}, w.look())
}

func TestReadLine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLine)
	r := bufio.NewReaderSize(strings.NewReader("a\n"+long+"\n"+long[1:]+"\nrest"), 4096)
	for _, want := range []struct {
		line   int // its length; -1: it is too long
		length int64
	}{{1, 2}, {-1, maxLine + 1}, {maxLine - 1, maxLine}} {
		line, length, err := readLine(r)
		got := len(line)
		if line == nil {
			got = -1
		}
		if err != nil || got != want.line || length != want.length {
			t.Errorf("a line of %d in %d bytes, %v; want %+v", got, length, err, want)
		}
	}
	if _, _, err := readLine(r); err == nil {
		t.Error("a line without its end was read")
	}
}
