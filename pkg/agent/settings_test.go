package agent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadSettings(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, tt := range map[string]struct {
		text string
		env  map[string]string
		want Settings
		err  string
	}{
		"an empty file":            {text: "", want: Settings{}},
		"nothing that concerns us": {text: "api_key: secret\nhostname: web-1\n", want: Settings{}},
		"logs are on":              {text: "logs_enabled: true\n", want: Settings{LogsEnabled: &yes}},
		"logs are on, as text":     {text: "logs_enabled: 'true'\n", want: Settings{LogsEnabled: &yes}},
		"logs are off":             {text: "logs_enabled: false\n", want: Settings{LogsEnabled: &no}},
		"the environment counts":   {text: "logs_enabled: false\nrun_path: /a\n", env: map[string]string{"DD_LOGS_ENABLED": "true", "DD_RUN_PATH": "/b"}, want: Settings{LogsEnabled: &yes, RunPath: "/b"}},
		"paths":                    {text: "run_path: /a\nlogs_config:\n  run_path: /b\n", want: Settings{RunPath: "/a", LogsRunPath: "/b"}},
		"a path made of another":   {text: "run_path: /a\nlogs_config: {run_path: '${run_path}/logs'}\n", want: Settings{RunPath: "/a", LogsRunPath: "/a/logs"}},
		"the limit of files":       {text: "logs_config: {open_files_limit: 4100}\n", want: Settings{OpenFiles: 4100}},
		"the environment's limit":  {text: "logs_config: {open_files_limit: 1}\n", env: map[string]string{"DD_LOGS_CONFIG_OPEN_FILES_LIMIT": "600"}, want: Settings{OpenFiles: 600}},
		"a limit that is none":     {text: "logs_config: {open_files_limit: many}\n", want: Settings{}},
		"a proxy":                  {text: "proxy: {http: http://a, https: http://b, no_proxy: [c, d]}\n", want: Settings{ProxyHTTP: "http://a", ProxyHTTPS: "http://b", NoProxy: []string{"c", "d"}}},
		"a proxy of the environment": {text: "", env: map[string]string{"DD_PROXY_HTTPS": "http://b", "DD_PROXY_NO_PROXY": "c d"},
			want: Settings{ProxyHTTPS: "http://b", NoProxy: []string{"c", "d"}}},
		"a handle is left out":       {text: "proxy: {https: 'ENC[proxy]'}\n", want: Settings{}},
		"an anchor is followed":      {text: "x: &x {run_path: /b}\nlogs_config: *x\n", want: Settings{LogsRunPath: "/b"}},
		"broken YAML quotes nothing": {text: "api_key: secret-api-key\nlogs_enabled: [\n", err: "is not valid YAML in line"},
		"a list is no mapping":       {text: "- a\n", want: Settings{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "datadog.yaml")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := ReadSettings(path, func(name string) string { return tt.env[name] })
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
			if (err != nil) != (tt.err != "") || err != nil && (!strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "secret")) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

func TestReadSettingsWithoutAFile(t *testing.T) {
	t.Parallel()
	got, err := ReadSettings(filepath.Join(t.TempDir(), "none.yaml"), func(name string) string {
		return map[string]string{"DD_LOGS_ENABLED": "1"}[name]
	})
	if !errors.Is(err, fs.ErrNotExist) || got.LogsEnabled == nil || !*got.LogsEnabled {
		t.Errorf("settings %+v, error %v", got, err)
	}
}

func TestReadSettingsOfTheUnit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"datadog.yaml": "logs_enabled: false\nrun_path: /a\n",
		"environment":  "# a comment\nDD_LOGS_ENABLED=true\nDD_RUN_PATH = \"/b\"\nnonsense\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadSettings(filepath.Join(dir, "datadog.yaml"), func(name string) string { return map[string]string{"DD_RUN_PATH": "/c"}[name] })
	if err != nil || got.LogsEnabled == nil || !*got.LogsEnabled || got.RunPath != "/c" {
		t.Errorf("settings %+v, error %v", got, err)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ file, text, want string }{
		"the manifest as JSON":         {"version-manifest.json", `{"manifest_format":2,"build_version":"7.77.3"}`, "7.77.3"},
		"a release candidate":          {"version-manifest.json", `{"build_version":"7.78.0-rc.2"}`, "7.78.0-rc.2"},
		"the manifest as text":         {"version-manifest.txt", "agent 7.76.1\n\nComponent 1.2.3\n", "7.76.1"},
		"a manifest that says nothing": {"version-manifest.json", `{"build_version":"nightly"}`, Version()},
		"no manifest":                  {"other.txt", "", Version()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, tt.file), []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := Version(filepath.Join(dir, "none"), dir); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
