package audit

import "bytes"

// Span is a piece of Record.Raw: the bytes from From up to but without To.
// The zero Span is none.
type Span struct{ From, To int32 }

// Facts are where in a record the source found what Datadog's standard
// attributes are made of. Each span covers one whole JSON string or number;
// what the source does not give, or gives as null or an empty string, is none.
type Facts struct {
	// ActorID, ActorName and ActorEmail are who did it.
	ActorID, ActorName, ActorEmail Span
	// Address is where from: one address, or several separated by commas.
	Address Span
	// Action is what was done and Category what kind of thing that is: where
	// there is one a key that no language changes (Data Center's
	// actionI18nKey), else the text.
	Action, Category Span
	// Inside tells that private addresses are those of the people themselves,
	// as on Data Center, and not of Atlassian's own machines.
	Inside bool
}

// tokens are the facts' texts: JSON strings or numbers as they stand in a
// record, nil where there is none.
type tokens struct {
	id, name, email, address, action, category []byte
	// client is what network.client.ip is to be, where that is not worked out
	// from address: it holds nothing that JSON would escape.
	client []byte
	inside bool
}

// tokens takes the facts out of the record.
func (r Record) tokens() tokens {
	f := &r.Facts
	t := tokens{
		id: r.token(f.ActorID), name: r.token(f.ActorName), email: r.token(f.ActorEmail), address: r.token(f.Address),
		action: r.token(f.Action), category: r.token(f.Category), inside: f.Inside,
	}
	if t.email != nil && !bytes.ContainsAny(t.email, `@\\`) {
		t.email = nil // what an organisation's log says of an app: "Atlassian app"
	}
	return t
}

// token is the text of a span, nil for one that does not lie in the record.
func (r Record) token(s Span) []byte {
	if s.From < 0 || s.To <= s.From || int(s.To) > len(r.Raw) {
		return nil
	}
	return r.Raw[s.From:s.To]
}
