package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// secretFile writes a secret into a file of its own.
func secretFile(t *testing.T, secret string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// setup is the flags of a setup against the site, for a file that is not there
// yet.
func (s *site) setup(more ...string) (conf string, args []string) {
	s.t.Helper()
	conf = filepath.Join(s.t.TempDir(), "atlassian_audit_records.d", "conf.yaml")
	return conf, append([]string{"setup", "--conf", conf, "--run-path", s.run, "--gateway", s.url, "--auth-server", s.url}, more...)
}

// golden is a written file with what differs from test to test taken out.
func (s *site) golden(path string) string {
	s.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.NewReplacer(s.url, "<URL>", filepath.Join(s.run, "atlassian_audit_records"), "<BASE>", s.run, "<RUN>", filepath.Dir(path), "<CONF>").Replace(string(text))
}

// valid fails where validate has anything to say of a configuration.
func (s *site) valid(conf string) {
	s.t.Helper()
	if got := start(s.t, "", "validate", "--conf", conf); got.Status != 0 || !strings.Contains(got.Out, " 0 warnings.") {
		s.t.Errorf("validate: %+v", got)
	}
}

// collects fails unless a check with a configuration fills the spool with so many lines.
func (s *site) collects(conf string, n int) {
	s.t.Helper()
	if got := start(s.t, "", "check", "--conf", conf); got.Status != 0 || lines(s.t, s.run) != n {
		s.t.Errorf("check: %+v, %d lines", got, lines(s.t, s.run))
	}
}

func TestSetupAsksNothingThatFlagsAnswer(t *testing.T) {
	t.Parallel()
	logs := `logs:
  - type: file
    path: <BASE>/spool/jira-audit-records/*.jsonl
    source: jira-audit-records
    service: jira
    start_position: beginning
    auto_multi_line_detection: false
    fingerprint_config: {fingerprint_strategy: disabled}
  - type: file
    path: <BASE>/spool/confluence-audit-records/*.jsonl
    source: confluence-audit-records
    service: confluence
    start_position: beginning
    auto_multi_line_detection: false
    fingerprint_config: {fingerprint_strategy: disabled}
`
	head := "## Written by `atlassian-audit-records setup`. conf.yaml.example describes every option.\n#\n" + `init_config:
  run_path: <RUN>
instances:
  - site: <URL>
    products: [jira, confluence]
    gateway: <URL>
    auth_server: <URL>
    auth:
`
	account := []string{"--auth", "service_account", "--client-id", atlassiantest.DefaultClientID}
	for _, tt := range []struct {
		name   string
		secret string
		args   []string
		auth   string
		file   bool // whether the secret is put into a file
	}{
		{"a service account", atlassiantest.DefaultClientSecret, account,
			"      type: service_account\n      client_id: simulated-client-id\n      client_secret_file: <CONF>/conf.client_secret\n", true},
		{"a service account with a handle", atlassiantest.DefaultClientSecret, append([]string{"--secret-handle", "ENC[atlassian]"}, account...),
			"      type: service_account\n      client_id: simulated-client-id\n      client_secret: ENC[atlassian]\n", false},
		{"an API token", atlassiantest.DefaultClassicToken, []string{"--auth", "api_token", "--email", atlassiantest.DefaultEmail},
			"      type: api_token\n      email: audit@example.com\n      api_token: simulated-classic-api-token\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			conf, args := s.setup(append([]string{"--site", s.url + "/jira/software/projects", "--products", "jira,confluence", "--secret-file", secretFile(t, tt.secret)}, tt.args...)...)
			got := start(t, "", args...)
			if got.Status != 0 || got.Err != "" || strings.Contains(got.Out, "? ") || strings.Contains(got.Out, tt.secret) {
				t.Fatalf("outcome %+v", got)
			}
			if diff := cmp.Diff(head+tt.auth+"    min_collection_interval: 60\n"+logs, s.golden(conf)); diff != "" {
				t.Errorf("the file (-want +got):\n%s", diff)
			}
			secret, err := os.ReadFile(filepath.Join(filepath.Dir(conf), "conf.client_secret"))
			if tt.file && string(secret) != tt.secret+"\n" || !tt.file && err == nil {
				t.Errorf("the file of the secret holds %q, %v", secret, err)
			}
			for path, mode := range map[string]os.FileMode{conf: 0o640, filepath.Join(filepath.Dir(conf), "conf.client_secret"): 0o600} {
				if info, err := os.Stat(path); runtime.GOOS != "windows" && err == nil && info.Mode() != mode {
					t.Errorf("%s has the mode %v", path, info.Mode())
				}
			}
			for _, want := range []string{s.url + " is a Cloud site.\n", "jira: read the newest audit record, of 20", "confluence: read the newest audit record, of 20",
				"Written: " + conf + "\n", "What remains, in this order:\n  1. ", "  3. "} {
				if !strings.Contains(got.Out, want) {
					t.Errorf("it did not say %q in\n%s", want, got.Out)
				}
			}
			s.valid(conf)
			if _, err := os.Stat(s.run); err == nil {
				t.Error("the test left something in the run path")
			}
			if strings.Contains(tt.auth, "ENC[") {
				return
			}
			s.collects(conf, 40)
		})
	}
}

func TestSetupAsAConversation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conf, args := s.setup()
	k := talkTo(t, nil, args...)
	k.until("Address of the site, as you open it in the browser (like https://example.atlassian.net): ")
	k.answer("example")
	k.until("This is not a full host name: write it like https://example.atlassian.net.\n")
	k.until("example.atlassian.net): ")
	k.answer(s.url + "/wiki/home")
	k.until(s.url + " is a Cloud site.\n")
	k.until("Products to collect [jira,confluence]: ")
	k.answer("jira bitbucket")
	k.until("There is no product \"bitbucket\": there are jira and confluence.\n")
	k.until("Products to collect [jira,confluence]: ")
	k.answer("")
	if said := k.until("Which [1]: "); !strings.Contains(said, "1. service_account: ") || !strings.Contains(said, "(recommended)") || !strings.Contains(said, "3. oauth: ") {
		t.Errorf("it offers %s", said)
	}
	k.answer("7")
	k.until("Answer with a number from 1 to 3.\n")
	k.until("Which [1]: ")
	k.answer("")
	said := k.until("Client id: ")
	for _, want := range []string{"https://admin.atlassian.com", "read:audit-log:jira\n", "read:user:jira\n", "read:audit-log:confluence\n", "Administer Jira", "Confluence Administrator", "docs/connect.md"} {
		if !strings.Contains(said, want) {
			t.Errorf("it did not say %q in %s", want, said)
		}
	}
	k.answer(atlassiantest.DefaultClientID)
	k.until("Client secret (not shown): ")
	k.answer(atlassiantest.DefaultClientSecret)
	got := k.end()
	if got.Status != 0 || got.Err != "" || strings.Contains(got.Out, atlassiantest.DefaultClientSecret) || !strings.Contains(got.Out, "Written: "+conf) {
		t.Errorf("outcome %+v", got)
	}
	s.collects(conf, 40)
}

func TestSetupKeepsTheDayOnWhichATokenEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	day := time.Now().AddDate(0, 0, 9).UTC().Format(time.DateOnly)
	reminded := func(conf string) {
		t.Helper()
		if text := s.golden(conf); !strings.Contains(text, "\n      expires: "+day+"\n") {
			t.Errorf("the file is\n%s", text)
		}
		if got := start(t, "", "validate", "--conf", conf); got.Status != 0 || !strings.Contains(got.Out, "the credential expires on "+day) {
			t.Errorf("validate: %+v", got)
		}
	}
	all := []string{"--site", s.url, "--products", "jira", "--email", atlassiantest.DefaultEmail, "--secret-file", secretFile(t, atlassiantest.DefaultClassicToken)}
	conf, args := s.setup(all...)
	k := talkTo(t, nil, args...)
	k.until("Which [1]: ")
	k.answer("api_token")
	k.until("The day on which it expires, like 2027-03-01 (")
	k.answer("in a year")
	k.until("Write it like 2027-03-01, or nothing.\n")
	k.answer(day)
	if got := k.end(); got.Status != 0 {
		t.Fatalf("outcome %+v", got)
	}
	reminded(conf)

	conf, args = s.setup(append(all, "--auth", "api_token", "--expires", day)...)
	if got := start(t, "", args...); got.Status != 0 || strings.Contains(got.Out, "expires, like") {
		t.Fatalf("outcome %+v", got)
	}
	reminded(conf)
	_, args = s.setup(append(all, "--auth", "api_token", "--expires", "soon")...)
	if got := start(t, "", args...); got.Status != 2 || !strings.HasPrefix(got.Err, "Error: --expires must be a day, like 2027-03-01\n") {
		t.Errorf("outcome %+v", got)
	}
}

func TestSetupOfAnOrganisation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.server.Fill(20, time.Hour, atlassiantest.Organization)
	conf, args := s.setup("--organization", atlassiantest.DefaultOrganizationID, "--secret-file", secretFile(t, atlassiantest.DefaultOrganizationKey))
	args = slices.Delete(args, 7, 9) // it has no authorisation server
	got := start(t, "", args...)
	file := filepath.Join(filepath.Dir(conf), "conf.organization_api_key")
	if got.Status != 0 || !strings.Contains(got.Out, "organization: read an audit record, of 20") || !strings.Contains(got.Out, "The secret is in: "+file+"\n") {
		t.Fatalf("outcome %+v", got)
	}
	if text := s.golden(conf); strings.Contains(text, atlassiantest.DefaultOrganizationKey) || !strings.Contains(text, "organization_api_key_file: <CONF>/conf.organization_api_key\n") {
		t.Errorf("the file is\n%s", text)
	}
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
	s.valid(conf)
	s.collects(conf, 20)
}

func TestSetupOfAConsentLeavesTheTestToAuthorize(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conf, args := s.setup("--site", s.url, "--products", "jira", "--auth", "oauth", "--client-id", atlassiantest.DefaultAppID, "--secret-env", "THE_SECRET")
	k := talkTo(t, []string{"THE_SECRET=" + atlassiantest.DefaultAppSecret}, args...)
	got := k.end()
	if got.Status != 0 || !strings.Contains(got.Out, program+" authorize --conf "+conf) || !strings.Contains(got.Out, "tested once a person has consented") {
		t.Fatalf("outcome %+v", got)
	}
	k = talkTo(t, nil, "authorize", "--conf", conf, "--port", "0")
	browse(t, k.press())
	if got := k.end(); got.Status != 0 {
		t.Errorf("authorize: %+v", got)
	}
	s.collects(conf, 20)
}

func TestSetupReplacesNothingWithoutForce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	all := []string{"--site", s.url, "--products", "jira", "--auth", "service_account", "--client-id", atlassiantest.DefaultClientID, "--secret-file", secretFile(t, atlassiantest.DefaultClientSecret)}
	conf, args := s.setup(all...)
	if got := start(t, "", args...); got.Status != 0 {
		t.Fatalf("outcome %+v", got)
	}
	before := s.golden(conf)
	requests := len(s.server.Requests())
	got := start(t, "", args...)
	if got.Status != 1 || !strings.HasPrefix(got.Err, "Error: "+conf+" is there already, and nothing was changed: edit it") || got.Out != "" || len(s.server.Requests()) != requests {
		t.Errorf("outcome %+v, %d requests", got, len(s.server.Requests())-requests)
	}
	got = start(t, "", append(args, "--force", "--products", "confluence")...)
	backups, err := filepath.Glob(conf + ".*.bak")
	if got.Status != 0 || err != nil || len(backups) != 1 || s.golden(backups[0]) != before || !strings.Contains(got.Out, "What was there before is in: "+backups[0]+"\n") {
		t.Errorf("outcome %+v, kept %v, %v", got, backups, err)
	}
	if text := s.golden(conf); !strings.Contains(text, "products: [jira, confluence]") {
		t.Errorf("the new file is %s", text)
	}
	// Another file of the folder, for a product that nobody collects yet.
	second := filepath.Join(filepath.Dir(conf), "second.yaml")
	args[2] = second
	if got := start(t, "", args...); got.Status != 1 || !strings.Contains(got.Err, "both collect jira of "+s.host) {
		t.Errorf("the same site twice: %+v", got)
	}
}

func TestASecondFileFollowsNothingTwice(t *testing.T) {
	t.Parallel()
	s, other := newSite(t), newSite(t)
	all := func(s *site) []string {
		return []string{"--site", s.url, "--products", "jira", "--auth", "api_token", "--email", atlassiantest.DefaultEmail, "--secret-file", secretFile(t, atlassiantest.DefaultClassicToken)}
	}
	conf, args := s.setup(all(s)...)
	if got := start(t, "", args...); got.Status != 0 {
		t.Fatalf("outcome %+v", got)
	}
	other.run = s.run
	_, args = other.setup(all(other)...)
	args[2] = filepath.Join(filepath.Dir(conf), "second.yaml")
	if got := start(t, "", args...); got.Status != 0 || strings.Contains(other.golden(args[2]), "logs:") {
		t.Fatalf("outcome %+v\n%s", got, other.golden(args[2]))
	}
	if got := start(t, "", "validate", "--conf", filepath.Dir(conf)); got.Status != 0 || got.Out != "The configuration is valid: 2 instances, 0 warnings.\n" {
		t.Errorf("validate: %+v", got)
	}
}

func TestSetupWritesNothingThatDoesNotWork(t *testing.T) {
	t.Parallel()
	token := func(t *testing.T) []string {
		return []string{"--auth", "api_token", "--email", atlassiantest.DefaultEmail, "--secret-file", secretFile(t, atlassiantest.DefaultClassicToken)}
	}
	open := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(open, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		prepare func(*site)
		args    func(*testing.T, *site) []string
		status  int
		says    []string
	}{
		{"an account that is no administrator", func(s *site) { s.server.Deny("jira", atlassiantest.NotAdmin) },
			func(t *testing.T, s *site) []string {
				return append(token(t), "--site", s.url, "--products", "jira,confluence")
			}, 1,
			[]string{"jira: the account may not read Jira's audit log (status 403)", "(not_admin)\n", "confluence: read the newest", "Error: nothing was written: do what the sentences above say"}},
		{"a token that is wrong", func(s *site) { s.server.Revoke(atlassiantest.Classic) },
			func(t *testing.T, s *site) []string { return append(token(t), "--site", s.url, "--products", "jira") }, 1,
			[]string{"Atlassian does not accept the credential (status 401)", "Error: nothing was written"}},
		{"an address where nothing of Atlassian's is", func(s *site) {
			s.server.Fault(atlassiantest.Fault{Kind: atlassiantest.AnyKind, Action: atlassiantest.Answer(404, "{}")})
		}, func(t *testing.T, s *site) []string { return append(token(t), "--site", s.url, "--products", "jira") }, 1,
			[]string{"Error: neither a Cloud site nor Jira or Confluence Data Center answers at this address"}},
		{"an address over http", nil, func(t *testing.T, _ *site) []string {
			return append(token(t), "--site", "http://example.atlassian.net")
		}, 1,
			[]string{"Error: the address must begin with https://"}},
		{"a secret that others can read", nil, func(_ *testing.T, s *site) []string {
			return []string{"--site", s.url, "--products", "jira", "--auth", "api_token", "--email", "a@b.c", "--secret-file", open}
		}, 1, []string{"holds a secret and is open to others (mode 0644): chmod 0600"}},
		{"a variable that is not there", nil, func(_ *testing.T, s *site) []string {
			return []string{"--site", s.url, "--products", "jira", "--auth", "api_token", "--email", "a@b.c", "--secret-env", "NO_SUCH_VARIABLE"}
		}, 1, []string{"Error: the environment variable NO_SUCH_VARIABLE is empty or not there"}},
		{"a credential of another deployment", nil, func(_ *testing.T, s *site) []string {
			return []string{"--site", s.url, "--products", "jira", "--auth", "personal_access_token"}
		}, 1, []string{"Error: personal_access_token is no credential for a Cloud site: use service_account, api_token, oauth"}},
		{"an e-mail address that is none", nil, func(t *testing.T, s *site) []string {
			return []string{"--site", s.url, "--products", "jira", "--auth", "api_token", "--email", "me", "--secret-file", secretFile(t, "x-1234")}
		}, 1, []string{"instances[0].auth.email: is not an e-mail address", "(config)\n"}},
		{"questions that nobody answers", nil, func(*testing.T, *site) []string { return nil }, 1, []string{"Error: the input ended before this question was answered"}},
		{"a secret as a handle's name", nil, func(*testing.T, *site) []string { return []string{"--secret-handle", "hunter2"} }, 2,
			[]string{"Error: --secret-handle must be written ENC[name]; where it is the secret itself, others can see it now: revoke it\n"}},
		{"both a site and an organisation", nil, func(*testing.T, *site) []string { return []string{"--site", "x", "--organization", "y"} }, 2, []string{"Error: --site and --organization are two configurations"}},
		{"a kind that there is not", nil, func(*testing.T, *site) []string { return []string{"--auth", "password"} }, 2, []string{"Error: there is no credential of the kind \"password\"\n"}},
		{"files of an organisation", nil, func(*testing.T, *site) []string { return []string{"--organization", "y", "--audit-log-path", "/x"} }, 2, []string{"Error: --audit-log-path is for Data Center"}},
		{"files of a Cloud site", nil, func(*testing.T, *site) []string { return []string{"--deployment", "cloud", "--audit-log-path", "/x"} }, 2, []string{"Error: --audit-log-path is for Data Center"}},
		{"files and a credential", nil, func(*testing.T, *site) []string { return []string{"--auth", "basic", "--audit-log-path", "/x"} }, 2, []string{"Error: --audit-log-path reads files, which takes no credential"}},
		{"files that are not there", nil, func(t *testing.T, s *site) []string {
			return []string{"--site", s.url, "--products", "jira", "--audit-log-path", filepath.Join(t.TempDir(), "log")}
		}, 1, []string{"the folder of the audit log files is not there", "(audit_log_files)"}},
		{"untested, and nobody says what it is", nil, func(*testing.T, *site) []string { return []string{"--untested"} }, 2, []string{"Error: --untested asks Atlassian nothing"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			if tt.prepare != nil {
				tt.prepare(s)
			}
			conf, args := s.setup(tt.args(t, s)...)
			got := start(t, "", args...)
			if got.Status != tt.status {
				t.Errorf("status %d, want %d", got.Status, tt.status)
			}
			for _, want := range tt.says {
				if !strings.Contains(got.Out+got.Err, want) {
					t.Errorf("it did not say %q in\n%s\n%s", want, got.Out, got.Err)
				}
			}
			if _, err := os.Stat(filepath.Dir(conf)); err == nil {
				t.Error("something was written")
			}
		})
	}
}

func TestSetupUntestedAsksNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conf, args := s.setup("--site", s.url, "--deployment", "cloud", "--untested", "--products", "jira", "--auth", "api_token", "--email", "a@b.c", "--secret-file", secretFile(t, "token-1"))
	conf = filepath.Join(filepath.Dir(filepath.Dir(conf)), "with a blank", "conf.yaml")
	args[2] = conf
	if got := start(t, "", args...); got.Status != 0 || len(s.server.Requests()) != 0 || !strings.Contains(got.Out, ` --conf "`+conf+`"`) {
		t.Errorf("outcome %+v, %d requests", got, len(s.server.Requests()))
	}
	if got := start(t, "", "validate", "--conf", conf); got.Status != 0 {
		t.Errorf("validate: %+v", got)
	}
}

// TestSetupAsksForNoSecretThatItDoesNotNeed: its handle is all that is written, and
// nothing is tried out.
func TestSetupAsksForNoSecretThatItDoesNotNeed(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{
		"untested":              {"--deployment", "cloud", "--untested", "--auth", "api_token", "--email", "a@b.c"},
		"a consent":             {"--auth", "oauth", "--client-id", "x"},
		"untested, Data Center": {"--deployment", "data_center", "--untested", "--auth", "personal_access_token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			conf, args := s.setup(append([]string{"--site", s.url, "--products", "jira", "--secret-handle", "ENC[atlassian]"}, flags...)...)
			if strings.HasSuffix(name, "Data Center") {
				args = slices.Delete(args, 5, 9) // it has neither gateway nor authorisation server
			}
			if got := start(t, "", args...); got.Status != 0 || got.Err != "" || strings.Contains(got.Out, "not shown") {
				t.Fatalf("outcome %+v", got)
			}
			if text := s.golden(conf); strings.Count(text, ": ENC[atlassian]\n") != 1 {
				t.Errorf("the file is\n%s", text)
			}
			if got := start(t, "", "validate", "--conf", conf); got.Status != 0 {
				t.Errorf("validate: %+v", got)
			}
		})
	}
}
