package atlassiantest

import (
	"fmt"
	"strconv"
	"strings"
)

// deed is what a record reports.
type deed struct {
	summary     string
	category    string
	description string
	source      string   // Jira's eventSource, mostly ""
	object      string   // JSON; "" where the record has none
	changes     []string // JSON
	others      []string // JSON, the associated objects
	nobody      bool     // done by the system or an identity provider
	admin       bool     // Confluence: done with elevated rights
}

// composeJira writes one Jira record without id and date.
func composeJira(w *writer) string {
	d := jiraFamilies[w.IntN(len(jiraFamilies))](w)
	p := w.person()
	key, account, address := quote(p.key), quote(p.account), quote(w.address(p))
	switch {
	case d.nobody:
		key, account = "", ""
		if w.chance(2) {
			address = ""
		}
	case w.chance(8):
		account = "" // the reference leaves it out
	case w.chance(8):
		account = key
	case w.chance(10):
		key = "" // deprecated
	}
	if w.chance(15) {
		address = ""
	}
	list := func(name string, values []string) field {
		if len(values) == 0 && !w.chance(4) {
			return field{name, ""}
		}
		return field{name, array(values...)}
	}
	description := ""
	if d.description != "" || w.chance(3) {
		description = w.q(d.description)
	}
	fields := []field{
		{"summary", w.q(d.summary)},
		{"remoteAddress", address},
		{"authorKey", key},
		{"authorAccountId", account},
		{"category", w.q(d.category)},
		{"eventSource", w.q(d.source)},
		{"description", description},
		{"objectItem", d.object},
		list("changedValues", d.changes),
		list("associatedItems", d.others),
	}
	return finish(w, fields)
}

// finish adds what no documentation knows, and sees to it that the record has a
// place for its key and a usual size.
func finish(w *writer, fields []field) string {
	if w.chance(5) {
		fields = append(fields, w.unknown()...)
	}
	text := object(fields...)
	if !strings.Contains(text, KeyMark) {
		fields = append(fields, field{"requestId", `"` + w.hex(8) + "-" + KeyMark + `"`})
		text = object(fields...)
	}
	if missing := 400 - len(text); missing > 0 {
		agent := "Mozilla\\/5.0 (X11; Linux x86_64) AppleWebKit\\/537.36 (KHTML, like Gecko) Chrome\\/142.0 Safari\\/537.36"
		fields = append(fields, field{"userAgent", `"` + agent + strings.Repeat(" "+w.hex(12), max(0, missing-len(agent)-16)/13+1) + `"`})
		text = object(fields...)
	}
	return text
}

func jiraItem(w *writer, kind, id, name string, parent ...string) string {
	f := []field{{"id", ""}, {"name", w.q(name)}, {"typeName", quote(kind)}}
	if id != "" {
		f[0].value = quote(id)
	}
	if len(parent) == 2 {
		f = append(f, field{"parentId", quote(parent[0])}, field{"parentName", w.q(parent[1])})
	}
	return object(f...)
}

func (w *writer) number() string { return strconv.Itoa(10000 + w.IntN(9000)) }

func (w *writer) jiraUser() string {
	p := w.person()
	if w.chance(3) {
		return jiraItem(w, "USER", p.account, p.name)
	}
	return jiraItem(w, "USER", p.key, p.key, "10000", "com.atlassian.crowd.directory.IdentityPlatformDirectory")
}

func (w *writer) jiraGroup() string {
	name := one(w, "site-admins", "jira-administrators", "jira-software-users", "confluence-users", "org-admins", "équipe-sécurité")
	if w.chance(2) {
		name += ":" + w.uuid()
	}
	return jiraItem(w, "GROUP", "", name, "10000", "com.atlassian.crowd.directory.IdentityPlatformDirectory")
}

func (w *writer) project() string {
	return jiraItem(w, "PROJECT", w.number(), w.named("Apollo", "Платформа", "Customer / Support", "R&D <internal>", "品質保証"))
}

// change is a changed value; a former value of "-" is absent.
func (w *writer) change(name, from, to string) string {
	f := []field{{"fieldName", w.q(name)}, {"changedFrom", ""}, {"changedTo", ""}}
	if from != "-" {
		f[1].value = w.q(from)
	}
	if to != "-" {
		f[2].value = w.q(to)
	}
	return object(f...)
}

var jiraFamilies = []func(*writer) deed{
	func(w *writer) deed { // users
		p := w.person()
		return deed{
			summary: one(w, "User created", "User updated", "User's password changed", "User deactivated"), category: "user management",
			object: jiraItem(w, "USER", p.key, p.key, "10000", "com.atlassian.crowd.directory.IdentityPlatformDirectory"),
			changes: []string{w.change("Username", "-", p.key), w.change("Full name", "-", p.name), w.change("Email", "-", p.mail),
				w.change("Active / Inactive", one(w, "-", "Active"), one(w, "Active", "Inactive"))},
			nobody: w.chance(2),
		}
	},
	func(w *writer) deed { // groups
		return deed{
			summary: one(w, "User added to group", "User removed from group"), category: "group management",
			object: w.jiraGroup(), others: []string{w.jiraUser()}, nobody: w.chance(2),
		}
	},
	func(w *writer) deed {
		return deed{
			summary: one(w, "Group created", "Group deleted"), category: "group management",
			object: jiraItem(w, "GROUP", "", w.named("team", "チーム")+":"+w.uuid(), "10000", "com.atlassian.crowd.directory.IdentityPlatformDirectory"),
		}
	},
	func(w *writer) deed { // projects
		key := strings.ToUpper(w.hex(4))
		return deed{
			summary: one(w, "Project created", "Project updated", "Project deleted", "Project archived"), category: "projects",
			object:  w.project(),
			changes: []string{w.change("Name", one(w, "", "-", "Apolo"), "Apollo"), w.change("Key", "-", key), w.change("Project Lead", "-", w.person().key)},
			nobody:  w.chance(6),
		}
	},
	func(w *writer) deed {
		return deed{
			summary: "Project roles changed", category: "projects", object: w.project(),
			changes: []string{w.change("Users", one(w, "", w.person().key), w.person().key), w.change("Groups", "", "jira-administrators")},
			others:  []string{jiraItem(w, "PROJECT_ROLE", "10002", "Administrators"), w.jiraUser()},
		}
	},
	func(w *writer) deed { // permission schemes
		return deed{
			summary:  one(w, "Permission scheme created", "Permission scheme updated", "Permission scheme deleted", "Permission scheme copied", "Permission scheme added to project"),
			category: "permissions", object: jiraItem(w, "SCHEME", w.number(), w.named("Default Permission Scheme", "Simplified <locked>")),
			changes: []string{w.change("Permission", "-", one(w, "Browse Projects", "Delete All Worklogs", "Administer Projects")),
				w.change("Type", "-", one(w, "Group", "Project Role", "Application Role")), w.change("Value", "-", one(w, "Administrators", "", "Public"))},
			others: []string{w.project()},
		}
	},
	func(w *writer) deed {
		return deed{
			summary: one(w, "Global permission added", "Global permission removed"), category: "permissions",
			object:  jiraItem(w, "PERMISSIONS", "", "Global Permissions"),
			changes: []string{w.change("Permission", "-", one(w, "Administer Jira", "Bulk Change", "Make bulk changes & deletes")), w.change("Group", "-", "jira-administrators-"+KeyMark)},
		}
	},
	func(w *writer) deed { // workflows
		return deed{
			summary: one(w, "Workflow created", "Workflow updated", "Workflow deleted", "Workflow copied"), category: "workflows",
			object:  jiraItem(w, "WORKFLOW", w.named("Release flow", "Freigabe/Prüfung"), w.named("Release flow", "Freigabe/Prüfung")),
			changes: []string{w.change("Status", "To Do, Done", "To Do, In Review, Done"), w.change("Transition", "-", "Review → Done (\u2028line)")},
		}
	},
	func(w *writer) deed {
		return deed{
			summary: one(w, "Workflow scheme added to project", "Workflow scheme copied", "Workflow scheme updated"), category: "workflows",
			object: jiraItem(w, "SCHEME", w.number(), w.named("Software Simplified Workflow Scheme")), others: []string{w.project()},
		}
	},
	func(w *writer) deed { // fields, notifications
		return deed{
			summary: one(w, "Custom field created", "Custom field updated", "Custom field deleted"), category: "fields",
			object:  jiraItem(w, "CUSTOM_FIELD", "customfield_"+w.number(), w.named("Story points", "Größe & Gewicht")),
			changes: []string{w.change("Name", one(w, "-", "Points"), "Story points"), w.change("Description", one(w, "-", ""), "Estimate <em>in points</em>\tper team\n"), w.change("Type", "-", "Number Field")},
		}
	},
	func(w *writer) deed {
		return deed{
			summary: one(w, "Notification scheme updated", "Notification scheme added to project"), category: "notifications",
			object: jiraItem(w, "SCHEME", w.number(), w.named("Default Notification Scheme")), changes: []string{w.change("Event", "-", "Work item deleted")},
			others: []string{w.project()},
		}
	},
	func(w *writer) deed { // global settings
		name := one(w, "Allow users to vote on work items", "External user management", "Maximum attachment size", "Anonymous access")
		return deed{
			summary: "Global configuration updated", category: "system", object: jiraItem(w, "SYSTEM", "", "General configuration"),
			changes: []string{w.change(name, one(w, "OFF", "10485760", ""), one(w, "ON", "9223372036854775807", "")), w.change("Change reference", "-", KeyMark)},
		}
	},
	func(w *writer) deed { // sign-ins
		ok := w.chance(2)
		d := deed{summary: "User login failed", category: "authentication", object: w.jiraUser(), description: "Attempt " + KeyMark + ": wrong password", nobody: true}
		if ok {
			d.summary, d.description, d.nobody = "User login successful", "Session "+KeyMark, false
		}
		return d
	},
	func(w *writer) deed { // apps and tokens
		return deed{
			summary: one(w, "App installed", "App uninstalled", "App enabled", "App updated", "App access granted"), category: "apps",
			object:  jiraItem(w, "PLUGIN", "com.example.app."+w.hex(6), w.named("Time Tracker", "Diagrams & Charts")),
			changes: []string{w.change("Version", one(w, "-", "1.4.2-AC"), "1.5.0-AC"), w.change("Scopes", "-", "READ, WRITE, ACT_AS_USER")},
		}
	},
	func(w *writer) deed {
		return deed{
			summary: one(w, "API token created", "API token revoked", "OAuth 2.0 app authorized", "Webhook created"), category: "apps",
			object:  jiraItem(w, "TOKEN", w.uuid(), w.named("ci-deploy", "backup job")),
			changes: []string{w.change("Expires", "-", fmt.Sprintf("20%02d-01-%02d", 26+w.IntN(3), 1+w.IntN(28))), w.change("URL", "-", "https://hooks.example.com/jira?id="+w.hex(10))},
		}
	},
	func(w *writer) deed { // exports, audit log
		return deed{
			summary: one(w, "Data export started", "Work items exported", "Backup for cloud created"), category: "import and export",
			object: jiraItem(w, "EXPORT", w.uuid(), w.named("export.csv", "backup.zip")), description: "Requested with attachments; " + w.number() + " work items",
		}
	},
	func(w *writer) deed {
		return deed{
			summary: one(w, "Audit log configuration updated", "Audit log exported"), category: "auditing", source: one(w, "", "Browser"),
			object:  jiraItem(w, "AUDIT_LOG", "", "Audit log"),
			changes: []string{w.change("Retention period", one(w, "12 months", "-"), one(w, "6 months", "1 month")), w.change("Change reference", "-", KeyMark)},
		}
	},
	func(w *writer) deed { // deletion of work
		key := strings.ToUpper(w.hex(3)) + "-" + strconv.Itoa(1+w.IntN(4000))
		return deed{
			summary: "Work item deleted", category: "work items", object: jiraItem(w, "ISSUE", w.number(), key+" "+KeyMark),
			changes: []string{w.change("Summary", "Einführung \"alt\" \\ neu", "-"), w.change("Assignee", w.person().key, "")}, others: []string{w.project()},
		}
	},
}
