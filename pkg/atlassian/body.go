package atlassian

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

var errTooLarge = errors.New("the body exceeds the limit")

// packedSize is how much of a compressed body is taken at once: the whole of a
// page as a rule. HTTP/2 tells the other side of each piece that was taken, so
// that small ones cost both sides more than their unpacking.
const packedSize = 64 << 10

// unzippers are unzippers that have been used: a new one costs 100 KiB.
type unzippers struct{ pool sync.Pool }

// unzipper unpacks compressed bodies, one after the other, each when all of it is
// here: byte by byte out of a stream it takes a quarter longer, and what comes
// over a network is slower than either.
type unzipper struct {
	gzip.Reader
	packed []byte
	from   bytes.Reader
}

func (u *unzippers) get() *unzipper {
	if z, ok := u.pool.Get().(*unzipper); ok {
		return z
	}
	return &unzipper{packed: make([]byte, 0, packedSize)}
}

func (u *unzippers) put(z *unzipper) {
	if cap(z.packed) <= 16*packedSize {
		u.pool.Put(z)
	}
}

// take takes all of a compressed body, of at most limit bytes. After an error what
// came before it can be unpacked.
func (z *unzipper) take(body io.Reader, limit int64) error {
	z.packed = z.packed[:0]
	defer func() { z.from.Reset(z.packed) }()
	for {
		if len(z.packed) == cap(z.packed) {
			z.packed = slices.Grow(z.packed, packedSize)
		}
		n, err := body.Read(z.packed[len(z.packed):cap(z.packed)])
		z.packed = z.packed[:len(z.packed)+n]
		switch {
		case int64(len(z.packed)) > limit:
			return errTooLarge
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// acceptGzip asks for a compressed answer. net/http would do so too, and unpack
// it; unpacking it here takes half of the time, which is a good part of a long
// history's.
func acceptGzip(req *http.Request) { req.Header.Set("Accept-Encoding", "gzip") }

// read reads the body of an answer, unpacked where it is compressed, of at most
// limit bytes; errTooLarge says that there are more. hint is about how large it is,
// or 0.
func (u *unzippers) read(resp *http.Response, limit int64, hint int) ([]byte, error) {
	from, cut := io.Reader(resp.Body), error(nil)
	hint += hint / 16 // a little more is no reason to move what has been read
	switch n := resp.ContentLength; {
	case strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip"):
		z := u.get()
		defer u.put(z)
		cut = z.take(resp.Body, limit)
		if err := z.Reset(&z.from); errors.Is(err, io.EOF) || err != nil && cut != nil {
			return nil, cut // there is no body
		} else if err != nil {
			return nil, fmt.Errorf("unpack the body: %w", err)
		}
		from = z
	case n > limit:
		return nil, errTooLarge
	case n > 0:
		hint = int(n)
	}
	var b bytes.Buffer
	// bytes.Buffer wants room for one more read to see the end.
	b.Grow(min(max(hint, 0), int(limit)) + bytes.MinRead)
	_, err := b.ReadFrom(io.LimitReader(from, limit+1))
	if err == nil && int64(b.Len()) > limit {
		return b.Bytes()[:limit], errTooLarge
	}
	return b.Bytes(), cmp.Or(cut, err)
}
