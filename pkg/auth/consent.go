package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"
)

// Consent is one person being asked to consent. Its steps are Address, Answer
// for what the callback got, Exchange, and then Bind or Discard.
type Consent struct {
	app      *App
	redirect string
	scopes   []string
	state    string
	id       string
}

// Consent begins asking. redirect is the callback URL, exactly as the app's
// settings have it.
func (a *App) Consent(redirect string, scopes []string) *Consent {
	return &Consent{app: a, redirect: redirect, scopes: scopes, state: rand.Text()}
}

// Address is what the person opens in a browser. The parameters are the ones
// that Atlassian documents. There is no PKCE among them: Atlassian's page does
// not know it (its exchange wants the client secret, which PKCE is a substitute
// for), and a parameter that its server might refuse would show to a person as
// a page that leads nowhere. The code is bound to this process by the state, and
// to this machine by the callback.
func (c *Consent) Address() string {
	config := c.app.config()
	config.RedirectURL = c.redirect
	config.Scopes = append(slices.Clone(c.scopes), "offline_access")
	return config.AuthCodeURL(c.state, oauth2.SetAuthURLParam("audience", "api.atlassian.com"), oauth2.SetAuthURLParam("prompt", "consent"))
}

// ErrForeign says that an answer does not belong to this consent.
var ErrForeign = errors.New("this address does not belong to the consent that was just asked for: its state is another one")

// Answer reads the code from the address at which the browser ended. An error
// is an *Error where the person, or Atlassian, refused; ErrForeign where the
// address is of another consent.
func (c *Consent) Answer(landing string) (code string, err error) {
	u, err := url.Parse(strings.TrimSpace(landing))
	if err != nil {
		return "", errors.New("this is no address: copy the whole of it from the browser, from http on")
	}
	q := u.Query()
	switch {
	case !q.Has("state"):
		return "", errors.New("this address lacks the answer: copy the one at which the browser ended after \"Accept\", from http on, with all that stands behind the question mark")
	case subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(c.state)) != 1:
		return "", ErrForeign
	case q.Get("error") == "access_denied":
		return "", &Error{code: CodeConsentDenied, person: true,
			what: "the consent was refused at Atlassian's page",
			next: "run the command again, choose the site and press Accept; where the page says that an administrator has to approve, ask the site's"}
	case q.Get("error") != "":
		return "", &Error{code: CodeConsentDenied, person: true,
			what: "Atlassian's page gave no consent (" + plainWord(q.Get("error")) + ")",
			next: "run the command again; if it stays so, compare the app's callback URL and permissions with what the command printed"}
	case q.Get("code") == "":
		return "", errors.New("this address holds neither a code nor an error: run the command again")
	}
	return q.Get("code"), nil
}

// plainWord is an error code as the specification allows it; anything else is
// not repeated.
func plainWord(s string) string {
	for _, r := range s {
		if (r < 'a' || r > 'z') && r != '_' {
			return "an error that is none of the specification's"
		}
	}
	return s
}

// Exchange turns the code, which is good once, into a grant, and stores it
// before anything is done with it. It is used for no site before Bind.
func (c *Consent) Exchange(ctx context.Context, base http.RoundTripper, code string) (*OAuth, error) {
	config := c.app.config()
	config.RedirectURL = c.redirect
	// Known now rather than after the code is spent.
	if err := c.app.store.changeGrants(c.app.key, func(*grantSet) error { return nil }); err != nil {
		return nil, err
	}
	now := c.app.now().UTC()
	t, err := config.Exchange(c.app.endpoint.through(ctx, base), code)
	if err != nil {
		return nil, c.app.endpoint.judge(ctx, err, codeRefused)
	}
	if err := checkType(t); err != nil {
		return nil, err
	}
	if t.RefreshToken == "" {
		return nil, &Error{code: CodeTokenInvalid, person: true,
			what: c.app.endpoint.name + " gave no refresh token, without which the consent would end in an hour",
			next: "see that the app is of the kind OAuth 2.0 integration, and run the command again"}
	}
	g := grant{ID: newGrantID(), Granted: now, Renewed: now, RefreshToken: t.RefreshToken, AccessToken: t.AccessToken, Expiry: now.Add(lifetimeOf(t))}
	if err := c.app.store.changeGrants(c.app.key, func(s *grantSet) error {
		s.Grants = append(s.Grants, g)
		return nil
	}); err != nil {
		return nil, err
	}
	c.id = g.ID
	return &OAuth{app: c.app, name: "the sites consented to", pick: func(s *grantSet) *grant { return s.id(g.ID) }}, nil
}

// Bind makes the grant the one for the sites, named by their hosts in lower
// case, in the place of earlier ones. Those that are left without a site are
// forgotten.
func (c *Consent) Bind(hosts []string) error {
	return c.app.store.changeGrants(c.app.key, func(s *grantSet) error { return s.bind(c.id, hosts, c.app.now()) })
}

// Discard forgets the grant again.
func (c *Consent) Discard() error {
	return c.app.store.changeGrants(c.app.key, func(s *grantSet) error {
		s.Grants = slices.DeleteFunc(s.Grants, func(g grant) bool { return g.ID == c.id && len(g.Sites) == 0 })
		return nil
	})
}

// Bound is the hosts of the sites for which the app has a consent, sorted.
func (a *App) Bound() ([]string, error) {
	set, err := a.store.grants(a.key)
	if err != nil {
		return nil, err
	}
	var hosts []string
	for _, g := range set.Grants {
		hosts = append(hosts, g.Sites...)
	}
	slices.Sort(hosts)
	return hosts, nil
}

func codeRefused(server string, status int, code, _ string) *Error {
	if code == ", invalid_grant" || code == ", invalid_request" {
		return &Error{code: CodeConsentCode, person: true,
			what: fmt.Sprintf("%s refuses the code of the consent (status %d%s)", server, status, code),
			next: "a code is good once and for a few minutes: run the command again; if it stays so, the callback URL in the app's settings is another one"}
	}
	e := renewalRefused(server, status, code, "")
	if e.code == CodeClient {
		e.next = "check `client_id` and `client_secret` against the app's Settings at https://developer.atlassian.com/console/myapps, then run the command again"
	}
	return e
}
