package atlassiantest

import (
	"fmt"
	"strings"
	"time"
)

// Entity is the product's next record as Data Center writes it, dated at.
func (c *Corpus) Entity(product string, at time.Time) Record {
	if product != Confluence {
		product = Jira
	}
	m := c.made[product]
	v := m.pick.IntN(variants) + variants // beside those of Record
	raw, ok := m.raws[v]
	if !ok {
		raw = []byte(composeEntity(&writer{newRand(c.seed, uint64(product[0])<<32+uint64(v)), c.people}, product))
		m.raws[v] = raw
	}
	m.n++
	return Record{Created: at, Raw: raw, Key: fmt.Sprintf("%c%04x-%06d", product[0], uint16(c.seed*40503), m.n)}
}

// event is what an entity reports.
type event struct {
	category, action       string // the labels, in the system's language
	categoryKey, actionKey string
	objects, changes       []string // JSON
	extra                  []string // JSON
	system                 bool     // done by the program itself
}

const entityBase = "http://internal.example.com:8080"

// composeEntity writes one entity without its date.
func composeEntity(w *writer, product string) string {
	families := jiraEvents
	if product == Confluence {
		families = confluenceEvents
	}
	e := families[w.IntN(len(families))](w)
	p := w.person()
	author := object(field{"name", w.q(p.name)}, field{"type", one(w, `"ApplicationUser"`, `"user"`)}, field{"id", quote(p.account)},
		field{"uri", quote(entityBase + "/secure/ViewProfile.jspa?name=" + p.account)}, field{"avatarUri", `""`})
	source, method := p.address, "Browser"
	switch {
	case e.system:
		author, source, method = `{"name":"System","type":"system","id":"-1","uri":"","avatarUri":""}`, "", "System"
	case w.chance(8):
		author = `{"name":"Anonymous","type":"user","id":"-2","uri":"","avatarUri":""}`
	case w.chance(6): // a proxy on the way
		e.extra = append(e.extra, attribute("atlassian.audit.event.attribute.forwarder", "Load balancer/proxy IP address", `"192.0.2.10"`))
		source += ",192.0.2.10"
	}
	node := field{"node", ""}
	if w.chance(2) {
		node.value = quote("node-" + w.hex(2))
	}
	kind := []field{{"categoryI18nKey", quote(e.categoryKey)}, {"category", w.q(e.category)}, {"actionI18nKey", quote(e.actionKey)}, {"action", w.q(e.action)}}
	fields := []field{
		{"author", author},
		{"type", object(kind...)},
		{"affectedObjects", array(e.objects...)},
		{"changedValues", array(e.changes...)},
		{"source", quote(source)},
		{"system", quote(entityBase)},
		node,
		{"method", quote(method)},
		{"extraAttributes", array(e.extra...)},
	}
	text := object(fields...)
	if !strings.Contains(text, KeyMark) {
		e.extra = append(e.extra, attribute("simulated.attribute.reference", "Reference", `"`+w.hex(6)+" "+KeyMark+`"`))
		fields[len(fields)-1].value = array(e.extra...)
		text = object(fields...)
	}
	return text
}

func attribute(key, name, value string) string {
	return object(field{"nameI18nKey", quote(key)}, field{"name", quote(name)}, field{"value", value})
}

// affected is an object of an entity; some have neither id nor address.
func affected(w *writer, kind, id, name string) string {
	f := []field{{"name", w.q(name)}, {"type", quote(kind)}, {"uri", ""}, {"id", ""}}
	if id != "" {
		f[2].value, f[3].value = quote(entityBase+"/browse?id="+id), quote(id)
	}
	return object(f...)
}

// change is a changed value; a former value may be missing or empty.
func change(w *writer, key, label, from, to string) string {
	f := []field{{"key", w.q(label)}, {"i18nKey", quote(key)}, {"from", w.q(from)}, {"to", w.q(to)}}
	if from == "" && w.chance(2) {
		f[2].value = ""
	}
	return object(f...)
}

var jiraEvents = []func(*writer) event{
	func(w *writer) event {
		p := w.person()
		return event{
			category: "user management", categoryKey: "jira.auditing.category.usermanagement",
			action: "User created", actionKey: "jira.auditing.user.created",
			objects: []string{affected(w, "USER", "JIRAUSER"+w.number(), p.name)},
			changes: []string{change(w, "common.words.username", "Username", "", p.mail), change(w, "admin.common.phrases.active.inactive", "Active / Inactive", "", "Active")},
			system:  w.chance(4),
		}
	},
	func(w *writer) event {
		return event{
			category: "group management", categoryKey: "jira.auditing.category.groupmanagement",
			action: "User added to group", actionKey: "jira.auditing.user.added.to.group",
			objects: []string{affected(w, "GROUP", "", one(w, "jira-administrators", "jira-software-users", "équipe-sécurité")), affected(w, "USER", "JIRAUSER"+w.number(), w.person().name)},
		}
	},
	func(w *writer) event {
		return event{
			category: "permissions", categoryKey: "jira.auditing.category.permissions",
			action: "Global permission added", actionKey: "jira.auditing.global.permission.added",
			objects: []string{affected(w, "PERMISSIONS", "", "Global Permissions")},
			changes: []string{change(w, "admin.common.words.permission", "Permission", "", one(w, "Browse Users", "Bulk Change", "Jira System Administrators")), change(w, "admin.common.words.group", "Group", "", "team-"+KeyMark)},
		}
	},
	func(w *writer) event {
		return event{
			category: "projects", categoryKey: "jira.auditing.category.projects",
			action: one(w, "Project created", "Project updated", "Project deleted"), actionKey: one(w, "jira.auditing.project.created", "jira.auditing.project.updated", "jira.auditing.project.deleted"),
			objects: []string{affected(w, "PROJECT", w.number(), w.named("Payments", "Проект", "R&D / <core>")), affected(w, "USER", "JIRAUSER"+w.number(), w.person().name)},
			changes: []string{change(w, "common.words.key", "Key", "", strings.ToUpper(w.hex(4)))},
		}
	},
	func(w *writer) event {
		return event{
			category: "search", categoryKey: "jira.auditing.category.search",
			action: "JQL search performed", actionKey: "issuenav.jqlsearch.performed",
			extra: []string{attribute("issuenav.jqlsearch.query", "JQL query", `"project = \"`+KeyMark+`\" ORDER BY updated DESC"`)},
		}
	},
	func(w *writer) event {
		return event{
			category: "Security", categoryKey: "personal.access.tokens.audit.log.category",
			action: "Personal access token created", actionKey: "personal.access.tokens.audit.log.summary.token.created",
			objects: []string{affected(w, "User", "JIRAUSER"+w.number(), w.person().name)},
			extra:   []string{attribute("personal.access.tokens.audit.log.extra.attribute.name", "Token Name", `"ci-`+KeyMark+`"`)},
		}
	},
	func(w *writer) event { // from before there were keys
		return event{
			category: "workflows", action: one(w, "Workflow updated", "Workflow scheme added to project"),
			objects: []string{affected(w, "WORKFLOW", "", w.named("Release", "承認"))},
			system:  w.chance(3),
		}
	},
}

var confluenceEvents = []func(*writer) event{
	func(w *writer) event {
		return event{
			category: "Permissions", categoryKey: "audit.logging.category.permissions",
			action: one(w, "Space permission added", "Space permission removed"), actionKey: one(w, "audit.logging.summary.space.permission.added", "audit.logging.summary.space.permission.removed"),
			objects: []string{affected(w, "Space", w.number(), w.named("Engineering", "Команда"))},
			changes: []string{change(w, "audit.logging.changed.value.permission.type", "Type", "", one(w, "VIEWSPACE", "SETSPACEPERMISSIONS"))},
		}
	},
	func(w *writer) event {
		return event{
			category: "Users and groups", categoryKey: "audit.logging.category.user.management",
			action: "User added to group", actionKey: "audit.logging.summary.user.added.to.group",
			objects: []string{affected(w, "Group", "", "confluence-administrators"), affected(w, "User", w.hex(32), w.person().name)},
			system:  w.chance(3),
		}
	},
	func(w *writer) event {
		return event{
			category: "Pages", categoryKey: "audit.logging.category.page",
			action: one(w, "Page viewed", "Page deleted"), actionKey: one(w, "audit.logging.summary.page.viewed", "audit.logging.summary.page.deleted"),
			objects: []string{affected(w, "Page", w.number(), w.named("Runbook", `Plan "B"`, "Budget 📈")), affected(w, "Space", w.number(), "Engineering")},
		}
	},
	func(w *writer) event {
		return event{
			category: "Global administration", categoryKey: "audit.logging.category.administration",
			action: "Global settings updated", actionKey: "audit.logging.summary.global.settings.updated",
			changes: []string{change(w, "audit.logging.changed.value.setting", "Anonymous access", "false", "true"), change(w, "audit.logging.changed.value.reference", "Change reference", "", KeyMark)},
		}
	},
	func(w *writer) event {
		return event{
			category: "Import/Export", categoryKey: "audit.logging.category.import.export",
			action: "Space exported", actionKey: "audit.logging.summary.space.exported",
			objects: []string{affected(w, "Space", w.number(), w.named("人事", "R&D / <drafts>"))},
			extra:   []string{attribute("audit.logging.attribute.format", "Format", one(w, `"XML"`, `"PDF"`))},
		}
	},
}
