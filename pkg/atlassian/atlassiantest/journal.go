package atlassiantest

import (
	"net/http"
	"strings"
	"time"
)

// Route is the host for which a request was meant.
type Route string

// The routes.
const (
	RouteSite    Route = "site"
	RouteGateway Route = "gateway"
	RouteAuth    Route = "auth"
)

// Kind is what a request asked for.
type Kind string

// The kinds of request.
const (
	KindAudit       Kind = "audit"       // Jira's auditing/record, Confluence's audit, the organisation's events-stream
	KindAuditSince  Kind = "audit_since" // Confluence's audit/since
	KindRetention   Kind = "retention"   // Confluence's audit/retention
	KindPermissions Kind = "permissions" // Jira's mypermissions
	KindUsers       Kind = "users"       // Jira's user/bulk
	KindTenantInfo  Kind = "tenant_info" // the site's cloudId
	KindResources   Kind = "resources"   // the sites that a bearer token reaches
	KindToken       Kind = "token"       // the authorisation server's token endpoint
	KindAuthorize   Kind = "authorize"   // the page on which a person consents
	KindServerInfo  Kind = "server_info" // what a Data Center is, told to anybody
	KindLogin       Kind = "login"       // the page that people sign in on
	KindOther       Kind = "other"       // anything else: 404 or 501
)

// AuthKind is the kind of Authorization header a request carried.
type AuthKind string

// The kinds of Authorization header.
const (
	AuthNone   AuthKind = "none"
	AuthBasic  AuthKind = "basic"
	AuthBearer AuthKind = "bearer"
	AuthOther  AuthKind = "other"
)

// RequestInfo is what is remembered of a request. No credential is.
type RequestInfo struct {
	// N counts the server's requests from 1.
	N int
	// Time is the server's clock at the request's arrival.
	Time time.Time
	// Method, Host, Path and RawQuery are the request's.
	Method, Host, Path, RawQuery string
	Route                        Route
	// Product is "" for requests that concern none.
	Product string
	Kind    Kind
	// Version is the REST API's version where the path names one: "3" or "2".
	Version string
	// Auth is the kind of Authorization header that came.
	Auth AuthKind
	// AuthRight is true where that header is good for this route.
	AuthRight bool
	// Faults names the faults that struck.
	Faults []string
	// Status is what was answered; 0 where nothing was (yet).
	Status int
	// Records is the number of records in the answer.
	Records int

	cloudID, organization string // from the gateway's path
}

// Audit tells whether the request asked for audit records.
func (i RequestInfo) Audit() bool { return i.Kind == KindAudit || i.Kind == KindAuditSince }

// identify tells what a request is about from its method and path.
func (s *Server) identify(r *http.Request) RequestInfo {
	i := RequestInfo{
		Method: r.Method, Host: r.Host, Path: r.URL.Path, RawQuery: r.URL.RawQuery,
		Route: RouteSite, Kind: KindOther, Auth: authKind(r),
	}
	path := i.Path
	if s.o.DataCenter != nil {
		s.o.DataCenter.identify(&i)
		return i
	}
	switch path {
	case "/oauth/token":
		i.Route, i.Kind = RouteAuth, KindToken
		return i
	case "/authorize":
		i.Route, i.Kind = RouteAuth, KindAuthorize
		return i
	case "/oauth/token/accessible-resources":
		i.Route, i.Kind = RouteGateway, KindResources
		return i
	case "/_edge/tenant_info":
		i.Kind = KindTenantInfo
		return i
	case "/login":
		i.Kind = KindLogin
		return i
	}
	if rest, ok := strings.CutPrefix(path, adminPrefix); ok {
		i.Route, i.Product = RouteGateway, Organization
		i.organization, rest, _ = strings.Cut(rest, "/")
		if rest == "events-stream" {
			i.Kind = KindAudit
		}
		return i
	}
	if rest, ok := strings.CutPrefix(path, "/ex/"); ok {
		i.Route = RouteGateway
		product, rest, _ := strings.Cut(rest, "/")
		cloudID, rest, _ := strings.Cut(rest, "/")
		i.cloudID = cloudID
		i.identifyAPI("/" + rest)
		if i.Product != product { // the other product's path behind this prefix
			i.Product, i.Kind, i.Version = product, KindOther, ""
			if product != Jira && product != Confluence {
				i.Product = ""
			}
		}
		return i
	}
	i.identifyAPI(path)
	return i
}

func (i *RequestInfo) identifyAPI(path string) {
	for _, version := range []string{"3", "2"} {
		switch path {
		case "/rest/api/" + version + "/auditing/record":
			i.Product, i.Kind, i.Version = Jira, KindAudit, version
		case "/rest/api/" + version + "/mypermissions":
			i.Product, i.Kind, i.Version = Jira, KindPermissions, version
		case "/rest/api/" + version + "/user/bulk":
			i.Product, i.Kind, i.Version = Jira, KindUsers, version
		}
	}
	switch path {
	case "/wiki/rest/api/audit":
		i.Product, i.Kind = Confluence, KindAudit
	case "/wiki/rest/api/audit/since":
		i.Product, i.Kind = Confluence, KindAuditSince
	case "/wiki/rest/api/audit/retention":
		i.Product, i.Kind = Confluence, KindRetention
	case "/wiki/rest/api/audit/export":
		i.Product = Confluence
	}
}

type countKey struct {
	kind    Kind
	product string
}

// journal remembers the latest requests and counts all of them.
type journal struct {
	ring   []RequestInfo
	size   int
	n      int // requests begun
	kept   int // entries ever kept
	counts map[countKey]int
}

func newJournal(size int) journal { return journal{size: size, counts: map[countKey]int{}} }

// begin numbers a request and counts it.
func (s *Server) begin(i *RequestInfo) []func(RequestInfo) {
	i.Time = s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal.n++
	i.N = s.journal.n
	s.journal.counts[countKey{i.Kind, i.Product}]++
	return s.hooks
}

// keep remembers a request once its answer is known, before the client can
// have read it.
func (s *Server) keep(i RequestInfo) {
	s.mu.Lock()
	j := &s.journal
	if len(j.ring) < j.size {
		j.ring = append(j.ring, i)
	} else {
		j.ring[j.kept%j.size] = i
	}
	j.kept++
	hooks := s.answers
	s.mu.Unlock()
	for _, hook := range hooks {
		hook(i)
	}
}

// Requests are the latest requests, oldest first, in the order in which their
// answers were ready. Options.LogSize bounds their number.
func (s *Server) Requests() []RequestInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := &s.journal
	if len(j.ring) < j.size {
		return append([]RequestInfo(nil), j.ring...)
	}
	cut := j.kept % j.size
	return append(append([]RequestInfo(nil), j.ring[cut:]...), j.ring[:cut]...)
}

// Count is the number of requests of a kind that ever came, of the products
// named or, with none named, of all.
func (s *Server) Count(kind Kind, products ...string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for k, c := range s.journal.counts {
		if k.kind != kind {
			continue
		}
		if len(products) == 0 {
			n += c
		}
		for _, p := range products {
			if p == k.product {
				n += c
			}
		}
	}
	return n
}

// ForgetRequests empties the log and sets every count to 0. The numbering of
// requests goes on.
func (s *Server) ForgetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.journal.n
	s.journal = newJournal(s.journal.size)
	s.journal.n = n
}
