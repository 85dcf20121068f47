package atlassiantest

import "strconv"

// orgEvent is what a family of events chooses: what happened to what.
type orgEvent struct {
	action, text string
	context      []string
	container    []string
	// auth is how the actor was signed in; "" leaves it out.
	auth string
	// nobody: an app or Atlassian itself did it.
	nobody bool
	// nowhere: there is no address.
	nowhere bool
}

// composeOrganization writes one event of an organisation's log without its id
// and its times.
func composeOrganization(w *writer) string {
	e := organizationFamilies[w.IntN(len(organizationFamilies))](w)
	p := w.person()
	actor := w.actor(p, e.auth)
	if e.nobody {
		actor = one(w,
			`{"id":"confluence","name":"Confluence","email":"Atlassian app","picture":null,"links":{}}`,
			`{"id":"jira","name":"Jira","email":"Atlassian app","picture":null,"links":{}}`,
			`{"id":"system","name":"Atlassian"}`)
	}
	if len(e.container) == 0 {
		e.container = []string{w.organization()}
	}
	place := w.place(p)
	if e.nowhere || e.nobody {
		place = one(w, "", `{"geo":"EU"}`, "{}")
	}
	attributes := []field{
		{"action", quote(e.action)},
		{"actor", actor},
		{"context", array(e.context...)},
		{"container", array(e.container...)},
		{"location", place},
	}
	if w.chance(9) {
		attributes = append(attributes, w.unknown()...)
	}
	fields := []field{
		{"attributes", object(attributes...)},
		{"message", object(field{"content", w.q(e.text + " " + KeyMark)}, field{"format", one(w, `"simple"`, `"simple"`, `"text/plain"`)})},
		{"links", `{"self":"https:\/\/api.atlassian.com\/admin\/v1\/orgs\/` + DefaultOrganizationID + `\/events\/` + KeyMark + `"}`},
	}
	if w.chance(11) {
		fields = append(fields, w.unknown()...)
	}
	return object(fields...)
}

func (w *writer) actor(p person, auth string) string {
	fields := []field{
		{"id", quote(p.account)},
		{"name", w.q(p.name)},
		{"email", quote(p.mail)},
	}
	if auth != "" {
		fields = append(fields, field{"auth", auth})
	}
	if w.chance(6) {
		fields = append(fields, field{"onBehalfOf", object(field{"id", quote(w.person().account)})})
	}
	if w.chance(4) {
		fields = append(fields, field{"links", `{}`}, field{"picture", "null"})
	}
	return object(fields...)
}

// place is where an actor was, as far as it is known.
func (w *writer) place(p person) string {
	fields := []field{{"ip", quote(p.address)}}
	if w.chance(2) {
		fields = append(fields, field{"geo", one(w, `"EU"`, `"NA"`, `"AS"`)})
	}
	if !w.chance(5) {
		fields = append(fields,
			field{"countryName", w.q(one(w, "Example Country", "Exämple Land", "例の国"))},
			field{"regionName", w.q(one(w, "Example Region", "Région d'exemple"))},
			field{"city", w.q(one(w, "Example City", "Städtle", "Пример"))})
	}
	return object(fields...)
}

func entity(id, kind string, attributes ...field) string {
	return object(field{"id", quote(id)}, field{"type", quote(kind)}, field{"attributes", object(attributes...)})
}

func (w *writer) organization() string {
	return entity(DefaultOrganizationID, one(w, "orgs", "organization"), field{"name", w.q(one(w, "Example Corp", "Beispiel & Söhne"))})
}

func (w *writer) siteEntity() string {
	return entity(DefaultCloudID, "sites", field{"siteName", `"example"`}, field{"siteHostName", `"https://example.atlassian.net"`})
}

func (w *writer) userEntity() string {
	p := w.person()
	return entity(p.account, "users", field{"name", w.q(p.name)}, field{"email", quote(p.mail)})
}

func (w *writer) groupEntity() string {
	return entity(w.uuid(), "groups", field{"name", w.q(one(w, "org-admins", "site-admins", "jira-users", "équipe-sécurité", "<interns>"))})
}

func (w *writer) token() string {
	return object(field{"authType", one(w, `"session"`, `"api_token"`, `"oauth"`)},
		field{"tokenId", quote("token-" + w.hex(8))}, field{"tokenLabel", w.q(one(w, "ci", "Backup \"nightly\"", "скрипт"))})
}

// organizationFamilies are the kinds of events that are made up.
var organizationFamilies = []func(*writer) orgEvent{
	func(w *writer) orgEvent { // a sign-in
		return orgEvent{action: "user_login", text: "Logged in", context: []string{w.siteEntity()}}
	},
	func(w *writer) orgEvent {
		return orgEvent{action: "user_login_failed", text: "Failed to log in", context: []string{w.userEntity()}}
	},
	func(w *writer) orgEvent { return orgEvent{action: "user_logout", text: "Logged out"} },
	func(w *writer) orgEvent { // tokens
		return orgEvent{action: one(w, "api_token_created", "api_token_revoked", "user_created_api_token"),
			text: "Changed an API token", auth: w.token()}
	},
	func(w *writer) orgEvent {
		return orgEvent{action: one(w, "admin_api_key_created", "admin_api_key_deleted"), text: "Changed an API key of the organisation",
			context: []string{entity(w.uuid(), "api-keys", field{"name", w.q("audit export")}, field{"expiresAt", quote("2027-01-31T00:00:00.000Z")})}}
	},
	func(w *writer) orgEvent { // apps
		return orgEvent{action: one(w, "marketplace_app_installed", "marketplace_app_uninstalled", "user_granted_oauth_consent"),
			text: "Changed an app", context: []string{entity("com.example.app-"+strconv.Itoa(w.IntN(40)), "apps",
				field{"name", w.q(one(w, "Diagrams <for> teams", "Планы", "Time & money"))}), w.siteEntity()}}
	},
	func(w *writer) orgEvent { // groups and roles
		return orgEvent{action: one(w, "group_member_added", "group_member_removed", "user_added_to_group", "user_removed_from_group"),
			text: "Changed a group's members", context: []string{w.userEntity(), w.groupEntity()}}
	},
	func(w *writer) orgEvent {
		return orgEvent{action: one(w, "group_created", "group_deleted"), text: "Changed a group", context: []string{w.groupEntity()}}
	},
	func(w *writer) orgEvent {
		return orgEvent{action: one(w, "user_role_granted", "user_role_revoked", "user_granted_role"), text: "Changed a role",
			context: []string{w.userEntity(), entity("atlassian/org-admin", "roles", field{"name", `"Organization admin"`})}}
	},
	func(w *writer) orgEvent {
		return orgEvent{action: "user_invitation_sent", text: "Invited somebody",
			context: []string{entity(w.uuid(), "invited-user", field{"email", quote(w.person().mail)})}}
	},
	func(w *writer) orgEvent {
		return orgEvent{action: one(w, "user_deactivated", "user_reactivated", "user_deleted"), text: "Changed an account", context: []string{w.userEntity()}}
	},
	func(w *writer) orgEvent {
		return orgEvent{action: "user_impersonated", text: "Logged in as another user", context: []string{w.userEntity()}, auth: w.token()}
	},
	func(w *writer) orgEvent { // policies
		return orgEvent{action: one(w, "authentication_policy_updated", "ip_allowlist_policy_update", "data_security_policy_update", "mobile_policy_update"),
			text: "Changed a policy", context: []string{entity(w.uuid(), "policies", field{"name", w.q(one(w, "Default policy", "Contractors & guests"))})}}
	},
	func(w *writer) orgEvent {
		return orgEvent{action: "org_settings_update", text: "Changed a setting",
			container: []string{entity(DefaultOrganizationID, "orgs", field{"settingName", `"AuthenticationPolicy"`}, field{"settingValues", `"samlEnabled"`})}}
	},
	func(w *writer) orgEvent { // looking and exporting
		return orgEvent{action: one(w, "organization_users_viewed", "user_profile_viewed", "audit_log_viewed"), text: "Looked at something"}
	},
	func(w *writer) orgEvent {
		return orgEvent{action: one(w, "audit_log_exported", "organization_users_exported", "confluence_space_exported"), text: "Exported something",
			context: []string{w.siteEntity()}}
	},
	func(w *writer) orgEvent { // products
		return orgEvent{action: one(w, "confluence_added_space_permission", "confluence_audit_record_removed_content_restriction", "jira_project_deleted"),
			text: "Changed something in a product", context: []string{w.siteEntity()}, nobody: w.chance(3)}
	},
	func(w *writer) orgEvent {
		return orgEvent{action: "product_access_granted", text: "Gave access to a product", context: []string{w.userEntity(), w.siteEntity()}, nowhere: w.chance(2)}
	},
}
