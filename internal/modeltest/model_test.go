package modeltest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/DataDog/datadog-api-client-go/v2/api/datadogV1"
	"github.com/DataDog/datadog-api-client-go/v2/api/datadogV2"
	"gopkg.in/yaml.v3"

	"atlassian_audit_records/assets"
	"atlassian_audit_records/pkg/datadog"
)

const folder = "../../assets"

// files are those below a folder of assets that end like that.
func files(t *testing.T, kind, ext string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, kind, "*"+ext))
	if err != nil || len(paths) == 0 {
		t.Fatalf("there is no %s in %s (%v)", ext, kind, err)
	}
	out := map[string][]byte{}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(p), ext)] = text
	}
	return out
}

// strange lists what a model holds that Datadog does not know: objects that fit
// no type, and fields that no type has.
func strange(model any) []string {
	return look(nil, reflect.ValueOf(model), "")
}

func look(found []string, v reflect.Value, path string) []string {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			found = look(found, v.Elem(), path)
		}
	case reflect.Slice:
		for i := range v.Len() {
			found = look(found, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			switch {
			case !f.IsExported():
			case f.Name == "UnparsedObject" || f.Name == "AdditionalProperties":
				if !v.Field(i).IsZero() && fmt.Sprint(v.Field(i).Interface()) != "map[]" {
					found = append(found, fmt.Sprintf("%s.%s: %.200v", path, f.Name, v.Field(i).Interface()))
				}
			default:
				found = look(found, v.Field(i), path+"."+f.Name)
			}
		}
	}
	return found
}

func decode(t *testing.T, name string, text []byte, model any) {
	t.Helper()
	if err := json.Unmarshal(text, model); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	for _, s := range strange(model) {
		t.Errorf("%s%s", name, s)
	}
}

func TestDashboards(t *testing.T) {
	for name, text := range files(t, "dashboards", ".json") {
		decode(t, name, text, &datadogV1.Dashboard{})
	}
}

func TestMonitors(t *testing.T) {
	for name, text := range files(t, "monitors", ".json") {
		var file struct {
			Definition json.RawMessage `json:"definition"`
		}
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		decode(t, name, file.Definition, &datadogV1.Monitor{})
	}
}

// TestRules: product is integrations-core's, the message stands in a file of
// its own.
func TestRules(t *testing.T) {
	messages := files(t, "security", ".md")
	for name, text := range files(t, "security", ".json") {
		var rule map[string]any
		if err := json.Unmarshal(text, &rule); err != nil {
			t.Fatal(err)
		}
		delete(rule, "product")
		rule["message"] = string(messages[name])
		payload, err := json.Marshal(rule)
		if err != nil {
			t.Fatal(err)
		}
		decode(t, name, payload, &datadogV2.SecurityMonitoringStandardRuleCreatePayload{})
	}
}

// TestPipelines: integrations-core's format says enabled where the API says
// is_enabled, and knows one option more, which loading them mends; their type, which
// is the API's to say and is not sent, is looked at as well.
func TestPipelines(t *testing.T) {
	loaded, err := datadog.Load(assets.Files, []datadog.Kind{datadog.Pipelines})
	if err != nil || len(loaded) != len(files(t, "logs", "_tests.yaml")) {
		t.Fatalf("%d pipelines, %v", len(loaded), err)
	}
	for _, a := range loaded {
		var file struct {
			Pipeline struct {
				Type string `yaml:"type"`
			} `yaml:"pipeline"`
		}
		if err := yaml.Unmarshal(files(t, "logs", ".yaml")[a.Name], &file); err != nil {
			t.Fatal(err)
		}
		body := a.Body()
		body["type"] = file.Pipeline.Type
		payload, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		decode(t, a.Name, payload, &datadogV1.LogsPipeline{})
	}
}

// TestTheTestItself: what is not known is found, however deep.
func TestTheTestItself(t *testing.T) {
	for text, want := range map[string]string{
		`{"title":"x","layout_type":"ordered","widgets":[{"definition":{"type":"note","content":"x"}}]}`:            "",
		`{"title":"x","layout_type":"ordered","widgets":[{"definition":{"type":"notes","content":"x"}}]}`:           "UnparsedObject",
		`{"title":"x","layout_type":"ordered","widgets":[{"definition":{"type":"note","content":"x","colour":1}}]}`: "AdditionalProperties",
	} {
		var d datadogV1.Dashboard
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(strange(&d), "; ")
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
