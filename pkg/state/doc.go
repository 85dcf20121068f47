// Package state keeps what a stream's collection must remember between two
// runs: its position, the records seen, and the last batch of lines (the redo
// log). One stream, that is one product of one site, is one bbolt file, so that
// no edit of the configuration can part a stream from its past.
//
// It promises:
//
//   - A Commit is all or nothing, whatever happens while it runs.
//   - One process at a time: a file in use answers ErrBusy after a short wait.
//   - Damage is noticed, never taken for emptiness: the position and every
//     chunk of seen records carry a checksum, a memory fault of the mapped file
//     is an error, a file of no bytes is damage. Recover sets such a file
//     aside and goes on from the newest copy, or from the marker.
//   - A format that a newer version wrote is refused, not guessed.
//
// It does not decide what is collected, writes no spool file, and does not
// serve network file systems, whose locks and maps cannot be relied on: the
// caller refuses those.
package state
