package check

import (
	"slices"
	"strings"
)

// sectionKind is a part of conf.yaml that has options of its own.
type sectionKind string

const (
	fileSection     sectionKind = "conf.yaml"
	initSection     sectionKind = "init_config"
	instanceSection sectionKind = "instances"
	authSection     sectionKind = "auth"
	proxySection    sectionKind = "proxy"
	redactSection   sectionKind = "redact"
)

// options are the names that each section knows. Those of the Agent are its
// own business: it reads them before the check is started, and they are named
// here because a check receives the whole section. Source: the Agent's
// configFormat, CommonInstanceConfig and CommonGlobalConfig, and the base
// class of its Python checks.
type options struct {
	ours   []string
	agents []string
}

func optionsOf(kind sectionKind) options {
	switch kind {
	case fileSection:
		return options{
			ours: []string{"init_config", "instances", "logs"},
			agents: []string{"ad_identifiers", "advanced_ad_identifiers", "cel_selector", "check_tag_cardinality", "cluster_check",
				"docker_images", "ignore_autodiscovery_tags", "jmx_metrics"},
		}
	case initSection:
		return options{
			ours: []string{"program_path", "proxy", "run_path", "service", "service_checks", "skip_proxy", "spool_max_size", "spool_min_free",
				"state", "state_kubeconfig", "state_password", "state_tls_ca_cert", "state_tls_cert", "state_tls_private_key", "state_tls_verify", "state_username", "timeout"},
			agents: []string{"ad_identifiers", "empty_default_hostname", "loader", "metric_patterns", "min_collection_interval", "name",
				"namespace", "no_index", "tags"},
		}
	case instanceSection:
		return options{
			ours: []string{"audit_log_path", "auth", "auth_server", "deployment", "empty_default_hostname", "gateway", "initial_lookback", "lookback",
				"min_collection_interval", "organization", "products", "proxy", "reconcile_interval", "reconcile_window", "redact", "resolve_users", "service",
				"service_checks", "site", "skip_proxy", "tags", "timeout", "tls_ca_cert", "tls_cert", "tls_private_key", "tls_verify"},
			agents: []string{"ad_identifiers", "debug_metrics", "disable_generic_tags", "enable_legacy_tags_normalization", "loader",
				"metric_patterns", "name", "namespace", "no_index", "run_once"},
		}
	case authSection:
		return options{
			ours: []string{"api_token", "client_id", "client_secret", "client_secret_file", "email", "expires", "organization_api_key",
				"organization_api_key_file", "password", "personal_access_token", "type", "username"},
		}
	case proxySection:
		return options{ours: []string{"http", "https", "no_proxy"}}
	case redactSection:
		return options{ours: []string{"drop", "hash", "hash_passphrase"}}
	}
	return options{}
}

// unknownKey says what is wrong with a key that the section does not know; ""
// when it does.
func unknownKey(kind sectionKind, name string) string {
	known := optionsOf(kind)
	if slices.Contains(known.ours, name) || slices.Contains(known.agents, name) {
		return ""
	}
	said := "has the unknown option " + shownKey(name)
	for _, other := range []sectionKind{instanceSection, authSection, initSection, fileSection} {
		if other != kind && slices.Contains(optionsOf(other).ours, name) {
			return said + ": it belongs in " + string(other)
		}
	}
	if before, _, found := strings.Cut(name, ":"); found && slices.Contains(known.ours, before) {
		return said + ": a space is missing after the colon"
	}
	if near := nearest(name, known.ours); near != "" {
		return said + ": did you mean " + near + "?"
	}
	return said + ": conf.yaml.example describes every option"
}
