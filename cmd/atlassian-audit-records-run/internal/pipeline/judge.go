package pipeline

import (
	"context"

	"github.com/DataDog/datadog-agent/comp/logs/agent/config"
	"github.com/DataDog/datadog-agent/pkg/logs/diagnostic"
	"github.com/DataDog/datadog-agent/pkg/logs/message"
	"github.com/DataDog/datadog-agent/pkg/logs/metrics"
	"github.com/DataDog/datadog-agent/pkg/logs/processor"
)

// A Verdict says what the pipeline would do with a message.
type Verdict int

const (
	// Sent is of a message that would be sent.
	Sent Verdict = iota
	// Excluded is of one that a processing rule leaves out.
	Excluded
	// TooLarge is of one beyond what may be sent at once (batch_max_content_size).
	TooLarge
)

// judge foretells what the pipeline drops without a word: nothing of such a line
// ever comes out at the other end, and an offset that waited for it would wait
// for ever. It asks a processor of the Agent's own that is never started, so
// that it does one message at a time.
type judge struct {
	in, out chan *message.Message
	asked   *processor.Processor
	global  bool // there are rules for all sources
	limit   int  // of bytes in one payload
}

func newJudge(rules []*config.ProcessingRule, name hostname, limit int) *judge {
	j := &judge{
		in: make(chan *message.Message, 1), out: make(chan *message.Message, 1),
		global: len(rules) > 0, limit: limit,
	}
	j.asked = processor.New(nil, j.in, j.out, rules, processor.JSONEncoder, &diagnostic.NoopMessageReceiver{},
		name, metrics.NewNoopPipelineMonitor(""), "judge")
	return j
}

// perByte is the most that one byte becomes when it is written as JSON (�);
// envelope is more than what stands around a line.
const (
	perByte  = 6
	envelope = 16 << 10
)

// of judges a message; it is left as it is.
func (j *judge) of(ctx context.Context, m *message.Message) Verdict {
	line := m.GetContent()
	if !j.global && len(m.Origin.LogSource.Config.ProcessingRules) == 0 && len(line)*perByte+envelope <= j.limit {
		return Sent
	}
	j.in <- message.NewMessage(line, m.Origin, m.Status, m.IngestionTimestamp)
	j.asked.Flush(context.WithoutCancel(ctx))
	select {
	case encoded := <-j.out:
		if len(encoded.GetContent()) > j.limit {
			return TooLarge
		}
		return Sent
	default:
		return Excluded
	}
}
