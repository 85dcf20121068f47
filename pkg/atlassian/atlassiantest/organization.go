package atlassiantest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// adminPrefix begins the paths of the organisation's API.
const adminPrefix = "/admin/v1/orgs/"

const (
	organizationPage    = 200
	organizationPageMax = 500
)

// eventCursor is what an opaque cursor of the organisation's log holds: the event
// behind which it goes on, and the order of the question that it continues.
type eventCursor struct {
	Place  int64 `json:"p"`
	Seq    int64 `json:"s"`
	Newest bool  `json:"d,omitempty"`
	Made   int64 `json:"m"`
}

func (c eventCursor) String() string {
	b, err := json.Marshal(c)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(text string) (eventCursor, bool) {
	var c eventCursor
	b, err := base64.RawURLEncoding.DecodeString(text)
	return c, err == nil && json.Unmarshal(b, &c) == nil && c.Made != 0
}

// adminError is the shape of the admin API's errors.
func adminError(status int, code, title, detail string) reply {
	type one struct {
		ID     string `json:"id"`
		Status string `json:"status"`
		Code   string `json:"code"`
		Title  string `json:"title"`
		Detail string `json:"detail"`
	}
	return jsonReply(status, map[string][]one{"errors": {{"simulated", strconv.Itoa(status), code, title, detail}}})
}

// epochMillis reads a date that is a number of milliseconds.
func epochMillis(text string) (int64, bool) {
	ms, err := strconv.ParseInt(text, 10, 64)
	return ms, err == nil
}

// organizationReply answers GET /admin/v1/orgs/{id}/events-stream.
func (s *Server) organizationReply(i RequestInfo) reply {
	bad := func(format string, args ...any) reply {
		return adminError(http.StatusBadRequest, "ADMIN-400-1", "Bad Request", fmt.Sprintf(format, args...))
	}
	v, err := url.ParseQuery(i.RawQuery)
	if err != nil {
		return bad("The query string cannot be read.")
	}
	var q query
	if q.asked, err = number(v, "limit"); err != nil || q.asked < 0 || q.asked > organizationPageMax {
		return bad("limit must be a number from 1 to %d.", organizationPageMax)
	}
	if q.limit = q.asked; q.limit == 0 {
		q.limit = organizationPage
	}
	if name := q.bounds(v, "from", "to", epochMillis); name != "" {
		return bad("%s is not a number of milliseconds since the epoch: %q", name, v.Get(name))
	}
	switch order := v.Get("sortOrder"); order {
	case "", "asc":
	case "desc":
		q.newest = true
	default:
		return bad("sortOrder must be asc or desc, not %q", order)
	}
	st := s.organization
	st.mu.Lock()
	defer st.mu.Unlock()
	k := &st.quirks
	if text := v.Get("cursor"); text != "" {
		c, ok := parseCursor(text)
		old := k.CursorLife > 0 && s.now().Sub(time.UnixMilli(c.Made)) > k.CursorLife
		if !ok || old {
			status := http.StatusBadRequest
			if k.CursorStatus != 0 {
				status = k.CursorStatus
			}
			return adminError(status, "ADMIN-400-2", http.StatusText(status), "The cursor is not valid.")
		}
		q.cursor, q.newest = &c, c.Newest // the order is kept in the cursor
	}
	p := st.events(q, s.now(), v.Get("cursor"))
	return reply{status: http.StatusOK, list: &p, st: st, header: http.Header{"Content-Type": {"application/json"}}}
}

// events chooses the events of an answer. The lock is held by the caller.
func (st *store) events(q query, now time.Time, asked string) page {
	k := &st.quirks
	if k.MaxPage > 0 && q.limit > k.MaxPage {
		q.limit = k.MaxPage
	}
	all := st.matching(q)
	if q.newest {
		slices.Reverse(all)
	}
	p := page{query: q, held: len(st.index), count: len(all)}
	if c := q.cursor; c != nil {
		switch {
		case k.CursorDead:
			return p
		case k.CursorRestarts:
		default:
			all = slices.DeleteFunc(all, func(seq uint32) bool { return !st.follows(seq, c) })
		}
		all = all[min(len(all), k.CursorSkips):]
	}
	n := min(q.limit, len(all))
	p.seqs = all[:n]
	switch {
	case n == 0 && q.cursor != nil && k.NextAtEnd:
		p.next = asked
	case n == 0:
	case n == q.limit || k.NextAtEnd:
		last := p.seqs[n-1]
		p.next = eventCursor{Place: st.order(last), Seq: int64(last), Newest: q.newest, Made: now.UnixMilli()}.String()
		if k.CursorStuck && asked != "" {
			p.next = asked
		}
	}
	return p
}

// order is what the events are listed by: ascending, ties by insertion.
func (st *store) order(seq uint32) int64 {
	if st.quirks.InsertionOrder {
		return 0
	}
	return st.recs[seq].place
}

// follows tells whether an event comes after the one at which a cursor stands.
func (st *store) follows(seq uint32, c *eventCursor) bool {
	place := st.order(seq)
	if c.Newest {
		return place < c.Place || place == c.Place && int64(seq) < c.Seq
	}
	return place > c.Place || place == c.Place && int64(seq) > c.Seq
}

// matching are the events between the bounds, in ascending order.
func (st *store) matching(q query) []uint32 {
	var out []uint32
	if st.quirks.BoundsByTime {
		from, to := int64(math.MinInt64), int64(math.MaxInt64)
		if q.hasFrom {
			from = q.from
		}
		if q.hasTo {
			to = q.to
		}
		for _, seq := range st.index {
			if at := st.recs[seq].created; from <= at && at <= to {
				out = append(out, seq)
			}
		}
	} else {
		lo, hi := st.bounds(q)
		out = slices.Clone(st.index[lo:hi])
	}
	if st.quirks.InsertionOrder {
		slices.Sort(out)
	}
	return out
}

// process gives a new event the time of its processing: a few seconds after its
// own, but never later than now, for it is there already.
func (st *store) process(h *held, r Record, now int64) {
	h.processed = r.Processed.UnixMilli()
	if r.Processed.IsZero() {
		lag := 150 + (h.created*2654435761>>7)&0x7ff
		h.processed = max(h.created, min(h.created+lag, now))
	}
	h.place = h.processed
	if d := st.quirks.Disorder.Milliseconds(); d > 0 {
		h.place += st.shuffles.Int64N(2*d+1) - d
	}
}

// Reprocess lets the organisation's log take in once more, now, events that it
// holds: they keep their ids and times, and come again at its end.
func (s *Server) Reprocess(seqs ...int) {
	st := s.organization
	st.mu.Lock()
	defer st.mu.Unlock()
	now := s.now().UnixMilli()
	for _, seq := range seqs {
		st.recs[seq].processed, st.recs[seq].place = now, now
	}
	slices.SortStableFunc(st.index, st.compare)
}

// cutEvent cuts an event: its id and its two times are put in where it has none
// of its own.
func (t *template) cutEvent(n node) {
	at := n.start + 1
	t.parts = append(t.parts, part{text: t.raw[:at]})
	if _, own := n.member("type"); !own {
		t.parts = append(t.parts, part{text: []byte(`"type":"events",`)})
	}
	if _, t.ownID = n.member("id"); !t.ownID {
		t.parts = append(t.parts, part{text: []byte(`"id":`)}, part{place: placeID}, part{text: []byte(",")})
	}
	times := []part{{text: []byte(`"time":`)}, {place: placeTime}, {text: []byte(`,"processedAt":`)}, {place: placeProcessed}}
	if a, ok := n.member("attributes"); ok && a.kind == '{' {
		t.parts = cutKeys(t.parts, t.raw[at:a.start+1])
		at = a.start + 1
		_, t.ownDate = a.member("time")
		if !t.ownDate {
			t.parts = append(t.parts, times...)
			if len(a.kids) > 0 {
				t.parts = append(t.parts, part{text: []byte(",")})
			}
		}
		t.parts = cutKeys(t.parts, t.raw[at:])
	} else {
		t.parts = append(t.parts, part{text: []byte(`"attributes":{`)})
		t.parts = append(append(t.parts, times...), part{text: []byte("}")})
		if len(n.kids) > 0 {
			t.parts = append(t.parts, part{text: []byte(",")})
		}
		t.parts = cutKeys(t.parts, t.raw[at:])
	}
	t.measure()
}

// eventID is an event's id: a UUID that says nothing of the order.
func eventID(n int64) string {
	x := uint64(n) * 0x9e3779b97f4a7c15
	x ^= x >> 29
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(x>>32), uint16(x>>16), uint16(x)&0xfff, uint16(x>>20)&0xfff, n)
}

// appendEventTime writes a time as events do.
func appendEventTime(b []byte, ms int64, q *Quirks) []byte {
	k := *q
	if k.DateFormat == DateAsProduct {
		k.DateFormat = DateZulu
	}
	return appendDate(b, ms, organizationForm, &k)
}

// organizationTail writes what stands after the list.
func organizationTail(b []byte, p *page, i RequestInfo, d *damage) []byte {
	size := p.query.limit
	self := "https://api.atlassian.com" + i.Path
	if i.RawQuery != "" {
		self += "?" + i.RawQuery
	}
	b = fmt.Appendf(b, `,"links":{"self":%s`, quote(self))
	link := ""
	if p.next != "" {
		// Without the bounds of the question, as was observed.
		link = "https://api.atlassian.com" + i.Path + "?cursor=" + url.QueryEscape(p.next)
	}
	if d.next != nil {
		link = *d.next
	}
	if link != "" {
		b = fmt.Appendf(b, `,"next":%s`, quote(link))
	}
	next := "null"
	if p.next != "" {
		next = quote(p.next)
	}
	return fmt.Appendf(b, `},"meta":{"attributes":null,"next":%s,"prev":null,"current":null,"page_size":%d,"total":%d}}`,
		next, size, len(p.seqs))
}
