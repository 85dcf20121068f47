package check

import (
	"context"
	"time"

	"atlassian_audit_records/pkg/audit"
)

// Probe is what one real question about a product found: the newest audit record,
// of an organisation any, of which nothing but its date is kept.
type Probe struct {
	Product audit.Product
	// Newest is the record's date; zero where there is none, or none that can be
	// read.
	Newest time.Time
	// Empty is true where Atlassian answered that there are no records.
	Empty bool
	// Route is where the credential is accepted.
	Route string
	// Err is why there is no answer; a sentence with its code, in Error's words.
	Err error
}

// Sentence says what was found.
func (p Probe) Sentence() string {
	switch {
	case p.Err != nil:
		return sentenceOf(p.Err)
	case p.Empty:
		return "the audit log can be read, and holds no records yet"
	case p.Newest.IsZero():
		return "read an audit record"
	case p.Product == audit.Organization:
		// In which order it comes, nobody says.
		return "read an audit record, of " + p.Newest.UTC().Format(time.RFC3339)
	}
	return "read the newest audit record, of " + p.Newest.UTC().Format(time.RFC3339)
}

// probe asks for one record of each product of an instance.
func (s *site) probe(ctx context.Context, c *Config, cloudID string) []Probe {
	var out []Probe
	for _, p := range c.Products {
		source := s.endpoint(c, p, cloudID, audit.Position{})
		page, err := source.Page(ctx, audit.Query{Limit: 1, Newest: true})
		found := Probe{Product: p, Route: source.Route(), Err: err, Empty: err == nil && len(page.Records) == 0}
		if len(page.Records) > 0 && page.Records[0].Dated {
			found.Newest = page.Records[0].Time()
		}
		out = append(out, found)
	}
	return out
}
