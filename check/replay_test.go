package check

import (
	"bytes"
	"os"
	"slices"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
)

// ofEveryKind runs a test with an instance of each kind, whose files are known by
// what their lines say.
func ofEveryKind(t *testing.T, test func(t *testing.T, w *world, c *Config, p audit.Product)) {
	t.Helper()
	t.Run("a Cloud site", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(t *testing.T, w *world) { test(t, w, w.config(classicAuth, "products: [jira]"), audit.Jira) })
	})
	t.Run("an organisation", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(t *testing.T, w *world) {
			w.server.Fill(40, 6*time.Hour, atlassiantest.Organization)
			test(t, w, w.organization(), audit.Organization)
		})
	})
	for name, path := range map[string]string{"a host of Data Center": "", "a context path of Data Center": "/jira"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inDataCenter(t, atlassiantest.DataCenter{Paths: map[string]string{"jira": path}, Old: true}, func(t *testing.T, w *world, _ string) {
				test(t, w, w.onDataCenter("https://products.example.com"+path, audit.Jira, "auth: "+personalAuth), audit.Jira)
			})
		})
	}
}

func TestReplayFindsTheLinesOfEveryKindOfInstance(t *testing.T) {
	t.Parallel()
	ofEveryKind(t, func(t *testing.T, w *world, c *Config, p audit.Product) {
		w.runWell(c)
		w.dated()
		w.tailer().ack()
		all := len(w.everywhere(p))
		span := ReplaySpan{Since: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Minute)}
		out, err := Replay(c, p, span, w.options, true)
		if err != nil {
			t.Fatal(err)
		}
		if now := len(w.everywhere(p)); all == 0 || !out.Done || out.Records != all || now != 2*all || out.Instance != c.Name() {
			t.Errorf("%d lines before, %d after, and it says %+v", all, now, out)
		}
	})
}

func TestLinesOfEveryKindOfInstanceAreSpooledAgainAsLate(t *testing.T) {
	t.Parallel()
	ofEveryKind(t, func(t *testing.T, w *world, c *Config, p audit.Product) {
		w.runWell(c)
		w.dated()
		w.tailer().write() // an Agent that has read nothing
		before := w.everywhere(p)
		pass(20 * time.Hour)
		w.runFor(c, 6*time.Minute)
		if after := w.everywhere(p); len(before) == 0 || !slices.Equal(before, after) {
			t.Errorf("%d lines before, %d after", len(before), len(after))
		}
		for _, path := range w.files("spool", p) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for line := range bytes.Lines(text) {
				if l, ok := audit.ReadLine(line); !ok || l.TooOld(time.Now().UnixMilli()) {
					t.Errorf("Datadog would refuse %s", line)
				}
			}
		}
	})
}
