package atlassiantest

import "time"

// event is an event of the organisation's log by somebody.
func (a actor) event(action, text string, context ...string) string {
	who := `{"id":"system","name":"Atlassian"}`
	location := "{}"
	if a.account != "" {
		who = object(field{"id", quote(a.account)}, field{"name", quote(a.name)}, field{"email", quote(a.mail)})
		location = object(field{"ip", quote(a.address)}, field{"geo", ""})
	}
	return object(
		field{"attributes", object(field{"action", quote(action)}, field{"actor", who}, field{"context", array(context...)},
			field{"container", array(entity(DefaultOrganizationID, "orgs", field{"name", `"Example Corp"`}))}, field{"location", location})},
		field{"message", object(field{"content", quote(text)}, field{"format", `"simple"`})})
}

func orgUser(a actor) string {
	return entity(a.account, "users", field{"name", quote(a.name)}, field{"email", quote(a.mail)})
}

func orgNamed(kind, name string) string { return entity(kind+"-1", kind, field{"name", quote(name)}) }

// organizationStories are those that an organisation's log tells.
func organizationStories() []Story {
	tell := func(name, what string, scenes ...scene) Story { return Story{name, Organization, what, scenes} }
	once := func(raw string) scene { return scene{0, raw} }
	then := func(after time.Duration, raw string) scene { return scene{after, raw} }
	return []Story{
		tell("admin-group-member-added", "An account is put among the organisation's administrators.",
			once(intruder.event("user_added_to_group", "Added a user to a group", orgUser(newcomer), orgNamed("groups", "org-admins")))),
		tell("organization-admin-granted", "An account is given the role of an organisation administrator.",
			once(intruder.event("user_granted_role", "Granted a role", orgUser(newcomer), orgNamed("roles", "Organization admin")))),
		tell("administrator-impersonated-user", "An administrator signs in as somebody else.",
			once(administrators[1].event("user_logged_in_as_user", "Logged in as another user", orgUser(engineers[0])))),
		tell("authentication-policy-changed", "A second factor is no longer asked for.",
			once(intruder.event("authentication_policy_updated", "Updated an authentication policy", orgNamed("policies", "Default policy")))),
		tell("allowlist-opened", "The whole internet is let in.",
			once(intruder.event("ip_allowlist_policy_update", "Updated an IP allowlist", orgNamed("policies", "Offices")))),
		tell("admin-api-key-created", "A key that administers the organisation.",
			once(intruder.event("admin_api_key_created", "Created an API key", orgNamed("api-keys", "audit export")))),
		tell("oauth-consent", "An app may read as its user.",
			once(engineers[1].event("user_granted_oauth_consent", "Granted consent", orgNamed("apps", "Mail helper")))),
		tell("app-then-export", "An app is installed, and a space leaves.",
			once(intruder.event("marketplace_app_installed", "Installed an app", orgNamed("apps", "Export everything"))),
			then(35*time.Minute, intruder.event("confluence_space_exported", "Exported a space", orgNamed("spaces", "Mergers")))),
		tell("audit-log-exported", "The audit log is taken along.", once(intruder.event("audit_log_exported", "Exported the audit log"))),
		tell("failed-sign-ins", "Passwords are tried, and the last one fits.",
			append(every(20*time.Second, 14, func(int) string {
				return intruder.event("user_login_failed", "Failed to log in", orgUser(administrators[0]))
			}),
				then(5*time.Minute, intruder.event("user_login", "Logged in")))...),
		tell("mass-deactivation", "Account after account is closed.",
			every(9*time.Second, 15, func(i int) string {
				return intruder.event("user_deactivated", numbered("Deactivated account", i), orgUser(engineers[i%4]))
			})...),
		tell("pages-read-in-number", "Somebody reads page after page.",
			every(2*time.Second, 220, func(i int) string {
				return engineers[2].event("confluence_page_viewed", numbered("Viewed page", i), orgNamed("pages", "Runbook"))
			})...),
		tell("organization-settings-changed", "What holds for the organisation is changed.",
			once(intruder.event("org_settings_update", "Changed a setting"))),
		tell("administrator-from-tor", "An administrator behind Tor.", once(viaTor.event("organization_users_viewed", "Looked at the users"))),
	}
}

var ordinaryOrganization = deeds{
	signIn: func(a actor, ok bool) string {
		if ok {
			return a.event("user_login", "Logged in")
		}
		return a.event("user_login_failed", "Failed to log in", orgUser(a))
	},
	engineers: []func(actor, int) string{
		func(a actor, n int) string { return a.event("user_logout", "Logged out") },
		func(a actor, n int) string {
			return a.event("confluence_page_viewed", numbered("Viewed page", n), orgNamed("pages", "Runbook"))
		},
		func(a actor, n int) string { return a.event("user_profile_viewed", "Looked at a profile", orgUser(a)) },
	},
	administrators: []func(actor, int) string{
		func(a actor, n int) string { return a.event("organization_users_viewed", "Looked at the users") },
		func(a actor, n int) string {
			return a.event("user_added_to_group", "Added a user to a group", orgUser(engineers[n%4]), orgNamed("groups", "jira-users"))
		},
		func(a actor, n int) string {
			return a.event("product_access_granted", "Gave access to a product", orgUser(engineers[n%4]))
		},
		func(a actor, n int) string { return a.event("user_invitation_sent", "Invited somebody") },
	},
	provider: []func(actor, int) string{
		func(a actor, n int) string {
			return a.event("user_added_to_group", "Added a user to a group", orgUser(engineers[n%4]), orgNamed("groups", "jira-users"))
		},
	},
}
