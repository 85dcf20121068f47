// Package shared is what several machines that carry the same configuration
// share of a site: who collects it, up to where its records are delivered, which
// records were seen there, and the consents of OAuth apps.
//
// It promises, as far as a Backend keeps its word:
//
//   - One machine at a time holds a site's lease (Place.Hold), for as long as it
//     comes back before the lease ends. A lease that ended is somebody else's.
//   - Nothing is written for a holder that lost its lease, however late it wakes
//     up (the fence). Whose memory is older than what stands there sees it
//     (Head.ID).
//   - A head and the pieces that it names are seen together: whoever reads the one
//     finds the others.
//   - What is read is what was written: each piece has a checksum over its name
//     and its bytes, and each head one too.
//
// It does not know what delivered means, keeps nothing on this machine's disk, and
// cannot keep a machine that lost its lease from writing into its own spool:
// the caller asks Lease.Left before each commit.
package shared
