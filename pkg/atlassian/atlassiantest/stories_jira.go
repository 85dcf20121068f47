package atlassiantest

import "time"

// jiraStories are those that Jira's log tells.
func jiraStories() []Story {
	tell := func(name, what string, scenes ...scene) Story { return Story{name, Jira, what, scenes} }
	once := func(raw string) scene { return scene{0, raw} }
	then := func(after time.Duration, raw string) scene { return scene{after, raw} }
	group := func(name string) string { return jiraObject("GROUP", "", name) }
	user := func(a actor) string { return jiraObject("USER", "ug:"+a.account[7:], a.name) }
	app := jiraObject("PLUGIN", "com.example.exporter", "Export everything")
	return []Story{
		tell("admin-group-member-added", "An account is put into the administrators' group.",
			once(intruder.jira("User added to group", "group management", group("jira-administrators-example")))),
		tell("account-created-by-hand", "A person creates an account, past the identity provider.",
			once(intruder.jira("User created", "user management", user(newcomer), jiraChange("Email", "", newcomer.mail)))),
		tell("global-permission-added", "A group may suddenly administer Jira.",
			once(intruder.jira("Global permission added", "permissions", jiraObject("PERMISSIONS", "", "Global Permissions"),
				jiraChange("Permission", "", "Administer Jira"), jiraChange("Group", "", "contractors")))),
		tell("permission-scheme-reverted", "A permission is opened, used, and closed again within minutes.",
			once(intruder.jira("Permission scheme updated", "permissions", jiraObject("SCHEME", "10001", "Secret projects"), jiraChange("Permission", "", "Browse Projects"))),
			then(4*time.Minute, intruder.jira("Permission scheme updated", "permissions", jiraObject("SCHEME", "10001", "Secret projects"), jiraChange("Permission", "Browse Projects", "")))),
		tell("permission-scheme-changed", "Everybody may suddenly see the projects of a scheme.",
			once(intruder.jira("Permission scheme updated", "permissions", jiraObject("SCHEME", "10002", "Default scheme"), jiraChange("Permission", "", "Browse Projects"), jiraChange("Group", "", "everybody")))),
		tell("project-access-changed", "Somebody gives himself a role in a project.",
			once(engineers[2].jira("Project roles changed", "projects", jiraObject("PROJECT", "10010", "Mergers"), jiraChange("Users", "", engineers[2].account)))),
		tell("issue-security-removed", "The level that hid work items is gone.",
			once(intruder.jira("Issue security level deleted", "permissions", jiraObject("SCHEME", "10050", "Confidential")))),
		tell("anonymous-access", "The whole site opens to anybody.",
			once(intruder.jira("Global configuration updated", "system", jiraObject("SYSTEM", "", "General configuration"), jiraChange("Anonymous access", "OFF", "ON")))),
		tell("audit-configuration-changed", "The audit log is made to forget sooner.",
			once(intruder.jira("Audit log configuration updated", "auditing", jiraObject("AUDIT_LOG", "", "Audit log"), jiraChange("Retention period", "12 months", "1 month")))),
		tell("audit-log-exported", "The audit log is taken along.",
			once(intruder.jira("Audit log exported", "auditing", jiraObject("AUDIT_LOG", "", "Audit log")))),
		tell("backup-created", "A backup with all there is gets made.",
			once(intruder.jira("Backup for cloud created", "import and export", jiraObject("EXPORT", "", "backup.zip")))),
		tell("data-imported", "A backup is restored over the present.",
			once(intruder.jira("Data import started", "import and export", jiraObject("IMPORT", "", "backup.zip")))),
		tell("exports-repeated", "One export after the other.",
			every(6*time.Minute, 5, func(i int) string {
				return engineers[2].jira("Work items exported", "import and export", jiraObject("EXPORT", "", numbered("export", i)))
			})...),
		tell("app-installed", "An app nobody asked for.",
			once(intruder.jira("App installed", "apps", app, jiraChange("Scopes", "", "READ, WRITE, ACT_AS_USER")))),
		tell("app-then-export", "An app is installed, and data leave.",
			once(intruder.jira("App installed", "apps", app)),
			then(35*time.Minute, intruder.jira("Data export started", "import and export", jiraObject("EXPORT", "", "everything.csv")))),
		tell("webhook-created", "Each change is sent to a machine outside.",
			once(intruder.jira("Webhook created", "apps", jiraObject("WEBHOOK", "17", "sync"), jiraChange("URL", "", "https://collect.example.net/in")))),
		tell("api-token-created", "A token that outlives the session.",
			once(intruder.jira("API token created", "apps", jiraObject("TOKEN", "", "backup job")))),
		tell("oauth-app-authorized", "An OAuth app is let in.",
			once(intruder.jira("OAuth 2.0 app authorized", "apps", jiraObject("TOKEN", "", "mail helper"), jiraChange("Scopes", "", "read:jira-work offline_access")))),
		tell("failed-sign-ins", "Passwords are tried, and the last one fits.",
			append(every(20*time.Second, 14, func(int) string {
				return actor{"712020:0a0a0a0a-0000-4000-8000-000000000001", "", "", "192.0.2.66"}.jira("User login failed", "authentication", user(administrators[0]))
			}), then(5*time.Minute, intruder.jira("User login successful", "authentication", user(administrators[0]))))...),
		tell("password-changed-from-many-addresses", "One password changes twice in half an hour, from two ends of the net.",
			once(administrators[1].jira("User's password changed", "user management", user(administrators[1]))),
			then(9*time.Minute, viaTor.jira("User's password changed", "user management", user(administrators[1])))),
		tell("promotion-then-password", "A sleeping account is made an administrator, and gets a new password.",
			once(intruder.jira("User added to group", "group management", group("jira-administrators-example"))),
			then(3*time.Hour, intruder.jira("User's password changed", "user management", user(newcomer)))),
		tell("workflow-scheme-copied", "A workflow without its approval stands beside the real one.",
			once(engineers[2].jira("Workflow scheme copied", "workflows", jiraObject("SCHEME", "10061", "Copy of Release flows")))),
		tell("mass-deletion", "Work vanishes by the dozen.",
			every(7*time.Second, 40, func(i int) string {
				return engineers[2].jira("Work item deleted", "work items", jiraObject("ISSUE", "", numbered("OPS", i)))
			})...),
		tell("project-deleted", "A project goes.", once(intruder.jira("Project deleted", "projects", jiraObject("PROJECT", "10010", "Mergers")))),
		tell("mass-group-removal", "Everybody is locked out of a group.",
			every(9*time.Second, 15, func(i int) string {
				return intruder.jira("User removed from group", "group management", group(numbered("team", i)))
			})...),
		tell("administrator-from-a-new-network", "An administrator at work from a network that is not his.",
			once(intruder.jira("Workflow updated", "workflows", jiraObject("WORKFLOW", "", "Release flow")))),
		tell("administrator-from-tor", "An administrator behind Tor.",
			once(viaTor.jira("Workflow scheme updated", "workflows", jiraObject("SCHEME", "10060", "Release flows")))),
		tell("dormant-administrator", "An account that has slept for months administers.",
			once(newcomer.jira("Custom field created", "fields", jiraObject("CUSTOM_FIELD", "customfield_10200", "Notes")))),
	}
}
