//go:build cgo && linux

package native

import (
	"os"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNothingLeaks runs good runs and every kind of failure side by side, a few
// hundred times, or NATIVE_RUNS times, and looks at what the host holds then.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	runs := 600
	if text := os.Getenv("NATIVE_RUNS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 100 {
			t.Fatalf("NATIVE_RUNS is %q: it must be a number from 100 on", text)
		}
		runs = n
	}
	event := `{"type": "event", "title": "a title", "text": "a text", "tags": ["a:b", "c:d"]}`
	refused := newProgram(t, "", good)
	if err := os.Chmod(refused.path, 0o777); err != nil {
		t.Fatal(err)
	}
	programs := []*program{
		newProgram(t, "", event, event, good), newProgram(t, "", event, good), newProgram(t, "", `{"type": "result", "error": "refused"}`),
		newProgram(t, "status=3", event), newProgram(t, "signal=9"), newProgram(t, "deaf", good), newProgram(t, "orphan", good), refused,
		newProgram(t, "", `{"type": "event", "title": 1}`, good), newProgram(t, "", event, `{"type": "event", "title": "`+secret+`", "text": ""}`, good),
	}
	var in []instance
	for i, p := range programs {
		one := p.of("")
		one.CheckID = strconv.Itoa(i)
		in = append(in, one)
	}
	r := do(t, job{Instances: in, Rounds: runs / len(in), Parallel: 4}, nil)
	if want := runs / len(in) * 9; r.Calls != want { // six events, and a service check for each of three
		t.Errorf("%d callbacks, want %d", r.Calls, want)
	}
	if len(r.After.Children) > 0 {
		t.Errorf("children left: %v", r.After.Children)
	}
	if diff := cmp.Diff(without(r.Middle.Descriptors), without(r.After.Descriptors)); diff != "" {
		t.Errorf("descriptors (-after a tenth of the runs +after all):\n%s", diff)
	}
	for _, p := range programs {
		if left := running(t, p.path); len(left) > 0 {
			t.Errorf("processes are left: %v", left)
		}
	}
	// What the host's own threads take comes on top, once. The sanitizer, which
	// looks at every single piece, keeps what was freed.
	if grown, limit := r.After.Heap-r.Middle.Heap, int64(64<<10+runs*16); grown > limit && os.Getenv("NATIVE_SANITIZE") == "" {
		t.Errorf("memory from malloc has grown by %d bytes in %d runs, from %d", grown, runs*9/10, r.Middle.Heap)
	}
	t.Logf("%d runs: malloc %d to %d bytes, resident %d to %d KiB", runs, r.Middle.Heap, r.After.Heap, r.Middle.Resident, r.After.Resident)
}
