package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheAnswerIsWrittenToTheLetter(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := NewWriter(&b)
	w.ServiceCheck(ServiceCheck{Name: CanConnect, Status: StatusOK, Tags: []string{"a:b"}})
	w.ServiceCheck(ServiceCheck{Name: IsCurrent, Status: StatusUnknown, Hostname: "h", Message: "line\nbreak <&> \xff"})
	w.Metric(Metric{MetricType: Gauge, Name: "atlassian.audit_records.lag", Value: 3.2, Tags: []string{"a:b"}})
	w.Metric(Metric{MetricType: MonotonicCount, Name: "m", Value: 9007199254740993})
	w.Event(Event{Title: "t", Text: "x", AlertType: "warning", Tags: []string{"a:b"}, AggregationKey: "k"})
	w.Log("info", "hello")
	w.Warning("mind")
	if err := w.Result(""); err != nil {
		t.Fatal(err)
	}
	want := `{"type":"service_check","name":"atlassian_audit_records.can_connect","status":0,"tags":["a:b"],"hostname":"","message":""}
{"type":"service_check","name":"atlassian_audit_records.is_current","status":3,"tags":[],"hostname":"h","message":"line\nbreak <&> ` + `\ufffd` + `"}
{"type":"metric","metric_type":"gauge","name":"atlassian.audit_records.lag","value":3.2,"tags":["a:b"],"hostname":""}
{"type":"metric","metric_type":"monotonic_count","name":"m","value":9007199254740992,"tags":[],"hostname":""}
{"type":"event","title":"t","text":"x","alert_type":"warning","tags":["a:b"],"aggregation_key":"k"}
{"type":"log","level":"info","message":"hello"}
{"type":"warning","message":"mind"}
{"type":"result","error":null}
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestAnErrorIsASentenceInTheResult(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := NewWriter(&b).Result("do this"); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), `{"type":"result","error":"do this"}`+"\n"; got != want {
		t.Errorf("answer is %s, want %s", got, want)
	}
}

func TestTheResultIsOneAndTheLast(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := NewWriter(&b)
	if err := w.Result(""); err != nil {
		t.Fatal(err)
	}
	before := b.String()
	w.Log("info", "late")
	w.Metric(Metric{Value: math.NaN()})
	w.ServiceCheck(ServiceCheck{})
	w.Event(Event{})
	w.Warning("late")
	if err := w.Result("again"); !errors.Is(err, ErrResultWritten) {
		t.Errorf("a second result: error is %v", err)
	}
	if b.String() != before {
		t.Errorf("written after the result: %q", strings.TrimPrefix(b.String(), before))
	}
}

func TestAValueThatIsNotFiniteIsToldInstead(t *testing.T) {
	t.Parallel()
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		var b bytes.Buffer
		NewWriter(&b).Metric(Metric{Name: "m", Value: v})
		if got, want := b.String(), `{"type":"log","level":"error","message":"the metric m was left out: its value is not a finite number"}`+"\n"; got != want {
			t.Errorf("%v: %s", v, got)
		}
	}
}

func TestSecretsAreTakenOutOfEveryText(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := NewWriter(&b)
	w.Hide("sekrit", "", "abc")
	w.ServiceCheck(ServiceCheck{Message: "is sekrit abc", Tags: []string{"t:sekrit"}})
	w.Metric(Metric{Tags: []string{"sekrit"}})
	w.Event(Event{Title: "sekrit", Text: "sekrit", Tags: []string{"sekrit"}})
	w.Log("info", "sekritsekrit")
	w.Warning("sekrit")
	if err := w.Result("sekrit"); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "sekrit") || !strings.Contains(b.String(), "is ******** abc") {
		t.Errorf("answer is %s", b.String())
	}
}

// pipe counts the writes that it takes, and takes only so many.
type pipe struct {
	lines [][]byte
	most  int
	short bool
}

func (p *pipe) Write(b []byte) (int, error) {
	if len(p.lines) == p.most {
		if p.short {
			return len(b) - 1, nil
		}
		return 0, io.ErrClosedPipe
	}
	p.lines = append(p.lines, bytes.Clone(b))
	return len(b), nil
}

func TestAClosedStreamIsRememberedAndLeftAlone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		short bool
		want  error
	}{{"closed", false, io.ErrClosedPipe}, {"taking only a part", true, io.ErrShortWrite}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := &pipe{most: 1, short: tt.short}
			w := NewWriter(p)
			w.Log("info", "one")
			if err := w.Err(); err != nil {
				t.Fatal(err)
			}
			w.Log("info", "two")
			p.most = 9 // it would take lines again, but half a line may stand there
			w.Log("info", "three")
			if err := w.Err(); !errors.Is(err, tt.want) {
				t.Errorf("Err is %v, want %v", err, tt.want)
			}
			if err := w.Result(""); !errors.Is(err, tt.want) {
				t.Errorf("Result is %v, want %v", err, tt.want)
			}
			if len(p.lines) != 1 {
				t.Errorf("%d lines were written, want 1", len(p.lines))
			}
		})
	}
}

func TestLinesOfManyGoroutinesStayWhole(t *testing.T) {
	t.Parallel()
	p := &pipe{most: 1 << 20}
	w := NewWriter(p)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				w.Log("debug", strings.Repeat("x", 100))
				w.Metric(Metric{MetricType: Count, Name: "n", Value: 1})
				w.Hide("yyyyyyyy")
			}
		})
	}
	wg.Wait()
	if err := w.Result(""); err != nil {
		t.Fatal(err)
	}
	if len(p.lines) != 801 {
		t.Errorf("%d writes, want 801", len(p.lines))
	}
	for _, line := range p.lines {
		if !json.Valid(line) || bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' {
			t.Errorf("a write that is not one line of JSON: %q", line)
		}
	}
}
