package collect

import "atlassian_audit_records/pkg/audit"

// A cursor is Atlassian's: it may be refused, end, or lead back to what was read. Time
// is asked in its place then.

// leaveCursor goes on by time where the cursor leads nowhere. It is an error
// where time leads no further either.
func (w *climb) leaveCursor() error {
	c := w.c
	from := w.lo
	if w.pages == 0 && w.live {
		from = max(c.p.Floor, c.p.Forgotten, c.p.Upper-c.o.Lookback.Milliseconds())
	}
	if w.isNewest && c.p.Disorder < mostDisorder {
		from = max(from, w.newest-2*c.p.Disorder)
	}
	if from <= w.tried {
		return errRepeated
	}
	if w.live {
		c.p.Cursor, c.p.CursorFrom, c.p.CursorLow = "", 0, 0
	}
	w.byTime(from)
	if w.pages > 0 {
		// Not further back than need be, or a dense page would be the same again.
		w.q.From = from - 1
	}
	w.tried, w.again, w.print = from, 0, 0
	return nil
}

// askTime asks by time, where a cursor showed nothing after a full page, whether
// nothing is there: the cursor may be dead. It is kept unless time shows more.
func (w *climb) askTime() bool {
	from := w.newest - 2*w.c.p.Disorder
	if !w.isNewest || w.whole || from <= w.tried {
		return false
	}
	w.held = w.q
	w.byTime(from)
	w.q.From = from - 1
	w.tried, w.asking, w.again, w.print = from, true, 0, 0
	return true
}

// leadsBack reports a cursor that shows nothing but what lies far below the
// place at which it was given.
func (w *climb) leadsBack(v view) bool {
	if w.c.p.Disorder >= mostDisorder {
		return false
	}
	for _, r := range v.records {
		if at := r.At(); at == audit.UndatedMillis || at >= w.lo-slack-2*w.c.p.Disorder {
			return false
		}
	}
	return true
}
