//go:build unix

package datadog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	secrets "github.com/DataDog/datadog-agent/comp/core/secrets/def"
)

// backend writes a shell script as the secret backend.
func backend(t *testing.T, script string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backend")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestResolve(t *testing.T) {
	t.Parallel()
	s := NewSecrets(t.Context())
	asked := filepath.Join(t.TempDir(), "asked")
	s.Configure(secrets.ConfigParams{
		Command:   backend(t, `cat >>"$1"; printf '%s' '{"a/b": {"value": "x: [1] \"q\"\n"}, "n": {"value": "00123", "error": null}}'`, 0o700),
		Arguments: []string{asked}, RemoveLinebreak: true,
	})
	text := "# kept\none: 'ENC[a/b]'\nlist:\n  - plain\n  - {in: \" ENC[n]\t\"}\nENC[n]: a key is no text\nagain: ENC[a/b]\nhalf: x ENC[n]\nbig: 12345678901234567890\n"
	type told struct {
		Handle, Path string
		Now          any
	}
	var heard []told
	s.SubscribeToChanges(func(handle, origin string, path []string, _, now any) {
		if origin != "datadog.yaml" {
			t.Errorf("the origin is %s", origin)
		}
		heard = append(heard, told{handle, strings.Join(path, "."), now})
	})
	out, err := s.Resolve([]byte(text), "datadog.yaml", "", "", true)
	if err != nil {
		t.Fatal(err)
	}
	want := "# kept\none: 'x: [1] \"q\"'\nlist:\n    - plain\n    - {in: \"00123\"}\nENC[n]: a key is no text\nagain: 'x: [1] \"q\"'\nhalf: x ENC[n]\nbig: 12345678901234567890\n"
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]told{{"a/b", "one", `x: [1] "q"`}, {"n", "list.1.in", "00123"}, {"a/b", "again", `x: [1] "q"`}}, heard); diff != "" {
		t.Errorf("told (-want +got)\n%s", diff)
	}
	if _, err := s.Resolve([]byte("a: ENC[n]"), "conf.yaml", "", "", false); err != nil {
		t.Fatal(err)
	}
	request, err := os.ReadFile(asked)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"secret_backend_timeout":30,"secrets":["a/b","n"],"version":"1.1"}`, string(request)); diff != "" {
		t.Errorf("asked, once for each handle (-want +got)\n%s", diff)
	}
}

func TestWithoutAHandleTheTextIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	const text = "a:   1 # as\n\n\nb: {c: ENC}\n"
	out, err := NewSecrets(t.Context()).Resolve([]byte(text), "conf.yaml", "", "", false)
	if err != nil || string(out) != text {
		t.Errorf("%q, %v", out, err)
	}
}

func TestRefreshTellsWhatChanged(t *testing.T) {
	t.Parallel()
	s := NewSecrets(t.Context())
	dir := t.TempDir()
	value := filepath.Join(dir, "value")
	put := func(v string) {
		if err := os.WriteFile(value, []byte(v), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("old")
	s.Configure(secrets.ConfigParams{Command: backend(t, `echo "{\"k\": {\"value\": \"$(cat "$1")\"}, \"same\": {\"value\": \"s\"}}"`, 0o700), Arguments: []string{value}})
	if _, err := s.Resolve([]byte("api_key: ENC[k]\nother: ENC[same]"), "datadog.yaml", "", "", true); err != nil {
		t.Fatal(err)
	}
	var heard []any
	s.SubscribeToChanges(func(_, _ string, path []string, before, now any) {
		heard = append(heard, strings.Join(path, "."), before, now)
	})
	put("new")
	if said, err := s.Refresh(true); err != nil || said != "1 of 2 settings changed" {
		t.Errorf("%q, %v", said, err)
	}
	if diff := cmp.Diff([]any{"api_key", "old", "new"}, heard); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestBackendsThatAreNotTrustedOrFail(t *testing.T) {
	t.Parallel()
	const good = `echo '{"h": {"value": "topsecret"}}'`
	for name, tt := range map[string]struct {
		params secrets.ConfigParams
		script string
		mode   os.FileMode
		want   string
	}{
		"none is set":                    {secrets.ConfigParams{}, "", 0, "ENC[h] cannot be resolved: set secret_backend_command in datadog.yaml"},
		"only a type is set":             {secrets.ConfigParams{Type: "aws.secrets"}, "", 0, "secret_backend_type needs a program that only the Agent brings along"},
		"the group may execute it":       {secrets.ConfigParams{}, good, 0o750, "has mode 0750, and group or others have rights to it: chmod 700"},
		"others may read it":             {secrets.ConfigParams{GroupExecPerm: true}, good, 0o754, "has mode 0754"},
		"its group may write it":         {secrets.ConfigParams{GroupExecPerm: true}, good, 0o770, "has mode 0770, and its group may write it"},
		"it may not be executed":         {secrets.ConfigParams{}, good, 0o600, "may not be executed by its owner"},
		"it fails":                       {secrets.ConfigParams{}, "echo topsecret; echo topsecret >&2; exit 3", 0o700, "failed: exit status 3"},
		"it does not come back":          {secrets.ConfigParams{Timeout: 1}, "exec sleep 600", 0o700, "did not answer within 1s"},
		"it says too much":               {secrets.ConfigParams{MaxSize: 10}, good, 0o700, "more than 10 bytes"},
		"its answer is no JSON":          {secrets.ConfigParams{}, "echo topsecret", 0o700, "something else than a JSON object"},
		"it does not know the handle":    {secrets.ConfigParams{}, `echo '{"other": {"value": "topsecret"}}'`, 0o700, "does not know ENC[h]"},
		"it has an error for the handle": {secrets.ConfigParams{}, `echo '{"h": {"value": "topsecret", "error": "vault is sealed"}}'`, 0o700, "cannot resolve ENC[h]: vault is sealed"},
		"it has an empty value":          {secrets.ConfigParams{RemoveLinebreak: true}, `printf '%s' '{"h": {"value": "\n"}}'`, 0o700, "an empty value for ENC[h]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := NewSecrets(t.Context())
			if tt.script != "" {
				tt.params.Command = backend(t, tt.script, tt.mode)
			}
			s.Configure(tt.params)
			out, err := s.Resolve([]byte("a: ENC[h]"), "conf.yaml", "", "", false)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "topsecret") {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
}

func TestABackendOfTheGroup(t *testing.T) {
	t.Parallel()
	s := NewSecrets(t.Context())
	s.Configure(secrets.ConfigParams{Command: backend(t, `echo '{"h": {"value": "v"}}'`, 0o750), GroupExecPerm: true})
	if out, err := s.Resolve([]byte("a: ENC[h]"), "conf.yaml", "", "", false); err != nil || string(out) != "a: v\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// FuzzValues: whatever a backend answers, no part of it becomes an error's text,
// and nothing but a text without an error is a value.
func FuzzValues(f *testing.F) {
	f.Add([]byte(`{"h": {"value": "v"}}`), true)
	f.Add([]byte(`{"h": {"value": 5}}`), false)
	f.Add([]byte(`{"h": null}`), false)
	f.Fuzz(func(t *testing.T, answer []byte, trim bool) {
		out, err := values(answer, []string{"h"}, trim)
		if err == nil && out["h"] == "" {
			t.Error("an empty value was accepted")
		}
	})
}
