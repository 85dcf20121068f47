package pipeline

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/DataDog/datadog-agent/comp/logs/agent/config"
	"github.com/DataDog/datadog-agent/pkg/logs/message"
)

func TestHalve(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"zstd", "gzip", "none"} {
		for _, n := range []int{1, 2, 3, 7} {
			t.Run(fmt.Sprintf("%s, %d logs", kind, n), func(t *testing.T) {
				t.Parallel()
				s := newSplitter(config.Endpoint{UseCompression: kind != "none", CompressionKind: kind, CompressionLevel: 1})
				var logs []string
				var metas []*message.MessageMetadata
				for i := range n {
					logs = append(logs, fmt.Sprintf(`{"message":"the %d. log, ä \n","n":1.50e-7}`, i))
					metas = append(metas, &message.MessageMetadata{RawDataLen: i})
				}
				whole, err := s.payload(message.NewPayload(nil, nil, s.compressor.ContentEncoding(), 0), raws(logs), metas)
				if err != nil {
					t.Fatal(err)
				}
				parts, err := s.halve(whole)
				if err != nil || len(parts) != min(n, 2) {
					t.Fatalf("%d parts, %v", len(parts), err)
				}
				var got []string
				var order []int
				for _, p := range parts {
					text := p.Encoded
					if kind != "none" {
						if text, err = s.compressor.Decompress(p.Encoded); err != nil {
							t.Fatal(err)
						}
					}
					var these []json.RawMessage
					if err := json.Unmarshal(text, &these); err != nil || len(these) != len(p.MessageMetas) || p.Encoding != whole.Encoding || p.UnencodedSize != len(text) {
						t.Fatalf("%d logs of %d, %v", len(these), len(p.MessageMetas), err)
					}
					for i, l := range these {
						got = append(got, string(l))
						order = append(order, p.MessageMetas[i].RawDataLen)
					}
				}
				if diff := cmp.Diff(logs, got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				for i, o := range order {
					if i != o {
						t.Errorf("the %d. log has the metadata of the %d.", i, o)
					}
				}
			})
		}
	}
}

func raws(logs []string) []json.RawMessage {
	var out []json.RawMessage
	for _, l := range logs {
		out = append(out, json.RawMessage(l))
	}
	return out
}

func TestWhatCannotBeHalved(t *testing.T) {
	t.Parallel()
	s := newSplitter(config.Endpoint{UseCompression: true, CompressionKind: "gzip", CompressionLevel: 1})
	two := []*message.MessageMetadata{{}, {}}
	packed := func(text string) []byte {
		out, err := s.compressor.Compress([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, raw := range map[string][]byte{
		"what is not compressed":            []byte("[1,2]"),
		"what is no list":                   packed(`{"a":1}`),
		"what has more logs than are known": packed(`[1,2,3]`),
	} {
		if parts, err := s.halve(message.NewPayload(two, raw, "gzip", 0)); err == nil {
			t.Errorf("%s was divided into %d", name, len(parts))
		}
	}
}
