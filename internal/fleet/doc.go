// Command fleet plans for many sites on one machine, and simulates them.
//
// It promises that the numbers of docs/fleet.md are those of its model (Plan), and
// that `make fleet` compares the model with a fleet that really runs: simulated
// sites on ports of their own, each run of the check a process that is started as
// the adapter starts it, by as many runners as the Agent has, and a model of the
// Agent that follows the spool's files and acknowledges them in its registry.
//
// It does not know what the Agent itself needs for the files that it follows and
// the logs that it sends, nor how long Atlassian takes to answer: the simulated
// sites answer at once. A day is not waited for: the last rounds run with a clock
// that is ahead.
package main
