package pipeline

import (
	"context"
	"sync"
	"time"

	"github.com/DataDog/datadog-agent/comp/logs/agent/config"
	"github.com/DataDog/datadog-agent/pkg/config/model"
	"github.com/DataDog/datadog-agent/pkg/logs/client"
	"github.com/DataDog/datadog-agent/pkg/logs/client/http"
	"github.com/DataDog/datadog-agent/pkg/logs/message"
	"github.com/DataDog/datadog-agent/pkg/logs/metrics"
	"github.com/DataDog/datadog-agent/pkg/util/log"
)

// aloneTries is how often a record that an intake refuses alone is sent before
// it is given up.
const aloneTries = 3

// destination is the Agent's HTTP destination, but for what is refused.
//
// The Agent's drops a payload that is answered with 400, 401, 403 or 413, or
// whose answer cannot be read, and acknowledges it all the same: after a day with a wrong API key nothing is left
// to send. Here a payload that was not taken is not acknowledged. Whether the
// payload or the access is at fault is asked with the Agent's own connectivity
// probe, an empty payload: where that is refused too, the payload waits, with
// growing pauses, until it is taken. Where it is taken, the payload is halved,
// and a record that is refused alone, three times, is given up and reported.
type destination struct {
	*http.Destination
	endpoint config.Endpoint
	options  Options
	witness  *witness
	context  *client.DestinationsContext
	split    splitter
}

func newDestination(e config.Endpoint, meta *client.DestinationMetadata, dc *client.DestinationsContext, o Options) *destination {
	w := &witness{PipelineMonitor: metrics.NewNoopPipelineMonitor(""), tag: meta.MonitorTag(), took: map[*message.Payload]bool{}}
	return &destination{
		Destination: plainDestination(e, meta, dc, o.Config, w, true),
		endpoint:    e, options: o, witness: w, context: dc, split: newSplitter(e),
	}
}

// plainDestination is the Agent's, with one request under way at a time.
func plainDestination(e config.Endpoint, meta *client.DestinationMetadata, dc *client.DestinationsContext, cfg model.Reader,
	monitor metrics.PipelineMonitor, retry bool,
) *http.Destination {
	return http.NewDestination(e, http.JSONContentType, dc, retry, meta, cfg, 1, 1, monitor, "0")
}

// witness notes the payloads that an intake took: the Agent's destination
// reports to its monitor exactly what was answered below 400.
type witness struct {
	metrics.PipelineMonitor
	tag string

	mu   sync.Mutex
	took map[*message.Payload]bool
}

// ReportComponentEgress implements metrics.PipelineMonitor.
func (w *witness) ReportComponentEgress(what metrics.MeasurablePayload, name, instance string) {
	if p, ok := what.(*message.Payload); ok && name == w.tag {
		w.mu.Lock()
		w.took[p] = true
		w.mu.Unlock()
	}
	w.PipelineMonitor.ReportComponentEgress(what, name, instance)
}

// saw reports, once, whether the payload was taken.
func (w *witness) saw(p *message.Payload) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	took := w.took[p]
	delete(w.took, p)
	return took
}

// Start implements client.Destination.
func (d *destination) Start(input, output chan *message.Payload, isRetrying chan bool) <-chan struct{} {
	stopped := make(chan struct{})
	c := &courier{
		destination: d, ctx: d.context.Context(), output: output, retrying: isRetrying,
		in: make(chan *message.Payload), out: make(chan *message.Payload, 1), inner: make(chan bool, 1),
	}
	c.ended = d.Destination.Start(c.in, c.out, c.inner)
	go func() {
		for p := range input {
			c.deliver(p)
			c.free()
		}
		c.close()
		close(stopped)
	}()
	return stopped
}

// courier brings the payloads of one destination there, one after the other.
type courier struct {
	*destination
	ctx              context.Context // ends when the destinations are told to stop
	output           chan *message.Payload
	retrying         chan bool // tells the sender that this destination is stuck
	in, out          chan *message.Payload
	inner            chan bool
	ended            <-chan struct{}
	holding, telling bool
}

// outcome is what became of a payload.
type outcome int

const (
	taken outcome = iota
	refused
	stopping
)

// deliver brings a payload there, or gives up what is refused alone. It comes
// back without either only when the destinations are told to stop.
func (c *courier) deliver(p *message.Payload) {
	pause := seconds(max(c.endpoint.BackoffBase, 0.01))
	for alone := 0; ; {
		switch c.send(p) {
		case taken:
			c.acknowledge(p)
			return
		case stopping:
			return
		case refused:
		}
		c.hold()
		if http.CheckConnectivity(c.endpoint, c.options.Config) {
			halves, err := c.split.halve(p)
			if err != nil {
				log.Errorf("%s refuses a payload of %d records, and it cannot be divided (%v): it is sent again", c.Target(), p.Count(), err)
			}
			if len(halves) == 2 {
				c.deliver(halves[0])
				c.deliver(halves[1])
				return
			}
			if alone++; alone == aloneTries && p.Count() == 1 {
				m := p.MessageMetas[0]
				log.Errorf("%s refuses one record and takes others: the record that ends at byte %s of %s is given up; "+
					"the line stays in the file, which is kept 24 hours after its delivery", c.Target(), m.Origin.Offset, m.Origin.FilePath)
				c.acknowledge(p)
				return
			}
		} else {
			log.Errorf("%s refuses every payload (the line before tells how): %d records wait, and nothing is lost; "+
				"look at api_key and site, or logs_config.logs_dd_url, in datadog.yaml", c.Target(), p.Count())
			if c.options.Refused != nil {
				c.options.Refused(c.ctx)
			}
		}
		if !sleep(c.ctx, pause) {
			return
		}
		pause = min(2*pause, seconds(max(c.endpoint.BackoffMax, c.endpoint.BackoffBase)))
	}
}

// send gives a payload to the Agent's destination, which sends it until it is
// taken or refused.
func (c *courier) send(p *message.Payload) outcome {
	if c.ctx.Err() != nil {
		return stopping
	}
	select {
	case c.in <- p:
	case <-c.ctx.Done():
		return stopping
	}
	for {
		select {
		case <-c.out:
			if c.witness.saw(p) {
				return taken
			}
			return refused
		case is := <-c.inner:
			c.tell(is || c.holding)
		case <-c.ctx.Done():
			return stopping
		}
	}
}

func (c *courier) acknowledge(p *message.Payload) {
	c.options.Acknowledge(p.MessageMetas)
	c.output <- p
}

// hold makes the sender go round this destination while it mends a payload.
func (c *courier) hold() {
	c.holding = true
	c.tell(true)
}

// free ends what hold began.
func (c *courier) free() {
	c.holding = false
	select {
	case is := <-c.inner:
		c.tell(is)
	default:
		c.tell(false)
	}
}

func (c *courier) tell(stuck bool) {
	if c.retrying != nil && stuck != c.telling {
		c.telling = stuck
		c.retrying <- stuck
	}
}

// close ends the Agent's destination, whatever it still has to say.
func (c *courier) close() {
	close(c.in)
	for {
		select {
		case <-c.out:
		case <-c.inner:
		case <-c.ended:
			return
		}
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// sleep reports whether the pause passed before ctx ended.
func sleep(ctx context.Context, pause time.Duration) bool {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
