package atlassian

import (
	"bytes"
	"cmp"
	"context"
	"sync"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// prefetching is what a Source fetches before its turn: the answer to the next
// question travels while this one is decoded. It is judged when it is asked for,
// like any other; what nobody asks for is thrown away, but for a request to wait:
// that is the answer to whatever is asked next. No other question leaves meanwhile.
type prefetching struct {
	// next says what is asked next, for the question that is being asked; nil
	// where nobody wants to know.
	next func(oldest int64) (audit.Query, bool)
	ctx  context.Context //nolint:containedctx // it bounds what outlives the call
	// early is what is being fetched, nil for nothing. wrong is true once something
	// else was asked than was foreseen: then nothing is foreseen any more.
	early *early
	wrong bool
	// size is that of the last answer that another was to follow, largest that of
	// any; in bytes, 0 for none.
	size, largest int
}

// early is one answer that is fetched before its turn.
type early struct {
	url    string
	ctx    context.Context //nolint:containedctx // its end is not the end of what asks for the answer
	cancel context.CancelFunc
	// ended is closed when got and until are there.
	ended chan struct{}
	got   fetched
	// until is when the wait is over that the answer asks for; zero for none.
	until time.Time
}

// Prefetch is Page for a question that another will follow. As soon as the
// answer's bytes are here, and before they are checked, next is told the time
// of what looks like their last record, and may say what will be asked then; that
// is fetched meanwhile, at most until ctx ends. A page that is much smaller than
// the one before is taken for the last. Whoever calls it must call Settle.
//
// Where the next Prefetch asks something else than was foreseen, a request was in
// vain; that happens once to a Source, which foresees nothing after it.
func (s *Source) Prefetch(ctx context.Context, q audit.Query, next func(oldest int64) (audit.Query, bool)) (audit.Page, error) {
	s.next, s.ctx = next, ctx
	defer func() { s.next, s.ctx = nil, nil }()
	return s.Page(ctx, q)
}

// Settle gives up what was fetched and not asked for, and waits for its end.
func (s *Source) Settle() {
	if e := s.early; e != nil {
		e.cancel()
		<-e.ended
		if !s.c.now().Before(e.until) {
			s.early = nil
		}
	}
}

// prefetched is the answer to a question where it was fetched before, else nil.
func (s *Source) prefetched(ctx context.Context, q question) func() fetched {
	e := s.early
	if e == nil {
		return nil
	}
	asked := e.url == q.url.String()
	if !asked && s.next != nil {
		s.wrong = true
		s.Settle()
	}
	<-e.ended
	waits := s.c.now().Before(e.until)
	if !asked && !waits {
		return nil
	}
	s.early = nil
	return func() fetched {
		cut := e.ctx.Err() != nil && ctx.Err() == nil
		e.cancel()
		if cut && !waits {
			return s.c.fetch(ctx, q)
		}
		return e.got
	}
}

// whenArrived fetches what is asked next, if that can be foreseen.
func (s *Source) whenArrived(route string) func([]byte) {
	next, ctx := s.next, s.ctx
	if next == nil || s.wrong {
		return nil
	}
	return func(body []byte) {
		before := cmp.Or(s.size, s.largest)
		s.size = len(body)
		if s.early != nil || len(body) < before-before/16 {
			return
		}
		oldest, ok := lastDate(body, s.product.layout)
		if !ok {
			return
		}
		q, ok := next(oldest)
		if !ok {
			return
		}
		u, err := s.address(route)
		if err != nil {
			return
		}
		q.Limit = limitOf(q)
		u.RawQuery = s.product.query(q).Encode()
		s.fetchEarly(ctx, s.question(u, q.Limit), len(body))
	}
}

// fetchEarly returns when the question is on its way: were it left to the scheduler,
// it would leave when this one's answer is decoded where all processors are busy,
// and whether it left at all before it is given up would be chance. Where the pace
// makes questions wait, it is not asked before it is needed: the page would wait
// with it.
func (s *Source) fetchEarly(ctx context.Context, q question, hint int) {
	if !s.c.atOnce() {
		return
	}
	q.sizeHint = hint
	ctx, cancel := context.WithCancel(ctx)
	e := &early{url: q.url.String(), ctx: ctx, cancel: cancel, ended: make(chan struct{})}
	s.early = e
	left, count := make(chan struct{}), q.sent
	leave := sync.OnceFunc(func() { close(left) })
	q.sent = func() {
		count()
		leave()
	}
	go func() {
		defer close(e.ended)
		e.got = s.c.fetch(ctx, q)
		if e.got.resp == nil {
			return
		}
		if failure := s.c.judgeStatus(q, e.got.resp, e.got.date, e.got.body); failure != nil {
			e.until = failure.Until
		}
	}()
	select {
	case <-left:
	case <-e.ended:
	}
}

// lastDate is the date of what looks like the last record of a page. The text is
// not checked.
func lastDate(body []byte, l layout) (ms int64, ok bool) {
	if l.dateName == "" {
		return 0, false
	}
	name := []byte(`"` + l.dateName + `"`)
	at := bytes.LastIndex(body, name)
	if at < 0 {
		return 0, false
	}
	s := scanner{b: body, i: at}
	s.name()
	raw := s.value()
	if s.bad {
		return 0, false
	}
	if l.date != nil {
		return l.date(raw)
	}
	return parseDate(raw)
}
