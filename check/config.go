package check

import (
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"atlassian_audit_records/pkg/agent"
	"atlassian_audit_records/pkg/audit"
)

// Defaults of the options, as conf.yaml.example states them.
const (
	DefaultInitialLookback   = 24 * time.Hour
	DefaultLookback          = 15 * time.Minute
	DefaultReconcileWindow   = 48 * time.Hour
	DefaultReconcileInterval = 6 * time.Hour
	// DefaultInterval is the Agent's own for every check.
	DefaultInterval           = 15 * time.Second
	DefaultTimeout            = 30 * time.Second
	DefaultSpoolMaxSize int64 = 1 << 30
	DefaultSpoolMinFree int64 = 256 << 20
	DefaultGateway            = "https://api.atlassian.com"
	DefaultAuthServer         = "https://auth.atlassian.com"
)

// renewInterval is the longest interval at which a lost answer is noticed in
// time, half of Atlassian's leeway: see auth.OAuth.
const renewInterval = 5 * time.Minute

// Config is one instance, complete: defaults are filled in, init_config is
// merged in, and everything has been checked that can be without a request.
type Config struct {
	// Deployment is what kind of site it is.
	Deployment Deployment
	// Site is the scheme and host of the site and, on Data Center, the context
	// path, without a slash at its end.
	Site *url.URL
	// Organization is the id of the organisation whose log is collected, in lower
	// case; empty for a site. Where it is not, Site is nil.
	Organization string
	// Products are what is collected, in the order of audit's constants.
	Products []audit.Product
	Auth     Auth

	// AuditLogPath is the folder of the audit log files that are read in place of
	// the API; empty for the API. It takes no credential.
	AuditLogPath string

	// InitialLookback is how far back the first run reaches.
	InitialLookback time.Duration
	// Lookback is what every run reads again, ReconcileWindow what is read
	// again each ReconcileInterval.
	Lookback          time.Duration
	ReconcileWindow   time.Duration
	ReconcileInterval time.Duration
	// Interval is the time between two runs (min_collection_interval).
	Interval time.Duration
	// Timeout bounds one request.
	Timeout time.Duration

	// ResolveUsers says that people are to have names and e-mail addresses.
	ResolveUsers bool
	// Redact is what is taken out of records.
	Redact Redact
	// Tags are the instance's, as written.
	Tags []string
	// Service is empty where each product has its default.
	Service string
	// EmptyDefaultHostname says that metrics are to carry no host name.
	EmptyDefaultHostname bool
	// ServiceChecks is false where none are wanted.
	ServiceChecks bool

	Proxy Proxy
	TLS   TLS
	// Gateway and AuthServer are scheme and host.
	Gateway    *url.URL
	AuthServer *url.URL

	// RunPath is the folder under which atlassian_audit_records/ lies:
	// init_config's, or else Env's; empty where neither says.
	RunPath string
	// ProgramPath is the program that the adapter starts; empty where the adapter
	// looks for it.
	ProgramPath string `json:",omitempty"`
	// SpoolMaxSize is how much the spool may hold, SpoolMinFree how much is to be
	// free on its disk, in bytes.
	SpoolMaxSize int64
	SpoolMinFree int64

	// Shared is the store through which machines share the sites; nil where state
	// lies in files under RunPath.
	Shared *Shared `json:",omitempty"`

	// Warnings are what the operator should know of and nothing fails for.
	Warnings []Problem
}

// Host is the site's host in lower case, with its port where it has one; of an
// organisation, its id. It is what the instance is called, by people and on disk.
func (c *Config) Host() string {
	if c.Organization != "" {
		return c.Organization
	}
	if c.Site == nil {
		return ""
	}
	return c.Site.Host
}

// Path is the context path below which a Data Center product lies, "/jira";
// empty where there is none.
func (c *Config) Path() string {
	if c.Site == nil {
		return ""
	}
	return c.Site.Path
}

// Name is how sentences call the site: its host, and its context path.
func (c *Config) Name() string { return c.Host() + c.Path() }

// Matches reports whether the instance is one of those whose site, or whose
// organisation, contains the text.
func (c *Config) Matches(text string) bool {
	if c.Site != nil {
		return strings.Contains(c.Site.String(), text)
	}
	return strings.Contains(c.Host(), text)
}

// asked is where Atlassian is asked about the instance first: at the site, or at
// the gateway about an organisation; nil where that is not known.
func (c *Config) asked() *url.URL {
	if c.Organization != "" {
		return c.Gateway
	}
	return c.Site
}

// siteHost is the host that is asked about the instance: the site's, or the
// gateway's for an organisation.
func (c *Config) siteHost() string {
	if c.Organization != "" && c.Gateway != nil {
		return c.Gateway.Host
	}
	return c.Host()
}

// stream names what is collected of a product. cloudID is the site's.
func (c *Config) stream(p audit.Product, cloudID string) audit.Stream {
	return audit.Stream{Site: c.siteHost(), Path: c.Path(), Organization: c.Organization, CloudID: cloudID, Product: p}
}

// Secrets are the values that must not appear in any output, for redaction.
func (c *Config) Secrets() []string {
	out := append(c.Auth.secrets(), c.Proxy.secrets()...)
	if p := c.Redact.Passphrase.Reveal(); p != "" {
		out = append(out, p)
	}
	if c.Shared != nil && c.Shared.Password != "" {
		out = append(out, c.Shared.Password.Reveal())
	}
	return out
}

// Env is what a configuration depends on besides its text. The zero value
// stands for no Agent and no environment; files are read from the disk.
type Env struct {
	// RunPath is the Agent's, or the platform's default.
	RunPath string
	// Proxy is the Agent's; only HTTP, HTTPS and NoProxy are read.
	Proxy Proxy
	// Getenv reads the environment, for its proxy variables; nil reads none.
	Getenv func(string) string
	// ReadFile reads a PEM file; nil is os.ReadFile.
	ReadFile func(path string) ([]byte, error)
	// ReadSecret reads a client_secret_file and judges who else may; its errors
	// name the file. Nil is agent.ReadSecretFile.
	ReadSecret func(path string) ([]byte, error)
	// Handles accepts ENC[…] where a text is expected, for a file that no Agent
	// has read yet. Such an option is left empty.
	Handles bool
}

func (e Env) lookup(names ...string) string {
	for _, name := range names {
		if e.Getenv == nil {
			break
		}
		if v := e.Getenv(name); v != "" {
			return v
		}
	}
	return ""
}

func (e Env) readFile(path string) ([]byte, error) {
	if e.ReadFile == nil {
		return os.ReadFile(path)
	}
	return e.ReadFile(path)
}

func (e Env) readSecret(path string) ([]byte, error) {
	if e.ReadSecret == nil {
		return agent.ReadSecretFile(path)
	}
	return e.ReadSecret(path)
}

// Parse reads the two texts that the Agent hands to a check, each a YAML (or
// JSON) mapping. The error is a *ConfigError with every problem of both.
func Parse(initConfig, instance []byte, env Env) (*Config, error) {
	ps := &problems{}
	initNode := document(ps, initConfig, "init_config")
	instanceNode := document(ps, instance, "instance")
	if len(ps.list) > 0 {
		return nil, ps.err()
	}
	init := newSection(ps, initNode, "init_config", initSection, env.Handles)
	common := ps.init(init, env)
	c := parseInstance(init, common, instanceNode, "instance", env)
	if err := ps.err(); err != nil {
		return nil, err
	}
	c.Warnings = ps.warnings
	return c, nil
}

// common is what init_config says for all instances.
type common struct {
	runPath       string
	programPath   string
	spoolMaxSize  int64
	spoolMinFree  int64
	service       string
	serviceChecks bool
	timeout       time.Duration
	state         *Shared
}

// init reads init_config, except for the proxy, which effectiveProxy reads
// beside the instance's.
func (ps *problems) init(s *section, env Env) common {
	out := common{
		runPath:       env.RunPath,
		spoolMaxSize:  s.size("spool_max_size", DefaultSpoolMaxSize, 16<<20, 1<<40),
		spoolMinFree:  s.size("spool_min_free", DefaultSpoolMinFree, 1<<20, 1<<40),
		service:       s.service(""),
		serviceChecks: s.boolean("service_checks", true),
		timeout:       s.timeout(DefaultTimeout),
	}
	if path, ok := s.absolute("run_path"); ok {
		out.runPath = path
	}
	out.programPath, _ = s.absolute("program_path")
	out.state = s.shared(env)
	if s.given("min_collection_interval") {
		s.warnf("min_collection_interval", "is not read here, neither by the Agent: put it into each instance")
	}
	return out
}

// parseInstance reads one instance; it is of use only when no problem was added.
func parseInstance(init *section, sh common, node *yaml.Node, path string, env Env) *Config {
	ps := init.ps
	if node == nil || (field{value: node}).null() {
		line := 0
		if node != nil {
			line = node.Line
		}
		ps.add(line, path, "is empty: give at least site and auth")
		return &Config{}
	}
	s := newSection(ps, node, path, instanceSection, env.Handles)
	if node.Kind != yaml.MappingNode {
		return &Config{}
	}
	c := &Config{
		InitialLookback:      s.duration("initial_lookback", DefaultInitialLookback, time.Minute, 365*day),
		Lookback:             s.duration("lookback", DefaultLookback, time.Minute, day),
		ReconcileWindow:      s.duration("reconcile_window", DefaultReconcileWindow, time.Hour, 30*day),
		ReconcileInterval:    s.duration("reconcile_interval", DefaultReconcileInterval, 10*time.Minute, 7*day),
		Interval:             s.wholeSeconds("min_collection_interval", DefaultInterval, time.Second, day),
		Timeout:              s.timeout(sh.timeout),
		Tags:                 s.tags(),
		Service:              s.service(sh.service),
		EmptyDefaultHostname: s.boolean("empty_default_hostname", false),
		ServiceChecks:        s.boolean("service_checks", sh.serviceChecks),
		Proxy:                effectiveProxy(init, s, env),
		TLS:                  s.tls(env),
		Gateway:              s.serverURL("gateway", DefaultGateway),
		AuthServer:           s.serverURL("auth_server", DefaultAuthServer),
		RunPath:              sh.runPath,
		ProgramPath:          sh.programPath,
		SpoolMaxSize:         sh.spoolMaxSize,
		SpoolMinFree:         sh.spoolMinFree,
		Shared:               sh.state,
	}
	if c.ReconcileWindow < c.Lookback {
		s.addf("reconcile_window", "is shorter than lookback (%s): a reconcile reads again what every run does, and more", spanned(c.Lookback))
	}
	if s.given("organization") {
		s.organization(c, env)
		return c
	}
	c.Deployment = s.deployment()
	if c.Deployment == "" {
		return c
	}
	switch {
	case s.given("site") && c.Deployment == DataCenter:
		c.Site = s.dataCenterSite()
	case s.given("site"):
		c.Site = s.site()
	case !s.isHandle("site") && c.Deployment == DataCenter:
		s.addf("site", "is missing: write the product's base URL, like https://jira.example.com or https://example.com/jira")
	case !s.isHandle("site") && !s.isHandle("organization"):
		s.addf("site", "is missing: write the address of your Cloud site, like https://example.atlassian.net")
	}
	c.Products = s.products()
	c.AuditLogPath = s.auditLogPath(c.Deployment)
	if c.Deployment == DataCenter {
		s.onlyDataCenter(c.Products)
	}
	if c.Deployment == Cloud || !s.given("audit_log_path") {
		c.Auth = s.auth(env, c.Deployment)
	}
	c.Redact = s.redact()
	if c.ResolveUsers = s.boolean("resolve_users", false); c.ResolveUsers && c.Deployment == DataCenter {
		s.addf("resolve_users", "is for Jira Cloud: Data Center's records name people themselves")
	} else if c.ResolveUsers && len(c.Products) > 0 && !slices.Contains(c.Products, audit.Jira) {
		s.addf("resolve_users", "asks Jira, which is not among the products: add jira, or leave it out (Confluence's records name people themselves)")
	}
	if c.Auth.Type == OAuth && c.Interval > renewInterval {
		s.warnf("min_collection_interval", "is longer than %s: where the answer to a renewal of the consent's tokens is lost, it can be had again for ten minutes only, and then a person has to consent anew",
			spanned(renewInterval))
	}
	return c
}

func (s *section) timeout(byDefault time.Duration) time.Duration {
	return s.seconds("timeout", byDefault, time.Second, 300*time.Second)
}

func (s *section) serverURL(key, byDefault string) *url.URL {
	if s.given(key) {
		return s.baseURL(key)
	}
	u, _ := url.Parse(byDefault) // a constant
	return u
}

// service reads the name under which logs are filed.
func (s *section) service(byDefault string) string {
	v, ok := s.str("service")
	if !ok || v == "" {
		return byDefault
	}
	if strings.TrimSpace(v) != v || strings.ContainsAny(v, "\r\n\t") || len(v) > 100 {
		s.addf("service", "must be a name of at most 100 characters, without white space at its ends or line breaks")
		return byDefault
	}
	return v
}

// tags reads the list; a comma would become two tags in a log's ddtags.
func (s *section) tags() []string {
	values, lines := s.list("tags")
	var out []string
	for i, v := range values {
		at := s.at("tags") + "[" + strconv.Itoa(i) + "]"
		switch {
		case strings.TrimSpace(v) == "":
			s.ps.add(lines[i], at, "is empty: remove it")
		case strings.TrimSpace(v) != v || strings.ContainsAny(v, ",\r\n"):
			s.ps.add(lines[i], at, "must not hold commas, line breaks or white space at its ends: write one tag an entry, like team:security")
		case hasPlaceholder(v):
			s.ps.add(lines[i], at, "is still the placeholder of the example: put the real value in its place")
		default:
			out = append(out, v)
		}
	}
	return out
}

// products reads what to collect, both by default.
func (s *section) products() []audit.Product {
	all := []audit.Product{audit.Jira, audit.Confluence}
	if !s.given("products") {
		return all
	}
	values, lines := s.list("products")
	var wanted []audit.Product
	before := len(s.ps.list)
	for i, v := range values {
		at := s.at("products") + "[" + strconv.Itoa(i) + "]"
		p := audit.Product(v)
		switch {
		case !slices.Contains(all, p):
			if near := nearest(v, []string{"jira", "confluence"}); near != "" {
				s.ps.add(lines[i], at, "is %s: did you mean %s?", shown(v), near)
			} else {
				s.ps.add(lines[i], at, "is %s: this version collects jira and confluence", shown(v))
			}
		case slices.Contains(wanted, p):
			s.ps.add(lines[i], at, "names %s a second time: remove it", p)
		default:
			wanted = append(wanted, p)
		}
	}
	if len(values) == 0 && s.fields["products"].value.Kind == yaml.SequenceNode && len(s.ps.list) == before {
		s.addf("products", "is an empty list: leave it out to collect jira and confluence")
	}
	var out []audit.Product
	for _, p := range all {
		if slices.Contains(wanted, p) {
			out = append(out, p)
		}
	}
	return out
}
