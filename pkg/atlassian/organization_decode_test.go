package atlassian

import (
	"strings"
	"testing"
)

// FuzzDecodeEvents feeds foreign bytes to the decoder: whatever it takes for an
// event stands in the answer, and an error comes without any.
func FuzzDecodeEvents(f *testing.F) {
	for _, body := range []string{
		`{"data":[{"id":"e","attributes":{"time":"2026-05-19T10:00:00.000Z","processedAt":1}}],"meta":{"next":"x"},"links":{"next":"?cursor=y"}}`,
		`{"data":[null,1,"x",[],{}],"meta":[],"links":7}`,
		`{"data":[{"attributes":{"time":{},"time":"x"}}]}`,
		`{"meta":{"next":{}},"data":[`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		page, err := decodeEvents([]byte(body), 10)
		if err != nil && len(page.Records) > 0 {
			t.Error("an error came with events")
		}
		for _, r := range page.Records {
			if !strings.Contains(body, string(r.Raw)) {
				t.Errorf("the event %q does not stand in %q", r.Raw, body)
			}
		}
	})
}
