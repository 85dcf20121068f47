package atlassiantest

import (
	"bytes"
	"compress/gzip"
	"context"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// damage is what faults do to one answer.
type damage struct {
	instead  *reply
	delay    time.Duration
	hang     bool
	drop     dropKind
	cut      bool
	quiet    bool
	part     float64
	piece    int
	pause    time.Duration
	gzip     bool
	pad      int
	repeat   bool
	list     listKind
	listText string
	edits    []recordEdit
	next     *string
	base     *string
}

type dropKind int

const (
	dropNot dropKind = iota
	dropReset
	dropClose
)

type listKind int

const (
	listPlain listKind = iota
	listEmpty
	listMalformed
	listMissing
	listOther
)

type recordEdit struct {
	index int
	edit  func([]byte) []byte
}

// answered is a list as it was answered, for a server that repeats itself.
type answered struct {
	page page
	info RequestInfo
}

// maxPooled is the size in bytes above which a buffer is not kept for the next
// answer.
const maxPooled = 4 << 20

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// serve answers one request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, routes []Route) {
	info := s.identify(r)
	info.AuthRight, _, _ = s.authenticate(r, info.Route) // once more after the hooks, which may change it
	for _, hook := range s.begin(&info) {
		hook(info)
	}
	info.AuthRight, _, _ = s.authenticate(r, info.Route)
	d := s.strike(&info)
	if arrive, ok := r.Context().Value(arrivedKey{}).(func()); ok {
		arrive()
	}
	var skew time.Duration
	if info.Product != "" {
		q := s.Quirks(info.Product)
		skew = q.ClockSkew
		d.delay += q.Latency
	}
	if d.hang {
		s.keep(info)
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	if !pause(r.Context(), d.delay) {
		s.keep(info)
		panic(http.ErrAbortHandler)
	}

	var rep reply
	if d.instead != nil {
		rep = *d.instead
	} else {
		rep = s.reply(r, info, routes)
	}
	pooled := buffers.Get().(*[]byte) //nolint:errcheck // the pool makes nothing else
	defer func() {
		if cap(*pooled) <= maxPooled {
			buffers.Put(pooled)
		}
	}()
	body, shown := rep.body, []uint32(nil)
	if rep.list != nil {
		*pooled, shown = s.render((*pooled)[:0], r, info, rep, d)
		body = *pooled
		if d.list != listMissing && d.list != listOther {
			info.Records = len(rep.list.seqs)
		}
	}
	if d.drop != dropNot {
		s.keep(info)
		drop(w, d.drop)
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	for k, v := range rep.header {
		h[k] = v
	}
	h.Set("Date", s.now().Add(skew).UTC().Format(http.TimeFormat))
	h.Set("Atl-Traceid", traceID(s.o.Seed, info.N))
	if d.gzip {
		body = compressed(body)
		h.Set("Content-Encoding", "gzip")
	}

	info.Status = rep.status
	sent := len(body)
	if d.cut {
		sent = min(sent, max(0, int(float64(sent)*d.part)))
		shown = nil
	}
	promised := len(body)
	if d.quiet {
		promised = sent
	}
	h.Set("Content-Length", strconv.Itoa(promised))
	s.keep(info)
	if len(shown) > 0 {
		rep.st.markServed(shown, 1)
	}
	w.WriteHeader(rep.status)
	if !write(r.Context(), w, body[:sent], d) {
		if len(shown) > 0 {
			rep.st.markServed(shown, -1)
		}
		panic(http.ErrAbortHandler)
	}
	if sent < promised {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// render writes a list answer, and tells which records a client can read in it.
func (s *Server) render(b []byte, r *http.Request, info RequestInfo, rep reply, d *damage) (body []byte, shown []uint32) {
	st, p := rep.st, rep.list
	st.mu.Lock()
	if d.repeat && st.last != nil {
		*p, info = st.last.page, st.last.info
	}
	k := st.quirks
	st.mu.Unlock()
	if d.list == listEmpty {
		p.seqs, p.count, p.next = nil, 0, ""
	}
	var l links
	if st.form.events {
		if d.next != nil {
			l.next = *d.next
		}
	} else if st.product == Confluence {
		l = s.links(r, info, p, &k)
		if d.next != nil {
			l.next = *d.next
		}
		if d.base != nil {
			l.base = *d.base
		}
	}

	st.mu.Lock()
	defer st.mu.Unlock()
	st.last = &answered{page: *p, info: info}
	b, shown = st.appendList(b, d)
	switch {
	case st.form.events:
		b = s.eventsTail(b, st, p, &k, l.next)
	case st.product == Confluence:
		b = confluenceTail(b, p, &k, l)
	case st.product == Organization:
		b = organizationTail(b, p, info, d)
	default:
		b = append(b, '}')
	}
	if n := d.pad - len(b); n > 0 {
		b = append(b[:len(b)-1], `,"padding":"`...)
		b = append(b, bytes.Repeat([]byte("x"), n)...)
		b = append(b, `"}`...)
	}
	if d.list == listMalformed {
		b = append(b[:len(b)-1], `,]`...)
	}
	if d.list != listPlain {
		shown = nil
	}
	return b, shown
}

// appendList writes the answer up to and with its list. The lock is held by
// the caller.
func (st *store) appendList(b []byte, d *damage) (body []byte, shown []uint32) {
	p := &st.last.page
	open := `{"results":`
	if st.form.events {
		open = `{"entities":`
	} else if st.product == Jira {
		b = jiraHead(b, p, &st.quirks)
		open = `,"records":`
	}
	if st.product == Organization {
		open = `{"data":`
	}
	switch d.list {
	case listMissing:
		// Confluence's, Data Center's and the organisation's list comes first: what follows it begins
		// with a comma.
		if st.product != Jira || st.form.events {
			b = append(b, `{"version":1`...)
		}
		return b, nil
	case listOther:
		return append(append(b, open...), d.listText...), nil
	}
	b = append(append(b, open...), '[')
	edited := 0
	for i, seq := range p.seqs {
		if i > 0 {
			b = append(b, ',')
		}
		at := len(b)
		b = st.appendRecord(b, seq)
		for _, e := range d.edits {
			if e.index == i || e.index < 0 && len(p.seqs)+e.index == i {
				b = append(b[:at], e.edit(slices.Clone(b[at:]))...)
				edited++
			}
		}
	}
	b = append(b, ']')
	if edited == 0 {
		return b, p.seqs
	}
	for i, seq := range p.seqs {
		if !slices.ContainsFunc(d.edits, func(e recordEdit) bool {
			return e.index == i || e.index < 0 && len(p.seqs)+e.index == i
		}) {
			shown = append(shown, seq)
		}
	}
	return b, shown
}

// write sends the body, in pieces where a fault wants that.
func write(ctx context.Context, w http.ResponseWriter, body []byte, d *damage) bool {
	if d.piece == 0 {
		_, err := w.Write(body)
		return err == nil
	}
	for piece := range slices.Chunk(body, d.piece) {
		if _, err := w.Write(piece); err != nil {
			return false
		}
		_ = http.NewResponseController(w).Flush()
		if !pause(ctx, d.pause) {
			return false
		}
	}
	return true
}

// pause waits in real time. It reports false where the client gave up first.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// dropper is a ResponseWriter without a socket that can still be cut off.
type dropper interface{ drop(dropKind) }

// drop breaks the connection before anything was answered.
func drop(w http.ResponseWriter, how dropKind) {
	if t, ok := w.(dropper); ok {
		t.drop(how)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // the caller aborts the answer all the same
	}
	if how == dropReset {
		raw := conn
		if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
			raw = t.NetConn()
		}
		if t, ok := raw.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
	}
	_ = conn.Close()
}

func compressed(body []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(body) // a bytes.Buffer does not fail
	_ = z.Close()
	return out.Bytes()
}

func traceID(seed uint64, n int) string {
	r := newRand(seed, uint64(n))
	b := make([]byte, 0, 32)
	for range 32 {
		b = append(b, "0123456789abcdef"[r.IntN(16)])
	}
	return string(b)
}
