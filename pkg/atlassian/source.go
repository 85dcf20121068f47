package atlassian

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"

	"atlassian_audit_records/pkg/audit"
)

const (
	// maxLimit is the largest page: what Atlassian caps a page at (observed).
	maxLimit = 1000
	// maxBody bounds an answer's body, and maxBodyOfOne that of an answer with a
	// single record, which cannot be asked for in smaller pieces.
	maxBody      = 8 << 20
	maxBodyOfOne = 16 << 20
)

// product is what differs between the products.
type product struct {
	// name is the name for people; permission and scopes are what a credential
	// needs, for sentences.
	name, permission, scopes string
	// sitePath is the resource below the site, and below <gateway>/ex/<gateway>/<cloudId>.
	sitePath, gateway string
	query             func(audit.Query) url.Values
	layout            layout
}

func productOf(p audit.Product) (product, bool) {
	switch p {
	case audit.Jira:
		return jira(), true
	case audit.Confluence:
		return confluence(), true
	case audit.Organization:
		return organization(), true
	}
	return product{}, false
}

// Source is one product's audit log on one site. It is not safe for concurrent
// use; several sources of one client are.
type Source struct {
	c       *Client
	name    audit.Product
	product product
	known   bool
	cloudID string
	route   string
	// tried is true once another route was tried; accepted once an answer
	// showed that the credential works where it is.
	tried, accepted     bool
	requests, throttled atomic.Int64
	lastBody            int
	prefetching
}

// Source is the audit log of a product. cloudID may be empty as long as the
// gateway is not used. route is the route that was found out earlier, or
// empty: a route on which the credential cannot be used is ignored.
func (c *Client) Source(p audit.Product, cloudID, route string) *Source {
	s := &Source{c: c, name: p, cloudID: cloudID, route: route}
	s.product, s.known = productOf(p)
	if c.credential != nil && !slices.Contains(c.credential.Routes(), route) {
		s.route = c.credential.Routes()[0]
	}
	return s
}

// Route is the route in use: RouteSite or RouteGateway. It is worth keeping
// after a Page without error.
func (s *Source) Route() string { return s.route }

// Requests is the number of HTTP requests sent to the audit API so far, each
// attempt counted, requests for tokens and the cloudId not.
func (s *Source) Requests() int { return int(s.requests.Load()) }

// Throttled is how many of them were answered with a request to wait.
func (s *Source) Throttled() int { return int(s.throttled.Load()) }

// Page asks one question. The records come in the order of the answer; their
// bytes share the memory of the whole answer. An error is an *Error.
//
// Where the credential may be used on two routes and is refused as unknown on
// the one in use, the other is tried, once in the source's lifetime.
func (s *Source) Page(ctx context.Context, q audit.Query) (audit.Page, error) {
	if !s.known {
		return audit.Page{}, &Error{Code: CodeBadRequest, Person: true, Site: s.c.name, Product: s.name,
			What: "there is no such product to collect", Next: "use jira or confluence"}
	}
	if s.c.authed == nil {
		return audit.Page{}, &Error{Code: CodeCredential, Person: true, Site: s.c.name, Product: s.name,
			What: "there is no credential to ask with", Next: "set `auth`"}
	}
	if (s.name == audit.Organization) != (s.c.organization != "") {
		return audit.Page{}, &Error{Code: CodeBadRequest, Person: true, Site: s.c.name, Product: s.name,
			What: "an organisation has no products, and a site no log of the organisation", Next: "check `site`, `organization` and `products`"}
	}
	q.Limit = limitOf(q)
	page, err := s.ask(ctx, s.route, q)
	if err == nil || !err.refusedHere() || s.tried || s.accepted {
		return s.result(page, err)
	}
	other, ok := s.otherRoute()
	if !ok {
		return s.result(page, err)
	}
	s.tried = true
	otherPage, otherErr := s.ask(ctx, other, q)
	switch {
	case otherErr == nil || otherErr.Status == http.StatusForbidden && otherErr.Code != CodeUnauthorized:
		// Accepted, or known there but not allowed: it belongs there.
		s.route = other
	case otherErr.Code == CodeScope || !otherErr.Person:
		// The more telling of two refusals; or undecided until the next run.
	case !otherErr.refusedHere():
		if other == RouteGateway {
			err.Code = CodeWrongHost
			err.What = fmt.Sprintf("the site's own host does not accept the token (status %d), and the gateway, where scoped tokens belong, could not be asked: %s", err.Status, otherErr.What)
			err.Next = "if the token has scopes, check `gateway`, and that this machine reaches it; if it has none, " + err.Next
			return s.result(page, err)
		}
		err.Next += "; the " + other + " could not be tried: " + otherErr.What
		return s.result(page, err)
	default:
		return s.result(page, err)
	}
	return s.result(otherPage, otherErr)
}

// limitOf is how many records are asked for.
func limitOf(q audit.Query) int {
	if q.Limit <= 0 || q.Limit > maxLimit {
		return maxLimit
	}
	return q.Limit
}

func (s *Source) result(p audit.Page, err *Error) (audit.Page, error) {
	if err != nil {
		return audit.Page{}, err
	}
	s.accepted = true
	return p, nil
}

func (s *Source) otherRoute() (string, bool) {
	for _, r := range s.c.credential.Routes() {
		if r != s.route && (r != RouteGateway || s.cloudID != "") {
			return r, true
		}
	}
	return "", false
}

func (s *Source) ask(ctx context.Context, route string, q audit.Query) (audit.Page, *Error) {
	u, err := s.address(route)
	if err != nil {
		return audit.Page{}, err
	}
	u.RawQuery = s.product.query(q).Encode()
	var page audit.Page
	asked := s.question(u, q.Limit)
	asked.before = s.prefetched(ctx, asked)
	asked.arrived = s.whenArrived(route)
	asked.decode = func(body []byte) (err error) {
		if s.name == audit.Organization {
			page, err = decodeEvents(body, q.Limit)
			return err
		}
		page.Records, page.Limit, err = decodePage(body, s.product.layout, q.Limit)
		return err
	}
	a, err := s.c.do(ctx, asked)
	if err != nil {
		return audit.Page{}, cursorRefused(q, err)
	}
	if s.name == audit.Jira {
		page.Records = jiraCut(q, page.Records)
	}
	s.lastBody, s.largest = a.size, max(s.largest, a.size)
	page.Date = a.date
	return page, nil
}

// question asks for at most so many records at an address.
func (s *Source) question(u *url.URL, records int) question {
	limit := int64(maxBody)
	if records == 1 {
		limit = maxBodyOfOne
	}
	return question{
		client:   s.c.authed,
		product:  s.name,
		url:      u,
		maxBody:  limit,
		sizeHint: s.lastBody,
		sent:     func() { s.requests.Add(1) },
		waited:   func() { s.throttled.Add(1) },
	}
}

// address is the resource on a route.
func (s *Source) address(route string) (*url.URL, *Error) {
	if s.name == audit.Organization {
		return s.c.gateway.JoinPath("admin/v1/orgs", s.c.organization, "events-stream"), nil
	}
	return s.addressOf(route, s.product.sitePath)
}

// addressOf is a resource of the product's on a route.
func (s *Source) addressOf(route, sitePath string) (*url.URL, *Error) {
	if route == RouteSite {
		return s.c.site.JoinPath(sitePath), nil
	}
	if !isUUID(s.cloudID) {
		return nil, &Error{Code: CodeCloudID, Person: true, Site: s.c.name, Product: s.name,
			What: "the gateway cannot be asked without the site's cloudId",
			Next: "check `site`: it must be the address of an existing Atlassian Cloud site"}
	}
	return s.c.gateway.JoinPath("ex", s.product.gateway, s.cloudID, sitePath), nil
}

// describe is how sentences name what was asked.
func (q question) describe() string {
	if q.subject != "" {
		return q.subject
	}
	if p, ok := productOf(q.product); ok {
		return fmt.Sprintf("%s's audit log", p.name)
	}
	return "the site's cloudId"
}
