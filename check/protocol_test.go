package check

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/auth"
)

func noEnv(string) string { return "" }

func TestRequestsAreRead(t *testing.T) {
	t.Parallel()
	yes := true
	for _, tt := range []struct {
		name, text string
		want       Request
	}{
		{"with everything in it",
			`{"protocol": 1, "check_id": "id:1", "check_name": "atlassian_audit_records", "init_config": "run_path: /x\n", "instance": "site: y\n",
			  "agent": {"version": "7.77.0", "hostname": "web-1", "run_path": "/run", "logs_run_path": "/logs", "logs_enabled": true, "log_level": "info",
			            "proxy": {"http": "http://h", "https": "http://u:p@s", "no_proxy": ["a", "b"]}}}`,
			Request{CheckID: "id:1", CheckName: "atlassian_audit_records", InitConfig: []byte("run_path: /x\n"), Instance: []byte("site: y\n"),
				Agent: AgentInfo{Version: "7.77.0", Hostname: "web-1", RunPath: "/run", LogsRunPath: "/logs", LogsEnabled: &yes, LogLevel: "info",
					Proxy: Proxy{HTTP: "http://h", HTTPS: "http://u:p@s", NoProxy: []string{"a", "b"}}}}},
		{"with the least", `{"protocol": 1, "instance": ""}`, Request{Instance: []byte{}}},
		{"with nulls for what is optional", `{"protocol":1,"check_id":null,"init_config":null,"instance":"a","agent":{"proxy":null,"logs_enabled":null}}`,
			Request{Instance: []byte("a")}},
		{"with a null for the Agent", `{"protocol":1,"instance":"a","agent":null}`, Request{Instance: []byte("a")}},
		{"with fields that nobody knows", `{"protocol": 1, "instance": "a", "new": {"x": [1]}, "agent": {"later": true}}`, Request{Instance: []byte("a")}},
		{"with objects instead of texts", `{"protocol": 1, "init_config": {}, "instance": {"site": "<b>", "n": 12345678901234567890, "emoji": "\ud83d\ude00"}}`,
			Request{InitConfig: []byte("{}\n"), Instance: []byte(`{"emoji":"😀","n":12345678901234567890,"site":"<b>"}` + "\n")}},
		{"with no_proxy as the environment writes it", `{"protocol":1,"instance":"a","agent":{"proxy":{"no_proxy":"a, b"}}}`,
			Request{Instance: []byte("a"), Agent: AgentInfo{Proxy: Proxy{NoProxy: []string{"a", "b"}}}}},
		{"with a byte order mark and line breaks around", "\xef\xbb\xbf\r\n" + `{"protocol":1,"instance":"a"}` + "\r\n", Request{Instance: []byte("a")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ReadRequest(strings.NewReader(tt.text), noEnv)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, got, cmp.Comparer(func(a, b auth.Secret) bool { return a == b })); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheEnvironmentGoesBeforeStandardInput(t *testing.T) {
	t.Parallel()
	unread := iotest{errors.New("standard input was read")}
	r, err := ReadRequest(unread, func(k string) string {
		return map[string]string{"ATLASSIAN_AUDIT_RECORDS_REQUEST": `{"protocol": 1, "instance": "env"}`}[k]
	})
	if err != nil || string(r.Instance) != "env" {
		t.Errorf("request %+v, error %v", r, err)
	}
	if _, err := ReadRequest(unread, noEnv); err == nil || err.Error() != "the request cannot be read: standard input: standard input was read" {
		t.Errorf("error is %v", err)
	}
}

type iotest struct{ err error }

func (r iotest) Read([]byte) (int, error) { return 0, r.err }

func TestBadRequestsAreRefusedWithoutQuotingThem(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", " \n", "it is empty; this command is started by the Agent's adapter: to run the check by hand, use `atlassian-audit-records check --conf FILE`"},
		{"a list", `["hunter2"]`, "it is not a JSON object"},
		{"a text", `hunter2`, "it is not a JSON object"},
		{"an object cut short", `{"protocol": 1, "instance": "hunter2`, "the JSON object is cut short"},
		{"broken JSON", `{"protocol": 1, hunter2}`, "it is not valid JSON from byte 17 on"},
		{"two objects", `{"protocol": 1, "instance": ""} {"hunter2": 1}`, "something follows the JSON object"},
		{"an object and a bracket", `{"protocol": 1, "instance": ""}]`, "something follows the JSON object"},
		{"no protocol", `{"instance": "hunter2"}`, "the field protocol is missing: it must be 1"},
		{"another protocol", `{"protocol": 2, "instance": "hunter2"}`,
			"the adapter speaks another version of the protocol than this program, which speaks 1: install both from one release"},
		{"almost the protocol", `{"protocol": 1.5, "instance": ""}`,
			"the adapter speaks another version of the protocol than this program, which speaks 1: install both from one release"},
		{"a word for the protocol", `{"protocol": "one", "instance": ""}`, "it is not a valid JSON object"},
		{"no instance", `{"protocol": 1, "init_config": "hunter2"}`, "the field instance is missing"},
		{"a number as instance", `{"protocol": 1, "instance": 42}`, "init_config and instance must be texts or objects"},
		{"a list as init_config", `{"protocol": 1, "instance": "", "init_config": ["hunter2"]}`, "init_config and instance must be texts or objects"},
		{"a text for a truth value", `{"protocol": 1, "instance": "", "agent": {"logs_enabled": "hunter2"}}`, "the field agent.logs_enabled must be true or false"},
		{"a number for a text", `{"protocol": 1, "instance": "", "check_id": 7}`, "the field check_id must be a text"},
		{"a text for an object", `{"protocol": 1, "instance": "", "agent": "hunter2"}`, "the field agent must be an object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadRequest(strings.NewReader(tt.text), noEnv)
			var re *RequestError
			if !errors.As(err, &re) {
				t.Fatalf("error is %v, want a *RequestError", err)
			}
			if re.Reason != tt.want {
				t.Errorf("reason is\n%s\nwant\n%s", re.Reason, tt.want)
			}
		})
	}
}

func TestARequestIsReadUpToEightMebibytes(t *testing.T) {
	t.Parallel()
	const frame = len(`{"protocol":1,"instance":""}`)
	request := func(size int) io.Reader {
		return strings.NewReader(`{"protocol":1,"instance":"` + strings.Repeat("a", size-frame) + `"}`)
	}
	if _, err := ReadRequest(request(8<<20), noEnv); err != nil {
		t.Errorf("8 MiB: %v", err)
	}
	if _, err := ReadRequest(request(8<<20+1), noEnv); err == nil || err.Error() != "the request cannot be read: it is larger than 8 MiB" {
		t.Errorf("a byte more: error is %v", err)
	}
}

func TestAJSONInstanceIsReadLikeYAML(t *testing.T) {
	t.Parallel()
	r, err := ReadRequest(strings.NewReader(`{"protocol":1,"init_config":{"spool_max_size":"64MiB"},
		"instance":{"site":"https:\/\/example.atlassian.net","tags":["face:\ud83d\ude00","a:1"],"auth":{"type":"api_token","email":"a@b.c","api_token":"\u0073ekrit"}}}`), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(r.InitConfig, r.Instance, Env{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"face:😀", "a:1"}, c.Tags); diff != "" || c.Auth.APIToken != "sekrit" || c.SpoolMaxSize != 64<<20 || c.Host() != "example.atlassian.net" {
		t.Errorf("configuration %+v, tags %s", c, diff)
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add(`{"protocol": 1, "instance": {"a": "\ud83d"}, "agent": {"proxy": {"no_proxy": "a,b"}}}`)
	f.Add(`{"protocol": 1, "instance": "", "agent": {"logs_enabled": true}} x`)
	f.Add("\xef\xbb\xbf{}")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ReadRequest(strings.NewReader(text), noEnv)
		if err == nil {
			if r.Instance == nil {
				t.Error("a request without an instance")
			}
			return
		}
		var re *RequestError
		if !errors.As(err, &re) || r != nil {
			t.Errorf("error of type %T, request %v", err, r)
		}
	})
}

func TestAgentInfoComplete(t *testing.T) {
	t.Parallel()
	on, off := new(bool), new(bool)
	*on = true
	set := agent.Settings{RunPath: absolute("set"), LogsRunPath: absolute("logs"), LogsEnabled: on, ProxyHTTPS: "http://set:1", NoProxy: []string{"a"}}
	setProxy := Proxy{HTTPS: "http://set:1", NoProxy: []string{"a"}}
	for _, tt := range []struct {
		name     string
		told     AgentInfo
		settings agent.Settings
		known    bool
		want     AgentInfo
	}{
		{"what is set counts, where nothing was told", AgentInfo{}, set, true,
			AgentInfo{RunPath: absolute("set"), LogsRunPath: absolute("logs"), LogsEnabled: on, Proxy: setProxy}},
		{"what was told counts before it", AgentInfo{RunPath: absolute("told"), LogsRunPath: absolute("told"), LogsEnabled: off, Proxy: Proxy{HTTP: "http://told:1"}}, set, true,
			AgentInfo{RunPath: absolute("told"), LogsRunPath: absolute("told"), LogsEnabled: off, Proxy: Proxy{HTTP: "http://told:1"}}},
		{"what is not set is the Agent's default", AgentInfo{}, agent.Settings{}, true, AgentInfo{RunPath: agent.RunPath(), LogsEnabled: off}},
		{"whether logs are collected is not known without settings", AgentInfo{}, agent.Settings{}, false, AgentInfo{RunPath: agent.RunPath()}},
		{"a path that is not absolute is none", AgentInfo{}, agent.Settings{RunPath: "run", LogsRunPath: "logs"}, false, AgentInfo{RunPath: agent.RunPath()}},
	} {
		got := tt.told
		got.Complete(tt.settings, tt.known)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// absolute is a path of that name that is absolute on this platform.
func absolute(name string) string { return filepath.Join(agent.RunPath(), name) }
