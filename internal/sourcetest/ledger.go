package sourcetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"atlassian_audit_records/pkg/atlassian/atlassiantest"
)

// Line is a line of a spool.
type Line struct {
	// ID is its record_id, Created the date that it gives the record, and Form what
	// it says besides.
	ID, Created, Form string
	Text              []byte
}

// ReadLine reads a line with its '\n'. The error says that it is none.
func (s *Site) ReadLine(text []byte) (Line, error) {
	var ours struct {
		Atlassian struct {
			ID      string          `json:"record_id"`
			Created string          `json:"created"`
			Value   json.RawMessage `json:"value"`
		} `json:"atlassian"`
	}
	if err := json.Unmarshal(text, &ours); err != nil || !bytes.HasSuffix(text, []byte("\n")) || ours.Atlassian.ID == "" {
		return Line{}, fmt.Errorf("what is no line: %.200q (%w)", text, err)
	}
	f := s.Form(text)
	if v := ours.Atlassian.Value; v != nil {
		f = value(v)
	}
	return Line{ours.Atlassian.ID, ours.Atlassian.Created, f, text}, nil
}

// Ledger is what lines hold, compared with what a site has.
type Ledger struct {
	Lines, Lost, Repeated, Changed, Foreign, SameID, Misdated int
	// IDs are the record_ids of a record, by its name (Site.NameOf).
	IDs map[string][]string
	// some tells of a few of the differences.
	some []string
}

func (l *Ledger) tell(n *int, format string, args ...any) {
	if *n++; *n <= 3 {
		l.some = append(l.some, fmt.Sprintf(format, args...))
	}
}

// NameOfLine is the name (Site.NameOf) of the record that a line holds, empty where
// it is none that the site has.
func (s *Site) NameOfLine(n Line) string {
	find := func() string {
		if k, ok := keyOf(n.Text, s.keys); ok {
			return k
		}
		return s.twin[n.Form]
	}
	name := find()
	if name == "" {
		s.Note()
		name = find()
	}
	return name
}

// Compare compares lines with all records that the site shows from floor on.
func (s *Site) Compare(all []Line, floor time.Time) *Ledger {
	return s.CompareWhere(all, func(created time.Time) bool { return !created.Before(floor) })
}

// CompareWhere compares lines with all records, of which those that were created at a
// wanted time must be there.
func (s *Site) CompareWhere(all []Line, wanted func(created time.Time) bool) *Ledger {
	s.Note()
	l := &Ledger{Lines: len(all), IDs: map[string][]string{}}
	keys, want, may := map[string]atlassiantest.Stored{}, map[string]int{}, map[string]int{}
	s.Each(string(s.Product), func(r atlassiantest.Stored) bool {
		name := s.NameOf(r)
		if r.Key != "" {
			keys[name] = r
		}
		may[name]++
		if !r.Purged && wanted(r.Created) {
			want[name]++
		}
		return true
	})
	seen := map[string]bool{}
	for _, n := range all {
		if seen[n.ID] {
			l.tell(&l.SameID, "record_id %s stands on more than one line", n.ID)
		}
		seen[n.ID] = true
		name := s.twin[n.Form]
		if k, ok := keyOf(n.Text, keys); ok {
			name = k
			if !slices.Contains(s.forms[k], n.Form) {
				l.tell(&l.Changed, "%s was changed:\nserved %s\nspool  %s", k, s.forms[k], n.Form)
			}
			second := keys[k].Created.Truncate(time.Second).Format("2006-01-02T15:04:05.000Z")
			if exact := keys[k].Created.Format("2006-01-02T15:04:05.000Z"); n.Created != exact && n.Created != second {
				l.tell(&l.Misdated, "%s is dated %q, created %s", k, n.Created, exact)
			}
		}
		l.IDs[name] = append(l.IDs[name], n.ID)
		if may[name] == 0 {
			l.tell(&l.Foreign, "a line of no record: %.300s", n.Text)
		}
	}
	for name, n := range want {
		if got := len(l.IDs[name]); got < n {
			l.tell(&l.Lost, "%d of %d are there of %.120s, created %s", got, n, name, keys[name].Created)
			l.Lost += n - got - 1
		}
	}
	for name, n := range may {
		if got := len(l.IDs[name]); got > n {
			l.tell(&l.Repeated, "%d lines are there of the %d of %.120s: %s", got, n, name, l.IDs[name])
			l.Repeated += got - n - 1
		}
	}
	slices.Sort(l.some)
	return l
}

// Err is nil when there is no difference.
func (l *Ledger) Err() error {
	if l.Lost+l.Repeated+l.Changed+l.Foreign+l.SameID+l.Misdated == 0 {
		return nil
	}
	return fmt.Errorf("of %d lines: %d lost, %d repeated, %d changed, %d misdated, %d of no record, %d with a record_id already used\n  %s",
		l.Lines, l.Lost, l.Repeated, l.Changed, l.Misdated, l.Foreign, l.SameID, strings.Join(l.some, "\n  "))
}

// SameIDs is nil when both call the same records by the same ids.
func (l *Ledger) SameIDs(other *Ledger) error {
	for name, ids := range l.IDs {
		slices.Sort(ids)
		slices.Sort(other.IDs[name])
		if !slices.Equal(ids, other.IDs[name]) {
			return fmt.Errorf("%.200s is called %q, and on another machine %q", name, ids, other.IDs[name])
		}
	}
	return nil
}
