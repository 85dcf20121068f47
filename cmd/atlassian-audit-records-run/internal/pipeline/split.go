package pipeline

import (
	"encoding/json"
	"fmt"

	"github.com/DataDog/datadog-agent/comp/logs/agent/config"
	"github.com/DataDog/datadog-agent/pkg/logs/message"
	"github.com/DataDog/datadog-agent/pkg/util/compression"
)

// splitter divides payloads: JSON arrays of logs, compressed as the endpoint
// wants them.
type splitter struct{ compressor compression.Compressor }

func newSplitter(e config.Endpoint) splitter {
	kind := compression.NoneKind
	if e.UseCompression {
		kind = e.CompressionKind
	}
	return splitter{compressors{}.NewCompressor(kind, e.CompressionLevel)}
}

// halve divides a payload into two, in order; one of a single log stays whole.
func (s splitter) halve(p *message.Payload) ([]*message.Payload, error) {
	n := len(p.MessageMetas)
	if n < 2 {
		return []*message.Payload{p}, nil
	}
	text := p.Encoded
	if p.Encoding != "" && p.Encoding != "identity" {
		var err error
		if text, err = s.compressor.Decompress(p.Encoded); err != nil {
			return nil, fmt.Errorf("decompress: %w", err)
		}
	}
	var logs []json.RawMessage
	if err := json.Unmarshal(text, &logs); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	if len(logs) != n {
		return nil, fmt.Errorf("it holds %d logs, and %d are known", len(logs), n)
	}
	first, err := s.payload(p, logs[:n/2], p.MessageMetas[:n/2])
	if err != nil {
		return nil, err
	}
	second, err := s.payload(p, logs[n/2:], p.MessageMetas[n/2:])
	if err != nil {
		return nil, err
	}
	return []*message.Payload{first, second}, nil
}

func (s splitter) payload(of *message.Payload, logs []json.RawMessage, metas []*message.MessageMetadata) (*message.Payload, error) {
	text := []byte{'['}
	for i, l := range logs {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, l...)
	}
	text = append(text, ']')
	encoded := text
	if of.Encoding != "" && of.Encoding != "identity" {
		var err error
		if encoded, err = s.compressor.Compress(text); err != nil {
			return nil, fmt.Errorf("compress: %w", err)
		}
	}
	return message.NewPayload(metas, encoded, of.Encoding, len(text)), nil
}
