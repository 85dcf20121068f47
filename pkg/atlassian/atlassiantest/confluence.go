package atlassiantest

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// confluenceReply answers GET /wiki/rest/api/audit and /audit/since.
func (s *Server) confluenceReply(i RequestInfo) reply {
	v, err := url.ParseQuery(i.RawQuery)
	if err != nil {
		return confluenceError(http.StatusBadRequest, "The query string cannot be read.")
	}
	if v.Get("searchString") != "" {
		return confluenceError(http.StatusNotImplemented, "The search is not simulated.")
	}
	var q query
	if q.offset, err = number(v, "start"); err != nil {
		return confluenceError(http.StatusBadRequest, err.Error())
	}
	if q.asked, err = number(v, "limit"); err != nil {
		return confluenceError(http.StatusBadRequest, err.Error())
	}
	if q.offset < 0 || q.asked < 0 {
		return confluenceError(http.StatusBadRequest, "start and limit must not be negative.")
	}
	q.limit = clampLimit(q.asked)

	if i.Kind == KindAuditSince {
		from, err := since(s.now(), v.Get("number"), v.Get("units"))
		if err != nil {
			return confluenceError(http.StatusBadRequest, err.Error())
		}
		q.from, q.hasFrom = from.UnixMilli(), true
	} else {
		name := q.bounds(v, "startDate", "endDate", func(text string) (int64, bool) {
			if at, notText := time.Parse(time.RFC3339, text); notText == nil && s.Quirks(Confluence).TextDates {
				return at.UnixMilli(), true
			}
			return epochMillis(text)
		})
		if name != "" {
			return confluenceError(http.StatusBadRequest,
				fmt.Sprintf("%s is not a number of milliseconds since the epoch: %q", name, v.Get(name)))
		}
	}
	st := s.confluence
	st.mu.Lock()
	defer st.mu.Unlock()
	p := st.page(q)
	return reply{status: http.StatusOK, list: &p, st: st, header: http.Header{"Content-Type": {"application/json"}}}
}

// since is the time that lies a number of units ago.
func since(now time.Time, number, units string) (time.Time, error) {
	n := int64(3)
	if number != "" {
		var err error
		if n, err = strconv.ParseInt(number, 10, 32); err != nil {
			return time.Time{}, fmt.Errorf("number is not a number: %q", number)
		}
	}
	exact := map[string]time.Duration{
		"NANOS": 1, "MICROS": time.Microsecond, "MILLIS": time.Millisecond, "SECONDS": time.Second,
		"MINUTES": time.Minute, "HOURS": time.Hour, "HALF_DAYS": 12 * time.Hour,
	}
	days := map[string]int{"DAYS": 1, "WEEKS": 7}
	months := map[string]int{"": 1, "MONTHS": 1, "YEARS": 12, "DECADES": 120, "CENTURIES": 1200}
	if d, ok := exact[units]; ok {
		return now.Add(-time.Duration(n) * d), nil
	}
	if d, ok := days[units]; ok {
		return now.AddDate(0, 0, -int(n)*d), nil
	}
	if m, ok := months[units]; ok {
		return now.AddDate(0, -int(n)*m, 0), nil
	}
	return time.Time{}, fmt.Errorf("units is not a unit of time: %q", units)
}

// links are the places that Confluence names in its answers.
type links struct {
	base string // the site's Confluence, whatever host answered
	next string // "" where there is no more
	self string
}

// links works out what Confluence says about where to go on: relative to a
// base, without the base's "/wiki", and with a base on the site's host even
// where the gateway answered.
func (s *Server) links(r *http.Request, i RequestInfo, p *page, k *Quirks) links {
	base := s.siteURL()
	if i.Route == RouteSite && s.o.SiteURL == "" {
		scheme := "http"
		if r.TLS != nil || r.URL.Scheme == "https" {
			scheme = "https"
		}
		base = scheme + "://" + r.Host
	}
	l := links{base: base + "/wiki"}
	path := "/rest/api/audit"
	if i.Kind == KindAuditSince {
		path += "/since"
	}
	l.self = l.base + path
	if i.RawQuery != "" {
		l.self += "?" + i.RawQuery
	}
	end := p.start + len(p.seqs)
	if end >= p.count && !k.NextAlways {
		return l
	}
	if k.NextFromRequested {
		asked := p.query.asked
		if asked == 0 {
			asked = pageMax
		}
		end = p.start + asked
	}
	l.next = fmt.Sprintf("%s?next=true&limit=%d&start=%d", path, echoedLimit(p, k), end)
	v, _ := url.ParseQuery(i.RawQuery)
	for _, name := range []string{"startDate", "endDate", "number", "units"} {
		if text := v.Get(name); text != "" {
			l.next += "&" + name + "=" + url.QueryEscape(text)
		}
	}
	if k.NextWithContext {
		l.next = "/wiki" + l.next
	}
	return l
}

// confluenceTail writes what stands after Confluence's list.
func confluenceTail(b []byte, p *page, k *Quirks, l links) []byte {
	size := len(p.seqs)
	if k.SizeLie {
		size = size/2 + 37
	}
	b = fmt.Appendf(b, `,"start":%d,"limit":%d,"size":%d,"_links":{"base":%s,"context":"/wiki"`,
		p.start, echoedLimit(p, k), size, quote(l.base))
	if l.next != "" {
		b = fmt.Appendf(b, `,"next":%s`, quote(l.next))
	}
	return fmt.Appendf(b, `,"self":%s}}`, quote(l.self))
}
