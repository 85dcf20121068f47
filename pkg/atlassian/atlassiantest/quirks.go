package atlassiantest

import "time"

// Quirks are the ways in which a product's answers may differ from the plain
// ones. The zero value is Atlassian as observed. They may be changed at any
// moment and hold from the next request on.
type Quirks struct {
	// MaxPage is a page size that the server does not exceed whatever it is
	// asked for; 0: the product's own, 1,000.
	MaxPage int
	// EchoRequestedLimit keeps a clamped page size secret: the answer's
	// "limit" repeats the one that was asked for.
	EchoRequestedLimit bool
	// NextFromRequested computes the start in Confluence's "_links.next" from
	// the limit that was asked for, so that following it skips records (seen in
	// other Confluence endpoints).
	NextFromRequested bool
	// NextWithContext writes "_links.next" with the "/wiki" that Confluence
	// normally leaves out.
	NextWithContext bool
	// NextAlways writes "_links.next" on the last page too.
	NextAlways bool

	// TotalLie chooses what Jira's "total" says.
	TotalLie TotalLie
	// SizeLie makes Confluence's "size" disagree with the list.
	SizeLie bool

	// InsertionOrder lists the records as they were inserted, the latest first,
	// whatever their dates. Costs time linear in the records asked for.
	InsertionOrder bool
	// Ascending lists oldest first.
	Ascending bool
	// ShuffleTies lists the records of one millisecond in another order at each
	// request.
	ShuffleTies bool

	// SecondPrecisionBounds cuts the milliseconds off both bounds of a query.
	SecondPrecisionBounds bool
	// SecondPrecisionDates serves dates in whole seconds, while bounds are still
	// compared with the real ones.
	SecondPrecisionDates bool
	// ExclusiveBounds leaves out records dated exactly at a bound.
	ExclusiveBounds bool
	// EqualBounds lets Jira answer a query whose from equals its to. Without it
	// the list is empty, as documented: "from must be before to".
	EqualBounds bool

	// TextDates lets Confluence take bounds in RFC 3339 too, as several
	// collectors send them; its reference wants milliseconds.
	TextDates bool

	// Of the organisation's log alone:
	//
	// NextAtEnd names a next cursor on the last page too, by which to ask for what
	// is new. Without it one is named only where the page is full.
	NextAtEnd bool
	// CursorLife is how long a cursor is taken; 0: for ever. CursorStatus is what
	// one that is too old is answered with, 400 by default.
	CursorLife   time.Duration
	CursorStatus int
	// CursorStuck names, after the first page, the cursor that was asked as the
	// next one, and answers every cursor with the same page.
	CursorStuck bool
	// CursorSkips lets each cursor begin so many events too late.
	CursorSkips int
	// CursorDead answers every cursor with an empty list.
	CursorDead bool
	// CursorRestarts lets every cursor begin at the first event of all.
	CursorRestarts bool
	// BoundsByTime compares bounds with the time of an event, not with that of its
	// processing: the reference does not say which it is.
	BoundsByTime bool
	// Disorder places events by up to so much before or after their processedAt.
	// It concerns events added from then on.
	Disorder time.Duration

	// DatedBefore hides from every question with a bound the records dated at or
	// after it, in milliseconds, as an index does that fell behind: 1 hides all, as
	// the gateway does where a bound has no zone. Without a bound all are shown. 0
	// hides none.
	DatedBefore int64

	// IgnoreOffset serves the first page whatever the offset.
	IgnoreOffset bool
	// IgnoreFrom and IgnoreTo make the server blind to a bound.
	IgnoreFrom, IgnoreTo bool
	// RowsPastEnd answers an offset beyond the end with the last page again,
	// instead of an empty one (seen in other Confluence endpoints).
	RowsPastEnd bool

	// SearchEvents lets Data Center write a record of every search of its audit
	// log, as it does. Tests that do not want to be disturbed leave it out.
	SearchEvents bool
	// WriteDelay is how much later than its date such a record is shown: Data
	// Center writes its audit log asynchronously.
	WriteDelay time.Duration
	// NoCursor leaves pageCursor out of Data Center's answers.
	NoCursor bool
	// CursorIgnoresBounds lets a pageCursor override the bounds of a query at
	// Data Center, whose own links leave them out.
	CursorIgnoresBounds bool

	// DateFormat chooses how dates are written.
	DateFormat DateFormat
	// ClockSkew is added to the Date header and to nothing else.
	ClockSkew time.Duration
	// Latency is the time from a request to its answer. It passes in real time,
	// not on the server's clock.
	Latency time.Duration
}

// TotalLie is what Jira's "total" says.
type TotalLie int

// What "total" may say. Observed is the number of records of the whole site,
// whatever was asked for.
const (
	TotalSiteWide TotalLie = iota
	TotalFiltered
	TotalTooBig
	TotalTooSmall
	TotalZero
	TotalMissing
)

// DateFormat is a way to write a record's date.
type DateFormat int

// The ways to write a date. Observed are DateOffset at Jira and
// DateEpochMillis at Confluence; others were met by collectors of older
// versions or of Data Center.
const (
	DateAsProduct   DateFormat = iota
	DateOffset                 // "2022-01-06T09:49:07.418+0000"
	DateColonOffset            // "2022-01-06T09:49:07.418+00:00"
	DateZulu                   // "2022-01-06T09:49:07.418Z"
	DateNoMillis               // "2022-01-06T09:49:07+0000"
	DateOtherZone              // "2022-01-06T11:49:07.418+0200"
	DateEpochMillis            // 1641462547418
	DateEpochText              // "1641462547418"
)

var dateLayouts = map[DateFormat]string{
	DateOffset:      "2006-01-02T15:04:05.000-0700",
	DateColonOffset: "2006-01-02T15:04:05.000-07:00",
	DateZulu:        "2006-01-02T15:04:05.000Z",
	DateNoMillis:    "2006-01-02T15:04:05-0700",
	DateOtherZone:   "2006-01-02T15:04:05.000-0700",
}

// SetQuirks replaces the product's quirks.
func (s *Server) SetQuirks(product string, q Quirks) {
	s.UpdateQuirks(product, func(was *Quirks) { *was = q })
}

// UpdateQuirks changes some of the product's quirks and leaves the others.
func (s *Server) UpdateQuirks(product string, change func(*Quirks)) {
	st := s.store(product)
	st.mu.Lock()
	defer st.mu.Unlock()
	change(&st.quirks)
}

// Quirks are those in force for the product.
func (s *Server) Quirks(product string) Quirks {
	st := s.store(product)
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.quirks
}
