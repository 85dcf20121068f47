package audit

// Entry is what one commit did, kept where several machines share a stream until
// its lines are delivered. Then, and in the order of the entries, it becomes part
// of what they share.
type Entry struct {
	// Number counts entries, from 1 on.
	Number uint64 `json:"-"`
	// Position is the position behind it.
	Position Position `json:"position"`
	// Forget is the millisecond below which seen records may be dropped once it is
	// shared; 0 drops none.
	Forget int64 `json:"forget,omitempty"`
	// Ends are the places up to which lines have to be delivered: Offset is the
	// end of the lines in File. Of several, those before the last were written in
	// part, and the rest of them at the next.
	Ends []Place `json:"ends,omitempty"`
	// Base tells that it stands for everything before it: what was seen by then is
	// not in Emitted but in the state.
	Base bool `json:"base,omitempty"`
	// Emitted are the records emitted, in their order.
	Emitted []Seen `json:"-"`
}
