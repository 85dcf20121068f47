// Package atlassian talks to Atlassian's audit APIs: it asks for one page at a
// time, judges every answer in one place (judge.go), and splits a page into
// records without changing a byte of them.
//
// It promises that nothing is read as "no records" but an empty list in valid
// JSON; that a record is never dropped because a field of it cannot be read;
// that every failure is an *Error, which says what happened, to which site and
// product, and what to do next; that a URL found in an answer is never
// followed; that a redirect is never followed; and that no request outlasts
// its context.
//
// It keeps no state between processes, sleeps for at most a few seconds (a
// longer wait is an error that says until when), knows neither positions nor
// the spool, and attaches no credential itself: that is the Credential's work.
//
// Facts about the APIs are marked by their source: "documented" is Atlassian's
// OpenAPI description or help pages, "observed" is the behaviour that several
// public collectors and their fixtures show. The order of records (newest
// first) and their precision (milliseconds) are observed, not documented, on
// both products: a caller must check them.
package atlassian
