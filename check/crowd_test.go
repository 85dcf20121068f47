package check

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/audit"
)

func TestCrowd(t *testing.T) {
	t.Parallel()
	sites := func(n int) (out []Instance) {
		for range n {
			out = append(out, Instance{Config: &Config{Products: []audit.Product{audit.Jira, audit.Confluence}}})
		}
		return out
	}
	for name, tt := range map[string]struct {
		sites, files, limit int
		over                bool
		text, next          string
	}{
		"one site is no crowd":                        {sites: 1, files: 2, limit: 500},
		"two files a product still fit":               {sites: 125, limit: 500},
		"they do not while files roll":                {sites: 126, limit: 500, text: "252 products are configured, each with a file, and two", next: "open_files_limit to 604"},
		"one file a product does not fit":             {sites: 251, limit: 500, over: true, text: "502 products with a file each", next: "open_files_limit to 1104"},
		"a raised limit counts":                       {sites: 251, limit: 1104},
		"files that lie there count":                  {sites: 1, files: 501, limit: 500, over: true, text: "501 lie in the spool", next: "open_files_limit to 601"},
		"without a limit it is the Agent's, on macOS": {sites: agent.OpenFilesLimit()/2 + 1, over: true, text: "the Agent follows " + strconv.Itoa(agent.OpenFilesLimit())},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := crowd(sites(tt.sites), tt.files, tt.limit)
			if c.Over != tt.over || (c.Text == "") != (tt.text == "") || !strings.Contains(c.Text, tt.text) || !strings.Contains(c.Next, tt.next) {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestDiagnoseCountsTheFilesOfTheSpool(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		m := w.newMachine("", "products: [jira]")
		m.write("datadog.yaml", "logs_enabled: true\nrun_path: '"+w.run+"'\nlogs_config: {open_files_limit: 2}\n", 0o600)
		said := func() string {
			for _, s := range m.diagnose().Steps {
				if s.Name == "open_files" {
					return string(s.Status) + " " + s.Code + ": " + s.Text
				}
			}
			return "nothing"
		}
		if got := said(); !strings.HasPrefix(got, "ok") {
			t.Errorf("one product: %s", got)
		}
		dir := agent.SpoolDir(agent.Base(w.run), audit.Jira.LogSource())
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a.jsonl", "b.jsonl", "c.jsonl", "d.tmp"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("{}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := said(); !strings.HasPrefix(got, "failed open_files: the Agent follows 2 log files at a time, and 3 lie in the spool") {
			t.Errorf("three files: %s", got)
		}
		m.write("datadog.yaml", "logs_enabled: true\nrun_path: '"+w.run+"'\nlogs_config: {open_files_limit: 1}\n", 0o600)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if got := said(); !strings.HasPrefix(got, "warning open_files: ") {
			t.Errorf("a limit that is reached when a file rolls: %s", got)
		}
		w.options.Agent = AgentInfo{LogsRunPath: filepath.Dir(ownRegistry(w.run))}
		w.runWell(w.config(classicAuth, "products: [jira]"))
		if got := said(); !strings.HasPrefix(got, "skipped : skipped: `run` sends") {
			t.Errorf("where the command run sends: %s", got)
		}
	})
}

// TestCrowdIn is about what status says: the files that lie there count, where the
// Agent follows them.
func TestCrowdIn(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		c := w.config(classicAuth, "products: [jira]")
		instances := []Instance{{Config: c}}
		w.runWell(c)
		dir := agent.SpoolDir(agent.Base(w.run), audit.Jira.LogSource())
		for _, name := range []string{"a.jsonl", "b.jsonl"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("{}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := CrowdIn(instances, 2); !got.Over || got.Files != 3 || !strings.HasSuffix(got.Notice(), " over several Agents (open_files)") {
			t.Errorf("three files, of which the Agent follows two: %+v", got)
		}
		if got := CrowdIn(instances, 3); got.Over || got.Notice() != "" {
			t.Errorf("three files, all of which it follows: %+v", got)
		}
		w.options.Agent = AgentInfo{LogsRunPath: filepath.Dir(ownRegistry(w.run))}
		w.runWell(c)
		if got := CrowdIn(instances, 2); got.Notice() != "" {
			t.Errorf("where the command run sends: %+v", got)
		}
	})
}

func TestPagesIn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ bytes, want int64 }{
		"nothing is no page":                           {0, 0},
		"less than nothing neither":                    {-1 << 40, 0},
		"what a page of each runner may take is none":  {roomOfPage, 0},
		"of twice that one is sure":                    {2 * roomOfPage, 1},
		"the default is enough for the pages of a run": {1 << 30, 15},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := pagesIn(tt.bytes); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}
