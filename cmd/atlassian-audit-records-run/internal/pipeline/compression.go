package pipeline

import (
	"github.com/DataDog/datadog-agent/pkg/util/compression"
	implgzip "github.com/DataDog/datadog-agent/pkg/util/compression/impl-gzip"
	implnoop "github.com/DataDog/datadog-agent/pkg/util/compression/impl-noop"
	implzstd "github.com/DataDog/datadog-agent/pkg/util/compression/impl-zstd-nocgo"
)

// compressors is the Agent's component logscompression for a program without
// C: the Agent's own selector knows zstd only as a C library. The
// implementations are the Agent's, the pure one of zstd included.
type compressors struct{}

// NewCompressor implements the component. The kinds are those of
// logs_config.compression_kind: zstd, gzip; anything else is not compressed.
func (compressors) NewCompressor(kind string, level int) compression.Compressor {
	switch kind {
	case compression.ZstdKind:
		return implzstd.New(implzstd.Requires{Level: compression.ZstdCompressionLevel(level)})
	case compression.GzipKind:
		return implgzip.New(implgzip.Requires{Level: level})
	}
	return implnoop.New()
}
