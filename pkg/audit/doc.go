// Package audit holds the vocabulary that every other package shares: a Record
// as Atlassian sent it, the Stream it belongs to, the Query and Page it travels
// in, the Interval arithmetic that says what has been read, the Position that
// is kept between runs, and the Line that is written to the spool.
//
// It promises to be pure: it touches no clock, no file and no network, and it
// imports no other package of this project. It never rebuilds a record: the
// bytes that came are the bytes that leave, white space aside.
package audit
