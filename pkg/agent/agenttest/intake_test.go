package agenttest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// post sends a body, and returns the status; 0 where the connection broke.
func post(t *testing.T, url, encoding, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+Path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("DD-API-KEY", "k")
	r.Header.Set("Content-Encoding", encoding)
	answer, err := (&http.Client{}).Do(r)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer.StatusCode
}

func TestIntake(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(`[{"message":"packed"}]`))
	_ = z.Close()
	i := NewIntake(Options{
		Decoders: map[string]func([]byte) ([]byte, error){"own": func(raw []byte) ([]byte, error) { return raw[1:], nil }},
		Answer: func(p Payload) Reply {
			switch p.Logs[0].Message {
			case "busy":
				return Reply{Status: 503}
			case "lost":
				return Reply{Lost: true}
			case "cut":
				return Reply{Cut: true}
			}
			return Reply{}
		},
	})
	url, shut, err := i.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		encoding, body string
		want           int
	}{
		{"", `[{"message":"plain"},{"message":"second"}]`, 202},
		{"gzip", packed.String(), 202},
		{"own", `x[{"message":"own"}]`, 202},
		{"identity", `{}`, 202},
		{"", `[{"message":"busy"}]`, 503},
		{"", `[{"message":"lost"}]`, 0},
		{"", `[{"message":"cut"}]`, 0},
		{"zstd", "x", 400},
		{"gzip", "x", 400},
		{"", `[{"message":`, 400},
		{"", "[" + strings.Repeat("{},", 1000) + "{}]", 413},
		{"", `[{"message":"` + strings.Repeat("x", maxLog+1) + `"}]`, 413},
	} {
		if got := post(t, url, tt.encoding, tt.body); got != tt.want {
			t.Errorf("%q %.30q was answered %d, want %d", tt.encoding, tt.body, got, tt.want)
		}
	}
	if err := shut(); err != nil {
		t.Error(err)
	}
	var got []string
	for _, l := range i.Logs() {
		got = append(got, l.Message)
	}
	if diff := cmp.Diff([]string{"plain", "second", "packed", "own", "lost"}, got); diff != "" {
		t.Errorf("taken (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[int]int{0: 2, 202: 4, 400: 3, 413: 2, 503: 1}, i.Codes()); diff != "" {
		t.Errorf("answered (-want +got)\n%s", diff)
	}
}

func TestWhatDatadogMakesOfALog(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		message string
		want    Event
	}{
		"a line of text has the Agent's date": {"text", Event{Date: now, Source: "s", Service: "a", Host: "h", Tags: []string{"x:1"}}},
		"what the JSON says comes first": {
			fmt.Sprintf(`{"timestamp":%d,"ddsource":"own","service":"b","host":"i","ddtags":"y:2,x:1"}`, now.Add(-time.Hour).UnixMilli()),
			Event{Date: now.Add(-time.Hour), Source: "own", Service: "b", Host: "i", Tags: []string{"x:1", "y:2"}},
		},
		"what is too old is refused": {
			fmt.Sprintf(`{"timestamp":%d}`, now.Add(-19*time.Hour).UnixMilli()),
			Event{Date: now.Add(-19 * time.Hour), Source: "s", Service: "a", Host: "h", Tags: []string{"x:1"}, Refused: "its official date is more than 18 hours back"},
		},
		"so is what lies ahead": {
			fmt.Sprintf(`{"timestamp":%d}`, now.Add(3*time.Hour).UnixMilli()),
			Event{Date: now.Add(3 * time.Hour), Source: "s", Service: "a", Host: "h", Tags: []string{"x:1"}, Refused: "its official date is more than 2 hours ahead"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Log{Message: tt.message, Timestamp: now.UnixMilli(), Received: now, Source: "s", Service: "a", Hostname: "h", Tags: "x:1"}.Event()
			if tt.message[0] == '{' {
				tt.want.Attributes = []byte(tt.message)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
