// Package collect is the promise: every audit record that a source shows is
// written to the spool exactly once, whatever happens between any two steps.
//
// The durability law, in the order in which it is kept:
//
//  1. A position is the set of time intervals that were read completely
//     (coverage), never a cursor. What is wanted and not covered is a gap.
//  2. A page is asked for below a millisecond T: everything above T in it is
//     complete and can be committed, T itself is asked for again. A gap ends
//     only at an empty page that an honest answer stands behind.
//  3. What a page shows is compared with what was emitted: by id where the
//     source gives one, else by counting within a millisecond.
//  4. New records become lines; lines, place in the spool, coverage and the
//     memory of the records are one commit of the state. Only then are the
//     lines written, at exactly that place, and synced. Where answers come
//     faster than the disk writes, several pages share a commit, and the next
//     are read meanwhile; commits still follow one another. Where it can be
//     foreseen, the question after a page is asked before the page is looked at;
//     its answer is used only if that question proves to be the next one.
//  5. A crash before the commit never happened. A crash after it is repaired by
//     writing the same bytes at the same place (Open).
//  6. What was emitted is forgotten only where nothing will ever be read again.
//
// The log of an organisation is read the other way round, upwards in the order of
// its processing (climb.go): a page is complete below the newest millisecond that it
// shows, and a span when what lies above it was shown. A cursor only says where
// to ask next.
//
// What the source does not promise is checked: the order, the bounds, that
// known records are shown again, that pages differ. What fails the check is
// delivered and covers nothing.
//
// The package speaks no HTTP and touches no file: Source, State and Spool are
// interfaces that the check wires. It reads no clock but the two in Options.
package collect
