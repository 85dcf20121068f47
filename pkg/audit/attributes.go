package audit

import (
	"bytes"
	"net/netip"
	"unicode"
	"unicode/utf8"
)

const (
	// maxAttribute is how much of a name, an id or an address is shown, bytes:
	// Datadog's longest facet value.
	maxAttribute = 1024
	// maxSlug is how long evt.name and evt.category become at most, bytes.
	maxSlug = 128
)

// Attributes are appended to an object that is open, each followed by a comma; what
// nothing is known of is left out.

// appendUser appends usr: id, name and email as Atlassian gives them.
func appendUser(dst []byte, t *tokens) []byte {
	if t.id != nil || t.name != nil || t.email != nil {
		dst = append(dst, `"usr":{`...)
		dst = appendAttribute(dst, `"id":`, t.id)
		dst = appendAttribute(dst, `"name":`, t.name)
		dst = appendAttribute(dst, `"email":`, t.email)
		dst = append(dst[:len(dst)-1], `},`...)
	}
	return dst
}

// appendEvent appends evt: name and category are slugs, outcome is failure where the
// name says so and else success: what is in an audit log has happened.
func appendEvent(dst []byte, t *tokens) []byte {
	if t.action == nil && t.category == nil {
		return dst
	}
	start := len(dst)
	dst = append(dst, `"evt":{"name":"`...)
	name := len(dst)
	dst = appendSlug(dst, t.action)
	if len(dst) > name {
		failed := tellsFailure(dst[name:])
		dst = append(dst, `",`...)
		if failed {
			dst = append(dst, `"outcome":"failure",`...)
		} else {
			dst = append(dst, `"outcome":"success",`...)
		}
	} else {
		dst = append(dst[:start], `"evt":{`...)
	}
	before := len(dst)
	dst = append(dst, `"category":"`...)
	category := len(dst)
	if dst = appendSlug(dst, t.category); len(dst) > category {
		dst = append(dst, `",`...)
	} else {
		dst = dst[:before]
	}
	if dst[len(dst)-1] == '{' {
		return dst[:start]
	}
	return append(dst[:len(dst)-1], `},`...)
}

// appendAttribute appends a name and its value as a string, cut where it is
// longer than any facet's.
func appendAttribute(dst []byte, name string, token []byte) []byte {
	if token == nil {
		return dst
	}
	dst = append(dst, name...)
	switch {
	case token[0] != '"':
		dst = append(dst, '"')
		dst = append(dst, token[:min(len(token), maxAttribute)]...)
		dst = append(dst, '"')
	case len(token) > maxAttribute+2:
		dst = append(append(dst, token[:stringCut(token, maxAttribute)]...), '"')
	default:
		dst = append(dst, token...)
	}
	return append(dst, ',')
}

// keyMarks are the words of an i18n key behind which the action itself begins:
// jira.auditing.user.created, audit.logging.summary.space.created,
// atlassian.audit.event.action.audit.config.updated. What stands before is the
// name of the piece of software that ships the translation. The list is closed:
// a word more would rename what people search for.
var keyMarks = [][]byte{[]byte("auditing"), []byte("summary"), []byte("action"), []byte("category")}

// actionOfKey is an i18n key without what stands before the action, and any
// other text as it is.
func actionOfKey(text []byte) []byte {
	if bytes.IndexByte(text, '.') < 0 || bytes.IndexByte(text, ' ') >= 0 {
		return text
	}
	for rest := text; ; {
		word, after, found := bytes.Cut(rest, []byte("."))
		if !found || len(after) == 0 {
			return text
		}
		if isKeyMark(word) {
			if next, deeper, ok := bytes.Cut(after, []byte(".")); ok && len(deeper) > 0 && string(next) == "category" {
				return deeper
			}
			return after
		}
		rest = after
	}
}

func isKeyMark(word []byte) bool {
	for _, m := range keyMarks {
		if bytes.Equal(word, m) {
			return true
		}
	}
	return false
}

// appendSlug appends the text of a token in lower case, with one '_' for
// whatever stands between letters and digits, and nothing for apostrophes.
// Letters of any script stay, so that no text is without a name.
func appendSlug(dst, token []byte) []byte {
	text := token
	if len(token) > 0 && token[0] == '"' {
		text = decodeString(token)
	}
	text = actionOfKey(text)
	start := len(dst)
	gap := false
	for i := 0; i < len(text); {
		c := text[i]
		n := 1
		r := rune(c)
		switch {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
		case 'A' <= c && c <= 'Z':
			r = rune(c + 'a' - 'A')
		case c == '\'':
			i++
			continue
		case c < utf8.RuneSelf:
			r = -1
		default:
			r, n = utf8.DecodeRune(text[i:])
			switch {
			case r == '’':
				i += n
				continue
			case r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r):
				r = -1
			default:
				r = unicode.ToLower(r)
			}
		}
		i += n
		if r < 0 {
			gap = len(dst) > start
			continue
		}
		size := utf8.RuneLen(r)
		if gap {
			size++
		}
		if len(dst)-start+size > maxSlug {
			return dst
		}
		if gap {
			dst = append(dst, '_')
			gap = false
		}
		if r < utf8.RuneSelf {
			dst = append(dst, byte(r))
		} else {
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// tellsFailure reports whether a word of the slug says that it did not succeed.
func tellsFailure(slug []byte) bool {
	for len(slug) > 0 {
		word, rest, _ := bytes.Cut(slug, []byte("_"))
		switch string(word) {
		case "failed", "failure", "fail", "fails", "denied", "rejected", "unsuccessful", "unauthorized":
			return true
		}
		slug = rest
	}
	return false
}

// appendAddress appends network.client.ip and a comma: of the addresses that
// the token lists the first public one, or, inside, the first one; nothing
// where there is none. A private address would stand for Atlassian's own
// machines, be the same for everybody, and have no place on a map.
func appendAddress(dst []byte, t *tokens) []byte {
	const begin = `"network":{"client":{"ip":"`
	if t.client != nil {
		return append(append(append(dst, begin...), t.client...), `"}},`...)
	}
	first, ok := pickAddress(t.address, t.inside)
	if !ok {
		return dst
	}
	return append(first.AppendTo(append(dst, begin...)), `"}},`...)
}

// pickAddress is the address that stands for the client.
func pickAddress(token []byte, inside bool) (first netip.Addr, ok bool) {
	if len(token) < 2 || token[0] != '"' {
		return netip.Addr{}, false
	}
	list := decodeString(token)
	for len(list) > 0 {
		var one []byte
		if i := bytes.IndexByte(list, ','); i >= 0 {
			one, list = list[:i], list[i+1:]
		} else {
			one, list = list, nil
		}
		a, valid := parseAddress(one)
		switch {
		case !valid:
		case isPublic(a):
			return a, true
		case inside && !first.IsValid() && !a.IsUnspecified():
			first = a
		}
	}
	return first, first.IsValid()
}

// parseAddress reads one address as proxies write it: with white space around
// it, a port behind it, in brackets, with a zone, an IPv4 one within IPv6.
func parseAddress(b []byte) (netip.Addr, bool) {
	b = bytes.TrimSpace(b)
	if a, ok := parseIPv4(b); ok {
		return a, true
	}
	if len(b) < 2 || len(b) > 64 {
		return netip.Addr{}, false
	}
	switch i := bytes.IndexByte(b, ']'); {
	case b[0] == '[' && i > 0:
		b = b[1:i]
	case bytes.Count(b, []byte(":")) == 1:
		b = b[:bytes.IndexByte(b, ':')]
	}
	a, err := netip.ParseAddr(string(b))
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap().WithZone(""), true
}

// parseIPv4 reads four decimal numbers. netip would do, but lets the text
// escape to the heap, once for each record.
func parseIPv4(b []byte) (netip.Addr, bool) {
	var four [4]byte
	i := 0
	for k := range four {
		if k > 0 {
			if i >= len(b) || b[i] != '.' {
				return netip.Addr{}, false
			}
			i++
		}
		n, digits := 0, 0
		for ; i < len(b) && '0' <= b[i] && b[i] <= '9' && digits < 4; i++ {
			n = 10*n + int(b[i]-'0')
			digits++
		}
		if digits == 0 || n > 255 || digits > 1 && b[i-digits] == '0' {
			return netip.Addr{}, false
		}
		four[k] = byte(n)
	}
	return netip.AddrFrom4(four), i == len(b)
}

// isPublic reports whether an address may belong to a machine on the internet.
// Addresses set apart for documentation count: nobody's machine has them.
func isPublic(a netip.Addr) bool {
	if a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || a.IsInterfaceLocalMulticast() {
		return false
	}
	if a.Is4() {
		b := a.As4()
		switch {
		case b[0] == 0, b[0] >= 240: // "this network", reserved
			return false
		case b[0] == 100 && b[1]&0xc0 == 64: // shared by a provider's customers
			return false
		}
	}
	return true
}
