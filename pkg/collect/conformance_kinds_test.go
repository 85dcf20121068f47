package collect_test

import (
	"hash/fnv"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"atlassian_audit_records/internal/sourcetest"
	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// kind is a kind of source, and how much of the suite it goes through. A light one
// goes through every test, but (where it is not quiet) a third of the rows of a table,
// another one for each kind, and a part of what is tried at each request or
// operation in turn; `make conformance` lets it go through all.
type kind struct{ sourcetest.Kind }

// kinds are all sources.
var kinds = func() (out []kind) {
	for _, k := range sourcetest.Kinds() {
		out = append(out, kind{k})
	}
	return out
}()

// filesRoot is where the audit log files of simulated nodes lie.
var filesRoot string

// isLight tells whether the kind goes through a part only.
func (k kind) isLight() bool { return k.Light && os.Getenv("CONFORMANCE") != "all" }

// stride is how far apart the requests and operations lie that are tried in turn.
func (k kind) stride() int {
	if k.isLight() {
		return 5
	}
	return 1
}

// takes tells whether the kind goes through the test of that name.
func (k kind) takes(name string) bool {
	_, row, isRow := strings.Cut(name, "/")
	if !k.isLight() || k.Quiet || !isRow {
		return true
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(k.Name + row)) // a hash does not fail
	return h.Sum32()%3 == 0
}

// bound is a bound of a request: "from" or "to", in any of the ways in which it
// is written.
func bound(i atlassiantest.RequestInfo, which string) (time.Time, bool) {
	q, err := url.ParseQuery(i.RawQuery)
	if err != nil || !i.Audit() {
		return time.Time{}, false
	}
	text := q.Get(which)
	if text == "" {
		text = q.Get(map[string]string{"from": "startDate", "to": "endDate"}[which])
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.UnixMilli(ms), true
	}
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil
}
