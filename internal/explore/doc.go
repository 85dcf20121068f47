// Package explore looks for what breaks the promise: it lets worlds live that a
// seed decides, and holds the law against them after every step.
//
// A world is a site, a machine and an Agent. The check runs there as it does in an
// Agent, with the real collect, spool, state and client; it is killed, the power
// fails, the disk fills up or refuses, the clock jumps, records appear late, several
// runs meet, answers go wrong, and meanwhile the Agent delivers, restarts and loses
// its registry. Of the disk only what was synced is sure to survive (spooltest); the
// state's commits are taken as atomic.
//
// # The law
//
//  1. Nothing is covered that is not there: each record that was shown in time and
//     lies in the durable coverage stands in the spool, or in the batch that the
//     state will write. One that is too long for a line is kept whole.
//  2. Each record stands there once, under one record_id, as it was served. What was
//     taken out to be spooled again as late does not count beside what it became. No
//     file holds lines of two products.
//  3. What once stood there stays, until the Agent has delivered it. A replay puts back
//     all that was delivered, and nothing else.
//  4. Once everything is well again, and a reconcile is over, all that the sites show
//     was collected and delivered, also of a history that somebody wants, and nothing
//     is left that takes room.
//
// All that can be held without looking at what was served is held after each
// operation that changes what stands where (law.glance); the whole law after each end
// of a process, kill, power failure and step (law.check).
//
// What the documentation says may be repeated (after a loss of the state, and where a
// person of a source without ids was renamed) is not held against it.
//
// # One seed, one life
//
// Each operation on the disk, the state and the network waits for its turn (turn.go).
// A turn is given when nothing else in the world can go on, and to whom the seed
// decides. So the goroutines of a process, and several processes, meet in any order,
// and in the same one each time.
//
// The package promises no findings, and that a finding can be had again.
package explore
