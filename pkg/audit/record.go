package audit

import (
	"encoding/json"
	"time"
)

// Record is one audit record: the bytes that came, and beside them the few
// facts that collecting needs.
type Record struct {
	// Raw is the record's JSON value exactly as it stood in the answer.
	// It may share memory with the whole answer: copy it to keep it.
	Raw json.RawMessage
	// Millis is the record's own time in milliseconds since the epoch.
	// It means nothing when Dated is false.
	Millis int64
	// Dated is false for a record whose time is missing or unreadable.
	Dated bool
	// Processed is when the source took the record into its log, in milliseconds
	// since the epoch: what the log of an organisation is ordered by. It means
	// nothing where IsProcessed is false, as it is for every other source.
	Processed   int64
	IsProcessed bool
	// ID is the source's own id as text ("11932"), empty where it gives none.
	ID string
	// Keys identify a record that has no ID; see Identity.
	Keys Keys
	// Checked tells that the source has made sure of what a line needs: Raw is one
	// JSON object without white space between its tokens, and has no field at its
	// top level whose name is Reserved. It only ever saves work.
	Checked bool
	// DateField is, in a record that is Checked, where the field stands whose
	// value dates it, its name included; none where there is no such field.
	DateField Span
	// Facts are where in Raw it stands who did what, and where from.
	Facts Facts
	// Own is true for a record that the source wrote because of a question of
	// ours: it is remembered like any other, and not delivered.
	Own bool
}

// Asked is a question that a source may have written a record of, which is to
// be recognised when it appears. Times are milliseconds since the epoch by the
// source's clock as far as it is known.
type Asked struct {
	// At is when the question was sent, Until when its answer was there.
	At    int64 `json:"at"`
	Until int64 `json:"until"`
	// Count is the number of records in the answer; below 0 where that is not
	// known, because no whole answer came.
	Count int `json:"count"`
	// Record is the fingerprint of the record that was taken for this question's;
	// empty as long as there was none.
	Record string `json:"record,omitempty"`
}

// Time is the record's own time in UTC.
func (r Record) Time() time.Time { return time.UnixMilli(r.Millis).UTC() }

// Query is one question to a source. Both bounds are inclusive, in
// milliseconds since the epoch.
type Query struct {
	// From is the lower bound.
	From int64
	// To is the upper bound; it holds only when Bounded is true.
	To int64
	// Bounded is false for the live question, which has no upper bound.
	Bounded bool
	// Offset is the number of records to skip, counted from the newest.
	Offset int
	// Limit is the number of records wanted at most.
	Limit int
	// Cursor asks for what comes after an earlier page, whose Next it was; empty
	// begins at From. From must be that of the question which the cursor
	// continues. Only a source that is read by cursors knows it.
	Cursor string
	// Newest asks such a source for its newest records, latest first, as every
	// other source answers anyway.
	Newest bool
}

// Page is one answer: valid JSON that held a list, empty or not.
type Page struct {
	// Records are in the order in which the answer gave them.
	Records []Record
	// Date is Atlassian's clock as the answer's Date header told it, to the
	// second; zero where there was none.
	Date time.Time
	// Limit is the page size that the answer says was applied; 0 where it
	// says nothing. It is a hint and may be a lie.
	Limit int
	// Next is the cursor of the page after this one, empty where the source names
	// none: there may be more all the same.
	Next string
}
