package audit

// Product is what a stream is about: "jira" or "confluence".
type Product string

// The products that can be collected.
const (
	Jira       Product = "jira"
	Confluence Product = "confluence"
)

// LogSource is the Datadog log source under which the product's records are
// delivered. The names are those of Datadog's hosted integration, so that its
// dashboards, pipelines and rules keep working.
func (p Product) LogSource() string { return string(p) + "-audit-records" }

// Stream names one sequence of audit records: one product of one site.
type Stream struct {
	// Site is the site's host in lower case, with its port where it has one.
	Site string
	// Path is the context path below which the product lies on Data Center, "/jira";
	// empty where there is none.
	Path string
	// CloudID is the Cloud site's id, a UUID; empty on Data Center.
	CloudID string
	// Product is the product whose records these are.
	Product Product
}

// Scope is the part of every record_id that the stream's records share:
// "<cloudId or host>:<product>". A context path is part of the host: two
// programs may share one.
func (s Stream) Scope() string {
	if s.CloudID != "" {
		return s.CloudID + ":" + string(s.Product)
	}
	return s.Site + s.Path + ":" + string(s.Product)
}
