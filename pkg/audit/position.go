package audit

// Position is everything that is remembered of a stream between two runs,
// except the records seen and the batch that may still have to be written. It
// is kept as one small value; times are in milliseconds since the epoch.
type Position struct {
	// Floor is the lowest millisecond that is wanted, fixed at the first
	// attempt; FloorSet tells whether there was one.
	Floor    int64 `json:"floor"`
	FloorSet bool  `json:"floor_set"`
	// Upper is the time of the newest record read that is not dated after
	// Atlassian's own clock: the upper end of coverage. UpperSet is false until
	// there is one.
	Upper    int64 `json:"upper"`
	UpperSet bool  `json:"upper_set"`
	// Covered is what has been read completely.
	Covered Set `json:"covered,omitempty"`
	// Recheck is what is to be read once more: a look-back that was cut short,
	// or a reconcile under way.
	Recheck Set `json:"recheck,omitempty"`
	// Cuts are milliseconds at which a walk was cut. At each there is at least
	// one record, which an honest answer must show again.
	Cuts []int64 `json:"cuts,omitempty"`
	// Forgotten is the millisecond below which no seen record is remembered:
	// nothing below it is ever read again. 0 means that nothing was forgotten.
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
	Lines []byte
}

// Change is one commit: all of it becomes durable, or none.
type Change struct {
	// Position replaces the position.
	Position Position
	// Emitted are the records whose lines are in Batch.
	Emitted []Seen
	// Forget is the millisecond below which seen records may be dropped; 0
	// drops none. Records without a date are never below it.
	Forget int64
	// Batch is the batch to write next; nil leaves the last one in place. A
	// new batch says that the one before it is on disk, and so does an empty one
	// (no file, no lines), after which there is none.
	Batch *Batch
}
