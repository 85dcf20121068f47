package check

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"atlassian_audit_records/pkg/audit"
)

// maxConfigFile bounds a configuration file, in bytes.
const maxConfigFile = 8 << 20

// File is a whole configuration: a conf.yaml, or a folder of them.
type File struct {
	// Instances are in the order of the files' names and, within one, as written.
	Instances []Instance
	// Warnings are all there are, those of the instances included.
	Warnings []Problem
}

// Instance is one entry of instances.
type Instance struct {
	// Where names it to a person: "conf.yaml: instances[0]".
	Where  string
	Config *Config
}

// ParseFile reads a conf.yaml, or every *.yaml and *.yml of a folder such as
// conf.d/atlassian_audit_records.d. The error is a *ConfigError with every
// problem of all files, or says why nothing could be read.
func ParseFile(path string, env Env) (*File, error) {
	texts, err := ReadTexts(path)
	if err != nil {
		return nil, err
	}
	return ParseTexts(texts, filepath.Base(path), env)
}

// A Text is one file of a configuration as it is written.
type Text struct {
	// Path is the file's; what is wrong with the text is told with its last name.
	Path string
	YAML []byte
}

// ReadTexts reads a conf.yaml, or every *.yaml and *.yml of a folder, in the order
// of their names.
func ReadTexts(path string) ([]Text, error) {
	paths, err := configFiles(path)
	if err != nil {
		return nil, err
	}
	var out []Text
	for _, p := range paths {
		text, err := readConfigFile(p)
		if err != nil {
			return nil, err
		}
		out = append(out, Text{p, text})
	}
	return out, nil
}

// ParseTexts is ParseFile for texts that were read already, and whose ENC[…] may
// have been resolved. The name stands for all of them in messages.
func ParseTexts(texts []Text, name string, env Env) (*File, error) {
	out := &File{}
	var broken []Problem
	var logs []logSource
	for _, t := range texts {
		ps := &problems{file: filepath.Base(t.Path), lines: true}
		instances, sources := parseFile(ps, t.YAML, env)
		var ce *ConfigError
		if errors.As(ps.err(), &ce) {
			broken = append(broken, ce.Problems...)
		}
		out.Instances = append(out.Instances, instances...)
		out.Warnings = append(out.Warnings, ps.warnings...)
		logs = append(logs, sources...)
	}
	broken = append(broken, shareOneSite(out.Instances)...)
	if len(broken) == 0 && len(out.Instances) == 0 {
		broken = append(broken, Problem{File: name, Path: "instances", Text: "is empty: add an instance with site and auth"})
	}
	if len(broken) > 0 {
		return nil, &ConfigError{Problems: broken, Warnings: out.Warnings}
	}
	out.Warnings = append(out.Warnings, checkLogs(out.Instances, logs, name)...)
	return out, nil
}

func configFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, configReadError(path, err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		return nil, configReadError(path, err)
	}
	var paths []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") {
			paths = append(paths, filepath.Join(path, e.Name()))
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("the folder %s holds no *.yaml file: copy conf.yaml.example to conf.yaml and fill it in", path)
	}
	return paths, nil
}

func readConfigFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, configReadError(path, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case info.Size() > maxConfigFile:
		return nil, fmt.Errorf("%s is larger than 8 MiB: this is no configuration file", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, configReadError(path, err)
	}
	return text, nil
}

func configReadError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist: give the path of conf.yaml, or of its folder, with --conf", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may not be read by this user: run the command as the Agent's user, like `sudo -u dd-agent -- …`", path)
	}
	return fmt.Errorf("read the configuration: %w", err)
}

// parseFile reads the text of one file.
func parseFile(ps *problems, text []byte, env Env) ([]Instance, []logSource) {
	root := document(ps, text, "")
	if root == nil {
		if len(ps.list) == 0 {
			ps.add(0, "", "is empty: copy conf.yaml.example and fill it in")
		}
		return nil, nil
	}
	s := newSection(ps, root, "", fileSection, env.Handles)
	var initNode *yaml.Node
	if f, ok := s.fields["init_config"]; ok {
		initNode = f.value
	}
	init := newSection(ps, initNode, "init_config", initSection, env.Handles)
	sh := ps.init(init, env)
	sources := s.logSources()

	f, ok := s.fields["instances"]
	switch {
	case !ok || f.null():
		if len(sources) == 0 && len(ps.list) == 0 {
			s.addf("instances", "is missing: add an instance with site and auth")
		}
		return nil, sources
	case f.value.Kind != yaml.SequenceNode:
		s.addf("instances", "must be a list, each entry beginning with a dash, not %s", described(f.value))
		return nil, sources
	}
	var out []Instance
	for i, n := range f.value.Content {
		path := "instances[" + strconv.Itoa(i) + "]"
		before := len(ps.warnings)
		c := parseInstance(init, sh, follow(n), path, env)
		c.Warnings = append(c.Warnings, ps.warnings[before:]...)
		out = append(out, Instance{Where: ps.file + ": " + path, Config: c})
	}
	return out, sources
}

// shareOneSite reports the instances that would write to one state.
func shareOneSite(instances []Instance) []Problem {
	type stream struct {
		site    string
		product audit.Product
	}
	first := map[stream]Instance{}
	var out []Problem
	for _, in := range instances {
		if in.Config.Host() == "" {
			continue
		}
		var shared []string
		var other Instance
		for _, p := range in.Config.Products {
			key := stream{in.Config.Name(), p}
			if o, ok := first[key]; ok {
				shared = append(shared, string(p))
				other = o
				continue
			}
			first[key] = in
		}
		if len(shared) > 0 {
			out = append(out, Problem{Text: fmt.Sprintf("%s and %s both collect %s of %s, and would share one state: remove one of them, or give them different products",
				other.Where, in.Where, strings.Join(shared, " and "), in.Config.Name())})
		}
	}
	return out
}
