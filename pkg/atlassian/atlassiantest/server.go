package atlassiantest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// What the credentials, the site and its id are when Options do not say. None
// of them is good for anything but this server.
const (
	DefaultSiteURL      = "https://example.atlassian.net"
	DefaultCloudID      = "11223344-a1b2-4c33-8d44-5566778899aa"
	DefaultEmail        = "audit@example.com"
	DefaultClassicToken = "simulated-classic-api-token"
	DefaultScopedToken  = "simulated-scoped-api-token"
	DefaultServiceToken = "simulated-service-account-api-token"
	DefaultClientID     = "simulated-client-id"
	DefaultClientSecret = "simulated-client-secret"
	DefaultAppID        = "simulated-app-id"
	DefaultAppSecret    = "simulated-app-secret"
	DefaultUsername     = "audit"
	DefaultPassword     = "simulated-password"
	DefaultPersonal     = "simulated-personal-access-token"

	DefaultOrganizationID  = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
	DefaultOrganizationKey = "simulated-organization-api-key"
)

// Options describe a server. The zero value is complete.
type Options struct {
	// Seed decides everything random.
	Seed uint64
	// Now is the server's clock; time.Now by default. Pauses (Quirks.Latency,
	// Slow) pass in real time all the same.
	Now func() time.Time
	// SiteURL is the site's origin as the gateway names it in bodies. By default
	// what Listen returned, else DefaultSiteURL.
	SiteURL string
	// CloudID is the site's id.
	CloudID string
	// Email is the account to which ClassicToken and ScopedToken belong.
	Email string
	// ClassicToken is an API token without scopes: good for the site's host.
	ClassicToken string
	// ScopedToken is an API token with scopes: good for the gateway.
	ScopedToken string
	// ServiceToken is a service account's API token: good for the gateway, as a
	// bearer token.
	ServiceToken string
	// ClientID and ClientSecret are a service account's OAuth 2.0 credential.
	ClientID, ClientSecret string
	// AppID and AppSecret are an app's that acts with a person's consent (3LO).
	AppID, AppSecret string
	// OrganizationID is the id of the organisation to which the site belongs, and
	// OrganizationKey an API key of it: good for its log alone, as a bearer token.
	OrganizationID, OrganizationKey string
	// TokenLifetime is how long an issued access token lives on the server's
	// clock; 60 minutes by default.
	TokenLifetime time.Duration
	// LogSize bounds how many requests are remembered; 10,000 by default.
	LogSize int
	// DataCenter makes it a Data Center; nil is Atlassian Cloud.
	DataCenter *DataCenter
}

// Server is a simulated Atlassian. All methods may be called at any time from
// any goroutine. The organisation's log counts as a product; another product is a
// mistake in the calling test and panics.
type Server struct {
	o                Options
	jira, confluence *store
	organization     *store

	mu        sync.Mutex
	access    access
	limits    limits
	journal   journal
	faults    []*Armed
	armed     uint64              // faults ever armed: the seed of the next one
	hooks     []func(RequestInfo) // before a request is answered
	answers   []func(RequestInfo) // once its answer is known
	corpus    *Corpus
	listenURL string
	retention retention
}

// New makes a server without records.
func New(o Options) *Server {
	defaults := []struct {
		field *string
		value string
	}{
		{&o.CloudID, DefaultCloudID},
		{&o.Email, DefaultEmail},
		{&o.ClassicToken, DefaultClassicToken},
		{&o.ScopedToken, DefaultScopedToken},
		{&o.ServiceToken, DefaultServiceToken},
		{&o.ClientID, DefaultClientID},
		{&o.ClientSecret, DefaultClientSecret},
		{&o.AppID, DefaultAppID},
		{&o.AppSecret, DefaultAppSecret},
		{&o.OrganizationID, DefaultOrganizationID},
		{&o.OrganizationKey, DefaultOrganizationKey},
	}
	for _, d := range defaults {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.TokenLifetime <= 0 {
		o.TokenLifetime = time.Hour
	}
	if o.LogSize <= 0 {
		o.LogSize = 10000
	}
	o.DataCenter = o.DataCenter.withDefaults()
	s := &Server{
		o:          o,
		jira:       newStore(Jira, o.DataCenter.form(jiraForm), o.Seed),
		confluence: newStore(Confluence, o.DataCenter.form(confluenceForm), o.Seed+1),

		organization: newStore(Organization, organizationForm, o.Seed+2),

		access:    newAccess(o),
		journal:   newJournal(o.LogSize),
		corpus:    NewCorpus(o.Seed),
		retention: retention{number: 1, units: "YEARS"},
	}
	s.organization.now = o.Now
	return s
}

// Options are those the server was made with, defaults filled in.
func (s *Server) Options() Options { return s.o }

func (s *Server) now() time.Time { return s.o.Now() }

func (s *Server) store(product string) *store {
	switch product {
	case Jira:
		return s.jira
	case Confluence:
		return s.confluence
	case Organization:
		return s.organization
	}
	panic(fmt.Sprintf("atlassiantest: no product %q; there are %q, %q and %q", product, Jira, Confluence, Organization))
}

func (s *Server) siteURL() string {
	if s.o.SiteURL != "" {
		return s.o.SiteURL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listenURL != "" {
		return s.listenURL
	}
	return DefaultSiteURL
}

// Handler serves site, gateway and authorisation server on one origin.
func (s *Server) Handler() http.Handler { return s.handler(RouteSite, RouteGateway, RouteAuth) }

// SiteHandler serves what a site's own host serves.
func (s *Server) SiteHandler() http.Handler { return s.handler(RouteSite) }

// GatewayHandler serves what api.atlassian.com serves.
func (s *Server) GatewayHandler() http.Handler { return s.handler(RouteGateway) }

// AuthHandler serves what auth.atlassian.com serves.
func (s *Server) AuthHandler() http.Handler { return s.handler(RouteAuth) }

func (s *Server) handler(routes ...Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, routes) })
}

// Add stores records and returns their sequence numbers. They are visible to
// the next request, wherever their dates place them.
func (s *Server) Add(product string, recs ...Record) []int {
	return s.store(product).add(recs)
}

// AddLate stores n records that were created some time ago and appear only now.
func (s *Server) AddLate(product string, n int, ago time.Duration) []int {
	return s.AddBurst(product, n, s.now().Add(-ago))
}

// AddBurst stores n different records of one millisecond.
func (s *Server) AddBurst(product string, n int, at time.Time) []int {
	recs := make([]Record, n)
	for i := range recs {
		recs[i] = s.fromCorpus(product, at)
	}
	return s.Add(product, recs...)
}

// AddTwins stores n records that are equal to the byte, Jira's id aside. They
// have no Key.
func (s *Server) AddTwins(product string, n int, at time.Time) []int {
	twin := Twin(s.fromCorpus(product, at))
	recs := make([]Record, n)
	for i := range recs {
		recs[i] = twin
	}
	return s.Add(product, recs...)
}

func (s *Server) fromCorpus(product string, at time.Time) Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.compose(s.corpus, product, at)
}

// compose is the next record of a corpus in the form in which the server keeps
// its records.
func (s *Server) compose(c *Corpus, product string, at time.Time) Record {
	if s.o.DataCenter.events() {
		return c.Entity(s.store(product).product, at)
	}
	return c.Record(s.store(product).product, at)
}

// Records are all records that the server holds or ever held, in the order of
// insertion, each as it would be served now.
func (s *Server) Records(product string) []Stored {
	return s.collect(product, func(*held) bool { return true })
}

// At is one of the Records, by its sequence number.
func (s *Server) At(product string, seq int) Stored {
	st := s.store(product)
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.stored(seq)
}

// Served are those of the Records that at least one answer contained which a
// client could read to its end. An answer that a fault spoiled does not count.
func (s *Server) Served(product string) []Stored {
	return s.collect(product, func(h *held) bool { return h.served > 0 })
}

func (s *Server) collect(product string, want func(*held) bool) []Stored {
	st := s.store(product)
	st.mu.Lock()
	defer st.mu.Unlock()
	var out []Stored
	for i := range st.recs {
		if want(&st.recs[i]) {
			out = append(out, st.stored(i))
		}
	}
	return out
}

// Each calls visit with the Records one by one until it returns false, without
// holding them all in memory. The server may be used meanwhile.
func (s *Server) Each(product string, visit func(Stored) bool) {
	st := s.store(product)
	for i := 0; ; i++ {
		st.mu.Lock()
		if i >= len(st.recs) {
			st.mu.Unlock()
			return
		}
		r := st.stored(i)
		st.mu.Unlock()
		if !visit(r) {
			return
		}
	}
}

// Len is the number of records that the product shows now.
func (s *Server) Len(product string) int {
	st := s.store(product)
	st.mu.Lock()
	defer st.mu.Unlock()
	return len(st.index)
}

// Rename changes what a person is called in everything served from now on:
// displayName and publicName of the author, and the name of objects that are
// this user. Ids, keys, dates and texts stay. Objects carry no account id at
// Confluence; there the former display name is what is looked for.
func (s *Server) Rename(accountID, newName string) {
	s.jira.rename(accountID, newName)
	s.confluence.rename(accountID, newName)
	s.organization.rename(accountID, newName)
}

// Accounts are the account ids and present display names of the people who
// appear as authors with a name in the product's records.
func (s *Server) Accounts(product string) map[string]string {
	st := s.store(product)
	st.mu.Lock()
	defer st.mu.Unlock()
	out := make(map[string]string, len(st.names))
	for id, name := range st.names {
		out[id] = name
	}
	return out
}

// Purge removes what was created before that time, as retention does, and
// returns how many records that were.
func (s *Server) Purge(product string, before time.Time) int {
	return s.store(product).purge(before.UnixMilli())
}

// OnRequest runs hook for every request before anything else is done with it.
// The hook may call any method of the server; what it changes holds for the
// request at hand.
func (s *Server) OnRequest(hook func(RequestInfo)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = append(s.hooks, hook)
}

// OnAnswer runs hook for every request when its answer is known and no byte of
// it has been sent. What the hook changes does not concern that answer.
func (s *Server) OnAnswer(hook func(RequestInfo)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, hook)
}

func newRand(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }
