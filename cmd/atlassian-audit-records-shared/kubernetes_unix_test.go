//go:build unix

package main

import (
	"fmt"
	"testing"

	"k8s.io/client-go/rest"

	"atlassian_audit_records/cmd/atlassian-audit-records-shared/internal/kubetest"
)

// inKubernetes is two machines that share a site there.
func inKubernetes(t *testing.T, f *fleet, name string, way *rest.Config) (a, b *machine) {
	t.Helper()
	options := fmt.Sprintf("state: 'kubernetes://%s/%s', state_kubeconfig: '%s'", kubetest.Namespace, name, kubetest.Kubeconfig(t, way))
	return f.configured("web-1", options), f.configured("web-2", options)
}

func TestTheHolderInKubernetesIsKilled(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	a, b := inKubernetes(t, f, "killed", kubetest.New(t).Config())
	holderIsKilled(t, f, a, b)
}

func TestTheHolderInKubernetesIsPaused(t *testing.T) {
	t.Parallel()
	f := newSite(t)
	a, b := inKubernetes(t, f, "paused", kubetest.New(t).Config())
	holderIsPaused(t, f, a, b)
}

// TestTheHolderInARealKubernetes has the rights of the manifest and no others.
func TestTheHolderInARealKubernetes(t *testing.T) {
	t.Parallel()
	server := kubetest.Start(t)
	server.Apply(kubetest.Manifest(t, "../../packaging/kubernetes/shared-state.yaml"))
	way := server.As("datadog", "datadog-agent")
	for name, happens := range map[string]func(*testing.T, *fleet, *machine, *machine){"killed": holderIsKilled, "paused": holderIsPaused} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newSite(t)
			a, b := inKubernetes(t, f, name, way)
			happens(t, f, a, b)
		})
	}
}
