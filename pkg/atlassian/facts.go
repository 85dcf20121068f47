package atlassian

import "atlassian_audit_records/pkg/audit"

// fact is one of the things that Datadog's standard attributes are made of.
type fact int8

const (
	factActorID fact = iota
	factActorName
	factActorEmail
	factAddress
	factAction
	factCategory
	facts // how many there are
)

// place says that a fact stands in the field of a slot: it is that field, or
// the member of it that path names, object within object. Of the places of one
// fact the first that holds a text or a number counts.
type place struct {
	fact fact
	slot int
	path []string
}

// found is what the places of a record showed: for each fact its span and the
// number of the place, counted from 1.
type found struct {
	span [facts]audit.Span
	rank [facts]int8
}

// facts are where in the record, which began at start, the facts stand. Each
// object is walked once, however many places lie in it.
func (d *decoder) facts(start int) audit.Facts {
	var f found
	walked := slotNone
	for i := range d.layout.places {
		p := &d.layout.places[i]
		v := &d.fields[p.slot]
		switch {
		case len(p.path) == 0:
			f.take(p.fact, i, v.raw, v.at-start)
		case p.slot != walked && len(v.raw) > 0 && v.raw[0] == '{':
			walked = p.slot
			f.walk(d.layout.places, p.slot, nil, v.raw, v.at-start)
		}
	}
	return audit.Facts{
		ActorID: f.span[factActorID], ActorName: f.span[factActorName], ActorEmail: f.span[factActorEmail],
		Address: f.span[factAddress], Action: f.span[factAction], Category: f.span[factCategory], Inside: d.layout.inside,
	}
}

// walk looks at the members of an object that stands at position at of the
// record; path are the names that lead to it.
func (f *found) walk(places []place, slot int, path []string, object []byte, at int) {
	s := scanner{b: object}
	s.open('{')
	for n := 0; s.more(n, '}'); n++ {
		name := s.name()
		raw := s.value()
		deeper := ""
		for i := range places {
			p := &places[i]
			if p.slot != slot || len(p.path) <= len(path) || p.path[len(path)] != string(name) || !leads(path, p.path) {
				continue
			}
			if len(p.path) == len(path)+1 {
				f.take(p.fact, i, raw, at+s.i-len(raw))
			} else {
				deeper = p.path[len(path)]
			}
		}
		if deeper != "" && len(raw) > 0 && raw[0] == '{' {
			f.walk(places, slot, append(path[:len(path):len(path)], deeper), raw, at+s.i-len(raw))
		}
	}
}

// leads reports whether path begins like that.
func leads(begin, path []string) bool {
	for i := range begin {
		if path[i] != begin[i] {
			return false
		}
	}
	return true
}

// take notes a value for a fact, unless a better place showed one.
func (f *found) take(what fact, i int, raw []byte, at int) {
	rank := int8(i + 1)
	if !isText(raw) || f.rank[what] != 0 && f.rank[what] < rank {
		return
	}
	f.rank[what] = rank
	f.span[what] = audit.Span{From: int32(at), To: int32(at + len(raw))}
}

// isText tells a string that is not empty, or a number.
func isText(raw []byte) bool {
	if len(raw) == 0 {
		return false
	}
	c := raw[0]
	return c == '"' && len(raw) > 2 || c == '-' || '0' <= c && c <= '9'
}
