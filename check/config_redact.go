package check

import (
	"strings"

	"atlassian_audit_records/pkg/audit"
	"atlassian_audit_records/pkg/auth"
)

// minPassphrase is how long a passphrase is at least: a shorter one could be
// found by trying, and with it every value that was hashed.
const minPassphrase = 16

// Redact is what is taken out of each record before it is written anywhere.
type Redact struct {
	// Drop and Hash are the words and paths of audit.NewRedaction.
	Drop, Hash []string
	// Passphrase keys the hashes: the same one makes the same hashes on every
	// machine. It is kept nowhere but in the configuration.
	Passphrase auth.Secret
}

// redaction is how lines are made; nil where nothing is taken out.
func (r Redact) redaction() (*audit.Redaction, error) {
	if len(r.Drop)+len(r.Hash) == 0 {
		return nil, nil
	}
	return audit.NewRedaction(r.Drop, r.Hash, []byte(r.Passphrase.Reveal()))
}

// redact reads the section of that name of an instance.
func (s *section) redact() Redact {
	f, ok := s.fields["redact"]
	if !ok || f.null() {
		return Redact{}
	}
	r := newSection(s.ps, f.value, s.at("redact"), redactSection, s.handles)
	before := len(s.ps.list)
	var out Redact
	out.Drop, _ = r.list("drop")
	out.Hash, _ = r.list("hash")
	if _, ok := r.fields["hash_passphrase"]; ok {
		out.Passphrase = r.secret("hash_passphrase")
		if p := out.Passphrase.Reveal(); p != "" && len(p) < minPassphrase {
			r.addf("hash_passphrase", "is shorter than %d characters: whoever guesses it can tell what was hashed", minPassphrase)
		}
	} else if len(out.Hash) > 0 {
		r.addf("hash_passphrase", "is missing: without one, whoever knows the possible values could tell which was hashed; give the same to every machine, best as a handle of the Agent's secret management, ENC[name]")
	}
	if len(s.ps.list) > before {
		return out
	}
	for _, kind := range []struct {
		key     string
		entries []string
	}{{"drop", out.Drop}, {"hash", out.Hash}} {
		for _, entry := range kind.entries {
			if _, err := audit.NewRedaction([]string{entry}, nil, nil); err != nil {
				r.addf(kind.key, "%s", err)
			} else if strings.EqualFold(entry, "email") || strings.EqualFold(entry, "ip") {
				r.addf(kind.key, "%q is the path of a field that no record of Atlassian's has: did you mean %ss, for all of them in any text?", entry, strings.ToLower(entry))
			}
		}
	}
	if len(s.ps.list) == before && !r.isHandle("hash_passphrase") {
		if _, err := out.redaction(); err != nil {
			s.addf("redact", "%s", err)
		}
	}
	return out
}
