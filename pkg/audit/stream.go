package audit

// Product is what a stream is about: "jira", "confluence", or "organization".
type Product string

// The products that can be collected.
const (
	Jira       Product = "jira"
	Confluence Product = "confluence"
	// Organization is the audit log of an Atlassian organisation as a whole, which
	// belongs to no site.
	Organization Product = "organization"
)

// Products are all products, in the order in which they are told.
func Products() []Product { return []Product{Jira, Confluence, Organization} }

// LogSource is the Datadog log source under which the product's records are
// delivered. The names are those of Datadog's hosted integrations, so that their
// dashboards, pipelines and rules keep working.
func (p Product) LogSource() string {
	if p == Organization {
		return "atlassian-event-logs"
	}
	return string(p) + "-audit-records"
}

// Service is the service of the product's logs where the instance names none.
func (p Product) Service() string {
	if p == Organization {
		return "atlassian"
	}
	return string(p)
}

// Stream names one sequence of audit records: one product of one site, or the
// log of one organisation.
type Stream struct {
	// Site is the site's host in lower case, with its port where it has one; the
	// gateway's for an organisation, which has no site.
	Site string
	// Path is the context path below which the product lies on Data Center, "/jira";
	// empty where there is none.
	Path string
	// Organization is the organisation's id; empty for a site.
	Organization string
	// CloudID is the Cloud site's id, a UUID; empty on Data Center.
	CloudID string
	// Product is the product whose records these are.
	Product Product
}

// Scope is the part of every record_id that the stream's records share:
// "<organisation's id, cloudId or host>:<product>". A context path is part of the
// host: two programs may share one.
func (s Stream) Scope() string {
	if s.Organization != "" {
		return s.Organization + ":" + string(s.Product)
	}
	if s.CloudID != "" {
		return s.CloudID + ":" + string(s.Product)
	}
	return s.Site + s.Path + ":" + string(s.Product)
}
