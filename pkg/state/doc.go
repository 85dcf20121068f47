// Package state keeps what a stream's collection must remember between two
// runs: its position, the records seen, and the last batch of lines (the redo
// log). One stream, that is one product of one site, is one bbolt file, so that
// no edit of the configuration can part a stream from its past.
//
// It promises:
//
//   - A Commit is all or nothing, whatever happens while it runs.
//   - One process at a time: a state in use answers ErrBusy after a short wait.
//   - Damage is noticed, never taken for emptiness. Open reads the whole file:
//     its pages by their format, before bbolt trusts them, then every value by
//     its checksum. A table or a key that is missing is damage, since all are
//     written when the file is made; so is a file of no bytes. A fault of the
//     mapped file is an error.
//   - What is damaged or lost is replaced by the newest copy, or by the marker,
//     and kept under another name. Nothing is lost by that; what was delivered
//     since may be delivered again.
//   - A format that a newer version wrote is refused, not guessed.
//   - Files are for their owner alone, and no link is followed.
//
// One thing cannot be noticed: a file that is whole but older than what was
// written last, be it put back from a backup or left by a disk that forgot a
// write it had confirmed. It is believed, and what came after it repeated.
//
// The package does not decide what is collected, writes no spool file, and does
// not serve network file systems, whose locks and maps cannot be relied on: the
// caller refuses those.
package state
