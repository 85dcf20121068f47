package check

// badConfigs are the files testdata/config/invalid-<file>, and exactly what is said of each.
func badConfigs() []badConfig {
	return []badConfig{
		{"an email without an @", "auth-email.yaml", []string{
			`invalid-auth-email.yaml:6: instances[0].auth.email: is not an e-mail address, like audit@example.com`,
		}},
		{"an api_token without email and token", "auth-incomplete.yaml", []string{
			`invalid-auth-incomplete.yaml:5: instances[0].auth.email: is missing: give the address of the account that created the API token`,
			`invalid-auth-incomplete.yaml:5: instances[0].auth.api_token: is missing: create one at https://id.atlassian.com/manage-profile/security/api-tokens`,
		}},
		{"options of two types of credential", "auth-mixed.yaml", []string{
			`invalid-auth-mixed.yaml:8: instances[0].auth.client_id: belongs to type service_account or oauth, but type is api_token: remove it, or change type`,
			`invalid-auth-mixed.yaml:9: instances[0].auth.client_secret: belongs to type service_account or oauth, but type is api_token: remove it, or change type`,
		}},
		{"a credential without its type", "auth-no-type.yaml", []string{
			`invalid-auth-no-type.yaml:5: instances[0].auth.type: is missing: use api_token, service_account or oauth`,
		}},
		{"the type oauth without its app", "auth-oauth.yaml", []string{
			`invalid-auth-oauth.yaml:5: instances[0].auth.client_id: is missing: copy it from the app's Settings at https://developer.atlassian.com/console/myapps`,
			`invalid-auth-oauth.yaml:5: instances[0].auth.client_secret: is missing: give client_secret, or client_secret_file with the path of a file that holds it`,
			`invalid-auth-oauth.yaml:6: instances[0].auth.email: belongs to type api_token, but type is oauth: remove it, or change type`,
		}},
		{"an organisation's API key for a site", "auth-organization-api-key.yaml", []string{
			`invalid-auth-organization-api-key.yaml:5: instances[0].auth.type: organization_api_key is for the log of an organisation: give organization in the place of site, or use api_token, service_account or oauth`,
		}},
		{"the type personal_access_token with a Cloud site", "auth-personal-access-token.yaml", []string{
			`invalid-auth-personal-access-token.yaml:5: instances[0].auth.type: personal_access_token is for Data Center: use api_token, service_account or oauth, or set deployment: data_center`,
		}},
		{"a type with a hyphen", "auth-type.yaml", []string{
			`invalid-auth-type.yaml:5: instances[0].auth.type: is "api-token": did you mean api_token?`,
		}},
		{"truth values that are none", "boolean.yaml", []string{
			`invalid-boolean.yaml:8: instances[0].empty_default_hostname: must be true or false, without quotes`,
			`invalid-boolean.yaml:9: instances[0].service_checks: must be true or false, without quotes`,
			`invalid-boolean.yaml:10: instances[0].tls_verify: must be true or false, without quotes`,
		}},
		{"what does not go with Data Center", "data-center.yaml", []string{
			`invalid-data-center.yaml:3: instances[0].site: is a Cloud site: remove deployment: data_center`,
			`invalid-data-center.yaml:9: instances[1].products: is missing: on Data Center each product has an address of its own, so name the one at site, with products: [jira] or products: [confluence]`,
			`invalid-data-center.yaml:13: instances[1].auth.username: must be the name that the account signs in with, without a colon or white space at its ends`,
			`invalid-data-center.yaml:15: instances[2].site: must begin with https://: over http:// everybody on the way to jira.example.com could read the credential`,
			`invalid-data-center.yaml:17: instances[2].products: names both products, and on Data Center each has an address of its own: name one, and give the other an instance of its own`,
			`invalid-data-center.yaml:18: instances[2].gateway: is for Atlassian Cloud, and Data Center has none: remove it`,
			`invalid-data-center.yaml:20: instances[2].auth.type: api_token is for Atlassian Cloud: use personal_access_token or basic, or remove deployment: data_center`,
			`invalid-data-center.yaml:23: instances[3].site: must end after the context path: write https://example.com/jira`,
			`invalid-data-center.yaml:27: instances[3].auth.username: is missing: give the name that the account signs in with`,
			`invalid-data-center.yaml:27: instances[3].auth.password: is missing: put the account's password here, best as a handle of the Agent's secret management, ENC[name]`,
			`invalid-data-center.yaml:28: instances[4].site: has no valid context path after the host: write the product's base URL, as its general configuration shows it`,
			`invalid-data-center.yaml:31: instances[4].audit_log_path: must be an absolute path`,
			`invalid-data-center.yaml:35: instances[5].audit_log_path: is given together with auth, and one instance reads either the files or the API: remove auth to read the files, which miss nothing, or audit_log_path to read the API`,
			`invalid-data-center.yaml:40: instances[6].audit_log_path: is for Data Center, whose nodes write audit log files: remove it, or set deployment: data_center`,
			`invalid-data-center.yaml:43: instances[6].auth.type: basic is for Data Center: use api_token, service_account or oauth, or set deployment: data_center`,
		}},
		{"an unknown deployment", "deployment.yaml", []string{
			`invalid-deployment.yaml:8: instances[0].deployment: is "server": use cloud or data_center`,
		}},
		{"durations out of bounds", "durations-bounds.yaml", []string{
			`invalid-durations-bounds.yaml:8: instances[0].initial_lookback: must be from 1m to 365d, not "400d"`,
			`invalid-durations-bounds.yaml:9: instances[0].lookback: must be from 1m to 24h, not "10s"`,
			`invalid-durations-bounds.yaml:10: instances[0].reconcile_window: must be from 1h to 30d, not "30m"`,
			`invalid-durations-bounds.yaml:11: instances[0].reconcile_interval: must be from 10m to 7d, not "1m"`,
		}},
		{"durations that cannot be read", "durations.yaml", []string{
			`invalid-durations.yaml:8: instances[0].initial_lookback: must be a whole number followed by s, m, h or d, like 24h, not "2 years"`,
			`invalid-durations.yaml:9: instances[0].lookback: has no unit: write a whole number followed by s, m, h or d, like 15m`,
			`invalid-durations.yaml:10: instances[0].reconcile_window: must be a whole number followed by s, m, h or d, like 48h, not "1.5h"`,
			`invalid-durations.yaml:11: instances[0].reconcile_interval: must be from 10m to 7d, not this value`,
		}},
		{"an empty file", "empty.yaml", []string{
			`invalid-empty.yaml: is empty: copy conf.yaml.example and fill it in`,
		}},
		{"a credential's end that is no day", "expires.yaml", []string{
			`invalid-expires.yaml:8: instances[0].auth.expires: must be the day on which the credential expires, like 2027-03-01, or a moment, like 2027-03-01T12:00:00Z`,
			`invalid-expires.yaml:14: instances[1].auth.expires: must be the day on which the credential expires, like 2027-03-01, or a moment, like 2027-03-01T12:00:00Z`,
		}},
		{"a folder with one site in two files", "folder", []string{
			`a.yaml: instances[0] and b.yaml: instances[0] both collect jira and confluence of example.atlassian.net, and would share one state: remove one of them, or give them different products`,
		}},
		{"a gateway over http:// and an auth_server with a path", "gateway.yaml", []string{
			`invalid-gateway.yaml:8: instances[0].gateway: must begin with https://: over http:// everybody on the way to api.example.com could read the credential`,
			`invalid-gateway.yaml:9: instances[0].auth_server: must end after the host: write https://auth.example.com`,
		}},
		{"an instance of nothing", "instance-null.yaml", []string{
			`invalid-instance-null.yaml:3: instances[0]: is empty: give at least site and auth`,
		}},
		{"an empty list of instances", "instances-empty.yaml", []string{
			`invalid-instances-empty.yaml: instances: is empty: add an instance with site and auth`,
		}},
		{"instances without a dash", "instances-mapping.yaml", []string{
			`invalid-instances-mapping.yaml:2: instances: must be a list, each entry beginning with a dash, not a mapping`,
		}},
		{"an interval with a fraction", "interval-fraction.yaml", []string{
			`invalid-interval-fraction.yaml:8: instances[0].min_collection_interval: must be a whole number of seconds, like 15, without quotes or unit`,
			`invalid-interval-fraction.yaml:9: instances[0].timeout: must be from 1 to 300 seconds`,
		}},
		{"an interval of nothing", "interval-zero.yaml", []string{
			`invalid-interval-zero.yaml:8: instances[0].min_collection_interval: must be from 1 to 86400 seconds`,
			`invalid-interval-zero.yaml:9: instances[0].timeout: must be from 1 to 300 seconds`,
		}},
		{"an interval with a unit", "interval.yaml", []string{
			`invalid-interval.yaml:8: instances[0].min_collection_interval: must be a whole number of seconds, like 15, without quotes or unit`,
			`invalid-interval.yaml:9: instances[0].timeout: must be a number of seconds, like 30, without quotes or unit`,
		}},
		{"options in the wrong section", "key-in-wrong-section.yaml", []string{
			`invalid-key-in-wrong-section.yaml:2: init_config: has the unknown option "lookback": it belongs in instances`,
			`invalid-key-in-wrong-section.yaml:9: instances[0]: has the unknown option "email": it belongs in auth`,
		}},
		{"an option given twice", "key-twice.yaml", []string{
			`invalid-key-twice.yaml:9: instances[0].lookback: is given twice (first on line 8): remove one`,
		}},
		{"a list instead of sections", "list-at-top.yaml", []string{
			`invalid-list-at-top.yaml:1: must be a mapping of options, not a list`,
		}},
		{"many mistakes, all told at once", "many.yaml", []string{
			`invalid-many.yaml:2: init_config: has the unknown option "runpath": did you mean run_path?`,
			`invalid-many.yaml:4: instances[0].site: must begin with https://: over http:// everybody on the way to example.atlassian.net could read the credential`,
			`invalid-many.yaml:5: instances[0].lookback: must be a whole number followed by s, m, h or d, like 15m, not "1x"`,
			`invalid-many.yaml:7: instances[0].auth.api_token: is missing: create one at https://id.atlassian.com/manage-profile/security/api-tokens`,
			`invalid-many.yaml:8: instances[0].auth.email: is not an e-mail address, like audit@example.com`,
			`invalid-many.yaml:9: instances[1].site: is missing: write the address of your Cloud site, like https://example.atlassian.net`,
			`invalid-many.yaml:9: instances[1].products[0]: is "trello": this version collects jira and confluence`,
			`invalid-many.yaml:9: instances[1].auth: is missing: say how the check signs in, with type api_token, service_account or oauth`,
		}},
		{"an instance without a credential", "no-auth.yaml", []string{
			`invalid-no-auth.yaml:3: instances[0].auth: is missing: say how the check signs in, with type api_token, service_account or oauth`,
		}},
		{"a file without instances", "no-instances.yaml", []string{
			`invalid-no-instances.yaml:1: instances: is missing: add an instance with site and auth`,
		}},
		{"an instance without a site", "no-site.yaml", []string{
			`invalid-no-site.yaml:3: instances[0].site: is missing: write the address of your Cloud site, like https://example.atlassian.net`,
		}},
		{"a bracket that is not closed", "not-yaml.yaml", []string{
			`invalid-not-yaml.yaml:7: is not valid YAML: did not find expected ',' or ']' (check the indentation, the space after each colon, and quotes)`,
		}},
		{"an organisation without its key", "organization.yaml", []string{
			`invalid-organization.yaml:5: instances[0].auth.organization_api_key: is missing: give organization_api_key, or organization_api_key_file with the path of a file that holds it`,
		}},
		{"an organisation with what belongs to a site", "organization-mixed.yaml", []string{
			`invalid-organization-mixed.yaml:4: instances[0].site: belongs to a site, and this instance is about an organisation: give each an instance of its own`,
			`invalid-organization-mixed.yaml:5: instances[0].products: belongs to a site, and this instance is about an organisation: give each an instance of its own`,
			`invalid-organization-mixed.yaml:7: instances[0].auth.type: api_token is not for the log of an organisation: use organization_api_key`,
			`invalid-organization-mixed.yaml:10: instances[1].organization: is not an organisation's id: it is the part after /o/ in the address of https://admin.atlassian.com, and is shown where an API key is made`,
			`invalid-organization-mixed.yaml:14: instances[1].auth.organization_api_key_file: is given together with organization_api_key: remove one of them`,
			`invalid-organization-mixed.yaml:15: instances[2].organization: is still the placeholder of the example: put the real value in its place`,
		}},
		{"two instances of one organisation", "organization-same.yaml", []string{
			`invalid-organization-same.yaml: instances[0] and invalid-organization-same.yaml: instances[1] both collect organization of 12345678-1234-1234-1234-123456789012, and would share one state: remove one of them, or give them different products`,
		}},
		{"an empty list of products", "products-empty.yaml", []string{
			`invalid-products-empty.yaml:8: instances[0].products: is an empty list: leave it out to collect jira and confluence`,
		}},
		{"products that are no list", "products-text.yaml", []string{
			`invalid-products-text.yaml:8: instances[0].products: must be a list, like [a, b], not text`,
		}},
		{"products misspelt, unknown and repeated", "products-unknown.yaml", []string{
			`invalid-products-unknown.yaml:8: instances[0].products[0]: is "jria": did you mean jira?`,
			`invalid-products-unknown.yaml:8: instances[0].products[1]: is "bitbucket": this version collects jira and confluence`,
			`invalid-products-unknown.yaml:8: instances[0].products[3]: names jira a second time: remove it`,
		}},
		{"a bad proxy shared by two instances, told once", "proxy-shared.yaml", []string{
			`invalid-proxy-shared.yaml:2: init_config.proxy.https: must begin with http://, https://, socks5:// or socks5h://`,
		}},
		{"a proxy that is no mapping", "proxy-text.yaml", []string{
			`invalid-proxy-text.yaml:8: instances[0].proxy: must be a mapping of options, not text`,
		}},
		{"a proxy with a bad password, scheme and option", "proxy.yaml", []string{
			`invalid-proxy.yaml:9: instances[0].proxy.http: is not the URL of a proxy, like http://proxy.example.com:3128 (a user name or password with special characters must be percent-encoded)`,
			`invalid-proxy.yaml:10: instances[0].proxy.https: must begin with http://, https://, socks5:// or socks5h://`,
			`invalid-proxy.yaml:11: instances[0].proxy: has the unknown option "noproxy": did you mean no_proxy?`,
		}},
		{"a relative run_path", "run-path.yaml", []string{
			`invalid-run-path.yaml:2: init_config.run_path: must be an absolute path`,
		}},
		{"two instances that share a product", "same-site.yaml", []string{
			`invalid-same-site.yaml: instances[0] and invalid-same-site.yaml: instances[1] both collect confluence of example.atlassian.net, and would share one state: remove one of them, or give them different products`,
		}},
		{"a secret that begins with an asterisk", "secret-anchor.yaml", []string{
			`invalid-secret-anchor.yaml: is not valid YAML: a value that starts with * must be put in quotes`,
		}},
		{"a secret and a file with another", "secret-and-file.yaml", []string{
			`invalid-secret-and-file.yaml:8: instances[0].auth.client_secret_file: is given together with client_secret: remove one of them`,
		}},
		{"an empty secret", "secret-empty.yaml", []string{
			`invalid-secret-empty.yaml:7: instances[0].auth.api_token: is empty: put the secret here, best as a handle of the Agent's secret management, ENC[name]`,
		}},
		{"a secret file that is not there", "secret-file-missing.yaml", []string{
			`invalid-secret-file-missing.yaml:7: instances[0].auth.client_secret_file: read the secret: stat /nonexistent/atlassian_secret: no such file or directory`,
		}},
		{"a secret file of two lines", "secret-file-lines.yaml", []string{
			`invalid-secret-file-lines.yaml:7: instances[0].auth.client_secret_file: the secret in /etc/datadog-agent/two-lines holds a space, a line break or a character outside ASCII, which no credential of Atlassian's does: copy the secret anew`,
		}},
		{"a secret file with a relative path", "secret-file-relative.yaml", []string{
			`invalid-secret-file-relative.yaml:7: instances[0].auth.client_secret_file: must be an absolute path`,
		}},
		{"a handle that no Agent resolved", "secret-handle.yaml", []string{
			`invalid-secret-handle.yaml:7: instances[0].auth.api_token: is the handle ENC[…], which only the Agent resolves: to run without one, put the secret into a copy of the file that only you may read`,
		}},
		{"a secret with spaces inside", "secret-inner-space.yaml", []string{
			`invalid-secret-inner-space.yaml:7: instances[0].auth.api_token: holds a space, a line break or a character outside ASCII, which no credential of Atlassian's does: copy the secret anew`,
		}},
		{"a secret with a line break at its end", "secret-line-break.yaml", []string{
			`invalid-secret-line-break.yaml:7: instances[0].auth.api_token: begins or ends with white space: remove it (a secret backend that ends its answers with a line break does this)`,
		}},
		{"a secret right after the colon", "secret-no-space.yaml", []string{
			`invalid-secret-no-space.yaml:4: instances[0].auth: has the unknown option "api_token:": a space is missing after the colon`,
			`invalid-secret-no-space.yaml:4: instances[0].auth.api_token: is missing: create one at https://id.atlassian.com/manage-profile/security/api-tokens`,
		}},
		{"a secret of nothing", "secret-null.yaml", []string{
			`invalid-secret-null.yaml:7: instances[0].auth.api_token: is empty: put the secret here, best as a handle of the Agent's secret management, ENC[name]`,
		}},
		{"a secret of digits without quotes", "secret-number.yaml", []string{
			`invalid-secret-number.yaml:7: instances[0].auth.api_token: must be text, not a number: put the value in quotes`,
		}},
		{"a placeholder left in place", "secret-placeholder.yaml", []string{
			`invalid-secret-placeholder.yaml:7: instances[0].auth.api_token: is still the placeholder of the example: put the real value in its place`,
		}},
		{"a secret in the place of the email", "secret-swapped.yaml", []string{
			`invalid-secret-swapped.yaml:6: instances[0].auth.email: is not an e-mail address, like audit@example.com`,
		}},
		{"a service_account without id and secret", "service-account-incomplete.yaml", []string{
			`invalid-service-account-incomplete.yaml:5: instances[0].auth.client_id: is missing: copy it from the service account's OAuth 2.0 credential at https://admin.atlassian.com`,
			`invalid-service-account-incomplete.yaml:5: instances[0].auth.client_secret: is missing: give client_secret, or client_secret_file with the path of a file that holds it`,
		}},
		{"a service with white space", "service.yaml", []string{
			`invalid-service.yaml:8: instances[0].service: must be a name of at most 100 characters, without white space at its ends or line breaks`,
		}},
		{"a site without its name", "site-apex.yaml", []string{
			`invalid-site-apex.yaml:3: instances[0].site: lacks the name of your site: write it like https://example.atlassian.net`,
		}},
		{"a site with a fragment", "site-fragment.yaml", []string{
			`invalid-site-fragment.yaml:3: instances[0].site: must not hold a fragment (from the # on)`,
		}},
		{"the gateway in the place of the site", "site-gateway.yaml", []string{
			`invalid-site-gateway.yaml:3: instances[0].site: is api.atlassian.com, which is the same for all customers: write the address of your site, like https://example.atlassian.net`,
		}},
		{"a site with a space", "site-host.yaml", []string{
			`invalid-site-host.yaml:3: instances[0].site: is not a URL, such as https://example.atlassian.net`,
		}},
		{"a site over http://", "site-http.yaml", []string{
			`invalid-site-http.yaml:3: instances[0].site: must begin with https://: over http:// everybody on the way to example.atlassian.net could read the credential`,
		}},
		{"a site that is a number", "site-number.yaml", []string{
			`invalid-site-number.yaml:3: instances[0].site: must be text, not a number: put the value in quotes`,
		}},
		{"a site copied from the browser", "site-path.yaml", []string{
			`invalid-site-path.yaml:3: instances[0].site: must end after the host: write https://example.atlassian.net`,
		}},
		{"a site left as in the example", "site-placeholder.yaml", []string{
			`invalid-site-placeholder.yaml:3: instances[0].site: is still the placeholder of the example: put the real value in its place`,
		}},
		{"a site with a word for a port", "site-port.yaml", []string{
			`invalid-site-port.yaml:3: instances[0].site: is not a URL, such as https://example.atlassian.net`,
		}},
		{"a site with a query", "site-query.yaml", []string{
			`invalid-site-query.yaml:3: instances[0].site: must not hold a query (from the ? on)`,
		}},
		{"a site over ftp://", "site-scheme.yaml", []string{
			`invalid-site-scheme.yaml:3: instances[0].site: must begin with https://`,
		}},
		{"a site without a domain", "site-short.yaml", []string{
			`invalid-site-short.yaml:3: instances[0].site: is not a full host name: write it like https://example.atlassian.net`,
		}},
		{"a site with a password", "site-user.yaml", []string{
			`invalid-site-user.yaml:3: instances[0].site: must not hold a user name or password: credentials belong in auth`,
		}},
		{"a size too small", "size-small.yaml", []string{
			`invalid-size-small.yaml:2: init_config.spool_max_size: must be from 16MiB to 1TiB, not "1MiB"`,
		}},
		{"a size that cannot be read", "size.yaml", []string{
			`invalid-size.yaml:2: init_config.spool_max_size: must be a whole number followed by KiB, MiB, GiB, KB, MB or GB, like 1GiB, not "lots"`,
		}},
		{"shared state with a password in its URL", "state-etcd.yaml", []string{
			`invalid-state-etcd.yaml:2: init_config.state: must not hold a user name or password: they have options of their own, state_username and state_password`,
			`invalid-state-etcd.yaml:2: init_config.state_password: is missing: state_username is of no use without it`,
		}},
		{"shared state in Kubernetes with options of etcd", "state-kubernetes.yaml", []string{
			`invalid-state-kubernetes.yaml:2: init_config.state: must name a namespace and a name of small letters, digits and hyphens, like kubernetes://atlassian-audit-records/fleet`,
			`invalid-state-kubernetes.yaml:3: init_config.state_password: is about etcd: what gets into Kubernetes stands in the file that state_kubeconfig names, or is given to the pod`,
			`invalid-state-kubernetes.yaml:4: init_config.state_kubeconfig: must be an absolute path`,
		}},
		{"shared state in etcd with a kubeconfig", "state-kubeconfig.yaml", []string{
			`invalid-state-kubeconfig.yaml:3: init_config.state_kubeconfig: is about Kubernetes, and state names an etcd`,
		}},
		{"options of shared state without it", "state-none.yaml", []string{
			`invalid-state-none.yaml:2: init_config.state_username: is of no use without state: it is about the store that state names`,
			`invalid-state-none.yaml:3: init_config.state_tls_verify: is of no use without state: it is about the store that state names`,
		}},
		{"a tab for indentation", "tab.yaml", []string{
			`invalid-tab.yaml:3: is not valid YAML: a value that starts with a character such as %, @ or a tab must be put in quotes, and lines are indented with spaces`,
		}},
		{"tags that are no list", "tags-text.yaml", []string{
			`invalid-tags-text.yaml:8: instances[0].tags: must be a list, like [a, b], not text`,
		}},
		{"tags that are none", "tags.yaml", []string{
			`invalid-tags.yaml:9: instances[0].tags[0]: must not hold commas, line breaks or white space at its ends: write one tag an entry, like team:security`,
			`invalid-tags.yaml:10: instances[0].tags[1]: is empty: remove it`,
			`invalid-tags.yaml:11: instances[0].tags[2]: is still the placeholder of the example: put the real value in its place`,
			`invalid-tags.yaml:12: instances[0].tags[3]: must be text, not a mapping`,
		}},
		{"a client certificate without key", "tls-cert-alone.yaml", []string{
			`invalid-tls-cert-alone.yaml:3: instances[0].tls_private_key: is missing: the file of tls_cert holds no private key`,
		}},
		{"a private key without certificate", "tls-key-alone.yaml", []string{
			`invalid-tls-key-alone.yaml:3: instances[0].tls_cert: is missing: tls_private_key is of no use without it`,
		}},
		{"a CA file that is not there", "tls-missing-file.yaml", []string{
			`invalid-tls-missing-file.yaml:8: instances[0].tls_ca_cert: /nonexistent/ca.pem does not exist`,
		}},
		{"a CA file without a certificate", "tls-not-pem.yaml", []string{
			`invalid-tls-not-pem.yaml:8: instances[0].tls_ca_cert: /etc/datadog-agent/not-a-certificate holds no certificate in PEM form`,
		}},
		{"a second YAML document", "two-documents.yaml", []string{
			`invalid-two-documents.yaml:8: holds a second YAML document (---), which the Agent does not read: put it into a file of its own`,
		}},
		{"an option like no other", "unknown-key-far.yaml", []string{
			`invalid-unknown-key-far.yaml:8: instances[0]: has the unknown option "banana": conf.yaml.example describes every option`,
		}},
		{"a misspelt option", "unknown-key.yaml", []string{
			`invalid-unknown-key.yaml:8: instances[0]: has the unknown option "lookbak": did you mean lookback?`,
		}},
		{"a reconcile shorter than the look-back", "window-short.yaml", []string{
			`invalid-window-short.yaml:9: instances[0].reconcile_window: is shorter than lookback (6h): a reconcile reads again what every run does, and more`,
		}},
	}
}
