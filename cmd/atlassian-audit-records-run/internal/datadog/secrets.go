package datadog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"

	secrets "github.com/DataDog/datadog-agent/comp/core/secrets/def"
	"github.com/DataDog/datadog-agent/comp/core/secrets/utils"
	"github.com/DataDog/datadog-agent/pkg/util/log"
)

// Secrets asks the secret backend for what is written as ENC[handle]. It speaks
// the Agent's protocol with secret_backend_command: one JSON object with the handles on
// its standard input, one with the values on its standard output
// (https://docs.datadoghq.com/agent/configuration/secrets-management). The Agent's
// own implementation of it is not published as a module; the interface, which
// the Agent's configuration calls, is.
type Secrets struct {
	ctx      context.Context // ends the backend: the interface has none to pass on
	mu       sync.Mutex
	settings secrets.ConfigParams
	values   map[string]string
	places   []place // of datadog.yaml
	changed  []secrets.SecretChangeCallback
}

// place is where a value was put.
type place struct {
	handle, origin string
	path           []string
}

// NewSecrets knows no backend yet: the Agent's configuration tells it. The end of
// ctx ends a backend that is being asked, and every question.
func NewSecrets(ctx context.Context) *Secrets {
	return &Secrets{ctx: ctx, values: map[string]string{}}
}

var _ secrets.Component = (*Secrets)(nil)

// Configure implements secrets.Component.
func (s *Secrets) Configure(c secrets.ConfigParams) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings = c
}

// SubscribeToChanges implements secrets.Component.
func (s *Secrets) SubscribeToChanges(f secrets.SecretChangeCallback) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = append(s.changed, f)
}

// RemoveOrigin implements secrets.Component; nothing is remembered by origin
// beyond the Agent's own configuration.
func (*Secrets) RemoveOrigin(string) {}

// Resolve implements secrets.Component: the YAML text with its handles replaced.
// A text without one comes back as it is. With notify, the subscribers are told
// of each value and its path.
func (s *Secrets) Resolve(text []byte, origin, _, _ string, notify bool) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("%s is not valid YAML: %w", origin, err)
	}
	found := handles(&doc, nil)
	if len(found) == 0 {
		return text, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []string
	for _, h := range found {
		if _, ok := s.values[h.handle]; !ok && !slices.Contains(missing, h.handle) {
			missing = append(missing, h.handle)
		}
	}
	if len(missing) > 0 {
		values, err := s.ask(missing)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", origin, err)
		}
		for handle, value := range values {
			s.values[handle] = value
		}
	}
	for _, h := range found {
		value := s.values[h.handle]
		h.node.SetString(value)
		if notify {
			s.places = append(s.places, place{h.handle, origin, h.path})
			s.tell(place{h.handle, origin, h.path}, "", value)
		}
	}
	out, err := yaml.Marshal(&doc)
	if err != nil {
		return nil, fmt.Errorf("write %s anew: %w", origin, err)
	}
	return out, nil
}

func (s *Secrets) tell(p place, before, now string) {
	for _, f := range s.changed {
		f(p.handle, p.origin, p.path, before, now)
	}
}

// Refresh implements secrets.Component: the backend is asked again for what the
// Agent's configuration holds, and the subscribers are told what has changed.
func (s *Secrets) Refresh(bool) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var asked []string
	for _, p := range s.places {
		if !slices.Contains(asked, p.handle) {
			asked = append(asked, p.handle)
		}
	}
	if len(asked) == 0 {
		return "no secret is in use", nil
	}
	values, err := s.ask(asked)
	if err != nil {
		return "", err
	}
	changes := 0
	for _, p := range s.places {
		if before, now := s.values[p.handle], values[p.handle]; before != now {
			changes++
			s.tell(p, before, now)
		}
	}
	for handle, value := range values {
		s.values[handle] = value
	}
	return fmt.Sprintf("%d of %d settings changed", changes, len(s.places)), nil
}

// found is a handle, where it stands.
type found struct {
	handle string
	node   *yaml.Node
	path   []string
}

// handles are those of all texts in a document, keys apart. The path has keys,
// and the numbers of entries in lists.
func handles(n *yaml.Node, path []string) []found {
	var out []found
	switch n.Kind {
	case yaml.DocumentNode:
		for _, c := range n.Content {
			out = append(out, handles(c, path)...)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			out = append(out, handles(c, append(slices.Clone(path), strconv.Itoa(i)))...)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			out = append(out, handles(n.Content[i+1], append(slices.Clone(path), n.Content[i].Value))...)
		}
	case yaml.ScalarNode:
		if is, handle := utils.IsEnc(n.Value); is {
			out = append(out, found{handle, n, path})
		}
	}
	return out
}

// What the Agent takes where its configuration says nothing.
const (
	defaultTimeout = 30 * time.Second
	defaultMaxSize = 1 << 20
)

// ask runs the backend.
func (s *Secrets) ask(handles []string) (map[string]string, error) {
	c := s.settings
	switch {
	case c.Command == "" && c.Type != "":
		return nil, fmt.Errorf("ENC[%s] cannot be resolved: secret_backend_type needs a program that only the Agent brings along; set secret_backend_command in datadog.yaml", handles[0])
	case c.Command == "":
		return nil, fmt.Errorf("ENC[%s] cannot be resolved: set secret_backend_command in datadog.yaml", handles[0])
	}
	if err := checkBackend(c.Command, c.GroupExecPerm); err != nil {
		return nil, fmt.Errorf("secret_backend_command is not run: %w", err)
	}
	timeout, size := time.Duration(c.Timeout)*time.Second, c.MaxSize
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	if size <= 0 {
		size = defaultMaxSize
	}
	request, err := json.Marshal(map[string]any{"version": secrets.PayloadVersion, "secrets": handles, "secret_backend_timeout": int(timeout.Seconds())})
	if err != nil {
		return nil, fmt.Errorf("ask for secrets: %w", err)
	}
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Command, c.Arguments...) //nolint:gosec // the operator's own program, whose rights were checked
	cmd.WaitDelay = time.Second
	out, complaints := &bounded{max: size}, &bounded{max: size}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(request), out, complaints
	err = cmd.Run()
	switch {
	case s.ctx.Err() != nil:
		return nil, fmt.Errorf("secret_backend_command %s was not waited for: %w", c.Command, s.ctx.Err())
	case ctx.Err() != nil:
		return nil, fmt.Errorf("secret_backend_command %s did not answer within %s (secret_backend_timeout)", c.Command, timeout)
	case out.over:
		return nil, fmt.Errorf("secret_backend_command %s answered with more than %d bytes (secret_backend_output_max_size)", c.Command, size)
	case err != nil:
		// Its complaints may hold a secret: they go only into the debug log, scrubbed.
		log.Debugf("secret_backend_command said: %s", complaints.kept.String())
		return nil, fmt.Errorf("secret_backend_command %s failed: %w", c.Command, err)
	}
	return values(out.kept.Bytes(), handles, c.RemoveLinebreak)
}

// values reads the backend's answer.
func values(answer []byte, handles []string, trim bool) (map[string]string, error) {
	var given map[string]secrets.SecretVal
	if err := json.Unmarshal(answer, &given); err != nil {
		return nil, errors.New("secret_backend_command answered with something else than a JSON object of handles") // its text may be a secret
	}
	out := map[string]string{}
	var problems []error
	for _, h := range handles {
		v, ok := given[h]
		value := v.Value
		if trim {
			value = strings.TrimRight(value, "\r\n")
		}
		switch {
		case !ok:
			problems = append(problems, fmt.Errorf("secret_backend_command does not know ENC[%s]", h))
		case v.ErrorMsg != "":
			problems = append(problems, fmt.Errorf("secret_backend_command cannot resolve ENC[%s]: %s", h, v.ErrorMsg))
		case value == "":
			problems = append(problems, fmt.Errorf("secret_backend_command has an empty value for ENC[%s]", h))
		}
		out[h] = value
	}
	return out, errors.Join(problems...)
}

// bounded keeps the first max bytes of what is written to it. The buffer is no
// part of its methods: its ReadFrom knows no bound.
type bounded struct {
	kept bytes.Buffer
	max  int
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.max - b.kept.Len()
	if len(p) > room {
		b.over = true
	}
	_, _ = b.kept.Write(p[:min(len(p), max(room, 0))]) // a buffer's Write never fails
	return len(p), nil
}
