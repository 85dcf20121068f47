package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// oauthConf writes a conf.yaml whose instance signs in with a consent.
func (s *site) oauthConf(secret string, more ...string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "conf.yaml")
	lines := []string{
		"init_config:", "instances:", "  - site: " + s.url, "    gateway: " + s.url, "    auth_server: " + s.url, "    min_collection_interval: 60",
		"    auth:", "      type: oauth", "      client_id: " + atlassiantest.DefaultAppID, "      client_secret: " + secret,
	}
	if err := os.WriteFile(path, []byte(strings.Join(append(lines, more...), "\n")+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// handled puts a handle in the place of the site.
func (s *site) handled(conf string) string {
	s.t.Helper()
	text, err := os.ReadFile(conf)
	if err == nil {
		err = os.WriteFile(conf, []byte(strings.Replace(string(text), "site: "+s.url, "site: ENC[site]", 1)), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return conf
}

// talk is a process that is asked and answered while it runs.
type talk struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Reader
	said  strings.Builder
	err   bytes.Buffer
}

// talkTo starts the program with a pipe to its input.
func talkTo(t *testing.T, env []string, args ...string) *talk {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // it may wait for a question that never comes
	t.Cleanup(cancel)
	k := &talk{t: t, cmd: exec.CommandContext(ctx, os.Args[0], args...)}
	k.cmd.Env = append(append(os.Environ(), asProgram+"=1", "DISPLAY=", "WAYLAND_DISPLAY="), env...)
	var err error
	if k.in, err = k.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := k.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	k.lines = bufio.NewReader(out)
	k.cmd.Stderr = &k.err
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return k
}

// until reads what the program says up to a text, which may stand amid a line,
// and returns it all.
func (k *talk) until(text string) string {
	k.t.Helper()
	var b strings.Builder
	for !strings.HasSuffix(b.String(), text) {
		c, err := k.lines.ReadByte()
		if err != nil {
			k.t.Fatalf("it ended without saying %q, after %q\nand said %q", text, k.said.String()+b.String(), k.err.String())
		}
		b.WriteByte(c)
	}
	k.said.WriteString(b.String())
	return b.String()
}

func (k *talk) answer(line string) {
	k.t.Helper()
	if _, err := io.WriteString(k.in, line+"\n"); err != nil {
		k.t.Fatal(err)
	}
}

// end waits for the process.
func (k *talk) end() outcome {
	k.t.Helper()
	_ = k.in.Close() // it may be closed already
	rest, err := io.ReadAll(k.lines)
	if err != nil {
		k.t.Fatal(err)
	}
	k.said.Write(rest)
	var exit *exec.ExitError
	if err := k.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		k.t.Fatal(err)
	}
	return outcome{k.cmd.ProcessState.ExitCode(), k.said.String(), k.err.String()}
}

var address = regexp.MustCompile(`(?m)^  (http\S*/authorize\?\S+)$`)

// press presses the button on the page whose address the program printed.
func (k *talk) press() (landing string) {
	k.t.Helper()
	m := address.FindStringSubmatch(k.until("The callback URL"))
	if m == nil {
		k.t.Fatalf("no address in %q", k.said.String())
	}
	landing, err := atlassiantest.AtConsentPage(k.t.Context(), browser(), m[1])
	if err != nil {
		k.t.Fatal(err)
	}
	return landing
}

func browser() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// browse goes where the browser would.
func browse(t *testing.T, address string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := browser().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestAuthorizeThroughTheBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conf := s.oauthConf(atlassiantest.DefaultAppSecret)
	k := talkTo(t, nil, "authorize", "--conf", conf, "--run-path", s.run, "--port", "0")
	landing := k.press()
	k.until("Waiting for the browser")
	forged := strings.Replace(landing, "state=", "state=x", 1)
	if status := browse(t, forged); status != 400 {
		t.Errorf("an answer of another consent gets %d", status)
	}
	if status := browse(t, landing); status != 200 {
		t.Errorf("the callback answers %d", status)
	}
	got := k.end()
	for _, want := range []string{
		"It asks for: read:audit-log:jira, read:user:jira, read:audit-log:confluence, offline_access\n",
		"The consent is for:\n  " + s.url + "  (read:audit-log:jira, read:user:jira, read:audit-log:confluence)\n",
		"used for " + s.host + ".\n",
		"jira: read the newest audit record, of 20", "confluence: read the newest audit record, of 20",
		"Done: the check reads with this consent from its next run on.\n",
	} {
		if !strings.Contains(got.Out, want) {
			t.Errorf("it did not say %q in\n%s", want, got.Out)
		}
	}
	if got.Status != 0 || got.Err != "" || strings.Contains(got.Out, atlassiantest.DefaultAppSecret) || strings.Contains(got.Out, "simulated-refresh") || strings.Contains(got.Out, "simulated-code") {
		t.Errorf("outcome %+v", got)
	}
	info, err := os.Stat(filepath.Join(s.run, "atlassian_audit_records", "tokens.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token file: %v, %v", info, err)
	}
	if got := start(t, "", "check", "--conf", conf, "--run-path", s.run); got.Status != 0 || lines(t, s.run) != 40 {
		t.Errorf("the check: %+v, %d lines", got, lines(t, s.run))
	}
}

func TestAuthorizeWithAPastedAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conf := s.oauthConf("ENC[app_secret]")
	k := talkTo(t, nil, "authorize", "--conf", conf, "--run-path", s.run, "--paste", "--site", strings.ToUpper(s.url)+"/wiki/", "--products", "jira")
	k.until("Client secret (not shown): ")
	k.answer(atlassiantest.DefaultAppSecret)
	landing := k.press()
	if !strings.HasPrefix(landing, "http://localhost:14390/callback?") {
		t.Errorf("the browser ends at %s", landing)
	}
	if !strings.Contains(k.until("Address: "), "Warning: the configuration collects confluence with the same app, and this consent is not for it") {
		t.Errorf("it said nothing of Confluence: %s", k.said.String())
	}
	for _, c := range []struct{ pasted, says string }{
		{"", "This address lacks the answer"},
		{"http://localhost:14390/callback?code=x&state=y", "its state is another one"},
	} {
		k.answer(c.pasted)
		if said := k.until("Address: "); !strings.Contains(said, c.says) {
			t.Errorf("for %q it says %q", c.pasted, said)
		}
	}
	k.answer(landing)
	got := k.end()
	if got.Status != 1 || !strings.Contains(got.Out, "jira: read the newest audit record") ||
		!strings.Contains(got.Out, "confluence: the consent lacks a scope for Confluence's audit log") || !strings.Contains(got.Out, "(scope_missing)\n") {
		t.Errorf("outcome %+v", got)
	}
	// The handle cannot be resolved here, so that the Agent's part is played by a
	// configuration that has the secret.
	if got := start(t, "", "check", "--conf", s.oauthConf(atlassiantest.DefaultAppSecret, "    products: [jira]"), "--run-path", s.run); got.Status != 0 || lines(t, s.run) != 20 {
		t.Errorf("the check: %+v, %d lines", got, lines(t, s.run))
	}
}

func TestAuthorizeExplainsWhatWentWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		prepare func(*site)
		args    []string
		env     []string
		press   bool
		stdin   string
		says    []string
	}{
		{
			name: "nobody came back, as from the page Something went wrong", args: []string{"--timeout", "10ms"},
			says: []string{"Error: no answer came within 10ms; nothing was changed.\n", `"Something went wrong"`,
				"each of these must be added to it (jira: read:audit-log:jira and read:user:jira; confluence: read:audit-log:confluence)",
				"the callback URL must be exactly http://localhost:", "lacks one of the products (jira, confluence)", "use --paste"},
		},
		{
			name: "the consent is for another site", press: true,
			prepare: func(s *site) {
				s.server.SetConsent(atlassiantest.Consent{Sites: []atlassiantest.Site{{CloudID: "99999999-a1b2-4c33-8d44-5566778899aa", URL: "https://other.atlassian.net"}}})
			},
			says: []string{"Error: the consent is for https://other.atlassian.net, and not for 127.0.0.1", "nothing was changed", "(consent_site)\n"},
		},
		{
			name: "the person pressed Cancel", press: true,
			prepare: func(s *site) { s.server.SetConsent(atlassiantest.Consent{Deny: true}) },
			says:    []string{"Error: the consent was refused at Atlassian's page: run the command again", "(consent_denied)\n"},
		},
		{
			name: "the client secret is wrong", press: true,
			prepare: func(s *site) { s.server.SetSecret(atlassiantest.App, "another") },
			says:    []string{"Error: 127.0.0.1 refuses the app's client id or secret (status 401, access_denied): check `client_id`", "(client_rejected)\n"},
		},
		{
			name: "the authorisation server is down", press: true,
			prepare: func(s *site) {
				s.server.Fault(atlassiantest.Fault{Kind: atlassiantest.KindToken, Action: atlassiantest.ServerError(503)})
			},
			says: []string{"Error: 127.0.0.1 is unavailable (status 503)"},
		},
		{
			name: "the answer with the tokens is lost", press: true,
			prepare: func(s *site) {
				s.server.Fault(atlassiantest.Fault{Kind: atlassiantest.KindToken, Action: atlassiantest.Close()})
			},
			says: []string{"Error: fetch a token from 127.0.0.1: ", "the code of the consent is spent", "(network)\n"},
		},
		{
			name: "the account is no administrator", press: true,
			prepare: func(s *site) { s.server.Deny("jira", atlassiantest.NotAdmin) },
			says:    []string{"jira: the account may not read Jira's audit log (status 403)", "(not_admin)\n", "The consent is stored and need not be given again"},
		},
		{
			name: "another site than any", args: []string{"--site", "https://nobody.atlassian.net"},
			says: []string{"Error: no instance with auth.type oauth has the site nobody.atlassian.net: there are 127.0.0.1"},
		},
		{
			name: "no address was pasted", args: []string{"--paste"}, stdin: "",
			says: []string{"Error: the input ended before this question was answered"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			if tt.prepare != nil {
				tt.prepare(s)
			}
			k := talkTo(t, tt.env, append([]string{"authorize", "--conf", s.oauthConf(atlassiantest.DefaultAppSecret), "--run-path", s.run, "--port", "0"}, tt.args...)...)
			if tt.press {
				browse(t, k.press())
			}
			got := k.end()
			if got.Status != 1 {
				t.Errorf("status %d", got.Status)
			}
			for _, want := range tt.says {
				if !strings.Contains(got.Out+got.Err, want) {
					t.Errorf("it did not say %q in\n%s\n%s", want, got.Out, got.Err)
				}
			}
			if strings.Contains(got.Err, "Try: ") {
				t.Errorf("it says twice what to do: %s", got.Err)
			}
		})
	}
}

func TestAuthorizeIsForInstancesThatNeedIt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"an instance with another credential", []string{"--conf", s.conf("")}, 1, "Error: no instance of the configuration has auth.type oauth"},
		{"two sites", []string{"--conf", s.oauthConf("secret-1", "  - site: https://two.atlassian.net", "    auth: {type: oauth, client_id: x, client_secret: y1234}")}, 1,
			"Error: the configuration has several sites with auth.type oauth, and a consent is for one: choose it with --site, of " + s.host + ", two.atlassian.net\n"},
		{"a site that only the Agent knows", []string{"--conf", s.handled(s.oauthConf("secret-1"))}, 1, "Error: the site is a handle (ENC[…]), which only the Agent can resolve: write the site itself"},
		{"a product that there is not", []string{"--products", "bitbucket"}, 2, "Error: there is no product \"bitbucket\": there are jira and confluence\n"},
		{"no time", []string{"--timeout", "0"}, 2, "Error: --port must be from 0 to 65535, and --timeout more than 0\n"},
		{"a port that is none", []string{"--port", "70000"}, 2, "Error: --port must be from 0 to 65535, and --timeout more than 0\n"},
		{"a configuration that is wrong", []string{"--conf", filepath.FromSlash(configs + "invalid-interval.yaml")}, 1, "error: invalid-interval.yaml:8: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := start(t, "", append([]string{"authorize", "--run-path", s.run}, tt.args...)...)
			if got.Status != tt.status || !strings.HasPrefix(got.Err, tt.want) {
				t.Errorf("outcome %+v, want status %d and %q", got, tt.status, tt.want)
			}
		})
	}
}

// TestAConsentOutlivesKills: processes that read are killed at random moments,
// several at a time, while access tokens end all the time; the consent, and the
// chain of its refresh tokens, is never lost.
func TestAConsentOutlivesKills(t *testing.T) {
	t.Parallel()
	server := atlassiantest.New(atlassiantest.Options{Seed: 1, TokenLifetime: time.Second}) // shorter than the margin: each run renews
	server.Fill(10, time.Hour)
	base, shut, err := server.Listen("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shut(); err != nil {
			t.Error(err)
		}
	})
	s := &site{t, server, base, strings.TrimPrefix(base, "http://"), filepath.Join(t.TempDir(), "run")}
	conf := s.oauthConf(atlassiantest.DefaultAppSecret)
	k := talkTo(t, nil, "authorize", "--conf", conf, "--run-path", s.run, "--port", "0")
	browse(t, k.press())
	k.end()
	if server.ConsentsAlive() != 1 {
		t.Fatal("there is no consent")
	}
	const rounds = 12
	for round := range rounds {
		// The kill comes with the n-th request of this round, before or after its
		// answer: every one of them, over the rounds.
		ctx, kill := context.WithCancel(t.Context())
		n := round / 2
		var mu sync.Mutex
		count := func(atlassiantest.RequestInfo) {
			mu.Lock()
			defer mu.Unlock()
			if n--; n < 0 {
				kill()
			}
		}
		if round%2 == 0 {
			server.OnRequest(count)
		} else {
			server.OnAnswer(count)
		}
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				cmd := exec.CommandContext(ctx, os.Args[0], "check", "--conf", conf, "--run-path", s.run)
				cmd.Env = append(os.Environ(), asProgram+"=1")
				_ = cmd.Run() // killed, mostly
			})
		}
		both.Wait()
		kill()
		if server.ConsentsAlive() != 1 {
			t.Fatalf("round %d: the consent is over", round)
		}
	}
	got := start(t, "", "check", "--conf", conf, "--run-path", s.run)
	if got.Status != 0 || lines(t, s.run) != 10 || server.ConsentsAlive() != 1 {
		t.Errorf("outcome %+v, %d lines, %d consents", got, lines(t, s.run), server.ConsentsAlive())
	}
	if server.Count(atlassiantest.KindToken) < rounds/2 {
		t.Errorf("only %d renewals: the kills met none", server.Count(atlassiantest.KindToken))
	}
}

func TestTheAddressIsAskedForWithTheConfiguredServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	k := talkTo(t, []string{secretVariable + "=" + atlassiantest.DefaultAppSecret}, "authorize", "--conf", s.oauthConf("ENC[x]"), "--run-path", s.run, "--port", "0")
	landing, err := url.Parse(k.press())
	if err != nil || landing.Query().Get("code") == "" {
		t.Errorf("the browser ends at %v, %v", landing, err)
	}
	browse(t, landing.String())
	if got := k.end(); got.Status != 0 {
		t.Errorf("outcome %+v", got)
	}
}
