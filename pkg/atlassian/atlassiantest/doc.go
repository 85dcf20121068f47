// Package atlassiantest is a simulated Atlassian Cloud: a site with Jira and
// Confluence, the gateway in front of the same two products, and the
// authorisation server, as far as reading audit records needs them.
//
// It promises to answer as Atlassian was documented or observed to answer, and
// to misbehave on demand: quirks (Quirks) are standing habits of a product,
// faults (Fault) strike chosen requests. Everything random follows from a seed.
// What was held, asked for and shown can be read back, so that a test can
// compare what was served with what a collector delivered.
//
// A server opens no socket by itself. Handler serves everything on one origin,
// SiteHandler, GatewayHandler and AuthHandler serve one part each, Transport
// answers an http.Client without any connection (also inside a
// testing/synctest bubble), and Listen opens a loopback port.
//
// Observed and simulated: newest first; both bounds inclusive; at most 1,000
// records a page; Jira's "total" counts the whole site; Jira's ids ascend with
// gaps, Confluence has none; a date without a zone makes the gateway answer 200
// with an empty list, a blank in place of "+" makes either host answer 400;
// "_links.next" only where there is more, relative to a base it does not name;
// a classic token is good for the site alone, a scoped one for the gateway
// alone; 401 with a category for a missing scope; people by
// their account ids, some without an e-mail address; 403 for a person who is no
// administrator, for the Free plan and for a lost licence.
//
// The organisation's log (events-stream) is simulated too, with a key of its own:
// ascending by the time of processing, which lags behind an event's own; pages of
// 200 unless told otherwise, 500 at most; a next cursor where a page is full, else
// null; the order kept in the cursor, the bounds not.
//
// Where it may differ from Atlassian:
//
//   - The order of records and how ties are broken are observed, not documented.
//   - A date without a zone on the site's host is taken as UTC, and a fraction
//     of more than three digits is refused; neither is known.
//   - A from equal to to gives an empty list at Jira, as its reference says
//     ("from must be before to"); Quirks.EqualBounds lifts that.
//   - The wording of error bodies is Atlassian's only where it was published.
//   - One scoped token may carry the scopes of both products; Atlassian makes
//     one per product. SetScopes narrows it.
//   - Whether the organisation's bounds mean the time of an event or of its
//     processing is not known; Quirks.BoundsByTime chooses the former. What its
//     log answers without Atlassian Guard is not known either.
//   - Rate limits are off until SetLimits; Atlassian's are always on.
//   - filter, searchString, the export and writing are not simulated: a request
//     for them gets 501. Data Center is not simulated either.
//   - The consent page (/authorize) asks for one button and for no password.
//     Whether an answer of 401 or another one tells that a consent does not
//     reach a site is not known; here it is the one for a missing scope.
//   - Answers have a Content-Length and are not compressed unless a fault asks
//     for it.
//   - The renaming of people reaches those records that show a name.
//
// The package imports no other package of this project, so that a mistake in
// the client cannot cancel the same mistake here.
package atlassiantest
