// Package soak lets the check run through a day of a busy site in minutes, and
// measures that nothing of it grows: neither memory nor open files nor the disk. The
// day has bursts, late records, answers that fail, an outage of two hours and
// restarts; a model of the Agent delivers meanwhile.
//
// It is the check itself over a simulated site, run after run, on files of its own,
// in a bubble of testing/synctest. `make soak` runs the whole day; the tests of every
// change a shorter one.
package soak
