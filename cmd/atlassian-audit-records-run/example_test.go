package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/DataDog/datadog-agent/comp/logs/agent/config"

	"atlassian_audit_records/cmd/atlassian-audit-records-run/internal/datadog"
	"atlassian_audit_records/pkg/agent"
)

// TestTheExampleIsValidForTheAgent has the Agent's own code parse and validate
// every entry of the logs section of conf.yaml.example.
func TestTheExampleIsValidForTheAgent(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "conf.d", "atlassian_audit_records.d", "conf.yaml.example"))
	if err != nil {
		t.Fatal(err)
	}
	// The entries of sources that not everybody has stand there commented out.
	_, logs, ok := strings.Cut(string(text), "\nlogs:\n")
	if !ok {
		t.Fatal("the example has no logs section")
	}
	sites := []string{"jira-audit-records", "confluence-audit-records"}
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"as it stands":     {string(text), sites},
		"with every entry": {"logs:\n" + uncommented(logs), append(slices.Clone(sites), "atlassian-event-logs")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entries, err := config.ParseYAML([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			var sources []string
			for _, e := range entries {
				sources = append(sources, e.Source)
				if err := e.Validate(); err != nil {
					t.Errorf("%s: %v", e.Source, err)
				}
				if e.Type != config.FileType || e.TailingMode != "beginning" || e.AutoMultiLine == nil || *e.AutoMultiLine ||
					e.FingerprintConfig == nil || e.FingerprintConfig.FingerprintStrategy != "disabled" {
					t.Errorf("the Agent understands %s as %s", e.Source, e.Dump(false))
				}
			}
			if diff := cmp.Diff(tt.want, sources); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}
			if runtime.GOOS == "windows" {
				return // the example has the paths of Linux and macOS
			}
			followed, err := datadog.Logs([]byte(tt.text), filepath.Join(agent.Base(agent.RunPath()), "spool"))
			if err != nil || len(followed) != len(entries) {
				t.Errorf("`run` follows %d of %d entries: %v", len(followed), len(entries), err)
			}
		})
	}
}

// uncommented turns each commented-out entry into one that counts.
func uncommented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if entry, ok := strings.CutPrefix(strings.TrimLeft(line, " "), "# "); ok && !strings.HasPrefix(entry, "#") {
			indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
			line = indent + entry
		}
		b.WriteString(line)
	}
	return b.String()
}
