package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// youngToken is the age below which an access token that is answered with 401
// is not replaced: a refusal that has another cause would else rotate the
// refresh token in every run.
const youngToken = 5 * time.Minute

// leeway is for how long a refresh token that was exchanged may be exchanged
// again, so that a lost answer can be had once more (documented: 10 minutes).
// Nothing is decided by it but the words of a message.
const leeway = 10 * time.Minute

// AppOptions are what an app of OAuth 2.0 (3LO) needs.
type AppOptions struct {
	ClientID     string
	ClientSecret Secret
	// AuthServer is the authorisation server; nil means
	// https://auth.atlassian.com.
	AuthServer *url.URL
	// Origins are where tokens may be sent: the gateway's.
	Origins []*url.URL
	// Store keeps the consents. It is required: each refresh token is good once.
	Store *Store
	// Command is what a person runs to consent, for messages.
	Command string
	// Now is the local clock.
	Now func() time.Time
}

// App is an app of OAuth 2.0 (3LO): a client that acts with a person's consent.
// Its consents are kept under the authorisation server and the client id, so
// that a new secret, another site of the same app, or another instance goes on
// with the same consent.
type App struct {
	// config knows the secret, and shows nothing of it when it is printed.
	config   func() *oauth2.Config
	endpoint endpoint
	allowed  allowed
	store    *Store
	key      string
	client   string
	command  string
	now      func() time.Time
}

// NewApp checks the options. It sends nothing.
func NewApp(o AppOptions) (*App, error) {
	server, a, err := newOAuthClient(o.ClientID, o.ClientSecret, o.Now, o.AuthServer, o.Origins)
	if err != nil {
		return nil, err
	}
	if o.Store == nil {
		return nil, errors.New("auth: no token store given")
	}
	return &App{
		config: func() *oauth2.Config {
			return &oauth2.Config{
				ClientID:     o.ClientID,
				ClientSecret: o.ClientSecret.Reveal(),
				Endpoint: oauth2.Endpoint{
					AuthURL: server.authorize, TokenURL: server.token,
					// Detecting the style means asking twice, which burns a code.
					AuthStyle: oauth2.AuthStyleInParams,
				},
			}
		},
		endpoint: server,
		allowed:  a,
		store:    o.Store,
		key:      tokenKey("grants", server.token, o.ClientID),
		client:   tokenKey("client", o.ClientID, o.ClientSecret.Reveal())[:16],
		command:  o.Command,
		now:      o.Now,
	}, nil
}

// Format writes the kind of the credential and nothing else, whatever the verb.
func (a *App) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, kindOAuth) // fmt.State keeps no errors
}

const kindOAuth = "oauth"

// Site is the credential for a site, named by its host in lower case, with the
// consent that was given for it.
func (a *App) Site(host string) *OAuth {
	return &OAuth{app: a, name: host, pick: func(s *grantSet) *grant { return s.site(host) }}
}

// OAuth is the credential oauth: the access tokens that come of a person's
// consent. An access token lives for an hour, and each renewal gives a new
// refresh token too, while the old one is good for another ten minutes only (all
// documented). So a renewal is these steps:
//
//  1. The renewal is locked against every other process; whoever waited reads
//     the store again and mostly finds the work done.
//  2. That a renewal begins is written, so that a store that cannot be written
//     is known before a token is spent.
//  3. The refresh token is exchanged.
//  4. The new tokens are written and synced, in one transaction, and only then
//     used.
//
// A crash, or a lost answer, between 2 and 4 leaves the old token in the store.
// The next renewal sends it again, which Atlassian allows for ten minutes; when
// that comes later, the consent is over and has to be given anew. An answer
// without a refresh token (seen in the field) leaves the old one in use.
//
// A refresh token that is refused is remembered as such, and not sent again
// until another consent or another client secret is there.
//
// A clock that jumps does no harm: forward, a token is renewed early; back, one
// that has ended is answered with 401 and then renewed.
//
// It is safe for concurrent use.
type OAuth struct {
	app  *App
	name string
	pick func(*grantSet) *grant

	mu    sync.Mutex
	grant *grant
	// unsaved are tokens that came and could not be stored; was is the refresh
	// token that they were given for.
	unsaved *grant
	was     string
}

// Format writes the kind of the credential and nothing else, whatever the verb.
func (o *OAuth) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, o.Kind()) // fmt.State keeps no errors
}

// Kind is the configuration's word for the credential.
func (o *OAuth) Kind() string { return kindOAuth }

// Routes is the gateway alone.
func (o *OAuth) Routes() []string { return []string{"gateway"} }

// RoundTripper is base with a token attached; the token is renewed through base
// too. Where a token that was kept is answered with 401, it is renewed and the
// request sent again, once, unless the token is a few minutes old.
func (o *OAuth) RoundTripper(base http.RoundTripper) http.RoundTripper {
	return &bearer{tokens: o, allowed: o.app.allowed, base: base}
}

func (o *OAuth) get(ctx context.Context, base http.RoundTripper, refused string) (token string, kept bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.unsaved == nil && o.good(refused) {
		return o.grant.AccessToken, true, nil
	}
	if err := o.load(); err != nil {
		return "", false, err
	}
	if o.good(refused) {
		return o.grant.AccessToken, true, nil
	}
	done, err := o.app.store.renewing(ctx, o.app.key)
	if err != nil {
		return "", false, err
	}
	defer done()
	if err := o.load(); err != nil {
		return "", false, err
	}
	if o.good(refused) {
		return o.grant.AccessToken, true, nil
	}
	return o.renew(ctx, base)
}

// good reports whether the token at hand is to be used: it is not over, and not
// the one that was refused, unless that one is too young to be replaced.
func (o *OAuth) good(refused string) bool {
	now := o.app.now()
	if o.grant == nil || !o.grant.usable(now) {
		return false
	}
	age := now.Sub(o.grant.Renewed)
	return o.grant.AccessToken != refused || age >= 0 && age < youngToken
}

// load stores what could not be stored, and reads the grant.
func (o *OAuth) load() error {
	if o.unsaved != nil {
		if err := o.save(); err != nil {
			return err
		}
	}
	set, err := o.app.store.grants(o.app.key)
	if err != nil {
		return err
	}
	g := o.pick(&set)
	if g == nil || g.RefreshToken == "" {
		what := "nobody has consented yet that this app reads from " + o.name
		if aside := o.app.store.aside(); aside != "" {
			what += ", or the consent was in the token file that could not be read and was set aside as " + aside
		}
		return &Error{code: CodeNoConsent, person: true, what: what, next: "run: " + o.app.command}
	}
	o.grant = g
	return nil
}

// renew exchanges the refresh token of the grant at hand. The renewal is locked.
func (o *OAuth) renew(ctx context.Context, base http.RoundTripper) (token string, kept bool, err error) {
	g := *o.grant
	if r := g.Refused; r != nil && r.Client == o.app.client {
		return "", false, o.ended(r.What)
	}
	// The refresh token identifies what is changed: a consent that was given
	// meanwhile is left alone.
	again := !g.Asked.IsZero()
	if !again {
		g.Asked = o.app.now().UTC()
	}
	if err := o.change(g.RefreshToken, func(stored *grant) { stored.Asked = g.Asked }); err != nil {
		return "", false, err
	}
	before := o.app.now().UTC()
	t, err := o.app.config().TokenSource(o.app.endpoint.through(ctx, base), &oauth2.Token{RefreshToken: g.RefreshToken}).Token()
	if err != nil {
		return "", false, o.failed(o.app.endpoint.judge(ctx, err, renewalRefused), g, again, before)
	}
	if err := checkType(t); err != nil {
		return "", false, err
	}
	fresh := g
	// x/oauth2 gives the old one back where the answer has none.
	fresh.RefreshToken, fresh.AccessToken, fresh.Expiry = t.RefreshToken, t.AccessToken, before.Add(lifetimeOf(t))
	fresh.Renewed, fresh.Asked, fresh.Refused = before, time.Time{}, nil
	o.unsaved, o.was = &fresh, g.RefreshToken
	if err := o.save(); err != nil {
		return "", false, err
	}
	return o.grant.AccessToken, false, nil
}

// save writes the unsaved tokens. Where it fails they are kept in memory, and
// tried again with the next request of this process; the next process has the
// old refresh token, which is good for ten minutes.
func (o *OAuth) save() error {
	fresh := *o.unsaved
	err := o.change(o.was, func(stored *grant) {
		sites := stored.Sites
		*stored = fresh
		stored.Sites = sites
	})
	if err != nil {
		return err
	}
	o.grant, o.unsaved = &fresh, nil
	return nil
}

// errReplaced says that another consent took the place of the one at hand.
var errReplaced = errors.New("the consent was replaced meanwhile")

// change alters the stored grant whose refresh token that is.
func (o *OAuth) change(refreshToken string, change func(*grant)) error {
	err := o.app.store.changeGrants(o.app.key, func(s *grantSet) error {
		stored := s.id(o.grant.ID)
		if stored == nil || stored.RefreshToken != refreshToken {
			return errReplaced
		}
		change(stored)
		return nil
	})
	if errors.Is(err, errReplaced) {
		o.grant, o.unsaved = nil, nil
		return &Error{code: CodeTokenBusy, err: err,
			what: "another process renewed the token, or a person consented anew, at the same moment",
			next: "the next attempt uses what they stored"}
	}
	return err
}

// renewalRefused is the verdict on a refresh token or client that is refused.
// Which of the two it is, the code says; where it does not, as for a refused
// refresh token it was seen not to, the description does.
func renewalRefused(server string, status int, code, description string) *Error {
	aboutToken := strings.Contains(strings.ReplaceAll(strings.ToLower(description), "_", " "), "refresh token")
	switch {
	case code == ", invalid_grant", aboutToken && (code == ", unauthorized_client" || code == ", access_denied"):
		return &Error{code: CodeConsentEnded, person: true,
			what: fmt.Sprintf("%s does not take the consent any more (status %d%s)", server, status, code)}
	case code == "" && status == http.StatusForbidden:
		return &Error{code: CodeTokenInvalid, person: true,
			what: fmt.Sprintf("%s, or something on the way to it, refuses to answer (status %d)", server, status),
			next: "check the proxy and `auth_server`; the next run tries again"}
	}
	return &Error{code: CodeClient, person: true,
		what: fmt.Sprintf("%s refuses the app's client id or secret (status %d%s)", server, status, code),
		next: "check `client_id` and `client_secret` against the app's Settings at https://developer.atlassian.com/console/myapps; the consent is kept"}
}

// failed completes the verdict on a renewal, and remembers one that is final.
// again is true where an earlier renewal got no answer that was stored.
func (o *OAuth) failed(err error, g grant, again bool, now time.Time) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	if !again && (e.code == CodeTokenWait || e.code == CodeClient) {
		// The token was not exchanged. Where this cannot be written, a later
		// message blames a lost answer wrongly, and that is all.
		_ = o.change(g.RefreshToken, func(stored *grant) { stored.Asked = time.Time{} })
	}
	if e.code != CodeConsentEnded {
		return err
	}
	what := e.what
	if again {
		what += fmt.Sprintf(": the answer to a renewal that was begun at %s was lost, and asked for again at %s, while Atlassian repeats it for %s",
			g.Asked.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), leeway)
	} else {
		what += ": it was withdrawn, the password of the account was changed, it was not used for 90 days, or somebody else renewed it"
	}
	refused := &refusal{At: now, Client: o.app.client, What: what}
	if err := o.change(g.RefreshToken, func(stored *grant) { stored.Refused = refused }); err != nil {
		return err
	}
	return o.ended(what)
}

func (o *OAuth) ended(what string) *Error {
	return &Error{code: CodeConsentEnded, person: true, what: what, next: "nothing is lost; consent again with: " + o.app.command}
}
