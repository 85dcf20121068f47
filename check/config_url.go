package check

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// baseURL reads the address of something of Atlassian's, as scheme and host.
// The scheme may be left out (https), and one of paths may follow, or slashes.
// Messages quote the address only where it is a host.
func (s *section) baseURL(key string, paths ...string) *url.URL {
	u := s.address(key, "https://example.atlassian.net")
	if u == nil {
		return nil
	}
	if path := strings.TrimRight(u.Path, "/"); path != "" && !slices.Contains(paths, path) {
		s.addf(key, "must end after the host: write %s://%s", u.Scheme, u.Host)
		return nil
	}
	u.Path, u.RawPath = "", ""
	return u
}

// address reads a URL without credentials, query and fragment, its host in lower
// case and without the port that its scheme has anyway; example is for messages.
func (s *section) address(key, example string) *url.URL {
	v, ok := s.str(key)
	if !ok {
		return nil
	}
	v = strings.TrimSpace(v)
	if v == "" {
		s.addf(key, "is empty")
		return nil
	}
	if !strings.Contains(v, "://") {
		v = "https://" + v
	}
	u, err := url.Parse(v)
	if err != nil {
		s.addf(key, "is not a URL, such as %s", example)
		return nil
	}
	u.Scheme = strings.ToLower(u.Scheme)
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		s.addf(key, "must begin with https://")
		return nil
	case u.User != nil:
		s.addf(key, "must not hold a user name or password: credentials belong in auth")
		return nil
	case u.RawQuery != "" || u.ForceQuery:
		s.addf(key, "must not hold a query (from the ? on)")
		return nil
	case u.Fragment != "" || strings.Contains(v, "#"):
		s.addf(key, "must not hold a fragment (from the # on)")
		return nil
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	ip := net.ParseIP(host)
	if ip == nil && !isHostName(host) {
		s.addf(key, "has no valid host name: write it like %s", example)
		return nil
	}
	port := u.Port()
	if strings.HasSuffix(u.Host, ":") || port != "" && (!allDigits(port) || len(port) > 5) {
		s.addf(key, "has no valid port after the host")
		return nil
	}
	if u.Scheme == "http" && !isLoopback(host) {
		s.addf(key, "must begin with https://: over http:// everybody on the way to %s could read the credential", host)
		return nil
	}
	if u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		port = ""
	}
	return &url.URL{Scheme: u.Scheme, Host: joinHost(host, port), Path: u.Path, RawPath: u.RawPath}
}

func joinHost(host, port string) string {
	if port != "" {
		return net.JoinHostPort(host, port)
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// isLoopback reports whether host is this machine by its name or address; no
// name is looked up.
func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// site reads the site and catches what is pasted instead of one.
func (s *section) site() *url.URL {
	u := s.baseURL("site", "/wiki")
	if u == nil {
		return nil
	}
	switch host := u.Hostname(); {
	case isLoopback(host):
	case host == "atlassian.net" || host == "jira.com":
		s.addf("site", "lacks the name of your site: write it like https://example.atlassian.net")
		return nil
	case host == "api.atlassian.com" || host == "auth.atlassian.com" || host == "admin.atlassian.com" || host == "id.atlassian.com":
		s.addf("site", "is %s, which is the same for all customers: write the address of your site, like https://example.atlassian.net", host)
		return nil
	case !strings.Contains(host, ".") && net.ParseIP(host) == nil:
		s.addf("site", "is not a full host name: write it like https://%s.atlassian.net", host)
		return nil
	}
	return u
}

// anyAddress reads an address of Atlassian's that a person copied from a browser:
// scheme, host and path, of which the scheme may be left out.
func anyAddress(text string) (*url.URL, error) {
	text = strings.TrimSpace(text)
	if text != "" && !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		return nil, errors.New("this is not an address, such as https://example.atlassian.net")
	case u.User != nil:
		return nil, errors.New("the address must not hold a user name or password")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, errors.New("the address must begin with https://: over anything else the credential could be read on the way")
	case u.Port() == "" && !strings.Contains(u.Hostname(), ".") && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("this is not a full host name: write it like https://%s.atlassian.net", u.Hostname())
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host), Path: u.Path}, nil
}
