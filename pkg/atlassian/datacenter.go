package atlassian

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// The resources of which a Data Center has one or the other.
const (
	// RouteEvents is /rest/auditing/1.0/events: Jira from 8.8, Confluence from 7.5.
	RouteEvents = "events"
	// RouteRecords is what was there before: /rest/api/2/auditing/record of Jira
	// (removed in 10.0), /rest/api/audit of Confluence.
	RouteRecords = "records"
)

// DataCenter is the audit log of one product on Data Center. It is for one
// caller, but Asked may be called while a question is under way.
//
// Documented: from and to, in ISO 8601 with a zone; offset, limit and pageCursor;
// no id; a search of the audit log is itself an event. Observed: newest first;
// a cursor is the date and the number of the last row of a page, so that reading
// on by it is not disturbed by what arrives; the links in an answer leave the
// bounds out, and begin with the base URL that the program believes in.
type DataCenter struct {
	*searches
	c     *Client
	name  audit.Product
	route string
	// next is where the last page of the events ends; noCursor is true once a
	// cursor did not do what it should.
	next                          follow
	noCursor                      bool
	requests, throttled, lastBody int
}

// follow is the question behind a page, and the cursor by which to ask it.
type follow struct {
	q      audit.Query
	cursor string
	oldest int64
}

// DataCenterOptions are what is known of a product on Data Center.
type DataCenterOptions struct {
	Product audit.Product
	// Account is the user name that the credential belongs to, as far as it is
	// known: searches by others are never taken for our own.
	Account string
	// Route is the route that was found out earlier, or empty.
	Route string
	// Asked are the questions that an earlier run remembered.
	Asked []audit.Asked
}

// DataCenter is the audit log of a product whose base URL is the client's site.
func (c *Client) DataCenter(o DataCenterOptions) *DataCenter {
	s := &DataCenter{c: c, name: o.Product, searches: newSearches(o.Account, o.Asked, c.Now, c.timeout)}
	if o.Route == RouteEvents || o.Route == RouteRecords {
		s.route = o.Route
	}
	return s
}

// Route is the resource in use: RouteEvents or RouteRecords, empty as long as
// neither answered.
func (s *DataCenter) Route() string { return s.route }

// Requests is the number of HTTP requests sent so far, each attempt counted.
func (s *DataCenter) Requests() int { return s.requests }

// Throttled is how many of them were answered with a request to wait.
func (s *DataCenter) Throttled() int { return s.throttled }

// Page asks one question. The records come in the order of the answer; their
// bytes share the memory of the whole answer. An error is an *Error.
//
// Which resource there is is found out with the first answer. Once the events
// answered, nothing else is ever asked: the records of the older resource have
// other identities, so that changing over repeats some.
func (s *DataCenter) Page(ctx context.Context, q audit.Query) (audit.Page, error) {
	if s.c.authed == nil {
		return audit.Page{}, &Error{Code: CodeCredential, Person: true, Site: s.c.name, Product: s.name,
			What: "there is no credential to ask with", Next: "set `auth`"}
	}
	if q.Limit <= 0 || q.Limit > maxLimit {
		q.Limit = maxLimit
	}
	route, other := RouteEvents, RouteRecords
	if s.route == RouteRecords {
		route, other = other, route
	}
	page, err := s.ask(ctx, route, q)
	if err == nil {
		s.route = route
		return page, nil
	}
	if err.Code != CodeNotFound {
		return audit.Page{}, err
	}
	err.Next = "check that `site` is the product's base URL, its context path included (such as https://jira.example.com/jira), " +
		"and that `products` names what is there"
	if s.route == RouteEvents {
		return audit.Page{}, err
	}
	page, otherErr := s.ask(ctx, other, q)
	switch {
	case otherErr == nil:
		s.route = other
		return page, nil
	case otherErr.Code == CodeNotFound:
		return audit.Page{}, err
	}
	return audit.Page{}, otherErr
}

func (s *DataCenter) ask(ctx context.Context, route string, q audit.Query) (audit.Page, *Error) {
	if route == RouteRecords {
		return s.askRecords(ctx, q)
	}
	cursor := ""
	if n := s.next; !s.noCursor && n.cursor != "" && n.q.From == q.From && n.q.To == q.To && n.q.Bounded == q.Bounded && n.q.Offset == q.Offset {
		cursor = n.cursor
	}
	page, next, err := s.askEvents(ctx, q, cursor)
	if cursor != "" && (err != nil && err.Code == CodeBadRequest || err == nil && above(page.Records, s.next.oldest)) {
		// The cursor is not understood, or leads elsewhere: counting will do.
		s.noCursor = true
		page, next, err = s.askEvents(ctx, q, "")
	}
	if err != nil {
		return audit.Page{}, err
	}
	if len(page.Records) > 0 {
		q.Offset += len(page.Records)
		s.next = follow{q: q, cursor: next, oldest: oldest(page.Records)}
	}
	if below(page.Records, q.From) {
		// Behind a cursor the lower bound may not hold. A page of nothing that was
		// asked for is the end.
		page.Records = nil
	}
	return page, nil
}

// askRecords asks the older resource, whose answers are like the Cloud's.
func (s *DataCenter) askRecords(ctx context.Context, q audit.Query) (audit.Page, *Error) {
	p, path := jira(), "/rest/api/2/auditing/record"
	if s.name == audit.Confluence {
		p, path = confluence(), "/rest/api/audit"
	}
	page, err := s.send(ctx, path, p.query(q), p.layout, q.Limit, nil)
	if err == nil && s.name == audit.Jira {
		page.Records = jiraCut(q, page.Records)
	}
	return page, err
}

const eventsPath = "/rest/auditing/1.0/events"

func (s *DataCenter) askEvents(ctx context.Context, q audit.Query, cursor string) (page audit.Page, next string, err *Error) {
	v := url.Values{"limit": {strconv.Itoa(q.Limit)}, "offset": {strconv.Itoa(q.Offset)}}
	if cursor != "" {
		v.Set("offset", "0")
		v.Set("pageCursor", cursor)
	}
	if q.From >= 0 {
		v.Set("from", time.UnixMilli(min(q.From, maxMillis)).UTC().Format(jiraTime))
	}
	if q.Bounded {
		v.Set("to", time.UnixMilli(min(q.To, maxMillis)).UTC().Format(jiraTime))
	}
	s.begin()
	page, err = s.send(ctx, eventsPath, v, entityLayout(), q.Limit, func(body []byte) { next = nextCursor(body) })
	count := len(page.Records)
	if err != nil {
		count = -1
	}
	s.answered(count)
	for i := range page.Records {
		page.Records[i].Own = s.own(&page.Records[i])
	}
	return page, next, err
}

// send asks and decodes; also sees the body of a good answer.
func (s *DataCenter) send(ctx context.Context, path string, v url.Values, l layout, want int, also func(body []byte)) (audit.Page, *Error) {
	u := s.c.site.JoinPath(path)
	u.RawQuery = v.Encode()
	limit := int64(maxBody)
	if want == 1 {
		limit = maxBodyOfOne
	}
	var page audit.Page
	a, err := s.c.do(ctx, question{
		client:   s.c.authed,
		product:  s.name,
		url:      u,
		maxBody:  limit,
		sizeHint: s.lastBody,
		sent: func() {
			s.requests++
			if path == eventsPath {
				s.sent()
			}
		},
		waited: func() { s.throttled++ },
		decode: func(body []byte) (err error) {
			page.Records, page.Limit, err = decodePage(body, l, want)
			if err == nil && also != nil {
				also(body)
			}
			return err
		},
	})
	if err != nil {
		if err.Status == http.StatusUnauthorized || err.Status == http.StatusForbidden {
			s.next = follow{}
		}
		return audit.Page{}, err
	}
	s.lastBody = a.size
	if a.user != "" {
		s.signedIn = a.user
	}
	page.Date = a.date
	return page, nil
}

// nextCursor is the cursor behind the page that body holds; empty where there is
// none. A link is never followed, for its host is not to be trusted and its
// bounds are missing: of one that comes alone the cursor is taken.
func nextCursor(body []byte) string {
	info := fieldOf(body, "pagingInfo").raw
	if len(info) == 0 || info[0] != '{' || string(fieldOf(info, "lastPage").raw) == "true" {
		return ""
	}
	if cursor, ok := unquote(fieldOf(info, "nextPageCursor").raw); ok {
		return cursor
	}
	link, _ := unquote(fieldOf(info, "nextPageLink").raw)
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	return u.Query().Get("pageCursor")
}

// above reports whether a record is newer than ms.
func above(records []audit.Record, ms int64) bool {
	for _, r := range records {
		if r.Dated && r.Millis > ms {
			return true
		}
	}
	return false
}

// below reports whether there are records and all are older than ms.
func below(records []audit.Record, ms int64) bool {
	for _, r := range records {
		if !r.Dated || r.Millis >= ms {
			return false
		}
	}
	return len(records) > 0
}

// oldest is the least date among the records; the future where none has one.
func oldest(records []audit.Record) int64 {
	ms := maxMillis
	for _, r := range records {
		if r.Dated {
			ms = min(ms, r.Millis)
		}
	}
	return ms
}
