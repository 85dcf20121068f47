package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/agent/agenttest"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	got := startBuilt(t, "demo", "--keep")
	if got.Status != 0 || got.Err != "" {
		t.Fatalf("the demo ended with status %d:\n%s%s", got.Status, got.Out, got.Err)
	}
	for _, want := range []string{
		"is killed in the middle", "0 requests  knows that it has to wait",
		"\n  lost                                0            0\n  repeated                            0            0\n",
		"source:jira-audit-records", "source:confluence-audit-records", "host:demo", "(1 answer of 503)", "(1 answer of 413)", "\nEvery record arrived exactly once.",
	} {
		if !strings.Contains(got.Out, want) {
			t.Errorf("the demo does not say %q:\n%s", want, got.Out)
		}
	}
	_, folder, ok := strings.Cut(strings.TrimSpace(got.Out), "Everything is kept in ")
	if !ok {
		t.Fatal("the demo does not say where everything is kept")
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Error(err)
	}
}

// startBuilt builds both programs into one folder, and starts the first one.
func startBuilt(t *testing.T, args ...string) outcome {
	t.Helper()
	dir := t.TempDir()
	suffix := ""
	if runtime.GOOS == "windows" {
		suffix = ".exe"
	}
	for name, from := range map[string]string{program: ".", sender: filepath.Join("..", sender)} {
		build := exec.CommandContext(t.Context(), "go", "build", "-C", from, "-o", filepath.Join(dir, name+suffix), ".")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, program+suffix), args...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	var exit *exec.ExitError
	if e := cmd.Run(); e != nil && !errors.As(e, &exit) {
		t.Fatalf("start the program: %v", e)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), err.String()}
}

// TestDemoSeesWhatIsWrong spoils what arrived.
func TestDemoSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func([]agenttest.Log) []agenttest.Log
		want  counts
	}{
		"nothing is wrong":    {func(l []agenttest.Log) []agenttest.Log { return l }, counts{served: 20, arrived: 20}},
		"a log is missing":    {func(l []agenttest.Log) []agenttest.Log { return l[1:] }, counts{served: 20, arrived: 19, lost: 1}},
		"a log came twice":    {func(l []agenttest.Log) []agenttest.Log { return append(l, l[4]) }, counts{served: 20, arrived: 21, repeated: 1}},
		"nothing came":        {func([]agenttest.Log) []agenttest.Log { return nil }, counts{served: 20, lost: 20}},
		"a log came too late": {func(l []agenttest.Log) []agenttest.Log { l[4].Received = l[4].Received.Add(20 * time.Hour); return l }, counts{served: 20, arrived: 20, refused: 1}},
		"a record came again under another id": {func(l []agenttest.Log) []agenttest.Log {
			again := l[4]
			again.Message = strings.Replace(again.Message, `"record_id":"`, `"record_id":"x`, 1)
			return append(l, again)
		}, counts{served: 20, arrived: 21, repeated: 1}},
		"a record was changed": {func(l []agenttest.Log) []agenttest.Log {
			l[4].Message = strings.Replace(l[4].Message, `"summary":"`, `"summary":" `, 1)
			return l
		}, counts{served: 20, arrived: 20, changed: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &demo{site: atlassiantest.New(atlassiantest.Options{Seed: 1})}
			d.site.Fill(40, time.Hour)
			var logs []agenttest.Log
			for _, p := range demoProducts {
				var arrived []agenttest.Log
				for i, r := range d.site.Records(p) {
					arrived = append(arrived, agenttest.Log{
						Message: fmt.Sprintf("%s,\"timestamp\":%d,\"atlassian\":{\"record_id\":\"%d\"}}", r.Raw[:len(r.Raw)-1], r.Created.UnixMilli(), i),
						Source:  p + "-audit-records", Received: time.Now(),
					})
				}
				logs = append(logs, tt.spoil(arrived)...)
			}
			c, err := d.compare(nil, logs)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range demoProducts {
				if diff := cmp.Diff(tt.want, *c.products[p], cmp.AllowUnexported(counts{})); diff != "" {
					t.Errorf("%s (-want +got):\n%s", p, diff)
				}
			}
			if good := tt.want == (counts{served: 20, arrived: 20}); c.good() != good {
				t.Errorf("good is %v", c.good())
			}
		})
	}
}

func TestGrouped(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -100: "-100", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}
