package audit

import "math"

// Position is everything that is remembered of a stream between two runs,
// except the records seen and the batch that may still have to be written. It
// is kept as one small value; times are in milliseconds since the epoch.
type Position struct {
	// Floor is the lowest millisecond that the runs of the check want, fixed at the
	// first attempt; FloorSet tells whether there was one.
	Floor    int64 `json:"floor"`
	FloorSet bool  `json:"floor_set"`
	// Upper is the time of the newest record read that is not dated after
	// Atlassian's own clock: the upper end of coverage. UpperSet is false until
	// there is one.
	Upper    int64 `json:"upper"`
	UpperSet bool  `json:"upper_set"`
	// Covered is what has been read completely, below Floor too.
	Covered Set `json:"covered,omitempty"`
	// Wanted is what somebody asked for besides: spans below Floor. What of it is not
	// covered is the history that a backfill still has to read; the runs of the
	// check never do.
	Wanted Set `json:"wanted,omitempty"`
	// Past is how the reading of that history gets on.
	Past Past `json:"past,omitzero"`
	// Recheck is what is to be read once more: a look-back that was cut short,
	// or a reconcile under way.
	Recheck Set `json:"recheck,omitempty"`
	// Cuts are milliseconds at which a walk was cut. At each there is at least
	// one record, which an honest answer must show again.
	Cuts []int64 `json:"cuts,omitempty"`
	// Forgotten is the millisecond below which, down to Floor, no seen record is
	// remembered: nothing of it is ever read again. 0 means that nothing was forgotten.
	Forgotten int64 `json:"forgotten,omitempty"`
	// LookUpper is the upper end of coverage when the last look-back began: the
	// next one is counted from there.
	LookUpper int64 `json:"look_upper,omitempty"`
	// LookCut is true when the last look-back was more than a run could read.
	LookCut bool `json:"look_cut,omitempty"`
	// AgainNext is true when the next span to be read is one that is to be read
	// again; else it is one that was never read. They take turns.
	AgainNext bool `json:"again_next,omitempty"`
	// ReconcileAt is when the last reconcile was completed (wall clock), and
	// ReconcileUpper the upper end that it reached.
	ReconcileAt    int64 `json:"reconcile_at,omitempty"`
	ReconcileUpper int64 `json:"reconcile_upper,omitempty"`
	// ReconcileTarget is the upper end of the reconcile under way, 0 for none.
	ReconcileTarget int64 `json:"reconcile_target,omitempty"`
	// Slice is the length in milliseconds of the spans that a source whose
	// order cannot be trusted is read in; 0 where order was never broken.
	Slice int64 `json:"slice,omitempty"`
	// MissingSince is when known records were first found missing from an
	// answer that reached back over them (wall clock); 0 for never, or no more.
	MissingSince int64 `json:"missing_since,omitempty"`
	// GapMissingSince is the same for a span below the live edge, and GapMissingAt
	// the newest millisecond of that span.
	GapMissingSince int64 `json:"gap_missing_since,omitempty"`
	GapMissingAt    int64 `json:"gap_missing_at,omitempty"`
	// Cursor is where a log that is read by cursors goes on; empty where it goes
	// on by time. It is beside Covered and says nothing of it: it may be lost.
	Cursor string `json:"cursor,omitempty"`
	// CursorFrom is the lower bound of the question that Cursor continues, and
	// CursorLow the millisecond below which everything had been read when Cursor
	// was given: asking it shows nothing older.
	CursorFrom int64 `json:"cursor_from,omitempty"`
	CursorLow  int64 `json:"cursor_low,omitempty"`
	// Disorder is by how much such a log was seen to be out of its order, in
	// milliseconds; 0 where it never was.
	Disorder int64 `json:"disorder,omitempty"`
	// Rhythm is when the stream usually speaks, as its records tell.
	Rhythm Rhythm `json:"rhythm,omitzero"`
	// ProbeAt is when the stream was last asked without dates (wall clock), 0 for
	// never, ProbeUpper the upper end of coverage then, and Probes how often in a
	// row that was done while no record came.
	ProbeAt    int64 `json:"probe_at,omitempty"`
	ProbeUpper int64 `json:"probe_upper,omitempty"`
	Probes     int   `json:"probes,omitempty"`
	// HiddenSince is since when records are shown without dates that are not
	// shown with dates (wall clock); 0 for never, or no more.
	HiddenSince int64 `json:"hidden_since,omitempty"`
	// GapLeast is the least time, in milliseconds, that was not read below the upper
	// end since there was a gap, and GapAt when it last became less (wall clock); 0
	// and 0 where there is none.
	GapLeast int64 `json:"gap_least,omitempty"`
	GapAt    int64 `json:"gap_at,omitempty"`
	// LiveAt is when the live edge was last read to its end (wall clock), kept
	// to within a few minutes.
	LiveAt int64 `json:"live_at,omitempty"`
	// WaitUntil is the moment before which Atlassian does not want to be asked
	// (wall clock), and WaitReason says why.
	WaitUntil  int64  `json:"wait_until,omitempty"`
	WaitReason string `json:"wait_reason,omitempty"`
	// CloudID and Route are what was found out about the site: its id, and
	// whether the credential works on "site" or "gateway".
	CloudID string `json:"cloud_id,omitempty"`
	Route   string `json:"route,omitempty"`
	// Asked are the last questions to a source that writes records of them.
	Asked []Asked `json:"asked,omitempty"`
	// File is the spool file being appended to, End its length in bytes and
	// FileSince its creation (wall clock). An empty File means none.
	File      string `json:"file,omitempty"`
	End       int64  `json:"end,omitempty"`
	FileSince int64  `json:"file_since,omitempty"`
}

// Past is where the reading of a history stands. It goes downwards; what it emitted
// is remembered for a while, so that memory does not grow with the history.
type Past struct {
	// At is the upper end of what is read next, in milliseconds; what was read
	// last lies above it.
	At int64 `json:"at,omitempty"`
	// Known is the millisecond below which, down to the lowest read, everything that
	// this reading emitted is remembered. Mark lies between At and Known: what is
	// above it is forgotten next. Count is how many records came since Mark.
	Known int64 `json:"known,omitempty"`
	Mark  int64 `json:"mark,omitempty"`
	Count int   `json:"count,omitempty"`
	// Stride is the length in milliseconds of the parts in which a log that is read
	// upwards is read; 0 is a day.
	Stride int64 `json:"stride,omitempty"`
	// MissingSince and MissingAt are GapMissingSince and GapMissingAt of the history.
	MissingSince int64 `json:"missing_since,omitempty"`
	MissingAt    int64 `json:"missing_at,omitempty"`
}

// History is what is left to be read of the history that somebody asked for.
func (p Position) History() Set {
	var out Set
	for _, iv := range p.Wanted {
		for _, gap := range p.Covered.Gaps(iv) {
			out = out.Add(gap)
		}
	}
	return out
}

// Present is when the live edge was last read to its end as far as that can be
// believed (wall clock): not after it began to be withheld.
func (p Position) Present() int64 {
	if p.HiddenSince != 0 {
		return min(p.LiveAt, p.HiddenSince)
	}
	return p.LiveAt
}

// Place is where a batch stands in the spool: a file's base name in the
// stream's folder, and a byte offset in it.
type Place struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
}

// Batch is what a commit wants written: whole lines, each ending in '\n', at
// exactly that place.
type Batch struct {
	Place Place
	// Lines are the lines, unless they were staged.
	Lines []byte
	// Staged is where the lines end, in bytes, where they were written before they
	// were committed: they are the last ones of what is staged for Place.File, which
	// wants to be given that name. 0 where Lines is to be written.
	Staged int64
}

// End is where the lines end.
func (b Batch) End() int64 {
	if b.Staged > 0 {
		return b.Staged
	}
	return b.Place.Offset + int64(len(b.Lines))
}

// Change is one commit: all of it becomes durable, or none.
type Change struct {
	// Position replaces the position.
	Position Position
	// Emitted are the records whose lines are in Batch.
	Emitted []Seen
	// Forget is the millisecond below which seen records may be dropped, except of the
	// spans Keep; 0 drops none. Drop are more spans of which they may be.
	Forget int64
	Keep   Set
	Drop   Set
	// Batch is the batch to write next; nil leaves the last one in place. A
	// new batch says that the one before it is on disk, and so does an empty one
	// (no file, no lines), after which there is none.
	Batch *Batch
}

// Forgets are the spans of which seen records may be dropped. Records without a date
// are in none of them.
func (c Change) Forgets() Set {
	out := c.Drop
	if c.Forget != 0 {
		for _, iv := range c.Keep.Gaps(Interval{From: math.MinInt64, To: c.Forget}) {
			out = out.Add(iv)
		}
	}
	return out
}
