package atlassiantest

import "time"

// confluenceStories are those that Confluence's log tells.
func confluenceStories() []Story {
	tell := func(name, what string, scenes ...scene) Story { return Story{name, Confluence, what, scenes} }
	once := func(raw string) scene { return scene{0, raw} }
	then := func(after time.Duration, raw string) scene { return scene{after, raw} }
	return []Story{
		tell("admin-group-member-added", "An account is put into the administrators' group.",
			once(intruder.confluence("User added to group", "Users and groups", "Group", "site-admins:6f1d0a11-0000-4000-8000-000000000001"))),
		tell("account-created-by-hand", "A person creates an account, past the identity provider.",
			once(intruder.confluence("User created", "Users and groups", "User", newcomer.name, confluenceChange("Email", "", newcomer.mail)))),
		tell("global-permission-added", "A group may suddenly administer Confluence.",
			once(intruder.confluence("Global permission added", "Permissions", "Global permission", "",
				confluenceChange("Permission", "", "Confluence Administrator"), confluenceChange("Granted to", "", "contractors")))),
		tell("anonymous-access", "A space opens to anybody.",
			once(intruder.confluence("Anonymous access enabled for space", "Permissions", "Space", "Mergers"))),
		tell("anonymous-access-and-public-link", "A site is opened, and a link is put on the table.",
			once(intruder.confluence("Global settings updated", "Global administration", "Global configuration", "", confluenceChange("Anonymous access", "false", "true"))),
			then(12*time.Minute, intruder.confluence("Public link turned on", "Pages", "Page", "Term sheet"))),
		tell("public-link", "A page gets a link that needs no account.",
			once(engineers[2].confluence("Public link turned on", "Pages", "Page", "Term sheet"))),
		tell("global-settings-changed", "What holds for all is changed.",
			once(intruder.confluence("Global settings updated", "Global administration", "Global configuration", "", confluenceChange("Public links", "false", "true")))),
		tell("admin-key-used", "An administrator opens what was closed to him, too.",
			once(intruder.confluence("Admin key enabled", "Global administration", "Admin key", ""))),
		tell("space-permissions-opened", "A space is opened bit by bit.",
			every(30*time.Second, 6, func(i int) string {
				return intruder.confluence("Space permission added", "Permissions", "Space", "Mergers", confluenceChange("Type", "", numbered("VIEWSPACE", i)))
			})...),
		tell("restrictions-removed", "Pages lose what hid them, one by one.",
			every(40*time.Second, 8, func(i int) string {
				return engineers[2].confluence("Page restriction removed", "Pages", "Page", numbered("Minutes", i))
			})...),
		tell("audit-configuration-changed", "The audit log is made to forget sooner.",
			once(intruder.confluence("Audit log configuration updated", "Auditing", "", "", confluenceChange("Retention period", "1 Years", "1 Months")))),
		tell("audit-log-exported", "The audit log is taken along.",
			once(intruder.confluence("Audit log exported", "Auditing", "", ""))),
		tell("space-exported", "A whole space leaves.", once(engineers[2].confluence("Space exported", "Import/Export", "Space", "Mergers"))),
		tell("site-exported", "The whole site leaves.", once(intruder.confluence("Site export started", "Import/Export", "Site", ""))),
		tell("exports-repeated", "One export after the other.",
			every(6*time.Minute, 5, func(i int) string {
				return engineers[2].confluence("Space export started", "Import/Export", "Space", numbered("Space", i))
			})...),
		tell("app-installed", "An app nobody asked for.", once(intruder.confluence("App installed", "Apps", "App", "Export everything"))),
		tell("app-then-export", "An app is installed, and data leave.",
			once(intruder.confluence("App installed", "Apps", "App", "Export everything")),
			then(35*time.Minute, intruder.confluence("Space exported", "Import/Export", "Space", "Mergers"))),
		tell("application-link-created", "Another system is trusted.",
			once(intruder.confluence("Application link created", "Apps", "Application link", "mirror", confluenceChange("URL", "", "https://mirror.example.net")))),
		tell("webhook-created", "Each change is sent to a machine outside.",
			once(intruder.confluence("Webhook created", "Apps", "Webhook", "sync", confluenceChange("URL", "", "https://collect.example.net/in")))),
		tell("api-token-created", "A token that outlives the session.", once(intruder.confluence("API token created", "Apps", "Token", "backup job"))),
		tell("failed-sign-ins", "Passwords are tried, and the last one fits.",
			append(every(20*time.Second, 14, func(int) string {
				return intruder.confluence("User login failed", "Security", "User", administrators[0].name)
			}), then(5*time.Minute, intruder.confluence("User login successful", "Security", "User", administrators[0].name)))...),
		tell("mass-deletion", "Pages vanish by the dozen.",
			every(7*time.Second, 40, func(i int) string {
				return engineers[2].confluence("Page deleted permanently", "Pages", "Page", numbered("Runbook", i))
			})...),
		tell("space-deleted", "A space goes.", once(intruder.confluence("Space deleted", "Spaces", "Space", "Mergers"))),
		tell("mass-group-removal", "Everybody is locked out of a group.",
			every(9*time.Second, 15, func(i int) string {
				return intruder.confluence("User removed from group", "Users and groups", "Group", numbered("team", i))
			})...),
		tell("administrator-from-a-new-network", "An administrator at work from a network that is not his.",
			once(intruder.confluence("Space configuration updated", "Spaces", "Space", "Engineering"))),
		tell("administrator-from-tor", "An administrator behind Tor.",
			once(viaTor.confluence("Space configuration updated", "Spaces", "Space", "Engineering"))),
		tell("collector-misused", "The account that may only read audit records changes something.",
			once(collector.confluence("Space logo uploaded", "Spaces", "Space", "Engineering"))),
	}
}
