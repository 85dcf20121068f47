package schedule

import (
	"bytes"
	"testing"
)

// FuzzListen: whatever a run writes, it is listened to until a result, each line
// is reported once at most, and a metric never.
func FuzzListen(f *testing.F) {
	f.Add([]byte(`{"type":"service_check","name":"n","status":2,"message":"m"}` + "\n" + `{"type":"result","error":null}` + "\n"))
	f.Add([]byte(`{"type":"metric","value":3.2}` + "\n" + `{"type":"result","error":"e"}`))
	f.Add([]byte("null\n[]\n{\"type\":7}\n\xff\n{\"type\":\"result\"}\n{\"type\":\"log\"}\n"))
	f.Add([]byte("panic: x\n\ngoroutine 1 [running]:\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var lines []Line
		r := &Runner{Report: func(_ Job, l Line) { lines = append(lines, l) }}
		answered := r.listen(Job{}, bytes.NewReader(text))
		if len(lines) > 1+bytes.Count(text, []byte("\n")) {
			t.Errorf("%d reports of %q", len(lines), text)
		}
		for i, l := range lines {
			if l.Type == "metric" || (l.Type == "result") != (answered && i == len(lines)-1) {
				t.Errorf("%+v is report %d of %d, answered %t", l, i+1, len(lines), answered)
			}
		}
	})
}
