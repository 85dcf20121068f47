package atlassian

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// proxyFunc chooses the proxy of a request.
func proxyFunc(o TransportOptions) (func(*http.Request) (*url.URL, error), error) {
	plain, err := parseProxy("http", o.ProxyHTTP)
	if err != nil {
		return nil, err
	}
	secure, err := parseProxy("https", o.ProxyHTTPS)
	if err != nil {
		return nil, err
	}
	if plain == nil && secure == nil {
		return nil, nil
	}
	return func(r *http.Request) (*url.URL, error) {
		proxy := plain
		if r.URL.Scheme == "https" {
			proxy = secure
		}
		if proxy == nil || bypass(r.URL, o.NoProxy) {
			return nil, nil
		}
		return proxy, nil
	}, nil
}

// parseProxy reads a proxy's URL. Its errors do not show the URL, which may
// hold a password.
func parseProxy(key, text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("proxy.%s is not a URL", key)
	}
	switch {
	case u.Hostname() == "":
		return nil, fmt.Errorf("proxy.%s has no host", key)
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" && u.Scheme != "socks5h":
		return nil, fmt.Errorf("proxy.%s has the scheme %q: use http, https, socks5 or socks5h", key, u.Scheme)
	}
	return u, nil
}

// bypass reports whether a URL is reached without a proxy, by the rules of the
// Agent's checks (datadog_checks_base, utils/http.py): "*" is everything; an
// address or a network in CIDR form is the hosts in it; "example.com" is that
// host and all below it; ".example.com" and "*.example.com" are only those
// below it. The Agent itself compares host and port as they stand in the URL,
// which is accepted as well. Loopback gets no exception, as in the Agent.
func bypass(u *url.URL, noProxy []string) bool {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	addr, addrErr := netip.ParseAddr(host)
	for _, entry := range noProxy {
		entry = strings.ToLower(strings.TrimSpace(entry))
		switch {
		case entry == "":
			continue
		case entry == "*" || entry == strings.ToLower(u.Host):
			return true
		}
		if prefix, ok := parseNetwork(entry); ok {
			if addrErr == nil && prefix.Contains(addr.Unmap()) {
				return true
			}
			continue
		}
		below := "." + strings.TrimPrefix(strings.TrimPrefix(entry, "*"), ".")
		if host == entry || strings.HasSuffix(host, below) {
			return true
		}
	}
	return false
}

func parseNetwork(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), true
	}
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	return netip.Prefix{}, false
}
