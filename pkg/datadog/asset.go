package datadog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"gopkg.in/yaml.v3"
)

// An Asset is one thing to install.
type Asset struct {
	Kind Kind
	// Name is its file's, without folder and ending: what it is known by.
	Name string
	// Title is what people see in Datadog.
	Title string

	// body is what the API takes, without a mark.
	body map[string]any
}

// Load reads the assets of some kinds from a folder in the layout of
// integrations-core, in the order in which they are installed. The errors name
// the file.
func Load(files fs.FS, kinds []Kind) ([]Asset, error) {
	var out []Asset
	for _, k := range kinds {
		paths, err := fs.Glob(files, kindOf[k].files)
		if err != nil {
			return nil, fmt.Errorf("look for %s: %w", k, err)
		}
		for _, p := range paths {
			name := strings.TrimSuffix(path.Base(p), path.Ext(p))
			if strings.HasSuffix(name, "_tests") {
				continue
			}
			text, err := fs.ReadFile(files, p)
			if err != nil {
				return nil, fmt.Errorf("read the asset %s: %w", p, err)
			}
			a := Asset{Kind: k, Name: name}
			if a.body, err = read(k, text, func() ([]byte, error) { return fs.ReadFile(files, strings.TrimSuffix(p, ".json")+".md") }); err != nil {
				return nil, fmt.Errorf("read the asset %s: %w", p, err)
			}
			if a.Title, _ = a.body[kindOf[k].title].(string); a.Title == "" {
				return nil, fmt.Errorf("the asset %s has no %s", p, kindOf[k].title)
			}
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("there are no assets")
	}
	return out, nil
}

// Body is the body of a request that creates it, mark included.
func (a Asset) Body() map[string]any {
	body := copied(a.body).(map[string]any) //nolint:errcheck // a copy has the type of the original
	mark(a.Kind, body, a.Name)
	return body
}

// read makes of a file what the API takes.
func read(k Kind, text []byte, message func() ([]byte, error)) (map[string]any, error) {
	switch k {
	case Pipelines:
		// integrations-core says enabled where the API says is_enabled, and knows
		// one option more.
		var file struct {
			Pipeline map[string]any `yaml:"pipeline"`
		}
		if err := yaml.Unmarshal(text, &file); err != nil {
			return nil, fmt.Errorf("decode YAML: %w", err)
		}
		renamed, err := json.Marshal(rename(file.Pipeline))
		if err != nil {
			return nil, fmt.Errorf("make JSON of YAML: %w", err)
		}
		body, err := object(renamed)
		delete(body, "type") // the API's to say
		return body, err
	case Monitors:
		var file struct {
			Definition json.RawMessage `json:"definition"`
		}
		if err := json.Unmarshal(text, &file); err != nil {
			return nil, fmt.Errorf("decode JSON: %w", err)
		}
		return object(file.Definition)
	case Rules:
		// product is integrations-core's; the message stands in a file of its own.
		body, err := object(text)
		if err != nil {
			return nil, err
		}
		m, err := message()
		if err != nil {
			return nil, err
		}
		delete(body, "product")
		body["message"] = strings.TrimSpace(string(m))
		return body, nil
	default:
		body, err := object(text)
		for _, theirs := range []string{"notify_list"} {
			delete(body, theirs)
		}
		return body, err
	}
}

func object(text []byte) (map[string]any, error) {
	var out map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	if out == nil {
		return nil, errors.New("it holds no object")
	}
	return out, nil
}

func rename(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = rename(v[i])
		}
	case map[string]any:
		if on, ok := v["enabled"]; ok {
			v["is_enabled"] = on
			delete(v, "enabled")
		}
		delete(v, "ip_processing_behavior")
		for k := range v {
			v[k] = rename(v[k])
		}
	}
	return v
}

func copied(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = copied(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = copied(v[k])
		}
		return out
	}
	return v
}
