package atlassian

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"atlassian_audit_records/pkg/audit"
)

const (
	// OrganizationPage is the page size of an organisation's log where none is
	// asked for (documented), maxOrganizationPage the largest (observed).
	OrganizationPage    = 200
	maxOrganizationPage = 500
	// organizationPause is the time between two requests: 50 a minute and path are
	// allowed (documented), and several runs share a minute.
	organizationPause = 1250 * time.Millisecond
	organizationBurst = 5
)

// organizationNeeds is what must be there for the log to be readable.
const organizationNeeds = "the key must be one of an organisation administrator's, without scopes or with read:events:admin, " +
	"and the organisation needs Atlassian Guard (Standard or Premium) or a Cloud Enterprise plan: without it Atlassian keeps no log to read"

// organization is the audit log of an organisation, /events-stream of the
// admin API (the older /events has a fifth of its rate limit).
//
// Documented: from and to in epoch milliseconds; cursor, limit (200 by
// default), sortOrder (asc by default); sorted by processing time, so that
// nothing that was processed out of order is missed while polling; each event
// has an id, attributes.time and attributes.processedAt; a cursor may be asked
// again for what is new once the last page was reached; 50 requests a minute
// and path, 60 a user; kept for 180 days. Observed: meta.next is null on the
// last page; a next page's cursor does not carry from and to, so both are sent
// again with it. Not known: whether from means the time of the event or of its
// processing.
func organization() product {
	return product{
		name:       "the organisation",
		permission: "the role of an organisation administrator",
		scopes:     "read:events:admin, or without any",
		query:      organizationQuery,
		layout:     layout{list: "data", slot: organizationSlot, places: organizationPlaces},
	}
}

// organizationPlaces: an event has no category, and says what happened in a word
// of its own (user_login_failed). Apps act too: their id is a name, and what
// stands for their e-mail address is none, and does not become usr.email.
var organizationPlaces = []place{
	{fact: factActorID, slot: slotDescription, path: []string{"actor", "id"}},
	{fact: factActorName, slot: slotDescription, path: []string{"actor", "name"}},
	{fact: factActorEmail, slot: slotDescription, path: []string{"actor", "email"}},
	{fact: factAddress, slot: slotDescription, path: []string{"location", "ip"}},
	{fact: factAction, slot: slotDescription, path: []string{"action"}},
}

func organizationLimiter() *rate.Limiter {
	return rate.NewLimiter(rate.Every(organizationPause), organizationBurst)
}

func organizationQuery(q audit.Query) url.Values {
	v := url.Values{"limit": {strconv.Itoa(min(q.Limit, maxOrganizationPage))}, "sortOrder": {"asc"}}
	if q.Newest {
		v.Set("sortOrder", "desc")
	}
	if q.From > 0 {
		v.Set("from", strconv.FormatInt(min(q.From, maxMillis), 10))
	}
	if q.Bounded {
		v.Set("to", strconv.FormatInt(min(q.To, maxMillis), 10))
	}
	if q.Cursor != "" {
		v.Set("cursor", q.Cursor)
	}
	return v
}

// organizationSlot: what an event says stands in attributes; the rest tells
// events without an id apart, which none should be.
func organizationSlot(name []byte) int {
	switch string(name) {
	case "id":
		return slotID
	case "attributes":
		return slotDescription
	case "links":
		return slotIgnored
	}
	return slotNone
}

// productIsThere is what to check where an address is not known.
func productIsThere(q question) string {
	if q.product == audit.Organization {
		return "check `organization`: it must be the id in the address of https://admin.atlassian.com/o/…, and the key must belong to it; " + organizationNeeds
	}
	return "check that the site exists and has the product; otherwise remove it from `products`"
}

// cursorRefused marks an answer that may be due to the cursor: whether it was,
// the same question by time tells.
func cursorRefused(q audit.Query, err *Error) *Error {
	if q.Cursor == "" {
		return err
	}
	switch err.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusGone, http.StatusUnprocessableEntity:
		refused := *err
		refused.cursor = true
		return &refused
	}
	return err
}

// decodeEvents is decodePage for an organisation's log: the list is data, the
// next page's cursor meta.next or, where that is missing, in links.next.
func decodeEvents(body []byte, want int) (page audit.Page, err error) {
	d := &decoder{scanner: scanner{b: body}, layout: organization().layout}
	if d.peek() != '{' {
		if d.value(); !d.end() {
			return page, errNotJSON
		}
		return page, errNotObject
	}
	lists, list := 0, true
	linked := ""
	d.open('{')
	for n := 0; d.more(n, '}'); n++ {
		switch name := d.name(); string(name) {
		case d.layout.list:
			if lists++; d.peek() != '[' {
				list = false
				d.value()
				continue
			}
			page.Records = d.events(min(max(want, 0), maxOrganizationPage))
		case "meta":
			if raw := d.value(); !d.bad && len(raw) > 0 && raw[0] == '{' {
				page.Next = parseID(fieldOf(raw, "next").raw)
				page.Limit, _ = strconv.Atoi(string(fieldOf(raw, "page_size").raw)) // a hint
			}
		case "links":
			if raw := d.value(); !d.bad && len(raw) > 0 && raw[0] == '{' {
				linked = cursorOf(parseID(fieldOf(raw, "next").raw))
			}
		default:
			d.value()
		}
	}
	if page.Next == "" {
		page.Next = linked
	}
	switch {
	case !d.end():
		return audit.Page{}, errNotJSON
	case lists == 0:
		return audit.Page{}, fmt.Errorf("it has no list %q", d.layout.list)
	case lists > 1:
		return audit.Page{}, fmt.Errorf("it has more than one list %q", d.layout.list)
	case !list:
		return audit.Page{}, fmt.Errorf("its %q is not a list", d.layout.list)
	case len(page.Next) > maxCursor:
		return audit.Page{}, errors.New("its cursor is too long")
	}
	return page, nil
}

// maxCursor bounds what is kept of an answer from run to run, in bytes.
const maxCursor = 16 << 10

// cursorOf is the cursor in a link to the next page. The link is not followed.
func cursorOf(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	return u.Query().Get("cursor")
}

// events reads the list, with the two times of each event.
func (d *decoder) events(want int) []audit.Record {
	out := make([]audit.Record, 0, want)
	d.open('[')
	for n := 0; d.more(n, ']'); n++ {
		if d.peek() != '{' {
			raw, spaces := d.spacedValue()
			d.coarse[0] = d.comparable(field{raw: raw, spaced: spaces})
			out = append(out, audit.Record{Raw: raw, Keys: audit.NewKeys(d.coarse[:1], nil)})
			d.buf = d.buf[:0]
			continue
		}
		r := d.record()
		if attributes := d.fields[slotDescription].raw; !d.bad && len(attributes) > 0 && attributes[0] == '{' {
			r.Millis, r.Dated = parseDate(fieldOf(attributes, "time").raw)
			r.Processed, r.IsProcessed = parseDate(fieldOf(attributes, "processedAt").raw)
		}
		out = append(out, r)
	}
	return out
}
