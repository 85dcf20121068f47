package check

import (
	"strings"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// organizationForm is what an organisation's id looks like; Atlassian does not
// say more of it.
var organizationForm = onDemand(`^[a-z0-9][a-z0-9-]{6,62}[a-z0-9]$`)

const (
	// organizationRetention is how long Atlassian keeps an organisation's log.
	organizationRetention = 180 * day
	// organizationInterval is the interval below which its runs would ask more
	// often than the 50 times a minute that Atlassian allows.
	organizationInterval = 5 * time.Second
)

// organization reads an instance that is about an organisation instead of a site.
func (s *section) organization(c *Config, env Env) {
	for _, key := range []string{"site", "deployment", "products", "auth_server", "resolve_users", "audit_log_path"} {
		if s.given(key) {
			s.addf(key, "belongs to a site, and this instance is about an organisation: give each an instance of its own")
		}
	}
	if v, ok := s.str("organization"); ok {
		switch v = strings.ToLower(strings.TrimSpace(v)); {
		case hasPlaceholder(strings.ToUpper(v)):
			s.addf("organization", "is still the placeholder of the example: put the real value in its place")
		case !organizationForm().MatchString(v):
			s.addf("organization", "is not an organisation's id: it is the part after /o/ in the address of https://admin.atlassian.com, and is shown where an API key is made")
		default:
			c.Organization = v
		}
	}
	c.Products = []audit.Product{audit.Organization}
	c.Deployment = Organisation
	c.Auth = s.auth(env, c.Deployment)
	c.Redact = s.redact()
	if c.InitialLookback > organizationRetention {
		s.warnf("initial_lookback", "is longer than the 180 days for which Atlassian keeps the log of an organisation")
	}
	if c.Interval < organizationInterval {
		s.warnf("min_collection_interval", "is shorter than %s: Atlassian allows 50 requests a minute to the log of an organisation, and asks to wait where there are more", spanned(organizationInterval))
	}
}
