package main

import (
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/auth"
)

func TestAPersonMayWriteWhatDoesNotWorkYet(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.server.Deny("jira", atlassiantest.NotAdmin)
	conf, args := s.setup("--site", s.url, "--products", "jira", "--auth", "api_token", "--email", atlassiantest.DefaultEmail)
	k := talkTo(t, nil, args...)
	k.until("Token (not shown): ")
	k.answer(atlassiantest.DefaultClassicToken)
	k.until("Write the configuration all the same? [y/N] ")
	k.answer("y")
	if got := k.end(); got.Status != 0 || !strings.Contains(got.Out, "Written: "+conf) {
		t.Errorf("outcome %+v", got)
	}
}

// TestRootSetsUpForTheAgentsUser: what root writes belongs to whoever owns the
// run path, and so does the consent.
func TestRootSetsUpForTheAgentsUser(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" || os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	s := newSite(t)
	// The other user must get through what t.TempDir made.
	for _, dir := range []string{filepath.Dir(s.run), filepath.Dir(filepath.Dir(s.run))} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(s.run, 0o755); err != nil {
		t.Fatal(err)
	}
	const uid, gid = 54321, 54322 // users that no system knows
	if err := os.Chown(s.run, uid, gid); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(filepath.Dir(s.run), "x.d", "conf.yaml")
	got := start(t, "", "setup", "--conf", conf, "--run-path", s.run, "--gateway", s.url, "--auth-server", s.url, "--site", s.url, "--products", "jira",
		"--auth", "oauth", "--client-id", atlassiantest.DefaultAppID, "--secret-file", secretFile(t, atlassiantest.DefaultAppSecret))
	if got.Status != 0 || !strings.Contains(got.Out, "sudo -u 54321 datadog-agent check") {
		t.Fatalf("outcome %+v", got)
	}
	k := talkTo(t, nil, "authorize", "--conf", conf, "--port", "0")
	browse(t, k.press())
	if got := k.end(); got.Status != 0 {
		t.Fatalf("authorize: %+v", got)
	}
	for _, path := range []string{conf, filepath.Dir(conf), filepath.Join(filepath.Dir(conf), "conf.client_secret"), agent.TokenFile(agent.Base(s.run))} {
		if owner := agent.OwnerName(path); owner != "54321" {
			t.Errorf("%s belongs to %q", path, owner)
		}
	}
	s.collects(conf, 20)
}

func TestThePageAboutCredentialsNamesWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.FromSlash("../../docs/connect.md"))
	if err != nil {
		t.Fatal(err)
	}
	wants := []string{"`" + auth.CallbackURL(callbackPort) + "`", "conf.client_secret"}
	for _, p := range []audit.Product{audit.Jira, audit.Confluence} {
		for _, scope := range atlassian.Scopes(p) {
			wants = append(wants, "`"+scope+"`")
		}
		wants = append(wants, strings.TrimPrefix(atlassian.Permission(p), "the global permission "))
	}
	for _, kinds := range [][]kindOfAuth{cloudKinds, dataCenterKinds, organizationKinds} {
		for _, k := range kinds {
			wants = append(wants, "type: "+string(k.kind)+"\n")
		}
	}
	for _, want := range wants {
		if !strings.Contains(string(text), want) {
			t.Errorf("docs/connect.md does not name %q", want)
		}
	}
}

// TestTheAgentsSettingsCountForPeopleToo: where the way out is a proxy that only
// datadog.yaml names, and the run path another one than usual, the commands that a
// person runs do as the Agent does.
func TestTheAgentsSettingsCountForPeopleToo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var proxied atomic.Int64
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		proxied.Add(1)
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(proxy.Close)
	datadog := filepath.Join(t.TempDir(), "datadog.yaml")
	if err := os.WriteFile(datadog, []byte("run_path: "+s.run+"\nproxy:\n  http: "+proxy.URL+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	through := func(command string) {
		t.Helper()
		if proxied.Swap(0) == 0 {
			t.Errorf("%s did not go through the proxy", command)
		}
	}
	conf, args := s.setup("--site", s.url, "--products", "jira", "--auth", "oauth", "--client-id", atlassiantest.DefaultAppID,
		"--secret-file", secretFile(t, atlassiantest.DefaultAppSecret), "--datadog-conf", datadog)
	args = slices.Delete(args, 3, 5) // the run path, which datadog.yaml has
	if got := start(t, "", args...); got.Status != 0 || !strings.Contains(s.golden(conf), "path: <BASE>/spool/jira-audit-records/*.jsonl\n") {
		t.Fatalf("outcome %+v\n%s", got, s.golden(conf))
	}
	through("setup")
	k := talkTo(t, nil, "authorize", "--conf", conf, "--datadog-conf", datadog, "--port", "0")
	browse(t, k.press())
	if got := k.end(); got.Status != 0 {
		t.Fatalf("authorize: %+v", got)
	}
	through("authorize")
	if got := start(t, "", "check", "--conf", conf, "--datadog-conf", datadog); got.Status != 0 || lines(t, s.run) != 20 {
		t.Errorf("check: %+v, %d lines", got, lines(t, s.run))
	}
	through("check")
	// The run path, where the configuration does not say it.
	text, err := os.ReadFile(conf)
	if err == nil {
		err = os.WriteFile(conf, []byte(strings.Replace(string(text), "run_path: "+s.run, "{}", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := start(t, "", "status", "--conf", conf, "--datadog-conf", datadog); got.Status != 0 || !strings.Contains(got.Out, "20 new records") {
		t.Errorf("status: %+v", got)
	}
	if got := start(t, "", "validate", "--conf", conf, "--datadog-conf", datadog); got.Status != 0 || !strings.Contains(got.Out, " 0 warnings.") {
		t.Errorf("validate: %+v", got)
	}
	page := filepath.Join(t.TempDir(), "page.html")
	if got := start(t, "", "preview", "--spool", "--conf", conf, "--datadog-conf", datadog, "--output", page); got.Status != 0 || !strings.HasPrefix(got.Out, "20 records in ") {
		t.Errorf("preview: %+v", got)
	}
	s.acknowledged()
	if got := start(t, "", "replay", "--conf", conf, "--datadog-conf", datadog, "--since", "1h", "--dry-run"); got.Status != 0 || !strings.Contains(got.Out, "20 record") {
		t.Errorf("replay: %+v", got)
	}
}
