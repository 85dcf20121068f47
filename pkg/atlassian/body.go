package atlassian

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

var errTooLarge = errors.New("the body exceeds the limit")

// unzippers are readers of compressed bodies: a new one costs 40 KiB.
type unzippers struct{ pool sync.Pool }

// acceptGzip asks for a compressed answer. net/http would do so too, and unpack
// it; unpacking it here takes half of the time, which is a good part of a long
// history's.
func acceptGzip(req *http.Request) { req.Header.Set("Accept-Encoding", "gzip") }

// read reads the body of an answer, unpacked where it is compressed, of at most
// limit bytes; errTooLarge says that there are more. hint is how large it may be.
func (u *unzippers) read(resp *http.Response, limit int64, hint int) ([]byte, error) {
	from := io.Reader(resp.Body)
	switch n := resp.ContentLength; {
	case strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip"):
		z, ok := u.pool.Get().(*gzip.Reader)
		if !ok {
			z = new(gzip.Reader)
		}
		defer u.pool.Put(z)
		if err := z.Reset(resp.Body); errors.Is(err, io.EOF) {
			return nil, nil // there is no body
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
	return b.Bytes(), err
}
