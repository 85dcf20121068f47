package atlassiantest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Credential names one of the server's credentials.
type Credential int

// The credentials.
const (
	Classic      Credential = iota // Email and ClassicToken, at the site
	Scoped                         // Email and ScopedToken, at the gateway
	ServiceToken                   // ServiceToken as a bearer token, at the gateway
	Client                         // ClientID and ClientSecret, at the authorisation server
	App                            // AppID and AppSecret, at the authorisation server, with a person's consent
	Password                       // DataCenter.Username and Password, at a Data Center
	Personal                       // DataCenter.PersonalToken as a bearer token, at a Data Center

	// OrganizationKey is a bearer token for the organisation's log.
	OrganizationKey
	credentials
)

// The scopes that matter for audit records.
const (
	ScopeJiraAudit       = "read:audit-log:jira"
	ScopeJiraUser        = "read:user:jira"
	ScopeJiraUserClassic = "read:jira-user"
	ScopeJiraConfigure   = "manage:jira-configuration"
	ScopeConfluenceAudit = "read:audit-log:confluence"
	ScopeOrganization    = "read:events:admin"
)

// Denial is why a product refuses a person whose credential is right.
type Denial int

// The denials, each with the 403 that goes with it.
const (
	Allowed Denial = iota
	NotAdmin
	FreePlan
	NoProductAccess
	// NoGuard is an organisation without Atlassian Guard.
	NoGuard
)

type access struct {
	secret  [credentials]string
	revoked [credentials]bool
	scopes  [credentials][]string
	denied  map[string]Denial
	issued  map[string]issued
	n       uint64 // tokens and codes ever issued
	consent consents
	wrong   int // wrong passwords in a row, at a Data Center
}

// issued is an access token that the authorisation server gave out.
type issued struct {
	by      Credential
	expires time.Time
	scopes  []string
	// grant is the consent behind it; nil for a service account's.
	grant *grant
}

func newAccess(o Options) access {
	a := access{denied: map[string]Denial{}, issued: map[string]issued{}, consent: newConsents()}
	a.secret = [credentials]string{
		Classic: o.ClassicToken, Scoped: o.ScopedToken, ServiceToken: o.ServiceToken, Client: o.ClientSecret, App: o.AppSecret,
		OrganizationKey: o.OrganizationKey,
	}
	if o.DataCenter != nil {
		a.secret[Password], a.secret[Personal] = o.DataCenter.Password, o.DataCenter.PersonalToken
	}
	for c := range a.scopes {
		a.scopes[c] = []string{ScopeJiraAudit, ScopeJiraUser, ScopeConfluenceAudit}
	}
	a.scopes[OrganizationKey] = nil // a key without scopes may read everything
	return a
}

// SetScopes replaces the scopes of a credential; an app's are those that were
// added to it, which a consent may ask for. Access tokens already issued keep
// theirs. A classic token has no scopes and ignores them.
func (s *Server) SetScopes(c Credential, scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access.scopes[c] = slices.Clone(scopes)
}

// Revoke makes a credential wrong, as an expired or deleted token is.
func (s *Server) Revoke(c Credential) { s.setRevoked(c, true) }

// Restore makes a revoked credential right again.
func (s *Server) Restore(c Credential) { s.setRevoked(c, false) }

func (s *Server) setRevoked(c Credential, revoked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access.revoked[c] = revoked
}

// SetSecret replaces a credential's secret.
func (s *Server) SetSecret(c Credential, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access.secret[c] = secret
}

// RevokeTokens makes every access token issued so far wrong before its time.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.access.issued)
}

// Deny lets the product refuse every person, or with Allowed none.
func (s *Server) Deny(product string, d Denial) {
	p := s.store(product).product
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access.denied[p] = d
}

func (s *Server) denial(product string) Denial {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.access.denied[product]
}

func authKind(r *http.Request) AuthKind {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case r.Header.Get("Authorization") == "":
		return AuthNone
	case strings.EqualFold(scheme, "basic"):
		return AuthBasic
	case strings.EqualFold(scheme, "bearer"):
		return AuthBearer
	}
	return AuthOther
}

// authenticate tells whether the request's Authorization header is good for
// the route, and with which scopes; scoped is false for a credential to which
// scopes do not apply.
func (s *Server) authenticate(r *http.Request, route Route) (right, scoped bool, scopes []string) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &s.access
	if s.o.DataCenter != nil {
		return s.authenticateDataCenter(r), false, nil
	}
	if email, token, ok := r.BasicAuth(); ok {
		c := Classic
		if route == RouteGateway {
			c = Scoped
		}
		if email != s.o.Email || token != a.secret[c] || a.revoked[c] {
			return false, false, nil
		}
		return true, c == Scoped, a.scopes[c]
	}
	if authKind(r) != AuthBearer || route != RouteGateway {
		return false, false, nil
	}
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.HasPrefix(r.URL.Path, adminPrefix) {
		scopes = a.scopes[OrganizationKey]
		return token == a.secret[OrganizationKey] && !a.revoked[OrganizationKey], len(scopes) > 0, scopes
	}
	if token == a.secret[ServiceToken] && !a.revoked[ServiceToken] {
		return true, true, a.scopes[ServiceToken]
	}
	t, ok := a.issued[token]
	if !ok || a.revoked[t.by] || !now.Before(t.expires) {
		return false, false, nil
	}
	return true, true, t.scopes
}

// reaches tells whether the request's bearer token, where it stands for a
// person's consent, is good for that site.
func (s *Server) reaches(r *http.Request, cloudID string) bool {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.access.issued[token]
	return !ok || t.grant == nil || t.grant.has(cloudID)
}

// scopesSuffice tells whether the scopes cover the request. Version 2 of
// Jira's API takes the classic scope alone.
func scopesSuffice(i RequestInfo, scopes []string) bool {
	has := func(s string) bool { return slices.Contains(scopes, s) }
	switch {
	case i.Product == Organization:
		return has(ScopeOrganization)
	case i.Product == Confluence:
		return has(ScopeConfluenceAudit)
	case i.Kind == KindAudit && i.Version == "2":
		return has(ScopeJiraConfigure)
	case i.Kind == KindUsers:
		return has(ScopeJiraUser) || has(ScopeJiraUserClassic)
	case i.Kind == KindAudit:
		return has(ScopeJiraAudit) || has(ScopeJiraConfigure)
	}
	return true
}

// token answers the authorisation server's token endpoint: form or JSON, the
// secret in the body alone.
func (s *Server) token(r *http.Request) reply {
	if r.Method != http.MethodPost {
		return oauthError(http.StatusMethodNotAllowed, "invalid_request", "Use POST.")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		return oauthError(http.StatusBadRequest, "invalid_request", "The body could not be read.")
	}
	in := map[string]string{}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch media {
	case "application/json":
		if json.Unmarshal(body, &in) != nil {
			return oauthError(http.StatusBadRequest, "invalid_request", "The body is not a JSON object of strings.")
		}
	default:
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return oauthError(http.StatusBadRequest, "invalid_request", "The body is not a form.")
		}
		for k := range form {
			in[k] = form.Get(k)
		}
	}
	switch in["grant_type"] {
	case "client_credentials":
		return s.clientToken(in)
	case "authorization_code", "refresh_token":
		return s.consentToken(in)
	}
	return oauthError(http.StatusForbidden, "unauthorized_client",
		fmt.Sprintf("Grant type '%s' not allowed for the client.", in["grant_type"]))
}

// clientToken answers a service account.
func (s *Server) clientToken(in map[string]string) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in["client_id"] != s.o.ClientID || in["client_secret"] != s.access.secret[Client] || s.access.revoked[Client] {
		return oauthError(http.StatusUnauthorized, "access_denied", "Unauthorized")
	}
	return jsonReply(http.StatusOK, s.issue(Client, s.access.scopes[Client], nil))
}

// issue makes an access token, and the answer that carries it. The lock is held
// by the caller.
func (s *Server) issue(by Credential, scopes []string, g *grant) map[string]any {
	now, a := s.now(), &s.access
	for t, is := range a.issued {
		if !now.Before(is.expires) {
			delete(a.issued, t)
		}
	}
	token := s.random("simulated-access-token-")
	a.issued[token] = issued{by: by, expires: now.Add(s.o.TokenLifetime), scopes: slices.Clone(scopes), grant: g}
	return map[string]any{
		"access_token": token,
		"expires_in":   int64(s.o.TokenLifetime / time.Second),
		"scope":        strings.Join(scopes, " "),
		"token_type":   "Bearer",
	}
}

// random is a text that the seed decides, and never the same. The lock is held
// by the caller.
func (s *Server) random(prefix string) string {
	s.access.n++
	var number [16]byte
	binary.BigEndian.PutUint64(number[:8], s.o.Seed)
	binary.BigEndian.PutUint64(number[8:], s.access.n)
	sum := sha256.Sum256(number[:])
	return prefix + hex.EncodeToString(sum[:20])
}

func oauthError(status int, code, description string) reply {
	return jsonReply(status, map[string]any{"error": code, "error_description": description})
}
