package check

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// readable is a Config as the golden files show it.
func readable(in Instance) map[string]any {
	c := in.Config
	warnings := []string{}
	for _, w := range c.Warnings {
		warnings = append(warnings, w.String())
	}
	site := ""
	if c.Site != nil {
		site = c.Site.String()
	}
	out := map[string]any{
		"where": in.Where, "site": site, "deployment": c.Deployment, "audit_log_path": c.AuditLogPath, "host": c.Host(), "path": c.Path(), "products": c.Products, "auth": c.Auth,
		"initial_lookback": c.InitialLookback.String(), "lookback": c.Lookback.String(),
		"reconcile_window": c.ReconcileWindow.String(), "reconcile_interval": c.ReconcileInterval.String(),
		"interval": c.Interval.String(), "timeout": c.Timeout.String(), "tags": c.Tags, "service": c.Service,
		"empty_default_hostname": c.EmptyDefaultHostname, "service_checks": c.ServiceChecks, "proxy": c.Proxy, "tls": c.TLS,
		"gateway": c.Gateway.String(), "auth_server": c.AuthServer.String(), "run_path": c.RunPath,
		"spool_max_size": c.SpoolMaxSize, "warnings": warnings,
	}
	if c.Organization != "" {
		out["organization"] = c.Organization
	}
	return out
}

func TestGoodConfigurationsAreReadAsTheGoldenFilesSay(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join(configs, "good-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, ".golden") {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			file, err := ParseFile(path, testEnv())
			if err != nil {
				t.Fatalf("ParseFile: %v", err)
			}
			warnings := []string{}
			for _, w := range file.Warnings {
				warnings = append(warnings, w.String())
			}
			instances := []map[string]any{}
			for _, in := range file.Instances {
				instances = append(instances, readable(in))
			}
			got, err := json.MarshalIndent(map[string]any{"instances": instances, "warnings": warnings}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(path, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

func TestNothingThatPrintsAConfigurationShowsASecret(t *testing.T) {
	t.Parallel()
	file, err := ParseFile(filepath.Join(configs, "good-full.yaml"), testEnv())
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range file.Instances {
		c := in.Config
		if c.Auth.ClientSecret.Reveal() == "" {
			t.Fatalf("%s has no secret to show", in.Where)
		}
		prints := map[string]string{}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			prints[verb] = fmt.Sprintf(verb, c) + fmt.Sprintf(verb, *c) + fmt.Sprintf(verb, c.Auth) + fmt.Sprintf(verb, c.Proxy)
		}
		asJSON, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		asYAML, err := yaml.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		prints["JSON"], prints["YAML"] = string(asJSON), string(asYAML)
		for how, text := range prints {
			for _, secret := range append(testSecrets, fmt.Sprintf("%x", "Kq7vZ"), fmt.Sprintf("%x", "hunter2")) {
				if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
					t.Errorf("%s of %s shows the secret %q: %s", how, in.Where, secret, text)
				}
			}
		}
	}
}

func TestTheSecretsForRedactionAreAllForms(t *testing.T) {
	t.Parallel()
	c, err := Parse(
		[]byte(`{"proxy": {"https": "http://audit:p%40ss@proxy:3128"}}`),
		[]byte(`{"site": "example.atlassian.net", "auth": {"type": "api_token", "email": "a@b.c", "api_token": "sekrit-token"}}`), Env{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"sekrit-token", "YUBiLmM6c2Vrcml0LXRva2Vu", "p@ss", "p%40ss", "audit:p%40ss"}
	if diff := cmp.Diff(want, c.Secrets()); diff != "" {
		t.Errorf("Secrets (-want +got):\n%s", diff)
	}
}
