package deploytest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/DataDog/datadog-operator/api/datadoghq/common"
	"github.com/DataDog/datadog-operator/api/datadoghq/v1alpha1"
	"github.com/DataDog/datadog-operator/api/datadoghq/v2alpha1"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const (
	folder  = "../../packaging/kubernetes"
	runPath = "/var/lib/atlassian-audit-records"
	confDir = "/etc/datadog-agent/conf.d/atlassian_audit_records.d"
)

// documents are the documents of a file of packaging/kubernetes.
func documents(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n---\n")
}

// strict reads YAML into a type that has to know every field of it.
func strict[T any](t *testing.T, text string) T {
	t.Helper()
	var into T
	if err := yaml.UnmarshalStrict([]byte(text), &into); err != nil {
		t.Fatalf("%T: %v", into, err)
	}
	return into
}

// again reads a part of what was read without types into a type.
func again[T any](t *testing.T, part any) T {
	t.Helper()
	text, err := yaml.Marshal(part)
	if err != nil {
		t.Fatal(err)
	}
	return strict[T](t, string(text))
}

// values are the parts of helm-values.yaml that the chart hands on to Kubernetes as
// they are; the chart itself has no schema.
type values struct {
	nodeSelector   map[string]string
	volumes        []corev1.Volume
	mounts         []corev1.VolumeMount
	env            []corev1.EnvVar
	updateStrategy appsv1.DaemonSetUpdateStrategy
	all            map[string]any
}

func helmValues(t *testing.T) values {
	t.Helper()
	all := strict[map[string]any](t, documents(t, "helm-values.yaml")[0])
	agents, datadog := all["agents"].(map[string]any), all["datadog"].(map[string]any)
	return values{
		again[map[string]string](t, agents["nodeSelector"]), again[[]corev1.Volume](t, agents["volumes"]),
		again[[]corev1.VolumeMount](t, agents["volumeMounts"]), again[[]corev1.EnvVar](t, datadog["env"]),
		again[appsv1.DaemonSetUpdateStrategy](t, agents["updateStrategy"]), all,
	}
}

func TestTheVolumeIsOneAgents(t *testing.T) {
	t.Parallel()
	claim := strict[corev1.PersistentVolumeClaim](t, documents(t, "volume.yaml")[0])
	if diff := cmp.Diff([]corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}, claim.Spec.AccessModes); diff != "" {
		t.Errorf("access modes (-want +got):\n%s", diff)
	}
	if claim.Kind != "PersistentVolumeClaim" || claim.APIVersion != "v1" || claim.Spec.Resources.Requests.Storage().IsZero() {
		t.Errorf("the claim is %+v", claim)
	}
}

func TestHelmValuesRunOneAgent(t *testing.T) {
	t.Parallel()
	v := helmValues(t)
	claim := strict[corev1.PersistentVolumeClaim](t, documents(t, "volume.yaml")[0])
	mountsTheVolume(t, claim.Name, v.volumes, v.mounts)
	if len(v.nodeSelector) != 1 {
		t.Errorf("the nodes are chosen by %v", v.nodeSelector)
	}
	// The registry of the Agent beside it on the node must not be this one's.
	if !slices.ContainsFunc(v.env, func(e corev1.EnvVar) bool { return e.Name == "DD_LOGS_CONFIG_RUN_PATH" && e.Value == runPath }) {
		t.Errorf("what the Agent has read is not on the volume: %v", v.env)
	}
	if v.updateStrategy.RollingUpdate == nil || v.updateStrategy.RollingUpdate.MaxSurge.IntValue() != 0 {
		t.Errorf("an update would start a second pod beside the first: %v", v.updateStrategy)
	}
	for path, want := range map[string]any{
		"datadog.logs.enabled": true, "datadog.logs.containerCollectAll": false, "datadog.containerExclude": "name:.*",
		"datadog.apm.socketEnabled": false, "datadog.dogstatsd.useSocketVolume": false, "clusterAgent.enabled": false, "targetSystem": "linux",
	} {
		var at any = v.all
		for key := range strings.SplitSeq(path, ".") {
			at = at.(map[string]any)[key]
		}
		if at != want {
			t.Errorf("%s is %v, want %v", path, at, want)
		}
	}
}

func TestOperatorRunsOneAgent(t *testing.T) {
	t.Parallel()
	docs := documents(t, "operator.yaml")
	if len(docs) != 2 {
		t.Fatalf("%d documents", len(docs))
	}
	agent := strict[v2alpha1.DatadogAgent](t, docs[0])
	profile := strict[v1alpha1.DatadogAgentProfile](t, docs[1])
	if err := v1alpha1.ValidateDatadogAgentProfileSpec(&profile.Spec); err != nil {
		t.Errorf("the Operator refuses the profile: %v", err)
	}
	if agent.Kind != "DatadogAgent" || profile.Kind != "DatadogAgentProfile" || !*agent.Spec.Features.LogCollection.Enabled {
		t.Errorf("%s with logs %v, and %s", agent.Kind, agent.Spec.Features.LogCollection, profile.Kind)
	}
	// The configuration is the profile's alone: the image of all Agents must stay idle without it.
	if node := agent.Spec.Override[v2alpha1.NodeAgentComponentName]; node.Image.Name == "" || node.Volumes != nil || node.ExtraConfd != nil {
		t.Errorf("all Agents have %+v", node)
	}
	claim := strict[corev1.PersistentVolumeClaim](t, documents(t, "volume.yaml")[0])
	node := profile.Spec.Config.Override[v2alpha1.NodeAgentComponentName]
	mountsTheVolume(t, claim.Name, node.Volumes, node.Containers[common.CoreAgentContainerName].VolumeMounts)

	chosen := map[string]string{}
	for _, r := range profile.Spec.ProfileAffinity.ProfileNodeAffinity {
		chosen[r.Key] = strings.Join(r.Values, ",")
	}
	if diff := cmp.Diff(helmValues(t).nodeSelector, chosen); diff != "" {
		t.Errorf("the nodes are chosen otherwise than with Helm (-Helm +Operator):\n%s", diff)
	}
	if agent.Namespace != claim.Namespace || profile.Namespace != claim.Namespace {
		t.Errorf("namespaces %s, %s and %s", agent.Namespace, profile.Namespace, claim.Namespace)
	}
}

// mountsTheVolume wants the claim at the run path, writable, and the Secret of the
// configuration, for root alone, where the Agent looks for it.
func mountsTheVolume(t *testing.T, claim string, volumes []corev1.Volume, mounts []corev1.VolumeMount) {
	t.Helper()
	got := map[string]string{}
	for _, m := range mounts {
		for _, v := range volumes {
			switch {
			case v.Name != m.Name:
			case v.PersistentVolumeClaim != nil && !m.ReadOnly:
				got[m.MountPath] = "claim " + v.PersistentVolumeClaim.ClaimName
			case v.Secret != nil && m.ReadOnly && v.Secret.DefaultMode != nil && *v.Secret.DefaultMode == 0o400:
				got[m.MountPath] = "secret " + v.Secret.SecretName
			}
		}
	}
	if diff := cmp.Diff(map[string]string{runPath: "claim " + claim, confDir: "secret atlassian-audit-records"}, got); diff != "" {
		t.Errorf("what is mounted (-want +got):\n%s", diff)
	}
}
