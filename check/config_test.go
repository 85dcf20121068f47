package check

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/agent"
)

const configs = "../testdata/config"

// testEnv is a machine on which the files exist that the configurations name.
func testEnv() Env {
	files := map[string]string{
		"/etc/datadog-agent/ca.pem":            "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
		"/etc/datadog-agent/cert.pem":          "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
		"/etc/datadog-agent/key.pem":           "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
		"/etc/datadog-agent/not-a-certificate": "hello\n",
	}
	return Env{
		RunPath: "/opt/datadog-agent/run",
		ReadFile: func(path string) ([]byte, error) {
			text, ok := files[path]
			if !ok {
				return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
			}
			return []byte(text), nil
		},
		ReadSecret: func(path string) ([]byte, error) {
			switch path {
			case "/etc/datadog-agent/atlassian_secret":
				return []byte("Kq7vZ-secret-of-a-file"), nil
			case "/etc/datadog-agent/two-lines":
				return []byte("Kq7vZ-secret\nof-a-file"), nil
			}
			return agent.ReadSecretFile(path)
		},
	}
}

// testSecrets stand in the configurations; they must not be printed anywhere.
var testSecrets = []string{"Kq7vZ", "Other-secret-value", "hunter2", "pa ss", "secret-of-a-file"}

type badConfig struct {
	name string
	file string
	want []string
}

func TestBadConfigurationsAreToldInFull(t *testing.T) {
	t.Parallel()
	told := map[string]bool{}
	for _, bad := range badConfigs() {
		told["invalid-"+bad.file] = true
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseFile(filepath.Join(configs, "invalid-"+bad.file), testEnv())
			var ce *ConfigError
			if !errors.As(err, &ce) {
				t.Fatalf("error is %v, want a *ConfigError", err)
			}
			var got []string
			for _, p := range ce.Problems {
				got = append(got, p.String())
			}
			if diff := cmp.Diff(bad.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			for _, secret := range testSecrets {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows the secret %q: %s", secret, err)
				}
			}
		})
	}
	entries, err := os.ReadDir(configs)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "invalid-") && !told[e.Name()] {
			t.Errorf("%s is in no row", e.Name())
		}
	}
}
