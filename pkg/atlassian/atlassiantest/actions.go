package atlassiantest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Action is what a fault does to an answer. The functions below make them.
type Action struct {
	name  string
	apply func(d *damage, s *Server)
}

// Together does several actions to one answer.
func Together(actions ...Action) Action {
	names := make([]string, len(actions))
	for i, a := range actions {
		names[i] = a.name
	}
	return Action{strings.Join(names, "+"), func(d *damage, s *Server) {
		for _, a := range actions {
			a.apply(d, s)
		}
	}}
}

// Answer replaces the answer: a status, a body, and headers as key, value,
// key, value. The request is not otherwise processed.
func Answer(status int, body string, headers ...string) Action {
	return Action{fmt.Sprintf("status %d", status), func(d *damage, s *Server) {
		rep := reply{status: status, body: []byte(body), header: http.Header{}}
		for i := 0; i+1 < len(headers); i += 2 {
			rep.header.Add(headers[i], headers[i+1])
		}
		if rep.header.Get("Content-Type") == "" {
			rep.header.Set("Content-Type", "application/json")
		}
		d.instead = &rep
	}}
}

// ServerError answers with a 5xx as the gateway does.
func ServerError(status int) Action {
	return Answer(status, fmt.Sprintf(`{"code":%d,"message":%s}`, status, quote(http.StatusText(status))))
}

// RetryStyle is how an answer says how long to wait.
type RetryStyle int

// The ways to say how long to wait.
const (
	RetrySeconds RetryStyle = iota // Retry-After: 30
	RetryDate                      // Retry-After: Mon, 02 Jan 2006 15:04:05 GMT
	RetryXHeader                   // X-Retry-After: 30
	RetryReset                     // X-RateLimit-Reset: 2006-01-02T15:04Z and nothing else
	RetryUnsaid                    // no header at all
)

// RateLimit answers 429 and says to wait, counted from the server's clock.
func RateLimit(wait time.Duration, style RetryStyle) Action {
	return Action{"rate limit", func(d *damage, s *Server) {
		rep := rateLimited(s.now(), wait, style, "jira-quota-tenant-based")
		d.instead = &rep
	}}
}

// Unavailable answers 503 and says to wait.
func Unavailable(wait time.Duration, style RetryStyle) Action {
	return Action{"unavailable", func(d *damage, s *Server) {
		rep := gatewayError(http.StatusServiceUnavailable, "Service Unavailable")
		sayWait(rep.header, s.now(), wait, style)
		d.instead = &rep
	}}
}

func rateLimited(now time.Time, wait time.Duration, style RetryStyle, reason string) reply {
	rep := gatewayError(http.StatusTooManyRequests, "Rate limit exceeded")
	sayWait(rep.header, now, wait, style)
	if style != RetryReset && style != RetryUnsaid {
		rep.header.Set("RateLimit-Reason", reason)
		rep.header.Set("X-RateLimit-Remaining", "0")
		rep.header.Set("X-RateLimit-Reset", resetText(now.Add(wait)))
	}
	return rep
}

func sayWait(h http.Header, now time.Time, wait time.Duration, style RetryStyle) {
	seconds := strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
	switch style {
	case RetrySeconds:
		h.Set("Retry-After", seconds)
	case RetryDate:
		h.Set("Retry-After", now.Add(wait+time.Second-1).UTC().Format(http.TimeFormat))
	case RetryXHeader:
		h.Set("X-Retry-After", seconds)
	case RetryReset:
		h.Set("X-RateLimit-Reset", resetText(now.Add(wait)))
	}
}

// resetText writes a time to the minute, not before it, as observed.
func resetText(at time.Time) string {
	return at.Add(time.Minute - 1).UTC().Truncate(time.Minute).Format("2006-01-02T15:04Z")
}

// Redirect answers 302 to that URL, absolute or of this origin.
func Redirect(url string) Action {
	return Action{"redirect", func(d *damage, s *Server) {
		rep := htmlReply(http.StatusFound, "")
		rep.header.Set("Location", url)
		d.instead = &rep
	}}
}

// LoginRedirect answers 302 to the login page of this origin.
func LoginRedirect() Action {
	a := Redirect("/login?continue=%2F")
	a.name = "login redirect"
	return a
}

// LoginPage answers 200 with the login page.
func LoginPage() Action {
	return Action{"login page", func(d *damage, s *Server) {
		rep := htmlReply(http.StatusOK, loginPage)
		d.instead = &rep
	}}
}

// Reset processes the request and breaks the connection without an answer.
// Go's http.Transport may repeat a request by itself where that happens on a
// connection that was used before.
func Reset() Action {
	return Action{"reset", func(d *damage, _ *Server) { d.drop = dropReset }}
}

// Close processes the request and closes the connection without an answer; see
// Reset about repetition.
func Close() Action {
	return Action{"close", func(d *damage, _ *Server) { d.drop = dropClose }}
}

// Hang never answers; it ends when the client gives up.
func Hang() Action { return Action{"hang", func(d *damage, _ *Server) { d.hang = true }} }

// Slow waits before it answers.
func Slow(wait time.Duration) Action {
	return Action{"slow", func(d *damage, _ *Server) { d.delay += wait }}
}

// Drip sends the body in pieces of that many bytes with a pause after each.
func Drip(piece int, pause time.Duration) Action {
	return Action{"drip", func(d *damage, _ *Server) { d.piece, d.pause = max(1, piece), pause }}
}

// Truncate breaks the connection after that part (0 to 1) of the body, of which
// the client was promised the whole.
func Truncate(part float64) Action {
	return Action{"truncate", func(d *damage, _ *Server) { d.cut, d.part = true, part }}
}

// TruncateQuietly ends the body after that part of it, as if that were all.
func TruncateQuietly(part float64) Action {
	return Action{"truncate quietly", func(d *damage, _ *Server) { d.cut, d.quiet, d.part = true, true, part }}
}

// Gzip compresses the body, whether or not the client said that it accepts
// that.
func Gzip() Action { return Action{"gzip", func(d *damage, _ *Server) { d.gzip = true }} }

// Huge makes the body at least that many bytes long, by an unknown field.
func Huge(bytes int) Action {
	return Action{"huge", func(d *damage, _ *Server) { d.pad = bytes }}
}

// RepeatPage answers with the list that the product's previous answer had.
func RepeatPage() Action {
	return Action{"repeat page", func(d *damage, _ *Server) { d.repeat = true }}
}

// EmptyList answers 200 with no records, whatever there is.
func EmptyList() Action {
	return Action{"empty list", func(d *damage, _ *Server) { d.list = listEmpty }}
}

// MalformedJSON answers with a body that is not JSON, though all of it came.
func MalformedJSON() Action {
	return Action{"malformed JSON", func(d *damage, _ *Server) { d.list = listMalformed }}
}

// EmptyBody answers 200 with no body at all.
func EmptyBody() Action {
	return Action{"empty body", func(d *damage, _ *Server) {
		d.instead = &reply{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}}
	}}
}

// MissingList leaves the list out of the answer.
func MissingList() Action {
	return Action{"missing list", func(d *damage, _ *Server) { d.list = listMissing }}
}

// ListInstead puts another JSON value where the list should be: null, an
// object, a text.
func ListInstead(value string) Action {
	return Action{"list instead", func(d *damage, _ *Server) { d.list, d.listText = listOther, value }}
}

// Replace puts another JSON value in the place of one record of the list;
// index counts from 0, or from the end with -1.
func Replace(index int, value string) Action {
	return Edit(index, func([]byte) []byte { return []byte(value) })
}

// NullRecord puts null in the place of a record.
func NullRecord(index int) Action { return named("null record", Replace(index, "null")) }

// NumberRecord puts a number in the place of a record.
func NumberRecord(index int) Action { return named("number record", Replace(index, "42")) }

// SetField gives a top-level field of one record another JSON value, where the
// record has it: SetField(0, "id", `"11932"`), SetField(0, "created", "null").
func SetField(index int, field, value string) Action {
	return named("set "+field, Edit(index, func(raw []byte) []byte { return setMember(raw, field, value) }))
}

// DropField removes a top-level field of one record.
func DropField(index int, field string) Action {
	return named("drop "+field, Edit(index, func(raw []byte) []byte { return dropMember(raw, field) }))
}

// Edit changes the bytes of one record of the list. The records changed do not
// count as served.
func Edit(index int, edit func(raw []byte) []byte) Action {
	return Action{"edit", func(d *damage, _ *Server) { d.edits = append(d.edits, recordEdit{index, edit}) }}
}

// NextLink writes that text as Confluence's "_links.next".
func NextLink(next string) Action {
	return Action{"next link", func(d *damage, _ *Server) { d.next = &next }}
}

// BaseLink writes that text as Confluence's "_links.base".
func BaseLink(base string) Action {
	return Action{"base link", func(d *damage, _ *Server) { d.base = &base }}
}

// Do runs a function and leaves the answer alone.
func Do(f func()) Action {
	return Action{"do", func(*damage, *Server) { f() }}
}

func named(name string, a Action) Action {
	a.name = name
	return a
}
