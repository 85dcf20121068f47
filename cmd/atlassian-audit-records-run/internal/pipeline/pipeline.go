// Package pipeline sends log lines as the Agent does, with the Agent's own
// modules: its processor applies the processing rules, its batches are
// compressed, its HTTP destinations retry, and several of them are shipped to.
//
// It promises that a message is acknowledged only when a reliable destination
// has taken it, or refuses it alone while it takes others (destination.go says
// how that is found out). What it has not acknowledged may still arrive: a
// process that dies while an answer is under way cannot know. It keeps nothing
// on disk and reads no file.
package pipeline

import (
	"context"
	"strconv"
	"time"

	"github.com/DataDog/datadog-agent/comp/logs/agent/config"
	"github.com/DataDog/datadog-agent/pkg/config/model"
	"github.com/DataDog/datadog-agent/pkg/logs/client"
	"github.com/DataDog/datadog-agent/pkg/logs/diagnostic"
	"github.com/DataDog/datadog-agent/pkg/logs/message"
	"github.com/DataDog/datadog-agent/pkg/logs/metrics"
	agentpipeline "github.com/DataDog/datadog-agent/pkg/logs/pipeline"
	"github.com/DataDog/datadog-agent/pkg/logs/sender"
)

// Options are what a pipeline is made of.
type Options struct {
	// Config is the Agent's, loaded.
	Config model.Reader
	// Endpoints are where to send to, over HTTP.
	Endpoints *config.Endpoints
	// Rules are those of logs_config.processing_rules; a source's own come with
	// its messages.
	Rules []*config.ProcessingRule
	// Hostname is that of every log.
	Hostname string
	// Acknowledge is called for each payload that need not be sent again, once for
	// each reliable destination that took it. A destination sends nothing else before
	// it comes back; several of them may call it at once.
	Acknowledge func(metas []*message.MessageMetadata)
	// Refused is called when an intake refuses even an empty payload: the API key
	// may have changed. It may take its time.
	Refused func(ctx context.Context)
}

// A Pipeline takes messages until it is stopped.
type Pipeline struct {
	options      Options
	destinations *client.DestinationsContext
	sender       *sender.Sender
	pipeline     *agentpipeline.Pipeline
	judge        *judge
	sink         sink
	drained      chan struct{}
}

// sink is where payloads come out of the Agent's sender, when all is done with them.
type sink chan *message.Payload

// Channel implements sender.Sink.
func (s sink) Channel() chan *message.Payload { return s }

// New is a pipeline that was not started.
//
// There is one pipeline with one sender, and each destination has one payload
// under way: where there is one destination, payloads are acknowledged in the
// order of their lines, so that nothing acknowledged lies beyond what a crash
// forgets. Audit records need no more: a payload holds up to 1,000 of them.
func New(o Options) *Pipeline {
	p := &Pipeline{
		options: o, destinations: client.NewDestinationsContext(), sink: make(sink, 16), drained: make(chan struct{}),
		judge: newJudge(o.Rules, hostname(o.Hostname), o.Endpoints.BatchMaxContentSize),
	}
	monitor := metrics.NewNoopPipelineMonitor("")
	p.sender = sender.NewSender(o.Config, p.sink, p.destinationsOf, o.Config.GetInt("logs_config.payload_channel_size"),
		sender.NewServerlessMeta(false), sender.DefaultQueuesCount, sender.DefaultWorkersPerQueue, monitor)
	p.pipeline = agentpipeline.NewPipeline(o.Rules, o.Endpoints, p.sender, &diagnostic.NoopMessageReceiver{},
		sender.NewServerlessMeta(false), hostname(o.Hostname), o.Config, compressors{}, "0")
	return p
}

// destinationsOf makes the destinations of one worker of the sender.
func (p *Pipeline) destinationsOf(worker string) *client.Destinations {
	var reliable, others []client.Destination
	for i, e := range p.options.Endpoints.GetReliableEndpoints() {
		meta := client.NewDestinationMetadata("logs", worker, "reliable", strconv.Itoa(i), "")
		reliable = append(reliable, newDestination(e, meta, p.destinations, p.options))
	}
	for i, e := range p.options.Endpoints.GetUnReliableEndpoints() {
		meta := client.NewDestinationMetadata("logs", worker, "unreliable", strconv.Itoa(i), "")
		others = append(others, plainDestination(e, meta, p.destinations, p.options.Config, metrics.NewNoopPipelineMonitor(""), false))
	}
	return client.NewDestinations(reliable, others)
}

// Start starts sending.
func (p *Pipeline) Start() {
	p.destinations.Start()
	go p.drain()
	p.sender.Start()
	p.pipeline.Start()
}

// drain lets payloads come out.
func (p *Pipeline) drain() {
	defer close(p.drained)
	for payload := range p.sink {
		_ = payload // its destination has acknowledged it
	}
}

// In takes messages. Nothing may be sent to it once Stop was called.
func (p *Pipeline) In() chan<- *message.Message { return p.pipeline.InputChan }

// Judge foretells what becomes of a message. It must not be called by several
// goroutines at once.
func (p *Pipeline) Judge(ctx context.Context, m *message.Message) Verdict { return p.judge.of(ctx, m) }

// stopGrace is how long the destinations may take to end once they were told.
const stopGrace = 500 * time.Millisecond

// Stop sends what it was given and waits for the acknowledgements, as long as
// settled, which is asked again and again, says that some are missing, and until
// ctx ends. It reports whether everything came to its end; if not, goroutines
// may be left behind, and only the end of the process ends them.
func (p *Pipeline) Stop(ctx context.Context, settled func() (bool, <-chan struct{})) bool {
	flushed := make(chan struct{})
	go func() {
		p.pipeline.Stop() // hands the last batch to the sender
		close(flushed)
	}()
	select {
	case <-flushed:
		wait(ctx, settled)
	case <-ctx.Done():
	}
	p.destinations.Stop()
	ended := make(chan struct{})
	go func() {
		<-flushed
		p.sender.Stop()
		close(p.sink)
		<-p.drained
		close(ended)
	}()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	select {
	case <-ended:
		return true
	case <-grace.Done():
		return false
	}
}

func wait(ctx context.Context, settled func() (bool, <-chan struct{})) {
	for {
		ok, changed := settled()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
