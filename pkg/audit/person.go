package audit

// Person is what is known of an account besides its id. Both are empty where
// Atlassian shows nothing of it.
type Person struct {
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
	// Until is when to ask again, in milliseconds since the epoch. What is known
	// stays good for use until then and after.
	Until int64 `json:"until"`
}

// Names knows people by their account ids.
type Names interface {
	// Person is what is known now: it must not ask anybody. The id is only good
	// during the call.
	Person(id []byte) (p Person, ok bool)
}

// fill adds what the record does not say of its actor.
func (t *tokens) fill(names Names) {
	if t.id == nil || t.name != nil && t.email != nil {
		return
	}
	p, ok := names.Person(textOf(t.id))
	if !ok {
		return
	}
	if t.name == nil && p.Name != "" {
		t.name = append(appendEscaped([]byte{'"'}, p.Name), '"')
	}
	if t.email == nil && p.Email != "" {
		t.email = append(appendEscaped([]byte{'"'}, p.Email), '"')
	}
}
