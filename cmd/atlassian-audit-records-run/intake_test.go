package main

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/agent/agenttest"
)

// TestEveryRecordArrivesExactlyOnce is the whole chain: a site, the collector,
// the spool, the Agent's log pipeline, an intake. No acknowledgement is lost.
func TestEveryRecordArrivesExactlyOnce(t *testing.T) {
	t.Parallel()
	refuse := func(status int, numbers ...int) func(agenttest.Payload) agenttest.Reply {
		return func(p agenttest.Payload) agenttest.Reply {
			for _, n := range numbers {
				if p.Number == n {
					return agenttest.Reply{Status: status}
				}
			}
			return agenttest.Reply{}
		}
	}
	for name, tt := range map[string]struct {
		options options
		codes   []int // that must have been answered
		coding  string
	}{
		"an intake that takes everything, in zstd": {options{}, []int{202}, "zstd"},
		"in gzip":                                     {options{logs: "  compression_kind: gzip\n"}, []int{202}, "gzip"},
		"without compression":                         {options{logs: "  use_compression: false\n"}, []int{202}, "identity"},
		"an intake that is busy (429)":                {options{answer: refuse(429, 1, 2, 3)}, []int{202, 429}, "zstd"},
		"an intake that fails (500, 503)":             {options{answer: refuse(503, 1, 2, 4)}, []int{202, 503}, "zstd"},
		"an intake that hangs beyond the timeout":     {options{answer: hang(1)}, []int{202, 0}, "zstd"},
		"an intake to which connections break":        {options{answer: cut(1, 2, 4)}, []int{202, 0}, "zstd"},
		"a payload that is too large (413), at times": {options{answer: refuse(413, 1, 3)}, []int{202, 413}, "zstd"},
		"payloads of more than 30 logs are too large (413)": {options{logs: "  compression_kind: gzip\n", answer: func(p agenttest.Payload) agenttest.Reply {
			if len(p.Logs) > 30 {
				return agenttest.Reply{Status: http.StatusRequestEntityTooLarge}
			}
			return agenttest.Reply{}
		}}, []int{202, 413}, "gzip"},
		"a wrong API key (403) that is mended": wrongKey(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.options.records = 300
			w := newWorld(t, tt.options)
			p := w.start()
			w.all()
			if status := p.stop(); status != 0 {
				t.Errorf("run ended with status %d", status)
			}
			w.exactlyOnce()
			for _, code := range tt.codes {
				if w.intake.Codes()[code] == 0 {
					t.Errorf("the intake never answered %d: %v", code, w.intake.Codes())
				}
			}
			if w.intake.Encodings()[tt.coding] == 0 {
				t.Errorf("payloads came as %v", w.intake.Encodings())
			}
			if acknowledged, spooled := w.registered(); acknowledged != spooled {
				t.Errorf("the registry has %d of %d bytes", acknowledged, spooled)
			}
		})
	}
}

func hang(numbers ...int) func(agenttest.Payload) agenttest.Reply {
	return only(agenttest.Reply{Hang: true}, numbers...)
}

func cut(numbers ...int) func(agenttest.Payload) agenttest.Reply {
	return only(agenttest.Reply{Cut: true}, numbers...)
}

func only(r agenttest.Reply, numbers ...int) func(agenttest.Payload) agenttest.Reply {
	return func(p agenttest.Payload) agenttest.Reply {
		for _, n := range numbers {
			if p.Number == n {
				return r
			}
		}
		return agenttest.Reply{}
	}
}

// wrongKey is an intake that refuses everything, the probe too, some times.
func wrongKey() (tt struct {
	options options
	codes   []int
	coding  string
}) {
	var asked atomic.Int64
	answer := func() agenttest.Reply {
		if asked.Add(1) <= 6 {
			return agenttest.Reply{Status: http.StatusForbidden}
		}
		return agenttest.Reply{}
	}
	tt.options = options{
		answer: func(agenttest.Payload) agenttest.Reply { return answer() },
		probe:  func(string) agenttest.Reply { return answer() },
	}
	tt.codes, tt.coding = []int{202, 403}, "zstd"
	return tt
}

// TestAnOfficialDateAndTags is what Datadog makes of a log.
func TestAnOfficialDateAndTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{records: 20, top: "tags: [ignored:here]\n", source: ", tags: [team:security]"})
	p := w.start()
	w.all()
	p.stop()
	for _, l := range w.intake.Logs() {
		e := l.Event()
		if e.Refused != "" {
			t.Errorf("%s: %.100s", e.Refused, l.Message)
		}
		if e.Host != "test-host" || !strings.HasSuffix(e.Source, "-audit-records") || e.Service != strings.TrimSuffix(e.Source, "-audit-records") {
			t.Errorf("host %q, source %q, service %q", e.Host, e.Source, e.Service)
		}
		var kinds []string
		for _, tag := range e.Tags {
			kinds = append(kinds, strings.SplitN(tag, ":", 2)[0])
		}
		if diff := cmp.Diff([]string{"dirname", "env", "filename", "site", "team"}, kinds); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
		if !strings.Contains(l.Message, `"timestamp":`) || e.Date.UnixMilli() == l.Timestamp {
			t.Errorf("the official date of %.100s is that of the sending", l.Message)
		}
	}
}
