package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// FuzzReadSettings: whatever datadog.yaml and the unit's variables say, it ends;
// no handle of a secret is taken for a proxy, and an error quotes nothing of a
// file that holds the API key.
func FuzzReadSettings(f *testing.F) {
	f.Add([]byte("api_key: top-secret\nrun_path: /r\nlogs_enabled: true\nlogs_config:\n  run_path: ${run_path}/logs\nproxy:\n  https: http://p\n  no_proxy: [a, b]\n"), []byte("DD_RUN_PATH='/x'\n"))
	f.Add([]byte("api_key: top-secret\nproxy: {http: 'ENC[p]'}\nlogs_enabled: maybe\n"), []byte("# DD_PROXY_HTTPS=ENC[x]\n=\nDD_PROXY_HTTPS=\" ENC[x]\"\n"))
	f.Add([]byte("a: &a [*a]\nrun_path: *a\n"), []byte("'"))
	f.Add([]byte("top-secret: [\n"), []byte(""))
	f.Add([]byte("proxy: &p\n  <<: *p\n"), []byte("\xff=\""))
	f.Fuzz(func(t *testing.T, text, environment []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "datadog.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "environment"), environment, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := ReadSettings(path, func(string) string { return "" })
		for _, proxy := range []string{s.ProxyHTTP, s.ProxyHTTPS} {
			if strings.HasPrefix(strings.TrimSpace(proxy), "ENC[") {
				t.Errorf("a handle is taken for a proxy: %q", proxy)
			}
		}
		if err != nil {
			rest := strings.ReplaceAll(err.Error(), path, "")
			if strings.ContainsFunc(rest, unicode.IsControl) || strings.Contains(rest, "secret") || len(rest) > 200 {
				t.Errorf("the error quotes the file: %v", err)
			}
		}
	})
}

// FuzzVersion: what an installed Agent's manifest says is a release, or nothing.
func FuzzVersion(f *testing.F) {
	f.Add([]byte(`{"build_version":"7.77.0"}`), []byte("agent 7.76.1-rc.1\n"))
	f.Add([]byte(`{"build_version":[]}`), []byte(""))
	f.Fuzz(func(t *testing.T, manifest, text []byte) {
		dir := t.TempDir()
		for name, b := range map[string][]byte{"version-manifest.json": manifest, "version-manifest.txt": text} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if v := Version(dir); v != "" && (releaseForm().FindString(v) != v || !strings.Contains(string(manifest)+string(text), v)) {
			if !strings.Contains(string(manifest), `\`) { // written in escapes
				t.Errorf("the version %q", v)
			}
		}
	})
}
