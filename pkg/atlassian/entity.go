package atlassian

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"

	"atlassian_audit_records/pkg/audit"
)

// entityLayout is how Data Center's entities look, in the answers of
// /rest/auditing/1.0/events as well as on the lines of the audit log files. The
// two differ: a line says auditType where an answer says type, dates itself by
// seconds and nanoseconds, and leaves out the addresses of pages (observed).
//
// Neither has an id (documented: JRASERVER-78785). What identifies a record is
// therefore chosen so that both forms of one record agree, in every language and
// after a change of the base URL: ids, i18n keys, and the names of what was
// affected; never labels, the author's name where there is an id, or addresses of
// pages. Where an older version gives no key or id, the label or name has to do.
func entityLayout() layout {
	return layout{
		list: "entities", slot: entitySlot, date: entityDate, keys: entityKeys,
		places: []place{
			{fact: factActorID, slot: slotAccount, path: []string{"id"}},
			{fact: factActorName, slot: slotAccount, path: []string{"name"}},
			{fact: factAddress, slot: slotAddress},
			{fact: factAction, slot: slotCategory, path: []string{"actionI18nKey"}},
			{fact: factAction, slot: slotCategory, path: []string{"action"}},
			{fact: factCategory, slot: slotCategory, path: []string{"categoryI18nKey"}},
			{fact: factCategory, slot: slotCategory, path: []string{"category"}},
		},
		inside: true,
	}
}

func entitySlot(name []byte) int {
	switch string(name) {
	case "timestamp":
		return slotDate
	case "author":
		return slotAccount
	case "type", "auditType":
		return slotCategory
	case "source":
		return slotAddress
	case "method":
		return slotDescription
	case "affectedObjects":
		return slotObject
	case "changedValues":
		return slotChanges
	case "extraAttributes":
		return slotItems
	case "system", "node", "version":
		// The base URL may change, and not every form names the others.
		return slotIgnored
	}
	return slotNone
}

// entityDate reads "2021-11-22T00:34:23.154Z", or the
// {"epochSecond":1637539508,"nano":514000000} of the files.
func entityDate(raw []byte) (ms int64, ok bool) {
	if len(raw) == 0 || raw[0] != '{' {
		return parseDate(raw)
	}
	seconds, err := strconv.ParseInt(string(fieldOf(raw, "epochSecond").raw), 10, 64)
	if err != nil || seconds < minMillis/1000 || seconds > maxMillis/1000 {
		return 0, false
	}
	nano := int64(0)
	if f := fieldOf(raw, "nano").raw; len(f) > 0 {
		if nano, err = strconv.ParseInt(string(f), 10, 64); err != nil || nano < 0 || nano >= 1e9 {
			return 0, false
		}
	}
	return seconds*1000 + nano/1e6, true
}

// entityKeys hashes what identifies an entity. The order of lists within a
// record is not promised, and differs between readings (observed), so it does
// not count.
func entityKeys(d *decoder, r audit.Record) audit.Keys {
	date := d.comparable(d.fields[slotDate])
	if r.Dated {
		date = strconv.AppendInt(nil, r.Millis, 10)
	}
	kind := d.fields[slotCategory].raw
	coarse := [][]byte{
		date,
		member(d.fields[slotAccount].raw, "id", "name"),
		member(kind, "categoryI18nKey", "category"),
		member(kind, "actionI18nKey", "action"),
		plain(d.fields[slotAddress].raw),
	}
	if !r.Dated {
		// Without a time it is alone with its looks: all of them count.
		return audit.NewKeys(coarse, [][]byte{d.comparable(field{raw: r.Raw, spaced: true})})
	}
	fine := [][]byte{
		plain(d.fields[slotDescription].raw),
		listed(d.fields[slotObject].raw, []string{"type"}, []string{"id"}, []string{"name"}),
		listed(d.fields[slotChanges].raw, []string{"i18nKey", "key"}, []string{"from"}, []string{"to"}),
		listed(d.fields[slotItems].raw, []string{"nameI18nKey", "name"}, []string{"value"}),
	}
	slices.SortStableFunc(d.unknown, func(a, b unknown) int { return bytes.Compare(a.name, b.name) })
	for _, u := range d.unknown {
		if value := d.comparable(u.field); value != nil {
			fine = append(fine, u.name, value)
		}
	}
	k := audit.NewKeys(coarse, fine)
	d.buf = d.buf[:0]
	return k
}

// member is the first of the named members of an object that says something;
// of what is no object it is the whole.
func member(object []byte, names ...string) []byte {
	if len(object) == 0 || object[0] != '{' {
		return plain(object)
	}
	for _, name := range names {
		if text := plain(fieldOf(object, name).raw); len(text) > 0 {
			return text
		}
	}
	return nil
}

// plain is what a value says: the text of a string, however it is escaped,
// nothing for null, which an empty string and an absent field may become, and
// otherwise the value without white space.
func plain(raw []byte) []byte {
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil
	case raw[0] == '"':
		text, _ := unquote(raw)
		return []byte(text)
	}
	return compact(nil, raw)
}

// listed is what a list of objects says: of each element one value for each
// group of names, the elements in an order of ours.
func listed(raw []byte, groups ...[]string) []byte {
	if len(raw) == 0 || raw[0] != '[' {
		return plain(raw)
	}
	var elements [][]byte
	s := scanner{b: raw}
	s.open('[')
	for n := 0; s.more(n, ']'); n++ {
		element := s.value()
		if len(element) == 0 || element[0] != '{' {
			elements = append(elements, plain(element))
			continue
		}
		var parts []byte
		for _, names := range groups {
			text := member(element, names...)
			parts = append(binary.AppendUvarint(parts, uint64(len(text))), text...)
		}
		elements = append(elements, parts)
	}
	slices.SortFunc(elements, bytes.Compare)
	var out []byte
	for _, e := range elements {
		out = append(binary.AppendUvarint(out, uint64(len(e))), e...)
	}
	return out
}
