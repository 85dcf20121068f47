package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

// maxSettings bounds datadog.yaml, in bytes.
const maxSettings = 8 << 20

// Settings are what of the Agent's settings concerns the check. What neither
// datadog.yaml nor the environment says is empty.
type Settings struct {
	RunPath, LogsRunPath string
	// LogsEnabled is nil where nothing is said; the Agent then collects no logs.
	LogsEnabled *bool
	// OpenFiles is logs_config.open_files_limit; 0 where nothing, or nonsense, is said.
	OpenFiles int
	// ProxyHTTP and ProxyHTTPS may hold a password. A handle of the Agent's
	// secret management is left out: only the Agent can resolve it.
	ProxyHTTP, ProxyHTTPS string
	NoProxy               []string
}

// DatadogConf is the Agent's own configuration file, where the Agent was
// installed the usual way.
func DatadogConf() string { return filepath.Join(filepath.Dir(ConfPath()), "datadog.yaml") }

// OpenFilesLimit is logs_config.open_files_limit where nobody set it (7.77 to 7.85):
// how many log files the Agent follows at a time, all of its sources together.
func OpenFilesLimit() int {
	if runtime.GOOS == "darwin" {
		return 200
	}
	return 500
}

// UserName is the user that the Agent runs as, where it was installed the usual
// way; empty on Windows, where rights are inherited from folders.
func UserName() string {
	switch runtime.GOOS {
	case "windows":
		return ""
	case "darwin":
		return "_dd-agent"
	}
	return "dd-agent"
}

// ReadSettings reads the file at path, and the Agent's variables DD_…, which
// count before it, as they do for the Agent: those that getenv knows, and those
// of the file environment beside it, which the Agent's systemd unit reads. An error names
// the file and says what to do, and quotes nothing: the file holds the API key.
// One that is fs.ErrNotExist comes with what the environment says.
func ReadSettings(path string, getenv func(string) string) (Settings, error) {
	root, err := readMapping(path)
	unit := readEnvironment(filepath.Join(filepath.Dir(path), "environment"))
	variable := func(name string) string {
		if v := getenv(name); v != "" {
			return v
		}
		return unit[name]
	}
	var s Settings
	pick := func(name string, keys ...string) string {
		if v := variable(name); v != "" {
			return v
		}
		return scalarAt(root, keys...)
	}
	s.RunPath = pick("DD_RUN_PATH", "run_path")
	s.LogsRunPath = strings.ReplaceAll(pick("DD_LOGS_CONFIG_RUN_PATH", "logs_config", "run_path"), "${run_path}", s.RunPath)
	if enabled, bad := strconv.ParseBool(pick("DD_LOGS_ENABLED", "logs_enabled")); bad == nil {
		s.LogsEnabled = &enabled
	}
	if n, bad := strconv.Atoi(pick("DD_LOGS_CONFIG_OPEN_FILES_LIMIT", "logs_config", "open_files_limit")); bad == nil && n > 0 {
		s.OpenFiles = n
	}
	s.ProxyHTTP = withoutHandle(pick("DD_PROXY_HTTP", "proxy", "http"))
	s.ProxyHTTPS = withoutHandle(pick("DD_PROXY_HTTPS", "proxy", "https"))
	if v := variable("DD_PROXY_NO_PROXY"); v != "" {
		s.NoProxy = strings.FieldsFunc(v, func(r rune) bool { return r == ' ' || r == ',' })
	} else {
		s.NoProxy = listAt(root, "proxy", "no_proxy")
	}
	return s, err
}

// readEnvironment reads lines of NAME=value, the value perhaps in quotes; empty
// where there is no such file, or none that may be read.
func readEnvironment(path string) map[string]string {
	text, err := readSmall(path)
	if err != nil {
		return nil
	}
	out := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n > 1 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		out[strings.TrimSpace(name)] = value
	}
	return out
}

func withoutHandle(v string) string {
	if strings.HasPrefix(strings.TrimSpace(v), "ENC[") {
		return ""
	}
	return v
}

// readMapping is the file's top level; nil where there is none.
func readMapping(path string) (*yaml.Node, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s does not exist: %w", path, fs.ErrNotExist)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s may not be read by this user: run the command as root or as the Agent's user", path)
	case err != nil:
		return nil, fmt.Errorf("read the Agent's settings: %w", err)
	}
	defer f.Close() // nothing was written
	text, err := io.ReadAll(io.LimitReader(f, maxSettings))
	if err != nil {
		return nil, fmt.Errorf("read the Agent's settings: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("%s is not valid YAML%s: mend it, the Agent cannot read it either", path, lineOf(err))
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, nil // an empty file is a valid one
	}
	return doc.Content[0], nil
}

var yamlLine = onDemand(`line (\d+)`)

// lineOf is where a YAML error is, and nothing of what stands there.
func lineOf(err error) string {
	if m := yamlLine().FindStringSubmatch(err.Error()); m != nil {
		return " in line " + m[1]
	}
	return ""
}

func nodeAt(n *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		if n != nil && n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if n == nil || n.Kind != yaml.MappingNode {
			return nil
		}
		var next *yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				next = n.Content[i+1]
			}
		}
		n = next
	}
	if n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func scalarAt(n *yaml.Node, keys ...string) string {
	if n = nodeAt(n, keys...); n != nil && n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		return n.Value
	}
	return ""
}

func listAt(n *yaml.Node, keys ...string) []string {
	n = nodeAt(n, keys...)
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	var out []string
	for _, item := range n.Content {
		if item.Kind == yaml.ScalarNode {
			out = append(out, item.Value)
		}
	}
	return out
}

var releaseForm = onDemand(`\d+\.\d+\.\d+[-.+\w]*`)

// Version is the release of the Agent that is installed in one of the folders,
// or where it is usually installed, as its version-manifest says; empty where
// there is none.
func Version(folders ...string) string {
	usual := "/opt/datadog-agent"
	if runtime.GOOS == "windows" {
		usual = `C:\Program Files\Datadog\Datadog Agent`
	}
	for _, dir := range append(folders, usual) {
		if text, err := readSmall(filepath.Join(dir, "version-manifest.json")); err == nil {
			var m struct {
				BuildVersion string `json:"build_version"`
			}
			if json.Unmarshal(text, &m) == nil && releaseForm().MatchString(m.BuildVersion) {
				return releaseForm().FindString(m.BuildVersion)
			}
		}
		if text, err := readSmall(filepath.Join(dir, "version-manifest.txt")); err == nil {
			first, _, _ := strings.Cut(string(text), "\n")
			if v := releaseForm().FindString(first); v != "" {
				return v
			}
		}
	}
	return ""
}

// readSmall reads a file of at most maxSettings bytes.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	return io.ReadAll(io.LimitReader(f, maxSettings))
}

// onDemand compiles a pattern when it is first needed: most runs need none, and
// each starts a process.
func onDemand(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}
