package check

import (
	"strings"
	"unicode/utf8"

	"atlassian_audit_records/pkg/auth"
)

// hidden stands wherever a secret would have been printed.
const hidden = "********"

// secret reads an option that holds a credential.
func (s *section) secret(key string) auth.Secret {
	f, ok := s.fields[key]
	if !ok {
		return ""
	}
	s.ps.hide(f.value.Value)
	s.ps.hide(strings.TrimSpace(f.value.Value))
	v, ok := s.str(key)
	if !ok {
		if f.null() {
			s.addf(key, "is empty: put the secret here, best as a handle of the Agent's secret management, ENC[name]")
		}
		return ""
	}
	if v == "" {
		s.addf(key, "is empty: put the secret here, best as a handle of the Agent's secret management, ENC[name]")
		return ""
	}
	if reason := badSecret(v); reason != "" {
		s.addf(key, "%s", reason)
		return ""
	}
	return auth.Secret(v)
}

// badSecret says why v cannot be a credential that is sent in a header or a
// form; "" when it can.
func badSecret(v string) string {
	if strings.TrimSpace(v) != v {
		return "begins or ends with white space: remove it (a secret backend that ends its answers with a line break does this)"
	}
	if !utf8.ValidString(v) {
		return "is not valid UTF-8: copy the secret anew"
	}
	for _, r := range v {
		if r <= ' ' || r > '~' {
			return "holds a space, a line break or a character outside ASCII, which no credential of Atlassian's does: copy the secret anew"
		}
	}
	return ""
}
