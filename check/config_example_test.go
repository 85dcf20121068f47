package check

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/DataDog/datadog-agent/pkg/util/scrubber"
	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"atlassian_audit_records/pkg/auth"
)

const examplePath = "../conf.d/atlassian_audit_records.d/conf.yaml.example"

var (
	paramLine     = regexp.MustCompile(`(?m)^( *)## @param ([a-z_]+) - (string|boolean|number|mapping|list of strings) - (optional|required|required for [a-z_]+)( - default: .+)?$`)
	commentedLine = regexp.MustCompile(`(?m)^( *)# (.*)$`)
)

func readExample(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// filledIn is the example with every option in effect and real values for the
// placeholders, less the options named.
func filledIn(t *testing.T, authType string, without ...string) string {
	t.Helper()
	text := commentedLine.ReplaceAllString(readExample(t), "$1$2")
	text = strings.NewReplacer(
		"<SITE>", "filled-in", "<EMAIL>", "audit@filled-in.example", "<CLIENT_ID>", "filled-in-id",
		"<PROXY_SERVER_FOR_HTTP>", "audit:proxy-secret-1@proxy.example.com", "<PROXY_SERVER_FOR_HTTPS>", "audit:proxy-secret-2@proxy.example.com",
		"<PORT>", "3128", "<HOSTNAME_1>", "one.example.com", "<HOSTNAME_2>", "two.example.com", "<SERVICE>", "filled-in",
		"<ETCD_HOST>", "etcd.example.com", "ENC[etcd_password]", "etcd-secret-password-8",
		"<KEY_1>:<VALUE_1>", "team:security", "<KEY_2>:<VALUE_2>", "env:prod",
		"<CA_CERT_PATH>", "/etc/datadog-agent/ca.pem", "<CERT_PATH>", "/etc/datadog-agent/cert.pem", "<PRIVATE_KEY_PATH>", "/etc/datadog-agent/key.pem",
		"ENC[atlassian_token]", "token-secret-3", "ENC[atlassian_client_secret]", "client-secret-4",
		"ENC[atlassian_redact_passphrase]", "redact-secret-passphrase-5",
		"ENC[jira_personal_access_token]", "personal-secret-5", "ENC[jira_password]", "password-secret-6", "<USERNAME>", "filled-in",
		"/etc/datadog-agent/atlassian_client_secret", "/etc/datadog-agent/atlassian_secret",
		"<ORGANIZATION_ID>", "12345678-1234-1234-1234-123456789012",
		"ENC[atlassian_organization_api_key]", "organization-secret-5",
		"/etc/datadog-agent/atlassian_organization_api_key", "/etc/datadog-agent/atlassian_secret",
		"type: api_token", "type: "+authType,
	).Replace(text)
	var kept []string
	for _, line := range strings.Split(text, "\n") {
		name, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		if !slices.Contains(without, name) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

func TestTheExampleDocumentsEveryOptionAndNoOther(t *testing.T) {
	t.Parallel()
	documented := map[sectionKind][]string{}
	kind := initSection
	for _, line := range strings.Split(readExample(t), "\n") {
		if line == "instances:" {
			kind = instanceSection
		}
		if !strings.Contains(line, "@param") {
			continue
		}
		m := paramLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("not in the Agent's style: %s", line)
			continue
		}
		if of := map[int]sectionKind{4: kind, 8: authSection}[len(m[1])]; of != "" {
			documented[of] = append(documented[of], m[2])
		} else {
			t.Errorf("indented by %d: %s", len(m[1]), line)
		}
	}
	for _, of := range []sectionKind{initSection, instanceSection, authSection} {
		slices.Sort(documented[of])
		if diff := cmp.Diff(optionsOf(of).ours, documented[of]); diff != "" {
			t.Errorf("options of %s (-known +documented):\n%s", of, diff)
		}
	}
}

func TestTheExampleUncommentedParses(t *testing.T) {
	t.Parallel()
	expires := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	key := []string{"organization", "organization_api_key", "organization_api_key_file"}
	for _, tt := range []struct {
		name, authType string
		without        []string
		want           Auth
		dataCenter     bool
	}{
		{"with an API token", "api_token", append([]string{"client_id", "client_secret", "client_secret_file"}, key...),
			Auth{Type: APIToken, Email: "audit@filled-in.example", APIToken: "token-secret-3", Expires: expires}, false},
		{"with a service account and its secret", "service_account", append([]string{"email", "api_token", "client_secret_file"}, key...),
			Auth{Type: ServiceAccount, ClientID: "filled-in-id", ClientSecret: "client-secret-4", Expires: expires}, false},
		{"with a service account and a file", "service_account", append([]string{"email", "api_token", "client_secret"}, key...),
			Auth{Type: ServiceAccount, ClientID: "filled-in-id", ClientSecret: "Kq7vZ-secret-of-a-file", ClientSecretFile: "/etc/datadog-agent/atlassian_secret", Expires: expires}, false},
		{"with a personal access token", "personal_access_token", []string{"email", "api_token", "client_id", "client_secret", "client_secret_file", "username", "password", "audit_log_path"},
			Auth{Type: PersonalAccessToken, PersonalAccessToken: "personal-secret-5", Expires: expires}, true},
		{"with a password", "basic", []string{"email", "api_token", "client_id", "client_secret", "client_secret_file", "personal_access_token", "audit_log_path"},
			Auth{Type: Basic, Username: "filled-in", Password: "password-secret-6", Expires: expires}, true},
		{"with audit log files", "", []string{"auth", "type", "email", "api_token", "client_id", "client_secret", "client_secret_file", "personal_access_token", "username", "password", "expires"},
			Auth{}, true},
		{"of an organisation", "organization_api_key", []string{"- site", "deployment", "products", "- jira", "- confluence", "auth_server", "resolve_users",
			"email", "api_token", "client_id", "client_secret", "client_secret_file", "organization_api_key_file"},
			Auth{Type: OrganizationKey, OrganizationKey: "organization-secret-5", Expires: expires}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ps := &problems{file: "conf.yaml", lines: true}
			without := append(slices.Clone(tt.without), "state_kubeconfig") // of another store than the example's
			if tt.dataCenter {
				without = append(slices.Clone(without), "gateway", "auth_server", "- confluence")
				without = append(without, key...)
			} else {
				without = append(slices.Clone(without), "personal_access_token", "username", "password", "audit_log_path")
			}
			text := filledIn(t, tt.authType, without...)
			if slices.Contains(tt.without, "- site") {
				text = strings.Replace(text, "    organization:", "  - organization:", 1)
			}
			if tt.dataCenter {
				text = strings.NewReplacer("deployment: cloud", "deployment: data_center", "filled-in.atlassian.net", "filled-in.example.com/jira").Replace(text)
			}
			instances, sources := parseFile(ps, []byte(text), testEnv())
			if err := ps.err(); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if len(instances) != 1 || instances[0].Config.Auth != tt.want {
				t.Errorf("instances: %+v", instances)
			}
			if warnings := checkLogs(instances, sources, "conf.yaml"); len(warnings) > 0 {
				t.Errorf("the logs section is not what the check wants: %v", warnings)
			}
		})
	}
}

func TestTheExamplesDefaultsAreTheDefaults(t *testing.T) {
	t.Parallel()
	// Everything that only states a default is put into effect; what has none,
	// or deviates on purpose, is left out.
	var kept []string
	skipped := false
	for _, line := range strings.Split(readExample(t), "\n") {
		if m := paramLine.FindStringSubmatch(line); m != nil {
			skipped = m[5] == "" || m[2] == "run_path" || m[2] == "min_collection_interval" || strings.HasPrefix(m[2], "state_")
		}
		if m := commentedLine.FindStringSubmatch(line); m != nil {
			if skipped {
				continue
			}
			line = m[1] + m[2]
		}
		kept = append(kept, strings.NewReplacer("<SITE>", "filled-in", "<EMAIL>", "a@b.c", "ENC[atlassian_token]", "token-secret-3").Replace(line))
	}
	ps := &problems{file: "conf.yaml", lines: true}
	instances, _ := parseFile(ps, []byte(strings.Join(kept, "\n")), testEnv())
	if err := ps.err(); err != nil {
		t.Fatal(err)
	}
	want, err := Parse(nil, []byte("site: filled-in.atlassian.net\nauth: {type: api_token, email: a@b.c, api_token: token-secret-3}"), testEnv())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, instances[0].Config, cmp.Comparer(func(a, b auth.Secret) bool { return a == b })); diff != "" {
		t.Errorf("with the stated defaults (-without them +with them):\n%s", diff)
	}
}

func TestTheExampleAsItIsOnlyWantsItsPlaceholdersFilledIn(t *testing.T) {
	t.Parallel()
	ps := &problems{file: "conf.yaml", lines: true}
	env := testEnv()
	env.Handles = true
	parseFile(ps, []byte(readExample(t)), env)
	err := ps.err()
	if err == nil {
		t.Fatal("the example is accepted as it is")
	}
	for _, p := range strings.Split(err.Error(), "; ") {
		if !strings.HasSuffix(p, "is still the placeholder of the example: put the real value in its place") {
			t.Error(p)
		}
	}
}

func TestTheAgentsScrubberHidesEverySecretButThoseThatAreWarnedOf(t *testing.T) {
	t.Parallel()
	// As a flare has it: the two ways of the Agent's to write a folder of YAML.
	text := []byte(filledIn(t, "api_token"))
	asBytes, err := scrubber.ScrubBytes(text)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := scrubber.ScrubYaml(text)
	if err != nil {
		t.Fatal(err)
	}
	var parsed any
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		t.Fatalf("the text is not what a flare would take: %v", err)
	}
	for how, scrubbed := range map[string]string{"ScrubBytes": string(asBytes), "ScrubYaml": string(asYAML)} {
		for secret, wantShown := range map[string]bool{
			"proxy-secret-1": false, "proxy-secret-2": false, "token-secret-3": false, "client-secret-4": true, "redact-secret-passphrase-5": false,
			"personal-secret-5": false, "password-secret-6": false,
			"organization-secret-5": true,
		} {
			if !strings.Contains(string(text), secret) {
				t.Fatalf("%s is not in the text", secret)
			}
			if secret == "organization-secret-5" && how == "ScrubYaml" {
				wantShown = false // it knows keys that end in api_key
			}
			if got := strings.Contains(scrubbed, secret); got != wantShown {
				t.Errorf("%s: %s is left: %t, want %t", how, secret, got, wantShown)
			}
		}
	}
}
