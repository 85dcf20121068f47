package atlassiantest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Story is a short sequence of audit records that an attack, or a mistake as
// bad, leaves behind in one product. Detection rules are tested with them.
type Story struct {
	// Name is the story's, unique with Product: "mass-deletion".
	Name    string
	Product string
	// What is told, in a sentence.
	What string
	// scenes are the records, each so long after the story begins.
	scenes []scene
}

// scene is one record of a story, without id and date.
type scene struct {
	after time.Duration
	raw   string
}

// Records are the story's, the first one dated at, in the order of time. The
// same story told again is the same to the byte, dates aside.
func (s Story) Records(at time.Time) []Record {
	out := make([]Record, len(s.scenes))
	for i, c := range s.scenes {
		out[i] = Record{Created: at.Add(c.after), Raw: json.RawMessage(c.raw)}
	}
	return out
}

// Stories are all there are, by product and name.
func Stories() []Story {
	all := slices.Concat(jiraStories(), confluenceStories(), organizationStories())
	slices.SortStableFunc(all, func(a, b Story) int {
		return strings.Compare(a.Product+" "+a.Name, b.Product+" "+b.Name)
	})
	return all
}

// actor is somebody in stories and on ordinary days. The zero actor is the
// system, or an identity provider.
type actor struct{ account, name, mail, address string }

// The cast. Intruder acts with the first administrator's account from an
// address that nobody has used; Newcomer is an account that did not exist before.
var (
	administrators = []actor{
		{"712020:0a0a0a0a-0000-4000-8000-000000000001", "Administrator 1", "administrator1@example.com", "198.51.100.10"},
		{"712020:0a0a0a0a-0000-4000-8000-000000000002", "Administrator 2", "administrator2@example.com", "198.51.100.11"},
	}
	engineers = []actor{
		{"712020:0e0e0e0e-0000-4000-8000-000000000001", "Engineer 1", "engineer1@example.com", "198.51.100.21"},
		{"712020:0e0e0e0e-0000-4000-8000-000000000002", "Engineer 2", "engineer2@example.com", "198.51.100.22"},
		{"712020:0e0e0e0e-0000-4000-8000-000000000003", "Engineer 3", "engineer3@example.com", "203.0.113.23"},
		{"712020:0e0e0e0e-0000-4000-8000-000000000004", "Engineer 4", "engineer4@example.com", "2001:db8:7::24"},
	}
	intruder  = actor{administrators[0].account, administrators[0].name, administrators[0].mail, "192.0.2.66"}
	newcomer  = actor{"712020:0f0f0f0f-0000-4000-8000-000000000066", "Newcomer", "newcomer@example.net", "192.0.2.67"}
	collector = actor{"712020:0c0c0c0c-0000-4000-8000-000000000001", "Datadog audit collector", "audit-collector@example.com", "198.51.100.40"}
	viaTor    = actor{administrators[1].account, administrators[1].name, administrators[1].mail, "192.0.2.199"}
)

// every spaces n scenes evenly.
func every(gap time.Duration, n int, raw func(i int) string) []scene {
	out := make([]scene, n)
	for i := range out {
		out[i] = scene{time.Duration(i) * gap, raw(i)}
	}
	return out
}

// act is a Jira record by somebody.
func (a actor) jira(summary, category, item string, changes ...string) string {
	fields := []field{{"summary", quote(summary)}, {"remoteAddress", ""}, {"authorKey", ""}, {"authorAccountId", ""}, {"category", quote(category)},
		{"eventSource", `""`}, {"objectItem", item}}
	if a.account != "" {
		fields[1].value, fields[2].value, fields[3].value = quote(a.address), quote("ug:"+a.account[7:]), quote(a.account)
	}
	if len(changes) > 0 {
		fields = append(fields, field{"changedValues", array(changes...)})
	}
	return object(fields...)
}

// jiraObject is a Jira object; id may be empty.
func jiraObject(kind, id, name string) string {
	f := []field{{"id", ""}, {"name", quote(name)}, {"typeName", quote(kind)}}
	if id != "" {
		f[0].value = quote(id)
	}
	return object(f...)
}

func jiraChange(name, from, to string) string {
	return object(field{"fieldName", quote(name)}, field{"changedFrom", quote(from)}, field{"changedTo", quote(to)})
}

// confluence is a Confluence record by somebody.
func (a actor) confluence(summary, category, kind, name string, changes ...string) string {
	author, address := systemAuthor(), "198.51.100.1"
	if a.account != "" {
		author = object(field{"type", `"user"`}, field{"displayName", quote(a.name)}, field{"operations", "null"}, field{"username", "null"},
			field{"userKey", "null"}, field{"accountId", quote(a.account)}, field{"accountType", `"atlassian"`}, field{"publicName", quote(a.name)})
		address = a.address
	}
	return object(
		field{"author", author}, field{"remoteAddress", quote(address)}, field{"summary", quote(summary)}, field{"description", `""`},
		field{"category", quote(category)}, field{"sysAdmin", "false"}, field{"superAdmin", "false"},
		field{"affectedObject", object(field{"name", quote(name)}, field{"objectType", quote(kind)})},
		field{"changedValues", array(changes...)}, field{"associatedObjects", "[]"})
}

func confluenceChange(name, from, to string) string {
	return object(field{"name", quote(name)}, field{"oldValue", quote(from)}, field{"newValue", quote(to)})
}

func numbered(text string, i int) string { return text + " " + strconv.Itoa(i+1) }
