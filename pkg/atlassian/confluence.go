package atlassian

import (
	"net/url"
	"strconv"

	"atlassian_audit_records/pkg/audit"
)

// confluence is Confluence Cloud's audit resource, REST API v1 (v2 has none).
//
// Documented: startDate and endDate in epoch milliseconds, both inclusive;
// start and limit, "restricted by fixed system limits"; a record has no id.
// Observed: newest first; `_links.next` is rooted without /wiki and on the
// site's host, so it is not followed, here or anywhere.
func confluence() product {
	return product{
		name:       "Confluence",
		permission: "the global permission Confluence Administrator",
		scopes:     "read:audit-log:confluence",
		sitePath:   "/wiki/rest/api/audit",
		gateway:    "confluence",
		query:      confluenceQuery,
		layout:     layout{list: "results", slot: confluenceSlot, dateName: "creationDate", account: "accountId", places: confluencePlaces},
	}
}

// confluencePlaces: userKey and username are deprecated, publicName is what
// strangers see ("Unknown user" as a rule). An e-mail address is not documented;
// where one comes all the same it is taken.
var confluencePlaces = []place{
	{fact: factActorID, slot: slotAccount, path: []string{"accountId"}},
	{fact: factActorID, slot: slotAccount, path: []string{"userKey"}},
	{fact: factActorID, slot: slotAccount, path: []string{"username"}},
	{fact: factActorName, slot: slotAccount, path: []string{"displayName"}},
	{fact: factActorName, slot: slotAccount, path: []string{"publicName"}},
	{fact: factActorEmail, slot: slotAccount, path: []string{"email"}},
	{fact: factAddress, slot: slotAddress},
	{fact: factAction, slot: slotSummary},
	{fact: factCategory, slot: slotCategory},
}

func confluenceQuery(q audit.Query) url.Values {
	v := url.Values{
		"start": {strconv.Itoa(q.Offset)},
		"limit": {strconv.Itoa(q.Limit)},
	}
	if q.From >= 0 {
		v.Set("startDate", strconv.FormatInt(min(q.From, maxMillis), 10))
	}
	if q.Bounded {
		v.Set("endDate", strconv.FormatInt(min(q.To, maxMillis), 10))
	}
	return v
}

// confluenceSlot knows no id on purpose. Should Confluence begin to send one,
// taking it up must be a deliberate step: until then it only tells records of
// one millisecond apart, like any other field that is not known.
func confluenceSlot(name []byte) int {
	switch string(name) {
	case "creationDate":
		return slotDate
	case "author":
		return slotAccount
	case "summary":
		return slotSummary
	case "category":
		return slotCategory
	case "remoteAddress":
		return slotAddress
	case "description":
		return slotDescription
	case "affectedObject":
		return slotObject
	case "changedValues":
		return slotChanges
	case "associatedObjects":
		return slotItems
	case "sysAdmin", "superAdmin":
		return slotIgnored
	}
	return slotNone
}
