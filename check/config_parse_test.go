package check

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const goodInstance = `
site: https://example.atlassian.net
auth: {type: api_token, email: audit@example.com, api_token: Kq7vZ-secret-token}
`

func TestTheAgentsTextsAreReadWithoutLineNumbers(t *testing.T) {
	t.Parallel()
	_, err := Parse([]byte("run_path: here\n"), []byte("site: example.atlassian.net\nauth:\n  type: api_token\n  email: a@b.c\n  api_token: ENC[x]\n  api_token: y1234\n"), Env{})
	want := "init_config.run_path: must be an absolute path; " +
		"instance.auth.api_token: is given twice: remove one; " +
		"instance.auth.api_token: still holds the handle ENC[…]: the Agent puts the secret in its place before it starts the check; " +
		"see what `datadog-agent secret` says, that secret_backend_command (or secret_backend_type) is set in datadog.yaml, and that secret_backend_skip_checks is not"
	if err == nil || err.Error() != want {
		t.Errorf("error is\n%v\nwant\n%s", err, want)
	}
}

func TestTextsThatAreNoMappingsAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, init, instance, want string }{
		{"an empty instance", "", "", "instance: is empty: give at least site and auth"},
		{"a null instance", "null", "null", "instance: is empty: give at least site and auth"},
		{"a text", "", "hello", "instance: must be a mapping of options, not text"},
		{"a list as init_config", "[a]", goodInstance, "init_config: must be a mapping of options, not a list"},
		{"a list as a key", "", goodInstance + "? [a]\n: b\n", "instance: has a key that is a list: every key is the name of an option"},
		{"broken YAML on both sides", "{", "}", "init_config: is not valid YAML: did not find expected node content (check the indentation, the space after each colon, and quotes); " +
			"instance: is not valid YAML: did not find expected node content (check the indentation, the space after each colon, and quotes)"},
		{"a long secret as a key", "", goodInstance + "ATATT3xFfGF0T4JVjYcM8sLk2nQbR7pWzXv9dKhE1gUa5oNi6ym: 1\n", `instance: has the unknown option (not shown): conf.yaml.example describes every option`},
		{"a merge of itself", "", "&a {<<: *a, a: 1}", `instance: has the unknown option "a": conf.yaml.example describes every option`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(tt.init), []byte(tt.instance), Env{})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error is\n%v\nwant\n%s", err, tt.want)
			}
		})
	}
}

func TestTheSiteMayBeWrittenInManyWays(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"example.atlassian.net":                    "https://example.atlassian.net",
		"https://example.atlassian.net/":           "https://example.atlassian.net",
		"https://example.atlassian.net/wiki":       "https://example.atlassian.net",
		"HTTPS://EXAMPLE.atlassian.net/wiki///":    "https://example.atlassian.net",
		"https://example.atlassian.net:443":        "https://example.atlassian.net",
		"https://example.atlassian.net.":           "https://example.atlassian.net",
		" example.atlassian.net ":                  "https://example.atlassian.net",
		"audit.example.com:8443":                   "https://audit.example.com:8443",
		"http://localhost":                         "http://localhost",
		"http://127.1.2.3:80":                      "http://127.1.2.3",
		"http://[::1]:2990":                        "http://[::1]:2990",
		"http://site.localhost:2990/wiki":          "http://site.localhost:2990",
		"https://192.0.2.7":                        "https://192.0.2.7",
		"https://[2001:DB8::7]":                    "https://[2001:db8::7]",
		"https://example.atlassian-us-gov-mod.net": "https://example.atlassian-us-gov-mod.net",
	} {
		c, err := Parse(nil, []byte("site: '"+written+"'\nauth: {type: api_token, email: a@b.c, api_token: x1234}\n"), Env{})
		if err != nil {
			t.Errorf("%q: %v", written, err)
			continue
		}
		if got := c.Site.String(); got != want {
			t.Errorf("%q is read as %s, want %s", written, got, want)
		}
	}
}

func TestHTTPIsForLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"site", "gateway", "auth_server"} {
		for _, host := range []string{"example.com", "localhost.example.com", "127.0.0.1.example.com", "192.168.0.1", "0.0.0.0", "[::]", "notlocalhost", "128.0.0.1"} {
			instance := "site: https://example.atlassian.net\n"
			if key == "site" {
				instance = ""
			}
			_, err := Parse(nil, []byte(instance+key+": http://"+host+"\nauth: {type: api_token, email: a@b.c, api_token: x1234}\n"), Env{})
			if err == nil || !strings.Contains(err.Error(), "must begin with https://") {
				t.Errorf("%s: http://%s is not refused: %v", key, host, err)
			}
		}
	}
}

func TestTheProxyIsTheFirstThatIsGiven(t *testing.T) {
	t.Parallel()
	agent := Proxy{HTTPS: "http://agent:1", NoProxy: []string{"a.example.com"}}
	environment := map[string]string{"HTTPS_PROXY": "environment:2", "no_proxy": "b.example.com, c.example.com"}
	for _, tt := range []struct {
		name, init, instance string
		agent                Proxy
		environment          map[string]string
		want                 Proxy
	}{
		{"none is given", "", "", Proxy{}, nil, Proxy{}},
		{"the instance's before all others", "proxy: {https: init:3}", "proxy: {http: instance:4, https: '', no_proxy: [x, y]}", agent, environment,
			Proxy{HTTP: "http://instance:4", NoProxy: []string{"x", "y"}, Source: "instance"}},
		{"init_config's before the Agent's", "proxy: {https: 'https://init:3', no_proxy: 'x,y'}", "", agent, environment,
			Proxy{HTTPS: "https://init:3", NoProxy: []string{"x", "y"}, Source: "init_config"}},
		{"the Agent's before the environment's", "", "", agent, environment,
			Proxy{HTTPS: "http://agent:1", NoProxy: []string{"a.example.com"}, Source: "agent"}},
		{"the environment's, but not for this machine", "", "", Proxy{NoProxy: []string{"z"}}, environment,
			Proxy{HTTPS: "http://environment:2", NoProxy: []string{"b.example.com", "c.example.com", "localhost", "127.0.0.0/8", "::1"}, Source: "environment"}},
		{"an empty proxy of the instance's is none", "proxy: {https: init:3}", "proxy: {http: , https: }", agent, environment, Proxy{}},
		{"a null proxy of the instance's is not given", "proxy: {https: init:3}", "proxy:", agent, environment, Proxy{HTTPS: "http://init:3", Source: "init_config"}},
		{"skip_proxy for all instances", "skip_proxy: true", "", agent, environment, Proxy{}},
		{"skip_proxy of the instance's", "proxy: {https: init:3}", "skip_proxy: true", agent, environment, Proxy{}},
		{"skip_proxy taken back by the instance", "skip_proxy: true", "skip_proxy: false", agent, nil,
			Proxy{HTTPS: "http://agent:1", NoProxy: []string{"a.example.com"}, Source: "agent"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := Parse([]byte(tt.init), []byte(goodInstance+tt.instance+"\n"), Env{Proxy: tt.agent, Getenv: func(k string) string { return tt.environment[k] }})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, c.Proxy); diff != "" {
				t.Errorf("proxy (-want +got):\n%s", diff)
			}
		})
	}
}

func TestABadProxyOfTheAgentsIsToldWithoutItsPassword(t *testing.T) {
	t.Parallel()
	_, err := Parse(nil, []byte(goodInstance), Env{Proxy: Proxy{HTTPS: "http://u:hunter2 x@proxy:3128"}})
	want := "the Agent's proxy for https: is not the URL of a proxy, like http://proxy.example.com:3128 (a user name or password with special characters must be percent-encoded)"
	if err == nil || err.Error() != want {
		t.Errorf("error is\n%v\nwant\n%s", err, want)
	}
}

func TestTheInstanceOverridesInitConfig(t *testing.T) {
	t.Parallel()
	init := "service: all\nservice_checks: false\ntimeout: 20\n"
	inherits, err := Parse([]byte(init), []byte(goodInstance), Env{RunPath: "/agent"})
	if err != nil {
		t.Fatal(err)
	}
	if inherits.Service != "all" || inherits.ServiceChecks || inherits.Timeout != 20*time.Second || inherits.RunPath != "/agent" {
		t.Errorf("inherited: %+v", inherits)
	}
	overrides, err := Parse([]byte(init+"run_path: /mine/\n"), []byte(goodInstance+"service: one\nservice_checks: true\ntimeout: 5\n"), Env{RunPath: "/agent"})
	if err != nil {
		t.Fatal(err)
	}
	if overrides.Service != "one" || !overrides.ServiceChecks || overrides.Timeout != 5*time.Second || overrides.RunPath != "/mine" {
		t.Errorf("overridden: %+v", overrides)
	}
}

func TestHandlesAreTakenAsGivenWhereNoAgentHasReadTheFile(t *testing.T) {
	t.Parallel()
	env := testEnv()
	env.Handles = true
	file, err := ParseFile(filepath.Join(configs, "invalid-secret-handle.yaml"), env)
	if err != nil {
		t.Fatal(err)
	}
	if got := file.Instances[0].Config.Auth; got != (Auth{Type: APIToken, Email: "audit@example.com"}) {
		t.Errorf("auth is %+v", got)
	}
}

func TestSpans(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"0s": 0, "90s": 90 * time.Second, "15m": 15 * time.Minute, "24h": day, "30d": 30 * day,
		"9223372036854775807d": 1<<63 - 1, "99999999999999999999s": 1<<63 - 1} {
		if got, ok := parseSpan(text); !ok || got != want {
			t.Errorf("parseSpan(%q) = %v, %t; want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "s", "1", "-1s", "+1s", "1.5h", "1 h", "1h30m", "1w", "1S", "1ms", "0x1s", "١s"} {
		if got, ok := parseSpan(text); ok {
			t.Errorf("parseSpan(%q) = %v, want none", text, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 90 * time.Second: "90s", time.Minute: "1m", 48 * time.Hour: "48h", 30 * day: "30d"} {
		if got := spanned(d); got != want {
			t.Errorf("spanned(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"1GiB": 1 << 30, "500MiB": 500 << 20, "64MB": 64e6, "64 MB": 64e6, "1024": 1024, "7KiB": 7 << 10, "2TB": 2e12, "3B": 3,
		"9223372036854775807TiB": 1<<63 - 1, "99999999999999999999": 1<<63 - 1} {
		if got, ok := parseSize(text); !ok || got != want {
			t.Errorf("parseSize(%q) = %v, %t; want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "GiB", "-1GiB", "1.5GiB", "1gib", "1Gi", "1 G", "0x10"} {
		if got, ok := parseSize(text); ok {
			t.Errorf("parseSize(%q) = %v, want none", text, got)
		}
	}
}

func TestFilesThatCannotBeReadAreNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	big := filepath.Join(dir, "big.yaml")
	f, err := os.Create(big)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(maxConfigFile+1), f.Close()); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path, want string }{
		{"a file that is not there", filepath.Join(dir, "none.yaml"), "none.yaml does not exist: give the path of conf.yaml, or of its folder, with --conf"},
		{"a folder without files", empty, "empty holds no *.yaml file: copy conf.yaml.example to conf.yaml and fill it in"},
		{"a file of 8 MiB", big, "big.yaml is larger than 8 MiB: this is no configuration file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := ParseFile(tt.path, Env{}); err == nil || !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("error is %v, want one that ends in %q", err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join(configs, "*.yaml"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("", string(text))
	}
	f.Add("proxy: {https: 'http://u:p@h'}", goodInstance)
	f.Fuzz(func(t *testing.T, init, instance string) {
		c, err := Parse([]byte(init), []byte(instance), testEnv())
		if err == nil {
			if c.Site == nil || c.Site.Scheme != "https" && !isLoopback(c.Site.Hostname()) || len(c.Products) == 0 || len(c.Secrets()) == 0 {
				t.Errorf("accepted, but incomplete: %+v", c)
			}
			return
		}
		var ce *ConfigError
		if !errors.As(err, &ce) || len(ce.Problems) == 0 || c != nil {
			t.Errorf("error of type %T without problems, or a configuration beside it: %v", err, err)
		}
		ps := &problems{file: "conf.yaml", lines: true}
		parseFile(ps, []byte(instance), testEnv())
	})
}
