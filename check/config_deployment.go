package check

import (
	"net"
	"net/url"
	"strings"

	"atlassian_audit_records/pkg/audit"
)

// Deployment is what kind of site an instance is about.
type Deployment string

// The kinds of site.
const (
	Cloud      Deployment = "cloud"
	DataCenter Deployment = "data_center"
	// Organisation is no site, but the log of an organisation; organization says so
	// in a configuration, and deployment never does.
	Organisation Deployment = "organization"
)

// authTypes are the types of credential that go with it.
func (d Deployment) authTypes() []AuthType {
	switch d {
	case DataCenter:
		return []AuthType{PersonalAccessToken, Basic}
	case Organisation:
		return []AuthType{OrganizationKey}
	}
	return authTypes
}

// deployment reads the kind of site; "" where it is one that this version does
// not know.
func (s *section) deployment() Deployment {
	if !s.given("deployment") {
		return Cloud
	}
	v, ok := s.str("deployment")
	if !ok {
		return ""
	}
	switch d := Deployment(v); d {
	case Cloud, DataCenter:
		return d
	}
	if near := nearest(v, []string{string(Cloud), string(DataCenter)}); near != "" {
		s.addf("deployment", "is %s: did you mean %s?", shown(v), near)
	} else {
		s.addf("deployment", "is %s: use cloud or data_center", shown(v))
	}
	return ""
}

// onlyDataCenter checks what is different on Data Center: each product is a
// program of its own, so an instance is about one, and there is no gateway.
func (s *section) onlyDataCenter(products []audit.Product) {
	switch {
	case !s.given("products"):
		s.addf("products", "is missing: on Data Center each product has an address of its own, so name the one at site, with products: [jira] or products: [confluence]")
	case len(products) > 1:
		s.addf("products", "names both products, and on Data Center each has an address of its own: name one, and give the other an instance of its own")
	}
	for _, key := range []string{"gateway", "auth_server"} {
		if s.given(key) {
			s.addf(key, "is for Atlassian Cloud, and Data Center has none: remove it")
		}
	}
}

// auditLogPath reads the folder of the audit log files, which need no credential.
func (s *section) auditLogPath(d Deployment) string {
	if !s.given("audit_log_path") {
		return ""
	}
	if d != DataCenter {
		s.addf("audit_log_path", "is for Data Center, whose nodes write audit log files: remove it, or set deployment: data_center")
		return ""
	}
	path, ok := s.absolute("audit_log_path")
	if !ok {
		return ""
	}
	if s.given("auth") {
		s.addf("audit_log_path", "is given together with auth, and one instance reads either the files or the API: remove auth to read the files, which miss nothing, or audit_log_path to read the API")
	}
	return path
}

// contextPath is what a context path may look like.
var contextPath = onDemand(`^(/[A-Za-z0-9._~-]+)*$`)

// pages are the beginnings of paths that are pasted from a browser, and belong to
// no base URL.
var pages = []string{"/secure", "/browse", "/projects", "/login.jsp", "/login.action", "/dashboard.action", "/display", "/pages", "/plugins", "/rest", "/admin", "/spaces"}

// dataCenterSite reads the base URL of a Data Center product.
func (s *section) dataCenterSite() *url.URL {
	u := s.address("site", "https://jira.example.com or https://example.com/jira")
	if u == nil {
		return nil
	}
	host := u.Hostname()
	if strings.HasSuffix(host, ".atlassian.net") && net.ParseIP(host) == nil {
		s.addf("site", "is a Cloud site: remove deployment: data_center")
		return nil
	}
	path := strings.TrimRight(u.Path, "/")
	for _, page := range pages {
		if i := strings.Index(path+"/", page+"/"); i >= 0 {
			s.addf("site", "must end after the context path: write %s://%s%s", u.Scheme, u.Host, path[:i])
			return nil
		}
	}
	if path != "" && !contextPath().MatchString(path) || u.RawPath != "" || strings.Contains(path+"/", "/../") || strings.Contains(path+"/", "/./") {
		s.addf("site", "has no valid context path after the host: write the product's base URL, as its general configuration shows it")
		return nil
	}
	u.Path = path
	return u
}
