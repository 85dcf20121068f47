package atlassiantest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// DataCenter describes a Data Center: each product is a program of its own, with
// a base URL of its own, and there is neither a gateway nor a cloudId. The zero
// value is complete.
type DataCenter struct {
	// Paths are the products that there are, each with its context path: "/jira",
	// "" for none. Both with their names by default.
	Paths map[string]string
	// Old leaves out /rest/auditing/1.0 (Jira from 8.8, Confluence from 7.5 on) and
	// has the resources that were there before: /rest/api/2/auditing/record and
	// /rest/api/audit.
	Old bool
	// NoManifest closes the manifest of the application links, as administrators
	// may.
	NoManifest bool
	// BaseURL is what the program believes its origin to be: behind a proxy not
	// the one that it is reached by. "http://internal.example.com:8080" by default.
	BaseURL string
	// Username and Password are good for Basic authentication, PersonalToken as a
	// bearer token.
	Username, Password, PersonalToken string
}

const eventsPath = "/rest/auditing/1.0/events"

// What a product says of itself to anybody: the manifest of its application
// links, and Jira's server info.
const (
	manifestPath   = "/rest/applinks/1.0/manifest"
	serverInfoPath = "/rest/api/2/serverInfo"
)

// serverInfo answers either. Version is made up; the shapes are the real ones.
func (d *DataCenter) serverInfo(i RequestInfo) reply {
	version := map[bool]map[string]string{
		false: {Jira: "10.3.2", Confluence: "9.2.1"}, true: {Jira: "8.5.1", Confluence: "7.4.0"},
	}[d.Old][i.Product]
	base := d.BaseURL + d.Paths[i.Product]
	if strings.HasSuffix(i.Path, serverInfoPath) {
		return jsonReply(http.StatusOK, map[string]any{
			"baseUrl": base, "version": version, "deploymentType": "Server", "serverTitle": "Simulated Jira",
		})
	}
	if d.NoManifest {
		return htmlReply(http.StatusNotFound, "<html><head><title>Oops, you've found a dead link.</title></head></html>")
	}
	return jsonReply(http.StatusOK, map[string]any{
		"id": "11223344-a1b2-3c33-8d44-5566778899aa", "name": "Simulated", "typeId": i.Product, "version": version,
		"url": base, "iconUrl": base + "/favicon.ico", "publicSignup": false,
	})
}

func (d *DataCenter) withDefaults() *DataCenter {
	if d == nil {
		return nil
	}
	out := *d
	if len(out.Paths) == 0 {
		out.Paths = map[string]string{Jira: "/" + Jira, Confluence: "/" + Confluence}
	}
	for _, f := range []struct {
		field *string
		value string
	}{
		{&out.BaseURL, "http://internal.example.com:8080"},
		{&out.Username, DefaultUsername},
		{&out.Password, DefaultPassword},
		{&out.PersonalToken, DefaultPersonal},
	} {
		if *f.field == "" {
			*f.field = f.value
		}
	}
	return &out
}

// events tells whether records are kept as entities.
func (d *DataCenter) events() bool { return d != nil && !d.Old }

var eventsForm = form{dateKey: "timestamp", dateBefore: "author", dateQuoted: true, events: true}

func (d *DataCenter) form(cloud form) form {
	if d.events() {
		return eventsForm
	}
	return cloud
}

// identify tells what a request to a Data Center is about.
func (d *DataCenter) identify(i *RequestInfo) {
	for _, product := range []string{Jira, Confluence} {
		context, there := d.Paths[product]
		rest, below := strings.CutPrefix(i.Path, context)
		if !there || !below || !strings.HasPrefix(rest, "/") {
			continue
		}
		old := map[string]string{Jira: "/rest/api/2/auditing/record", Confluence: "/rest/api/audit"}[product]
		switch {
		case rest == eventsPath && !d.Old, rest == old && d.Old:
			i.Product, i.Kind = product, KindAudit
		case rest == "/login.jsp" || rest == "/login.action":
			i.Kind = KindLogin
		case rest == manifestPath, rest == serverInfoPath && product == Jira:
			i.Product, i.Kind = product, KindServerInfo
		case i.Product == "":
			i.Product = product
		}
	}
}

// authenticateDataCenter tells whether the request's Authorization header is
// good. The lock is held by the caller.
func (s *Server) authenticateDataCenter(r *http.Request) bool {
	a := &s.access
	if name, password, ok := r.BasicAuth(); ok {
		return a.wrong < captchaAfter && name == s.o.DataCenter.Username && password == a.secret[Password] && !a.revoked[Password]
	}
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return authKind(r) == AuthBearer && token == a.secret[Personal] && !a.revoked[Personal]
}

// captchaAfter is after how many wrong passwords a person has to prove to be one
// in the browser before any password is right again: Data Center's default.
const captchaAfter = 3

// SolveCaptcha lets passwords be right again.
func (s *Server) SolveCaptcha() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access.wrong = 0
}

// dataCenterReply answers a request as a Data Center would.
func (s *Server) dataCenterReply(r *http.Request, i RequestInfo) reply {
	if i.Kind == KindLogin {
		return htmlReply(http.StatusOK, loginPage)
	}
	if i.Kind == KindServerInfo {
		return s.o.DataCenter.serverInfo(i)
	}
	if i.Kind != KindAudit {
		return htmlReply(http.StatusNotFound, "<html><head><title>Oops, you've found a dead link.</title></head></html>")
	}
	context := s.o.DataCenter.Paths[i.Product]
	if right, _, _ := s.authenticate(r, i.Route); !right {
		s.mu.Lock()
		captcha := false
		if i.Auth == AuthBasic {
			s.access.wrong++
			captcha = s.access.wrong > captchaAfter
		}
		s.mu.Unlock()
		if captcha {
			return htmlReply(http.StatusForbidden, "<html><head><title>Forbidden (403)</title></head><body>Basic Authentication Failure - Reason : AUTHENTICATION_DENIED</body></html>").
				with("X-Authentication-Denied-Reason", "CAPTCHA_CHALLENGE; login-url="+s.o.DataCenter.BaseURL+context+"/login.jsp").
				with("X-Seraph-LoginReason", "AUTHENTICATION_DENIED")
		}
		return jsonReply(http.StatusUnauthorized, map[string]any{
			"message": "Client must be authenticated to access this resource.", "status-code": http.StatusUnauthorized,
		}).with("WWW-Authenticate", `OAuth realm="simulated"`).with("X-Seraph-LoginReason", "AUTHENTICATED_FAILED")
	}
	if i.Auth == AuthBasic {
		s.SolveCaptcha()
	}
	if s.denial(i.Product) != Allowed {
		return productError(i.Product, http.StatusForbidden, "The user does not have the permission to view the audit log.")
	}
	if i.Method != http.MethodGet {
		return productError(i.Product, http.StatusMethodNotAllowed, "Only reading is simulated.")
	}
	if limited, ok := s.limited(i); ok {
		return limited
	}
	switch {
	case !s.o.DataCenter.Old:
		return s.eventsReply(i)
	case i.Product == Jira:
		return s.jiraReply(i)
	}
	return s.confluenceReply(i)
}

// cursor is a place between two records in the order in which they are listed:
// below the one with this date and this number.
type cursor struct {
	ms  int64
	row int64
}

// eventsMax is the largest page of /rest/auditing/1.0/events, and eventsPage the
// one that is given where none is asked for.
const (
	eventsMax  = 100_000
	eventsPage = 200
)

// eventsReply answers GET /rest/auditing/1.0/events.
func (s *Server) eventsReply(i RequestInfo) reply {
	bad := func(format string, args ...any) reply {
		return jsonReply(http.StatusBadRequest, map[string]any{"status": http.StatusBadRequest, "message": fmt.Sprintf(format, args...)})
	}
	v, err := url.ParseQuery(i.RawQuery)
	if err != nil {
		return bad("The query string cannot be read.")
	}
	for _, name := range []string{"search", "userIds", "categories", "actions", "affectedObject"} {
		if v.Get(name) != "" {
			return jsonReply(http.StatusNotImplemented, map[string]any{"message": "The parameter " + name + " is not simulated."})
		}
	}
	var q query
	if q.offset, err = number(v, "offset"); err != nil || q.offset < 0 {
		return bad("offset must be a number from 0 on")
	}
	if q.asked, err = number(v, "limit"); err != nil || v.Has("limit") && (q.asked < 1 || q.asked > eventsMax) {
		return bad("limit must be a number from 1 to %d", eventsMax)
	}
	if q.limit = q.asked; q.limit == 0 {
		q.limit = eventsPage
	}
	if name := q.bounds(v, "from", "to", func(text string) (int64, bool) {
		at, err := time.Parse(time.RFC3339, text)
		return at.UnixMilli(), err == nil
	}); name != "" {
		return bad("%s is not a date such as 2021-11-22T00:34:23.154Z", name)
	}
	if text := v.Get("pageCursor"); text != "" {
		at, row, _ := strings.Cut(text, ",")
		ms, err1 := strconv.ParseInt(at, 10, 64)
		id, err2 := strconv.ParseInt(row, 10, 64)
		if err1 != nil || err2 != nil {
			return bad("pageCursor is not a cursor")
		}
		q.after = &cursor{ms, id}
	}
	now := s.now()
	st := s.store(i.Product)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.show(now)
	if q.after != nil && st.quirks.CursorIgnoresBounds {
		q.hasFrom, q.hasTo = false, false
	}
	p := st.page(q)
	if st.quirks.SearchEvents {
		st.pending = append(st.pending, pending{now.Add(st.quirks.WriteDelay), s.searchEvent(st, &p, now)})
	}
	return reply{status: http.StatusOK, list: &p, st: st, header: http.Header{
		"Content-Type": {"application/json"}, "X-Ausername": {url.QueryEscape(s.o.DataCenter.Username)}}} // every answer to a user has it
}

// behind is the part of a range of the index that lies behind a cursor.
func (st *store) behind(c cursor, lo, hi int) (int, int) {
	end := sort.Search(len(st.index), func(i int) bool {
		r := &st.recs[st.index[i]]
		return r.created > c.ms || r.created == c.ms && int64(st.index[i]) >= c.row
	})
	return min(lo, end), min(hi, end)
}

// hasCursor tells whether the list is in an order to which a cursor belongs.
func (q *Quirks) hasCursor() bool {
	return !q.NoCursor && !q.InsertionOrder && !q.Ascending && !q.ShuffleTies && !q.IgnoreOffset
}

// eventsTail writes what stands after the list. Links name the base that the
// program believes in, and leave the bounds out.
func (s *Server) eventsTail(b []byte, st *store, p *page, k *Quirks, next string) []byte {
	end := p.start + len(p.seqs)
	if (end >= p.count || len(p.seqs) == 0) && !k.NextAlways {
		return fmt.Appendf(b, `,"pagingInfo":{"lastPage":true,"size":%d}}`, sizeOf(p, k))
	}
	limit := p.query.limit
	if k.EchoRequestedLimit && p.query.asked > 0 {
		limit = p.query.asked
	}
	link := s.o.DataCenter.BaseURL + s.o.DataCenter.Paths[st.product] + eventsPath
	if k.hasCursor() && len(p.seqs) > 0 {
		last := p.seqs[len(p.seqs)-1]
		at := fmt.Sprintf("%d,%d", st.recs[last].created, last)
		if link += fmt.Sprintf("?offset=0&limit=%d&pageCursor=%s", limit, at); next != "" {
			link = next
		}
		return fmt.Appendf(b, `,"pagingInfo":{"nextPageOffset":0,"nextPageCursor":%s,"nextPageLink":%s,"lastPage":false,"size":%d}}`,
			quote(at), quote(link), sizeOf(p, k))
	}
	if link += fmt.Sprintf("?offset=%d&limit=%d", end, limit); next != "" {
		link = next
	}
	return fmt.Appendf(b, `,"pagingInfo":{"nextPageOffset":%d,"nextPageLink":%s,"lastPage":false,"size":%d}}`, end, quote(link), sizeOf(p, k))
}

func sizeOf(p *page, k *Quirks) int {
	if k.SizeLie {
		return len(p.seqs)/2 + 37
	}
	return len(p.seqs)
}

// pending is a record that the server has written and does not show yet.
type pending struct {
	at     time.Time
	record Record
}

// show inserts what was written long enough ago. The lock is held by the caller.
func (st *store) show(now time.Time) {
	due := 0
	for due < len(st.pending) && !st.pending[due].at.After(now) {
		due++
	}
	for _, p := range st.pending[:due] {
		for _, seq := range st.insert([]Record{p.record}) {
			st.recs[seq].search = true
		}
	}
	st.pending = slices.Delete(st.pending, 0, due)
}

// searchEvent is the record of a search by the account of the credentials. The
// lock is held by the caller.
func (s *Server) searchEvent(st *store, p *page, at time.Time) Record {
	return searched(s.o.DataCenter.BaseURL+s.o.DataCenter.Paths[st.product], s.o.DataCenter.Username, "192.0.2.77", at, len(p.seqs), func() (ids, dates string) {
		first, last := st.recs[p.seqs[len(p.seqs)-1]].created, st.recs[p.seqs[0]].created
		zulu := func(ms int64) string { return time.UnixMilli(ms).UTC().Format(dateLayouts[DateZulu]) }
		return fmt.Sprintf("%d - %d", slices.Min(p.seqs), slices.Max(p.seqs)), zulu(first) + " - " + zulu(last)
	})
}

// AddSearch stores the record of a search of the audit log by somebody, from an
// address, that found n records.
func (s *Server) AddSearch(product, username, address string, at time.Time, n int) {
	st := s.store(product)
	r := searched(s.o.DataCenter.BaseURL+s.o.DataCenter.Paths[st.product], username, address, at, n, func() (ids, dates string) {
		return "1 - " + strconv.Itoa(n), "2021-11-22T00:08:34.163Z - 2021-11-22T00:34:40.008Z"
	})
	st.add([]Record{r})
}

func searched(base, username, address string, at time.Time, n int, ranges func() (ids, dates string)) Record {
	ids, dates := "", ""
	if n > 0 {
		ids, dates = ranges()
	}
	attribute := func(key, name, value string) string {
		f := []field{{"nameI18nKey", quote("atlassian.audit.event.attribute." + key)}, {"name", quote(name)}, {"value", quote(value)}}
		return object(f...)
	}
	text := object(
		field{"author", object(field{"name", quote(username)}, field{"type", `"ApplicationUser"`}, field{"id", `"10100"`},
			field{"uri", quote(base + "/secure/ViewProfile.jspa?name=" + url.QueryEscape(username))}, field{"avatarUri", `""`})},
		field{"type", object(field{"categoryI18nKey", `"atlassian.audit.event.category.audit"`}, field{"category", `"Auditing"`},
			field{"actionI18nKey", `"atlassian.audit.event.action.audit.search"`}, field{"action", `"Audit Log search performed"`})},
		field{"affectedObjects", "[]"}, field{"changedValues", "[]"},
		field{"source", quote(address)}, field{"system", quote(base)}, field{"method", `"Browser"`},
		field{"extraAttributes", array(attribute("id", "ID Range", ids), attribute("query", "Query", ""),
			attribute("results", "Results returned", strconv.Itoa(n)), attribute("timestamp", "Timestamp Range", dates))},
	)
	return Record{Created: at, Raw: []byte(text)}
}
