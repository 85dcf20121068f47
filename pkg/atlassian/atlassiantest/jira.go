package atlassiantest

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"time"
)

const pageMax = 1000

// jiraReply answers GET /rest/api/3/auditing/record (and /2, the same).
func (s *Server) jiraReply(i RequestInfo) reply {
	v, err := url.ParseQuery(i.RawQuery)
	if err != nil {
		return jiraError(http.StatusBadRequest, "The query string cannot be read.")
	}
	if v.Get("filter") != "" {
		return jiraError(http.StatusNotImplemented, "The filter is not simulated.")
	}
	var q query
	if q.offset, err = number(v, "offset"); err != nil {
		return jiraError(http.StatusBadRequest, err.Error())
	}
	q.offset = max(0, q.offset)
	if q.asked, err = number(v, "limit"); err != nil {
		return jiraError(http.StatusBadRequest, err.Error())
	}
	q.limit = clampLimit(q.asked)

	zoned := true
	if name := q.bounds(v, "from", "to", func(text string) (int64, bool) {
		at, zone, ok := jiraDate(text)
		zoned = zoned && zone
		return at.UnixMilli(), ok
	}); name != "" {
		return jiraError(http.StatusBadRequest, fmt.Sprintf("Invalid date \"%s\"", v.Get(name)))
	}
	st := s.jira
	st.mu.Lock()
	defer st.mu.Unlock()
	// Without a zone the gateway finds nothing and says so with a 200.
	q.nothing = !zoned && i.Route == RouteGateway
	if q.hasFrom && q.hasTo && (q.from > q.to || q.from == q.to && !st.quirks.EqualBounds) {
		q.nothing = true
	}
	p := st.page(q)
	return reply{status: http.StatusOK, list: &p, st: st, header: http.Header{"Content-Type": {"application/json;charset=UTF-8"}}}
}

func clampLimit(asked int) int {
	if asked <= 0 || asked > pageMax {
		return pageMax
	}
	return asked
}

// number reads an int32 parameter; 0 where it is missing.
func number(v url.Values, name string) (int, error) {
	text := v.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("the value of the parameter %q is not a number: %q", name, text)
	}
	return int(n), nil
}

// The program that collects holds the simulator too, and starts every minute.
var jiraDates = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}(?:\.\d{1,3})?)?)(Z|[+-]\d{2}:?\d{2})?$`)
})

// jiraDate reads a bound. zoned is false where the text names no zone; it is
// then taken as UTC.
func jiraDate(text string) (at time.Time, zoned, ok bool) {
	m := jiraDates().FindStringSubmatch(text)
	if m == nil {
		return time.Time{}, false, false
	}
	layout := "2006-01-02T15:04:05"
	if len(m[1]) == len("2006-01-02") {
		layout = "2006-01-02"
	}
	zone := m[2]
	switch {
	case zone == "" || zone == "Z":
		zone = "+0000"
	case len(zone) == len("+00:00"):
		zone = zone[:3] + zone[4:]
	}
	at, err := time.Parse(layout+"-0700", m[1]+zone)
	return at, m[2] != "", err == nil
}

// jiraHead writes what stands before Jira's list.
func jiraHead(b []byte, p *page, k *Quirks) []byte {
	b = fmt.Appendf(b, `{"offset":%d,"limit":%d`, p.query.offset, echoedLimit(p, k))
	total := p.held
	switch k.TotalLie {
	case TotalFiltered:
		total = p.count
	case TotalTooBig:
		total = p.held*2 + pageMax
	case TotalTooSmall:
		total = min(p.count, p.start+len(p.seqs)) / 2
	case TotalZero:
		total = 0
	case TotalMissing:
		return b
	}
	return fmt.Appendf(b, `,"total":%d`, total)
}

func echoedLimit(p *page, k *Quirks) int {
	if k.EchoRequestedLimit && p.query.asked != 0 {
		return p.query.asked
	}
	return p.query.limit
}
