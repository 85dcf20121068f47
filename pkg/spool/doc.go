// Package spool writes log lines into the append-only files that the Agent
// tails, and follows them until they are delivered.
//
// # What it promises
//
// A Dir is one source's folder. Its files hold whole lines and only grow: a
// byte once written is never changed, no file that the Agent reads is truncated,
// preallocated, reused or given another's name. The caller keeps, in its own transaction,
// which batch goes to which Place, and then:
//
//  1. Next says where a batch is to go: behind what was written last, or at
//     the beginning of a new file. It changes nothing.
//  2. The caller commits the batch and its Place.
//  3. Write puts exactly those bytes at exactly that place, and syncs the
//     file; for a new file its folder too, and the folder above.
//  4. When Write returns nil the lines survive any crash. When it returns an
//     error they may be there wholly, in part or not at all, and nothing else
//     may be written to the folder before Recover.
//  5. After a crash or an error, Recover compares the batch committed last
//     with the disk and completes it. What it cannot complete in place it
//     returns, for the caller to commit anew with a Place of its own.
//
// So a batch that was committed is on disk exactly once after Recover, however
// often 3 to 5 are cut short, and a batch that was not committed never was.
//
// A large batch that begins a file is written before it is committed, by Stage, where
// the Agent does not read; others may follow it there. Publish gives the file its name.
//
// # What Recover does
//
//	The disk holds                              Recover
//	------------------------------------------  ----------------------------------------------
//	no such file, the place is a beginning      writes the batch there
//	no such file, the place is further on       returns all lines
//	the file, shorter than the place            returns all lines
//	the file, ending at the place or within     writes the batch there: same bytes, same place
//	  the batch, and every byte so far is ours
//	the whole batch, whatever is behind it      writes it there again: same bytes, same place
//	some other byte within the batch            writes the lines there again that stand there
//	                                            as whole lines, and returns the others
//	a symbolic link, folder or device           fails: somebody else was here
//
//	it was staged, and waits                    cuts off what was never committed, and
//	                                              gives the file its name
//	it was staged, and has its name             syncs the folder, no more
//	it was staged, and is not there as a whole  fails: the error is Lost
//	it was not staged, and a staged file waits  removes that: it was never committed
//
// What stands there is written again, because it may only seem to: a system whose
// sync failed shows bytes that it has dropped, and syncs them no more.
//
// Other bytes within the batch are what a power failure leaves of a write that
// was not synced: parts may be missing before parts that are there. The Agent
// may have read on, so what is missing is not put in; and a line behind it that
// is whole is not written twice.
//
// # What becomes of a file
//
// A Tracker follows one stream's files, by what the Agent tells of offsets:
//
//	A file that                                  is
//	-------------------------------------------  ---------------------------------------
//	is delivered to its end since ten minutes,   moved to Delivered, and removed a day
//	  and not written to any more                later, or earlier where space is needed
//	holds undelivered lines whose official date  moved to Late, and its undelivered part
//	  nears 18 hours                             spooled again, the old lines as late
//	stays undelivered for a day, while lines of  moved to Delivered and reported for a
//	  others, read later, are delivered          day: its last lines were excluded
//	has no line that can be read, and did not    moved to Delivered: a power failure left it,
//	  change for a day                           and its lines stand elsewhere
//	anything else                                left where it is, however long
//
// What is not known is never taken for delivered, nor for undelivered: without the
// Agent's registry nothing moves. Each move is one rename, each new file appears
// whole, and at every moment each undelivered line is in the spool or in Late.
//
// # What it does not do
//
// It does not know what a record says, keeps no position, and takes no lock: two
// processes must not write to one stream's files at the same time. It does not
// read the Agent's registry itself, and cannot tell what Datadog refused from
// what it kept: the Agent counts both as delivered.
package spool
