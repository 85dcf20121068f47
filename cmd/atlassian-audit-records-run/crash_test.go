package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/agent/agenttest"
)

// acknowledged are the records that the registry has as sent, by record_id.
func (w *world) acknowledged() []string {
	w.t.Helper()
	r, err := agent.ReadRegistry(filepath.Join(agent.Base(w.run), "run", "registry.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for path, e := range r.Files {
		text, err := os.ReadFile(path)
		if err != nil {
			w.t.Fatal(err)
		}
		for line := range bytes.Lines(text[:e.Offset]) {
			var l struct {
				Atlassian struct {
					ID string `json:"record_id"`
				} `json:"atlassian"`
			}
			if err := json.Unmarshal(line, &l); err != nil {
				w.t.Fatalf("the registry's offset is within a line: %v", err)
			}
			out = append(out, l.Atlassian.ID)
		}
	}
	return out
}

// TestAKilledRunLosesNothingAndRepeatsNothingAcknowledged kills it again and again.
func TestAKilledRunLosesNothingAndRepeatsNothingAcknowledged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{records: 1200, logs: "  batch_max_size: 20\n"})
	noted := map[string]bool{}
	for round := range 6 {
		p := w.start()
		before, _ := w.intake.Len()
		w.until("some more records", func() bool {
			n, _ := w.intake.Len()
			return n >= min(before+60+37*round, w.held())
		})
		p.kill()
		for _, id := range w.acknowledged() {
			noted[id] = true
		}
	}
	if len(noted) == 0 || len(noted) == w.held() {
		t.Fatalf("the kills came too early or too late: %d of %d records were noted", len(noted), w.held())
	}
	// What the registry had at a kill must not come once more. One that was
	// taken and not noted yet may.
	p := w.start()
	w.all()
	if status := p.stop(); status != 0 {
		t.Errorf("run ended with status %d", status)
	}
	again := 0
	for id, n := range seen(t, w.intake.Logs()) {
		if n > 1 {
			again++
		}
		if n > 2+6 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	if again > 6*20 {
		t.Errorf("%d records came again after 6 kills: more than the one payload under way at each", again)
	}
}

// TestWhatIsNotedIsNotSentAgain starts anew where everything was noted.
func TestWhatIsNotedIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{records: 100})
	p := w.start()
	w.until("everything to be noted", func() bool {
		a, s := w.registered()
		return a == s && len(seen(t, w.intake.Logs())) == w.held()
	})
	p.kill()
	w.site.AddBurst("jira", 20, time.Now())
	p = w.start()
	w.all()
	p.stop()
	w.exactlyOnce()
}

// TestLostAcknowledgementsRepeat: the intake took a payload, and the answer was
// lost.
func TestLostAcknowledgementsRepeat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{records: 300, answer: only(agenttest.Reply{Lost: true}, 1, 3)})
	p := w.start()
	w.all()
	p.stop()
	ids := seen(t, w.intake.Logs())
	if n, _ := w.intake.Len(); len(ids) != w.held() || n <= len(ids) {
		t.Errorf("%d records arrived in %d logs, of %d: none may be missing, and some must have come twice", len(ids), n, w.held())
	}
}

// TestToldToStopInTheDark: the intake does not answer, and it ends all the same.
func TestToldToStopInTheDark(t *testing.T) {
	t.Parallel()
	var light atomic.Bool
	w := newWorld(t, options{records: 200, answer: func(agenttest.Payload) agenttest.Reply {
		return agenttest.Reply{Hang: !light.Load()}
	}})
	p := w.start()
	w.until("a request that is not answered", func() bool { return w.intake.Codes()[0] > 0 })
	if status := p.stop(); status != 0 {
		t.Errorf("run ended with status %d", status)
	}
	if n, _ := w.intake.Len(); n > 0 {
		t.Fatalf("%d logs arrived in the dark", n)
	}
	if !strings.Contains(p.err.String(), "are not acknowledged yet: the next `run` sends them") {
		t.Errorf("it does not say that something is left")
	}
	light.Store(true)
	p = w.start()
	w.all()
	p.stop()
	w.exactlyOnce()
}

// TestToldToStopWhileTheSecretBackendIsAsked: it waits for no answer.
func TestToldToStopWhileTheSecretBackendIsAsked(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the backend of this test is a shell script")
	}
	w := newWorld(t, options{token: "ENC[token]"})
	backend, asked := filepath.Join(filepath.Dir(w.conf), "backend"), filepath.Join(filepath.Dir(w.conf), "asked")
	w.write(backend, "#!/bin/sh\n: >'"+asked+"'\nexec sleep 600\n")
	if err := os.Chmod(backend, 0o700); err != nil {
		t.Fatal(err)
	}
	w.edit(w.agent, "hostname: test-host", "hostname: test-host\nsecret_backend_timeout: 600\nsecret_backend_command: "+backend)
	p := w.start()
	w.until("the backend to be asked", func() bool {
		_, err := os.Stat(asked)
		return err == nil
	})
	if status := p.stop(); status != 0 || p.err.String() != "" {
		t.Errorf("run ended with status %d, and said %q", status, p.err)
	}
}

// TestToldToStopItSendsWhatItHasRead, though the batch would have waited longer.
func TestToldToStopItSendsWhatItHasRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{records: 20})
	w.edit(w.agent, "batch_wait: 0.2", "batch_wait: 10")
	p := w.start()
	// The files are entered once all that they held was handed to the pipeline.
	w.until("the files to be entered in the registry", func() bool {
		r, err := agent.ReadRegistry(filepath.Join(agent.Base(w.run), "run", "registry.json"))
		return err == nil && len(r.Files) == 2
	})
	if status := p.stop(); status != 0 {
		t.Errorf("run ended with status %d", status)
	}
	w.exactlyOnce()
	if a, s := w.registered(); a != s {
		t.Errorf("%d of %d bytes are noted", a, s)
	}
}

// TestOneRecordThatIsRefusedAlone is given up, and holds up no other.
func TestOneRecordThatIsRefusedAlone(t *testing.T) {
	t.Parallel()
	const bad = `jira:10005"`
	w := newWorld(t, options{records: 200, answer: func(p agenttest.Payload) agenttest.Reply {
		for _, l := range p.Logs {
			if strings.Contains(l.Message, bad) {
				return agenttest.Reply{Status: http.StatusBadRequest}
			}
		}
		return agenttest.Reply{}
	}})
	p := w.start()
	w.until("all but one", func() bool {
		a, s := w.registered()
		return len(seen(t, w.intake.Logs())) == w.held()-1 && a == s
	})
	p.stop()
	if n, _ := w.intake.Len(); n != w.held()-1 {
		t.Errorf("%d logs arrived, of %d", n, w.held())
	}
	if !strings.Contains(p.err.String(), "refuses one record and takes others") {
		t.Error("it does not say that a record was given up")
	}
}

// TestDualShipping: both intakes get everything, with one of them in the dark for
// a while.
func TestDualShipping(t *testing.T) {
	t.Parallel()
	var light atomic.Bool
	w := newWorld(t, options{records: 200})
	second := newIntake(t, func(agenttest.Payload) agenttest.Reply { return agenttest.Reply{Cut: !light.Load()} }, nil)
	to := listen(t, second.Listen)
	host, port, _ := strings.Cut(strings.TrimPrefix(to, "http://"), ":")
	text, err := os.ReadFile(w.agent)
	if err != nil {
		t.Fatal(err)
	}
	w.write(w.agent, string(text)+"  additional_endpoints:\n    - {api_key: fedcba9876543210fedcba9876543210, host: "+host+", port: "+port+", use_ssl: false, is_reliable: true}\n")
	p := w.start()
	w.all()
	light.Store(true)
	for {
		n, changed := second.Len()
		if n >= w.held() {
			break
		}
		select {
		case <-changed:
		case <-w.ctx.Done():
			t.Fatalf("the second intake has %d of %d logs, and answered %v", n, w.held(), second.Codes())
		}
	}
	p.stop()
	w.exactlyOnce()
	if ids := seen(t, second.Logs()); len(ids) != w.held() {
		t.Errorf("the second intake has %d of %d records", len(ids), w.held())
	}
	if key := second.Logs()[0].Key; key != "fedcba9876543210fedcba9876543210" {
		t.Errorf("the second intake was sent the key %s", key)
	}
}

// TestProcessingRules are applied by the Agent's code, and what they exclude
// counts as sent.
func TestProcessingRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{
		records: 100,
		source:  `, log_processing_rules: [{type: exclude_at_match, name: no_confluence, pattern: '"product":"confluence"'}]`,
		logs:    "  processing_rules:\n    - {type: mask_sequences, name: addresses, pattern: '\"env:test,', replace_placeholder: '\"env:masked,'}\n",
	})
	p := w.start()
	w.until("everything to be noted", func() bool {
		a, s := w.registered()
		n, _ := w.intake.Len()
		return a == s && n == w.site.Len("jira")
	})
	p.stop()
	for _, l := range w.intake.Logs() {
		if strings.Contains(l.Message, `"product":"confluence"`) || !strings.Contains(l.Message, `"env:masked,`) {
			t.Fatalf("the rules were not applied to %.1000s", l.Message)
		}
	}
}

// TestRefusals are what it does not begin with.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(*world)
		want  string
	}{
		"without an API key":     {func(w *world) { w.edit(w.agent, "api_key: 0123456789abcdef0123456789abcdef\n", "") }, "there is no api_key"},
		"with an unresolved key": {func(w *world) { w.edit(w.agent, "0123456789abcdef0123456789abcdef", "ENC[key]") }, "api_key is ENC[key], and there is no secret_backend_command"},
		"over TCP":               {func(w *world) { w.edit(w.agent, "logs_dd_url: http://", "force_use_tcp: true\n  logs_dd_url: ") }, "over TCP"},
		"without a logs section": {func(w *world) { w.edit(w.conf, "\nlogs:\n", "\nx_logs:\n") }, "x_logs"},
		"with logs from elsewhere": {func(w *world) {
			w.edit(w.conf, "- {type: file, path: '", "- {type: file, path: '/var/log/*.log', x: '")
		}, "does not lie in the spool"},
		"with a TCP listener": {func(w *world) { w.edit(w.conf, "- {type: file,", "- {type: tcp, port: 1, x: file,") }, "is of type tcp"},
		"from the end":        {func(w *world) { w.edit(w.conf, "start_position: beginning", "start_position: end") }, "needs `start_position: beginning`"},
		"with several lines a log": {func(w *world) {
			w.edit(w.conf, "service: jira,", "service: jira, log_processing_rules: [{type: multi_line, name: m, pattern: x}],")
		}, "multi_line"},
		"with a rule that is none": {func(w *world) {
			w.edit(w.conf, "service: jira,", "service: jira, log_processing_rules: [{type: exclude_at_match, name: m, pattern: '('}],")
		}, "logs[0]: "},
		"where a running Agent follows the spool": {func(w *world) { w.rival(time.Now(), 0) }, "an Agent runs and follows the same spool"},
		"where a running Agent has the check": {func(w *world) {
			w.rival(time.Now(), -1)
			own := filepath.Join(filepath.Dir(w.conf), "confd", "atlassian_audit_records.d")
			if err := os.MkdirAll(own, 0o700); err != nil {
				w.t.Fatal(err)
			}
			text, err := os.ReadFile(w.conf)
			if err != nil {
				w.t.Fatal(err)
			}
			w.write(filepath.Join(own, "conf.yaml"), string(text))
		}, "and has this check in its conf.d"},
		"where there is no datadog.yaml": {func(w *world) { w.agent += ".not" }, "does not exist: give the path of datadog.yaml"},
		"where there is no conf.yaml":    {func(w *world) { w.conf += ".not" }, "does not exist: give the path of conf.yaml"},
		"with a handle in conf.yaml":     {func(w *world) { w.edit(w.conf, "[env:test]", "['ENC[tag]']") }, "ENC[tag] cannot be resolved: set secret_backend_command"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{records: 4})
			tt.spoil(w)
			p := w.start()
			if status := p.wait(); status != 1 {
				t.Errorf("it ended with status %d", status)
			}
			if !strings.Contains(p.err.String(), tt.want) {
				t.Errorf("it does not say %q, but\n%s", tt.want, p.err)
			}
			if n, _ := w.intake.Len(); n > 0 {
				t.Errorf("%d logs arrived", n)
			}
		})
	}
}

// edit replaces a part of a file that must be there.
func (w *world) edit(path, old, now string) {
	w.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		w.t.Fatalf("%s has no %q", path, old)
	}
	w.write(path, strings.ReplaceAll(string(text), old, now))
}

// rival writes the registry of an Agent at a time, with a file of the spool where
// the offset is not negative.
func (w *world) rival(at time.Time, offset int64) string {
	w.t.Helper()
	file := filepath.Join(agent.Base(w.run), "spool", "jira-audit-records", "20260101T000000.000Z-x.jsonl")
	r := agent.Registry{Files: map[string]agent.RegistryEntry{}}
	if offset >= 0 {
		r.Files[file] = agent.RegistryEntry{Offset: offset, LastUpdated: at}
	}
	dir := filepath.Join(filepath.Dir(w.conf), "agent")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	path := filepath.Join(dir, "registry.json")
	if err := agent.WriteRegistry(path, r); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// TestASecondRunIsRefused by the lock of the first.
func TestASecondRunIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{records: 20})
	first := w.start()
	w.all()
	second := w.start()
	if status := second.wait(); status != 1 || !strings.Contains(second.err.String(), "another `atlassian-audit-records run` sends the spool") {
		t.Errorf("the second ended with status %d and said\n%s", status, second.err)
	}
	if status := first.stop(); status != 0 {
		t.Errorf("the first ended with status %d", status)
	}
}

// TestItGoesOnWhereAStoppedAgentEnded and sends nothing that this one has sent.
func TestItGoesOnWhereAStoppedAgentEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{records: 20})
	first := `{"atlassian":{"record_id":"sent by the Agent"}}` + "\n"
	file := w.rival(time.Now().Add(-time.Hour), int64(len(first)))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{agent.Base(w.run), filepath.Join(agent.Base(w.run), "spool"), filepath.Dir(file)} {
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.write(file, first+`{"atlassian":{"record_id":"not sent"}}`+"\n")
	p := w.start()
	w.until("every record", func() bool { return len(seen(t, w.intake.Logs())) > w.held() })
	p.stop()
	ids := seen(t, w.intake.Logs())
	if ids["sent by the Agent"] != 0 || ids["not sent"] != 1 {
		t.Errorf("the Agent's line came %d times, the other %d times", ids["sent by the Agent"], ids["not sent"])
	}
}

// TestSecrets are resolved in both files.
func TestSecrets(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the backend of this test is a shell script")
	}
	w := newWorld(t, options{records: 20, token: "ENC[atlassian token]"})
	backend := filepath.Join(filepath.Dir(w.conf), "backend")
	w.write(backend, "#!/bin/sh\nread -r request || true\ncase $request in *key*) echo '{\"the key\": {\"value\": \"fedcba9876543210fedcba9876543210\"}}';;\n"+
		"*) echo '{\"atlassian token\": {\"value\": \"'"+`"$1"`+"'\"}}';; esac\n")
	if err := os.Chmod(backend, 0o700); err != nil {
		t.Fatal(err)
	}
	token := w.site.Options().ClassicToken
	w.edit(w.agent, "api_key: 0123456789abcdef0123456789abcdef", "api_key: ENC[the key]\nsecret_backend_command: "+backend+"\nsecret_backend_arguments: ["+token+"]")
	p := w.start()
	w.all()
	if status := p.stop(); status != 0 {
		t.Errorf("run ended with status %d", status)
	}
	w.exactlyOnce()
	if key := w.intake.Logs()[0].Key; key != "fedcba9876543210fedcba9876543210" {
		t.Errorf("the key sent is %s", key)
	}
	for _, secret := range []string{token, "fedcba9876543210fedcba9876543210"} {
		if strings.Contains(p.err.String(), secret) {
			t.Error("a secret was logged")
		}
	}
}
