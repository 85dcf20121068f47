package check

import (
	"net/url"
	"strings"

	"atlassian_audit_records/pkg/auth"
)

// Proxy is how Atlassian is reached. The URLs may hold a password, and print
// as asterisks.
type Proxy struct {
	// HTTP and HTTPS are the proxies for http:// and https:// addresses, with
	// their scheme; empty means none.
	HTTP  auth.Secret `json:"http,omitempty"`
	HTTPS auth.Secret `json:"https,omitempty"`
	// NoProxy lists what is reached directly.
	NoProxy []string `json:"no_proxy,omitempty"`
	// Source says whose settings these are: "instance", "init_config",
	// "agent", "environment", or empty where there is no proxy.
	Source string `json:"source,omitempty"`
}

// IsZero reports whether nothing is proxied.
func (p Proxy) IsZero() bool { return p.HTTP == "" && p.HTTPS == "" }

// secrets are the passwords within the URLs.
func (p Proxy) secrets() []string {
	var out []string
	for _, v := range []auth.Secret{p.HTTP, p.HTTPS} {
		u, err := url.Parse(v.Reveal())
		if err != nil || u.User == nil {
			continue
		}
		if password, ok := u.User.Password(); ok && password != "" {
			out = append(out, password, url.QueryEscape(password), u.User.String())
		}
	}
	return out
}

// proxy reads the section of that name; given is false where there is none.
func (s *section) proxy(source string) (p Proxy, given bool) {
	f, ok := s.fields["proxy"]
	if !ok || f.null() {
		return Proxy{}, false
	}
	ps := newSection(s.ps, f.value, s.at("proxy"), proxySection, s.handles)
	p = Proxy{HTTP: ps.proxyURL("http"), HTTPS: ps.proxyURL("https"), NoProxy: ps.noProxy(), Source: source}
	if p.IsZero() {
		p = Proxy{}
	}
	return p, true
}

func (s *section) proxyURL(key string) auth.Secret {
	v, ok := s.str(key)
	if !ok || v == "" {
		return ""
	}
	out, reason := proxyURL(v)
	if reason != "" {
		s.addf(key, "%s", reason)
	}
	return out
}

// proxyURL puts the scheme before a proxy's address that has none, as every
// HTTP client does. A reason never quotes the address.
func proxyURL(v string) (out auth.Secret, reason string) {
	v = strings.TrimSpace(v)
	if v == "" {
		return "", ""
	}
	if !strings.Contains(v, "://") {
		v = "http://" + v
	}
	u, err := url.Parse(v)
	if err != nil || u.Hostname() == "" {
		return "", "is not the URL of a proxy, like http://proxy.example.com:3128 (a user name or password with special characters must be percent-encoded)"
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https", "socks5", "socks5h":
	default:
		return "", "must begin with http://, https://, socks5:// or socks5h://"
	}
	u.Scheme = strings.ToLower(u.Scheme)
	return auth.Secret(u.String()), ""
}

// noProxy is a list, or one text with commas, as in the environment.
func (s *section) noProxy() []string {
	if v, ok := s.fields["no_proxy"]; ok && !v.null() && described(v.value) == "text" {
		text, _ := s.str("no_proxy")
		return splitNoProxy(text)
	}
	values, _ := s.list("no_proxy")
	var out []string
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

func splitNoProxy(v string) []string {
	return strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ';' || r == ' ' })
}

// effectiveProxy is the first that is given of the instance's, init_config's,
// the Agent's and the environment's.
func effectiveProxy(init, instance *section, env Env) Proxy {
	ofInit, initGiven := init.proxy("init_config")
	ofInstance, instanceGiven := instance.proxy("instance")
	if instance.boolean("skip_proxy", init.boolean("skip_proxy", false)) {
		return Proxy{}
	}
	switch {
	case instanceGiven:
		return ofInstance
	case initGiven:
		return ofInit
	}
	if p := readProxy(instance.ps, "the Agent's proxy", "agent", env.Proxy.HTTP.Reveal(), env.Proxy.HTTPS.Reveal(), env.Proxy.NoProxy); !p.IsZero() {
		return p
	}
	p := readProxy(instance.ps, "the environment's proxy", "environment",
		env.lookup("HTTP_PROXY", "http_proxy"), env.lookup("HTTPS_PROXY", "https_proxy"), splitNoProxy(env.lookup("NO_PROXY", "no_proxy")))
	if !p.IsZero() {
		// By convention the environment's proxy is not asked for this machine.
		p.NoProxy = append(p.NoProxy, "localhost", "127.0.0.0/8", "::1")
	}
	return p
}

func readProxy(ps *problems, name, source, plain, secure string, noProxy []string) Proxy {
	p := Proxy{NoProxy: noProxy, Source: source}
	var reason string
	if p.HTTP, reason = proxyURL(plain); reason != "" {
		ps.add(0, name+" for http", "%s", reason)
	}
	if p.HTTPS, reason = proxyURL(secure); reason != "" {
		ps.add(0, name+" for https", "%s", reason)
	}
	if p.IsZero() {
		return Proxy{}
	}
	return p
}
