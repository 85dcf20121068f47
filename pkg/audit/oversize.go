package audit

import (
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// How a line is reduced: the bytes that the fields of the record may take are
// shared out among them so that everything below a common level stays whole
// and only what is larger is cut down to it: strings at a character, objects
// and arrays part by part by the same rule. Where there are so many parts that
// the level would be too low for any of them to be worth reading, the first ones
// are kept and the rest is left out, which is how a long array is shortened.
const (
	// minShare is the level below which parts are left out instead, bytes.
	minShare = 256
	// wholeElements is how many elements an array must hold at least before
	// its end is left out rather than every element cut.
	wholeElements = 16
	// minRoom is the room below which a cut value would say nothing, bytes.
	minRoom = 32
	// reduceDepth is how deep a value is cut into; below it an array or object
	// that does not fit is emptied. It bounds the work for hostile nesting.
	reduceDepth = 32
	// maxPaths and truncatedRoom bound what atlassian.truncated takes.
	maxPaths      = 64
	truncatedRoom = 16 << 10
	// maxName is how much of a field's name a path shows, bytes.
	maxName = 64
	// more stands in atlassian.truncated for what it has no room for.
	more = "…"
)

// appendReduced appends the line of r cut down to limit bytes and returns what was
// cut. value is the record as one JSON value where it is not an object.
func (l *Liner) appendReduced(dst []byte, r Record, facts *tokens, value, recordID []byte, late bool, limit int) (line []byte, truncated []string) {
	ours := len(l.appendOurs([]byte{'{'}, r, facts, recordID, late))
	budget := limit - ours - truncatedRoom - len(`,,"truncated":[],"record":{},"value":}}`) - len("\n")

	var cut cuts
	var theirs []byte
	dst = append(dst, '{')
	if value != nil {
		dst = l.appendOurs(dst, r, facts, recordID, late)
		cut.root = "atlassian.value"
		theirs = cut.appendValue(append(theirs, `,"value":`...), value, max(budget, minRoom), cut.root, 0)
	} else {
		top, moved, all := partsOfRecord(appendCompact(nil, r.Raw), late, l.o.Stream.Product, budget)
		shares := share(append(slices.Clone(top), moved...), budget, false)
		dst = cut.appendParts(dst, top, shares[:len(top)], "", 0)
		dst = l.appendOurs(dst, r, facts, recordID, late)
		if len(moved) > 0 {
			theirs = cut.appendParts(append(theirs, `,"record":{`...), moved, shares[len(top):], "atlassian.record", 0)
			theirs = append(theirs, '}')
		}
		if !all {
			cut.root = more
			cut.mark(more)
		}
	}
	truncated = cut.paths()
	dst = append(dst, `,"truncated":[`...)
	for i, p := range truncated {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendEscaped(append(dst, '"'), p), '"')
	}
	dst = append(append(dst, ']'), theirs...)
	return append(dst, "}}\n"...), truncated
}

// part is a field of an object, or an element of an array; compact JSON.
type part struct {
	key   []byte // with its quotes; nil for an element
	value []byte
}

// overhead is what the part takes besides its value: name, colon and comma.
func (p part) overhead() int {
	if p.key == nil {
		return 1
	}
	return len(p.key) + 2
}

// least is what the part takes at least if it is not left out.
func (p part) least() int { return p.overhead() + min(len(p.value), minRoom) }

// partsOfRecord lists the fields of the record src by where they stand, as
// many as can fit into budget; all is false when there are more.
func partsOfRecord(src []byte, late bool, p Product, budget int) (top, moved []part, all bool) {
	total := budget
	drop := ""
	if late {
		drop = dateField(p)
	}
	eachField(src, func(f span, _ bool) {
		x := part{key: src[f.key:f.keyEnd], value: src[f.value:f.valueEnd]}
		h := homeOf(x.key, drop)
		if h == homeNowhere {
			return
		}
		if x.least() <= total { // what cannot be there at all takes no room
			budget -= x.least()
		}
		if budget < 0 {
			return
		}
		if h == homeRecord {
			moved = append(moved, x)
		} else {
			top = append(top, x)
		}
	})
	return top, moved, budget >= 0
}

// partsOf lists what the object or array v is made of, as much as can fit into
// budget; all is false when there is more.
func partsOf(v []byte, budget int) (parts []part, all bool) {
	total := budget
	add := func(x part) {
		if x.least() <= total {
			budget -= x.least()
		}
		if budget >= 0 {
			parts = append(parts, x)
		}
	}
	if v[0] == '{' {
		eachField(v, func(f span, _ bool) {
			add(part{key: v[f.key:f.keyEnd], value: v[f.value:f.valueEnd]})
		})
	} else {
		eachElement(v, func(start, end int) { add(part{value: v[start:end]}) })
	}
	return parts, budget >= 0
}

// share says how many bytes each part's value may take so that all together
// fit into budget; -1 leaves the part out. Of an array nothing follows an
// element that is left out.
func share(parts []part, budget int, array bool) []int {
	low := minShare
	if array {
		low = max(low, budget/wholeElements)
	}
	shares := make([]int, len(parts))
	var sizes []int // of what can be there at all
	room := budget
	for i, p := range parts {
		if p.least() > budget {
			shares[i] = -1
			continue
		}
		room -= p.overhead()
		sizes = append(sizes, len(p.value))
	}
	if level := waterLevel(sizes, room); level >= low {
		for i, p := range parts {
			if shares[i] == 0 {
				shares[i] = min(len(p.value), level)
			}
		}
		return shares
	}
	room = budget
	full := false
	for i, p := range parts {
		n := min(len(p.value), low)
		left := room - p.overhead()
		if full || left < min(n, minRoom) || array && left < n {
			shares[i] = -1
			full = array
			continue
		}
		shares[i] = min(n, left)
		room = left - shares[i]
	}
	return shares
}

// waterLevel is the largest level for which the sizes, each cut down to it,
// fit into room together.
func waterLevel(sizes []int, room int) int {
	sorted := slices.Clone(sizes)
	slices.Sort(sorted)
	for i, n := range sorted {
		left := len(sorted) - i
		if n > room/left {
			return room / left
		}
		room -= n
	}
	return math.MaxInt
}

// cuts writes values within their shares and remembers what it cut.
type cuts struct {
	full  pathList // the exact paths
	roots pathList // the fields of the record that they lie in
	root  string   // the field that is being written
}

// appendParts appends the parts of the object or array at path, each within
// its share. Elements that are left out are the array's loss, fields their own.
func (c *cuts) appendParts(dst []byte, parts []part, shares []int, path string, depth int) []byte {
	first := true
	for i, p := range parts {
		whole := len(p.value) <= shares[i]
		at := path
		if !whole && (p.key != nil || shares[i] >= 0) {
			at = p.path(path, i)
		}
		if depth == 0 && !whole {
			c.root = at
		}
		if shares[i] < 0 {
			c.mark(at)
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if p.key != nil {
			dst = append(append(dst, p.key...), ':')
		}
		dst = c.appendValue(dst, p.value, shares[i], at, depth)
	}
	return dst
}

// path is the path of the part that stands at index i of what is at parent.
func (p part) path(parent string, i int) string {
	switch {
	case p.key == nil:
		return parent + "[" + strconv.Itoa(i) + "]"
	case parent == "":
		return pathName(p.key)
	}
	return parent + "." + pathName(p.key)
}

// appendValue appends v in at most n bytes; n is at least minRoom or len(v).
func (c *cuts) appendValue(dst, v []byte, n int, path string, depth int) []byte {
	if len(v) <= n {
		return append(dst, v...)
	}
	switch v[0] {
	case '"':
		c.mark(path)
		return append(append(dst, v[:stringCut(v, n-1)]...), '"')
	case '{', '[':
		dst = append(dst, v[0])
		all := false
		if depth < reduceDepth {
			var parts []part
			parts, all = partsOf(v, n-2)
			shares := share(parts, n-2, v[0] == '[')
			dst = c.appendParts(dst, parts, shares, path, depth+1)
		}
		if !all {
			c.mark(path)
		}
		return append(dst, v[0]+2) // in ASCII the closing one follows by two
	}
	// A number of hundreds of digits: its beginning, as a string, so that
	// nobody takes it for the number.
	c.mark(path)
	return append(append(append(dst, '"'), v[:n-2]...), '"')
}

// stringCut is the largest position up to n at which the JSON string v, which
// begins with a quote, can end: not within a character or an escape sequence.
func stringCut(v []byte, n int) int {
	i := 1
	for i < n {
		size := 1
		switch {
		case v[i] == '\\':
			size = escapeLen(v[i:])
			if isHighSurrogate(v[i:]) && isLowSurrogate(v[i+size:]) {
				size += 6
			}
		case v[i] >= utf8.RuneSelf:
			_, size = utf8.DecodeRune(v[i:])
		}
		if i+size > n {
			break
		}
		i += size
	}
	return i
}

func isHighSurrogate(b []byte) bool { return isSurrogate(b, "89abAB") }
func isLowSurrogate(b []byte) bool  { return isSurrogate(b, "cdefCDEF") }

// isSurrogate reports whether b begins with an escape from \ud800 to \udfff
// whose third digit is one of those.
func isSurrogate(b []byte, third string) bool {
	return escapeLen(b) == 6 && b[0] == '\\' && (b[2] == 'd' || b[2] == 'D') &&
		slices.Contains([]byte(third), b[3])
}

func (c *cuts) mark(path string) {
	c.full.add(path)
	c.roots.add(c.root)
}

// paths is what was cut: the exact paths when they are few, else the fields
// of the record that they lie in.
func (c *cuts) paths() []string {
	if !c.full.over {
		return c.full.paths
	}
	if c.roots.over {
		return append(c.roots.paths, more)
	}
	return c.roots.paths
}

// pathList is a bounded list without repetitions.
type pathList struct {
	paths []string
	size  int
	over  bool // something did not fit
}

func (l *pathList) add(p string) {
	if l.over || slices.Contains(l.paths, p) {
		return
	}
	// 6 bytes is the longest that escaping makes of one.
	if len(l.paths) == maxPaths || l.size+6*len(p)+3 > truncatedRoom-64 {
		l.over = true
		return
	}
	l.paths = append(l.paths, p)
	l.size += 6*len(p) + 3
}

// pathName is a field's name as a path shows it.
func pathName(key []byte) string {
	name := decodeString(key)
	if len(name) <= maxName {
		return string(name)
	}
	n := maxName
	for n > 0 && !utf8.RuneStart(name[n]) {
		n--
	}
	return string(name[:n]) + more
}
