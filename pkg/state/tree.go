package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// bbolt trusts the pages of its file: a page that refers to itself sends it
// into an endless recursion, which no Go program survives, and a list of free
// pages that names one in use makes it overwrite what is kept. So the file is
// read once by its format before bbolt sees it. The format is that of
// github.com/etcd-io/bbolt, internal/common, version 2, in the byte order of
// every platform that this program is built for.
const (
	pageHeader   = 16 // id 8, flags 2, count 2, overflow 4
	pageElement  = 16
	bucketHeader = 16 // root page 8, sequence 8
	metaLength   = 64
	metaMagic    = 0xED0CDAED
	metaVersion  = 2

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10
	flagBucket   = 0x01 // of an element in a leaf

	minPage = 1 << 10
	maxPage = 1 << 24
	// maxDepth is far beyond what a tree of 16-bit page counts can reach.
	maxDepth = 64
)

var (
	errShort = errors.New("the file is cut short")
	errOrder = errors.New("its keys are out of order")
	errKind  = errors.New("it is of no known kind")
)

// tree is a bbolt file as its bytes tell it.
type tree struct {
	r        io.ReaderAt
	pageSize int64
	pages    uint64 // number of pages in use or free
	used     []bool
}

// checkTree says what is wrong with the pages of a bbolt file of size bytes:
// nil when each is where it belongs, refers to pages of its own, and holds its
// keys in order. What the keys and values mean it does not know.
func checkTree(r io.ReaderAt, size int64) error {
	t := tree{r: r}
	root, freelist, err := t.readMeta(size)
	if err != nil {
		return err
	}
	t.used = make([]bool, t.pages)
	t.used[0], t.used[1] = true, true
	if err := t.page(root, nil, nil, 0); err != nil {
		return err
	}
	return t.freelist(freelist)
}

// readMeta finds the newest of the two meta pages that is whole. Like bbolt, it
// takes the older one where the newer was cut off while it was written.
func (t *tree) readMeta(size int64) (root, freelist uint64, err error) {
	var newest uint64
	found := false
	try := func(at int64) {
		var b [pageHeader + metaLength]byte
		if _, err := t.r.ReadAt(b[:], at); err != nil {
			return
		}
		m := b[pageHeader:]
		sum := fnv.New64a()
		_, _ = sum.Write(m[:56]) // a hash does not fail
		pageSize := int64(binary.LittleEndian.Uint32(m[8:]))
		txid := binary.LittleEndian.Uint64(m[48:])
		if binary.LittleEndian.Uint32(m) != metaMagic || binary.LittleEndian.Uint32(m[4:]) != metaVersion ||
			binary.LittleEndian.Uint64(m[56:]) != sum.Sum64() ||
			pageSize < minPage || pageSize > maxPage || at != 0 && at != pageSize || found && txid < newest {
			return
		}
		found, newest, t.pageSize = true, txid, pageSize
		root, freelist = binary.LittleEndian.Uint64(m[16:]), binary.LittleEndian.Uint64(m[32:])
		t.pages = binary.LittleEndian.Uint64(m[40:])
	}
	try(0)
	if found {
		try(t.pageSize)
	}
	for at := int64(minPage); at <= maxPage && !found; at *= 2 {
		try(at)
	}
	switch {
	case !found:
		return 0, 0, errors.New("the file does not begin like a state")
	case t.pages < 4 || t.pages > uint64(size/t.pageSize):
		return 0, 0, errShort
	}
	return root, freelist, nil
}

// read reads page id with what overflows from it, and marks its pages used.
func (t *tree) read(id uint64) ([]byte, error) {
	if id >= t.pages {
		return nil, fmt.Errorf("there is no page %d", id)
	}
	b := make([]byte, t.pageSize)
	if _, err := t.r.ReadAt(b, int64(id)*t.pageSize); err != nil {
		return nil, fmt.Errorf("read page %d: %w", id, err)
	}
	n := uint64(binary.LittleEndian.Uint32(b[12:])) + 1
	if binary.LittleEndian.Uint64(b) != id || n > t.pages-id {
		return nil, fmt.Errorf("page %d is another one", id)
	}
	for i := id; i < id+n; i++ {
		if t.used[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		t.used[i] = true
	}
	if n > 1 {
		b = make([]byte, n*uint64(t.pageSize))
		if _, err := t.r.ReadAt(b, int64(id)*t.pageSize); err != nil {
			return nil, fmt.Errorf("read page %d: %w", id, err)
		}
	}
	return b, nil
}

// page checks page id and all below it, whose keys must lie in [low, high).
func (t *tree) page(id uint64, low, high []byte, depth int) error {
	if depth > maxDepth {
		return errors.New("the pages never end")
	}
	b, err := t.read(id)
	if err != nil {
		return err
	}
	if err := t.elements(b, low, high, depth); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// elements checks a page's elements and the pages below them.
func (t *tree) elements(b, low, high []byte, depth int) error {
	flags, count := binary.LittleEndian.Uint16(b[8:]), int(binary.LittleEndian.Uint16(b[10:]))
	if flags != flagBranch && flags != flagLeaf || flags == flagBranch && count == 0 {
		return errKind
	}
	if len(b) < pageHeader+count*pageElement {
		return errShort
	}
	key, value, err := element(b, flags, count, 0)
	for i := range count {
		if err != nil {
			return err
		}
		if i == 0 && bytes.Compare(key, low) < 0 || high != nil && bytes.Compare(key, high) >= 0 {
			return errOrder
		}
		thisKey, thisValue, end := key, value, high
		if i+1 < count {
			if key, value, err = element(b, flags, count, i+1); err != nil {
				return err
			}
			if bytes.Compare(thisKey, key) >= 0 {
				return errOrder
			}
			end = key
		}
		e := b[pageHeader+i*pageElement:]
		switch kind := binary.LittleEndian.Uint32(e); {
		case flags == flagBranch:
			err = t.page(binary.LittleEndian.Uint64(e[8:]), thisKey, end, depth+1)
		case kind == flagBucket:
			err = t.bucket(thisValue, depth+1)
		case kind != 0:
			err = errKind
		}
	}
	return err
}

// element is the i-th element of a page: its key and, in a leaf, its value.
func element(b []byte, flags uint16, count, i int) (key, value []byte, err error) {
	if i >= count {
		return nil, nil, nil
	}
	from := pageHeader + i*pageElement
	e := b[from : from+pageElement]
	var pos, keyLength, valueLength uint64
	if flags == flagLeaf {
		pos = uint64(binary.LittleEndian.Uint32(e[4:]))
		keyLength, valueLength = uint64(binary.LittleEndian.Uint32(e[8:])), uint64(binary.LittleEndian.Uint32(e[12:]))
	} else {
		pos, keyLength = uint64(binary.LittleEndian.Uint32(e)), uint64(binary.LittleEndian.Uint32(e[4:]))
	}
	at := uint64(from) + pos
	end := at + keyLength + valueLength
	if at < uint64(pageHeader+count*pageElement) || end > uint64(len(b)) || keyLength == 0 {
		return nil, nil, errors.New("a key lies outside of it")
	}
	return b[at : at+keyLength], b[at+keyLength : end], nil
}

// bucket checks a bucket by its value: a root page's number or, for a small
// one, the page itself.
func (t *tree) bucket(v []byte, depth int) error {
	if len(v) < bucketHeader {
		return errShort
	}
	if root := binary.LittleEndian.Uint64(v); root != 0 {
		return t.page(root, nil, nil, depth)
	}
	v = v[bucketHeader:]
	if len(v) < pageHeader || binary.LittleEndian.Uint16(v[8:]) != flagLeaf {
		return errShort
	}
	return t.elements(v, nil, nil, depth)
}

// freelist checks the list of free pages: ascending, and none of them in use.
func (t *tree) freelist(id uint64) error {
	b, err := t.read(id)
	if err != nil {
		return err
	}
	if binary.LittleEndian.Uint16(b[8:]) != flagFreelist {
		return fmt.Errorf("page %d is no list of free pages", id)
	}
	count, at := uint64(binary.LittleEndian.Uint16(b[10:])), pageHeader
	if count == 0xFFFF {
		// The count does not fit its field: it is the list's first number.
		count, at = binary.LittleEndian.Uint64(b[at:]), at+8
	}
	if count > uint64(len(b)-at)/8 {
		return fmt.Errorf("the list of free pages: %w", errShort)
	}
	last := uint64(1)
	for range count {
		free := binary.LittleEndian.Uint64(b[at:])
		if free <= last || free >= t.pages || t.used[free] {
			return fmt.Errorf("page %d is said to be free", free)
		}
		last, at = free, at+8
	}
	return nil
}
