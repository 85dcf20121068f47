package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"gopkg.in/yaml.v3"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/auth"
)

// Answers are what a person has to say so that a configuration can be written.
type Answers struct {
	// Site is the base URL of the Cloud site or the Data Center's product;
	// Organization is an organisation's id, in its place.
	Site         string
	Organization string
	// DataCenter is true for a Data Center. AuditLogPath is the folder of its audit
	// log files, which are read without a credential; empty for the API.
	DataCenter   bool
	AuditLogPath string
	Products     []audit.Product
	Type         AuthType
	Email        string
	Username     string
	ClientID     string
	Secret       auth.Secret
	// SecretHandle is what stands in the file in the secret's place, ENC[…];
	// SecretFile is the path of a file that the secret is put into. Both empty: the
	// secret stands in the configuration.
	SecretHandle string
	SecretFile   string
	// Expires is the day on which the credential ends, like 2027-03-01; empty
	// where it is not known.
	Expires string
	// RunPath, Gateway and AuthServer are empty for their defaults.
	RunPath, Gateway, AuthServer string
}

// SecretOption is the option that holds a type's secret; empty for none.
func SecretOption(t AuthType) string {
	switch t {
	case APIToken, PersonalAccessToken, OrganizationKey:
		return string(t)
	case Basic:
		return "password"
	case ServiceAccount, OAuth:
		return "client_secret"
	}
	return ""
}

// SecretFileOption reports whether a type's secret may stand in a file of its
// own, which is where the Agent's flares do not look.
func SecretFileOption(t AuthType) bool {
	return t == ServiceAccount || t == OAuth || t == OrganizationKey
}

// options in the order in which a person reads them.
type setupInstance struct {
	Organization string          `yaml:"organization,omitempty"`
	Site         string          `yaml:"site,omitempty"`
	Deployment   string          `yaml:"deployment,omitempty"`
	Products     []audit.Product `yaml:"products,omitempty,flow"`
	Gateway      string          `yaml:"gateway,omitempty"`
	AuthServer   string          `yaml:"auth_server,omitempty"`
	AuditLogPath string          `yaml:"audit_log_path,omitempty"`
	Auth         *setupAuth      `yaml:"auth,omitempty"`
	Interval     int             `yaml:"min_collection_interval"`
}

type setupAuth struct {
	Type                   AuthType `yaml:"type"`
	Email                  string   `yaml:"email,omitempty"`
	Username               string   `yaml:"username,omitempty"`
	Password               string   `yaml:"password,omitempty"`
	APIToken               string   `yaml:"api_token,omitempty"`
	ClientID               string   `yaml:"client_id,omitempty"`
	ClientSecret           string   `yaml:"client_secret,omitempty"`
	ClientSecretFile       string   `yaml:"client_secret_file,omitempty"`
	PersonalAccessToken    string   `yaml:"personal_access_token,omitempty"`
	OrganizationAPIKey     string   `yaml:"organization_api_key,omitempty"`
	OrganizationAPIKeyFile string   `yaml:"organization_api_key_file,omitempty"`
	// Expires is a node, so that the day is written without quotes.
	Expires *yaml.Node `yaml:"expires,omitempty"`
}

type setupLog struct {
	Type        string `yaml:"type"`
	Path        string `yaml:"path"`
	Source      string `yaml:"source"`
	Service     string `yaml:"service,omitempty"`
	Start       string `yaml:"start_position"`
	MultiLine   bool   `yaml:"auto_multi_line_detection"`
	Fingerprint struct {
		Strategy string `yaml:"fingerprint_strategy"`
	} `yaml:"fingerprint_config,flow"`
}

// setupInterval is the time between two runs that setup writes: audit records
// are not in a hurry, and it is well within the ten minutes of auth.OAuth.
const setupInterval = 60

// YAML is the configuration as text. followed are the paths that the Agent
// follows already, by other files of the folder.
func (a Answers) YAML(followed []string) ([]byte, error) { return a.yaml(followed, false) }

// yaml writes the secret itself where inline is true and it is known: for a test
// that leaves no file behind.
func (a Answers) yaml(followed []string, inline bool) ([]byte, error) {
	in := setupInstance{
		Organization: a.Organization, Site: a.Site, Products: a.Products, Gateway: a.Gateway, AuthServer: a.AuthServer,
		Auth: &setupAuth{Type: a.Type, Email: a.Email, Username: a.Username, ClientID: a.ClientID}, Interval: setupInterval,
	}
	if a.DataCenter {
		in.Deployment = string(DataCenter)
		in.Gateway, in.AuthServer = "", "" // it has neither
	}
	if a.Expires != "" {
		in.Auth.Expires = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!timestamp", Value: a.Expires}
	}
	secret := a.Secret.Reveal()
	switch {
	case inline && secret != "":
	case a.SecretHandle != "":
		secret = a.SecretHandle
	case a.SecretFile != "":
		secret = ""
		if a.Type == OrganizationKey {
			in.Auth.OrganizationAPIKeyFile = a.SecretFile
		} else {
			in.Auth.ClientSecretFile = a.SecretFile
		}
	}
	switch SecretOption(a.Type) {
	case "api_token":
		in.Auth.APIToken = secret
	case "client_secret":
		in.Auth.ClientSecret = secret
	case "password":
		in.Auth.Password = secret
	case "personal_access_token":
		in.Auth.PersonalAccessToken = secret
	case "organization_api_key":
		in.Auth.OrganizationAPIKey = secret
	}
	if a.AuditLogPath != "" {
		in.AuditLogPath, in.Auth = a.AuditLogPath, nil
	}
	file := struct {
		Init      map[string]string `yaml:"init_config"`
		Instances []setupInstance   `yaml:"instances"`
		Logs      []setupLog        `yaml:"logs,omitempty"`
	}{Init: map[string]string{}, Instances: []setupInstance{in}}
	runPath := agent.RunPath()
	if a.RunPath != "" && a.RunPath != runPath {
		runPath = a.RunPath
		file.Init["run_path"] = runPath
	}
	for _, l := range a.sources() {
		l.Type, l.Start = "file", "beginning"
		l.Path = filepath.Join(agent.SpoolDir(agent.Base(runPath), l.Source), "*.jsonl")
		l.Fingerprint.Strategy = "disabled"
		if !slices.ContainsFunc(followed, func(p string) bool { return samePath(p, l.Path) }) {
			file.Logs = append(file.Logs, l)
		}
	}
	var b bytes.Buffer
	b.WriteString("## Written by `" + agentName + " setup`. conf.yaml.example describes every option.\n#\n")
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(file), enc.Close()); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	return b.Bytes(), nil
}

// sources are the log sources of what is collected, with their services.
func (a Answers) sources() []setupLog {
	if a.Organization != "" {
		return []setupLog{{Source: "atlassian-event-logs", Service: "atlassian"}}
	}
	var out []setupLog
	for _, p := range a.Products {
		out = append(out, setupLog{Source: p.LogSource(), Service: string(p)})
	}
	return out
}

// Config is the configuration as the check would have it, the secret in place
// where it is known.
// The error is a *ConfigError. env.RunPath is the Agent's.
func (a Answers) Config(env Env) (*Config, error) {
	text, err := a.yaml(nil, true)
	if err != nil {
		return nil, err
	}
	env.Handles = a.Secret == ""
	ps := &problems{}
	instances, _ := parseFile(ps, text, env)
	if err := ps.err(); err != nil {
		return nil, err
	}
	return instances[0].Config, nil
}

// Neighbours are the other files of the folder in which a configuration is to
// be written. Followed are the paths that they let the Agent follow.
type Neighbours struct {
	Followed  []string
	instances []Instance
}

// ReadNeighbours reads what stands beside path. What cannot be read there is
// left to `validate`.
func ReadNeighbours(path string, env Env) Neighbours {
	var out Neighbours
	paths, err := configFiles(filepath.Dir(path))
	if err != nil {
		return out
	}
	env.Handles = true
	for _, p := range paths {
		if samePath(p, path) {
			continue
		}
		text, err := readConfigFile(p)
		if err != nil {
			continue
		}
		ps := &problems{file: filepath.Base(p), lines: true}
		instances, logs := parseFile(ps, text, env)
		if ps.err() == nil {
			out.instances = append(out.instances, instances...)
		}
		for _, l := range logs {
			if l.scalar("type") == "file" {
				out.Followed = append(out.Followed, l.scalar("path"))
			}
		}
	}
	return out
}

// Conflict is the problem where a neighbour collects the same.
func (n Neighbours) Conflict(c *Config, file string) error {
	mine := Instance{Where: file + ": instances[0]", Config: c}
	if found := shareOneSite(append(slices.Clone(n.instances), mine)); len(found) > 0 {
		return &ConfigError{Problems: found}
	}
	return nil
}

// ProbeInstance asks one real question about each product of an instance, and
// leaves nothing on this machine.
func ProbeInstance(ctx context.Context, c *Config, o Options) ([]Probe, error) {
	o = o.withDefaults()
	o.keepNoToken = true
	s, err := newSite(c, o, agent.Base(c.RunPath))
	if err != nil {
		return nil, err
	}
	defer s.client.Close()
	id := ""
	if c.Deployment == Cloud {
		if id, err = s.client.CloudID(ctx); err != nil {
			return nil, err
		}
	}
	return s.probe(ctx, c, id), nil
}

// Detect finds out what answers at an address, through the proxies of env.
func Detect(ctx context.Context, address string, env Env, o Options) (atlassian.Instance, error) {
	at, err := anyAddress(address)
	if err != nil {
		return atlassian.Instance{}, err
	}
	o = o.withDefaults()
	if o.Transport == nil {
		c, err := Parse(nil, []byte("site: example.atlassian.net\nauth: {type: api_token, email: a@b.c, api_token: none}"), env)
		if err != nil {
			return atlassian.Instance{}, err
		}
		t, err := newTransport(c)
		if err != nil {
			return atlassian.Instance{}, err
		}
		defer t.CloseIdleConnections()
		o.Transport = t
	}
	return atlassian.Detect(ctx, at, atlassian.Options{Transport: o.Transport, UserAgent: userAgent(o), Now: o.Now, RequestsPerSecond: o.RequestsPerSecond})
}
