package check

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/pkg/atlassian"
	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/shared"
)

// inquiry is the asking of one instance.
type inquiry struct {
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

func (p *inquiry) step(name string) Step { return Step{Name: name, Instance: p.c.Name()} }

// site asks Atlassian about one instance.
func (d *diagnosis) site(ctx context.Context, in Instance) {
	p := &inquiry{d: d, c: in.Config, waits: map[audit.Product]string{}, routes: map[audit.Product]string{}, until: map[audit.Product]time.Time{}}
	if p.c.asked() == nil {
		p.skipFrom("dns", "the site is a handle of the Agent's secret management, which only the Agent can resolve")
		return
	}
	p.remembered()
	if len(p.waits) == len(p.c.Products) {
		text, code := waitOfRun(p.waits[p.c.Products[0]])
		p.d.warn(p.step("wait"), code, text, "nothing: the check goes on by itself")
		p.skipFrom("dns", "Atlassian wants to be left alone for now")
		return
	}
	o := d.o.Options
	if p.c.Shared != nil {
		var done func()
		o, done = p.shared(ctx, o)
		defer done()
	}
	o.anonymous = len(p.c.Auth.secrets()) == 0
	s, err := newSite(p.c, o, foldersOf(p.c.RunPath, p.c.Name()).base)
	if err != nil {
		d.fail(p.step("connection"), CodeMachine, err.Error(), "correct the option that it names")
		p.skipFrom("tls", "no connection can be made")
		return
	}
	p.site = s
	defer s.client.Close()
	if p.c.AuditLogPath != "" {
		for _, name := range siteSteps[:slices.Index(siteSteps, stepToken)] {
			d.skip(p.step(name), "the audit log files in %s are read, and nothing is asked of the site", p.c.AuditLogPath)
		}
		p.products(ctx)
		return
	}
	p.reach(ctx)
	if !p.hosts(ctx) {
		p.skipFrom("site", p.unreached()+" was not reached")
		return
	}
	if p.c.Deployment == Organisation {
		d.pass(p.step("site"), "it is an organisation, asked about at %s", p.c.asked().Host)
	} else if p.c.Deployment == DataCenter {
		d.pass(p.step("site"), "%s is said to be a Data Center, and answers", p.c.Name())
	} else if p.cloudID, err = s.client.CloudID(ctx); err != nil {
		p.failWith(p.step("site"), err)
		p.skipFrom(stepToken, "the site is not known")
		return
	} else {
		d.pass(p.step("site"), "%s is a Cloud site, cloudId %s", p.c.Host(), p.cloudID)
	}
	if o.anonymous {
		p.skipFrom(stepToken, "the credential is a handle of the Agent's secret management, which only the Agent can resolve: `datadog-agent check atlassian_audit_records` runs with it")
		return
	}
	p.products(ctx)
}

// shared looks at what machines share of the site, and changes nothing there. The
// answer are the options with which the rest is asked.
func (p *inquiry) shared(ctx context.Context, o Options) (Options, func()) {
	step := p.step(stepShared)
	o, b, err := withVault(ctx, p.c, o)
	if err != nil {
		p.d.fail(step, CodeShared, oneLine(err), "see that the store can be reached from here, and that what it says is mended")
		return o, func() {}
	}
	done := func() { _ = b.Close() } // nothing was written
	ctx, cancel := context.WithTimeout(ctx, sharedTime)
	defer cancel()
	place := shared.Site(b, foldersOf(p.c.RunPath, p.c.Name()).host, p.d.o.Now)
	for _, product := range p.c.Products {
		step.Product = product
		head, err := place.Head(ctx, product)
		switch {
		case err != nil:
			p.d.fail(step, CodeOf(err), oneLine(err), "see that the store can be reached from here, and that what it says is mended")
		case head == nil:
			p.d.pass(step, "%s answers; nothing is shared yet", p.c.Shared.store().Name())
		default:
			p.d.pass(step, "%s answers; %s wrote there at %s what was delivered", p.c.Shared.store().Name(), head.Host, time.UnixMilli(head.Written).UTC().Format(time.RFC3339))
		}
	}
	return o, done
}

// waitOfRun is the reason of a wait, as a run kept it, and its code.
func waitOfRun(why string) (text, code string) {
	if m := endingCode().FindStringSubmatch(why); m != nil {
		return strings.TrimSuffix(why, m[0]), m[1]
	}
	return why, atlassian.CodeQuota
}

// stepShared is about the store that machines share; it is there where one is.
const stepShared = "shared_state"

// siteSteps are the steps about one instance, in their order.
var siteSteps = append([]string{"dns", "connection", "tls", "proxy", "clock", "site"}, recordSteps...)

// skipFrom skips the steps from one on.
func (p *inquiry) skipFrom(name, why string) {
	at := slices.Index(siteSteps, name)
	for _, s := range siteSteps[at:] {
		p.d.skip(p.step(s), "%s", why)
	}
}

// failWith is a failed step, or a warning where waiting is all there is to do.
func (p *inquiry) failWith(s Step, err error) {
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
func (p *inquiry) remembered() {
	now := p.d.o.Now()
	f := foldersOf(p.c.RunPath, p.c.Name())
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
func (p *inquiry) reach(ctx context.Context) {
	if p.c.Deployment == DataCenter {
		p.hops = []hop{p.hop(ctx, p.site.client.Origins()[0], false)}
		return
	}
	needed := p.c.Auth.Type != APIToken && p.c.Deployment == Cloud
	for i, u := range p.site.client.Origins() {
		p.hops = append(p.hops, p.hop(ctx, u, i > 0 && !needed))
	}
	if needed && !strings.EqualFold(p.c.AuthServer.Host, p.c.asked().Host) {
		p.hops = append(p.hops, p.hop(ctx, p.c.AuthServer.JoinPath("/"), false))
	}
}

func (p *inquiry) hop(ctx context.Context, u *url.URL, optional bool) hop {
	contact, err := p.site.client.Reach(ctx, u)
	h := hop{contact: contact, optional: optional}
	errors.As(err, &h.err)
	return h
}

// hosts tells how far each host was reached, and reports whether the site was.
func (p *inquiry) hosts(ctx context.Context) bool {
	p.dns()
	p.connection()
	p.tls()
	p.proxy()
	p.clock(ctx)
	return !slices.ContainsFunc(p.hops, func(h hop) bool { return h.err != nil && !h.optional })
}

// unreached are the hosts that are needed and were not reached: the site's, or
// another's.
func (p *inquiry) unreached() string {
	var hosts []string
	for _, h := range p.hops {
		if h.err != nil && !h.optional && !slices.Contains(hosts, h.contact.Host) {
			hosts = append(hosts, h.contact.Host)
		}
	}
	return strings.Join(hosts, ", ")
}

// bad tells of the hops that failed with one of the codes, and reports whether
// there were any.
func (p *inquiry) bad(s Step, codes ...string) bool {
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

func (p *inquiry) dns() {
	s := p.step("dns")
	if p.bad(s, atlassian.CodeDNS) {
		return
	}
	var parts []string
	for _, h := range p.hops {
		switch {
		case h.contact.Resolved == "" && h.contact.Proxy == "" && net.ParseIP(hostOf(h.contact.Host)) != nil:
			parts = append(parts, h.contact.Host+" is an address")
		case h.contact.Resolved == "" && h.contact.Proxy == "":
			parts = append(parts, h.contact.Host+" needed no look-up")
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

// hostOf is a host without its port.
func hostOf(host string) string { return (&url.URL{Host: host}).Hostname() }

func (p *inquiry) connection() {
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

func (p *inquiry) proxy() {
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

func (p *inquiry) tls() {
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
	case len(parts) == 0 && p.c.asked().Scheme == "http":
		p.d.pass(s, "not used: the site is %s on this machine", p.c.asked().Scheme+"://")
	case len(parts) == 0:
		p.d.skip(s, "there was no connection to a host")
	case !p.c.TLS.Verify:
		p.d.warn(s, atlassian.CodeTLS, "certificates are not verified (tls_verify: false): "+strings.Join(parts, "; "), "set tls_ca_cert instead")
	default:
		p.d.pass(s, "%s", strings.Join(parts, "; "))
	}
}

// clock compares this machine's clock with Atlassian's, also where a
// certificate that seems to be of another time kept that from being told.
func (p *inquiry) clock(ctx context.Context) {
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
func (p *inquiry) clockUnverified(ctx context.Context) (time.Duration, bool) {
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
	if _, err := s.client.Reach(ctx, s.client.Origins()[0]); err != nil {
		return 0, false
	}
	return s.client.Skew()
}
