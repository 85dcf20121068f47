//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"atlassian_audit_records/cmd/atlassian-audit-records-shared/internal/cluster"
	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/shared"
)

// fleet is a site, an etcd, and a Datadog that keeps what is delivered.
type fleet struct {
	t         *testing.T
	site      *atlassiantest.Server
	url       string
	etcd      *cluster.Cluster
	delivered map[string]int // by record id
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := newSite(t)
	f.etcd = cluster.New(t, 3)
	return f
}

// newSite is a fleet without an etcd.
func newSite(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, site: atlassiantest.New(atlassiantest.Options{Seed: 1}), delivered: map[string]int{}}
	url, shut, err := f.site.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shut() })
	f.url = url
	f.site.Fill(40, 6*time.Hour, "jira")
	return f
}

// more puts new records into the site.
func (f *fleet) more(n int) { f.site.AddBurst("jira", n, time.Now()) }

// machine is one of those that share the site.
type machine struct {
	f         *fleet
	name      string
	run, conf string
	at        map[string]int64 // how far its Agent has delivered each file
	registry  agent.Registry
}

// machine makes one that reaches etcd at that URL.
func (f *fleet) machine(name, state string) *machine {
	f.t.Helper()
	return f.configured(name, "state: '"+state+"'")
}

// configured makes a machine with options of init_config.
func (f *fleet) configured(name, options string) *machine {
	f.t.Helper()
	dir := f.t.TempDir()
	m := &machine{f: f, name: name, run: filepath.Join(dir, "run"), conf: filepath.Join(dir, "conf.yaml"), at: map[string]int64{}}
	m.registry.Files = map[string]agent.RegistryEntry{}
	if err := os.Mkdir(m.run, 0o700); err != nil {
		f.t.Fatal(err)
	}
	text := fmt.Sprintf("init_config: {%s}\ninstances:\n  - {site: '%s', gateway: '%s', auth_server: '%s', skip_proxy: true, products: [jira], "+
		"min_collection_interval: 60, auth: {type: api_token, email: %s, api_token: '%s'}}\n",
		options, f.url, f.url, f.url, atlassiantest.DefaultEmail, atlassiantest.DefaultClassicToken)
	if err := os.WriteFile(m.conf, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return m
}

// process is a run under way.
type process struct {
	m   *machine
	cmd *exec.Cmd
	out bytes.Buffer
}

func (m *machine) start() *process {
	m.f.t.Helper()
	ctx, cancel := context.WithTimeout(m.f.t.Context(), limit)
	m.f.t.Cleanup(cancel)
	self, err := os.Executable()
	if err != nil {
		m.f.t.Fatal(err)
	}
	p := &process{m: m, cmd: exec.CommandContext(ctx, self, m.conf, m.run, programIn(programs, shared.Program))}
	p.cmd.Env = append(os.Environ(), runAs+"="+m.name, "NO_PROXY=127.0.0.1")
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		m.f.t.Fatal(err)
	}
	return p
}

func (p *process) signal(s syscall.Signal) {
	p.m.f.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.m.f.t.Fatal(err)
	}
}

// end waits for the run's end.
func (p *process) end() (r told) {
	p.m.f.t.Helper()
	if err := p.cmd.Wait(); err != nil {
		p.m.f.t.Fatalf("a run of %s: %v\n%s", p.m.name, err, p.out.String())
	}
	if err := json.Unmarshal(p.out.Bytes(), &r); err != nil {
		p.m.f.t.Fatalf("a run of %s: %v\n%s", p.m.name, err, p.out.String())
	}
	return r
}

// works is a run that must collect and end well.
func (m *machine) works() told {
	m.f.t.Helper()
	r := m.start().end()
	if r.Error != "" || r.standby() {
		m.f.t.Fatalf("%s did not collect: %+v", m.name, r)
	}
	return r
}

// until runs the machine until a run is as it should be.
func (m *machine) until(what string, is func(told) bool) told {
	m.f.t.Helper()
	for end := time.Now().Add(limit); ; {
		r := m.start().end()
		if is(r) {
			return r
		}
		if time.Now().After(end) {
			m.f.t.Fatalf("%s: not in %s: %s; the last run: %+v", m.name, limit, what, r)
		}
	}
}

func collects(r told) bool { return r.Error == "" && !r.standby() }

// files are the machine's spool files.
func (m *machine) files() []string {
	m.f.t.Helper()
	paths, err := filepath.Glob(filepath.Join(agent.Base(m.run), "spool", audit.Jira.LogSource(), "*.jsonl"))
	if err != nil {
		m.f.t.Fatal(err)
	}
	return paths
}

// rest are the lines of the spool that are not delivered, by record id.
func (m *machine) rest(each func(id string)) {
	m.f.t.Helper()
	for _, path := range m.files() {
		text, err := os.ReadFile(path)
		if err != nil {
			m.f.t.Fatal(err)
		}
		for line := range strings.Lines(string(text[m.at[path]:])) {
			s, ok := audit.ReadLine([]byte(line))
			if !ok {
				m.f.t.Fatalf("%s holds %q", path, line)
			}
			each(s.RecordID)
		}
	}
}

// deliver is the machine's Agent at work; what it acknowledges has stood for a while.
func (m *machine) deliver() {
	m.f.t.Helper()
	m.rest(func(id string) { m.f.delivered[id]++ })
	long := time.Now().Add(-5 * time.Minute)
	for _, path := range m.files() {
		info, err := os.Stat(path)
		if err != nil {
			m.f.t.Fatal(err)
		}
		m.at[path] = info.Size()
		m.registry.Files[path] = agent.RegistryEntry{Offset: info.Size(), LastUpdated: long, IngestionTimestamp: long.UnixNano()}
	}
	if err := agent.WriteRegistry(filepath.Join(m.run, agent.RegistryName), m.registry); err != nil {
		m.f.t.Fatal(err)
	}
}

// wantOnce fails unless every record was delivered once.
func (f *fleet) wantOnce() {
	f.t.Helper()
	if n := f.site.Len("jira"); len(f.delivered) != n || n == 0 {
		f.t.Errorf("%d records were delivered, and %d are at Atlassian", len(f.delivered), n)
	}
	for id, times := range f.delivered {
		if times != 1 {
			f.t.Errorf("%s was delivered %d times", id, times)
		}
	}
}

// atRequest lets do run when the site is asked the next time, before it answers.
func (f *fleet) atRequest(do func()) {
	var once sync.Once
	f.site.OnRequest(func(atlassiantest.RequestInfo) { once.Do(do) })
}
