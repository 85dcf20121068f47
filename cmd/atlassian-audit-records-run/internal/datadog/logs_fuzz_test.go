package datadog

import (
	"strings"
	"testing"

	"github.com/DataDog/datadog-agent/comp/logs/agent/config"
)

// FuzzLogs: whatever the logs section of a conf.yaml says, what is accepted is
// files below the spool, read from their beginning.
func FuzzLogs(f *testing.F) {
	f.Add([]byte("init_config: {service: s}\nlogs:\n  - {type: file, path: /spool/jira/*.jsonl, source: jira, start_position: beginning}\n"))
	f.Add([]byte("logs:\n  - {type: file, path: /spool/../etc/passwd, start_position: beginning}\n"))
	f.Add([]byte("logs:\n  - {type: tcp, port: 1}\n  - {type: file}\n"))
	f.Add([]byte("logs: [{type: file, path: /spool/a, start_position: beginning, log_processing_rules: [{type: multi_line, name: x, pattern: y}]}]\n"))
	f.Add([]byte("logs: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		found, err := Logs(text, "/spool")
		if err != nil {
			return
		}
		for _, s := range found {
			c := s.Log.Config
			if c.Type != config.FileType || c.TailingMode != "beginning" || !strings.HasPrefix(s.Glob, "/spool") {
				t.Errorf("%q is followed: %+v", s.Glob, c)
			}
		}
	})
}
