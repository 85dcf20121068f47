package atlassian

import (
	"bufio"
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

// packedSize is how much of a compressed body is taken at once: the whole of a
// page as a rule. HTTP/2 tells the other side of each piece that was taken, so
// that small ones cost both sides more than their unpacking.
const packedSize = 64 << 10

// unzippers are unzippers that have been used: a new one costs 100 KiB.
type unzippers struct{ pool sync.Pool }

// unzipper reads compressed bodies, one after the other.
type unzipper struct {
	gzip.Reader
	packed *bufio.Reader
}

func (u *unzippers) get() *unzipper {
	if z, ok := u.pool.Get().(*unzipper); ok {
		return z
	}
	return &unzipper{packed: bufio.NewReaderSize(nil, packedSize)}
}

func (u *unzippers) put(z *unzipper) {
	z.packed.Reset(nil) // or it would keep the answer
	u.pool.Put(z)
}

// acceptGzip asks for a compressed answer. net/http would do so too, and unpack
// it; unpacking it here takes half of the time, which is a good part of a long
// history's.
func acceptGzip(req *http.Request) { req.Header.Set("Accept-Encoding", "gzip") }

// read reads the body of an answer, unpacked where it is compressed, of at most
// limit bytes; errTooLarge says that there are more. hint is about how large it is,
// or 0.
func (u *unzippers) read(resp *http.Response, limit int64, hint int) ([]byte, error) {
	from := io.Reader(resp.Body)
	hint += hint / 16 // a little more is no reason to move what has been read
	switch n := resp.ContentLength; {
	case strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip"):
		z := u.get()
		defer u.put(z)
		z.packed.Reset(resp.Body)
		if err := z.Reset(z.packed); errors.Is(err, io.EOF) {
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
