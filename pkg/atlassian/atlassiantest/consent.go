package atlassiantest

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Consent is what the person at the consent page does, and what they get.
type Consent struct {
	// Deny is true where they press "Cancel".
	Deny bool
	// Sites are those that they choose; nil is the server's own.
	Sites []Site
	// EndsFormer makes the consent end the refresh tokens of earlier ones of the
	// same app; whether Atlassian does so is not documented.
	EndsFormer bool
}

// Rotation is how refresh tokens behave. The zero value is Atlassian as
// documented, and where that is silent, as Auth0 is, on which it is built.
type Rotation struct {
	// Leeway is for how long a token may be exchanged again; 10 minutes.
	Leeway time.Duration
	// Inactivity ends a grant that was not used for so long; 90 days.
	Inactivity time.Duration
	// Omit leaves the new refresh token out of answers; the one used stays good
	// (seen in the field).
	Omit bool
	// Refusal is the error code for a refresh token that is not good; it is
	// "invalid_grant" (documented). "unauthorized_client" was seen too.
	Refusal string
}

// A grant is what a person consented to for the app: there is one for each app
// and account (documented), and a new consent adds its sites and replaces the
// scopes.
type grant struct {
	sites  []Site
	scopes []string
}

func (g *grant) has(cloudID string) bool {
	return slices.ContainsFunc(g.sites, func(s Site) bool { return s.CloudID == cloudID })
}

// family is one code's refresh tokens.
type family struct {
	grant *grant
	ended bool
	used  time.Time // of any of its tokens, the last time
}

// refresh is one refresh token of a family.
type refresh struct {
	family *family
	parent *refresh
	used   time.Time // the first time; zero for not yet
	// succeeded is true once a token that came of it was used.
	succeeded bool
}

// code is an authorisation code: good once, and for ten minutes.
type code struct {
	redirect string
	scopes   []string
	sites    []Site
	ends     bool
	expires  time.Time
}

type consents struct {
	consent  Consent
	rotation Rotation
	grant    *grant
	codes    map[string]code
	tokens   map[string]*refresh
	families []*family
}

func newConsents() consents {
	return consents{codes: map[string]code{}, tokens: map[string]*refresh{}}
}

// SetConsent decides what the next persons at the consent page do.
func (s *Server) SetConsent(c Consent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access.consent.consent = c
}

// SetRotation replaces how refresh tokens behave.
func (s *Server) SetRotation(r Rotation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access.consent.rotation = r
}

// EndConsent ends every consent to the app, as a changed password or an
// uninstalled app does. Access tokens already issued live on.
func (s *Server) EndConsent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.access.consent.families {
		f.ended = true
	}
	s.access.consent.grant = nil
}

// ConsentsAlive is the number of consents whose refresh tokens are good for
// something.
func (s *Server) ConsentsAlive() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, f := range s.access.consent.families {
		if !f.ended {
			n++
		}
	}
	return n
}

const wentWrong = "Something went wrong"

// authorize shows the consent page, and takes the button that was pressed.
func (s *Server) authorize(r *http.Request) reply {
	q, own := r.URL.Query(), s.ownSite()
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &s.access
	asked := strings.Fields(q.Get("scope"))
	var missing []string
	for _, scope := range asked {
		if scope != "offline_access" && !slices.Contains(a.scopes[App], scope) {
			missing = append(missing, scope)
		}
	}
	redirect, err := url.Parse(q.Get("redirect_uri"))
	switch {
	case q.Get("client_id") != s.o.AppID:
		return wrongPage("The app's identifier is invalid.")
	case err != nil || redirect.Path != "/callback" || redirect.Scheme != "http" || !loopback(redirect.Hostname()):
		return wrongPage("The redirect_uri is not one of the app's callback URLs.")
	case q.Get("audience") != "api.atlassian.com", q.Get("response_type") != "code", q.Get("prompt") != "consent", q.Get("state") == "":
		return wrongPage("The request lacks one of audience, response_type, prompt and state.")
	case len(missing) > 0:
		return wrongPage("INFORMATION FOR THE OWNER OF THE APP: This app has requested scopes that have not been added to the app. " +
			"Add the following scopes: " + strings.Join(missing, ", "))
	}
	if r.Method != http.MethodPost {
		return htmlReply(http.StatusOK, `<!DOCTYPE html><title>Authorize app</title><p>The app asks for: `+html.EscapeString(strings.Join(asked, ", "))+
			`</p><form id="consent" method="post" action="`+html.EscapeString(r.URL.RequestURI())+`"><button>Accept</button></form>`)
	}
	back := url.Values{"state": {q.Get("state")}}
	if a.consent.consent.Deny {
		back.Set("error", "access_denied")
		back.Set("error_description", "User did not authorize the request")
	} else {
		text := s.random("simulated-code-")
		sites := a.consent.consent.Sites
		if sites == nil {
			sites = []Site{own}
		}
		a.consent.codes[text] = code{redirect: redirect.String(), scopes: asked, sites: sites,
			ends: a.consent.consent.EndsFormer, expires: s.now().Add(10 * time.Minute)}
		back.Set("code", text)
	}
	redirect.RawQuery = back.Encode()
	return htmlReply(http.StatusFound, "").with("Location", redirect.String())
}

func wrongPage(text string) reply {
	return htmlReply(http.StatusForbidden, `<!DOCTYPE html><title>Atlassian</title><h1>`+wentWrong+`</h1><p>`+html.EscapeString(text)+`</p>`)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// consentToken exchanges a code or a refresh token.
func (s *Server) consentToken(in map[string]string) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in["client_id"] != s.o.AppID || in["client_secret"] != s.access.secret[App] || s.access.revoked[App] {
		return oauthError(http.StatusUnauthorized, "access_denied", "Unauthorized")
	}
	if in["grant_type"] == "authorization_code" {
		return s.exchange(in["code"], in["redirect_uri"])
	}
	return s.refresh(in["refresh_token"])
}

// exchange takes a code. The lock is held by the caller.
func (s *Server) exchange(text, redirect string) reply {
	c := &s.access.consent
	made, ok := c.codes[text]
	delete(c.codes, text) // good once, whatever comes of it
	if !ok || made.redirect != redirect || !s.now().Before(made.expires) {
		return oauthError(http.StatusForbidden, "invalid_grant", "Invalid authorization code")
	}
	if made.ends {
		for _, f := range c.families {
			f.ended = true
		}
	}
	if c.grant == nil {
		c.grant = &grant{}
	}
	c.grant.scopes = slices.DeleteFunc(slices.Clone(made.scopes), func(s string) bool { return s == "offline_access" })
	for _, site := range made.sites {
		if !c.grant.has(site.CloudID) {
			c.grant.sites = append(c.grant.sites, site)
		}
	}
	out := s.issue(App, c.grant.scopes, c.grant)
	if slices.Contains(made.scopes, "offline_access") {
		f := &family{grant: c.grant, used: s.now()}
		c.families = append(c.families, f)
		out["refresh_token"] = s.newRefresh(f, nil)
	}
	return jsonReply(http.StatusOK, out)
}

func (s *Server) newRefresh(f *family, parent *refresh) string {
	text := s.random("simulated-refresh-token-")
	s.access.consent.tokens[text] = &refresh{family: f, parent: parent}
	return text
}

// refresh takes a refresh token: once, and within the leeway again, as long as
// none that came of it was used. Later it is taken for stolen, and ends the
// family. The lock is held by the caller.
func (s *Server) refresh(text string) reply {
	c, now := &s.access.consent, s.now()
	rotation := c.rotation
	if rotation.Leeway == 0 {
		rotation.Leeway = 10 * time.Minute
	}
	if rotation.Inactivity == 0 {
		rotation.Inactivity = 90 * 24 * time.Hour
	}
	t, ok := c.tokens[text]
	if ok && now.Sub(t.family.used) > rotation.Inactivity {
		t.family.ended = true
	}
	if ok && !t.used.IsZero() && (t.succeeded || now.Sub(t.used) > rotation.Leeway) {
		t.family.ended = true
	}
	if !ok || t.family.ended {
		if rotation.Refusal != "" {
			return oauthError(http.StatusForbidden, rotation.Refusal, "refresh_token is invalid")
		}
		return oauthError(http.StatusForbidden, "invalid_grant", "Unknown or invalid refresh token.")
	}
	t.family.used = now
	if t.parent != nil {
		t.parent.succeeded = true
	}
	out := s.issue(App, t.family.grant.scopes, t.family.grant)
	if rotation.Omit {
		return jsonReply(http.StatusOK, out)
	}
	if t.used.IsZero() {
		t.used = now
	}
	out["refresh_token"] = s.newRefresh(t.family, t)
	return jsonReply(http.StatusOK, out)
}

// consentForm is the button of the consent page.
var consentForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`<form id="consent" method="post" action="([^"]*)">`)
})

// AtConsentPage plays the person at a browser: it opens the address that a
// program printed and presses the button. It returns the address at which the
// browser ends, the callback, without going there. Where there is no button,
// the error has the page's text.
func AtConsentPage(ctx context.Context, client *http.Client, address string) (landing string, err error) {
	plain := *client
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	_, page, err := browse(ctx, &plain, http.MethodGet, address)
	if err != nil {
		return "", err
	}
	button := consentForm().FindStringSubmatch(page)
	if button == nil {
		return "", fmt.Errorf("there is no button on the page %q", page)
	}
	base, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	to, err := base.Parse(html.UnescapeString(button[1]))
	if err != nil {
		return "", err
	}
	header, page, err := browse(ctx, &plain, http.MethodPost, to.String())
	if err != nil {
		return "", err
	}
	if header.Get("Location") == "" {
		return "", errors.New("the button leads nowhere: " + page)
	}
	return header.Get("Location"), nil
}

func browse(ctx context.Context, client *http.Client, method, address string) (http.Header, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, http.NoBody)
	if err != nil {
		return nil, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	page, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.Header, string(page), err
}
