package tail

import (
	"strconv"

	"github.com/DataDog/datadog-agent/pkg/logs/message"

	"atlassian_audit_records/cmd/atlassian-audit-records-run/internal/ledger"
)

// Acknowledge enters into the ledger the lines that came out of the pipeline.
// Where a line lay is in its origin: its file, the offset behind it, and its
// length with the newline.
func Acknowledge(l *ledger.Ledger, metas []*message.MessageMetadata) {
	for _, m := range metas {
		to, err := strconv.ParseInt(m.Origin.Offset, 10, 64)
		if err != nil {
			continue // no line of ours: those have a number
		}
		l.Acknowledge(m.Origin.FilePath, to-int64(m.RawDataLen), to, m.IngestionTimestamp)
	}
}
