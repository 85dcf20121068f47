package shared

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Config is which store, and how to get in.
type Config struct {
	// URL is etcd://host:port[,host:port…]/prefix or kubernetes://namespace/name.
	URL string `json:"url"`
	// Username and Password are the store's own; empty where it wants none.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	// CACert, Cert and PrivateKey are paths of PEM files; empty where they are not
	// needed. SkipVerify takes any certificate for the store's.
	CACert     string `json:"ca_cert,omitempty"`
	Cert       string `json:"cert,omitempty"`
	PrivateKey string `json:"private_key,omitempty"`
	SkipVerify bool   `json:"skip_verify,omitempty"`
	// Kubeconfig is the path of the file that says how to get into a Kubernetes; empty
	// in a pod of it, and for another store. Nothing but the URL goes with it.
	Kubeconfig string `json:"kubeconfig,omitempty"`
}

// Etcd is what the URL of an etcd says.
type Etcd struct {
	// Endpoints are host:port, at least one; Prefix begins and ends with a slash.
	Endpoints []string
	Prefix    string
	// TLS tells that the connection is encrypted. It is not where every endpoint is
	// this machine and nothing was said of certificates.
	TLS bool
}

// defaultPrefix stands before all keys where the URL says none.
const defaultPrefix = "/atlassian_audit_records/"

// Etcd reads the URL. What is wrong with it is said without the URL, which may hold
// a password where nobody should put one.
func (c Config) Etcd() (e Etcd, err error) {
	rest, ok := strings.CutPrefix(c.URL, "etcd://")
	if !ok {
		return e, errors.New("must begin with etcd://")
	}
	hosts, path, _ := strings.Cut(rest, "/")
	switch {
	case strings.ContainsAny(rest, "?#"):
		return e, errors.New("must not hold a query or a fragment (from the ? or # on)")
	case strings.Contains(hosts, "@"):
		return e, errors.New("must not hold a user name or password: they have options of their own, state_username and state_password")
	}
	for host := range strings.SplitSeq(hosts, ",") {
		name, port, err := net.SplitHostPort(host)
		if err != nil {
			name, port = strings.Trim(host, "[]"), "2379"
		}
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 || net.ParseIP(name) == nil && strings.Trim(strings.ToLower(name), hostLetters) != "" || name == "" {
			return e, errors.New("must name its hosts like etcd://etcd-1.example.com:2379,etcd-2.example.com:2379/prefix")
		}
		e.Endpoints = append(e.Endpoints, net.JoinHostPort(strings.ToLower(name), port))
		e.TLS = e.TLS || !isLoopback(name)
	}
	e.TLS = e.TLS || c.CACert != "" || c.Cert != ""
	e.Prefix = defaultPrefix
	if path = strings.Trim(path, "/"); path != "" {
		if !ValidKey(path) {
			return e, errors.New("must have a prefix of letters, digits, and .-_/ after its hosts")
		}
		e.Prefix = "/" + path + "/"
	}
	return e, nil
}

// hostLetters are those of the names of hosts.
const hostLetters = "abcdefghijklmnopqrstuvwxyz0123456789.-_"

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Kubernetes is what the URL of a Kubernetes says.
type Kubernetes struct {
	Namespace string
	// Name is what the names of all objects begin with.
	Name string
}

// defaultName is the name where the URL says none.
const defaultName = "atlassian-audit-records"

const kubernetesScheme = "kubernetes://"

// IsKubernetes reports whether the URL names a Kubernetes.
func (c Config) IsKubernetes() bool { return strings.HasPrefix(c.URL, kubernetesScheme) }

// Kubernetes reads the URL.
func (c Config) Kubernetes() (k Kubernetes, err error) {
	rest, ok := strings.CutPrefix(c.URL, kubernetesScheme)
	if !ok {
		return k, errors.New("must begin with " + kubernetesScheme)
	}
	namespace, name, _ := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	if name == "" {
		name = defaultName
	}
	if !isLabel(namespace) || !isLabel(name) {
		return k, errors.New("must name a namespace and a name of small letters, digits and hyphens, like kubernetes://atlassian-audit-records/fleet")
	}
	return Kubernetes{namespace, name}, nil
}

// isLabel reports whether s is one label of a name in DNS, as RFC 1123 has it.
func isLabel(s string) bool {
	return s != "" && len(s) <= 63 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && s[0] != '-' && s[len(s)-1] != '-'
}

// Name is the store for people: its URL, which Check has seen to hold no secret.
func (c Config) Name() string {
	if e, err := c.Etcd(); err == nil {
		return fmt.Sprintf("etcd (%s, %s)", strings.Join(e.Endpoints, ", "), strings.TrimSuffix(e.Prefix, "/"))
	}
	if k, err := c.Kubernetes(); err == nil {
		return fmt.Sprintf("Kubernetes (namespace %s, %s)", k.Namespace, k.Name)
	}
	if u, err := url.Parse(c.URL); err == nil {
		return u.Redacted()
	}
	return "the shared state"
}

// Check says what is wrong with the URL; nil for nothing.
func (c Config) Check() error {
	var err error
	switch {
	case c.IsKubernetes():
		_, err = c.Kubernetes()
	case strings.HasPrefix(c.URL, "etcd://"):
		_, err = c.Etcd()
	default:
		err = errors.New("must begin with etcd:// or kubernetes://, or be left out, so that state lies in files under run_path")
	}
	return err
}
