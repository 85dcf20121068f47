package atlassian

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

func packed(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestBodiesAreReadAsTheyWereSent(t *testing.T) {
	t.Parallel()
	const limit = 1000
	long := packed(t, strings.Repeat("x", 5000))
	whole := packed(t, "hello")
	wrongSum := []byte(whole)
	wrongSum[len(wrongSum)-8] ^= 1
	var u unzippers
	for _, tc := range []struct {
		name, encoding, body string
		want                 string
		fails                bool
		tooLarge             bool
	}{
		{name: "plain", body: "hello", want: "hello"},
		{name: "plain and empty"},
		{name: "plain, as long as may be", body: strings.Repeat("x", limit), want: strings.Repeat("x", limit)},
		{name: "plain and too long", body: strings.Repeat("x", limit+1), tooLarge: true},
		{name: "compressed", encoding: "gzip", body: whole, want: "hello"},
		{name: "compressed, in capitals", encoding: "GZIP", body: whole, want: "hello"},
		{name: "compressed in two pieces", encoding: "gzip", body: whole + packed(t, " again"), want: "hello again"},
		{name: "compressed, too long once unpacked", encoding: "gzip", body: long, tooLarge: true},
		{name: "compressed and cut off", encoding: "gzip", body: whole[:len(whole)-3], fails: true},
		{name: "compressed, with a wrong checksum", encoding: "gzip", body: string(wrongSum), fails: true},
		{name: "said to be compressed, and plain", encoding: "gzip", body: "hello, world, hello", fails: true},
		{name: "said to be compressed, and empty", encoding: "gzip"},
	} {
		t.Run(tc.name, func(t *testing.T) { // one after the other: a reader is used again
			resp := &http.Response{Header: http.Header{}, Body: io.NopCloser(strings.NewReader(tc.body)), ContentLength: int64(len(tc.body))}
			if tc.encoding != "" {
				resp.Header.Set("Content-Encoding", tc.encoding)
			}
			got, err := u.read(resp, limit, 0)
			switch {
			case tc.tooLarge:
				if !errors.Is(err, errTooLarge) {
					t.Errorf("error %v", err)
				}
			case tc.fails:
				if err == nil || errors.Is(err, errTooLarge) {
					t.Errorf("error %v", err)
				}
			case err != nil || string(got) != tc.want:
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// TestOfACompressedAnswerThatIsCutWhatCameIsUnpacked: it may say why something was
// refused.
func TestOfACompressedAnswerThatIsCutWhatCameIsUnpacked(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 4<<10) // which cannot be compressed
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	whole := packed(t, "why: "+string(noise))
	reset := errors.New("the connection was reset")
	for _, tc := range []struct {
		name  string
		body  io.Reader
		limit int64
		begin string // of what is unpacked
		err   error
	}{
		{"the connection breaks", io.MultiReader(strings.NewReader(whole[:2<<10]), iotest.ErrReader(reset)), 1 << 20, "why: ", reset},
		{"the connection breaks in the header", io.MultiReader(strings.NewReader(whole[:5]), iotest.ErrReader(reset)), 1 << 20, "", reset},
		{"the connection breaks at once", iotest.ErrReader(reset), 1 << 20, "", reset},
		{"as long as may be", strings.NewReader(whole), int64(len(whole)), "why: ", nil},
		{"a byte longer", strings.NewReader(whole), int64(len(whole)) - 1, "why: ", errTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			resp := &http.Response{Header: http.Header{"Content-Encoding": {"gzip"}}, Body: io.NopCloser(tc.body), ContentLength: -1}
			got, err := new(unzippers).read(resp, tc.limit, 0)
			if !errors.Is(err, tc.err) || !strings.HasPrefix(string(got), tc.begin) || tc.begin == "" && len(got) > 0 {
				t.Errorf("%d bytes that begin with %.5q, and the error %v; want %q and %v", len(got), got, err, tc.begin, tc.err)
			}
		})
	}
}

// counted counts how often it is read from. Like HTTP/2 it gives what is there.
type counted struct {
	*strings.Reader
	reads int
}

func (c *counted) Read(p []byte) (int, error) {
	c.reads++
	return c.Reader.Read(p)
}

func (c *counted) Close() error { return nil }

// TestACompressedPageIsTakenInFewPieces: over HTTP/2 each piece is an exchange of
// its own with the server.
func TestACompressedPageIsTakenInFewPieces(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 100<<10) // which cannot be compressed
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	from := &counted{Reader: strings.NewReader(packed(t, string(noise)))}
	resp := &http.Response{Header: http.Header{"Content-Encoding": {"gzip"}}, Body: from, ContentLength: -1}
	got, err := new(unzippers).read(resp, maxBody, 0)
	if err != nil || !bytes.Equal(got, noise) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if most := len(noise)/packedSize + 2; from.reads > most { // the last one sees the end
		t.Errorf("%d bytes are read in %d pieces; %d at most are wanted", len(noise), from.reads, most)
	}
}

// TestABodyMayBeALittleLargerThanTheLast: pages differ, and one that does not fit
// would be copied into twice its room.
func TestABodyMayBeALittleLargerThanTheLast(t *testing.T) {
	t.Parallel()
	const hint = 100 << 10
	text := strings.Repeat("x", hint+hint/20)
	for _, tc := range []struct{ name, encoding, body string }{
		{"plain", "", text},
		{"compressed", "gzip", packed(t, text)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			resp := &http.Response{Header: http.Header{}, Body: io.NopCloser(strings.NewReader(tc.body)), ContentLength: -1}
			resp.Header.Set("Content-Encoding", tc.encoding)
			got, err := new(unzippers).read(resp, maxBody, hint)
			if err != nil || string(got) != text {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			if cap(got) > hint+hint/4 {
				t.Errorf("%d bytes take %d", len(got), cap(got))
			}
		})
	}
}

// TestACompressedAnswerIsAskedFor: net/http asks for it only where nobody else
// unpacks it.
func TestACompressedAnswerIsAskedFor(t *testing.T) {
	t.Parallel()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	if acceptGzip(req); req.Header.Get("Accept-Encoding") != "gzip" {
		t.Errorf("the header is %q", req.Header.Get("Accept-Encoding"))
	}
}
