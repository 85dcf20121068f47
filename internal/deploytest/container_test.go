package deploytest

import (
	"bytes"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// TestDockerfile reads the Dockerfile as BuildKit does, with its linter, and follows
// every COPY: whose the files are, what others may do with them, and that they are
// where the Agent and the adapter look.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../packaging/container/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range parsed.Warnings {
		t.Errorf("warning: %+v", w)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, description, _, message string, _ []parser.Range) {
		t.Errorf("%s: %s (%s)", rule, message, description)
	}})
	stages, global, err := instructions.Parse(parsed.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	if len(stages) != 1 || stages[0].BaseName != "${AGENT_IMAGE}" || len(global) != 1 || !strings.Contains(*global[0].Args[0].Value, "/agent:7.") {
		t.Errorf("the image is built on %v with %v", stages, global)
	}
	got := map[string]string{}
	for _, command := range stages[0].Commands {
		switch c := command.(type) {
		case *instructions.CopyCommand:
			for _, from := range c.SourcePaths {
				got[path.Join(c.DestPath, path.Base(from))] = c.Chown + " " + c.Chmod + " " + from
			}
		case *instructions.ArgCommand:
		default:
			t.Errorf("%s changes what the Agent's image does", command.Name())
		}
	}
	want := map[string]string{
		"/etc/datadog-agent/checks.d/atlassian_audit_records.py":                "0:0 0644 atlassian_audit_records.py",
		"/etc/datadog-agent/conf.d/atlassian_audit_records.d/conf.yaml.example": "0:0 0644 conf.yaml.example",
		"/usr/share/doc/atlassian-audit-records/LICENSE":                        "0:0 0644 LICENSE",
	}
	for _, program := range []string{"", "-run", "-shared"} {
		want["/usr/bin/atlassian-audit-records"+program] = "0:0 0755 ${TARGETARCH}/atlassian-audit-records" + program
	}
	for _, document := range []string{"THIRD-PARTY-LICENSES.txt", "sbom.cdx.json"} {
		want["/usr/share/doc/atlassian-audit-records/"+document] = "0:0 0644 ${TARGETARCH}/" + document
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is copied (-want +got):\n%s", diff)
	}
	if !slices.Equal([]string{"linux/amd64,linux/arm64"}, platforms(string(text))) {
		t.Errorf("the command that it tells builds for %v", platforms(string(text)))
	}
}

// platforms are what the text tells docker to build for.
func platforms(text string) []string {
	var out []string
	fields := strings.Fields(text)
	for i, f := range fields {
		if f == "--platform" && i+1 < len(fields) {
			out = append(out, fields[i+1])
		}
	}
	return out
}
