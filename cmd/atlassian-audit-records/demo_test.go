package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	got := start(t, "", "demo", "--keep")
	if got.Status != 0 || got.Err != "" {
		t.Fatalf("the demo ended with status %d:\n%s%s", got.Status, got.Out, got.Err)
	}
	for _, want := range []string{
		"is killed in the middle", "0 requests  knows that it has to wait",
		"\n  lost                                0            0\n  repeated                            0            0\n",
		"source:jira-audit-records", "source:confluence-audit-records", "\nEvery record is in the spool exactly once.",
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

// TestDemoSeesWhatIsWrong spoils a spool that was whole.
func TestDemoSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(lines [][]byte) [][]byte
		want  counts
	}{
		"nothing is wrong":      {func(l [][]byte) [][]byte { return l }, counts{served: 20, spooled: 20}},
		"a line is missing":     {func(l [][]byte) [][]byte { return l[1:] }, counts{served: 20, spooled: 19, lost: 1}},
		"a line is there twice": {func(l [][]byte) [][]byte { return append(l, l[4]) }, counts{served: 20, spooled: 21, repeated: 1}},
		"a record comes again under another id": {func(l [][]byte) [][]byte {
			return append(l, bytes.Replace(l[4], []byte(`"record_id":"`), []byte(`"record_id":"x`), 1))
		}, counts{served: 20, spooled: 21, repeated: 1}},
		"a record was changed": {func(l [][]byte) [][]byte {
			l[4] = bytes.Replace(l[4], []byte(`"summary":"`), []byte(`"summary":" `), 1)
			return l
		}, counts{served: 20, spooled: 20, changed: 1}},
		"all is missing": {func([][]byte) [][]byte { return nil }, counts{served: 20, lost: 20}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &demo{site: atlassiantest.New(atlassiantest.Options{Seed: 1}), base: t.TempDir()}
			d.site.Fill(40, time.Hour)
			for _, p := range demoProducts {
				var lines [][]byte
				for i, r := range d.site.Records(p) {
					lines = append(lines, fmt.Appendf(nil, "%s,\"timestamp\":%d,\"atlassian\":{\"record_id\":\"%d\"}}\n",
						r.Raw[:len(r.Raw)-1], r.Created.UnixMilli(), i))
				}
				folder := agent.SpoolDir(d.base, p+"-audit-records")
				if err := os.MkdirAll(folder, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(folder, "a.jsonl"), bytes.Join(tt.spoil(lines), nil), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c, err := d.compare()
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range demoProducts {
				if diff := cmp.Diff(tt.want, *c.products[p], cmp.AllowUnexported(counts{})); diff != "" {
					t.Errorf("%s (-want +got):\n%s", p, diff)
				}
			}
			if good := tt.want == (counts{served: 20, spooled: 20}); c.good() != good {
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
