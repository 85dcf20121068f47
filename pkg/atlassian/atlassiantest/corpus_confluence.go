package atlassiantest

import (
	"strconv"
	"strings"
)

// composeConfluence writes one Confluence record without its date.
func composeConfluence(w *writer) string {
	d := confluenceFamilies[w.IntN(len(confluenceFamilies))](w)
	p := w.person()
	address := w.address(p)
	author := w.author(p)
	if d.nobody {
		author = systemAuthor()
		if w.chance(3) {
			address = ""
		}
	}
	admin := "false"
	if d.admin {
		admin = "true"
	}
	super := field{"superAdmin", "false"}
	if w.chance(4) {
		super.value = ""
	}
	if d.object == "" {
		d.object = confluenceObject(w, "", "")
	}
	fields := []field{
		{"author", author},
		{"remoteAddress", quote(address)},
		{"summary", w.q(d.summary)},
		{"description", w.q(d.description)},
		{"category", w.q(d.category)},
		{"sysAdmin", admin},
		super,
		{"affectedObject", d.object},
		{"changedValues", array(d.changes...)},
		{"associatedObjects", array(d.others...)},
	}
	return finish(w, fields)
}

// author writes a person as Confluence does, with the flags that came over the
// years present or not.
func (w *writer) author(p person) string {
	username := one(w, "null", quote(p.account))
	fields := []field{
		{"type", `"user"`},
		{"displayName", w.q(p.name)},
		{"operations", "null"},
		{"username", username},
		{"userKey", one(w, "null", quote(strings.ReplaceAll(w.uuid(), "-", "")))},
		{"accountId", quote(p.account)},
		{"accountType", one(w, `"atlassian"`, `"atlassian"`, `"app"`, `""`)},
		{"publicName", w.q(p.name)},
	}
	if w.chance(2) {
		fields = append(fields, field{"externalCollaborator", "false"}, field{"isExternalCollaborator", "false"})
	}
	if w.chance(2) {
		fields = append(fields, field{"isGuest", one(w, "false", "true")})
	}
	return object(fields...)
}

// systemAuthor is the author of what nobody did: it has no account.
func systemAuthor() string {
	return `{"type":"user","displayName":"System","operations":null,"accountType":"","publicName":"Unknown user",` +
		`"externalCollaborator":false,"isExternalCollaborator":false}`
}

func confluenceObject(w *writer, kind, name string) string {
	return object(field{"name", w.q(name)}, field{"objectType", quote(kind)})
}

func (w *writer) user() string { return confluenceObject(w, "User", w.person().name) }

func (w *writer) group() string {
	return confluenceObject(w, "Group", one(w, "confluence-users", "site-admins", "administrators", "équipe-sécurité")+":"+w.uuid())
}

func (w *writer) space() string {
	return confluenceObject(w, "Space", w.named("Engineering", "Команда", "R&D / <drafts>", "人事"))
}

func (w *writer) page() string {
	return confluenceObject(w, "Page", w.named("Runbook", "Plan \"B\"", "Ключи \u2028 доступ", "Budget 📈"))
}

// value is a changed value; with hidden ones now and then.
func (w *writer) value(name, from, to string) string {
	f := []field{{"name", w.q(name)}, {"oldValue", w.q(from)}, {"newValue", w.q(to)}}
	if w.chance(6) {
		f = append(f, field{"hiddenOldValue", `""`}, field{"hiddenNewValue", w.q(w.hex(8))})
	}
	return object(f...)
}

var confluenceFamilies = []func(*writer) deed{
	func(w *writer) deed { // users and groups
		return deed{
			summary: one(w, "User added to group", "User removed from group"), category: "Users and groups",
			object: w.group(), others: []string{w.user()}, nobody: w.chance(2),
		}
	},
	func(w *writer) deed {
		p := w.person()
		return deed{
			summary: one(w, "User created", "User details updated", "User deactivated", "User reactivated"), category: "Users and groups",
			object:  confluenceObject(w, "User", p.name),
			changes: []string{w.value("Display name", "", p.name), w.value("Email", "", p.mail), w.value("Active", one(w, "", "Yes"), one(w, "Yes", "No"))},
			nobody:  w.chance(2),
		}
	},
	func(w *writer) deed {
		return deed{
			summary: one(w, "Group created", "Group deleted"), category: "Users and groups",
			object: confluenceObject(w, "Group", w.named("team", "チーム")+":"+w.uuid()), admin: w.chance(2),
		}
	},
	func(w *writer) deed { // permissions
		return deed{
			summary: one(w, "Space permission added", "Space permission removed", "Anonymous access enabled for space"), category: "Permissions",
			object:  w.space(),
			changes: []string{w.value("Type", "", one(w, "VIEWSPACE", "SETSPACEPERMISSIONS", "EXPORTSPACE")), w.value("Group", "", "confluence-users"), w.value("Access", one(w, "No", ""), "Yes")},
			others:  []string{w.group()},
		}
	},
	func(w *writer) deed {
		return deed{
			summary: one(w, "Global permission added", "Global permission removed"), category: "Permissions", admin: true,
			changes: []string{w.value("Permission", "", one(w, "Confluence Administrator", "Create Space", "Use Confluence")), w.value("Granted to", "", "team-"+KeyMark)},
			object:  confluenceObject(w, "Global permission", ""),
		}
	},
	func(w *writer) deed { // spaces
		return deed{
			summary: one(w, "Space created", "Space configuration updated", "Space deleted", "Space archived", "Space trash emptied"), category: "Spaces",
			object:  w.space(),
			changes: []string{w.value("Name", "", "Engineering"), w.value("Key", "", strings.ToUpper(w.hex(4))), w.value("Description", "", "Wiki <em>home</em>\tpage\n")},
		}
	},
	func(w *writer) deed { // pages
		return deed{
			summary: one(w, "Page restriction added", "Page restriction removed", "Page deleted permanently", "Page archived", "Public link turned on"), category: "Pages",
			object: w.page(), others: []string{confluenceObject(w, "Space", "Engineering"), w.user()},
			changes: []string{w.value("Restriction", one(w, "", "View"), one(w, "Edit", "View", ""))},
		}
	},
	func(w *writer) deed { // global settings
		return deed{
			summary: "Global settings updated", category: "Global administration", admin: true, object: confluenceObject(w, "Global configuration", ""),
			changes: []string{w.value(one(w, "Maximum attachment size", "Anonymous access", "Public links"), one(w, "104857600", "false", ""), one(w, "18446744073709551615", "true")),
				w.value("Change reference", "", KeyMark)},
		}
	},
	func(w *writer) deed { // sign-ins
		d := deed{summary: "User login failed", category: "Security", object: w.user(), description: "Attempt " + KeyMark + ": wrong password", nobody: true}
		if w.chance(2) {
			d.summary, d.description, d.nobody = "User login successful", "Session "+KeyMark, false
		}
		return d
	},
	func(w *writer) deed { // apps and tokens
		return deed{
			summary: one(w, "App installed", "App uninstalled", "App enabled", "App disabled"), category: "Apps",
			object:  confluenceObject(w, "App", w.named("Whiteboard shapes", "Table & Chart <pro>")),
			changes: []string{w.value("Version", one(w, "", "2.0.1"), "2.1.0")}, admin: w.chance(3),
		}
	},
	func(w *writer) deed {
		return deed{
			summary: one(w, "API token created", "API token revoked", "Webhook created", "Application link created"), category: "Apps",
			object:  confluenceObject(w, "Token", w.named("ci-deploy", "backup job")),
			changes: []string{w.value("URL", "", "https://hooks.example.com/wiki?id="+w.hex(10)), w.value("Expires", "", "1798761600000")},
		}
	},
	func(w *writer) deed { // exports
		return deed{
			summary: one(w, "Space export started", "Space exported", "Site export started", "Page exported to PDF"), category: "Import/Export",
			object: w.space(), description: one(w, "", "XML with attachments", "Größe: "+strconv.Itoa(w.IntN(1<<30))+" Bytes"), admin: w.chance(3),
		}
	},
	func(w *writer) deed { // audit log
		return deed{
			summary: one(w, "Audit log configuration updated", "Audit log exported"), category: "Auditing", admin: true,
			changes: []string{w.value("Retention period", "1 Years", one(w, "6 Months", "3 Months")), w.value("Change reference", "", KeyMark)},
			object:  confluenceObject(w, "", ""),
		}
	},
}
