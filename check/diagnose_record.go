package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
		atlassian.CodeInvalidAnswer, atlassian.CodeTooLarge, atlassian.CodeAuditLog, CodeMachine:
		return stepRecord
	}
	return stepToken
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
func (p *inquiry) products(ctx context.Context) {
	var all []asked
	var wait *atlassian.Error
	if p.c.Deployment == Cloud && p.c.Auth.Type != APIToken {
		// Only tokens of this kind can be asked what they reach. Where that fails,
		// asking for a record tells the same, unless it is to be left alone.
		var err error
		p.resources, err = p.site.client.Resources(ctx)
		if errors.As(err, &wait) && wait.Until.IsZero() {
			wait = nil
		}
	}
	for _, product := range p.c.Products {
		if wait != nil {
			all = append(all, asked{product: product, err: wait})
			continue
		}
		if why := p.waits[product]; why != "" {
			text, code := waitOfRun(why)
			all = append(all, asked{product: product, err: &atlassian.Error{Code: code, What: text, Next: "nothing: the check goes on by itself", Until: p.d.o.Now()}})
			continue
		}
		source := p.site.endpoint(p.c, product, p.cloudID, audit.Position{Route: p.routes[product]})
		page, err := source.Page(ctx, audit.Query{From: -1, Limit: 1, Newest: true})
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
func (p *inquiry) ask(ctx context.Context, a *asked, all []asked) {
	if a.err == nil {
		return
	}
	switch a.err.Code {
	case atlassian.CodeNotAdmin:
		if a.product != audit.Jira || p.c.Deployment == DataCenter {
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
func (p *inquiry) elsewhere(a *asked) bool {
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
			What: fmt.Sprintf("the token is good, but not for %s: it reaches %s", p.c.Name(), strings.Join(sites, ", ")),
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
func (p *inquiry) tell(a asked) {
	at := func(name string) Step { return Step{Name: name, Instance: p.c.Name(), Product: a.product} }
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
		case p.c.AuditLogPath != "" && name != stepRecord:
			p.d.skip(at(name), "the audit log files are read, which takes no credential")
		case p.c.Deployment == DataCenter && (name == stepScopes || name == stepPlan) && i < failed:
			p.d.skip(at(name), "Data Center has none")
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

func (p *inquiry) stage(code string) string {
	if code == atlassian.CodeCloudID {
		return stepToken // what elsewhere found: the site itself is known by now
	}
	return stepOf(code)
}

// good is a step that the answer passed.
func (p *inquiry) good(s Step, a asked) {
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

func (p *inquiry) goodToken(s Step, a asked) {
	where := "the gateway"
	switch a.route {
	case atlassian.RouteSite:
		where = "the site's own host"
	case atlassian.RouteEvents, atlassian.RouteRecords:
		where = "the product"
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
