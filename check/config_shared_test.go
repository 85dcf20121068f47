package check

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"atlassian_audit_records/pkg/shared"
)

func TestWhereMachinesShareASite(t *testing.T) {
	t.Parallel()
	const instance = "site: example.atlassian.net\nauth: {type: api_token, email: a@b.c, api_token: token-secret-3}"
	env := testEnv()
	env.ReadFile = func(path string) ([]byte, error) { return []byte("apiVersion: v1\nkind: Config\n"), nil }
	for name, test := range map[string]struct {
		init string
		want shared.Config
	}{
		"a Kubernetes, from a pod of it": {"state: kubernetes://audit/fleet", shared.Config{URL: "kubernetes://audit/fleet"}},
		"a Kubernetes, from elsewhere": {"state: kubernetes://audit\nstate_kubeconfig: /etc/datadog-agent/kubeconfig",
			shared.Config{URL: "kubernetes://audit", Kubeconfig: "/etc/datadog-agent/kubeconfig"}},
		"an etcd with a user": {"state: etcd://etcd-1/audit\nstate_username: audit\nstate_password: password-secret-6",
			shared.Config{URL: "etcd://etcd-1/audit", Username: "audit", Password: "password-secret-6"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Parse([]byte(test.init), []byte(instance), env)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, c.Shared.store()); diff != "" || len(c.Warnings) > 0 {
				t.Errorf("%v (-want +got)\n%s", c.Warnings, diff)
			}
		})
	}
}
