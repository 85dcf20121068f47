package check

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/audit"
)

// The steps towards one record, in their order. Each rests on those before.
const (
	stepToken      = "token"
	stepScopes     = "scopes"
	stepPermission = "permission"
	stepPlan       = "plan"
	stepRecord     = "record"
)

var recordSteps = []string{stepToken, stepScopes, stepPermission, stepPlan, stepRecord}

// stepOf is the step that a code belongs to; stepRecord where it tells nothing
// of those before.
func stepOf(code string) string {
	switch code {
	case atlassian.CodeScope:
		return stepScopes
	case atlassian.CodeNotAdmin, atlassian.CodeNoProductAccess, atlassian.CodeForbidden, atlassian.CodeIPAllowlist:
		return stepPermission
	case atlassian.CodePlan:
		return stepPlan
	case atlassian.CodeNotFound, atlassian.CodeRedirect, atlassian.CodeBadRequest, atlassian.CodeQuota, atlassian.CodeUnavailable, atlassian.CodeTimeout,
		atlassian.CodeInterrupted, atlassian.CodeNetwork, atlassian.CodeDNS, atlassian.CodeTLS, atlassian.CodeClock, atlassian.CodeProxy,
		atlassian.CodeInvalidAnswer, atlassian.CodeTooLarge, CodeMachine:
		return stepRecord
	}
	return stepToken
}

// probe is the asking of one instance.
type probe struct {
	d      *diagnosis
	c      *Config
	site   *site
	hops   []hop
	waits  map[audit.Product]string
	routes map[audit.Product]string
	// until is when a product was last read up to the present.
	until map[audit.Product]time.Time
	// cloudID is the site's; resources are what a token reaches, nil where it
	// cannot be asked.
	cloudID   string
	resources []atlassian.Resource
}

// hop is one host that has to be reached.
type hop struct {
	contact atlassian.Contact
	err     *atlassian.Error
	// optional says that what rests on it may not be needed.
	optional bool
}

func (p *probe) step(name string) Step { return Step{Name: name, Instance: p.c.Host()} }

// site asks Atlassian about one instance.
func (d *diagnosis) site(ctx context.Context, in Instance) {
	p := &probe{d: d, c: in.Config, waits: map[audit.Product]string{}, routes: map[audit.Product]string{}, until: map[audit.Product]time.Time{}}
	if p.c.Site == nil {
		p.skipFrom("dns", "the site is a handle of the Agent's secret management, which only the Agent can resolve")
		return
	}
	p.remembered()
	if len(p.waits) == len(p.c.Products) {
		p.d.warn(p.step("wait"), atlassian.CodeQuota, p.waits[p.c.Products[0]], "")
		p.skipFrom("dns", "Atlassian wants to be left alone for now")
		return
	}
	o := d.o.Options
	o.anonymous = len(p.c.Auth.secrets()) == 0
	s, err := newSite(p.c, o, foldersOf(p.c.RunPath, p.c.Host()).base)
	if err != nil {
		d.fail(p.step("connection"), CodeMachine, err.Error(), "correct the option that it names")
		p.skipFrom("proxy", "no connection can be made")
		return
	}
	p.site = s
	defer s.client.Close()
	p.reach(ctx)
	if !p.hosts(ctx) {
		p.skipFrom("site", "the site was not reached")
		return
	}
	if p.cloudID, err = s.client.CloudID(ctx); err != nil {
		p.failWith(p.step("site"), err)
		p.skipFrom(stepToken, "the site is not known")
		return
	}
	d.pass(p.step("site"), "%s is a Cloud site, cloudId %s", p.c.Host(), p.cloudID)
	if o.anonymous {
		p.skipFrom(stepToken, "the credential is a handle of the Agent's secret management, which only the Agent can resolve: `datadog-agent check atlassian_audit_records` runs with it")
		return
	}
	p.products(ctx)
}

// siteSteps are the steps about one instance, in their order.
var siteSteps = append([]string{"dns", "connection", "proxy", "tls", "clock", "site"}, recordSteps...)

// skipFrom skips the steps from one on.
func (p *probe) skipFrom(name, why string) {
	at := slices.Index(siteSteps, name)
	for _, s := range siteSteps[at:] {
		p.d.skip(p.step(s), "%s", why)
	}
}

// failWith is a failed step, or a warning where waiting is all there is to do.
func (p *probe) failWith(s Step, err error) {
	var e *atlassian.Error
	if !errors.As(err, &e) {
		p.d.fail(s, CodeOf(err), oneLine(err), "")
		return
	}
	if _, wait := e.WaitUntil(); wait {
		p.d.warn(s, e.Code, e.What, e.Next)
		return
	}
	p.d.fail(s, e.Code, e.What, e.Next)
}

// remembered reads what earlier runs found out: until when Atlassian is left
// alone, and on which route a credential is good.
func (p *probe) remembered() {
	now := p.d.o.Now()
	f := foldersOf(p.c.RunPath, p.c.Host())
	for _, product := range p.c.Products {
		last, err := readLastRun(f.lastRun(product))
		if err != nil {
			last = nil // the step "state" tells
		}
		k, err := lookUp(f, product, last, now)
		if err != nil {
			continue
		}
		p.routes[product] = k.position.Route
		if at := k.position.LiveAt; at != 0 {
			p.until[product] = time.UnixMilli(at)
		}
		if until := time.UnixMilli(k.position.WaitUntil); now.Before(until) && until.Sub(now) <= maxWait {
			p.waits[product] = waiting(until, k.position.WaitReason)
		}
	}
}

// reach goes to every host that is needed, without a credential.
func (p *probe) reach(ctx context.Context) {
	needed := p.c.Auth.Type != APIToken
	for i, u := range p.site.client.Origins() {
		p.hops = append(p.hops, p.hop(ctx, u, i > 0 && !needed))
	}
	if needed && !strings.EqualFold(p.c.AuthServer.Host, p.c.Site.Host) {
		p.hops = append(p.hops, p.hop(ctx, p.c.AuthServer.JoinPath("/"), false))
	}
}

func (p *probe) hop(ctx context.Context, u *url.URL, optional bool) hop {
	contact, err := p.site.client.Reach(ctx, u)
	h := hop{contact: contact, optional: optional}
	errors.As(err, &h.err)
	return h
}

// hosts tells how far each host was reached, and reports whether the site was.
func (p *probe) hosts(ctx context.Context) bool {
	p.dns()
	p.connection()
	p.proxy()
	p.tls()
	p.clock(ctx)
	return !slices.ContainsFunc(p.hops, func(h hop) bool { return h.err != nil && !h.optional })
}

// bad tells of the hops that failed with one of the codes, and reports whether
// there were any.
func (p *probe) bad(s Step, codes ...string) bool {
	found := false
	for _, h := range p.hops {
		if h.err == nil || !slices.Contains(codes, h.err.Code) {
			continue
		}
		found = true
		if h.optional {
			p.d.warn(s, h.err.Code, h.err.What, "this is needed for a token with scopes only: "+h.err.Next)
			continue
		}
		p.failWith(s, h.err)
	}
	return found
}

func (p *probe) dns() {
	s := p.step("dns")
	if p.bad(s, atlassian.CodeDNS) {
		return
	}
	var parts []string
	for _, h := range p.hops {
		switch {
		case h.contact.Resolved == "" && h.contact.Proxy == "":
			parts = append(parts, h.contact.Host+" is an address")
		case h.contact.Resolved == "" || len(h.contact.Addresses) == 0:
			parts = append(parts, h.contact.Host+" is left to the proxy")
		case h.contact.Proxy != "":
			parts = append(parts, fmt.Sprintf("the proxy %s is %s", h.contact.Resolved, h.contact.Addresses[0]))
		default:
			parts = append(parts, fmt.Sprintf("%s is %s", h.contact.Resolved, h.contact.Addresses[0]))
		}
	}
	slices.Sort(parts)
	p.d.pass(s, "%s", strings.Join(slices.Compact(parts), ", "))
}

func (p *probe) connection() {
	s := p.step("connection")
	if p.bad(s, atlassian.CodeNetwork, atlassian.CodeTimeout, atlassian.CodeInterrupted, atlassian.CodeBadRequest, atlassian.CodeUnavailable) {
		return
	}
	var hosts []string
	for _, h := range p.hops {
		if h.contact.Connected && !slices.Contains(hosts, h.contact.Host) {
			hosts = append(hosts, h.contact.Host)
		}
	}
	if len(hosts) == 0 {
		p.d.skip(s, "no connection was tried")
		return
	}
	p.d.pass(s, "made to %s", strings.Join(hosts, ", "))
}

func (p *probe) proxy() {
	s := p.step("proxy")
	if p.bad(s, atlassian.CodeProxy) {
		return
	}
	if p.c.Proxy.IsZero() {
		p.d.pass(s, "none is configured")
		return
	}
	var parts []string
	for _, h := range p.hops {
		if h.contact.Proxy == "" {
			parts = append(parts, "none for "+h.contact.Host)
		} else {
			parts = append(parts, fmt.Sprintf("%s for %s", h.contact.Proxy, h.contact.Host))
		}
	}
	p.d.pass(s, "%s (set by the %s)", strings.Join(parts, ", "), p.c.Proxy.Source)
}

func (p *probe) tls() {
	s := p.step("tls")
	if p.bad(s, atlassian.CodeTLS, atlassian.CodeClock) {
		return
	}
	var parts []string
	for _, h := range p.hops {
		if t := h.contact.TLS; t != nil && len(t.PeerCertificates) > 0 {
			cert := t.PeerCertificates[0]
			parts = append(parts, fmt.Sprintf("%s with %s, certificate by %s, good until %s", h.contact.Host, tls.VersionName(t.Version),
				firstOf(cert.Issuer.CommonName, "an unnamed authority"), cert.NotAfter.UTC().Format(time.DateOnly)))
		}
	}
	switch {
	case len(parts) == 0 && p.c.Site.Scheme == "http":
		p.d.pass(s, "not used: the site is %s on this machine", p.c.Site.Scheme+"://")
	case len(parts) == 0:
		p.d.skip(s, "no host was connected to")
	case !p.c.TLS.Verify:
		p.d.warn(s, atlassian.CodeTLS, "certificates are not verified (tls_verify: false): "+strings.Join(parts, "; "), "set tls_ca_cert instead")
	default:
		p.d.pass(s, "%s", strings.Join(parts, "; "))
	}
}

// clock compares this machine's clock with Atlassian's, also where a
// certificate that seems to be of another time kept that from being told.
func (p *probe) clock(ctx context.Context) {
	s := p.step("clock")
	skew, known := p.site.client.Skew()
	if !known {
		skew, known = p.clockUnverified(ctx)
	}
	switch {
	case !known:
		p.d.skip(s, "no answer told Atlassian's time")
	case skew.Abs() > clockTolerance:
		p.d.fail(s, atlassian.CodeClock, clockSentence(skew), "")
	default:
		p.d.pass(s, "within %s of Atlassian's", max(time.Second, skew.Abs().Round(time.Second)))
	}
}

// clockUnverified asks for the time only, without a credential, whatever the
// certificate says, where its time is what is wrong with it.
func (p *probe) clockUnverified(ctx context.Context) (time.Duration, bool) {
	if !slices.ContainsFunc(p.hops, func(h hop) bool {
		return h.err != nil && (h.err.Code == atlassian.CodeTLS || h.err.Code == atlassian.CodeClock)
	}) {
		return 0, false
	}
	lenient := *p.c
	lenient.TLS.Verify = false
	o := p.d.o.Options
	o.anonymous = true
	s, err := newSite(&lenient, o, "")
	if err != nil {
		return 0, false
	}
	defer s.client.Close()
	ctx, cancel := context.WithTimeout(ctx, p.c.Timeout)
	defer cancel()
	if _, err := s.client.Reach(ctx, p.c.Site.JoinPath("/_edge/tenant_info")); err != nil {
		return 0, false
	}
	return s.client.Skew()
}

// asked is what became of asking for one record of a product.
type asked struct {
	product audit.Product
	err     *atlassian.Error
	other   error // a failure of another kind
	records int
	route   string
}

// products asks for a record of each product, and tells step by step what that
// took.
func (p *probe) products(ctx context.Context) {
	if p.c.Auth.Type != APIToken {
		// Only tokens of this kind can be asked what they reach. Where that fails,
		// asking for a record tells the same.
		p.resources, _ = p.site.client.Resources(ctx)
	}
	var all []asked
	for _, product := range p.c.Products {
		if why := p.waits[product]; why != "" {
			all = append(all, asked{product: product, err: &atlassian.Error{Code: atlassian.CodeQuota, What: why, Next: "nothing: the check goes on by itself", Until: p.d.o.Now()}})
			continue
		}
		source := p.site.client.Source(product, p.cloudID, p.routes[product])
		page, err := source.Page(ctx, audit.Query{From: -1, Limit: 1})
		a := asked{product: product, records: len(page.Records), route: source.Route()}
		if err != nil && !errors.As(err, &a.err) {
			a.other = err
		}
		if a.err != nil {
			a.err = a.err.AcceptedUntil(p.until[product])
		}
		all = append(all, a)
	}
	for _, a := range all {
		p.ask(ctx, &a, all)
		p.tell(a)
	}
	for _, w := range p.site.warnings() {
		p.d.warn(p.step(stepToken), CodeMachine, w, "")
	}
}

// ask asks further where Atlassian's answer leaves open what is wrong.
func (p *probe) ask(ctx context.Context, a *asked, all []asked) {
	if a.err == nil {
		return
	}
	switch a.err.Code {
	case atlassian.CodeNotAdmin:
		if a.product != audit.Jira {
			return
		}
		admin, err := p.site.client.AdministersJira(ctx, p.cloudID, a.route)
		switch {
		case err != nil: // it stays open
		case admin:
			a.err.What += "; Jira says that the account does have the permission Administer Jira, so that is not the cause"
			a.err.Next = "check that the site is on a paid plan, and that the account may use Jira"
		default:
			a.err.What += "; Jira confirms that the account does not have the permission Administer Jira"
			a.err.Next = "give it the global permission Administer Jira"
		}
	case atlassian.CodeUnauthorized, atlassian.CodeExpired, atlassian.CodeScope, atlassian.CodeNotFound, atlassian.CodeNoProductAccess:
		if p.elsewhere(a) {
			return
		}
		for _, other := range all {
			if other.product != a.product && other.err == nil && other.other == nil && other.route == atlassian.RouteGateway && p.c.Auth.Type == APIToken {
				a.err.Next = fmt.Sprintf("the same token is accepted for %s: a token with scopes is made for one product, so give %s an instance and a token of its own; otherwise %s",
					other.product, a.product, a.err.Next)
			}
		}
	}
}

// elsewhere sharpens a refusal by what the token says that it reaches.
func (p *probe) elsewhere(a *asked) bool {
	if len(p.resources) == 0 {
		return false
	}
	at := slices.IndexFunc(p.resources, func(r atlassian.Resource) bool { return r.CloudID == p.cloudID })
	if at < 0 {
		var sites []string
		for _, r := range p.resources {
			sites = append(sites, r.URL)
		}
		a.err = &atlassian.Error{Code: atlassian.CodeCloudID, Person: true,
			What: fmt.Sprintf("the token is good, but not for %s: it reaches %s", p.c.Host(), strings.Join(sites, ", ")),
			Next: "correct `site`, or use a credential that was made for this one"}
		return true
	}
	missing := missingScopes(a.product, p.resources[at].Scopes)
	if len(missing) == 0 {
		return false
	}
	a.err.Code = atlassian.CodeScope
	a.err.What = fmt.Sprintf("the token lacks the scope %s", strings.Join(missing, " and "))
	return true
}

// missingScopes are those that a token lacks for a product, of the list of which
// it lacks the fewest.
func missingScopes(p audit.Product, has []string) []string {
	var least []string
	for i, needs := range atlassian.Needs(string(p)) {
		var missing []string
		for _, scope := range needs {
			if !slices.Contains(has, scope) {
				missing = append(missing, scope)
			}
		}
		if i == 0 || len(missing) < len(least) {
			least = missing
		}
	}
	return least
}

// tell turns what became of one question into the steps that it went through.
func (p *probe) tell(a asked) {
	at := func(name string) Step { return Step{Name: name, Instance: p.c.Host(), Product: a.product} }
	code, failed := "", len(recordSteps)
	switch {
	case a.err != nil:
		code = a.err.Code
		failed = slices.Index(recordSteps, p.stage(code))
	case a.other != nil:
		code, failed = CodeOf(a.other), len(recordSteps)-1
	}
	for i, name := range recordSteps {
		switch {
		case i == failed && a.err != nil:
			p.failWith(at(name), a.err)
		case i == failed:
			p.d.fail(at(name), code, oneLine(a.other), "")
		case i > failed:
			p.d.skip(at(name), "%s comes first", recordSteps[failed])
		case failed == len(recordSteps)-1:
			p.d.skip(at(name), "no answer told")
		case name == stepPermission && failed > i && failed < len(recordSteps):
			p.d.skip(at(name), "Atlassian answers about the plan first")
		default:
			p.good(at(name), a)
		}
	}
}

func (p *probe) stage(code string) string {
	if code == atlassian.CodeCloudID {
		return stepToken // what elsewhere found: the site itself is known by now
	}
	return stepOf(code)
}

// good is a step that the answer passed.
func (p *probe) good(s Step, a asked) {
	switch s.Name {
	case stepToken:
		p.goodToken(s, a)
	case stepScopes:
		switch {
		case p.c.Auth.Type != APIToken && len(p.resources) > 0:
			var scopes []string
			for _, r := range p.resources {
				if r.CloudID == p.cloudID {
					scopes = r.Scopes
				}
			}
			p.d.pass(s, "%s", strings.Join(scopes, ", "))
		case a.route == atlassian.RouteSite:
			p.d.pass(s, "the token has none to lack")
		default:
			p.d.pass(s, "they suffice")
		}
	case stepPermission:
		p.d.pass(s, "the account may read the audit log")
	case stepPlan:
		p.d.pass(s, "it has an audit log")
	case stepRecord:
		if a.records == 0 {
			p.d.warn(s, atlassian.CodeInvalidAnswer, "the answer is good, but an empty list: nothing was ever recorded, or its retention has removed all",
				"change something that is recorded, such as a group, and look again")
			return
		}
		p.d.pass(s, "one was read")
	}
}

func (p *probe) goodToken(s Step, a asked) {
	where := "the gateway"
	if a.route == atlassian.RouteSite {
		where = "the site's own host"
	}
	text := "accepted by " + where
	if shown := p.c.ExpiryShown(p.d.o.Now()); shown != "" {
		text += "; it " + shown
	}
	if status, _ := p.c.ExpiryNotice(p.d.o.Now()); status != StatusOK {
		p.d.warn(s, CodeExpiring, text, "")
		return
	}
	p.d.pass(s, "%s", text)
}
