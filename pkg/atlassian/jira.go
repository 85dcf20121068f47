package atlassian

import (
	"net/url"
	"strconv"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// jiraTime is how a bound is written: UTC, with milliseconds and an explicit
// zone. Without a zone the gateway answers 200 with an empty list; a '+' that
// is not escaped answers 400 (both observed). 'Z' has neither trap.
const jiraTime = "2006-01-02T15:04:05.000Z"

// jira is Jira Cloud's audit record resource, REST API v3.
//
// Documented: offset, limit, from and to, both bounds inclusive; "from must be
// before to", or no record is returned; the answer's shape. Observed: newest
// first; at most 1000 records a page; `total` is not the number of records
// that match.
func jira() product {
	return product{
		name:       "Jira",
		permission: "the global permission Administer Jira",
		scopes:     "read:audit-log:jira and read:user:jira (or the classic manage:jira-configuration)",
		sitePath:   "/rest/api/3/auditing/record",
		gateway:    "jira",
		query:      jiraQuery,
		layout:     layout{list: "records", slot: jiraSlot, dateName: "created", places: jiraPlaces},
	}
}

// jiraPlaces: Jira names people by their ids alone, and says what happened in
// words only (summary), always in English as far as observed.
var jiraPlaces = []place{
	{fact: factActorID, slot: slotAccount},
	{fact: factActorID, slot: slotAccountOld},
	{fact: factAddress, slot: slotAddress},
	{fact: factAction, slot: slotSummary},
	{fact: factCategory, slot: slotCategory},
}

func jiraQuery(q audit.Query) url.Values {
	v := url.Values{
		"offset": {strconv.Itoa(q.Offset)},
		"limit":  {strconv.Itoa(q.Limit)},
	}
	from := q.From
	if jiraWidened(q) {
		from = q.To - 1
	}
	if from >= 0 {
		v.Set("from", time.UnixMilli(min(from, maxMillis)).UTC().Format(jiraTime))
	}
	if q.Bounded {
		v.Set("to", time.UnixMilli(min(q.To, maxMillis)).UTC().Format(jiraTime))
	}
	return v
}

// jiraWidened reports whether q asks for a single millisecond. Jira documents
// that it answers nothing unless from is before to, so one millisecond more is
// asked for, and its records are cut off again (they come last: the order is
// newest first).
func jiraWidened(q audit.Query) bool { return q.Bounded && q.From == q.To }

// jiraCut removes what was answered for the millisecond that jiraQuery added.
// Records without a date stay: they may belong to the question.
func jiraCut(q audit.Query, records []audit.Record) []audit.Record {
	if !jiraWidened(q) {
		return records
	}
	kept := records[:0]
	for _, r := range records {
		if r.Dated && r.Millis == q.To-1 {
			continue
		}
		kept = append(kept, r)
	}
	return kept
}

func jiraSlot(name []byte) int {
	switch string(name) {
	case "id":
		return slotID
	case "created":
		return slotDate
	case "authorAccountId":
		return slotAccount
	case "authorKey":
		return slotAccountOld
	case "summary":
		return slotSummary
	case "category":
		return slotCategory
	case "remoteAddress":
		return slotAddress
	case "description":
		return slotDescription
	case "objectItem":
		return slotObject
	case "changedValues":
		return slotChanges
	case "associatedItems":
		return slotItems
	case "eventSource":
		return slotOrigin
	}
	return slotNone
}
