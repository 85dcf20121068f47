package sourcetest

import (
	"cmp"
	"slices"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// Site is one product of a simulated site, and what its records were ever served
// as.
type Site struct {
	*atlassiantest.Server
	Kind
	// forms are all the ways in which a record with a key was ever served.
	forms map[string][]string
	// first is how a record without a key was served first, and twin the same by
	// each of the ways in which it ever was.
	first map[int]string
	twin  map[string]string
	// keys are the keys that there are.
	keys map[string]bool
	// known are the forms of texts, raws those of records as the server has them.
	known, raws map[string]string
}

// NewSite makes a site without records. dir is a folder for what it writes to
// files.
func NewSite(k Kind, seed uint64, dir string) (*Site, error) {
	server, err := k.server(seed, dir)
	if err != nil {
		return nil, err
	}
	return &Site{
		Server: server,
		Kind:   k,
		forms:  map[string][]string{},
		first:  map[int]string{},
		twin:   map[string]string{},
		keys:   map[string]bool{},
		known:  map[string]string{},
		raws:   map[string]string{},
	}, nil
}

// AddApart stores n different records, each dated apart after the one before it,
// the last one ago.
func (s *Site) AddApart(n int, apart, ago time.Duration) {
	last := time.Now().Add(-ago)
	for i := range n {
		s.AddBurst(string(s.Product), 1, last.Add(-apart*time.Duration(n-1-i)))
	}
}

// Change changes the product's quirks.
func (s *Site) Change(change func(*atlassiantest.Quirks)) {
	s.Note()
	s.UpdateQuirks(string(s.Product), change)
}

// RenameAll changes every person's name.
func (s *Site) RenameAll(to string) {
	s.Note()
	for account := range s.Accounts(string(s.Product)) {
		s.Rename(account, to+" "+account)
	}
}

// Note remembers how the records are served now.
func (s *Site) Note() {
	s.Each(string(s.Product), func(r atlassiantest.Stored) bool {
		f, ok := s.raws[string(r.Raw)]
		if !ok {
			f = s.Form(s.Raw(r))
			s.raws[string(r.Raw)] = f
		}
		if r.Key != "" {
			s.keys[r.Key] = true
		}
		if r.Key == "" {
			if s.first[r.Seq] == "" {
				// One that says what another one says by now is a twin of that one.
				s.first[r.Seq] = cmp.Or(s.twin[f], f)
			}
			s.twin[f] = s.first[r.Seq]
		} else if !slices.Contains(s.forms[r.Key], f) {
			s.forms[r.Key] = append(s.forms[r.Key], f)
		}
		return true
	})
}

// Raw is a record as the source shows it.
func (s *Site) Raw(r atlassiantest.Stored) []byte {
	if s.shown != nil {
		return s.shown(r.Raw)
	}
	return r.Raw
}

// NameOf is what a record is called here: its key or, of one that may have twins,
// how it was served first.
func (s *Site) NameOf(r atlassiantest.Stored) string {
	if r.Key != "" {
		return r.Key
	}
	if s.first[r.Seq] == "" {
		s.Note()
	}
	return s.first[r.Seq]
}
