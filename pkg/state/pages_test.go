package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"strings"
	"testing"
)

// forged is a bbolt file written page by page, so that each of its numbers can be
// a lie.
type forged struct {
	size  int // of a page
	pages [][]byte
}

// forge is a file of n pages of the smallest size: two metas, a list of free
// pages that is empty, a root with nothing in it, and free ones behind.
func forge(n int) *forged {
	f := &forged{size: minPage}
	for range n {
		f.pages = append(f.pages, make([]byte, minPage))
	}
	f.meta(0, 1, 3, 2, uint64(n))
	f.meta(1, 2, 3, 2, uint64(n))
	f.head(2, flagFreelist, 0)
	f.head(3, flagLeaf, 0)
	return f
}

func (f *forged) meta(page int, txid, root, freelist, pages uint64) {
	f.head(page, 0x04, 0)
	m := f.pages[page][pageHeader:]
	binary.LittleEndian.PutUint32(m, metaMagic)
	binary.LittleEndian.PutUint32(m[4:], metaVersion)
	binary.LittleEndian.PutUint32(m[8:], uint32(f.size))
	binary.LittleEndian.PutUint64(m[16:], root)
	binary.LittleEndian.PutUint64(m[32:], freelist)
	binary.LittleEndian.PutUint64(m[40:], pages)
	binary.LittleEndian.PutUint64(m[48:], txid)
	f.seal(page)
}

// seal makes a meta page's checksum right.
func (f *forged) seal(page int) {
	m := f.pages[page][pageHeader:]
	sum := fnv.New64a()
	_, _ = sum.Write(m[:56]) // a hash does not fail
	binary.LittleEndian.PutUint64(m[56:], sum.Sum64())
}

func (f *forged) head(page int, flags uint16, count int) {
	binary.LittleEndian.PutUint64(f.pages[page], uint64(page))
	binary.LittleEndian.PutUint16(f.pages[page][8:], flags)
	binary.LittleEndian.PutUint16(f.pages[page][10:], uint16(count))
}

// pair is an element: of a leaf with a value, of a branch with a child.
type pair struct {
	key, value string
	kind       uint32
	child      uint64
}

// fill writes elements, and behind them their keys and values.
func fill(b []byte, flags uint16, pairs ...pair) {
	binary.LittleEndian.PutUint16(b[8:], flags)
	binary.LittleEndian.PutUint16(b[10:], uint16(len(pairs)))
	at := pageHeader + len(pairs)*pageElement
	for i, p := range pairs {
		from := pageHeader + i*pageElement
		e := b[from:]
		if flags == flagLeaf {
			binary.LittleEndian.PutUint32(e, p.kind)
			binary.LittleEndian.PutUint32(e[4:], uint32(at-from))
			binary.LittleEndian.PutUint32(e[8:], uint32(len(p.key)))
			binary.LittleEndian.PutUint32(e[12:], uint32(len(p.value)))
		} else {
			binary.LittleEndian.PutUint32(e, uint32(at-from))
			binary.LittleEndian.PutUint32(e[4:], uint32(len(p.key)))
			binary.LittleEndian.PutUint64(e[8:], p.child)
		}
		at += copy(b[at:], p.key)
		at += copy(b[at:], p.value)
	}
}

func (f *forged) leaf(page int, pairs ...pair) {
	f.head(page, 0, 0)
	fill(f.pages[page], flagLeaf, pairs...)
}

func (f *forged) branch(page int, pairs ...pair) {
	f.head(page, 0, 0)
	fill(f.pages[page], flagBranch, pairs...)
}

func (f *forged) free(page int, numbers ...uint64) {
	f.head(page, flagFreelist, len(numbers))
	for i, n := range numbers {
		binary.LittleEndian.PutUint64(f.pages[page][pageHeader+8*i:], n)
	}
}

func (f *forged) check() error {
	b := bytes.Join(f.pages, nil)
	return checkTree(bytes.NewReader(b), int64(len(b)))
}

// bucketOf is the value of a bucket: a header, and the page of a small one.
func bucketOf(root uint64, page []byte) string {
	header := append(binary.LittleEndian.AppendUint64(nil, root), make([]byte, bucketHeader-8)...)
	return string(append(header, page...))
}

// small is the page of a small bucket.
func small(flags uint16, pairs ...pair) []byte {
	n := pageHeader + len(pairs)*pageElement
	for _, p := range pairs {
		n += len(p.key) + len(p.value)
	}
	b := make([]byte, n)
	fill(b, flags, pairs...)
	return b
}

// TestWhatTheNumbersOfAFileMean holds checkTree to the format, number by number:
// the largest that may be, and the smallest that may not.
func TestWhatTheNumbersOfAFileMean(t *testing.T) {
	t.Parallel()
	put16, put32, put64 := binary.LittleEndian.PutUint16, binary.LittleEndian.PutUint32, binary.LittleEndian.PutUint64
	chain := func(n int) *forged {
		f := forge(5 + n)
		for i := range n {
			f.branch(3+i, pair{key: "k", child: uint64(4 + i)})
		}
		f.leaf(3+n, pair{key: "k", value: "v"})
		return f
	}
	for name, row := range map[string]struct {
		forge func() *forged
		want  string // what the error says; empty is none
	}{
		"an empty root": {func() *forged { return forge(4) }, ""},
		"fewer pages than there must be": {func() *forged {
			f := forge(4)
			f.meta(0, 1, 3, 2, 3)
			f.meta(1, 2, 3, 2, 3)
			return f
		}, "cut short"},
		"more pages than the file has": {func() *forged {
			f := forge(4)
			f.meta(1, 2, 3, 2, 5)
			return f
		}, "cut short"},
		"a newer meta with a wrong checksum leaves the older one": {func() *forged {
			f := forge(4)
			f.meta(1, 2, 99, 2, 4)
			f.pages[1][pageHeader+56]++
			return f
		}, ""},
		"an older meta says nothing": {func() *forged {
			f := forge(4)
			f.meta(0, 3, 3, 2, 4)
			f.meta(1, 2, 99, 2, 4)
			return f
		}, ""},
		"of two metas of the same age the second counts": {func() *forged {
			f := forge(4)
			f.meta(1, 1, 99, 2, 4)
			return f
		}, "no page 99"},
		"the second meta is found without the first": {func() *forged {
			f := forge(4)
			clear(f.pages[0])
			return f
		}, ""},
		"both metas are gone": {func() *forged {
			f := forge(4)
			clear(f.pages[0])
			clear(f.pages[1])
			return f
		}, "does not begin like a state"},
		"another magic number": {func() *forged {
			f := forge(4)
			for i := range 2 {
				put32(f.pages[i][pageHeader:], metaMagic+1)
				f.seal(i)
			}
			return f
		}, "does not begin like a state"},
		"another version": {func() *forged {
			f := forge(4)
			for i := range 2 {
				put32(f.pages[i][pageHeader+4:], metaVersion+1)
				f.seal(i)
			}
			return f
		}, "does not begin like a state"},
		"pages smaller than any": {func() *forged {
			f := forge(4)
			for i := range 2 {
				put32(f.pages[i][pageHeader+8:], minPage-1)
				f.seal(i)
			}
			return f
		}, "does not begin like a state"},
		"pages larger than any": {func() *forged {
			f := forge(4)
			for i := range 2 {
				put32(f.pages[i][pageHeader+8:], maxPage+1)
				f.seal(i)
			}
			return f
		}, "does not begin like a state"},
		"a root that is the first page behind the last": {func() *forged {
			f := forge(4)
			f.meta(1, 2, 4, 2, 4)
			return f
		}, "no page 4"},
		"a root that is a meta": {func() *forged {
			f := forge(4)
			f.meta(1, 2, 1, 2, 4)
			return f
		}, "used twice"},
		"a page with another's number": {func() *forged {
			f := forge(5)
			put64(f.pages[3], 4)
			return f
		}, "page 3 is another one"},
		"a page that takes all that is left": {func() *forged {
			f := forge(5)
			put32(f.pages[3][12:], 1)
			return f
		}, ""},
		"a page that takes one more": {func() *forged {
			f := forge(5)
			put32(f.pages[3][12:], 2)
			return f
		}, "page 3 is another one"},
		"a value that goes over into the next page": {func() *forged {
			f := forge(5)
			both := make([]byte, 2*minPage)
			fill(both, flagLeaf, pair{key: "k", value: strings.Repeat("v", minPage)})
			put64(both, 3)
			put32(both[12:], 1)
			copy(f.pages[3], both)
			copy(f.pages[4], both[minPage:])
			return f
		}, ""},
		"a branch of nothing": {func() *forged {
			f := forge(4)
			f.head(3, flagBranch, 0)
			return f
		}, "no known kind"},
		"a page that is branch and leaf": {func() *forged {
			f := forge(4)
			f.head(3, flagBranch|flagLeaf, 0)
			return f
		}, "no known kind"},
		"as many elements as fit":    {func() *forged { f := forge(4); f.leaf(3, many(40)...); return f }, ""},
		"elements that just fill it": {func() *forged { f := forge(4); f.head(3, flagLeaf, (minPage-pageHeader)/pageElement); return f }, "a key lies outside"},
		"one element more than fits": {func() *forged { f := forge(4); f.head(3, flagLeaf, (minPage-pageHeader)/pageElement+1); return f }, "cut short"},
		"a key of nothing":           {func() *forged { f := forge(4); f.leaf(3, pair{value: "v"}); return f }, "a key lies outside"},
		"a value of nothing":         {func() *forged { f := forge(4); f.leaf(3, pair{key: "k"}); return f }, ""},
		"a value to the page's end": {func() *forged {
			f := forge(4)
			f.leaf(3, pair{key: "k", value: strings.Repeat("v", minPage-pageHeader-pageElement-1)})
			return f
		}, ""},
		"a value one byte beyond": {func() *forged {
			f := forge(4)
			f.leaf(3, pair{key: "k", value: strings.Repeat("v", minPage-pageHeader-pageElement-1)})
			put32(f.pages[3][pageHeader+12:], minPage-pageHeader-pageElement)
			return f
		}, "a key lies outside"},
		"a key among the elements": {func() *forged {
			f := forge(4)
			f.leaf(3, pair{key: "a"}, pair{key: "b"})
			put32(f.pages[3][pageHeader+pageElement+4:], pageElement-1)
			return f
		}, "a key lies outside"},
		"the same key twice":      {func() *forged { f := forge(4); f.leaf(3, pair{key: "a"}, pair{key: "a"}); return f }, "out of order"},
		"keys that go down":       {func() *forged { f := forge(4); f.leaf(3, pair{key: "a"}, pair{key: "c"}, pair{key: "b"}); return f }, "out of order"},
		"an element of some kind": {func() *forged { f := forge(4); f.leaf(3, pair{key: "a", kind: 2}); return f }, "no known kind"},
		"a bad element behind good ones": {func() *forged {
			f := forge(4)
			f.leaf(3, pair{key: "a"}, pair{key: "b", kind: 2}, pair{key: "c"})
			return f
		}, "no known kind"},
		"keys below a branch within their bounds": {func() *forged {
			f := forge(7)
			f.branch(3, pair{key: "b", child: 4}, pair{key: "d", child: 5})
			f.leaf(4, pair{key: "b"}, pair{key: "c"})
			f.leaf(5, pair{key: "d"}, pair{key: "z"})
			return f
		}, ""},
		"a key below the branch's": {func() *forged {
			f := forge(7)
			f.branch(3, pair{key: "b", child: 4}, pair{key: "d", child: 5})
			f.leaf(4, pair{key: "a"})
			f.leaf(5, pair{key: "d"})
			return f
		}, "out of order"},
		"a key that belongs to the next page": {func() *forged {
			f := forge(7)
			f.branch(3, pair{key: "b", child: 4}, pair{key: "d", child: 5})
			f.leaf(4, pair{key: "b"}, pair{key: "d"})
			f.leaf(5, pair{key: "e"})
			return f
		}, "out of order"},
		"one page below two keys": {func() *forged {
			f := forge(7)
			f.branch(3, pair{key: "b", child: 4}, pair{key: "d", child: 4})
			f.leaf(4, pair{key: "b"})
			return f
		}, "used twice"},
		"as deep as may be":    {func() *forged { return chain(maxDepth) }, ""},
		"deeper than any tree": {func() *forged { return chain(maxDepth + 1) }, "never end"},
		"a bucket with a page": {func() *forged {
			f := forge(5)
			f.leaf(3, pair{key: "b", kind: flagBucket, value: bucketOf(4, nil)})
			f.leaf(4, pair{key: "k"})
			return f
		}, ""},
		"a bucket that is itself": {func() *forged {
			f := forge(5)
			f.leaf(3, pair{key: "b", kind: flagBucket, value: bucketOf(3, nil)})
			return f
		}, "used twice"},
		"a small bucket": {func() *forged {
			f := forge(4)
			f.leaf(3, pair{key: "b", kind: flagBucket, value: bucketOf(0, small(flagLeaf, pair{key: "k", value: "v"}))})
			return f
		}, ""},
		"a small bucket of nothing": {func() *forged {
			f := forge(4)
			f.leaf(3, pair{key: "b", kind: flagBucket, value: bucketOf(0, small(flagLeaf))})
			return f
		}, ""},
		"a small bucket with a bad page": {func() *forged {
			f := forge(4)
			f.leaf(3, pair{key: "b", kind: flagBucket, value: bucketOf(0, small(flagLeaf, pair{key: "b"}, pair{key: "a"}))})
			return f
		}, "out of order"},
		"a small bucket that is a branch": {func() *forged {
			f := forge(4)
			f.leaf(3, pair{key: "b", kind: flagBucket, value: bucketOf(0, small(flagBranch, pair{key: "k", child: 3}))})
			return f
		}, "cut short"},
		"a bucket without its header": {func() *forged {
			f := forge(4)
			f.leaf(3, pair{key: "b", kind: flagBucket, value: bucketOf(0, nil)[1:]})
			return f
		}, "cut short"},
		"a small bucket without a page": {func() *forged {
			f := forge(4)
			f.leaf(3, pair{key: "b", kind: flagBucket, value: bucketOf(0, small(flagLeaf)[1:])})
			return f
		}, "cut short"},
		"no list of free pages":              {func() *forged { f := forge(4); f.head(2, flagLeaf, 0); return f }, "no list of free pages"},
		"free pages":                         {func() *forged { f := forge(7); f.free(2, 4, 5, 6); return f }, ""},
		"the first page is said to be free":  {func() *forged { f := forge(7); f.free(2, 1); return f }, "page 1 is said to be free"},
		"the list itself is said to be free": {func() *forged { f := forge(7); f.free(2, 2); return f }, "page 2 is said to be free"},
		"a free page behind the last":        {func() *forged { f := forge(7); f.free(2, 4, 7); return f }, "page 7 is said to be free"},
		"a free page that is named twice":    {func() *forged { f := forge(7); f.free(2, 4, 4); return f }, "page 4 is said to be free"},
		"free pages that go down":            {func() *forged { f := forge(7); f.free(2, 5, 4); return f }, "page 4 is said to be free"},
		"a list that just fills its page": {func() *forged {
			n := (minPage - pageHeader) / 8
			f := forge(4 + n)
			f.free(2, upFrom(4, n)...)
			return f
		}, ""},
		"a list of one more than fits": {func() *forged {
			n := (minPage - pageHeader) / 8
			f := forge(4 + n)
			f.free(2, upFrom(4, n)...)
			put16(f.pages[2][10:], uint16(n+1))
			return f
		}, "cut short"},
		"a long list, whose count is its first number": {func() *forged {
			n := (minPage-pageHeader)/8 - 1
			f := forge(4 + n)
			f.free(2, append([]uint64{uint64(n)}, upFrom(4, n)...)...)
			put16(f.pages[2][10:], 0xFFFF)
			return f
		}, ""},
		"a long list of one more than fits": {func() *forged {
			n := (minPage-pageHeader)/8 - 1
			f := forge(4 + n)
			f.free(2, append([]uint64{uint64(n + 1)}, upFrom(4, n)...)...)
			put16(f.pages[2][10:], 0xFFFF)
			return f
		}, "cut short"},
		"a list behind the last page": {func() *forged { f := forge(4); f.meta(1, 2, 3, 4, 4); return f }, "no page 4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := row.forge().check()
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("error %v, want %q", err, row.want)
			}
		})
	}
}

func many(n int) []pair {
	var out []pair
	for i := range n {
		out = append(out, pair{key: string(rune('0' + i))})
	}
	return out
}

func upFrom(first uint64, n int) []uint64 {
	var out []uint64
	for i := range n {
		out = append(out, first+uint64(i))
	}
	return out
}

// TestADiskThatCannotBeReadIsNoTree: any of the reads may fail.
func TestADiskThatCannotBeReadIsNoTree(t *testing.T) {
	t.Parallel()
	f := forge(7)
	both := make([]byte, 2*minPage)
	fill(both, flagLeaf, pair{key: "k", value: strings.Repeat("v", minPage)})
	binary.LittleEndian.PutUint64(both, 3)
	binary.LittleEndian.PutUint32(both[12:], 1)
	copy(f.pages[3], both)
	copy(f.pages[4], both[minPage:])
	b := bytes.Join(f.pages, nil)
	reads := &failing{ReaderAt: bytes.NewReader(b), at: -1}
	if err := checkTree(reads, int64(len(b))); err != nil {
		t.Fatal(err)
	}
	all := reads.n
	if all < 5 {
		t.Fatalf("%d reads", all)
	}
	for n := range all {
		err := checkTree(&failing{ReaderAt: bytes.NewReader(b), at: n}, int64(len(b)))
		// One of the metas is enough.
		if meta := n < 2; meta != (err == nil) || !meta && !errors.Is(err, errFailing) {
			t.Errorf("read %d fails: %v", n, err)
		}
	}
}

var errFailing = errors.New("the disk fails")

// failing fails its read number at.
type failing struct {
	ReaderAt *bytes.Reader
	n, at    int
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	f.n++
	if f.n-1 == f.at {
		return 0, errFailing
	}
	return f.ReaderAt.ReadAt(p, off)
}
