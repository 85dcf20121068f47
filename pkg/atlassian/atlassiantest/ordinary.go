package atlassiantest

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"time"
)

// OrdinaryDay is what a product's log tells of a working day on which nothing
// is wrong: about fifty records between 8 and 18 o'clock UTC of the day that at
// lies in, in the order of time. People sign in, now and then at the second
// try; spaces and projects are kept in order; the identity provider creates
// accounts. The same seed and day tell the same. What happens there is meant to
// wake nobody.
func OrdinaryDay(product string, seed uint64, at time.Time) []Record {
	day := at.UTC().Truncate(24 * time.Hour)
	r := rand.New(rand.NewPCG(seed, uint64(day.Unix())))
	deeds := ordinaryJira
	switch product {
	case Confluence:
		deeds = ordinaryConfluence
	case Organization:
		deeds = ordinaryOrganization
	}
	var out []Record
	add := func(at time.Time, raw string) {
		out = append(out, Record{Created: at, Raw: json.RawMessage(raw)})
	}
	for i, a := range append(slices.Clone(engineers), administrators...) {
		begin := day.Add(8*time.Hour + time.Duration(r.IntN(3600))*time.Second)
		if r.IntN(4) == 0 {
			add(begin, deeds.signIn(a, false))
		}
		add(begin.Add(40*time.Second), deeds.signIn(a, true))
		for range 5 + r.IntN(3) {
			begin = begin.Add(time.Duration(30+r.IntN(50)) * time.Minute)
			of := deeds.engineers
			if i >= len(engineers) {
				of = deeds.administrators
			}
			add(begin, of[r.IntN(len(of))](a, r.IntN(1000)))
		}
	}
	for range 2 {
		add(day.Add(9*time.Hour+time.Duration(r.IntN(8*3600))*time.Second), deeds.provider[r.IntN(len(deeds.provider))](actor{}, r.IntN(1000)))
	}
	slices.SortStableFunc(out, func(a, b Record) int { return a.Created.Compare(b.Created) })
	return out
}

type deeds struct {
	signIn                              func(a actor, ok bool) string
	engineers, administrators, provider []func(a actor, n int) string
}

var ordinaryJira = deeds{
	signIn: func(a actor, ok bool) string {
		object := jiraObject("USER", "ug:"+a.account[7:], a.name)
		if ok {
			return a.jira("User login successful", "authentication", object)
		}
		return a.jira("User login failed", "authentication", object)
	},
	engineers: []func(actor, int) string{
		func(a actor, n int) string {
			return a.jira("Work item deleted", "work items", jiraObject("ISSUE", "", numbered("OPS", n)))
		},
		func(a actor, n int) string {
			return a.jira("Project updated", "projects", jiraObject("PROJECT", "10001", "Operations"), jiraChange("Description", "", numbered("Sprint", n)))
		},
		func(a actor, n int) string {
			return a.jira("Version released", "projects", jiraObject("VERSION", "", numbered("v", n)))
		},
		func(a actor, n int) string {
			return a.jira("Board updated", "boards", jiraObject("BOARD", "7", "Operations"), jiraChange("Filter", "", numbered("sprint =", n)))
		},
	},
	administrators: []func(actor, int) string{
		func(a actor, n int) string {
			return a.jira("Workflow updated", "workflows", jiraObject("WORKFLOW", "", numbered("Flow", n%5)))
		},
		func(a actor, n int) string {
			return a.jira("Custom field created", "fields", jiraObject("CUSTOM_FIELD", "", numbered("Field", n)))
		},
		func(a actor, n int) string {
			return a.jira("Project created", "projects", jiraObject("PROJECT", "", numbered("Project", n)))
		},
		func(a actor, n int) string {
			return a.jira("Notification scheme updated", "notifications", jiraObject("SCHEME", "10030", "Default Notification Scheme"))
		},
		func(a actor, n int) string {
			return a.jira("App updated", "apps", jiraObject("PLUGIN", "com.example.tracker", "Time Tracker"), jiraChange("Version", "1.4", "1.5"))
		},
	},
	provider: []func(actor, int) string{
		func(a actor, n int) string {
			return a.jira("User created", "user management", jiraObject("USER", "", numbered("Engineer", 100+n)))
		},
		func(a actor, n int) string {
			return a.jira("User added to group", "group management", jiraObject("GROUP", "", "jira-software-users"))
		},
		func(a actor, n int) string {
			return a.jira("User removed from group", "group management", jiraObject("GROUP", "", "jira-software-users"))
		},
	},
}

var ordinaryConfluence = deeds{
	signIn: func(a actor, ok bool) string {
		if ok {
			return a.confluence("User login successful", "Security", "User", a.name)
		}
		return a.confluence("User login failed", "Security", "User", a.name)
	},
	engineers: []func(actor, int) string{
		func(a actor, n int) string {
			return a.confluence("Page restriction added", "Pages", "Page", numbered("Draft", n), confluenceChange("Restriction", "", "View"))
		},
		func(a actor, n int) string {
			return a.confluence("Page archived", "Pages", "Page", numbered("Minutes", n))
		},
		func(a actor, n int) string {
			return a.confluence("Page exported to PDF", "Import/Export", "Page", numbered("Plan", n))
		},
		func(a actor, n int) string {
			return a.confluence("Page deleted permanently", "Pages", "Page", numbered("Draft", n))
		},
	},
	administrators: []func(actor, int) string{
		func(a actor, n int) string {
			return a.confluence("Space created", "Spaces", "Space", numbered("Space", n))
		},
		func(a actor, n int) string {
			return a.confluence("Space configuration updated", "Spaces", "Space", "Engineering", confluenceChange("Description", "", numbered("v", n)))
		},
		func(a actor, n int) string {
			return a.confluence("Space logo uploaded", "Spaces", "Space", "Engineering")
		},
		func(a actor, n int) string {
			return a.confluence("App updated", "Apps", "App", "Whiteboard shapes", confluenceChange("Version", "2.0", "2.1"))
		},
	},
	provider: []func(actor, int) string{
		func(a actor, n int) string {
			return a.confluence("User created", "Users and groups", "User", numbered("Engineer", 100+n))
		},
		func(a actor, n int) string {
			return a.confluence("User added to group", "Users and groups", "Group", "confluence-users:6f1d0a11-0000-4000-8000-000000000002")
		},
	},
}
