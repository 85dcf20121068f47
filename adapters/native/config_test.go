//go:build cgo && linux

package native

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

func TestConfigValue(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		config, want string
		ok           bool
	}{
		"plain":                     {"key: a value\n", "a value", true},
		"in a comment":              {"# key: a\n", "", false},
		"before a comment":          {"key: a#b # c\n", "a#b", true},
		"in single quotes":          {"key: 'it''s # one'  # c\n", "it's # one", true},
		"in double quotes":          {`key: "C:\\Program Files\\x \"y\" \u00e9\x41"` + "\n", `C:\Program Files\x "y" éA`, true},
		"a Windows path":            {`key: C:\Program Files\x.exe` + "\r\n", `C:\Program Files\x.exe`, true},
		"after other keys":          {"other: 1\nkeys: 2\nkey: 3", "3", true},
		"of a key in quotes":        {"\"key\": 3\n", "3", true},
		"of a key further in":       {"other:\n  key: 3\n", "", false},
		"of a longer key":           {"keys: 3\n", "", false},
		"null":                      {"key: null\n", "", false},
		"a tilde":                   {"key: ~\n", "", false},
		"the word null in quotes":   {"key: 'null'\n", "null", true},
		"nothing":                   {"key:\nother: 1\n", "", false},
		"a list":                    {"key: [a]\n", "", false},
		"a block":                   {"key: |\n  a\n", "", false},
		"quotes that do not close":  {"key: 'a\n", "", false},
		"broken over lines":         {"key: \"a\n  b\\\n  c\"\n", "a bc", true},
		"of JSON":                   {` {"key": "a\u00e9", "other": {"key": 1}}`, "aé", true},
		"a truth of JSON":           {`{"key": false}`, "false", true},
		"of JSON that is cut short": {`{"key": "a"`, "", false},
		"of nothing":                {"", "", false},
	} {
		got, ok := configValue(tt.config, "key")
		if got != tt.want || ok != tt.ok {
			t.Errorf("%s: %q, %v, want %q, %v", name, got, ok, tt.want, tt.ok)
		}
	}
}

func TestConfigList(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		config string
		want   []string
	}{
		"as the Agent writes it":    {"site: x\ntags:\n- env:test\n- 'team: a'\n- \"q\\\"\"\nlast: 1\n", []string{"env:test", "team: a", `q"`}},
		"further in, with comments": {"tags: # mine\n\n  # one\n  - a:b # c\n\n  - c:d\nother:\n  - no\n", []string{"a:b", "c:d"}},
		"in brackets":               {"tags: [a:b, 'c, d' ,\n  \"e\" ]\nother: [no]\n", []string{"a:b", "c, d", "e"}},
		"empty":                     {"tags: []\n", []string{}},
		"with what is no text":      {"tags:\n- {a: b}\n- c\n", []string{"c"}},
		"none":                      {"other:\n- a\n", []string{}},
		"of JSON":                   {`{"tags": ["a:b", 1, "c"]}`, []string{"a:b", "c"}},
		"no list of JSON":           {`{"tags": "a:b"}`, []string{}},
	} {
		if diff := cmp.Diff(tt.want, configList(tt.config, "tags")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSecretsAreHidden(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ config, text, want string }{
		"of every kind": {"auth:\n  api_token: aaaa1\n  client_secret: bbbb2\nx:\n  personal_access_token: 'cccc3'\n  organization_api_key: \"dddd4\"\n  Proxy_Password_2: eeee5\n",
			"aaaa1 bbbb2 cccc3 dddd4 eeee5", "******** ******** ******** ******** ********"},
		"in brackets":                        {"auth: {type: api_token, api_token: aaaa1, email: a@b}\n", "x aaaa1, api_token a@b", "x ********, api_token a@b"},
		"of JSON":                            {`{"auth":{"api_token":"aaaa1","email":"a@b"}}`, "aaaa1 a@b", "******** a@b"},
		"with commas, where it is in a line": {"api_token: aa,bb1\n", "aa,bb1", "********"},
		"below its key":                      {"api_token: >-\n    aaaa1\nother: bbbb\n", "aaaa1 bbbb", "******** bbbb"},
		"one that begins with another":       {"api_token: aaaa\nclient_secret: aaaabbbb\n", "aaaabbbb aaaa", "******** ********"},
		"not what is too short to be one":    {"api_token: a\n", "a banana", "a banana"},
		"not what is named like one":         {"token_type: bearer\nsecrets: none\nsite: example\n", "bearer none example", "bearer none example"},
		"twice in a text":                    {"password: aaaa\n", "aaaaaaaa", "****************"},
	} {
		if got := hidden(tt.config, tt.text); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// FuzzConfig has config.c read what a writer of YAML, and one of JSON, makes of
// any texts: the value, the list, and the secret must be those.
func FuzzConfig(f *testing.F) {
	f.Add("https://example.atlassian.net", "env:test", "hunter2")
	f.Add(`C:\Program Files\x`, "a: b # c", "- x")
	f.Add("é 'q' \"d\"", " blank ", "{[&*!|>%@`~,}]")
	f.Add("true", "null", "0x1f5")
	f.Add("a: very long text of many words that a writer may want to break over several lines because it is wider than eighty", "?", ":")
	f.Fuzz(func(t *testing.T, value, tag, secret string) {
		for _, s := range []string{value, tag, secret} {
			// A text of several lines is written as a block, which is left to the program.
			if s == "" || !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\n\r\u0085\u2028\u2029\ufeff") {
				return
			}
		}
		config := map[string]any{"aaa": map[string]any{"key": "no", "api_token": secret}, "key": value, "tags": []string{tag, "b:c"}}
		asYAML, err := yaml.Marshal(config)
		if err != nil {
			return
		}
		asJSON, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{string(asYAML), string(asJSON)} {
			if got, ok := configValue(text, "key"); !ok || got != value {
				t.Errorf("the value %q came back as %q, %v:\n%s", value, got, ok, text)
			}
			if diff := cmp.Diff([]string{tag, "b:c"}, configList(text, "tags")); diff != "" {
				t.Errorf("the list (-want +got):\n%s\n%s", diff, text)
			}
			if len(secret) >= 4 && strings.Contains(hidden(text, "<"+secret+">"), secret) && !strings.Contains("********", secret) {
				t.Errorf("the secret %q is not hidden:\n%s", secret, text)
			}
		}
	})
}
